//! What is served at this moment: the built-in kinds and every established CustomResourceDefinition.
//! Readers take one immutable `Served`; a change makes a new one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::{
    builtin, crd,
    discovery::Documents,
    object,
    resource::Resource,
    storage::{Collection, Store, Stored},
};

/// An immutable set of served resources with the documents that describe it.
pub struct Served {
    pub resources: Vec<Arc<Resource>>,
    by_path: HashMap<(String, String, String), Arc<Resource>>,
    pub documents: Documents,
}

impl Served {
    fn new(resources: Vec<Arc<Resource>>) -> Served {
        let path = |r: &Resource| (r.group.clone(), r.version.clone(), r.plural.clone());
        let by_path = resources.iter().map(|resource| (path(resource), resource.clone())).collect();
        Served { documents: Documents::new(&resources), resources, by_path }
    }

    pub fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        self.by_path.get(&(group.to_string(), version.to_string(), plural.to_string())).cloned()
    }

    /// By what an object says of itself.
    pub fn find_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        self.resources.iter().find(|r| r.kind == kind && r.api_version() == api_version).cloned()
    }

    /// The resource whose versions share a collection; any one of them.
    pub fn of_collection(&self, id: &str) -> Option<Arc<Resource>> {
        self.resources.iter().find(|resource| &**resource.collection.id() == id).cloned()
    }

    /// One resource for each collection.
    pub fn distinct(&self) -> Vec<Arc<Resource>> {
        let mut seen = std::collections::HashSet::new();
        self.resources.iter().filter(|r| seen.insert(r.collection.id().clone())).cloned().collect()
    }
}

pub struct Registry {
    served: RwLock<Arc<Served>>,
    definitions: Arc<Collection>,
    /// Compiled resources by the definition's uid and generation: compiling rules takes a while.
    compiled: Mutex<HashMap<String, Compiled>>,
}

struct Compiled {
    generation: u64,
    resources: Vec<Arc<Resource>>,
}

impl Registry {
    pub fn new(store: &Store) -> Registry {
        let registry = Registry {
            served: RwLock::new(Arc::new(Served::new(builtin::resources(store)))),
            definitions: store.collection("apiextensions.k8s.io/customresourcedefinitions"),
            compiled: Mutex::default(),
        };
        registry.rebuild(store);
        registry
    }

    pub fn served(&self) -> Arc<Served> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Follows the definitions as they are now.
    pub fn rebuild(&self, store: &Store) {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = HashMap::new();
        let mut resources = builtin::resources(store);
        for stored in self.definitions.all() {
            let value = stored.value();
            if !crd::is_established(&value) {
                continue;
            }
            let generation = object::meta(&value, "generation").and_then(serde_json::Value::as_u64).unwrap_or(0);
            let known = compiled.get(&stored.uid).filter(|known| known.generation == generation);
            let made = match known {
                Some(known) => known.resources.clone(),
                None => match crd::resources(store, &value) {
                    Ok(made) => {
                        refresh(&made);
                        made
                    }
                    Err(error) => {
                        tracing::error!(name = stored.name, %error, "this stored CustomResourceDefinition cannot be served");
                        continue;
                    }
                },
            };
            resources.extend(made.iter().cloned());
            kept.insert(stored.uid.clone(), Compiled { generation, resources: made });
        }
        let before = std::mem::replace(&mut *compiled, kept);
        *self.served.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Served::new(resources));
        for (uid, old) in before {
            if compiled.get(&uid).is_none_or(|kept| kept.generation != old.generation) {
                old.resources.iter().for_each(|resource| resource.retired.cancel());
            }
        }
    }
}

/// Stored objects read as if the schema had always been this one: pruned and with its defaults.
fn refresh(versions: &[Arc<Resource>]) {
    let Some(resource) = versions.iter().find(|r| r.api_version() == r.stored_api_version) else { return };
    resource.collection.refresh(|stored| {
        let before = stored.value();
        let mut after = before.clone();
        resource.schema.prune(&mut after, &mut Vec::new());
        resource.schema.default(&mut after);
        (after != before).then(|| Stored::new(&after, stored.version))
    });
}
