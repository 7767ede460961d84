//! All roles and bindings, compiled: for each scope and subject the rules that apply. Made anew when one of the objects has
//! changed, parsing only what changed; a decision is a few lookups.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use serde::Deserialize;
use serde_json::Value;

use super::{Ask, Rule, Sources};
use crate::apiserver::{User, object, storage::Stored};

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleRef {
    pub api_group: String,
    pub kind: String,
    pub name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Subject {
    kind: String,
    name: String,
    namespace: String,
}

#[derive(Debug)]
struct Binding {
    name: String,
    /// Empty for one that counts everywhere.
    namespace: String,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// What one subject has of one binding.
#[derive(Debug)]
pub struct Grant {
    binding: Arc<Binding>,
    subject: usize,
    /// Err: the role cannot be had.
    rules: Result<Arc<[Rule]>, String>,
    /// Where the binding comes among all: a binding counts once, however many of its subjects somebody is.
    order: usize,
}

#[derive(Debug, Default)]
struct Scope {
    users: HashMap<String, Vec<Grant>>,
    groups: HashMap<String, Vec<Grant>>,
}

/// An object's version, and what was read from it.
type Parsed<T> = HashMap<String, (u64, T)>;

#[derive(Debug, Default)]
pub struct Policy {
    /// None before anything was read.
    versions: Option<[u64; 4]>,
    /// By key: `namespace/name`, and `/name` of a ClusterRole.
    roles: Parsed<Arc<[Rule]>>,
    bindings: Parsed<Arc<Binding>>,
    /// By namespace; the empty one counts everywhere.
    scopes: HashMap<String, Scope>,
}

impl Policy {
    pub fn versions(&self) -> [u64; 4] {
        self.versions.unwrap_or([u64::MAX; 4])
    }

    /// The rights as they are now, knowing those from before.
    pub fn follow(before: &Policy, sources: &Sources) -> Policy {
        // Read before the objects are: a change in between is followed by the next request.
        let versions = sources.versions();
        let mut policy = Policy {
            versions: Some(versions),
            roles: read(&sources.roles, &before.roles, |_, value| rules_of(value)),
            bindings: read(&sources.bindings, &before.bindings, binding_of),
            scopes: HashMap::new(),
        };
        let mut bindings: Vec<Arc<Binding>> = policy.bindings.values().map(|(_, binding)| binding.clone()).collect();
        // Always in the same order, so that a reason is the same every time it is asked for.
        bindings.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        for (order, binding) in bindings.into_iter().enumerate() {
            let rules = policy.resolve(&binding);
            let scope = policy.scopes.entry(binding.namespace.clone()).or_default();
            for (subject, Subject { kind, name, namespace }) in binding.subjects.iter().enumerate() {
                let (map, name) = match kind.as_str() {
                    "User" => (&mut scope.users, name.clone()),
                    "Group" => (&mut scope.groups, name.clone()),
                    "ServiceAccount" => {
                        let namespace = if namespace.is_empty() { &binding.namespace } else { namespace };
                        if namespace.is_empty() {
                            continue;
                        }
                        (&mut scope.users, format!("system:serviceaccount:{namespace}:{name}"))
                    }
                    _ => continue,
                };
                let grant = Grant { binding: binding.clone(), subject, rules: rules.clone(), order };
                map.entry(name).or_default().push(grant);
            }
        }
        policy
    }

    /// The first grant that allows it.
    pub fn find<'a>(&'a self, user: &User, ask: &Ask<'_>) -> Option<&'a Grant> {
        let allows = |grant: &&Grant| grant.rules.as_ref().is_ok_and(|rules| rules.iter().any(|rule| rule.allows(ask)));
        self.grants(user, ask.namespace()).find(allows)
    }

    /// Every rule somebody has, binding after binding.
    pub fn rules(&self, user: &User, namespace: &str) -> Vec<Rule> {
        let mut grants: Vec<&Grant> = self.grants(user, namespace).collect();
        grants.sort_by_key(|grant| grant.order);
        grants.dedup_by_key(|grant| grant.order);
        grants.iter().filter_map(|grant| grant.rules.as_ref().ok()).flat_map(|rules| rules.iter().cloned()).collect()
    }

    /// What keeps bindings of somebody from counting.
    pub fn trouble(&self, user: &User, namespace: &str) -> Option<String> {
        let errors: BTreeSet<&str> =
            self.grants(user, namespace).filter_map(|grant| grant.rules.as_ref().err()).map(String::as_str).collect();
        let list: Vec<&str> = errors.into_iter().collect();
        match list.as_slice() {
            [] => None,
            [one] => Some(format!("RBAC: {one}")),
            many => Some(format!("RBAC: [{}]", many.join(", "))),
        }
    }

    pub fn role(&self, reference: &RoleRef, namespace: &str) -> Option<Arc<[Rule]>> {
        let namespace = match reference.kind.as_str() {
            "Role" => namespace,
            "ClusterRole" => "",
            _ => return None,
        };
        self.roles.get(&object::key(namespace, &reference.name)).map(|(_, rules)| rules.clone())
    }

    fn resolve(&self, binding: &Binding) -> Result<Arc<[Rule]>, String> {
        let RoleRef { kind, name, .. } = &binding.role;
        match kind.as_str() {
            "Role" | "ClusterRole" => self
                .role(&binding.role, &binding.namespace)
                .ok_or_else(|| format!("{}.{} {name:?} not found", kind.to_lowercase(), super::GROUP)),
            other => Err(format!("unsupported role reference kind: {other:?}")),
        }
    }

    /// What somebody was granted, everywhere and in the namespace.
    fn grants<'a, 'b>(&'a self, user: &'b User, namespace: &'b str) -> impl Iterator<Item = &'a Grant> + use<'a, 'b> {
        let scopes = [Some(""), Some(namespace).filter(|namespace| !namespace.is_empty())];
        scopes.into_iter().flatten().filter_map(|scope| self.scopes.get(scope)).flat_map(|scope| {
            let groups = user.groups.iter().filter_map(|group| scope.groups.get(group));
            scope.users.get(&user.name).into_iter().chain(groups).flatten()
        })
    }
}

/// In upstream's words, which put the name before the namespace.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { name, namespace, role, subjects } = &*self.binding;
        match namespace.is_empty() {
            true => write!(f, "ClusterRoleBinding {name:?}")?,
            false => write!(f, "RoleBinding {:?}", format!("{name}/{namespace}"))?,
        }
        write!(f, " of {} {:?} to ", role.kind, role.name)?;
        let subject = &subjects[self.subject];
        if subject.kind != "ServiceAccount" {
            return write!(f, "{} {:?}", subject.kind, subject.name);
        }
        let home = if subject.namespace.is_empty() { namespace } else { &subject.namespace };
        write!(f, "ServiceAccount {:?}", format!("{}/{home}", subject.name))
    }
}

/// What two collections hold, taking over what has not changed.
fn read<T: Clone>(
    collections: &[Arc<crate::apiserver::storage::Collection>; 2],
    before: &Parsed<T>,
    parse: impl Fn(&Stored, &Value) -> Result<T, serde_json::Error>,
) -> Parsed<T> {
    let mut parsed = Parsed::new();
    for stored in collections.iter().flat_map(|collection| collection.all()) {
        let key = object::key(&stored.namespace, &stored.name);
        let known = before.get(&key).filter(|(version, _)| *version == stored.version).cloned();
        let entry = known.map(Ok).unwrap_or_else(|| parse(&stored, &stored.value()).map(|one| (stored.version, one)));
        match entry {
            Ok(entry) => drop(parsed.insert(key, entry)),
            // Nobody has any rights from it: the safe side.
            Err(error) => tracing::error!(key, %error, "this stored role or binding cannot be read and does not count"),
        }
    }
    parsed
}

pub fn rules_of(role: &Value) -> Result<Arc<[Rule]>, serde_json::Error> {
    let rules = role.get("rules").filter(|rules| !rules.is_null());
    rules.map_or(Ok(Arc::from([])), |rules| Vec::<Rule>::deserialize(rules).map(Arc::from))
}

fn binding_of(stored: &Stored, value: &Value) -> Result<Arc<Binding>, serde_json::Error> {
    let subjects = value.get("subjects").filter(|subjects| !subjects.is_null());
    Ok(Arc::new(Binding {
        name: stored.name.clone(),
        namespace: stored.namespace.clone(),
        role: RoleRef::deserialize(&value["roleRef"])?,
        subjects: subjects.map_or(Ok(Vec::new()), Vec::<Subject>::deserialize)?,
    }))
}
