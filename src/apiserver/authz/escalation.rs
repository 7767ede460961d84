//! Nobody gives away more than they have: writing a role needs its rules (or the verb `escalate`), writing a binding needs
//! the rules of its role (or the verb `bind`). Asked before a role or binding is checked and stored.

use serde::Deserialize;
use serde_json::Value;

use super::{Ask, Authorizer, GROUP, Place, RoleRef, Rule, What, cover, policy};
use crate::apiserver::{
    User, object,
    resource::Resource,
    status::{Failure, Subject},
};

/// A write of a role or binding on its way.
pub struct Write<'a> {
    pub user: &'a User,
    pub resource: &'a Resource,
    pub namespace: &'a str,
    pub object: &'a Value,
    pub before: Option<&'a Value>,
}

pub fn check(authorizer: &Authorizer, write: &Write<'_>) -> Result<(), Failure> {
    let Write { user, resource, object, before, .. } = write;
    if resource.group != GROUP || user.is_master() {
        return Ok(());
    }
    if before.is_some_and(|before| only_collected(object, before)) {
        return Ok(());
    }
    match resource.kind.as_str() {
        "Role" | "ClusterRole" => check_role(authorizer, write),
        _ => check_binding(authorizer, write),
    }
}

fn check_role(authorizer: &Authorizer, write: &Write<'_>) -> Result<(), Failure> {
    let Write { user, resource, namespace, object, before } = write;
    // Who makes a role does not name it in the request, so a right to escalate single roles is one to change them.
    let name = if before.is_some() { object::name(object) } else { "" };
    let place = Place { group: GROUP, resource: &resource.plural, namespace, name, ..Place::default() };
    if authorizer.allows(user, &Ask { verb: "escalate", what: What::Resource(place) }) {
        return Ok(());
    }
    let subject = resource.subject(object::name(object));
    let rules = policy::rules_of(object)
        .map_err(|error| Failure::bad_request(format!("the rules of the role cannot be read: {error}")))?;
    confirm(authorizer, user, namespace, &rules).map_err(|why| Failure::forbidden(subject, why))?;
    let gathers = |role: &Value| {
        object::at(role, "aggregationRule.clusterRoleSelectors")
            .and_then(Value::as_array)
            .is_some_and(|l| !l.is_empty())
    };
    if gathers(object) || before.is_some_and(gathers) {
        // It can gather anything.
        let why = "must have cluster-admin privileges to use the aggregationRule";
        confirm(authorizer, user, namespace, &everything()).map_err(|_| Failure::forbidden(subject, why))?;
    }
    Ok(())
}

fn check_binding(authorizer: &Authorizer, write: &Write<'_>) -> Result<(), Failure> {
    let Write { user, resource, namespace, object, .. } = write;
    let reference = RoleRef::deserialize(&object["roleRef"])
        .map_err(|error| Failure::bad_request(format!("the roleRef of the binding cannot be read: {error}")))?;
    let plural = match reference.kind.as_str() {
        "Role" => "roles",
        "ClusterRole" => "clusterroles",
        // Whatever it is, validation refuses it.
        _ => return Ok(()),
    };
    let place =
        Place { group: &reference.api_group, resource: plural, namespace, name: &reference.name, ..Place::default() };
    if authorizer.allows(user, &Ask { verb: "bind", what: What::Resource(place) }) {
        return Ok(());
    }
    let Some(rules) = authorizer.role(&reference, namespace) else {
        let missing = Subject { group: GROUP, plural, kind: &reference.kind, name: &reference.name };
        return Err(Failure::not_found(missing));
    };
    let subject = resource.subject(object::name(object));
    confirm(authorizer, user, namespace, &rules).map_err(|why| Failure::forbidden(subject, why))
}

/// Err says what somebody would give away without having it.
fn confirm(authorizer: &Authorizer, user: &User, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
    let (had, trouble) = authorizer.rules(user, namespace);
    let missing = cover::missing(&had, wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let trouble = trouble.map(|why| format!("; resolution errors: [{why}]")).unwrap_or_default();
    Err(format!(
        "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}{trouble}",
        user.name,
        cover::quoted(&user.groups),
        cover::describe(missing).join("\n"),
    ))
}

fn everything() -> [Rule; 2] {
    let star = || vec!["*".to_string()];
    [
        Rule { verbs: star(), api_groups: star(), resources: star(), ..Rule::default() },
        Rule { verbs: star(), non_resource_urls: star(), ..Rule::default() },
    ]
}

/// A change of what the collector of garbage changes only.
fn only_collected(after: &Value, before: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        for field in ["ownerReferences", "finalizers", "managedFields"] {
            object::unset_meta(&mut object, field);
        }
        object
    };
    without(after) == without(before)
}
