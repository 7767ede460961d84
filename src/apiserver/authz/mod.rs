//! Who may do what: Role, ClusterRole and their bindings, evaluated as Kubernetes evaluates them. Every request passes
//! here, so this reads memory only and waits for nothing; it must not know what any resource means.
//!
//! * `rules` says whether one rule allows a request, `policy` which rules a caller has, `request` what a request asks for.
//! * `cover` and `escalation` keep people from granting what they do not have.
//! * `impersonate` lets a caller be somebody else; `defaults` and `aggregate` keep the roles that are there from the start.

pub mod aggregate;
mod cover;
pub mod defaults;
pub mod escalation;
pub mod impersonate;
mod policy;
pub mod request;
mod rules;

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::{Map, Value};

use self::policy::Policy;
pub use self::{policy::RoleRef, rules::Rule};
use super::{
    User,
    status::Failure,
    storage::{Collection, Store},
};

pub const GROUP: &str = "rbac.authorization.k8s.io";
/// Whoever is in it may do anything, whatever roles there are: the way back in when the roles are wrong.
pub const MASTERS: &str = "system:masters";
pub const AUTHENTICATED: &str = "system:authenticated";

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    pub verb: &'a str,
    pub what: What<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    Resource(Place<'a>),
    /// A path that is no resource, such as `/version`.
    Path(&'a str),
}

/// A resource, as precisely as a request names it: what it leaves out is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Ask<'_> {
    fn namespace(&self) -> &str {
        match &self.what {
            What::Resource(place) => place.namespace,
            What::Path(_) => "",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    /// Which binding allowed it; or what was wrong with the bindings that might have.
    pub reason: String,
}

/// The collections that rights are made of.
struct Sources {
    roles: [Arc<Collection>; 2],
    bindings: [Arc<Collection>; 2],
}

impl Sources {
    fn versions(&self) -> [u64; 4] {
        let [[a, b], [c, d]] = [&self.roles, &self.bindings].map(|pair| [pair[0].newest(), pair[1].newest()]);
        [a, b, c, d]
    }
}

pub struct Authorizer {
    sources: Sources,
    policy: RwLock<Arc<Policy>>,
    /// Held by the one request that follows a change; the others wait that moment instead of doing the same.
    following: Mutex<()>,
}

impl Authorizer {
    pub fn new(store: &Store) -> Authorizer {
        let collection = |plural: &str| store.collection(&format!("{GROUP}/{plural}"));
        let sources = Sources {
            roles: [collection("roles"), collection("clusterroles")],
            bindings: [collection("rolebindings"), collection("clusterrolebindings")],
        };
        let policy = Policy::follow(&Policy::default(), &sources);
        Authorizer { sources, policy: RwLock::new(Arc::new(policy)), following: Mutex::default() }
    }

    /// Whether somebody may, and why.
    pub fn decide(&self, user: &User, ask: &Ask<'_>) -> Decision {
        if user.is_master() {
            return Decision { allowed: true, reason: String::new() };
        }
        let policy = self.policy();
        match policy.find(user, ask) {
            Some(grant) => Decision { allowed: true, reason: format!("RBAC: allowed by {grant}") },
            None => Decision { allowed: false, reason: policy.trouble(user, ask.namespace()).unwrap_or_default() },
        }
    }

    /// The same without words.
    pub fn allows(&self, user: &User, ask: &Ask<'_>) -> bool {
        user.is_master() || self.policy().find(user, ask).is_some()
    }

    /// 403 unless allowed.
    pub fn require(&self, user: &User, ask: &Ask<'_>) -> Result<(), Failure> {
        if self.allows(user, ask) {
            return Ok(());
        }
        Err(refusal(user, ask, &self.decide(user, ask).reason))
    }

    /// Every rule somebody has in a namespace (in none: everywhere), and what was wrong on the way.
    pub fn rules(&self, user: &User, namespace: &str) -> (Vec<Rule>, Option<String>) {
        let policy = self.policy();
        (policy.rules(user, namespace), policy.trouble(user, namespace))
    }

    /// The rules of the role that a binding refers to.
    pub fn role(&self, reference: &RoleRef, namespace: &str) -> Option<Arc<[Rule]>> {
        self.policy().role(reference, namespace)
    }

    /// The rights as of now: a change that was acknowledged counts for the next request.
    fn policy(&self) -> Arc<Policy> {
        let known = || self.policy.read().unwrap_or_else(PoisonError::into_inner).clone();
        let policy = known();
        if policy.versions() == self.sources.versions() {
            return policy;
        }
        let _following = self.following.lock().unwrap_or_else(PoisonError::into_inner);
        let policy = known();
        if policy.versions() == self.sources.versions() {
            return policy;
        }
        let fresh = Arc::new(Policy::follow(&policy, &self.sources));
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        fresh
    }
}

/// The answer to somebody who may not, in upstream's words.
pub fn refusal(user: &User, ask: &Ask<'_>, reason: &str) -> Failure {
    let Ask { verb, what } = ask;
    let mut details = Map::new();
    let (about, why) = match what {
        What::Path(path) => (String::new(), format!("User {:?} cannot {verb} path {path:?}", user.name)),
        What::Resource(Place { group, resource, subresource, namespace, name }) => {
            let full = if subresource.is_empty() { resource.to_string() } else { format!("{resource}/{subresource}") };
            let scope = match namespace.is_empty() {
                true => "at the cluster scope".to_string(),
                false => format!("in the namespace {namespace:?}"),
            };
            for (field, value) in [("name", name), ("group", group), ("kind", resource)] {
                if !value.is_empty() {
                    details.insert(field.into(), Value::from(*value));
                }
            }
            let resource = if group.is_empty() { resource.to_string() } else { format!("{resource}.{group}") };
            let about = if name.is_empty() { format!("{resource} is ") } else { format!("{resource} {name:?} is ") };
            (about, format!("User {:?} cannot {verb} resource {full:?} in API group {group:?} {scope}", user.name))
        }
    };
    // Upstream's precaution: what a caller chose must not look like markup.
    let why = why.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Failure { details, ..Failure::new(403, "Forbidden", format!("{about}forbidden: {why}{reason}")) }
}

#[cfg(test)]
mod tests;
