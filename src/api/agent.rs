//! Agent: one coding CLI, command or shell at work in a worktree and a terminal of its own.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::agent_status::AgentStatus;
use super::host::Toleration;
use super::names::{LocalRef, SUBDOMAIN};
use super::schema;
use super::units::ByteSize;

/// A branch or ref: never an option, never a path out of refs.
const GIT_REF: &str = "^[^\\s\\x00-\\x1f~^:?*\\[\\\\/.-][^\\s\\x00-\\x1f~^:?*\\[\\\\]*$";

/// One coding CLI, command or shell at work in a worktree and a terminal of its own.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Agent",
    shortname = "ag",
    category = "regatta",
    namespaced,
    status = "AgentStatus",
    derive = "PartialEq",
    doc = "One coding CLI, command or shell at work in a worktree and a terminal of its own.",
    selectable = ".status.hostName",
    selectable = ".status.activity",
    printcolumn(name = "Repo", type_ = "string", json_path = ".spec.repoRef.name"),
    printcolumn(name = "Adapter", type_ = "string", json_path = ".status.effective.adapter"),
    printcolumn(name = "Host", type_ = "string", json_path = ".status.hostName"),
    printcolumn(name = "Activity", type_ = "string", json_path = ".status.activity"),
    printcolumn(name = "Branch", type_ = "string", json_path = ".status.worktree.branch", priority = 1),
    printcolumn(name = "Changes", type_ = "integer", json_path = ".status.worktree.changes.files", priority = 1),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.repoRef) && has(self.directory))", "message": "set spec.repoRef (a worktree of that Repo) or spec.directory (run there), not both"},
    {"rule": "!has(oldSelf.repoRef) || (has(self.repoRef) && self.repoRef == oldSelf.repoRef)", "message": "spec.repoRef cannot change: the worktree belongs to it; create another Agent"},
    {"rule": "!has(oldSelf.directory) || (has(self.directory) && self.directory == oldSelf.directory)", "message": "spec.directory cannot change; create another Agent"},
    {"rule": "!has(oldSelf.adapter) || (has(self.adapter) && self.adapter == oldSelf.adapter)", "message": "spec.adapter cannot change; create another Agent"},
    {"rule": "has(self.repoRef) || (!has(self.branch) && !has(self.baseRef))", "message": "spec.branch and spec.baseRef need spec.repoRef"},
]))]
pub struct AgentSpec {
    /// The AgentClass whose values this agent inherits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_ref: Option<LocalRef>,
    /// The Repo to work on, in a worktree of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_ref: Option<LocalRef>,
    /// The branch or commit that the agent's branch starts from; the Repo's default branch when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 244), extend("pattern" = GIT_REF))]
    pub base_ref: Option<String>,
    /// The agent's own branch; `agent/<name>` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 244), extend("pattern" = GIT_REF))]
    pub branch: Option<String>,
    /// Run in this directory of the host, without a worktree: an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), extend("pattern" = "^/[^\\x00-\\x1f]*$"))]
    pub directory: Option<String>,
    /// Which CLI: the name or alias of an adapter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = SUBDOMAIN))]
    pub adapter: Option<String>,
    /// What the adapter offers: model, mode and so on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: BTreeMap<String, Value>,
    /// Further arguments for the CLI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 32_768)))]
    pub args: Vec<String>,
    /// The argument vector to run, for adapter `command`; run as it is, never by a shell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 32_768)))]
    pub command: Vec<String>,
    /// The first task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// Environment of the command.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Where it may be placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostChoice>,
    /// Whether it should be running.
    #[serde(default)]
    pub run: Run,
    /// What to do when the command ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// What becomes of worktree and branch when the Agent is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// The terminal's size until a viewer brings its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
    /// The log's bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogBounds>,
}

/// The first task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prompt {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub text: Option<String>,
}

/// An environment variable: a value, or a key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "!(has(self.value) && has(self.valueFrom))", "message": "set value or valueFrom, not both"},
    {"rule": "!self.name.startsWith('REGATTA_')", "message": "names that start with REGATTA_ are set by Regatta itself"},
]))]
pub struct EnvVar {
    #[schemars(length(min = 1, max = 256), extend("pattern" = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768), extend("pattern" = "^[^\\x00]*$"))]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvVarSource>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVarSource {
    pub secret_key_ref: SecretKeyRef,
}

/// A key of a Secret in the agent's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    #[schemars(length(min = 1, max = 253), extend("pattern" = SUBDOMAIN))]
    pub name: String,
    #[schemars(length(min = 1, max = 253), extend("pattern" = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// Where an agent may be placed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostChoice {
    /// Exactly this Host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), extend("pattern" = SUBDOMAIN))]
    pub name: Option<String>,
    /// Any Host with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Taints that this agent may be placed beside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
}

/// Whether an agent should be running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Run {
    #[default]
    Running,
    Stopped,
}

/// What to do when the command ends by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    pub policy: RestartPolicy,
    /// How often, before the agent is left as Failed; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub limit: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestartPolicy {
    Never,
    OnFailure,
    Always,
}

/// What becomes of worktree and branch when the Agent is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnDelete {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeFate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<BranchFate>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorktreeFate {
    /// The directory stays.
    Keep,
    /// Removed when nothing in it is uncommitted or unpushed; otherwise the Agent waits in deletion and says so.
    #[default]
    DeleteWhenClean,
    /// Removed, after everything in it was committed to a rescue ref.
    Discard,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BranchFate {
    #[default]
    Keep,
    DeleteWhenMerged,
}

/// A terminal's size in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminalSize {
    #[schemars(range(min = 10, max = 1000))]
    pub cols: u16,
    #[schemars(range(min = 4, max = 1000))]
    pub rows: u16,
}

impl Default for TerminalSize {
    /// Wide enough for side-by-side diffs, small enough for a laptop's window.
    fn default() -> Self {
        Self { cols: 120, rows: 36 }
    }
}

/// The log's bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogBounds {
    /// How much of the terminal's output is kept, oldest first to go; 256Mi when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
}
