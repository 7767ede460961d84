//! Hosts that have not been heard from for too long: the Host and its agents stop claiming to be Ready, and say why. What
//! was last seen of them stays. Their next hello puts everything right again.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt};

use super::{Shared, desired};
use crate::api::conditions::{READY, Truth, Verdict, find};
use crate::api::{Agent, AgentStatus, Host, HostStatus, SYSTEM_NAMESPACE};
use crate::gateway::links::{Connection, HostLinks};
use crate::plan::status::{HOST_GRACE, HOST_LOST, Urgency, lost, owned, to_seconds, urgency};
use crate::reconcile::write;

const PACE: Duration = Duration::from_secs(5);

pub(super) async fn run(shared: Arc<Shared>, links: HostLinks) {
    shared.ready().await;
    let started = Timestamp::now();
    let mut ticks = tokio::time::interval(PACE);
    loop {
        ticks.tick().await;
        for host in shared.hosts.all() {
            let since = match links.connection(&host.name_any()) {
                Connection::Up(_) => continue,
                Connection::Down { since } => since,
                // Whoever restarts takes no host for lost before it had time to dial again.
                Connection::NeverSeen => started,
            };
            if Timestamp::now().duration_since(since) < grace() {
                continue;
            }
            if let Err(error) = declare(&shared, &host).await {
                tracing::warn!(host = host.name_any(), %error, "cannot declare a host lost");
            }
        }
    }
}

async fn declare(shared: &Shared, host: &Host) -> kube::Result<()> {
    let name = host.name_any();
    let unsaid: Vec<Arc<Agent>> =
        shared.agents.filter(|a| desired::is_on(a, &name) && !says_lost(a.status.as_ref().map(|s| &s.conditions)));
    let host_says = says_lost(host.status.as_ref().map(|s| &s.conditions));
    if host_says && unsaid.is_empty() {
        return Ok(());
    }
    // Another gateway may hold its link: then the Lease is fresh.
    let leases: Api<Lease> = Api::namespaced(shared.api.clone(), SYSTEM_NAMESPACE);
    let renewed = leases.get_opt(&name).await?.and_then(|l| l.spec?.renew_time).map(|t| t.0);
    let now = Timestamp::now();
    if renewed.is_some_and(|at| now.duration_since(at) < grace()) {
        return Ok(());
    }
    let seen = renewed.or(host.status.as_ref().and_then(|s| s.last_seen_time.as_ref()).map(|t| t.0));
    let since = seen.unwrap_or(now);
    let manager = format!("host/{name}");
    if !host_says {
        tracing::info!(host = name, agents = unsaid.len(), "host is lost");
        let api: Api<Host> = Api::all(shared.api.clone());
        write::status(&api, host, &manager, &host_status(host, since, now)).await?;
    }
    for agent in unsaid {
        let nothing = AgentStatus::default();
        let current = agent.status.as_ref().unwrap_or(&nothing);
        let after = lost(current, &name, since, now);
        if urgency(&owned(current), &after) == Urgency::Nothing {
            continue;
        }
        match write::status(&write::api_of(&shared.api, &*agent), &*agent, &manager, &after).await {
            Ok(_) => {}
            Err(error) if write::outdated(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn host_status(host: &Host, since: Timestamp, now: Timestamp) -> HostStatus {
    let empty = HostStatus::default();
    let before = host.status.as_ref().unwrap_or(&empty);
    let message = format!(
        "not heard from since {}; its agents may well be running: start `regatta host run` on it",
        to_seconds(since).0
    );
    let generation = host.metadata.generation;
    let unknown =
        Verdict::new(READY, Truth::Unknown, HOST_LOST, message).over(&before.conditions, generation, &to_seconds(now));
    let mut conditions: Vec<_> = before.conditions.iter().filter(|c| c.type_ != READY).cloned().collect();
    conditions.push(unknown);
    HostStatus {
        observed_generation: before.observed_generation,
        info: before.info.clone(),
        adapters: before.adapters.clone(),
        agents: None,
        gateway: None,
        last_seen_time: Some(to_seconds(since)),
        conditions,
    }
}

fn says_lost(conditions: Option<&Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>>) -> bool {
    conditions.and_then(|c| find(c, READY)).is_some_and(|c| c.reason == HOST_LOST)
}

fn grace() -> SignedDuration {
    SignedDuration::try_from(HOST_GRACE).expect("forty seconds")
}
