//! The records that a host and a shim leave for one another: what to launch, what was reported, how it ended.
//! They are files or frame payloads in JSON; unknown fields are ignored so that a newer host can talk to an older shim.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The environment variable that marks every process of an agent, so that the whole tree can be found and ended.
pub const AGENT_UID_VARIABLE: &str = "REGATTA_AGENT_UID";

/// `<agent-dir>/spec.json` (0600), written by the host before it starts the shim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LaunchSpec {
    pub uid: String,
    pub epoch: u64,
    /// The command as a vector: no shell ever sees it.
    pub argv: Vec<String>,
    pub cwd: PathBuf,
    /// The complete environment; the shim adds only [`AGENT_UID_VARIABLE`] and the secrets.
    pub env: Vec<(String, String)>,
    /// A 0600 file of NUL-separated `K=V`, unlinked as soon as it has been read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<PathBuf>,
    /// The size when the pane does not say one.
    pub cols: u16,
    pub rows: u16,
    /// The oldest segments of the log go when it is larger than this.
    pub log_max_bytes: u64,
    pub socket: PathBuf,
}

/// Why an epoch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitReason {
    /// The command exited by itself.
    Exited,
    /// A signal that we did not send ended it.
    Signaled,
    CannotStart,
    /// tmux, the terminal that the shim runs in, died or closed the pane.
    TerminalLost,
    /// The host asked for it.
    Stopped,
}

/// `<agent-dir>/exit.json`, put there by rename after the last byte of output is in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitRecord {
    pub epoch: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
    /// By name, as in `SIGKILL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    pub reason: ExitReason,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Milliseconds since 1970.
    pub started: i64,
    pub ended: i64,
    /// Where the log ends.
    pub final_offset: u64,
}

/// The shim's answer to Hello: who it is, and from which offset on it pushes output to this connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    pub uid: String,
    pub epoch: u64,
    /// The command's process, not the shim's.
    pub pid: u32,
    pub shim_pid: u32,
    pub started: i64,
    pub first: u64,
    /// Everything before this is in the log; everything from it on follows in Output frames.
    pub head: u64,
    pub cols: u16,
    pub rows: u16,
}

/// Something the output reported, or that happened to the session: a line of `<agent-dir>/events.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// The log offset just behind the report.
    pub offset: u64,
    /// Milliseconds since 1970.
    pub time: i64,
    pub epoch: u64,
    pub kind: EventKind,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// How many of the same kind came too fast and are represented by this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EventKind {
    /// The command runs.
    Started,
    /// A Program Status report (OSC 7501); `text` is what followed the number.
    Status,
    /// The program asked whether Program Status is understood, and was told yes.
    StatusQuery,
    Title,
    Bell,
    /// OSC 9, 99 or 777; `text` begins with the number.
    Notification,
    /// Shell integration (OSC 133): `A`, `B`, `C`, `D;exit`.
    Prompt,
    /// The log cannot be written; output goes on but is not kept.
    LogLost,
    /// The log is written again; `text` names the gap.
    LogResumed,
    /// The end has been asked for.
    Stopping,
    /// The pane is gone.
    TerminalLost,
}
