//! All objects of one resource in memory, and the window of their latest changes that watches read from.
//! Watchers hold a position in the shared window and nobody waits for them: one that falls out of it is told "too old".

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use crate::apiserver::object;

/// A change stays at least this long (unless the hard bounds below are hit): clients reconnect within a minute.
const KEEP: Duration = Duration::from_secs(75);
/// Changes that stay however old they are, so that a quiet resource can be resumed after a long pause.
const KEEP_AT_LEAST: usize = 1024;
/// Hard bounds of the window: whatever is written, memory stays bounded.
const KEEP_AT_MOST: usize = 65_536;
const KEEP_BYTES: usize = 64 << 20;

/// One object as it is stored, encoded once and shared by every reader, with what filters need at hand.
#[derive(Debug)]
pub struct Stored {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub version: u64,
    pub labels: Vec<(String, String)>,
    pub owners: Vec<String>,
    pub deleting: bool,
    pub bytes: Bytes,
}

impl Stored {
    pub fn new(value: &Value, version: u64) -> Stored {
        Stored::describe(value, version, object::encode(value))
    }

    pub fn decode(bytes: Vec<u8>, version: u64) -> Result<Stored, serde_json::Error> {
        let value: Value = serde_json::from_slice(&bytes)?;
        Ok(Stored::describe(&value, version, bytes.into()))
    }

    fn describe(value: &Value, version: u64, bytes: Bytes) -> Stored {
        let labels = object::meta(value, "labels").and_then(Value::as_object);
        let owners = object::meta(value, "ownerReferences").and_then(Value::as_array);
        Stored {
            namespace: object::namespace(value).to_string(),
            name: object::name(value).to_string(),
            uid: object::uid(value).to_string(),
            version,
            labels: labels
                .map(|map| map.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_string())).collect())
                .unwrap_or_default(),
            owners: owners
                .map(|list| list.iter().filter_map(|o| Some(o.get("uid")?.as_str()?.to_string())).collect())
                .unwrap_or_default(),
            deleting: object::is_deleting(value),
            bytes,
        }
    }

    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("stored objects were encoded or checked by us")
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Modified,
    Deleted,
}

/// A committed change on its way to being seen.
pub type Changed = (String, Change, Arc<Stored>);

/// What was there before a change.
#[derive(Clone, Debug)]
pub enum Before {
    Nothing,
    Object(Arc<Stored>),
    /// The change was read back from disk and its predecessor is gone.
    Unknown,
}

#[derive(Debug)]
pub struct Event {
    pub key: String,
    pub change: Change,
    pub object: Arc<Stored>,
    pub before: Before,
    at: Instant,
}

impl Event {
    pub fn version(&self) -> u64 {
        self.object.version
    }
}

/// What a watcher gets for its position.
#[derive(Debug)]
pub enum Since {
    Events(Vec<Arc<Event>>),
    /// The window begins after this version only.
    TooOld(u64),
}

/// A consistent look at (a part of) the collection.
#[derive(Debug)]
pub struct Read {
    pub objects: Vec<Arc<Stored>>,
    pub version: u64,
}

#[derive(Debug)]
pub struct Collection {
    id: Arc<str>,
    state: RwLock<State>,
    /// The version of the newest change; watchers wait here.
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    objects: BTreeMap<String, Arc<Stored>>,
    window: VecDeque<Arc<Event>>,
    window_bytes: usize,
    /// Every change after this version is in the window.
    since: u64,
    /// Every change after this version is in the window with its predecessor, so that it can be undone.
    exact: u64,
}

impl Collection {
    pub(super) fn new(id: Arc<str>, start: u64) -> Collection {
        let state =
            State { objects: BTreeMap::new(), window: VecDeque::new(), window_bytes: 0, since: start, exact: start };
        Collection { id, state: RwLock::new(state), newest: watch::Sender::new(0) }
    }

    pub fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub fn get(&self, key: &str) -> Option<Arc<Stored>> {
        self.read_state(|state| state.objects.get(key).cloned())
    }

    pub fn is_empty(&self) -> bool {
        self.read_state(|state| state.objects.is_empty())
    }

    pub fn all(&self) -> Vec<Arc<Stored>> {
        self.read_state(|state| state.objects.values().cloned().collect())
    }

    /// Everything now (of one namespace if given). `current` must have been read from the store before.
    pub fn read(&self, namespace: Option<&str>, current: u64) -> Read {
        self.read_state(|state| {
            let objects = match namespace {
                Some(namespace) => {
                    // '0' is the character after '/'.
                    let range = object::key(namespace, "")..format!("{namespace}0");
                    state.objects.range(range).map(|(_, object)| object.clone()).collect()
                }
                None => state.objects.values().cloned().collect(),
            };
            let newest = state.window.back().map_or(0, |event| event.version());
            Read { objects, version: current.max(newest) }
        })
    }

    /// Everything as it was at a version: today's state with later changes undone. Err: the oldest version still known.
    pub fn read_at(&self, namespace: Option<&str>, version: u64) -> Result<Read, u64> {
        self.read_state(|state| {
            if version < state.exact {
                return Err(state.exact);
            }
            let later = state.window.partition_point(|event| event.version() <= version);
            let undo: Vec<&Arc<Event>> = state.window.iter().skip(later).collect();
            let mut objects = if undo.is_empty() { None } else { Some(state.objects.clone()) };
            for event in undo.into_iter().rev() {
                let objects = objects.as_mut().expect("made because there is something to undo");
                match &event.before {
                    Before::Object(before) => objects.insert(event.key.clone(), before.clone()),
                    Before::Nothing | Before::Unknown => objects.remove(&event.key),
                };
            }
            let all = objects.as_ref().unwrap_or(&state.objects).values();
            let wanted = all.filter(|object| namespace.is_none_or(|namespace| object.namespace == namespace));
            Ok(Read { objects: wanted.cloned().collect(), version })
        })
    }

    /// Up to `limit` changes after a version.
    pub fn since(&self, version: u64, limit: usize) -> Since {
        self.read_state(|state| {
            if version < state.since {
                return Since::TooOld(state.since);
            }
            let from = state.window.partition_point(|event| event.version() <= version);
            Since::Events(state.window.iter().skip(from).take(limit).cloned().collect())
        })
    }

    /// The version of the newest change that this process has seen; 0 before the first.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// Wakes at every change.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// Replaces encoded objects in place (defaults of a changed schema, read as if they had been there): no event.
    pub fn refresh(&self, change: impl Fn(&Stored) -> Option<Stored>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for stored in state.objects.values_mut() {
            if let Some(new) = change(stored) {
                *stored = Arc::new(new);
            }
        }
    }

    /// Makes one committed group visible. Only the writer calls this.
    pub(super) fn publish(&self, changes: Vec<Changed>) {
        let Some(newest) = changes.last().map(|(_, _, stored)| stored.version) else { return };
        let at = Instant::now();
        {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            for (key, change, object) in changes {
                let before = match change {
                    Change::Deleted => state.objects.remove(&key),
                    Change::Added | Change::Modified => state.objects.insert(key.clone(), object.clone()),
                };
                let before = before.map_or(Before::Nothing, Before::Object);
                state.push(Event { key, change, object, before, at });
            }
            state.trim(at);
        }
        self.newest.send_replace(newest);
    }

    pub(super) fn restore(&self, key: String, stored: Arc<Stored>, oldest: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.since = oldest;
        state.objects.insert(key, stored);
    }

    pub(super) fn replay(&self, key: String, change: Change, object: Arc<Stored>, oldest: u64) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.since = oldest;
        let before = match change {
            Change::Added => Before::Nothing,
            Change::Modified | Change::Deleted => {
                let earlier = state.window.iter().rev().find(|event| event.key == key);
                earlier.map_or(Before::Unknown, |event| Before::Object(event.object.clone()))
            }
        };
        state.push(Event { key, change, object, before, at: Instant::now() });
    }

    fn read_state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn push(&mut self, event: Event) {
        self.window_bytes += event.object.bytes.len();
        self.window.push_back(Arc::new(event));
    }

    fn trim(&mut self, now: Instant) {
        while let Some(oldest) = self.window.front() {
            let count = self.window.len();
            let over = count > KEEP_AT_MOST || self.window_bytes > KEEP_BYTES;
            let due = count > KEEP_AT_LEAST && now.duration_since(oldest.at) > KEEP;
            if count <= 1 || !(over || due) {
                break;
            }
            self.since = oldest.version();
            self.exact = self.exact.max(oldest.version());
            self.window_bytes -= oldest.object.bytes.len();
            self.window.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn thing(name: &str, version: u64) -> Arc<Stored> {
        Arc::new(Stored::new(&json!({"metadata": {"name": name, "namespace": "n"}}), version))
    }

    #[test]
    fn the_past_is_todays_state_with_changes_undone() {
        let collection = Collection::new("/things".into(), 10);
        let publish = |name: &str, version, change| {
            collection.publish(vec![(format!("n/{name}"), change, thing(name, version))]);
        };
        publish("a", 11, Change::Added);
        publish("b", 12, Change::Added);
        publish("a", 13, Change::Modified);
        publish("b", 14, Change::Deleted);
        publish("c", 15, Change::Added);
        let at = |version| -> Vec<(String, u64)> {
            let read = collection.read_at(Some("n"), version).unwrap();
            read.objects.iter().map(|object| (object.name.clone(), object.version)).collect()
        };
        let pairs = |list: &[(&str, u64)]| -> Vec<(String, u64)> {
            list.iter().map(|(name, version)| (name.to_string(), *version)).collect()
        };
        assert_eq!(at(10), pairs(&[]));
        assert_eq!(at(12), pairs(&[("a", 11), ("b", 12)]));
        assert_eq!(at(14), pairs(&[("a", 13)]));
        assert_eq!(at(15), pairs(&[("a", 13), ("c", 15)]));
        assert_eq!(collection.read_at(None, 9).unwrap_err(), 10);
    }

    #[test]
    fn a_watcher_that_falls_out_of_the_window_is_told() {
        let collection = Collection::new("/things".into(), 0);
        let many = KEEP_AT_MOST as u64 + 10;
        let stored = thing("a", 1);
        let change = |version| {
            let stored = Stored {
                version,
                labels: Vec::new(),
                owners: Vec::new(),
                bytes: stored.bytes.clone(),
                namespace: "n".into(),
                name: "a".into(),
                uid: "u".into(),
                deleting: false,
            };
            ("n/a".to_string(), Change::Modified, Arc::new(stored))
        };
        collection.publish((1..=many).map(change).collect());
        assert!(matches!(collection.since(0, 1), Since::TooOld(10)));
        assert!(matches!(collection.since(10, 1), Since::Events(events) if events[0].version() == 11));
    }
}
