//! The roles and bindings that are there from the start, as upstream has them: made when absent; what a newer version adds
//! to one is added at the next start, unless its annotation says that it is the administrator's now.

use serde_json::{Value, json};

use super::{GROUP, cover, policy, rules::Rule};
use crate::apiserver::object;

const LABEL: &str = "kubernetes.io/bootstrapping";
const LABEL_VALUE: &str = "rbac-defaults";
const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";
const AGGREGATE: &str = "rbac.authorization.k8s.io/aggregate-to-";

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": groups, "resources": resources})
}

fn urls(urls: &[&str]) -> Value {
    json!({"verbs": ["get"], "nonResourceURLs": urls})
}

fn role(name: &str, labels: &[&str], rules: Vec<Value>) -> Value {
    let mut role = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": {"name": name,
        "labels": {LABEL: LABEL_VALUE}, "annotations": {AUTOUPDATE: "true"}}, "rules": rules});
    for to in labels {
        role["metadata"]["labels"][format!("{AGGREGATE}{to}")] = "true".into();
    }
    role
}

/// A role that consists of all that are labelled for it.
fn gathering(name: &str, labels: &[&str]) -> Value {
    let mut role = role(name, labels, Vec::new());
    role["aggregationRule"] =
        json!({"clusterRoleSelectors": [{"matchLabels": {format!("{AGGREGATE}{name}"): "true"}}]});
    role
}

/// The ClusterRoles.
pub fn roles() -> Vec<Value> {
    let read_write: Vec<&str> = READ.into_iter().chain(WRITE).collect();
    let health = ["/livez", "/readyz", "/healthz"];
    let version = ["/version", "/version/"];
    let api = ["/openapi", "/openapi/*", "/api", "/api/*", "/apis", "/apis/*"];
    vec![
        role(
            "cluster-admin",
            &[],
            vec![rule(&["*"], &["*"], &["*"]), json!({"verbs": ["*"], "nonResourceURLs": ["*"]})],
        ),
        role("system:discovery", &[], vec![urls(&[&health[..], &version, &api].concat())]),
        role("system:public-info-viewer", &[], vec![urls(&[&health[..], &version].concat())]),
        role(
            "system:basic-user",
            &[],
            vec![
                rule(&["create"], &["authorization.k8s.io"], &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
                rule(&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
            ],
        ),
        role(
            "system:auth-delegator",
            &[],
            vec![
                rule(&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
                rule(&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
            ],
        ),
        gathering("admin", &[]),
        gathering("edit", &["admin"]),
        gathering("view", &["edit"]),
        role(
            "system:aggregate-to-admin",
            &["admin"],
            vec![
                rule(&["create"], &["authorization.k8s.io"], &["localsubjectaccessreviews"]),
                rule(&read_write, &[GROUP], &["roles", "rolebindings"]),
            ],
        ),
        role(
            "system:aggregate-to-edit",
            &["edit"],
            vec![
                rule(&READ, &[""], &["secrets"]),
                rule(&["impersonate"], &[""], &["serviceaccounts"]),
                rule(&WRITE, &[""], &["configmaps", "secrets", "serviceaccounts"]),
                rule(&["create"], &[""], &["serviceaccounts/token"]),
                rule(&WRITE, &["", "events.k8s.io"], &["events"]),
                rule(&read_write, &["coordination.k8s.io"], &["leases"]),
            ],
        ),
        role(
            "system:aggregate-to-view",
            &["view"],
            vec![
                rule(&READ, &[""], &["configmaps", "namespaces", "namespaces/status", "serviceaccounts"]),
                rule(&READ, &["", "events.k8s.io"], &["events"]),
            ],
        ),
    ]
}

/// The ClusterRoleBindings, each of the role of its name.
pub fn bindings() -> Vec<Value> {
    let groups = [
        ("cluster-admin", &["system:masters"][..]),
        ("system:discovery", &["system:authenticated"]),
        ("system:basic-user", &["system:authenticated"]),
        ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"]),
    ];
    let binding = |(name, groups): (&str, &[&str])| {
        let subjects: Vec<Value> =
            groups.iter().map(|name| json!({"apiGroup": GROUP, "kind": "Group", "name": name})).collect();
        json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name,
            "labels": {LABEL: LABEL_VALUE}, "annotations": {AUTOUPDATE: "true"}},
            "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": name}, "subjects": subjects})
    };
    groups.into_iter().map(binding).collect()
}

/// What is there, completed by what should be; None when nothing is missing or it shall be left alone.
pub fn completed(current: &Value, wanted: &Value) -> Option<Value> {
    let annotation = current.pointer("/metadata/annotations").and_then(|annotations| annotations.get(AUTOUPDATE));
    if annotation != Some(&Value::from("true")) {
        return None;
    }
    let mut after = current.clone();
    for field in ["labels", "annotations"] {
        for (key, value) in object::meta(wanted, field).and_then(Value::as_object).into_iter().flatten() {
            after["metadata"][field][key] = value.clone();
        }
    }
    // The rules of a role that gathers are not its own.
    if wanted.get("aggregationRule").is_none() {
        let (had, want): (Vec<Rule>, Vec<Rule>) =
            (policy::rules_of(current).ok()?.to_vec(), policy::rules_of(wanted).ok()?.to_vec());
        let missing: Vec<Value> = want
            .iter()
            .filter(|rule| !cover::missing(&had, std::slice::from_ref(rule)).is_empty())
            .map(|rule| json!(rule))
            .collect();
        append(&mut after, "rules", missing);
    }
    let subjects = wanted.get("subjects").and_then(Value::as_array).cloned().unwrap_or_default();
    let had = current.get("subjects").and_then(Value::as_array).cloned().unwrap_or_default();
    append(&mut after, "subjects", subjects.into_iter().filter(|subject| !had.contains(subject)).collect());
    (after != *current).then_some(after)
}

fn append(object: &mut Value, field: &str, more: Vec<Value>) {
    if more.is_empty() {
        return;
    }
    match object.get_mut(field).and_then(Value::as_array_mut) {
        Some(list) => list.extend(more),
        None => object[field] = more.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_completed_and_nothing_is_taken_away() {
        let wanted = role("r", &[], vec![rule(&["get", "list"], &[""], &["a"])]);
        let mut current = role("r", &[], vec![rule(&["get"], &[""], &["a"]), rule(&["get"], &[""], &["own"])]);
        let after = completed(&current, &wanted).unwrap();
        assert_eq!(after["rules"].as_array().unwrap().len(), 3);
        assert_eq!(completed(&after, &wanted), None, "a second start changes nothing");
        current["metadata"]["annotations"][AUTOUPDATE] = "false".into();
        assert_eq!(completed(&current, &wanted), None);
    }

    #[test]
    fn every_binding_has_its_role() {
        let names: Vec<Value> = roles().into_iter().map(|role| role["metadata"]["name"].clone()).collect();
        assert!(bindings().iter().all(|binding| names.contains(&binding["roleRef"]["name"])));
    }
}
