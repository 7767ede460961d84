//! Task: something to be done, on a Board or by itself, claimed by one agent or person at a time.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LABEL_VALUE, LocalRef, NO_CONTROL, PERSON};
use super::schema;
use super::units::GoDuration;

/// Something to be done, on a Board or by itself, claimed by one agent or person at a time.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Task",
    shortname = "tk",
    category = "regatta",
    namespaced,
    status = "TaskStatus",
    derive = "PartialEq",
    doc = "Something to be done, on a Board or by itself, claimed by one agent or person at a time.",
    validation = Rule::new("!has(self.spec.dependsOn) || !self.spec.dependsOn.exists(d, d.name == self.metadata.name)")
        .message("spec.dependsOn must not name the Task itself: it would wait for ever; remove it"),
    selectable = ".spec.column",
    selectable = ".spec.boardRef.name",
    selectable = ".spec.repoRef.name",
    selectable = ".spec.claim.holder",
    printcolumn(name = "Key", type_ = "string", json_path = ".status.key"),
    printcolumn(name = "Title", type_ = "string", json_path = ".spec.title"),
    printcolumn(name = "Column", type_ = "string", json_path = ".spec.column"),
    printcolumn(name = "Priority", type_ = "string", json_path = ".spec.priority"),
    printcolumn(name = "Claim", type_ = "string", json_path = ".spec.claim.holder"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(oldSelf.claim) || !has(self.claim) || self.claim.holder == oldSelf.claim.holder", "message": "the task is claimed by somebody else; it is free when spec.claim is removed", "messageExpression": "'already claimed by ' + oldSelf.claim.holder + '; it is free when spec.claim is removed'"},
        {"rule": "!has(self.column) || has(self.boardRef)", "message": "spec.column needs spec.boardRef: columns are a Board's"},
]))]
pub struct TaskSpec {
    /// What is to be done, in one line.
    #[schemars(length(min = 1, max = 256), extend("pattern" = NO_CONTROL))]
    pub title: String,
    /// What is to be done, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub body: Option<String>,
    /// The Board that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_ref: Option<LocalRef>,
    /// The Board's column that it is in; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = NO_CONTROL))]
    pub column: Option<String>,
    /// How much it matters.
    #[serde(default)]
    pub priority: Priority,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = LABEL_VALUE)), extend("x-kubernetes-list-type" = "set"))]
    pub labels: Vec<String>,
    /// Tasks that must be done first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub depends_on: Vec<LocalRef>,
    /// The Repo that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_ref: Option<LocalRef>,
    /// The AgentClass of an agent that takes it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_ref: Option<LocalRef>,
    /// Until when it should be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Time>,
    /// Who works on it. Whoever sets it first has it; a holder gives it back by removing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub result: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Priority {
    Low,
    #[default]
    Normal,
    High,
    Urgent,
}

/// Who works on a Task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Claim {
    /// An agent or person.
    #[schemars(length(min = 1, max = 253), extend("pattern" = PERSON))]
    pub holder: String,
    /// How long the claim holds without being renewed; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<GoDuration>,
    /// When it was last renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_time: Option<Time>,
}

/// What is known about a Task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Its short name, such as `PROJ-12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub key: Option<String>,
    /// The Agent that works on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub agent: Option<String>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
