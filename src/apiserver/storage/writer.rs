//! The one task that changes anything: takes what waits, decides each write, commits the group, then shows and answers it.

use std::{
    collections::HashMap,
    sync::{Arc, Weak, atomic::Ordering},
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Change, Collection, Expect, Inner, Place, Stored, Write, WriteError,
    collection::Changed,
    disk::{Disk, Entry},
};
use crate::apiserver::object;

/// Writes in one transaction: enough to share a sync among many, few enough to keep the first one's wait short.
const GROUP: usize = 256;

pub enum Job {
    Write { write: Write, reply: oneshot::Sender<Result<Arc<Stored>, WriteError>> },
    Close { reply: oneshot::Sender<()> },
}

struct Decided {
    collection: Arc<Collection>,
    key: String,
    change: Change,
    stored: Arc<Stored>,
    reply: oneshot::Sender<Result<Arc<Stored>, WriteError>>,
}

pub async fn run(store: Weak<Inner>, mut disk: Disk, mut jobs: mpsc::Receiver<Job>) {
    let mut waiting = Vec::with_capacity(GROUP);
    let mut closing = None;
    while closing.is_none() && jobs.recv_many(&mut waiting, GROUP).await > 0 {
        let Some(store) = store.upgrade() else { break };
        let mut version = store.current.load(Ordering::Acquire);
        let mut group: Vec<Decided> = Vec::with_capacity(waiting.len());
        let mut changed: HashMap<Place, Option<Arc<Stored>>> = HashMap::new();
        for job in waiting.drain(..) {
            match job {
                Job::Close { reply } => {
                    jobs.close();
                    closing = Some(reply);
                }
                Job::Write { write, reply } => match decide(&store, &changed, write, version + 1) {
                    Err(error) => drop(reply.send(Err(error))),
                    Ok((collection, key, change, stored)) => {
                        version += 1;
                        let visible = (change != Change::Deleted).then(|| stored.clone());
                        changed.insert((collection.id().clone(), key.clone()), visible);
                        group.push(Decided { collection, key, change, stored, reply });
                    }
                },
            }
        }
        if group.is_empty() {
            continue;
        }
        let entries: Vec<Entry<'_>> = group
            .iter()
            .map(|decided| Entry {
                resource: decided.collection.id(),
                key: &decided.key,
                version: decided.stored.version,
                change: decided.change,
                data: &decided.stored.bytes,
            })
            .collect();
        match disk.commit(&entries).await {
            Ok(()) => show(&store, group, version),
            Err(error) => {
                tracing::error!(%error, "the API database refused {} writes; none of them happened", group.len());
                for decided in group {
                    drop(decided.reply.send(Err(WriteError::Disk(error.to_string()))));
                }
            }
        }
    }
    disk.close().await;
    if let Some(reply) = closing {
        // Whoever asked may be gone; the database is closed either way.
        reply.send(()).ok();
    }
}

type Accepted = (Arc<Collection>, String, Change, Arc<Stored>);

fn decide(
    store: &Inner,
    changed: &HashMap<Place, Option<Arc<Stored>>>,
    write: Write,
    version: u64,
) -> Result<Accepted, WriteError> {
    let Write { collection, key, expect, mut object, change, namespace } = write;
    let now = |collection: &Collection, key: &str| match changed.get(&(collection.id().clone(), key.to_string())) {
        Some(changed) => changed.clone(),
        None => collection.get(key),
    };
    match (now(&collection, &key), expect) {
        (None, Expect::Absent) => {}
        (Some(_), Expect::Absent) => return Err(WriteError::Exists),
        (None, Expect::Version(_)) => return Err(WriteError::Missing),
        (Some(current), Expect::Version(seen)) if current.version == seen => {}
        (Some(_), Expect::Version(_)) => return Err(WriteError::Stale),
    }
    if let Some(namespace) = namespace {
        match now(&store.collection("/namespaces"), &object::key("", &namespace)) {
            None => return Err(WriteError::NoNamespace),
            Some(found) if found.deleting => return Err(WriteError::NamespaceTerminating),
            Some(_) => {}
        }
    }
    object::set_meta(&mut object, "resourceVersion", version.to_string());
    Ok((collection, key, change, Arc::new(Stored::new(&object, version))))
}

/// Makes a committed group visible, resource by resource, and answers its senders.
fn show(store: &Inner, group: Vec<Decided>, version: u64) {
    let mut by_collection: Vec<(Arc<Collection>, Vec<Changed>)> = Vec::new();
    let mut replies = Vec::with_capacity(group.len());
    let mut chores = Vec::new();
    let mut indexed: HashMap<Place, Option<Arc<Stored>>> = HashMap::new();
    for Decided { collection, key, change, stored, reply } in group {
        let place = (collection.id().clone(), key.clone());
        let before = indexed.get(&place).cloned().unwrap_or_else(|| collection.get(&key));
        let after = (change != Change::Deleted).then(|| stored.clone());
        chores.extend(store.index(&collection, &key, before.as_deref(), after.as_deref()));
        indexed.insert(place, after);
        let change = (key, change, stored.clone());
        match by_collection.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &collection)) {
            Some((_, changes)) => changes.push(change),
            None => by_collection.push((collection, vec![change])),
        }
        replies.push((reply, stored));
    }
    for (collection, changes) in by_collection {
        collection.publish(changes);
    }
    store.current.store(version, Ordering::Release);
    store.add_chores(chores);
    for (reply, stored) in replies {
        // A sender that went away does not undo what is committed.
        drop(reply.send(Ok(stored)));
    }
}
