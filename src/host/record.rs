//! What the host remembers of an agent across its own restarts: `<agent-dir>/state.json`, and how its epochs ended as the
//! shim wrote it. No secret and no environment is in it.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;
use super::kept::Owner;
use super::worktree::Origin;
use crate::api::agent::{OnDelete, Restart, RestartPolicy, Run, TerminalSize, WorktreeFate};
use crate::api::agent_status::{Activity, Effective, Exit};
use crate::api::link::{Desired, DesiredRepo, Workspace};
use crate::plan::agent::{End, EndReason, Memory};
use crate::wire::{ExitReason, ExitRecord};

const STATE_FILE: &str = "state.json";
const EXIT_FILE: &str = "exit.json";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub owner: Owner,
    pub memory: Memory,
    pub workspace: Option<Workspace>,
    /// What the worktree was made from.
    pub origin: Option<Origin>,
    pub effective: Option<Effective>,
    pub activity: Activity,
    pub activity_since_ms: i64,
    /// How the last epoch ended.
    pub end: Option<End>,
}

impl Record {
    pub fn new(owner: Owner) -> Record {
        Record {
            owner,
            memory: Memory::default(),
            workspace: None,
            origin: None,
            effective: None,
            activity: Activity::Unknown,
            activity_since_ms: 0,
            end: None,
        }
    }

    pub fn load(directory: &Path) -> io::Result<Option<Record>> {
        files::read_json(&directory.join(STATE_FILE))
    }

    pub fn save(&self, directory: &Path) -> io::Result<()> {
        files::write_json(&directory.join(STATE_FILE), self)
    }

    /// What to do with an agent whose object is gone although nobody said good-bye: end it, and keep what it worked on
    /// unless that is clean.
    pub fn farewell(&self) -> Desired {
        let adapter = self
            .effective
            .as_ref()
            .and_then(|effective| crate::adapter::find(&effective.adapter))
            .unwrap_or_else(|| crate::adapter::find("command").expect("it is one of the shipped adapters"));
        let on_delete = OnDelete { worktree: Some(WorktreeFate::DeleteWhenClean), branch: None };
        let workspace = match (&self.workspace, &self.origin) {
            (Some(workspace), _) => workspace.clone(),
            (None, Some(origin)) => Workspace::Worktree {
                repo: DesiredRepo {
                    uid: origin.repo_uid.clone(),
                    name: origin.repo_name.clone(),
                    spec: Box::default(),
                },
                base_ref: None,
                branch: origin.branch.clone(),
            },
            (None, None) => Workspace::Scratch,
        };
        Desired {
            uid: self.owner.uid.clone(),
            namespace: self.owner.namespace.clone(),
            name: self.owner.name.clone(),
            version: String::new(),
            generation: 0,
            deleting: true,
            run: Run::Stopped,
            adapter: adapter.clone(),
            effective: Effective {
                adapter: adapter.name.clone(),
                options: Default::default(),
                restart: Restart { policy: RestartPolicy::Never, limit: None },
                on_delete,
                terminal: TerminalSize::default(),
                log_max_bytes: 0,
            },
            workspace,
            args: Vec::new(),
            command: Vec::new(),
            prompt: None,
            env: Vec::new(),
            secret_env: Vec::new(),
            terminal: TerminalSize::default(),
            blocked: None,
        }
    }
}

/// How the epoch ended, if the shim said so. A record of ours that it was lost is for the caller to make.
pub fn end_of(directory: &Path, memory: &Memory) -> io::Result<Option<End>> {
    let record: Option<ExitRecord> = files::read_json(&directory.join(EXIT_FILE))?;
    Ok(record.and_then(|record| end_from(&record, memory)))
}

/// The shim's record as the plan sees it; `None` if it is of another epoch.
pub fn end_from(record: &ExitRecord, memory: &Memory) -> Option<End> {
    let ExitRecord { epoch, code, signal, reason, message, started, ended, final_offset: _ } = record;
    if *epoch != memory.epoch {
        return None;
    }
    let reason = match reason {
        // Our signal ended it, whatever the shim could see of that.
        ExitReason::Exited | ExitReason::Signaled if memory.stop_asked => EndReason::Stopped,
        ExitReason::Exited => EndReason::Exited,
        ExitReason::Signaled => EndReason::Signaled,
        ExitReason::CannotStart => EndReason::CannotStart,
        ExitReason::TerminalLost => EndReason::TerminalLost,
        ExitReason::Stopped => EndReason::Stopped,
    };
    Some(End {
        epoch: *epoch,
        code: *code,
        signal: signal.clone(),
        reason,
        message: message.clone(),
        started_ms: *started,
        ended_ms: *ended,
    })
}

/// An end as the Agent's status says it.
pub fn exit(end: &End) -> Exit {
    let time = k8s_openapi::jiff::Timestamp::from_millisecond(end.ended_ms).unwrap_or_default();
    Exit {
        epoch: i64::try_from(end.epoch).unwrap_or(i64::MAX),
        code: end.code,
        signal: end.signal.clone(),
        reason: format!("{:?}", end.reason),
        time: k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time),
    }
}
