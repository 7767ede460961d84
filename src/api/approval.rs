//! Approval: a decision that an agent waits for. Made once per question, answered once, from wherever.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LocalRef, NO_CONTROL};
use super::schema;

/// The id of an option or question.
const ID: &str = "^[A-Za-z0-9][-A-Za-z0-9_.]*$";

/// A decision that an agent waits for. Answer it with `regatta approve`, or by setting `spec.decision` once.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Approval",
    shortname = "apr",
    category = "regatta",
    namespaced,
    status = "ApprovalStatus",
    derive = "PartialEq",
    doc = "A decision that an agent waits for.",
    selectable = ".spec.agentRef.name",
    selectable = ".spec.kind",
    printcolumn(name = "Agent", type_ = "string", json_path = ".spec.agentRef.name"),
    printcolumn(name = "Kind", type_ = "string", json_path = ".spec.kind"),
    printcolumn(name = "Tool", type_ = "string", json_path = ".spec.tool"),
    printcolumn(name = "Summary", type_ = "string", json_path = ".spec.summary"),
    printcolumn(name = "Decision", type_ = "string", json_path = ".spec.decision.option"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!has(oldSelf.decision) || (has(self.decision) && self.decision == oldSelf.decision)", "message": "this question is already answered, and an answer cannot change", "messageExpression": "'already answered' + (has(oldSelf.decision.by) ? ' by ' + oldSelf.decision.by : '') + (has(oldSelf.decision.option) ? ' with ' + oldSelf.decision.option : '') + ', and an answer cannot change'"},
        {"rule": "self.agentRef == oldSelf.agentRef && self.kind == oldSelf.kind && self.summary == oldSelf.summary", "message": "spec.agentRef, spec.kind and spec.summary are what was asked and cannot change; only spec.decision and spec.expires may"},
        {"rule": "has(self.tool) == has(oldSelf.tool) && (!has(self.tool) || self.tool == oldSelf.tool)", "message": "spec.tool is what was asked and cannot change; only spec.decision and spec.expires may"},
        {"rule": "has(self.input) == has(oldSelf.input) && (!has(self.input) || self.input == oldSelf.input)", "message": "spec.input is what was asked and cannot change; only spec.decision and spec.expires may"},
        {"rule": "has(self.options) == has(oldSelf.options) && (!has(self.options) || self.options == oldSelf.options)", "message": "spec.options are what was offered and cannot change; only spec.decision and spec.expires may"},
        {"rule": "!has(self.decision) || !has(self.decision.option) || (has(self.options) && self.options.exists(o, o.id == self.decision.option))", "message": "spec.decision.option must be the id of one of spec.options"},
        {"rule": "has(self.options) || self.kind == 'Question' || self.kind == 'RateLimit'", "message": "spec.options is needed: a decision names one of them"},
]))]
pub struct ApprovalSpec {
    /// The Agent that asks.
    pub agent_ref: LocalRef,
    /// What kind of decision it is.
    pub kind: ApprovalKind,
    /// The tool that it wants to use: Bash, Read, Write, Edit, Fetch, Search, Task, Mcp or Other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Tool>,
    /// The tool's name as the CLI has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), extend("pattern" = NO_CONTROL))]
    pub raw_tool: Option<String>,
    /// The question in one line.
    #[schemars(length(min = 1, max = 512), extend("pattern" = NO_CONTROL))]
    pub summary: String,
    /// What the tool would be given, as JSON text, without secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16_384))]
    pub input: Option<String>,
    /// The answers that the CLI offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub options: Vec<ApprovalOption>,
    /// Until when it can be answered here; then the question is the terminal's alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
    /// The answer: set once, by whoever answers first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApprovalKind {
    Permission,
    Question,
    Plan,
    Auth,
    RateLimit,
}

/// What a tool does, whatever its CLI calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Tool {
    Bash,
    Read,
    Write,
    Edit,
    Fetch,
    Search,
    Task,
    Mcp,
    Other,
}

/// An answer that the CLI offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalOption {
    /// Names the answer in a decision.
    #[schemars(length(min = 1, max = 63), extend("pattern" = ID))]
    pub id: String,
    /// What people read.
    #[schemars(length(min = 1, max = 256), extend("pattern" = NO_CONTROL))]
    pub label: String,
    /// What it comes to.
    pub effect: Effect,
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Effect {
    Allow,
    AllowSession,
    AllowAlways,
    Deny,
    Answer,
    Cancel,
}

/// The answer to a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.option) || (has(self.answers) && size(self.answers) > 0)", "message": "a decision needs option (the id of one of spec.options) or answers"},
]))]
pub struct Decision {
    /// The id of one of `spec.options`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = ID))]
    pub option: Option<String>,
    /// Answers to the questions of a form, each by its id.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["question"]))]
    pub answers: Vec<Answer>,
    /// What to tell the agent beside it, such as why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub message: Option<String>,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("pattern" = NO_CONTROL))]
    pub by: Option<String>,
}

/// The answer to one question of a form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.text) || (has(self.labels) && size(self.labels) > 0)", "message": "an answer needs labels or text"},
]))]
pub struct Answer {
    /// The question's id.
    #[schemars(length(min = 1, max = 128), extend("pattern" = NO_CONTROL))]
    pub question: String,
    /// The labels that were chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256)), extend("x-kubernetes-list-type" = "set"))]
    pub labels: Vec<String>,
    /// An answer in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub text: Option<String>,
}

/// What is known about an Approval.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// The rule that decided, as `policy/rule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 317))]
    pub rule: Option<String>,
    /// Who answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub answered_by: Option<String>,
    /// Where it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_via: Option<Via>,
    /// When it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered_at: Option<Time>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Where a question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Via {
    Terminal,
    Web,
    Push,
    #[serde(rename = "CLI")]
    Cli,
    #[serde(rename = "API")]
    Api,
    Policy,
    #[serde(rename = "MCP")]
    Mcp,
}
