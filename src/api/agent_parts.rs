//! What an Agent's spec is made of, where a class, a template or a host's record uses the same parts.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::host::Toleration;
use super::names::{CONFIG_KEY, LocalRef, NO_CONTROL, SUBDOMAIN};
use super::schema;
use super::units::ByteSize;

/// Whose worktree the agent works in, and who its commits are from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.mode) && self.mode == 'Shared') == has(self.agentRef)", "message": "mode Shared needs agentRef (whose worktree), and agentRef needs mode Shared"},
]))]
pub struct WorktreeChoice {
    /// Own: a worktree for this agent alone. Shared: that of `agentRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<WorktreeMode>,
    /// The Agent whose worktree is shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ref: Option<LocalRef>,
    /// Author and committer of its commits; the repository's or the user's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorktreeMode {
    #[default]
    Own,
    Shared,
}

/// Author and committer of commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The name in commits.
    #[schemars(length(min = 1, max = 128), extend("pattern" = NO_CONTROL))]
    pub name: String,
    /// The address in commits.
    #[schemars(length(min = 3, max = 254), extend("pattern" = "^[^\\s<>@]+@[^\\s<>@]+$"))]
    pub email: String,
}

/// The first task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.text) ? 1 : 0) + (has(self.configMapRef) ? 1 : 0) + (has(self.taskRef) ? 1 : 0) == 1", "message": "set exactly one of text, configMapRef and taskRef"},
]))]
pub struct Prompt {
    /// The task in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262_144))]
    pub text: Option<String>,
    /// A key of a ConfigMap that holds the words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ConfigMapKeyRef>,
    /// A Task whose title and body are the words, and which the agent claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_ref: Option<LocalRef>,
}

/// A key of a ConfigMap in the same namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKeyRef {
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253), extend("pattern" = SUBDOMAIN))]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253), extend("pattern" = CONFIG_KEY))]
    pub key: String,
}

/// An environment variable: a value, or a key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "!(has(self.value) && has(self.valueFrom))", "message": "set value or valueFrom, not both"},
        {"rule": "!self.name.startsWith('REGATTA_')", "message": "names that start with REGATTA_ are set by Regatta itself"},
]))]
pub struct EnvVar {
    /// The variable's name.
    #[schemars(length(min = 1, max = 256), extend("pattern" = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Its value, as it is: nothing is expanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768), extend("pattern" = "^[^\\x00]*$"))]
    pub value: Option<String>,
    /// Where its value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvVarSource>,
}

/// Where an environment variable's value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvVarSource {
    /// A key of a Secret in the agent's namespace.
    pub secret_key_ref: SecretKeyRef,
}

/// A key of a Secret in the agent's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), extend("pattern" = SUBDOMAIN))]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253), extend("pattern" = CONFIG_KEY))]
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
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
    /// Taints that this agent may be placed beside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "atomic"))]
    pub tolerations: Vec<Toleration>,
}

/// What a host is told: have it run, or not. Every [`WantedState`] comes down to one of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Run {
    #[default]
    Running,
    Stopped,
}

/// Whether an agent should be running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WantedState {
    /// Its command runs.
    #[default]
    Running,
    /// Its command does not run; worktree and log stay.
    Stopped,
    /// As Stopped, with the conversation kept for the next start.
    Hibernated,
    /// As Stopped, put away: worktree and log are packed, lists leave it out.
    Archived,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Interface {
    #[default]
    Terminal,
    Headless,
}

/// What to do when the command ends by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// Never, OnFailure (it ended with another code than 0, or by a signal) or Always.
    pub policy: RestartPolicy,
    /// How often, before the agent is left as Failed; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub limit: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RestartPolicy {
    #[default]
    Never,
    OnFailure,
    Always,
}

/// What becomes of worktree and branch when the Agent is deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnDelete {
    /// DeleteWhenClean when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeFate>,
    /// Keep when absent.
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
    /// The branch stays.
    #[default]
    Keep,
    /// Removed once the default branch contains it.
    DeleteWhenMerged,
}

/// How an agent is kept apart from the rest of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "!has(self.image) || self.mode == 'Container' || self.mode == 'Pod'", "message": "image is for mode Container or Pod; remove it, or change mode"},
        {"rule": "has(self.image) || !(self.mode == 'Container' || self.mode == 'Pod')", "message": "mode Container or Pod needs an image"},
        {"rule": "self.mode != 'None' || (!has(self.network) && !has(self.memory) && !has(self.cpus))", "message": "network, memory and cpus need a mode other than None"},
]))]
pub struct Isolation {
    /// None: an ordinary process of the host's user. Sandbox: confined to its worktree. Container and Pod: in an image of its own.
    pub mode: IsolationMode,
    /// The image of a Container or Pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), extend("pattern" = "^[a-zA-Z0-9][-a-zA-Z0-9._/:@]*$"))]
    pub image: Option<String>,
    /// What it may reach; Full when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The most memory it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// The most processors it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub cpus: Option<i32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IsolationMode {
    #[default]
    None,
    Sandbox,
    Container,
    Pod,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Network {
    /// Whatever the host reaches.
    #[default]
    Full,
    /// Other programs of the same agent only.
    Loopback,
    None,
}

/// Another agent's conversation to begin with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForkFrom {
    /// Name of that Agent, in the same namespace.
    #[schemars(length(min = 1, max = 253), extend("pattern" = SUBDOMAIN))]
    pub agent: String,
    /// The turn after which the new conversation begins, counted from 1; the last when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub turn: Option<i32>,
}

/// A terminal's size in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TerminalSize {
    /// Columns.
    #[schemars(range(min = 10, max = 1000))]
    pub cols: u16,
    /// Rows.
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
