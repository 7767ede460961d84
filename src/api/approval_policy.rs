//! ApprovalPolicy: rules that answer agents' questions before people do.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LABEL, NO_CONTROL};
use super::schema;
use super::units::GoDuration;

/// Rules that answer agents' questions before people do; the first that matches decides.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "ApprovalPolicy",
    plural = "approvalpolicies",
    shortname = "ap",
    category = "regatta",
    namespaced,
    status = "ApprovalPolicyStatus",
    derive = "PartialEq",
    doc = "Rules that answer agents' questions before people do; the first that matches decides.",
    printcolumn(name = "Rules", type_ = "integer", json_path = ".status.rules"),
    printcolumn(name = "Allowed", type_ = "integer", json_path = ".status.allowed"),
    printcolumn(name = "Denied", type_ = "integer", json_path = ".status.denied"),
    printcolumn(name = "Asked", type_ = "integer", json_path = ".status.asked"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPolicySpec {
    /// Agents that it is for, by their labels; agents and classes that name it by `approvalPolicyRef` need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub agent_selector: Option<LabelSelector>,
    /// Looked at in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub rules: Vec<PolicyRule>,
    /// What becomes of questions that no rule matches.
    #[serde(default)]
    pub default: PolicyDefault,
    /// How long people have to answer; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<GoDuration>,
    /// What becomes of a question that nobody answered in time.
    #[serde(default)]
    pub on_expiry: OnExpiry,
}

/// When this is so, that is the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(self.then == 'Answer') == has(self.answer)", "message": "then Answer needs answer, and answer needs then Answer"},
]))]
pub struct PolicyRule {
    /// Names the rule in audits and on the Approval.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub name: String,
    /// A CEL expression over agent, repo, branch, tool, rawTool, input, command and paths, such as `tool == 'Bash' && command.startsWith('cargo test')`.
    #[schemars(length(min = 1, max = 2048))]
    pub when: String,
    /// What the answer is; Ask leaves it to people.
    pub then: Then,
    /// The answer to a question, for `then: Answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<PolicyAnswer>,
    /// What to tell the agent beside it, such as what to do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Then {
    Allow,
    Deny,
    Ask,
    Answer,
}

/// An answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.option) != has(self.text)", "message": "set exactly one of option (a label that the question offers) and text"},
]))]
pub struct PolicyAnswer {
    /// The id or label of an option that the question offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), extend("pattern" = NO_CONTROL))]
    pub option: Option<String>,
    /// An answer in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub text: Option<String>,
}

/// What becomes of questions that no rule matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PolicyDefault {
    #[default]
    Ask,
    Allow,
    Deny,
}

/// What becomes of a question that nobody answered in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnExpiry {
    /// It is the terminal's alone from then on.
    #[default]
    Keep,
    /// No.
    Deny,
}

/// What is known about an ApprovalPolicy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalPolicyStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How many rules it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 128))]
    pub rules: Option<i32>,
    /// How many questions it allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub allowed: Option<i64>,
    /// How many it denied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub denied: Option<i64>,
    /// How many it left to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub asked: Option<i64>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
