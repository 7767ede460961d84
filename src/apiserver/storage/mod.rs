//! Where objects live: SQLite for keeps, memory for every read. Knows keys, versions and JSON, but no kinds and no HTTP.
//!
//! * One writer task owns the database and every change to memory. It takes whatever waits, decides each change against
//!   memory plus what the same group already changed, commits the group in one synced transaction, and only then makes it
//!   visible and answers. So an answered write is on disk, and nothing unsynced is ever seen.
//! * One resource version counts over everything. It goes on at max(last + 1, microseconds of the wall clock) whenever the
//!   database is opened, so that a restored backup never hands out a version twice; versions from a gap are too old.

mod collection;
mod disk;
mod writer;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot};

pub use collection::{Before, Change, Collection, Event, Read, Since, Stored};

/// Writes waiting for the writer; more wait in their own tasks.
const QUEUE: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the database {path}: {source}", path = path.display())]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("cannot bring the database {path} to this version's layout: {source}", path = path.display())]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
    #[error("cannot read the database: {0}")]
    Read(#[from] sqlx::Error),
    #[error("the database holds an object that is not JSON: {resource} {key}: {source}")]
    Corrupt { resource: String, key: String, source: serde_json::Error },
}

/// A collection's id and a key in it.
pub type Place = (Arc<str>, String);

/// What a write expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Absent,
    Version(u64),
}

/// One change, decided by its sender against what it saw.
#[derive(Debug)]
pub struct Write {
    pub collection: Arc<Collection>,
    pub key: String,
    pub expect: Expect,
    /// The object as it shall be (for a removal: its last state). The writer fills in the resource version.
    pub object: Value,
    pub change: Change,
    /// A namespace that must exist and not be going away at the moment of the write.
    pub namespace: Option<String>,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    #[error("it exists already")]
    Exists,
    #[error("it does not exist")]
    Missing,
    #[error("it has changed meanwhile")]
    Stale,
    #[error("its namespace does not exist")]
    NoNamespace,
    #[error("its namespace is being deleted")]
    NamespaceTerminating,
    #[error("the storage is closed")]
    Closed,
    #[error("the database refused the write: {0}")]
    Disk(String),
}

/// What the collector of garbage should look at; see `collect`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Chore {
    /// The object with this uid is gone.
    OwnerGone(String),
    /// A dependent of this object is gone, which it may wait for.
    DependentLeft { namespace: String, api_version: String, kind: String, name: String },
    /// The object has owners, or is on its way out.
    Look { collection: Arc<str>, key: String },
    /// Something left this namespace.
    Left(String),
}

/// The open storage. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

pub(in crate::apiserver) struct Inner {
    collections: RwLock<HashMap<Arc<str>, Arc<Collection>>>,
    /// Everything up to here is on disk and visible.
    current: AtomicU64,
    /// Ranges that no living history covers: (last version of the incarnation before, first of the next).
    gaps: Vec<(u64, u64)>,
    /// Objects by their owners' uids.
    dependents: Mutex<HashMap<String, BTreeSet<Place>>>,
    chores: Mutex<HashSet<Chore>>,
    chores_added: Notify,
    writer: mpsc::Sender<writer::Job>,
}

impl Store {
    /// Opens or creates the database, loads everything and starts the writer, which ends when all stores are dropped or
    /// on `close`.
    pub async fn open(path: &Path) -> Result<(Store, tokio::task::JoinHandle<()>), Error> {
        let (disk, loaded) = disk::Disk::open(path).await?;
        let (sender, jobs) = mpsc::channel(QUEUE);
        let store = Store(Arc::new(Inner {
            collections: RwLock::default(),
            current: AtomicU64::new(loaded.start),
            gaps: loaded.gaps.clone(),
            dependents: Mutex::default(),
            chores: Mutex::default(),
            chores_added: Notify::new(),
            writer: sender,
        }));
        store.0.load(loaded)?;
        let task = tokio::spawn(writer::run(Arc::downgrade(&store.0), disk, jobs));
        Ok((store, task))
    }

    /// The collection of one resource, made when new. The id is `group/plural`.
    pub fn collection(&self, id: &str) -> Arc<Collection> {
        self.0.collection(id)
    }

    /// Makes one change and returns once it is synced to disk and visible.
    pub async fn write(&self, write: Write) -> Result<Arc<Stored>, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.0.writer.send(writer::Job::Write { write, reply }).await.map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }

    /// Ends the writer after what waits already; later writes are refused.
    pub async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        if self.0.writer.send(writer::Job::Close { reply }).await.is_ok() {
            // An error means that the writer had ended by itself, which is what was asked for.
            answer.await.ok();
        }
    }

    pub fn current(&self) -> u64 {
        self.0.current.load(Ordering::Acquire)
    }

    /// Whether a version was never handed out by a history that still counts.
    pub fn in_gap(&self, version: u64) -> bool {
        self.0.gaps.iter().any(|(before, start)| version > *before && version < *start)
    }

    /// Objects that name this uid as an owner.
    pub fn dependents(&self, uid: &str) -> Vec<Place> {
        let dependents = self.0.dependents.lock().unwrap_or_else(PoisonError::into_inner);
        dependents.get(uid).map(|set| set.iter().cloned().collect()).unwrap_or_default()
    }

    /// Adds work for the collector; the same work twice is one.
    pub fn add_chore(&self, chore: Chore) {
        self.0.add_chores(vec![chore]);
    }

    /// Waits for work and takes all of it.
    pub async fn chores(&self) -> Vec<Chore> {
        loop {
            let added = self.0.chores_added.notified();
            let taken = std::mem::take(&mut *self.0.chores.lock().unwrap_or_else(PoisonError::into_inner));
            if !taken.is_empty() {
                return taken.into_iter().collect();
            }
            added.await;
        }
    }
}

impl Inner {
    fn collection(&self, id: &str) -> Arc<Collection> {
        if let Some(found) = self.collections.read().unwrap_or_else(PoisonError::into_inner).get(id) {
            return found.clone();
        }
        let mut collections = self.collections.write().unwrap_or_else(PoisonError::into_inner);
        let id: Arc<str> = id.into();
        let start = self.current.load(Ordering::Acquire);
        collections.entry(id.clone()).or_insert_with(|| Arc::new(Collection::new(id, start))).clone()
    }

    fn load(&self, loaded: disk::Loaded) -> Result<(), Error> {
        for row in loaded.objects {
            let corrupt = |source| Error::Corrupt { resource: row.resource.clone(), key: row.key.clone(), source };
            let stored = Arc::new(Stored::decode(row.data, row.version).map_err(corrupt)?);
            let collection = self.collection(&row.resource);
            let chores = self.index(&collection, &row.key, None, Some(&stored));
            self.add_chores(chores);
            collection.restore(row.key, stored, loaded.oldest);
        }
        for row in loaded.history {
            let corrupt = |source| Error::Corrupt { resource: row.resource.clone(), key: row.key.clone(), source };
            let stored = Arc::new(Stored::decode(row.data, row.version).map_err(corrupt)?);
            self.collection(&row.resource).replay(row.key, row.change, stored, loaded.oldest);
        }
        Ok(())
    }

    /// Keeps the index of owners up with one change and says what work the change makes.
    fn index(&self, collection: &Collection, key: &str, before: Option<&Stored>, after: Option<&Stored>) -> Vec<Chore> {
        let none = Vec::new();
        let old = before.map_or(&none, |s| &s.owners);
        let new = after.map_or(&none, |s| &s.owners);
        if old != new {
            let mut dependents = self.dependents.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = (collection.id().clone(), key.to_string());
            for uid in old {
                if let Some(set) = dependents.get_mut(uid) {
                    set.remove(&entry);
                    if set.is_empty() {
                        dependents.remove(uid);
                    }
                }
            }
            for uid in new {
                dependents.entry(uid.clone()).or_default().insert(entry.clone());
            }
        }
        let mut chores = Vec::new();
        match (before, after) {
            (_, Some(after)) if after.deleting || (!new.is_empty() && old != new) => {
                chores.push(Chore::Look { collection: collection.id().clone(), key: key.to_string() });
            }
            (Some(before), None) => {
                chores.push(Chore::OwnerGone(before.uid.clone()));
                chores.push(Chore::Left(before.namespace.clone()));
                if !before.owners.is_empty() {
                    chores.extend(owners_of(before));
                }
            }
            _ => {}
        }
        chores
    }

    fn add_chores(&self, chores: Vec<Chore>) {
        if !chores.is_empty() {
            self.chores.lock().unwrap_or_else(PoisonError::into_inner).extend(chores);
            self.chores_added.notify_one();
        }
    }
}

fn owners_of(stored: &Stored) -> Vec<Chore> {
    let value = stored.value();
    let references = crate::apiserver::object::meta(&value, "ownerReferences").and_then(Value::as_array);
    let chore = |reference: &Value| {
        let text = |field: &str| reference[field].as_str().unwrap_or_default().to_string();
        Chore::DependentLeft {
            namespace: stored.namespace.clone(),
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
        }
    };
    references.into_iter().flatten().map(chore).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn put(store: &Store, name: &str, expect: Expect, change: Change) -> Result<Arc<Stored>, WriteError> {
        let object = json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": name, "uid": name}});
        let collection = store.collection("/things");
        store.write(Write { collection, key: format!("/{name}"), expect, object, change, namespace: None }).await
    }

    async fn close(store: Store, writer: tokio::task::JoinHandle<()>) {
        store.close().await;
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn of_two_writes_against_one_version_one_wins() {
        let home = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(&home.path().join("api.db")).await.unwrap();
        let first = put(&store, "a", Expect::Absent, Change::Added).await.unwrap();
        let again = Expect::Version(first.version);
        let (one, two) =
            tokio::join!(put(&store, "a", again, Change::Modified), put(&store, "a", again, Change::Modified));
        assert!(one.is_ok() != two.is_ok());
        assert!(matches!(one.and(two), Err(WriteError::Stale)));
        assert!(matches!(put(&store, "a", Expect::Absent, Change::Added).await, Err(WriteError::Exists)));
        assert!(matches!(put(&store, "b", Expect::Version(1), Change::Modified).await, Err(WriteError::Missing)));
        close(store, writer).await;
    }

    #[tokio::test]
    async fn a_restored_backup_never_hands_out_a_version_twice() {
        let home = tempfile::tempdir().unwrap();
        let (database, backup) = (home.path().join("api.db"), home.path().join("backup.db"));
        let (store, writer) = Store::open(&database).await.unwrap();
        let kept = put(&store, "kept", Expect::Absent, Change::Added).await.unwrap();
        close(store, writer).await;
        std::fs::copy(&database, &backup).unwrap();
        let (store, writer) = Store::open(&database).await.unwrap();
        let lost = put(&store, "lost", Expect::Absent, Change::Added).await.unwrap();
        close(store, writer).await;
        let (store, writer) = Store::open(&backup).await.unwrap();
        let things = store.collection("/things");
        assert!(things.get("/kept").is_some() && things.get("/lost").is_none());
        assert!(store.current() > lost.version);
        assert!(store.in_gap(lost.version), "a watch from there missed that the object is gone");
        assert!(!store.in_gap(kept.version));
        close(store, writer).await;
    }

    #[tokio::test]
    async fn history_is_trimmed_and_what_it_lost_is_too_old() {
        let home = tempfile::tempdir().unwrap();
        let database = home.path().join("api.db");
        let (store, writer) = Store::open(&database).await.unwrap();
        let first = put(&store, "n0", Expect::Absent, Change::Added).await.unwrap();
        let all = (1..10_000).map(|i| {
            let store = store.clone();
            async move { put(&store, &format!("n{i}"), Expect::Absent, Change::Added).await.unwrap().version }
        });
        let last = futures::future::join_all(all).await.into_iter().max().unwrap();
        close(store, writer).await;
        let (store, writer) = Store::open(&database).await.unwrap();
        let things = store.collection("/things");
        assert_eq!(things.all().len(), 10_000);
        assert!(matches!(things.since(first.version, 1), Since::TooOld(_)));
        assert!(matches!(things.since(last - 5, 10), Since::Events(events) if events.len() == 5));
        close(store, writer).await;
    }
}
