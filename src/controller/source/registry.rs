//! What each Source of this control plane has and wants, shared by their followers. Decides nothing: `plan::claims` does.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use kube::ResourceExt;

use crate::api::Source;
use crate::plan::claims::{self, Claim, Claims};
use crate::plan::source::Key;

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Claims>>);

impl Registry {
    /// Makes the claims those of these Sources: what new ones have is in their status.
    pub fn keep<'a>(&self, sources: impl Iterator<Item = &'a Source>) {
        self.with(|claims| {
            let mut names = BTreeSet::new();
            for source in sources {
                let name = source.name_any();
                let since = source.metadata.creation_timestamp.as_ref().map_or(i64::MAX, |t| t.0.as_millisecond());
                if claims.get(&name).is_none_or(|claim| claim.since_ms != since) {
                    let inventory = source.status.iter().flat_map(|s| &s.inventory);
                    let has = inventory.map(Key::of).collect();
                    claims.insert(name.clone(), Claim { since_ms: since, has, wants: BTreeSet::new() });
                }
                names.insert(name);
            }
            claims.retain(|name, _| names.contains(name));
        });
    }

    pub fn has(&self, me: &str, keys: BTreeSet<Key>) {
        self.of(me, |claim| claim.has = keys);
    }

    pub fn wants(&self, me: &str, keys: BTreeSet<Key>) {
        self.of(me, |claim| claim.wants = keys);
    }

    /// The other Source that an object is left to.
    pub fn owner(&self, me: &str, key: &Key) -> Option<String> {
        self.with(|claims| claims::owner(claims, me, key).map(str::to_owned))
    }

    pub fn elsewhere(&self, me: &str) -> BTreeSet<Key> {
        self.with(|claims| claims::elsewhere(claims, me))
    }

    pub fn is_held_by(&self, source: &str, key: &Key) -> bool {
        self.with(|claims| claims.get(source).is_some_and(|claim| claim.has.contains(key)))
    }

    /// A Source that is gone by now says nothing any more.
    fn of(&self, name: &str, change: impl FnOnce(&mut Claim)) {
        self.with(|claims| claims.get_mut(name).map(change));
    }

    fn with<T>(&self, work: impl FnOnce(&mut Claims) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
