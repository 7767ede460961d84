//! The agents of this host: who is here, who is wanted, and the task that looks after each.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::actor::Actor;
use super::record::Record;
use super::session::Terminal;
use super::{Shared, files, launch, worktree};
use crate::api::link::{Desired, set_digest};

/// Adoptions at once: each is a file or two and a socket.
const ADOPTIONS: usize = 32;

/// What is wanted of an agent.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    /// Nobody said anything: it is left alone.
    Nothing,
    Wanted(Arc<Desired>),
    /// Its object is gone.
    Gone,
}

/// An agent's terminal, once there is one; shared by its task and its viewers.
pub(super) type TerminalSlot = Arc<Mutex<Option<Terminal>>>;

struct Entry {
    wish: watch::Sender<Wish>,
    terminal: TerminalSlot,
    task: AbortOnDropHandle<()>,
}

#[derive(Default)]
pub(super) struct Fleet {
    entries: HashMap<String, Entry>,
}

impl Fleet {
    /// Finds every agent on this host and connects to those that run. Nothing is started, nothing is ended.
    pub async fn adopt(shared: &Arc<Shared>) -> Fleet {
        let sessions = shared.tmux.sessions().await;
        let mut known: BTreeSet<String> = sessions.iter().filter_map(|found| found.uid.clone()).collect();
        let mut records = Vec::new();
        for uid in agents(shared) {
            let directory = shared.paths.agent(&uid);
            launch::remove_leftover_secrets(&directory);
            match Record::load(&directory) {
                Ok(Some(record)) if record.owner.uid == uid => {
                    records.push((known.remove(&uid), record));
                }
                Ok(_) => tracing::warn!(path = %directory.display(), "left alone: no agent of ours is recorded there"),
                Err(error) => {
                    tracing::warn!(path = %directory.display(), %error, "left alone: its record cannot be read");
                }
            }
        }
        for found in sessions.iter().filter(|f| f.uid.as_ref().is_none_or(|uid| known.contains(uid))) {
            tracing::warn!(
                socket = found.socket,
                session = found.session,
                "left alone: a tmux session of no known agent"
            );
        }
        tracing::info!(agents = records.len(), sessions = sessions.len(), "adopting");
        let mut fleet = Fleet::default();
        let mut adoptions = futures::stream::iter(records)
            .map(|(in_tmux, record)| async move {
                let (wish, wishes) = watch::channel(Wish::Nothing);
                let terminal = TerminalSlot::default();
                let uid = record.owner.uid.clone();
                let actor = Actor::adopt(shared.clone(), record, wishes, terminal.clone(), in_tmux).await;
                (uid, wish, terminal, actor)
            })
            .buffer_unordered(ADOPTIONS);
        while let Some((uid, wish, terminal, actor)) = adoptions.next().await {
            let task = AbortOnDropHandle::new(tokio::spawn(actor.run()));
            fleet.entries.insert(uid, Entry { wish, terminal, task });
        }
        drop(adoptions);
        for leftover in [shared.paths.worktrees(), shared.paths.agents()].iter().flat_map(|d| worktree::leftovers(d)) {
            tokio::task::spawn_blocking(move || worktree::delete(&leftover));
        }
        fleet
    }

    /// The whole set: agents that are not in it are left alone.
    pub fn want_all(&mut self, shared: &Arc<Shared>, all: Vec<Desired>) {
        let wanted: BTreeSet<&str> = all.iter().map(|d| d.uid.as_str()).collect();
        for (uid, entry) in &self.entries {
            if !wanted.contains(uid.as_str()) && matches!(*entry.wish.borrow(), Wish::Wanted(_)) {
                entry.wish.send_replace(Wish::Nothing);
            }
        }
        for desired in all {
            self.want(shared, desired);
        }
    }

    pub fn want(&mut self, shared: &Arc<Shared>, desired: Desired) {
        if !files::is_uid(&desired.uid) {
            tracing::error!(uid = desired.uid, "refused: that is no uid");
            return;
        }
        self.entries.retain(|_, entry| !entry.task.is_finished());
        let desired = Arc::new(desired);
        let Some(entry) = self.entries.get(&desired.uid) else {
            let uid = desired.uid.clone();
            let entry = start(shared, desired);
            self.entries.insert(uid, entry);
            return;
        };
        entry.wish.send_if_modified(|wish| match wish {
            Wish::Wanted(before) if before.version == desired.version => false,
            wish => {
                *wish = Wish::Wanted(desired);
                true
            }
        });
    }

    /// The agent's object is gone: what is left of the agent goes too, and then the host's memory of it.
    pub fn forget(&mut self, shared: &Arc<Shared>, uid: &str) {
        self.entries.retain(|_, entry| !entry.task.is_finished());
        match self.entries.get(uid) {
            Some(entry) => {
                entry.wish.send_replace(Wish::Gone);
            }
            None => shared.board.remove(uid),
        }
    }

    pub fn terminal(&self, uid: &str) -> Option<Terminal> {
        self.entries.get(uid)?.terminal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn desired_digest(&self) -> String {
        let wanted: Vec<Arc<Desired>> = self
            .entries
            .values()
            .filter_map(|entry| match &*entry.wish.borrow() {
                Wish::Wanted(desired) => Some(desired.clone()),
                Wish::Nothing | Wish::Gone => None,
            })
            .collect();
        set_digest(wanted.iter().map(|d| (d.uid.as_str(), d.version.as_str())))
    }

    /// Lets go of every agent.
    pub fn dissolve(&mut self) -> Vec<JoinHandle<()>> {
        self.entries.drain().map(|(_, entry)| entry.task.detach()).collect()
    }
}

fn start(shared: &Arc<Shared>, desired: Arc<Desired>) -> Entry {
    let slot = TerminalSlot::default();
    let (wish, wishes) = watch::channel(Wish::Wanted(desired.clone()));
    let (shared, terminal) = (shared.clone(), slot.clone());
    let task = async move {
        // Its task may have ended before its time; what is on disk is not forgotten with it.
        let actor = match Record::load(&shared.paths.agent(&desired.uid)) {
            Ok(Some(record)) if record.owner.uid == desired.uid => {
                let in_tmux = shared.tmux.address(&desired.uid).is_some();
                Actor::adopt(shared, record, wishes, slot, in_tmux).await
            }
            Ok(_) => Actor::new(shared, &desired, wishes, slot),
            Err(error) => {
                tracing::error!(uid = desired.uid, %error, "left alone: the agent's record cannot be read");
                return;
            }
        };
        actor.run().await;
    };
    Entry { wish, terminal, task: AbortOnDropHandle::new(tokio::spawn(task)) }
}

/// The uids that have a directory.
fn agents(shared: &Shared) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(shared.paths.agents()) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| files::is_uid(name)).collect()
}
