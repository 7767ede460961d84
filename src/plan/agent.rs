//! What to do next for one agent on its host, and what to say about it. Values in, values out: the loop around it looks,
//! asks, acts and asks again, so a crash after any step only means that the step is found done or done again.

use serde::{Deserialize, Serialize};

use crate::api::adapter::{StopSignal, StopStep};
use crate::api::agent::{Restart, RestartPolicy, Run, WorktreeFate};
use crate::api::link::{Desired, Workspace};

mod report;

pub use report::{Report, report};

/// The first wait before a restart; it doubles with each.
const BACKOFF_MS: i64 = 10_000;
const BACKOFF_MAX_MS: i64 = 300_000;
/// An epoch that was up this long makes the failures before it forgotten.
const STEADY_MS: i64 = 600_000;
/// Somebody may commit or push at any moment; looking more often would be a timer storm.
const LOOK_AGAIN_MS: i64 = 30_000;
/// A command that printed nothing for this long works, it does not start.
pub const QUIET_START_MS: i64 = 1_000;
/// A first prompt is typed when the output has settled this long…
const SETTLED_MS: i64 = 250;
/// …or, for a command that prints nothing, when it has been up this long.
const SILENT_MS: i64 = 3_000;
/// What is left of an agent after its adapter's polite steps gets this long before it is killed.
const GRACE_MS: u32 = 2_000;
/// A shim that was told to kill does so at once; asking again costs nothing.
const INSIST_MS: i64 = 10_000;

/// What is remembered of an agent across restarts of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Counts the starts; 0 before the first.
    pub epoch: u64,
    /// Whether the epoch's shim was ever heard of: until then starting it again is the same start.
    pub launched: bool,
    pub started_ms: i64,
    /// How often the restart policy started it again.
    pub restarts: i32,
    /// The same since it last was steady or a person stopped it: what back-off and limit count.
    pub streak: i32,
    /// A stop was asked of this epoch: however it ends, we ended it.
    pub stop_asked: bool,
    /// `run: Stopped` was seen after this epoch's end, so `run: Running` is a new wish.
    pub rested: bool,
    /// The first prompt was typed, or is about to be: never twice.
    pub prompted: bool,
}

/// What the host sees of an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub memory: Memory,
    pub repo: RepoSeen,
    pub workspace: Place,
    pub process: Process,
    pub stopping: Option<Stopping>,
    pub harvest: Harvest,
    /// Why the last step failed, and when it is worth another try.
    pub trouble: Option<Trouble>,
    /// What in the agent's own values makes a launch impossible.
    pub spec_error: Option<String>,
    /// Nothing of the agent is left here.
    pub gone: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RepoSeen {
    #[default]
    Unknown,
    Ready,
}

/// Where the agent works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    #[default]
    Missing,
    Ready,
    /// It was, and has been removed or left to whoever wants it.
    PutAway,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Process {
    /// The epoch in memory was not started.
    #[default]
    Absent,
    /// The shim runs.
    Alive {
        since_ms: i64,
        last_output_ms: Option<i64>,
    },
    Ended(End),
    /// Something holds the agent's terminal that tmux does not know: not to be started over.
    Unreachable {
        why: String,
    },
}

/// How an epoch ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct End {
    pub epoch: u64,
    pub code: Option<i32>,
    pub signal: Option<String>,
    pub reason: EndReason,
    pub message: Option<String>,
    pub started_ms: i64,
    pub ended_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndReason {
    Exited,
    Signaled,
    CannotStart,
    TerminalLost,
    Stopped,
}

/// How far a stop has come: which of the adapter's steps was taken, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopping {
    pub stage: usize,
    pub at_ms: i64,
}

/// What a look before a removal found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Harvest {
    #[default]
    NotYet,
    Clean,
    Dirty {
        what: String,
        at_ms: i64,
    },
    /// Everything in it is in a rescue ref.
    Saved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub reason: String,
    pub message: String,
    pub retry_ms: i64,
    /// How many times in a row.
    pub count: u32,
}

impl Trouble {
    /// The trouble after the one before: 2 s, doubling to 2 min.
    pub fn after(before: Option<&Trouble>, reason: &str, message: String, now_ms: i64) -> Trouble {
        let count = before.map_or(1, |t| t.count.saturating_add(1));
        let wait = (2_000i64 << count.saturating_sub(1).min(6)).min(120_000);
        Trouble { reason: reason.to_owned(), message, retry_ms: now_ms + wait, count }
    }
}

/// The next thing to do. Each is idempotent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    EnsureRepo,
    EnsureWorktree,
    /// Start this epoch. `restart`: the policy wants it, not a person.
    EnsureSession {
        epoch: u64,
        restart: bool,
        streak: i32,
    },
    /// Type the first prompt.
    TypePrompt,
    /// Note that the agent is at rest because somebody wanted it.
    Rest,
    /// Ask for the end by the adapter's step `stage`.
    Ask {
        stage: usize,
        signal: String,
    },
    /// End whatever is left.
    Force {
        stage: usize,
        grace_ms: u32,
    },
    /// Look for work that would be lost.
    Harvest,
    /// Commit everything to a rescue ref.
    Rescue,
    RemoveWorktree,
    /// Leave the worktree, and write down that it is there.
    KeepWorktree,
    /// Remove session, log and records: the last step.
    RemoveAgent,
    /// Nothing to do until something changes, or until then.
    Observe {
        until_ms: Option<i64>,
    },
}

const WATCH: Step = Step::Observe { until_ms: None };

fn until(ms: i64) -> Step {
    Step::Observe { until_ms: Some(ms) }
}

/// What to do next. `None`: nobody said what is wanted of this agent; it is left alone.
pub fn next(desired: Option<&Desired>, seen: &Seen, now_ms: i64) -> Step {
    let Some(desired) = desired else { return WATCH };
    if seen.gone {
        return WATCH;
    }
    let step = if desired.deleting { end(desired, seen, now_ms) } else { keep(desired, seen, now_ms) };
    match (&step, &seen.trouble) {
        (Step::Observe { .. }, _) | (_, None) => step,
        (_, Some(trouble)) if trouble.retry_ms <= now_ms => step,
        (_, Some(trouble)) => until(trouble.retry_ms),
    }
}

fn keep(desired: &Desired, seen: &Seen, now_ms: i64) -> Step {
    match (&seen.process, desired.run) {
        (Process::Unreachable { .. }, _) => WATCH,
        (Process::Alive { .. }, Run::Stopped) => stop(desired, seen, now_ms),
        // Asked to end and then wanted again: it ends, and a new epoch starts.
        (Process::Alive { .. }, Run::Running) if seen.memory.stop_asked => stop(desired, seen, now_ms),
        (Process::Alive { since_ms, last_output_ms }, Run::Running) => {
            type_prompt(desired, seen, *since_ms, *last_output_ms, now_ms)
        }
        (Process::Absent, Run::Stopped) => WATCH,
        (Process::Ended(_), Run::Stopped) if !seen.memory.rested => Step::Rest,
        (Process::Ended(_), Run::Stopped) => WATCH,
        (Process::Absent, Run::Running) => {
            let epoch = if seen.memory.launched { seen.memory.epoch + 1 } else { seen.memory.epoch.max(1) };
            start(desired, seen, Step::EnsureSession { epoch, restart: false, streak: seen.memory.streak })
        }
        (Process::Ended(end), Run::Running) => match again(desired, &seen.memory, end) {
            Again::Never { .. } => WATCH,
            Again::Wanted => {
                start(desired, seen, Step::EnsureSession { epoch: end.epoch + 1, restart: false, streak: 0 })
            }
            Again::At { at_ms, .. } if at_ms > now_ms => until(at_ms),
            Again::At { streak, .. } => {
                start(desired, seen, Step::EnsureSession { epoch: end.epoch + 1, restart: true, streak })
            }
        },
    }
}

fn start(desired: &Desired, seen: &Seen, session: Step) -> Step {
    if desired.blocked.is_some() || seen.spec_error.is_some() {
        return WATCH;
    }
    match (seen.workspace, &desired.workspace) {
        (Place::Ready, _) => session,
        (Place::Missing | Place::PutAway, Workspace::Worktree { .. }) if seen.repo == RepoSeen::Unknown => {
            Step::EnsureRepo
        }
        (Place::Missing | Place::PutAway, _) => Step::EnsureWorktree,
    }
}

/// What becomes of an agent that ended while it should run.
enum Again {
    Never {
        limit: Option<i32>,
    },
    /// Somebody stopped it and wants it again.
    Wanted,
    At {
        at_ms: i64,
        streak: i32,
    },
}

fn again(desired: &Desired, memory: &Memory, end: &End) -> Again {
    if memory.rested || end.reason == EndReason::Stopped {
        return Again::Wanted;
    }
    let Restart { policy, limit } = &desired.effective.restart;
    let wanted = match policy {
        RestartPolicy::Never => false,
        RestartPolicy::OnFailure => end.code != Some(0),
        RestartPolicy::Always => true,
    };
    if !wanted {
        return Again::Never { limit: None };
    }
    let steady = end.ended_ms - end.started_ms >= STEADY_MS;
    let before = if steady { 0 } else { memory.streak };
    if let Some(limit) = limit.filter(|limit| before >= *limit) {
        return Again::Never { limit: Some(limit) };
    }
    Again::At { at_ms: end.ended_ms + backoff(before), streak: before + 1 }
}

fn backoff(streak: i32) -> i64 {
    (BACKOFF_MS << streak.clamp(0, 10)).min(BACKOFF_MAX_MS)
}

fn type_prompt(desired: &Desired, seen: &Seen, since_ms: i64, last_output_ms: Option<i64>, now_ms: i64) -> Step {
    let typed = desired.adapter.spec.launch.prompt == crate::api::adapter::PromptChannel::Line;
    let wake = match last_output_ms {
        Some(_) => None,
        // For the change from Starting to Working.
        None => Some(since_ms + QUIET_START_MS).filter(|at| *at > now_ms),
    };
    if !typed || seen.memory.prompted || desired.prompt.as_deref().is_none_or(str::is_empty) {
        return Step::Observe { until_ms: wake };
    }
    let due = last_output_ms.map_or(since_ms + SILENT_MS, |at| at + SETTLED_MS);
    if due <= now_ms { Step::TypePrompt } else { until(wake.map_or(due, |wake| wake.min(due))) }
}

fn stop(desired: &Desired, seen: &Seen, now_ms: i64) -> Step {
    // Steps that type are for adapters with an input of their own; a definition with one is refused until there is one.
    let steps: Vec<(StopSignal, i64)> = desired.adapter.spec.stop.iter().filter_map(signal_step).collect();
    let ask = |stage: usize| match steps.get(stage) {
        Some((signal, _)) => Step::Ask { stage, signal: signal.as_str().to_owned() },
        None => Step::Force { stage, grace_ms: GRACE_MS },
    };
    let Some(Stopping { stage, at_ms }) = seen.stopping else { return ask(0) };
    let wait_ms = steps.get(stage).map_or(INSIST_MS, |(_, wait_ms)| *wait_ms);
    let due = at_ms.saturating_add(wait_ms);
    if due > now_ms { until(due) } else { ask((stage + 1).min(steps.len())) }
}

fn signal_step(step: &StopStep) -> Option<(StopSignal, i64)> {
    Some((step.signal?, i64::try_from(step.wait_ms).unwrap_or(i64::MAX)))
}

fn end(desired: &Desired, seen: &Seen, now_ms: i64) -> Step {
    match &seen.process {
        Process::Alive { .. } => return stop(desired, seen, now_ms),
        Process::Unreachable { .. } => return WATCH,
        Process::Absent | Process::Ended(_) => {}
    }
    match seen.workspace {
        Place::Missing | Place::PutAway => return Step::RemoveAgent,
        Place::Ready => {}
    }
    let fate = desired.effective.on_delete.worktree.unwrap_or_default();
    match (&desired.workspace, fate, &seen.harvest) {
        (Workspace::Directory { .. }, _, _) => Step::RemoveAgent,
        (_, WorktreeFate::Keep, _) => Step::KeepWorktree,
        (Workspace::Scratch, WorktreeFate::Discard, _) => Step::RemoveWorktree,
        (_, WorktreeFate::Discard, Harvest::Saved) => Step::RemoveWorktree,
        (_, WorktreeFate::Discard, _) => Step::Rescue,
        (_, WorktreeFate::DeleteWhenClean, Harvest::Clean | Harvest::Saved) => Step::RemoveWorktree,
        (_, WorktreeFate::DeleteWhenClean, Harvest::NotYet) => Step::Harvest,
        // Nothing can commit a scratch directory's files anywhere: they stay.
        (Workspace::Scratch, WorktreeFate::DeleteWhenClean, Harvest::Dirty { .. }) => Step::KeepWorktree,
        (_, WorktreeFate::DeleteWhenClean, Harvest::Dirty { at_ms, .. }) => {
            if at_ms + LOOK_AGAIN_MS <= now_ms {
                Step::Harvest
            } else {
                until(at_ms + LOOK_AGAIN_MS)
            }
        }
    }
}

#[cfg(test)]
mod tests;
