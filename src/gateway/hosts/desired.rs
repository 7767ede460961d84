//! Tells a host what it should run: one complete record per agent, again whenever something that it is made of changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::Shared;
use super::state::{HostState, Sent, agent_here, full_name};
use crate::adapter;
use crate::api::link::Desired;
use crate::api::{Agent, AgentClass};
use crate::link::Link;
use crate::plan::desired::{Referred, build, secrets_of};
use crate::plan::effective::adapter_name;
use crate::reconcile::queue::Outcome;
use crate::reconcile::watched::Key;

/// A host only files the record; doing what it says takes its own time.
const PATIENCE: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Link(#[from] crate::link::Error),
    #[error("the host answered {0}")]
    Refused(StatusCode),
    #[error("the host did not answer within {} s", PATIENCE.as_secs())]
    Silent,
}

pub fn is_on(agent: &Agent, host: &str) -> bool {
    agent.status.as_ref().and_then(|s| s.host_name.as_deref()) == Some(host)
}

pub fn uses_secret(shared: &Shared, agent: &Agent, secret: &str) -> bool {
    secrets_of(agent, class_of(shared, agent).as_deref()).any(|name| name == secret)
}

/// The complete record of one agent, from the mirrors.
pub fn record(shared: &Shared, agent: &Agent) -> Desired {
    let namespace = agent.namespace().unwrap_or_default();
    let class = class_of(shared, agent);
    let repo = agent.spec.repo_ref.as_ref().and_then(|r| shared.repos.get(&Key::new(&namespace, &r.name)));
    let secrets: Vec<Arc<Secret>> = secrets_of(agent, class.as_deref())
        .filter_map(|name| shared.secrets.get(&Key::new(&namespace, name)))
        .collect();
    let by_name: BTreeMap<&str, &Secret> =
        secrets.iter().filter_map(|s| Some((s.metadata.name.as_deref()?, &**s))).collect();
    let referred = Referred {
        class: class.as_deref(),
        repo: repo.as_deref(),
        secrets: by_name,
        adapter: adapter::find(adapter_name(&agent.spec, class.as_deref().map(|c| &c.spec))),
    };
    build(agent, &referred)
}

/// Brings the host's record of one agent up to date; nothing when it is.
pub async fn push(shared: &Shared, state: &HostState, link: &Link, uid: &str) -> Outcome {
    if !state.picture().greeted {
        return Outcome::Done;
    }
    let Some(agent) = agent_here(shared, &state.name, uid) else {
        return forget(state, link, uid).await;
    };
    let desired = record(shared, &agent);
    if state.picture().sent.get(uid).is_some_and(|sent| sent.version == desired.version) {
        return Outcome::Done;
    }
    let body = serde_json::to_vec(&desired).expect("a record of strings and numbers is always JSON");
    match send(link, Method::PUT, uid, body).await {
        Ok(()) => {
            tracing::debug!(host = state.name, agent = full_name(&agent), version = desired.version, "told");
            state.picture().sent.insert(uid.to_owned(), Sent::from(&desired));
            Outcome::Done
        }
        Err(error) => {
            tracing::warn!(host = state.name, agent = full_name(&agent), %error, "cannot tell the host what to run");
            Outcome::Failed
        }
    }
}

/// The object is gone: the host may forget it too.
pub async fn forget(state: &HostState, link: &Link, uid: &str) -> Outcome {
    let told = {
        let picture = state.picture();
        picture.sent.contains_key(uid) || picture.observed.get(uid).is_some_and(|o| o.removed)
    };
    if !told {
        return Outcome::Done;
    }
    match send(link, Method::DELETE, uid, Vec::new()).await {
        Ok(()) | Err(Error::Refused(StatusCode::NOT_FOUND)) => {
            let mut picture = state.picture();
            picture.sent.remove(uid);
            picture.written.remove(uid);
            if picture.observed.get(uid).is_some_and(|o| o.removed) {
                picture.observed.remove(uid);
            }
            Outcome::Done
        }
        Err(error) => {
            tracing::warn!(host = state.name, uid, %error, "cannot tell the host that an agent is gone");
            Outcome::Failed
        }
    }
}

async fn send(link: &Link, method: Method, uid: &str, body: Vec<u8>) -> Result<(), Error> {
    let request = Request::builder()
        .method(method)
        .uri(format!("/desired/{uid}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .expect("method, path and header are well-formed: a uid holds only letters, digits and dashes");
    let answer = tokio::time::timeout(PATIENCE, link.request(request)).await.map_err(|_| Error::Silent)??;
    match answer.status() {
        status if status.is_success() => Ok(()),
        status => Err(Error::Refused(status)),
    }
}

pub fn class_of(shared: &Shared, agent: &Agent) -> Option<Arc<AgentClass>> {
    let class = agent.spec.class_ref.as_ref()?;
    shared.classes.get(&Key::new(agent.namespace().unwrap_or_default(), &class.name))
}
