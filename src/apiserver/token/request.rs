//! `serviceaccounts/NAME/token`: makes a token for an account, bounded in time, told once and kept as a hash.

use std::sync::Arc;

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    AUDIENCE, fresh, hash,
    record::{Bound, Record},
};
use crate::apiserver::{
    Inner, object, read,
    resource::Resource,
    status::{Failure, Subject, field_error},
    storage::{Change, Expect, Stored, Write, WriteError},
};

const SHORTEST: i64 = 600;
const USUAL: i64 = 3600;
/// Longer ones are shortened, with a warning.
const LONGEST: i64 = 366 * 24 * 3600;
/// Upstream's bound of what may be asked for.
const ABSURD: i64 = 1 << 32;

pub struct Request<'a> {
    pub inner: &'a Arc<Inner>,
    pub accounts: &'a Resource,
    pub namespace: &'a str,
    pub name: &'a str,
    pub dry_run: bool,
}

impl Request<'_> {
    /// The TokenRequest with its token, and what the client should be warned of.
    pub async fn answer(&self, body: Value) -> Result<(StatusCode, Value, Vec<String>), Failure> {
        let account = read::find(self.accounts, self.namespace, self.name)?;
        self.check_subject(&body, &account)?;
        let spec = &body["spec"];
        let mut warnings = Vec::new();
        let mut seconds = match &spec["expirationSeconds"] {
            Value::Null => USUAL,
            number => {
                number.as_i64().ok_or_else(|| Failure::bad_request("spec.expirationSeconds is not an integer"))?
            }
        };
        let wrong = |why: &str| {
            let message = format!("Invalid value: {seconds}: {why}");
            Failure::invalid(self.subject(""), &[field_error("FieldValueInvalid", "spec.expirationSeconds", message)])
        };
        if seconds < SHORTEST {
            return Err(wrong("may not specify a duration less than 10 minutes"));
        }
        if seconds > ABSURD {
            return Err(wrong("may not specify a duration larger than 2^32 seconds"));
        }
        if seconds > LONGEST {
            warnings.push(format!("requested expiration of {seconds} seconds shortened to {LONGEST} seconds"));
            seconds = LONGEST;
        }
        let audiences: Vec<String> = match &spec["audiences"] {
            Value::Array(list) if !list.is_empty() => {
                list.iter().map(|one| one.as_str().unwrap_or_default().to_string()).collect()
            }
            _ => vec![AUDIENCE.into()],
        };
        let bound = self.bound(&spec["boundObjectRef"])?;
        let now = Timestamp::now();
        let expires = now.as_second() + seconds;
        let token = fresh();
        let record = Record {
            namespace: self.namespace.into(),
            account: self.name.into(),
            account_uid: account.uid.clone(),
            audiences: audiences.clone(),
            expires,
            bound: bound.clone(),
        };
        if !self.dry_run {
            self.keep(&record, &token).await?;
        }
        let time = |seconds: i64| Timestamp::from_second(seconds).map(|t| t.to_string()).unwrap_or_default();
        let mut spec = json!({"audiences": audiences, "expirationSeconds": seconds, "boundObjectRef": null});
        if let Some(bound) = bound {
            spec["boundObjectRef"] = json!(bound);
        }
        let answer = json!({"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
            "metadata": {"name": self.name, "namespace": self.namespace, "uid": account.uid,
                "creationTimestamp": object::now()},
            "spec": spec, "status": {"token": token, "expirationTimestamp": time(expires)}});
        Ok((StatusCode::CREATED, answer, warnings))
    }

    fn subject<'a>(&self, name: &'a str) -> Subject<'a> {
        Subject { group: "authentication.k8s.io", plural: "TokenRequest", kind: "TokenRequest", name }
    }

    /// What the body says about the account must be true.
    fn check_subject(&self, body: &Value, account: &Stored) -> Result<(), Failure> {
        for (field, real, what) in [("name", self.name, "name"), ("namespace", self.namespace, "namespace")] {
            let given = object::meta_str(body, field);
            if !given.is_empty() && given != real {
                let message = format!("Invalid value: {given:?}: must match the service account {what} if specified");
                let error = field_error("FieldValueInvalid", format!("metadata.{field}"), message);
                return Err(Failure::invalid(self.subject(self.name), &[error]));
            }
        }
        let uid = object::uid(body);
        if !uid.is_empty() && uid != account.uid {
            let why = format!(
                "the UID in the token request ({uid}) does not match the UID of the service account ({})",
                account.uid
            );
            return Err(Failure::conflict(self.subject(self.name), why));
        }
        Ok(())
    }

    /// What the token shall die with: any object of the account's namespace.
    fn bound(&self, reference: &Value) -> Result<Option<Bound>, Failure> {
        if !reference.is_object() {
            return Ok(None);
        }
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let api_version = if text("apiVersion").is_empty() { "v1" } else { text("apiVersion") };
        let (kind, name) = (text("kind"), text("name"));
        let resource = self.inner.registry.served().find_kind(api_version, kind).filter(|found| found.namespaced);
        let Some(resource) = resource else {
            return Err(Failure::bad_request(format!(
                "cannot bind token to object of type {api_version}, Kind={kind}"
            )));
        };
        let found = read::find(&resource, self.namespace, name)?;
        if !text("uid").is_empty() && text("uid") != found.uid {
            let why = format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
                text("uid")
            );
            return Err(Failure::conflict(resource.subject(name), why));
        }
        Ok(Some(Bound {
            api_version: api_version.into(),
            kind: kind.into(),
            name: name.into(),
            uid: found.uid.clone(),
        }))
    }

    async fn keep(&self, record: &Record, token: &str) -> Result<(), Failure> {
        let hash = hash(token);
        let write = Write {
            collection: self.inner.tokens.minted.clone(),
            key: object::key("", &hash),
            expect: Expect::Absent,
            object: record.object(&hash),
            change: Change::Added,
            namespace: None,
        };
        match self.inner.store.write(write).await {
            Ok(_) => Ok(()),
            Err(WriteError::Closed) => Err(Failure::shutting_down()),
            Err(error) => Err(Failure::internal(format!("the token could not be kept: {error}"))),
        }
    }
}
