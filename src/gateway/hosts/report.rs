//! Writes down what a host said: Agent status, the Repo's mirrors entry, Events, and, when nothing of an agent is left on
//! the host, lets its object go. What to write and how soon is `plan::status`'s.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use super::desired::forget;
use super::state::{HostState, Job, agent_here, full_name};
use super::{Shared, desired};
use crate::api::conditions::shorten;
use crate::api::link::{Observed, ObservedRepo};
use crate::api::repo::Mirror;
use crate::api::{AGENT_FINALIZER, Agent, AgentStatus};
use crate::link::Link;
use crate::plan::status::{Known, Urgency, owned, report, to_seconds, urgency};
use crate::plan::{news, unsupported};
use crate::reconcile::queue::Outcome;
use crate::reconcile::{events, write};

pub async fn agent(shared: &Shared, state: &HostState, link: &Link, uid: &str) -> Outcome {
    let Some(observed) = state.picture().observed.get(uid).cloned() else {
        return Outcome::Done;
    };
    let Some(agent) = agent_here(shared, &state.name, uid) else {
        if observed.removed {
            return forget(state, link, uid).await;
        }
        // Found there but not asked for: said on the Host, never ended.
        state.ask(Job::Object);
        return Outcome::Done;
    };
    if let Some(repo) = &observed.repo {
        note_repo(state, repo);
    }
    if observed.removed {
        return let_go(&shared.api, state, &agent, &observed).await;
    }
    if observed.desired_version.is_empty() {
        // Adopted, but it has not heard yet what is wanted: nothing to say about this object so far.
        return Outcome::Done;
    }
    write_status(shared, state, agent, &observed).await
}

async fn write_status(shared: &Shared, state: &HostState, agent: Arc<Agent>, observed: &Observed) -> Outcome {
    let uid = observed.uid.as_str();
    let (agent, last_write, blocked) = {
        let picture = state.picture();
        let written = picture.written.get(uid);
        let last_write = written.map(|(_, at)| *at);
        // The mirror may not have seen our own last write yet.
        let newest = written.map(|(a, _)| a).filter(|a| is_newer(&***a, &*agent)).cloned().unwrap_or(agent);
        (newest, last_write, picture.sent.get(uid).and_then(|s| s.blocked.clone()))
    };
    let nothing = AgentStatus::default();
    let current = agent.status.as_ref().unwrap_or(&nothing);
    let before = owned(current);
    let class = desired::class_of(shared, &agent);
    let unsupported = unsupported::verdict(&unsupported::agent(&agent.spec, class.as_deref().map(|c| &c.spec)));
    let known = Known { blocked: blocked.as_ref(), unsupported: unsupported.as_ref() };
    let after = report(current, observed, known, Timestamp::now());
    match urgency(&before, &after) {
        Urgency::Nothing => return Outcome::Done,
        Urgency::Now => {}
        Urgency::After(pause) => {
            if let Some(left) = last_write.and_then(|at| pause.checked_sub(at.elapsed())).filter(|left| !left.is_zero())
            {
                return Outcome::Again(left);
            }
        }
    }
    match write::status(&write::api_of(&shared.api, &*agent), &*agent, &state.manager(), &after).await {
        Ok(stored) => {
            state.picture().written.insert(uid.to_owned(), (Arc::new(stored), Instant::now()));
            events::tell(&shared.api, &agent, &state.manager(), &news::between(&before, &after)).await;
            Outcome::Done
        }
        // Gone or replaced meanwhile: its change is on the way here.
        Err(error) if write::outdated(&error) => Outcome::Done,
        Err(error) => {
            tracing::warn!(host = state.name, agent = full_name(&agent), %error, "cannot write an agent's status");
            Outcome::Failed
        }
    }
}

/// Nothing is left of the agent on its host. The deletion of the object then tells the host to forget it.
async fn let_go(client: &Client, state: &HostState, agent: &Agent, observed: &Observed) -> Outcome {
    if agent.metadata.deletion_timestamp.is_none() {
        tracing::warn!(host = state.name, agent = full_name(agent), "the host removed an agent that nobody deleted");
        return Outcome::Done;
    }
    events::tell(client, agent, &state.manager(), &[news::removed(&observed.message)]).await;
    match write::remove_finalizer(&write::api_of(client, agent), agent, AGENT_FINALIZER).await {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!(host = state.name, agent = full_name(agent), %error, "cannot let go of a removed agent");
            Outcome::Failed
        }
    }
}

/// Keeps the freshest word about a Repo: several agents of one Repo report it at different times.
fn note_repo(state: &HostState, repo: &ObservedRepo) {
    let mut picture = state.picture();
    let fresher = picture.repos.get(&repo.uid).is_none_or(|known| known != repo && known.fetched_ms <= repo.fetched_ms);
    if fresher {
        picture.repos.insert(repo.uid.clone(), repo.clone());
        drop(picture);
        state.ask(Job::Mirror(repo.uid.clone()));
    }
}

pub async fn mirror(shared: &Shared, state: &HostState, uid: &str) -> Outcome {
    let Some(ObservedRepo { uid: _, default_branch, head_sha, fetched_ms, error }) =
        state.picture().repos.get(uid).cloned()
    else {
        return Outcome::Done;
    };
    let Some(repo) = shared.repos.filter(|r| r.metadata.uid.as_deref() == Some(uid)).pop() else {
        return Outcome::Done;
    };
    let mirror = Mirror {
        host: state.name.clone(),
        head_sha,
        last_fetch_time: fetched_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map(to_seconds),
        default_branch,
        size_bytes: None,
        error: error.map(|e| shorten(&e, 2000)),
    };
    if repo.status.as_ref().is_some_and(|s| s.mirrors.contains(&mirror)) {
        return Outcome::Done;
    }
    let written =
        write::status(&write::api_of(&shared.api, &*repo), &*repo, &state.manager(), &json!({"mirrors": [mirror]}))
            .await;
    match written {
        Ok(_) => Outcome::Done,
        Err(error) if write::outdated(&error) => Outcome::Done,
        Err(error) => {
            tracing::warn!(host = state.name, repo = repo.name_any(), %error, "cannot write a repo's mirror");
            Outcome::Failed
        }
    }
}

/// Names of agents that the host has and nobody asked for.
pub fn strangers(shared: &Shared, state: &HostState) -> Vec<String> {
    let ours: std::collections::HashSet<String> = shared
        .agents
        .filter(|a| desired::is_on(a, &state.name))
        .iter()
        .filter_map(|a| a.metadata.uid.clone())
        .collect();
    let picture = state.picture();
    let strangers = picture.observed.values().filter(|o| !o.removed && !ours.contains(&o.uid));
    let mut names: Vec<String> = strangers.map(|o| format!("{}/{} ({})", o.namespace, o.name, o.uid)).collect();
    names.sort();
    names
}

/// Versions are decimal and grow, here as in every store that Kubernetes has.
fn is_newer<K: Resource>(a: &K, b: &K) -> bool {
    let version = |object: &K| object.resource_version().and_then(|v| v.parse::<u64>().ok());
    a.uid() == b.uid() && version(a) > version(b)
}
