//! AgentSet: several agents from one template, by number or one for each of something.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::AgentSpec;
use super::names::LocalRef;
use super::schema;

/// Several agents from one template, by number or one for each of something.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "AgentSet",
    shortname = "ags",
    category = "regatta",
    namespaced,
    status = "AgentSetStatus",
    derive = "PartialEq",
    doc = "Several agents from one template, by number or one for each of something.",
    scale(
        spec_replicas_path = ".spec.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Desired", type_ = "integer", json_path = ".status.desired"),
    printcolumn(name = "Ready", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.needsInput"),
    printcolumn(name = "Done", type_ = "integer", json_path = ".status.finished"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "!(has(self.replicas) && has(self.fanOut))", "message": "set spec.replicas (so many) or spec.fanOut (one for each), not both"},
        {"rule": "!has(oldSelf.selector) || (has(self.selector) && self.selector == oldSelf.selector)", "message": "spec.selector cannot change: agents are found by it; create another AgentSet"},
        {"rule": "!has(self.fanOut) || !has(self.fanOut.prompts) || !has(self.template.spec.prompt)", "message": "spec.fanOut.prompts gives each agent its prompt; remove spec.template.spec.prompt"},
        {"rule": "!has(self.fanOut) || !has(self.fanOut.repos) || !(has(self.template.spec.repoRef) || has(self.template.spec.directory))", "message": "spec.fanOut.repos gives each agent its Repo; remove repoRef and directory from spec.template.spec"},
        {"rule": "!has(self.fanOut) || !has(self.fanOut.taskSelector) || !has(self.template.spec.prompt)", "message": "spec.fanOut.taskSelector gives each agent its task; remove spec.template.spec.prompt"},
]))]
pub struct AgentSetSpec {
    /// How many agents; 1 when neither this nor `fanOut` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub replicas: Option<i32>,
    /// Labels by which the set finds its agents; its own name as `regatta.dev/agentset` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
    /// What each agent is made from.
    pub template: AgentTemplate,
    /// One agent for each of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<FanOut>,
    /// How agents come to follow a changed template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
}

/// What an agent is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentTemplate {
    /// Labels and annotations of the agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// Their spec.
    #[schemars(schema_with = "schema::template::<AgentSpec>")]
    pub spec: AgentSpec,
}

/// Labels and annotations of objects that are made from a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TemplateMetadata {
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// One agent for each of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.prompts) ? 1 : 0) + (has(self.repos) ? 1 : 0) + (has(self.taskSelector) ? 1 : 0) == 1", "message": "set exactly one of prompts, repos and taskSelector"},
]))]
pub struct FanOut {
    /// One agent for each prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 16_384)), extend("x-kubernetes-list-type" = "atomic"))]
    pub prompts: Vec<String>,
    /// One agent for each Repo.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub repos: Vec<LocalRef>,
    /// One agent for each open Task with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub task_selector: Option<LabelSelector>,
}

/// How agents come to follow a changed template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "!has(self.maxUnavailable) || self.type == 'RollingUpdate'", "message": "maxUnavailable needs type RollingUpdate"},
]))]
pub struct UpdateStrategy {
    /// OnDelete: whoever deletes an agent gets a new one. RollingUpdate: the set replaces them by itself.
    #[serde(rename = "type")]
    pub kind: UpdateKind,
    /// How many may be away at the same time; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_unavailable: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UpdateKind {
    #[default]
    OnDelete,
    RollingUpdate,
}

/// What is known about an AgentSet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentSetStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How many agents there should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub desired: Option<i32>,
    /// How many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub replicas: Option<i32>,
    /// How many of them are Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub ready_replicas: Option<i32>,
    /// How many wait for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub needs_input: Option<i32>,
    /// How many have finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub finished: Option<i32>,
    /// The selector as text, for whoever scales.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub selector: Option<String>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
