//! What is kept of a requested token: everything but the token.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::apiserver::{Inner, object, storage::Stored};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub namespace: String,
    pub account: String,
    pub account_uid: String,
    pub audiences: Vec<String>,
    /// Unix seconds.
    pub expires: i64,
    pub bound: Option<Bound>,
}

/// An object of the account's namespace without which the token is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
}

impl Record {
    pub fn of(stored: &Stored) -> Option<Record> {
        match serde_json::from_value(stored.value()["spec"].take()) {
            Ok(record) => Some(record),
            Err(error) => {
                tracing::error!(hash = stored.name, %error, "this stored token cannot be read and is not accepted");
                None
            }
        }
    }

    pub fn object(&self, hash: &str) -> Value {
        json!({"apiVersion": "internal/v1", "kind": "Token", "metadata": {"name": hash, "uid": object::new_uid(),
            "creationTimestamp": object::now()}, "spec": self})
    }

    /// Whether its time is not over and what it is bound to is there. The account is looked at elsewhere.
    pub fn is_good(&self, inner: &Inner, now: i64) -> bool {
        self.expires > now && self.bound.as_ref().is_none_or(|bound| bound.is_there(inner, &self.namespace))
    }
}

impl Bound {
    fn is_there(&self, inner: &Inner, namespace: &str) -> bool {
        let resource = inner.registry.served().find_kind(&self.api_version, &self.kind);
        let found = resource.and_then(|resource| resource.collection.get(&object::key(namespace, &self.name)));
        found.is_some_and(|found| found.uid == self.uid)
    }
}
