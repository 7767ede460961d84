//! ShareGrant: one subject may do something with one thing for a time.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LocalRef, PERSON};
use super::schema;

/// A duration, or `Never`.
const DURATION_OR_NEVER: &str = "^(Never|([0-9]+(\\.[0-9]+)?(ms|s|m|h))+)$";

/// One subject may do something with one thing for a time.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "ShareGrant",
    shortname = "sg",
    category = "regatta",
    namespaced,
    status = "ShareGrantStatus",
    derive = "PartialEq",
    doc = "One subject may do something with one thing for a time.",
    printcolumn(name = "Subject", type_ = "string", json_path = ".status.subject"),
    printcolumn(name = "Target", type_ = "string", json_path = ".status.target"),
    printcolumn(name = "Access", type_ = "string", json_path = ".spec.access"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self.subject == oldSelf.subject", "message": "spec.subject cannot change: access would move to somebody else; create another ShareGrant"},
        {"rule": "self.target == oldSelf.target", "message": "spec.target cannot change: access would move to something else; create another ShareGrant"},
]))]
pub struct ShareGrantSpec {
    /// Who may.
    pub subject: Subject,
    /// What they may do it with.
    pub target: Target,
    /// View looks on, Type also types and answers, Admin also changes and deletes.
    pub access: Access,
    /// How long after it was made the grant ends: a duration, or `Never`.
    #[serde(default = "thirty_days")]
    #[schemars(length(min = 1, max = 32), extend("pattern" = DURATION_OR_NEVER))]
    pub expires_after: String,
}

fn thirty_days() -> String {
    "720h".into()
}

/// Who may.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.user) ? 1 : 0) + (has(self.group) ? 1 : 0) + (has(self.teamRef) ? 1 : 0) == 1", "message": "set exactly one of user, group and teamRef"},
]))]
pub struct Subject {
    /// A user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("pattern" = PERSON))]
    pub user: Option<String>,
    /// A group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("pattern" = PERSON))]
    pub group: Option<String>,
    /// A Team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_ref: Option<LocalRef>,
}

/// What they may do it with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.agentRef) ? 1 : 0) + (has(self.repoRef) ? 1 : 0) + (has(self.boardRef) ? 1 : 0) + (has(self.channelRef) ? 1 : 0) + (has(self.workspaceRef) ? 1 : 0) == 1", "message": "set exactly one of agentRef, repoRef, boardRef, channelRef and workspaceRef"},
]))]
pub struct Target {
    /// An Agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ref: Option<LocalRef>,
    /// A Repo and the agents on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_ref: Option<LocalRef>,
    /// A Board and its tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_ref: Option<LocalRef>,
    /// A Channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_ref: Option<LocalRef>,
    /// A Workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace_ref: Option<LocalRef>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Access {
    View,
    Type,
    Admin,
}

/// What is known about a ShareGrant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShareGrantStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// Who may, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub subject: Option<String>,
    /// What they may do it with, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub target: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
    /// When it was last made use of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_time: Option<Time>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
