//! What is known about an Agent. Every field has exactly one writer: `placement` writes hostName, number and Scheduled;
//! `host/<name>` writes what was observed there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::{OnDelete, Restart, TerminalSize};
use super::schema;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Worktree>,
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
    /// What agent, class and adapter came to together when this epoch started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective: Option<Effective>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<i64>,
    /// Counts the starts of the command.
    pub epoch: i64,
}

/// The agent's checkout.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Worktree {
    #[schemars(length(max = 4096))]
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub branch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "baseSHA")]
    #[schemars(length(max = 64))]
    pub base_sha: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "headSHA")]
    #[schemars(length(max = 64))]
    pub head_sha: Option<String>,
    /// Commits on the branch that its base does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    pub files: i32,
    pub added: i32,
    pub removed: i32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogRange {
    pub first: i64,
    pub head: i64,
}

/// How an epoch ended: a code or a signal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    pub epoch: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub signal: Option<String>,
    #[schemars(length(max = 64))]
    pub reason: String,
    pub time: Time,
}

/// What agent, class and adapter came to together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// The adapter's own name, aliases resolved.
    #[schemars(length(max = 63))]
    pub adapter: String,
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::options")]
    pub options: std::collections::BTreeMap<String, serde_json::Value>,
    pub restart: Restart,
    pub on_delete: OnDelete,
    pub terminal: TerminalSize,
    pub log_max_bytes: i64,
}
