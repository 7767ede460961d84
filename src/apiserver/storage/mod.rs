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
    dependents: Mutex<HashMap<String, BTreeSet<(Arc<str>, String)>>>,
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
    pub fn dependents(&self, uid: &str) -> Vec<(Arc<str>, String)> {
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
                // An owner that waits for its dependents in the foreground looks again.
                chores.extend(before.owners.iter().map(|uid| Chore::OwnerGone(uid.clone())));
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
