//! What this host last said of each agent, and what of that the control plane has not heard. One link at a time reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::api::link::{Observed, set_digest};

#[derive(Default)]
pub struct Board {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    records: BTreeMap<String, Observed>,
    unsent: BTreeSet<String>,
}

impl Board {
    pub fn put(&self, observed: Observed) {
        let mut inner = self.lock();
        inner.unsent.insert(observed.uid.clone());
        inner.records.insert(observed.uid.clone(), observed);
        drop(inner);
        self.changed.notify_one();
    }

    pub fn remove(&self, uid: &str) {
        let mut inner = self.lock();
        inner.records.remove(uid);
        inner.unsent.remove(uid);
    }

    /// Everything, for a Hello; with that everything is said.
    pub fn all(&self) -> Vec<Observed> {
        let mut inner = self.lock();
        inner.unsent.clear();
        inner.records.values().cloned().collect()
    }

    /// One record that is still to be said, of an agent that is not in `busy`; now it counts as said.
    pub fn take_unsent(&self, busy: &BTreeSet<String>) -> Option<Observed> {
        let mut inner = self.lock();
        let uid = inner.unsent.iter().find(|uid| !busy.contains(*uid))?.clone();
        inner.unsent.remove(&uid);
        inner.records.get(&uid).cloned()
    }

    pub fn is_said(&self) -> bool {
        self.lock().unsent.is_empty()
    }

    pub fn digest(&self) -> String {
        set_digest(self.lock().records.values().map(|o| (o.uid.as_str(), o.version.as_str())))
    }

    /// Returns when something was put since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
