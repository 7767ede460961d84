//! Where each Agent is: uid and Host by name, fed by one watch. Must not ask the API per request, except for a name it
//! has not heard of, or one not placed yet, which may be news of the last milliseconds.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use futures::StreamExt;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::status::Failure;
use crate::api::Agent;

/// An Agent's namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct AgentName {
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for AgentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}/{}\"", self.namespace, self.name)
    }
}

/// From the path of a subresource. Names that no object can have are refused here: decoded, they could hold slashes, and
/// the lookup is made with the gateway's own rights.
impl<S: Send + Sync> FromRequestParts<S> for AgentName {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        match path {
            Ok(Path((namespace, name))) if is_object_name(&namespace) && is_object_name(&name) => {
                Ok(AgentName { namespace, name })
            }
            Ok(_) | Err(_) => {
                Err(Failure::not_found(format!("cannot find {}: no agent has such a name", parts.uri.path())))
            }
        }
    }
}

fn is_object_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        inner && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

/// An Agent that has a Host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub uid: String,
    pub host: String,
}

#[derive(Clone)]
pub struct AgentIndex {
    api: kube::Client,
    resource: ApiResource,
    known: Arc<RwLock<HashMap<AgentName, Entry>>>,
    ready: Arc<watch::Sender<bool>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    uid: String,
    host: Option<String>,
}

impl AgentIndex {
    pub fn new(api: kube::Client) -> AgentIndex {
        let (ready, _) = watch::channel(false);
        AgentIndex { api, resource: ApiResource::erase::<Agent>(&()), known: Arc::default(), ready: Arc::new(ready) }
    }

    /// Follows the API until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        // Objects of which only two fields matter: read without their schema, so that one odd object cannot blind us.
        let api: Api<DynamicObject> = Api::all_with(self.api.clone(), &self.resource);
        let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
        let mut listed = HashMap::new();
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                Some(Ok(event)) => self.take(event, &mut listed),
                Some(Err(error)) => tracing::warn!(%error, "cannot follow the Agents; trying again"),
                None => return,
            }
        }
    }

    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// The place of an Agent, if it is known to have one. For what may be a moment behind.
    pub fn known(&self, agent: &AgentName) -> Option<Place> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(agent).and_then(Entry::place)
    }

    /// The place of an Agent, for a request that must be right.
    pub async fn place(&self, agent: &AgentName) -> Result<Place, Failure> {
        if let Some(place) = self.known(agent) {
            return Ok(place);
        }
        let AgentName { namespace, name } = agent;
        let api: Api<DynamicObject> = Api::namespaced_with(self.api.clone(), namespace, &self.resource);
        match api.get_opt(name).await {
            Ok(Some(object)) => entry(&object).and_then(|(_, entry)| entry.place()).ok_or_else(|| {
                Failure::conflict(format!(
                    "cannot reach agent {agent}: it is not on any host yet; \
                     its condition Scheduled says what it waits for"
                ))
            }),
            Ok(None) => Err(Failure::not_found(format!("agents.regatta.dev \"{name}\" not found"))),
            Err(error) => {
                tracing::warn!(%error, namespace, name, "cannot read the Agent");
                let message = format!("cannot find out where agent {agent} is: {error}");
                Err(Failure::unavailable(message, 1))
            }
        }
    }

    fn take(&self, event: Event<DynamicObject>, listed: &mut HashMap<AgentName, Entry>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Init => listed.clear(),
            Event::InitApply(object) => listed.extend(entry(&object)),
            Event::InitDone => {
                *known = std::mem::take(listed);
                self.ready.send_replace(true);
            }
            Event::Apply(object) => known.extend(entry(&object)),
            Event::Delete(object) => {
                if let Some((name, _)) = entry(&object) {
                    known.remove(&name);
                }
            }
        }
    }
}

impl Entry {
    fn place(&self) -> Option<Place> {
        let host = self.host.clone()?;
        Some(Place { uid: self.uid.clone(), host })
    }
}

fn entry(object: &DynamicObject) -> Option<(AgentName, Entry)> {
    let metadata = &object.metadata;
    let name = AgentName { namespace: metadata.namespace.clone()?, name: metadata.name.clone()? };
    let host = object.data.pointer("/status/hostName").and_then(|host| host.as_str()).filter(|host| !host.is_empty());
    Some((name, Entry { uid: metadata.uid.clone()?, host: host.map(str::to_owned) }))
}
