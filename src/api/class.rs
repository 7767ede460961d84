//! AgentClass: values that agents inherit.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent_parts::{EnvVar, HostChoice, Isolation, LogBounds, OnDelete, Restart};
use super::healing::HealingRule;
use super::names::{LocalRef, SUBDOMAIN};
use super::schema;

/// Values that agents inherit where they set none themselves.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "AgentClass",
    plural = "agentclasses",
    shortname = "ac",
    category = "regatta",
    namespaced,
    status = "AgentClassStatus",
    derive = "PartialEq",
    doc = "Values that agents inherit where they set none themselves.",
    printcolumn(name = "Adapter", type_ = "string", json_path = ".spec.adapter"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agents"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AgentClassSpec {
    /// Which CLI: the name or alias of an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = SUBDOMAIN))]
    pub adapter: Option<String>,
    /// What the adapter offers; an agent's option replaces the class's of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: BTreeMap<String, Value>,
    /// Added to what the CLI tells its model about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub system_prompt: Option<String>,
    /// Environment of the command; an agent's entry replaces the class's of the same name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// The ApprovalPolicy that answers questions of these agents first; it beats every policy that selects them by labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_policy_ref: Option<LocalRef>,
    /// How agents are kept apart from the rest of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// What to do by itself when an agent is stuck, before the adapter's rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub healing: Vec<HealingRule>,
    /// Where agents may be placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostChoice>,
    /// How many agents of this class may exist on one Repo at the same time; 1 for an orchestrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub limit_per_repo: Option<i32>,
    /// What to do when the command ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// What becomes of worktree and branch when an Agent is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// The log's bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogBounds>,
}

/// What is known about an AgentClass.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentClassStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How many agents name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub agents: Option<i32>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
