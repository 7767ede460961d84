//! What control plane and host tell each other: always the complete record of one agent, never a change to it.
//!
//! A record's `version` is the digest of its content; the digest of a set is that of its versions. Whoever sees a digest
//! that is not its own asks for the whole set (`/hello`), so a lost message heals by itself.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::adapter::Definition;
use super::agent::{Run, TerminalSize};
use super::agent_status::{Activity, Effective, Exit, LogRange, Session, Worktree};
use super::conditions::Verdict;
pub use super::host::HostInfo;
use super::repo::RepoSpec;

/// What the control plane wants of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Desired {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    /// Digest of everything else in this record.
    pub version: String,
    pub generation: i64,
    /// The object is being deleted: end the agent, put its worktree away, then say `removed`.
    pub deleting: bool,
    pub run: Run,
    pub adapter: Definition,
    pub effective: Effective,
    pub workspace: Workspace,
    pub args: Vec<String>,
    pub command: Vec<String>,
    pub prompt: Option<String>,
    /// Plain environment, class first, agent's own over it.
    pub env: Vec<(String, String)>,
    /// Environment from Secrets: handed to the child only, never written where it stays.
    pub secret_env: Vec<(String, String)>,
    pub terminal: TerminalSize,
    /// Why the agent cannot be started although everything else is here (a missing Secret, an unknown adapter).
    pub blocked: Option<Verdict>,
}

/// Where an agent works.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Workspace {
    /// A worktree of a Repo, on the agent's own branch.
    Worktree { repo: DesiredRepo, base_ref: Option<String>, branch: String },
    /// This directory, as it is.
    Directory { path: String },
    /// An empty directory of its own.
    Scratch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredRepo {
    pub uid: String,
    pub name: String,
    pub spec: Box<RepoSpec>,
}

/// What a host sees of one agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    pub uid: String,
    pub namespace: String,
    pub name: String,
    /// Digest of everything else in this record.
    pub version: String,
    /// The version and generation of the Desired that this host acts on; empty and 0 for an agent found but not asked for.
    pub desired_version: String,
    pub generation: i64,
    /// WorktreeReady, SessionReady, Finished, DirtyWorktree, and Ready with the reasons that people read.
    pub verdicts: Vec<Verdict>,
    pub activity: Activity,
    pub activity_since_ms: i64,
    pub activity_source: String,
    pub message: String,
    pub session: Option<Session>,
    pub worktree: Option<Worktree>,
    pub log: Option<LogRange>,
    pub restarts: i32,
    pub exit: Option<Exit>,
    /// What this epoch was started with.
    pub effective: Option<Effective>,
    /// The default branch and head of the Repo's clone on this host.
    pub repo: Option<ObservedRepo>,
    /// Nothing of the agent is left on this host: the finalizer may go.
    pub removed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObservedRepo {
    pub uid: String,
    pub default_branch: Option<String>,
    pub head_sha: Option<String>,
    pub fetched_ms: Option<i64>,
    /// Why the clone cannot be made or refreshed.
    pub error: Option<String>,
}

/// A host's first words on a link.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    pub host: HostInfo,
    pub observed: Vec<Observed>,
}

/// The answer: everything that this host should run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    pub desired: Vec<Desired>,
}

/// Every five seconds: am I here, and do we agree?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    pub desired_digest: String,
    pub observed_digest: String,
}

impl Desired {
    /// Gives the record its version.
    pub fn sealed(mut self) -> Self {
        self.version = String::new();
        self.version = digest_of(&self);
        self
    }
}

impl Observed {
    /// Gives the record its version.
    pub fn sealed(mut self) -> Self {
        self.version = String::new();
        self.version = digest_of(&self);
        self
    }
}

/// The digest of a set: of its members' uids and versions, in whatever order they come.
pub fn set_digest<'a>(records: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut lines: Vec<String> = records.map(|(uid, version)| format!("{uid}:{version}\n")).collect();
    lines.sort_unstable();
    hex(&Sha256::digest(lines.concat().as_bytes())[..8])
}

fn digest_of(record: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(record).expect("a record of strings and numbers is always JSON");
    hex(&Sha256::digest(&bytes)[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_digest_whatever_the_order() {
        let a = set_digest([("a", "1"), ("b", "2")].into_iter());
        assert_eq!(a, set_digest([("b", "2"), ("a", "1")].into_iter()));
        assert_ne!(a, set_digest([("a", "2"), ("b", "1")].into_iter()));
    }
}
