//! One kind of object, mirrored in memory and kept current by one watch, for any number of readers who also want to hear
//! of changes. Decides nothing about the objects.
//!
//! Guarantees: `ready` returns once the mirror is a complete list; every later difference, also one found by listing anew
//! after a gap, is told as a change; a reader who falls behind is told `Lagged` by its channel and looks at everything.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, PoisonError, RwLock};

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// Readers take changes in microseconds; a burst of this many, unread, makes a reader look at everything instead.
const BACKLOG: usize = 4096;

/// Namespace (empty for cluster-scoped kinds) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Key {
        Key { namespace: namespace.into(), name: name.into() }
    }

    pub fn of<K: Resource>(object: &K) -> Key {
        Key::new(object.namespace().unwrap_or_default(), object.name_any())
    }
}

#[derive(Debug)]
pub enum Change<K> {
    /// Created or changed.
    Applied(Arc<K>),
    /// Its last known state.
    Deleted(Arc<K>),
}

impl<K> Change<K> {
    pub fn object(&self) -> &Arc<K> {
        match self {
            Change::Applied(object) | Change::Deleted(object) => object,
        }
    }
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Change::Applied(object) => Change::Applied(object.clone()),
            Change::Deleted(object) => Change::Deleted(object.clone()),
        }
    }
}

/// Cheap to clone; all clones are one mirror.
pub struct Watched<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    objects: RwLock<HashMap<Key, Arc<K>>>,
    changes: broadcast::Sender<Change<K>>,
    ready: watch::Sender<bool>,
}

impl<K> Clone for Watched<K> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<K> Watched<K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    K::DynamicType: Default,
{
    /// Starts the one watch, over all namespaces; it ends with `tasks`.
    pub fn start(client: Client, tasks: &mut JoinSet<()>) -> Watched<K> {
        let shared = Arc::new(Shared {
            objects: RwLock::default(),
            changes: broadcast::Sender::new(BACKLOG),
            ready: watch::Sender::new(false),
        });
        let api: Api<K> = Api::all(client);
        tasks.spawn(follow(shared.clone(), api));
        Watched { shared }
    }
}

impl<K> Watched<K> {
    /// Returns when the mirror holds everything there is.
    pub async fn ready(&self) {
        let mut ready = self.shared.ready.subscribe();
        // The sender lives in `shared`, which `self` holds: waiting cannot fail.
        let _ = ready.wait_for(|ready| *ready).await;
    }

    /// Subscribe before reading: a change may then be seen twice, never missed.
    pub fn changes(&self) -> broadcast::Receiver<Change<K>> {
        self.shared.changes.subscribe()
    }

    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().get(key).cloned()
    }

    pub fn all(&self) -> Vec<Arc<K>> {
        self.read().values().cloned().collect()
    }

    pub fn filter(&self, wanted: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        self.read().values().filter(|object| wanted(object)).cloned().collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Key, Arc<K>>> {
        self.shared.objects.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Resource> Shared<K> {
    fn apply(&self, object: K) {
        let object = Arc::new(object);
        let key = Key::of(&*object);
        let before = self.objects.write().unwrap_or_else(PoisonError::into_inner).insert(key, object.clone());
        if before.is_none_or(|b| b.resource_version() != object.resource_version()) {
            self.tell(Change::Applied(object));
        }
    }

    fn delete(&self, object: K) {
        self.objects.write().unwrap_or_else(PoisonError::into_inner).remove(&Key::of(&object));
        self.tell(Change::Deleted(Arc::new(object)));
    }

    /// Takes a new complete list, telling only what differs.
    fn replace(&self, list: Vec<K>) {
        let fresh: HashMap<Key, Arc<K>> = list.into_iter().map(|o| (Key::of(&o), Arc::new(o))).collect();
        let old = std::mem::replace(&mut *self.objects.write().unwrap_or_else(PoisonError::into_inner), fresh.clone());
        for (key, object) in &old {
            if !fresh.contains_key(key) {
                self.tell(Change::Deleted(object.clone()));
            }
        }
        for (key, object) in fresh {
            if old.get(&key).is_none_or(|o| o.resource_version() != object.resource_version()) {
                self.tell(Change::Applied(object));
            }
        }
        self.ready.send_replace(true);
    }

    fn tell(&self, change: Change<K>) {
        // An error only says that nobody listens at the moment.
        let _ = self.changes.send(change);
    }
}

async fn follow<K>(shared: Arc<Shared<K>>, api: Api<K>)
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut list = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(watcher::Event::Init) => list.clear(),
            Ok(watcher::Event::InitApply(object)) => list.push(object),
            Ok(watcher::Event::InitDone) => shared.replace(std::mem::take(&mut list)),
            Ok(watcher::Event::Apply(object)) => shared.apply(object),
            Ok(watcher::Event::Delete(object)) => shared.delete(object),
            // The stream carries on by itself, with back-off.
            Err(error) => tracing::warn!(kind = std::any::type_name::<K>(), %error, "watch interrupted"),
        }
    }
}
