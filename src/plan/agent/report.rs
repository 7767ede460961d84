//! What to say about an agent: its conditions and its activity, from the same values that decide the next step.

use super::{Again, End, EndReason, Harvest, Place, Process, QUIET_START_MS, Seen, again, backoff};
use crate::api::agent::Run;
use crate::api::agent_status::Activity;
use crate::api::conditions::{DIRTY_WORKTREE, FINISHED, READY, SESSION_READY, Truth, Verdict, WORKTREE_READY};
use crate::api::link::{Desired, Workspace};

/// The judged half of an Observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub verdicts: Vec<Verdict>,
    pub activity: Activity,
    pub message: String,
}

pub fn report(desired: Option<&Desired>, seen: &Seen, now_ms: i64) -> Report {
    let activity = activity(desired, seen, now_ms);
    let ready = ready(desired, seen);
    let message = match ready.status {
        Truth::True => String::new(),
        Truth::False | Truth::Unknown => ready.message.clone(),
    };
    let mut verdicts = vec![session(seen), finished(desired, seen), ready];
    if desired.is_some_and(|d| matches!(d.workspace, Workspace::Worktree { .. })) {
        verdicts.push(worktree(seen));
    }
    if let (Some(Desired { deleting: true, name, .. }), Harvest::Dirty { what, .. }) = (desired, &seen.harvest) {
        verdicts.push(Verdict::new(DIRTY_WORKTREE, Truth::True, "UnsavedWork", dirty(name, what)));
    }
    Report { verdicts, activity, message }
}

fn dirty(name: &str, what: &str) -> String {
    format!(
        "the worktree of Agent \"{name}\" has {what}; commit and push it, or set spec.onDelete.worktree to Discard \
         (everything goes to a rescue ref first) or to Keep (the directory stays)"
    )
}

fn worktree(seen: &Seen) -> Verdict {
    match (seen.workspace, &seen.trouble) {
        (Place::Ready, _) => Verdict::new(WORKTREE_READY, Truth::True, "Ready", ""),
        (Place::PutAway, _) => Verdict::new(WORKTREE_READY, Truth::False, "Removed", ""),
        (Place::Missing, Some(trouble)) => {
            Verdict::new(WORKTREE_READY, Truth::False, &trouble.reason, &trouble.message)
        }
        (Place::Missing, None) => Verdict::new(WORKTREE_READY, Truth::False, "Preparing", ""),
    }
}

fn session(seen: &Seen) -> Verdict {
    let (truth, reason, message) = match &seen.process {
        Process::Alive { .. } => (Truth::True, "Running", String::new()),
        Process::Ended(end) => (Truth::False, "Ended", tell(end)),
        Process::Absent => (Truth::False, "NotStarted", String::new()),
        Process::Unreachable { why } => (Truth::Unknown, "SessionUnknown", why.clone()),
    };
    Verdict::new(SESSION_READY, truth, reason, message)
}

fn finished(desired: Option<&Desired>, seen: &Seen) -> Verdict {
    if let Process::Ended(end) = &seen.process {
        let over = desired.is_none_or(|d| matches!(again(d, &seen.memory, end), Again::Never { .. }) || d.deleting);
        if end.reason == EndReason::Exited && end.code == Some(0) && over && !seen.memory.stop_asked {
            return Verdict::new(FINISHED, Truth::True, "Finished", "the command ended with 0");
        }
        return Verdict::new(FINISHED, Truth::False, "NotFinished", tell(end));
    }
    Verdict::new(FINISHED, Truth::False, "NotFinished", "")
}

fn activity(desired: Option<&Desired>, seen: &Seen, now_ms: i64) -> Activity {
    match &seen.process {
        Process::Unreachable { .. } => Activity::Unknown,
        Process::Alive { last_output_ms: Some(_), .. } => Activity::Working,
        Process::Alive { since_ms, last_output_ms: None } if now_ms - since_ms >= QUIET_START_MS => Activity::Working,
        Process::Alive { .. } => Activity::Starting,
        Process::Ended(end) => match end.reason {
            EndReason::Stopped => Activity::Stopped,
            EndReason::Exited if end.code == Some(0) => Activity::Finished,
            EndReason::Exited | EndReason::Signaled | EndReason::CannotStart | EndReason::TerminalLost => {
                Activity::Failed
            }
        },
        Process::Absent => match desired {
            None => Activity::Unknown,
            Some(desired) if desired.run == Run::Stopped || desired.deleting => Activity::Stopped,
            Some(_) => Activity::Starting,
        },
    }
}

fn ready(desired: Option<&Desired>, seen: &Seen) -> Verdict {
    let no = |reason: &str, message: String| Verdict::new(READY, Truth::False, reason, message);
    let yes = |reason: &str| Verdict::new(READY, Truth::True, reason, "");
    let trouble = seen.trouble.as_ref().map(|trouble| no(&trouble.reason, trouble.message.clone()));
    let unknown = |why: &str| Verdict::new(READY, Truth::Unknown, "SessionUnknown", why);
    let alive = matches!(seen.process, Process::Alive { .. });
    let Some(desired) = desired else {
        return match &seen.process {
            Process::Alive { .. } => yes("Running"),
            Process::Unreachable { why } => unknown(why),
            Process::Ended(end) => no("NotAskedFor", tell(end)),
            Process::Absent => no("NotAskedFor", String::new()),
        };
    };
    if desired.deleting {
        if let Process::Unreachable { why } = &seen.process {
            return unknown(why);
        }
        return match (&seen.harvest, trouble) {
            _ if alive => no("Stopping", "the agent is being ended".into()),
            (_, Some(trouble)) => trouble,
            (Harvest::Dirty { what, .. }, None) => no("DirtyWorktree", dirty(&desired.name, what)),
            (Harvest::NotYet | Harvest::Clean | Harvest::Saved, None) => no("Deleting", String::new()),
        };
    }
    match (&seen.process, desired.run) {
        (Process::Alive { .. }, Run::Stopped) => no("Stopping", "the agent is being ended".into()),
        (Process::Alive { .. }, Run::Running) if seen.memory.stop_asked => {
            no("Stopping", "the agent is being ended".into())
        }
        (Process::Alive { .. }, Run::Running) => yes("Running"),
        (Process::Absent | Process::Ended(_), Run::Stopped) => yes("Stopped"),
        (Process::Unreachable { why }, _) => unknown(why),
        (Process::Absent, Run::Running) => {
            hindered(desired, seen).or(trouble).unwrap_or_else(|| no("Starting", "the agent is being started".into()))
        }
        (Process::Ended(end), Run::Running) => match again(desired, &seen.memory, end) {
            Again::Never { limit: None } if end.code == Some(0) && end.reason == EndReason::Exited => yes("Finished"),
            Again::Never { limit: Some(limit) } => {
                no("Failed", format!("{}; it was started again {limit} times, which is its limit", tell(end)))
            }
            Again::Never { limit: None } if end.reason == EndReason::TerminalLost => no("TerminalLost", tell(end)),
            Again::Never { limit: None } if end.reason == EndReason::CannotStart => no("CannotStart", tell(end)),
            Again::Never { limit: None } => no("Failed", tell(end)),
            Again::Wanted => hindered(desired, seen)
                .or(trouble)
                .unwrap_or_else(|| no("Starting", "the agent is being started again".into())),
            Again::At { streak, .. } => hindered(desired, seen).or(trouble).unwrap_or_else(|| {
                let seconds = backoff(streak - 1) / 1000;
                no("CrashLoop", format!("{}; it starts again after {seconds} s", tell(end)))
            }),
        },
    }
}

/// What in the agent's own values keeps it from being started.
fn hindered(desired: &Desired, seen: &Seen) -> Option<Verdict> {
    let blocked = desired.blocked.as_ref().map(|why| Verdict::new(READY, Truth::False, &why.reason, &why.message));
    let wrong = || seen.spec_error.as_ref().map(|why| Verdict::new(READY, Truth::False, "InvalidSpec", why));
    blocked.or_else(wrong)
}

/// How an epoch ended, for people.
fn tell(end: &End) -> String {
    let what = match (end.reason, end.code, &end.signal) {
        (EndReason::Stopped, _, _) => "it was stopped".to_owned(),
        (EndReason::TerminalLost, _, _) => "its terminal was lost".to_owned(),
        (EndReason::CannotStart, _, _) => "the command cannot be started".to_owned(),
        (EndReason::Exited | EndReason::Signaled, _, Some(signal)) => format!("the command was ended by {signal}"),
        (EndReason::Exited | EndReason::Signaled, Some(code), None) => format!("the command ended with {code}"),
        (EndReason::Exited | EndReason::Signaled, None, None) => "the command ended".to_owned(),
    };
    match &end.message {
        Some(message) => format!("{what}: {message}"),
        None => what,
    }
}
