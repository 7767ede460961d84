//! What the usual roles (`view`, `edit`, `admin`) may do with Regatta's own kinds: roles that those gather by their labels.
//! The same objects serve a cluster, where they are applied with the definitions.

use serde_json::{Value, json};

use super::GROUP;

const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];

/// Kinds that people work with.
const WORK: [&str; 15] = [
    "accounts",
    "agentclasses",
    "agents",
    "agentsets",
    "approvalpolicies",
    "approvals",
    "boards",
    "channels",
    "notificationpolicies",
    "repos",
    "schedules",
    "skills",
    "tasks",
    "workspaces",
    "agentsets/scale",
];
/// Kinds of the whole installation: only a binding that counts everywhere shows them, and none of these roles changes them.
const INSTALLATION: [&str; 4] = ["adapters", "hosts", "sources", "teams"];
/// What there is to see of an agent.
const VIEWS: [&str; 6] =
    ["agents/cast", "agents/diff", "agents/files", "agents/log", "agents/terminal", "agents/transcript"];

/// ClusterRoles; whoever installs them makes what is missing.
pub fn roles() -> Vec<Value> {
    let seen = [&WORK[..], &INSTALLATION, &["sharegrants", "*/status"]].concat();
    let view = json!([
        {"verbs": READ, "apiGroups": [GROUP], "resources": seen},
        {"verbs": ["get"], "apiGroups": [GROUP], "resources": VIEWS},
    ]);
    let edit = json!([
        {"verbs": WRITE, "apiGroups": [GROUP], "resources": WORK},
        {"verbs": ["create"], "apiGroups": [GROUP], "resources": ["agents/input"]},
        {"verbs": ["update"], "apiGroups": [GROUP], "resources": ["agents/files"]},
    ]);
    // Sharing gives rights to others.
    let admin = json!([{"verbs": WRITE, "apiGroups": [GROUP], "resources": ["sharegrants"]}]);
    [("view", view), ("edit", edit), ("admin", admin)].map(|(to, rules)| role(to, rules)).into()
}

fn role(to: &str, rules: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": format!("regatta:aggregate-to-{to}"),
            "labels": {format!("rbac.authorization.k8s.io/aggregate-to-{to}"): "true"},
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}},
        "rules": rules})
}
