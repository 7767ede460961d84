//! Which hosts are connected, and the link to each. Must not know what is said over a link.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;

use crate::link::Link;

/// Cheap to clone; all clones are one registry.
#[derive(Clone, Default)]
pub struct HostLinks {
    hosts: Arc<RwLock<HashMap<String, Entry>>>,
}

struct Entry {
    link: Option<Link>,
    since: Timestamp,
}

/// What is known about a host's connection.
pub enum Connection {
    Up(Link),
    Down {
        since: Timestamp,
    },
    /// It has not connected to this gateway since the gateway started.
    NeverSeen,
}

impl HostLinks {
    pub fn new() -> HostLinks {
        HostLinks::default()
    }

    /// The link to a host that is connected now.
    pub fn get(&self, host: &str) -> Option<Link> {
        match self.connection(host) {
            Connection::Up(link) => Some(link),
            Connection::Down { since: _ } | Connection::NeverSeen => None,
        }
    }

    pub fn connection(&self, host: &str) -> Connection {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        match hosts.get(host) {
            None => Connection::NeverSeen,
            Some(Entry { link: Some(link), since: _ }) if !link.is_closed() => Connection::Up(link.clone()),
            Some(Entry { link: _, since }) => Connection::Down { since: *since },
        }
    }

    /// Names of the hosts that are connected now.
    pub fn connected(&self) -> Vec<String> {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        let up = hosts.iter().filter(|(_, entry)| entry.link.as_ref().is_some_and(|link| !link.is_closed()));
        up.map(|(name, _)| name.clone()).collect()
    }

    /// A host that dials again before its old link was found dead gets the new one; the old one is closed.
    pub fn insert(&self, host: &str, link: Link) {
        let entry = Entry { link: Some(link), since: Timestamp::now() };
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(Entry { link: Some(old), since: _ }) = hosts.insert(host.to_owned(), entry) {
            old.close();
        }
    }

    /// Forgets a link that ended, unless another one has taken its place.
    pub fn remove(&self, host: &str, ended: &Link) {
        let mut hosts = self.hosts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = hosts.get_mut(host)
            && entry.link.as_ref().is_some_and(|link| link.same(ended))
        {
            *entry = Entry { link: None, since: Timestamp::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{LinkDriver, Side, pair};

    fn link() -> (Link, LinkDriver) {
        Link::start(pair().0, Side::Server, axum::Router::new())
    }

    #[test]
    fn a_new_link_replaces_the_old_one_and_outlives_its_removal() {
        let links = HostLinks::new();
        assert!(matches!(links.connection("a"), Connection::NeverSeen));
        let (old, _old_driver) = link();
        let (new, _new_driver) = link();
        links.insert("a", old.clone());
        links.insert("a", new.clone());
        links.remove("a", &old);
        assert!(links.get("a").is_some_and(|link| link.same(&new)));
        links.remove("a", &new);
        assert!(matches!(links.connection("a"), Connection::Down { .. }));
        assert!(links.connected().is_empty());
    }
}
