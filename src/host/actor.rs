//! One task per agent: look, ask the plan, act, say what is seen, wait. It wakes for a changed wish, for news of the
//! process, and for a time that the plan named; an idle agent costs nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::fleet::{TerminalSlot, Wish};
use super::observe::{Extras, observed};
use super::record::{self, Record};
use super::session::{Facts, Terminal};
use super::wake::WakeState;
use super::{Shared, kept, launch, now_ms, work, worktree};
use crate::api::agent::{Run, WorktreeFate};
use crate::api::agent_status::{Activity, LogRange, Worktree};
use crate::api::link::{Desired, Observed, Workspace};
use crate::plan::agent::{self as plan, End, EndReason, Harvest, Place, Process, Seen, Step};

/// The log's end moves with every byte; the control plane hears of it this often.
const LOG_NEWS_MS: i64 = 30_000;
/// A worktree is looked at again when its agent printed something and this long has passed.
const WORKTREE_NEWS_MS: i64 = 30_000;
/// A shim that holds its lock and does not answer is asked again this often.
const RECONNECT_MS: i64 = 15_000;

pub(super) struct Actor {
    pub shared: Arc<Shared>,
    pub record: Record,
    /// The record that is on disk.
    saved: Option<Record>,
    pub desired: Option<Arc<Desired>>,
    pub seen: Seen,
    pub extras: Extras,
    wishes: watch::Receiver<Wish>,
    slot: TerminalSlot,
    pub facts: Option<watch::Receiver<Facts>>,
    /// tmux knows the session of this epoch.
    pub in_tmux: bool,
    last: Option<Observed>,
    /// When the worktree is worth another look, and the log's end worth another word.
    look_ms: Option<i64>,
    log_ms: Option<i64>,
    reconnect_ms: Option<i64>,
    /// Where the log ended when the worktree was last looked at.
    looked_head: u64,
}

impl Actor {
    /// An agent that is new here, or whose directory is all that is left of it.
    pub fn new(shared: Arc<Shared>, desired: &Desired, wishes: watch::Receiver<Wish>, slot: TerminalSlot) -> Actor {
        let Desired { uid, namespace, name, .. } = desired;
        let owner = kept::Owner { namespace: namespace.clone(), name: name.clone(), uid: uid.clone() };
        Actor::with(shared, Record::new(owner), wishes, slot, false)
    }

    /// An agent that this host looked after before. Connects to its shim if that lives.
    pub async fn adopt(
        shared: Arc<Shared>,
        record: Record,
        wishes: watch::Receiver<Wish>,
        slot: TerminalSlot,
        in_tmux: bool,
    ) -> Actor {
        let mut actor = Actor::with(shared, record, wishes, slot, in_tmux);
        actor.saved = Some(actor.record.clone());
        if let Some(terminal) = actor.open_terminal()
            && let Err(error) = terminal.connect(&actor.socket()).await
        {
            tracing::debug!(uid = actor.uid(), %error, "no shim to adopt");
        }
        actor.look_at_process();
        actor.look_at_place();
        actor.look_ms = Some(now_ms());
        actor.say();
        actor
    }

    fn with(
        shared: Arc<Shared>,
        record: Record,
        wishes: watch::Receiver<Wish>,
        slot: TerminalSlot,
        in_tmux: bool,
    ) -> Actor {
        let seen = Seen { memory: record.memory.clone(), ..Seen::default() };
        Actor {
            shared,
            record,
            saved: None,
            desired: None,
            seen,
            extras: Extras::default(),
            wishes,
            slot,
            facts: None,
            in_tmux,
            last: None,
            look_ms: None,
            log_ms: None,
            reconnect_ms: None,
            looked_head: 0,
        }
    }

    pub async fn run(mut self) {
        self.take_wish();
        loop {
            self.look_at_process();
            if self.seen.gone && matches!(*self.wishes.borrow(), Wish::Gone) {
                self.shared.board.remove(self.uid());
                return;
            }
            let now = now_ms();
            let step = plan::next(self.desired.as_deref(), &self.seen, now);
            // Steps follow each other; what is between them is no news but the first time.
            if matches!(step, Step::Observe { .. }) || self.last.is_none() {
                self.say();
            }
            match step {
                Step::Observe { until_ms } => self.wait(until_ms).await,
                step => self.act(step).await,
            }
        }
    }

    pub fn uid(&self) -> &str {
        &self.record.owner.uid
    }

    pub fn directory(&self) -> PathBuf {
        self.shared.paths.agent(self.uid())
    }

    pub fn socket(&self) -> PathBuf {
        self.shared.paths.socket(self.uid())
    }

    /// Where the command runs.
    pub fn place(&self) -> PathBuf {
        match self.workspace() {
            Some(Workspace::Directory { path }) => PathBuf::from(path),
            Some(Workspace::Worktree { .. } | Workspace::Scratch) | None => self.shared.paths.worktree(self.uid()),
        }
    }

    pub fn workspace(&self) -> Option<&Workspace> {
        self.desired.as_ref().map(|d| &d.workspace).or(self.record.workspace.as_ref())
    }

    pub fn terminal(&self) -> Option<Terminal> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The terminal, opened when the agent's directory is there.
    pub fn open_terminal(&mut self) -> Option<Terminal> {
        if let Some(terminal) = self.terminal() {
            return Some(terminal);
        }
        let directory = self.directory();
        if !directory.is_dir() {
            return None;
        }
        let terminal = Terminal::open(directory, self.uid().to_owned());
        self.facts = Some(terminal.facts());
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(terminal.clone());
        Some(terminal)
    }

    pub fn close_terminal(&mut self) {
        self.facts = None;
        *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Writes the record down if it changed. A failure is told in the log; the next change tries again.
    pub fn save(&mut self) {
        self.record.memory = self.seen.memory.clone();
        let directory = self.directory();
        if self.saved.as_ref() == Some(&self.record) || !directory.is_dir() {
            return;
        }
        match self.record.save(&directory) {
            Ok(()) => self.saved = Some(self.record.clone()),
            Err(error) => tracing::error!(uid = self.uid(), %error, "the agent's record cannot be written"),
        }
    }

    /// Takes over what is wanted now.
    fn take_wish(&mut self) {
        let wish = self.wishes.borrow_and_update().clone();
        let desired = match wish {
            Wish::Nothing => None,
            Wish::Wanted(desired) => Some(desired),
            Wish::Gone => {
                let known = self.desired.as_deref().cloned();
                let mut last = known.unwrap_or_else(|| self.record.farewell());
                (last.deleting, last.run) = (true, Run::Stopped);
                Some(Arc::new(last))
            }
        };
        // Something may have been mended: what failed is tried again, and what was judged is judged again.
        self.seen.trouble = None;
        self.seen.harvest = Harvest::NotYet;
        self.seen.spec_error = desired.as_deref().and_then(|d| launch::check(d).err()).map(|e| e.to_string());
        self.desired = desired;
        self.look_at_place();
    }

    /// An agent whose object is gone has nobody left who could answer: what is not clean is kept.
    pub fn keep_what_is_dirty(&mut self) {
        if !matches!(*self.wishes.borrow(), Wish::Gone) || !matches!(self.seen.harvest, Harvest::Dirty { .. }) {
            return;
        }
        if let Some(desired) = &self.desired {
            let mut keep = Desired::clone(desired);
            keep.effective.on_delete.worktree = Some(WorktreeFate::Keep);
            self.desired = Some(Arc::new(keep));
        }
    }

    /// Whether the place to work is there, without making it.
    fn look_at_place(&mut self) {
        if self.seen.workspace == Place::PutAway {
            return;
        }
        let made = self.record.workspace.is_some() || self.desired.as_ref().is_some_and(|d| d.deleting);
        let ready = match self.workspace() {
            Some(Workspace::Directory { .. }) => self.record.workspace.is_some(),
            Some(Workspace::Worktree { .. } | Workspace::Scratch) => made && self.place().is_dir(),
            None => false,
        };
        // What was kept for others is not this agent's any more.
        let kept = ready && self.shared.kept.has(&self.place());
        self.seen.workspace = match (ready, kept) {
            (true, false) => Place::Ready,
            (true, true) => Place::PutAway,
            (false, _) => Place::Missing,
        };
    }

    /// What the process does, as far as facts and files say.
    pub fn look_at_process(&mut self) {
        let Some(facts) = self.facts.as_ref().map(|facts| facts.borrow().clone()) else {
            self.seen.process = match &self.record.end {
                Some(end) if end.epoch == self.seen.memory.epoch => Process::Ended(end.clone()),
                _ => Process::Absent,
            };
            return;
        };
        let before = std::mem::take(&mut self.seen.process);
        self.seen.process = self.process(&facts);
        self.extras.pid = facts.pid;
        if let Process::Alive { .. } = self.seen.process
            && !self.seen.memory.launched
        {
            self.seen.memory.launched = true;
            self.save();
        }
        if let Process::Ended(end) = &self.seen.process
            && self.record.end.as_ref() != Some(end)
        {
            self.record.end = Some(end.clone());
            self.seen.memory.launched = true;
            self.seen.stopping = None;
            self.save();
        }
        if std::mem::discriminant(&before) != std::mem::discriminant(&self.seen.process) {
            self.look_ms = Some(now_ms());
        }
    }

    fn process(&mut self, facts: &Facts) -> Process {
        let memory = &self.seen.memory;
        if let Some(end) = &self.record.end
            && end.epoch == memory.epoch
        {
            return Process::Ended(end.clone());
        }
        if let Some(end) = facts.exit.as_ref().and_then(|exit| record::end_from(exit, memory)) {
            return Process::Ended(end);
        }
        if facts.shim_alive {
            if !self.in_tmux {
                let why =
                    "its shim answers, but tmux does not know its session; it is not started a second time".into();
                return Process::Unreachable { why };
            }
            let started = memory.started_ms;
            let last_output_ms = Some(facts.last_output_ms).filter(|at| *at >= started && *at > 0);
            return Process::Alive { since_ms: started, last_output_ms };
        }
        match record::end_of(&self.directory(), memory) {
            Ok(Some(end)) => return Process::Ended(end),
            Ok(None) => {}
            Err(error) => tracing::warn!(uid = self.uid(), %error, "the record of the end cannot be read"),
        }
        if shim_lives(&self.directory()) {
            self.reconnect_ms.get_or_insert(now_ms() + 200);
            return Process::Unreachable { why: "its shim lives but does not answer".into() };
        }
        if !memory.launched {
            return Process::Absent;
        }
        let now = now_ms();
        Process::Ended(End {
            epoch: memory.epoch,
            code: None,
            signal: None,
            reason: if memory.stop_asked { EndReason::Stopped } else { EndReason::TerminalLost },
            message: Some("its shim ended without leaving a record".into()),
            started_ms: memory.started_ms,
            ended_ms: now,
        })
    }

    /// Says what is seen if that is new. The log's end alone is news only now and then.
    fn say(&mut self) {
        let now = now_ms();
        let report = plan::report(self.desired.as_deref(), &self.seen, now);
        if report.activity != self.record.activity {
            self.record.activity = report.activity;
            self.record.activity_since_ms = match (&self.seen.process, report.activity) {
                (Process::Ended(end), Activity::Finished | Activity::Failed | Activity::Stopped) => end.ended_ms,
                _ => now,
            };
            if let Some(terminal) = self.terminal() {
                terminal.set_wake_state(wake_state(report.activity));
            }
            self.save();
        }
        if self.extras.tmux.is_none() {
            self.extras.tmux = self.shared.tmux.address(self.uid());
        }
        let range = self.facts.as_ref().map(|facts| {
            let facts = facts.borrow();
            let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
            LogRange { first: number(facts.first), head: number(facts.head) }
        });
        let log_due = self.log_ms.is_some_and(|at| at <= now);
        let draft = observed(&self.record, self.desired.as_deref(), &self.seen, report, &self.extras);
        let same = self.last.as_ref().is_some_and(|last| last.version == draft.version);
        if same && (!log_due || range == self.extras.log) {
            if range == self.extras.log {
                self.log_ms = None;
            } else {
                self.log_ms.get_or_insert(now + LOG_NEWS_MS);
            }
            return;
        }
        self.log_ms = None;
        let whole = if range == self.extras.log {
            draft
        } else {
            self.extras.log = range;
            let report = plan::report(self.desired.as_deref(), &self.seen, now);
            observed(&self.record, self.desired.as_deref(), &self.seen, report, &self.extras)
        };
        self.last = Some(whole.clone());
        self.shared.board.put(whole);
    }

    /// Until something changes, or one of the times that somebody named has come.
    async fn wait(&mut self, until_ms: Option<i64>) {
        let now = now_ms();
        if self.look_ms.is_some_and(|at| at <= now) {
            self.look_ms = None;
            self.look_at_worktree().await;
            return;
        }
        if self.reconnect_ms.is_some_and(|at| at <= now) {
            self.reconnect().await;
            return;
        }
        let next = [until_ms, self.look_ms, self.log_ms, self.reconnect_ms].into_iter().flatten().min();
        let pause = next.map(|at| Duration::from_millis(u64::try_from(at - now).unwrap_or_default()));
        tokio::select! {
            changed = self.wishes.changed() => match changed {
                Ok(()) => self.take_wish(),
                // The fleet lets its agents go by ending their tasks; this one is next.
                Err(_) => std::future::pending().await,
            },
            () = news(&mut self.facts) => {}
            () = tokio::time::sleep(pause.unwrap_or(Duration::MAX)), if pause.is_some() => {}
        }
        self.notice_output();
    }

    /// Output alone wakes nobody at once: it makes the next look and the next word about the log due.
    fn notice_output(&mut self) {
        let Some(head) = self.facts.as_ref().map(|facts| facts.borrow().head) else { return };
        let now = now_ms();
        if head != self.looked_head && matches!(self.workspace(), Some(Workspace::Worktree { .. })) {
            self.look_ms.get_or_insert(now + WORKTREE_NEWS_MS);
        }
        let said = self.extras.log.map(|log| log.head);
        if said != i64::try_from(head).ok() {
            self.log_ms.get_or_insert(now + LOG_NEWS_MS);
        }
    }

    async fn reconnect(&mut self) {
        self.reconnect_ms = None;
        let socket = self.socket();
        if let Some(terminal) = self.open_terminal()
            && let Err(error) = terminal.connect(&socket).await
        {
            tracing::debug!(uid = self.uid(), %error, "the shim still does not answer");
            if shim_lives(&self.directory()) {
                self.reconnect_ms = Some(now_ms() + RECONNECT_MS);
            }
        }
    }

    /// Counts what changed in the worktree. It is only to be looked at: a failure is no trouble of the agent's.
    pub async fn look_at_worktree(&mut self) {
        if self.seen.workspace != Place::Ready {
            return;
        }
        let path = self.place();
        if !matches!(self.workspace(), Some(Workspace::Worktree { .. })) {
            self.extras.worktree = Some(Worktree { path: path.display().to_string(), ..Worktree::default() });
            return;
        }
        self.looked_head = self.facts.as_ref().map_or(0, |facts| facts.borrow().head);
        let _permit = self.shared.looks.acquire().await.expect("the semaphore is never closed");
        match work::look(&path, self.record.origin.as_ref()).await {
            Ok(worktree) => self.extras.worktree = Some(worktree),
            Err(error) => tracing::debug!(uid = self.uid(), %error, "no look at the worktree"),
        }
    }
}

/// Returns when something about the process changed; of output the terminal tells at most once a second.
async fn news(facts: &mut Option<watch::Receiver<Facts>>) {
    let Some(facts) = facts else { return std::future::pending().await };
    if facts.changed().await.is_err() {
        // The terminal is gone, and with it whatever could change.
        std::future::pending::<()>().await;
    }
}

fn wake_state(activity: Activity) -> WakeState {
    match activity {
        Activity::Starting | Activity::Working => WakeState::Working,
        Activity::NeedsInput => WakeState::Needs,
        Activity::RateLimited => WakeState::Limited,
        Activity::Idle | Activity::Unknown => WakeState::Idle,
        Activity::Finished | Activity::Failed | Activity::Stopped => WakeState::End,
    }
}

/// Whether a shim holds the agent's lock. It cannot be inherited or left behind: it goes with the process.
pub(super) fn shim_lives(directory: &Path) -> bool {
    match std::fs::File::open(directory.join(crate::wire::log::LOCK_FILE)) {
        Ok(file) => matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// The directory of a worktree that is to be thrown away, deleted in the background.
pub(super) fn delete_later(path: PathBuf) {
    tokio::task::spawn_blocking(move || worktree::delete(&path));
}
