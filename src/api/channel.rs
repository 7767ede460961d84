//! Channel: where agents and people talk to each other. Messages are not objects; they are kept beside.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LABEL, LocalRef, NO_CONTROL, PERSON};
use super::schema;
use super::units::GoDuration;

/// Where agents and people talk to each other.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Channel",
    shortname = "chn",
    category = "regatta",
    namespaced,
    status = "ChannelStatus",
    derive = "PartialEq",
    doc = "Where agents and people talk to each other.",
    printcolumn(name = "Topic", type_ = "string", json_path = ".spec.topic"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ChannelSpec {
    /// What it is about, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), extend("pattern" = NO_CONTROL))]
    pub topic: Option<String>,
    /// Who reads and writes there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub members: Vec<Member>,
    /// How long messages are kept; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<GoDuration>,
    /// How many messages an agent may send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// Who reads and writes in a Channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.agentRef) ? 1 : 0) + (has(self.agentSelector) ? 1 : 0) + (has(self.user) ? 1 : 0) == 1", "message": "set exactly one of agentRef, agentSelector and user"},
]))]
pub struct Member {
    /// Names the entry.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub name: String,
    /// An Agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ref: Option<LocalRef>,
    /// Every Agent with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub agent_selector: Option<LabelSelector>,
    /// A user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("pattern" = PERSON))]
    pub user: Option<String>,
}

/// So many messages in such a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// How many messages.
    #[schemars(range(min = 1, max = 10_000))]
    pub messages: i32,
    /// In which time.
    pub period: GoDuration,
}

/// What is known about a Channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How many members it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 256))]
    pub members: Option<i32>,
    /// When somebody last wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message_time: Option<Time>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
