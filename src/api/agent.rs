//! Agent: one coding CLI, command or shell at work in a worktree and a terminal of its own. The parts that it is made of are
//! in `agent_parts`, what is known about it in `agent_status`.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::agent_parts::{
    BranchFate, ConfigMapKeyRef, EnvVar, EnvVarSource, ForkFrom, HostChoice, Identity, Interface, Isolation,
    IsolationMode, LogBounds, Network, OnDelete, Prompt, Restart, RestartPolicy, Run, SecretKeyRef, TerminalSize,
    WantedState, WorktreeChoice, WorktreeFate, WorktreeMode,
};
use super::agent_status::AgentStatus;
use super::healing::HealingRule;
use super::names::{ABSOLUTE_PATH, GIT_REF, LocalRef, SUBDOMAIN};
use super::schema;
use super::units::GoDuration;

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
    selectable = ".spec.adapter",
    selectable = ".spec.repoRef.name",
    selectable = ".spec.classRef.name",
    selectable = ".status.hostName",
    selectable = ".status.activity",
    printcolumn(name = "Repo", type_ = "string", json_path = ".spec.repoRef.name"),
    printcolumn(name = "Adapter", type_ = "string", json_path = ".status.effective.adapter"),
    printcolumn(name = "Host", type_ = "string", json_path = ".status.hostName"),
    printcolumn(name = "Activity", type_ = "string", json_path = ".status.activity"),
    printcolumn(name = "Approvals", type_ = "integer", json_path = ".status.approvals"),
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
        {"rule": "!has(oldSelf.forkFrom) || (has(self.forkFrom) && self.forkFrom == oldSelf.forkFrom)", "message": "spec.forkFrom cannot change: the conversation began there; create another Agent"},
        {"rule": "has(self.repoRef) || (!has(self.branch) && !has(self.baseRef))", "message": "spec.branch and spec.baseRef need spec.repoRef"},
        {"rule": "!has(self.worktree) || has(self.repoRef)", "message": "spec.worktree needs spec.repoRef: only a Repo's worktree can be shared or have an identity"},
        {"rule": "!has(self.prompt) || !has(self.prompt.taskRef) || !has(self.forkFrom)", "message": "set spec.prompt.taskRef or spec.forkFrom, not both: a task starts a conversation of its own"},
]))]
pub struct AgentSpec {
    /// The AgentClass whose values this agent inherits where it sets none itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_ref: Option<LocalRef>,
    /// The Repo to work on, in a worktree of its own. Without it and without `directory`, an empty directory of its own.
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
    #[schemars(length(min = 1, max = 4096), extend("pattern" = ABSOLUTE_PATH))]
    pub directory: Option<String>,
    /// Whose worktree, and who its commits are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeChoice>,
    /// Which CLI: the name or alias of an adapter. The class's when absent; else `command` with `spec.command`, `shell` without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = SUBDOMAIN))]
    pub adapter: Option<String>,
    /// What the adapter offers: model, mode and so on. A value is a string, an integer or a boolean.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: BTreeMap<String, Value>,
    /// Further arguments for the CLI.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 32_768)), extend("x-kubernetes-list-type" = "atomic"))]
    pub args: Vec<String>,
    /// The argument vector to run, for adapter `command`; run as it is, never by a shell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(max = 32_768)), extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Vec<String>,
    /// The first task: exactly one of a text, a ConfigMap's key and a Task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Prompt>,
    /// Added to what the CLI tells its model about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    pub system_prompt: Option<String>,
    /// Environment of the command; the class's entries come first, entries of the same name replace them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<EnvVar>,
    /// Skills that the CLI is given at launch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub skills: Vec<LocalRef>,
    /// Where it may be placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostChoice>,
    /// Whether it should be running. Stopped ends the command and keeps everything else.
    #[serde(default)]
    pub run: WantedState,
    /// Terminal: in a terminal that people watch and type into. Headless: by the CLI's own protocol, as a chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<Interface>,
    /// After this long without output a condition `Quiet` says so; what the agent is doing stays what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_after: Option<GoDuration>,
    /// What to say to the CLI when a rate limit has passed; the Account's text when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub resume_text: Option<String>,
    /// What to do when the command ends by itself; the adapter's policy when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// What becomes of worktree and branch when the Agent is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<OnDelete>,
    /// The ApprovalPolicy that answers its questions first; it beats every policy that selects the agent by labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_policy_ref: Option<LocalRef>,
    /// The Account whose login and limits it uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account_ref: Option<LocalRef>,
    /// What to do by itself when the agent is stuck, before the class's and the adapter's rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub healing: Vec<HealingRule>,
    /// After this long Idle the command is ended and its conversation kept; the next input starts it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hibernate_after: Option<GoDuration>,
    /// How it is kept apart from the rest of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// The terminal's size until a viewer brings its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
    /// Begin with the conversation and the commit of another agent's turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fork_from: Option<ForkFrom>,
    /// Delete the Agent this long after it finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_after_finished: Option<GoDuration>,
    /// The log's bounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogBounds>,
}
