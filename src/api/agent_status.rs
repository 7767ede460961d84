//! What is known about an Agent. Every field has exactly one writer: `placement` writes hostName, number and Scheduled;
//! `host/<name>` writes what was observed there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent_parts::{OnDelete, Restart, TerminalSize};
use super::schema;
use super::units::Money;

/// What is known about an Agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// The Host it was placed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub host_name: Option<String>,
    /// Short, per namespace, assigned once and never reused: `regatta attach 3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub number: Option<i64>,
    /// What it is doing now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity_since: Option<Time>,
    /// Which evidence decided the activity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub activity_source: Option<String>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub message: Option<String>,
    /// The terminal it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Its checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Worktree>,
    /// The pull request of its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PullRequest>,
    /// Pages of the forge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links: Option<Links>,
    /// Tokens and their cost, over all epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The range of the terminal's output that the log holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogRange>,
    /// How often the restart policy started it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub restarts: Option<i32>,
    /// How the last epoch ended; never changes once set for an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// How many questions of it are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub approvals: Option<i32>,
    /// The oldest open question, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub question: Option<String>,
    /// What agent, class and adapter came to together when this epoch started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// What an agent is doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Activity {
    Starting,
    Working,
    NeedsInput,
    Idle,
    RateLimited,
    Finished,
    Failed,
    Stopped,
    #[default]
    Unknown,
}

/// The terminal it runs in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    /// How to reach it with tmux itself: socket name and session, as in `tmux -L SOCKET attach -t SESSION`.
    #[schemars(length(max = 255))]
    pub tmux: String,
    /// The CLI's own name for the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub conversation_id: Option<String>,
    /// Process id of the command on its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub pid: Option<i64>,
    /// Counts the starts of the command.
    #[schemars(range(min = 0))]
    pub epoch: i64,
}

/// The agent's checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worktree {
    /// Where it is on the host.
    #[schemars(length(max = 4096))]
    pub path: String,
    /// The branch that is checked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub branch: Option<String>,
    /// The commit that the branch started from.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "baseSHA")]
    #[schemars(length(max = 64))]
    pub base_sha: Option<String>,
    /// The branch's last commit.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "headSHA")]
    #[schemars(length(max = 64))]
    pub head_sha: Option<String>,
    /// Commits on the branch that its base does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub ahead: Option<i32>,
    /// Commits on the base that the branch does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub behind: Option<i32>,
    /// Whether anything is uncommitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirty: Option<bool>,
    /// What is uncommitted, counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Whether the remote has every commit of the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<bool>,
}

/// What is uncommitted, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// Files that differ.
    #[schemars(range(min = 0))]
    pub files: i32,
    /// Lines added.
    #[schemars(range(min = 0))]
    pub added: i32,
    /// Lines removed.
    #[schemars(range(min = 0))]
    pub removed: i32,
}

/// The pull request of a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PullRequest {
    /// Its page.
    #[schemars(length(max = 2048))]
    pub url: String,
    /// Its number.
    #[schemars(range(min = 1))]
    pub number: i64,
    /// Open, Draft, Merged or Closed.
    pub state: PullRequestState,
    /// What the forge's checks say together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<Checks>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PullRequestState {
    Open,
    Draft,
    Merged,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Checks {
    Pending,
    Passing,
    Failing,
}

/// Pages of the forge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Links {
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub branch: Option<String>,
    /// The branch beside its base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub compare: Option<String>,
}

/// Tokens and their cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens sent, cached ones aside.
    #[schemars(range(min = 0))]
    pub input: i64,
    /// Tokens received.
    #[schemars(range(min = 0))]
    pub output: i64,
    /// Tokens that the provider had cached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cache_read: Option<i64>,
    /// Tokens that the provider put into its cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cache_write: Option<i64>,
    /// In US dollars; absent where the model's price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
    /// How full the model's context is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub context_percent: Option<i32>,
    /// The model of the last turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub model: Option<String>,
}

/// The range of the terminal's output that the log holds, as offsets in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogRange {
    /// Offset of the first byte that is kept.
    #[schemars(range(min = 0))]
    pub first: i64,
    /// Offset after the last byte.
    #[schemars(range(min = 0))]
    pub head: i64,
}

/// How an epoch ended: a code or a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Which start of the command this was.
    #[schemars(range(min = 0))]
    pub epoch: i64,
    /// The exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 255))]
    pub code: Option<i32>,
    /// The signal that ended it, such as `SIGKILL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub signal: Option<String>,
    /// Why, in one word.
    #[schemars(length(max = 64))]
    pub reason: String,
    /// When.
    pub time: Time,
}

/// What agent, class and adapter came to together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// The adapter's own name, aliases resolved.
    #[schemars(length(max = 63))]
    pub adapter: String,
    /// Options of class and agent together.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: std::collections::BTreeMap<String, serde_json::Value>,
    /// What happens when the command ends by itself.
    pub restart: Restart,
    /// What becomes of worktree and branch when the Agent is deleted.
    pub on_delete: OnDelete,
    /// The terminal's size until a viewer brought its own.
    pub terminal: TerminalSize,
    /// How much output is kept.
    #[schemars(range(min = 0))]
    pub log_max_bytes: i64,
}
