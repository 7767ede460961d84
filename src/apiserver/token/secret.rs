//! Secrets of type kubernetes.io/service-account-token: the server fills in the token, nobody else may choose it, and the
//! Secrets are found by their tokens' hashes.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{Read, Tokens, fresh, hash};
use crate::apiserver::{
    object,
    storage::{Collection, Stored},
};

pub const TYPE: &str = "kubernetes.io/service-account-token";
const NAME: &str = "kubernetes.io/service-account.name";
const UID: &str = "kubernetes.io/service-account.uid";

/// A Secret with a token, as far as it says whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub namespace: String,
    pub account: String,
    pub account_uid: String,
}

#[derive(Default)]
struct Index {
    version: Option<u64>,
    /// None for Secrets of other types.
    read: Read<Option<(Option<String>, Found)>>,
    by_hash: HashMap<String, Found>,
}

pub struct SecretTokens {
    secrets: Arc<Collection>,
    index: RwLock<Arc<Index>>,
}

impl SecretTokens {
    pub fn new(secrets: Arc<Collection>) -> SecretTokens {
        SecretTokens { secrets, index: RwLock::default() }
    }

    pub fn find(&self, hash: &str) -> Option<Found> {
        self.index().by_hash.get(hash).cloned()
    }

    /// Those whose account is not alive.
    pub fn orphaned(&self, alive: impl Fn(&str, &str, &str) -> bool) -> Vec<Arc<Stored>> {
        let index = self.index();
        let gone = index.read.iter().filter_map(|(key, (_, entry))| Some((key, &entry.as_ref()?.1)));
        gone.filter(|(_, found)| !alive(&found.namespace, &found.account, &found.account_uid))
            .filter_map(|(key, _)| self.secrets.get(key))
            .filter(|stored| !stored.deleting)
            .collect()
    }

    /// The Secrets as of now; only those that changed are read anew.
    fn index(&self) -> Arc<Index> {
        let known = self.index.read().unwrap_or_else(PoisonError::into_inner).clone();
        let version = self.secrets.newest();
        if known.version == Some(version) {
            return known;
        }
        let mut index = Index { version: Some(version), ..Index::default() };
        for stored in self.secrets.all() {
            let key = object::key(&stored.namespace, &stored.name);
            let entry = match known.read.get(&key) {
                Some((version, entry)) if *version == stored.version => entry.clone(),
                _ => entry(&stored),
            };
            if let Some((Some(hash), found)) = &entry {
                index.by_hash.insert(hash.clone(), found.clone());
            }
            index.read.insert(key, (stored.version, entry));
        }
        let index = Arc::new(index);
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index.clone();
        index
    }
}

fn entry(stored: &Stored) -> Option<(Option<String>, Found)> {
    let value = stored.value();
    if value["type"] != TYPE {
        return None;
    }
    let annotation = |name: &str| value["metadata"]["annotations"][name].as_str().unwrap_or_default().to_string();
    let found = Found { namespace: stored.namespace.clone(), account: annotation(NAME), account_uid: annotation(UID) };
    let token = value["data"]["token"].as_str().and_then(|token| STANDARD.decode(token).ok());
    let hash = token.and_then(|token| String::from_utf8(token).ok()).map(|token| hash(&token));
    // Without a uid it was not filled in by the server.
    Some((hash.filter(|_| !found.account_uid.is_empty()), found))
}

impl Tokens {
    /// Completes such a Secret on its way to be stored: the account's uid, a token, the authority. A token once given stays
    /// until it is taken out of the Secret.
    pub fn fill(&self, secret: &mut Value, before: Option<&Value>) {
        if secret["type"] != TYPE {
            return;
        }
        let namespace = object::namespace(secret).to_string();
        let name = secret["metadata"]["annotations"][NAME].as_str().unwrap_or_default().to_string();
        let account = self.accounts.get(&object::key(&namespace, &name));
        let had = before.and_then(|before| before.pointer("/data/token")).cloned();
        let (Some(account), true) = (account, secret["metadata"].is_object()) else {
            // Nobody's: whatever token it carries must not become somebody's.
            if let Some(data) = secret.get_mut("data").and_then(Value::as_object_mut) {
                data.remove("token");
            }
            return;
        };
        let given = secret.pointer("/data/token").is_some();
        let same = before.is_some_and(|before| before["metadata"]["annotations"][UID] == *account.uid);
        secret["metadata"]["annotations"][UID] = account.uid.clone().into();
        if !secret["data"].is_object() {
            secret["data"] = json!({});
        }
        let removed = before.is_some() && !given;
        secret["data"]["token"] = match had.filter(|_| same && !removed) {
            Some(token) => token,
            None => STANDARD.encode(fresh()).into(),
        };
        let data = secret["data"].as_object_mut().expect("made an object just above");
        data.entry("namespace").or_insert_with(|| STANDARD.encode(&namespace).into());
        if let Some(pem) = &*self.authority.read().unwrap_or_else(PoisonError::into_inner) {
            data.insert("ca.crt".into(), STANDARD.encode(pem).into());
        }
    }
}
