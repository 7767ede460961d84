//! From what an agent's task knows to the Observed that the control plane gets. A pure mapping; when to send one is the
//! task's business.

use super::record::{Record, exit};
use crate::api::agent_status::{LogRange, Session, Worktree};
use crate::api::conditions::shorten;
use crate::api::link::{Desired, Observed, ObservedRepo};
use crate::plan::agent::{EndReason, Process, Report, Seen};

/// status.message is bounded.
const LONGEST_MESSAGE: usize = 200;

/// What there is to tell besides the plan's own report.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    pub tmux: Option<String>,
    pub pid: Option<u32>,
    pub worktree: Option<Worktree>,
    pub log: Option<LogRange>,
    pub repo: Option<ObservedRepo>,
}

pub fn observed(record: &Record, desired: Option<&Desired>, seen: &Seen, report: Report, extras: &Extras) -> Observed {
    let Record { owner, memory, workspace: _, origin: _, effective, activity, activity_since_ms, end } = record;
    let Report { verdicts, activity: _, message } = report;
    let source = match &seen.process {
        Process::Ended(end) if end.reason == EndReason::TerminalLost => "terminal",
        Process::Ended(_) => "exit",
        Process::Alive { last_output_ms: Some(_), .. } => "output",
        Process::Alive { .. } => "process",
        Process::Absent | Process::Unreachable { .. } => "host",
    };
    let session = extras.tmux.clone().filter(|_| memory.epoch > 0).map(|tmux| Session {
        conversation_id: None,
        tmux,
        pid: extras.pid.filter(|_| matches!(seen.process, Process::Alive { .. })).map(i64::from),
        epoch: i64::try_from(memory.epoch).unwrap_or(i64::MAX),
    });
    Observed {
        uid: owner.uid.clone(),
        namespace: owner.namespace.clone(),
        name: owner.name.clone(),
        version: String::new(),
        desired_version: desired.map(|d| d.version.clone()).unwrap_or_default(),
        generation: desired.map_or(0, |d| d.generation),
        verdicts,
        activity: *activity,
        activity_since_ms: *activity_since_ms,
        activity_source: source.to_owned(),
        message: shorten(&message, LONGEST_MESSAGE),
        session,
        worktree: extras.worktree.clone(),
        log: extras.log,
        restarts: memory.restarts,
        exit: end.as_ref().map(exit),
        effective: effective.clone(),
        repo: extras.repo.clone(),
        removed: seen.gone,
    }
    .sealed()
}
