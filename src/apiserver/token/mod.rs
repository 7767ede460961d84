//! Bearer tokens of ServiceAccounts: random, and known by their hash only. Two kinds: those of TokenRequests, kept as
//! objects of a collection that no path leads to, and those in Secrets of type kubernetes.io/service-account-token, where
//! the Secret itself is what keeps them. Either is worth nothing once its account (by uid) or what it is bound to is gone.

mod record;
pub mod request;
pub mod secret;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use self::{record::Record, secret::SecretTokens};
use super::{
    Inner, User,
    authz::AUTHENTICATED,
    object,
    storage::{Change, Collection, Expect, Store, Stored, Write, WriteError},
};

/// What tokens are for unless they say otherwise: this API.
pub const AUDIENCE: &str = "https://kubernetes.default.svc";
/// So that people and scanners know what leaked.
const PREFIX: &str = "regatta_sa_";
const ACCOUNT: &str = "system:serviceaccount:";
const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

/// The user that an account is.
pub fn account_user(namespace: &str, name: &str) -> String {
    format!("{ACCOUNT}{namespace}:{name}")
}

/// Namespace and name of the account that a user is.
pub fn account_of(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(ACCOUNT)?.split_once(':')?;
    (!name.contains(':')).then_some((namespace, name))
}

/// The groups of every account of a namespace, apart from what all who are authenticated are in.
pub fn account_groups(namespace: &str) -> Vec<String> {
    vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")]
}

/// Whom a token is, and for which audiences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub user: User,
    pub audiences: Vec<String>,
}

pub struct Tokens {
    minted: Arc<Collection>,
    accounts: Arc<Collection>,
    secrets: SecretTokens,
    /// The API's certificate authority in PEM, which Secrets with tokens carry too.
    authority: RwLock<Option<String>>,
}

impl Tokens {
    pub fn new(store: &Store) -> Tokens {
        Tokens {
            // No definition can have this group, since it has no dot; so nothing serves it.
            minted: store.collection("internal/tokens"),
            accounts: store.collection("/serviceaccounts"),
            secrets: SecretTokens::new(store.collection("/secrets")),
            authority: RwLock::default(),
        }
    }

    pub fn set_authority(&self, pem: String) {
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = Some(pem);
    }

    /// Who holds a token, if it is good now.
    pub fn holder(&self, inner: &Inner, token: &str) -> Option<Holder> {
        let hash = hash(token);
        if let Some(stored) = self.minted.get(&object::key("", &hash)) {
            let record = Record::of(&stored)?;
            return record.is_good(inner, jiff::Timestamp::now().as_second()).then(|| {
                let mut holder = self.account(&record.namespace, &record.account, &record.account_uid)?;
                holder.audiences = record.audiences;
                holder.user.extra.insert(CREDENTIAL.into(), vec![format!("JTI={}", stored.uid)]);
                Some(holder)
            })?;
        }
        let found = self.secrets.find(&hash)?;
        self.account(&found.namespace, &found.account, &found.account_uid)
    }

    fn account(&self, namespace: &str, name: &str, uid: &str) -> Option<Holder> {
        let stored = self.accounts.get(&object::key(namespace, name)).filter(|stored| stored.uid == uid)?;
        let mut groups = account_groups(namespace);
        groups.push(AUTHENTICATED.into());
        let user =
            User { name: account_user(namespace, name), groups, uid: stored.uid.clone(), extra: BTreeMap::new() };
        Some(Holder { user, audiences: vec![AUDIENCE.into()] })
    }

    /// Forgets tokens that nobody can use any more. True when all went well.
    pub async fn purge(&self, inner: &Inner) -> bool {
        let now = jiff::Timestamp::now().as_second();
        let mut fine = true;
        for stored in self.minted.all() {
            let good = Record::of(&stored).is_some_and(|record| {
                record.is_good(inner, now)
                    && self.account(&record.namespace, &record.account, &record.account_uid).is_some()
            });
            if good {
                continue;
            }
            let write = Write {
                collection: self.minted.clone(),
                key: object::key("", &stored.name),
                expect: Expect::Version(stored.version),
                object: stored.value(),
                change: Change::Deleted,
                namespace: None,
            };
            match inner.store.write(write).await {
                Ok(_) | Err(WriteError::Missing | WriteError::Stale | WriteError::Closed) => {}
                Err(error) => {
                    fine = false;
                    tracing::warn!(%error, "a token that is over could not be forgotten and is tried again");
                }
            }
        }
        fine
    }

    /// Secrets whose account is gone: they go with it.
    pub fn orphaned(&self) -> Vec<Arc<Stored>> {
        let alive = |namespace: &str, account: &str, uid: &str| {
            let found = self.accounts.get(&object::key(namespace, account));
            found.is_some_and(|found| uid.is_empty() || found.uid == uid)
        };
        self.secrets.orphaned(alive)
    }
}

/// 256 bits from the operating system.
fn fresh() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system's random source is always there once booted");
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a token. There is nothing to guess in it, so no salt is needed.
fn hash(token: &str) -> String {
    Sha256::digest(token.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// By key: an object's version and what was read from it.
type Read<T> = HashMap<String, (u64, T)>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_accounts_are_taken_apart() {
        assert_eq!(account_of(&account_user("a", "b")), Some(("a", "b")));
        assert_eq!(account_of("system:serviceaccount:a"), None);
        assert_eq!(account_of("system:serviceaccount:a:b:c"), None);
    }

    #[test]
    fn tokens_differ_and_are_kept_as_hashes() {
        let (one, two) = (fresh(), fresh());
        assert_ne!(one, two);
        assert_eq!(one.len(), PREFIX.len() + 43);
        assert_eq!(hash(&one).len(), 64);
        assert!(!hash(&one).contains(&one[PREFIX.len()..]));
    }
}
