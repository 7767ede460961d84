//! The one field of a Host's status that its own link does not write: how many agents are placed there.

use std::collections::HashMap;

use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::Stores;
use super::placement::host_of;
use super::rounds::{Pace, Round};
use crate::api::Host;
use crate::reconcile::write;

const MANAGER: &str = "host-count";

pub async fn run(client: Client, stores: Stores) {
    let mut pace = Pace::new(stores.agents.changes(), stores.hosts.changes());
    stores.ready().await;
    loop {
        let outcome = round(&client, &stores).await;
        pace.after(outcome).await;
    }
}

async fn round(client: &Client, stores: &Stores) -> Round {
    let mut counts: HashMap<String, i32> = HashMap::new();
    for agent in stores.agents.all() {
        if let Some(host) = host_of(&agent) {
            *counts.entry(host.to_owned()).or_default() += 1;
        }
    }
    let api: Api<Host> = Api::all(client.clone());
    let mut outcome = Round::Settled;
    for host in stores.hosts.all() {
        let agents = counts.get(&host.name_any()).copied().unwrap_or_default();
        if host.status.as_ref().and_then(|s| s.agents) == Some(agents) {
            continue;
        }
        let written = write::status(&api, &*host, MANAGER, &json!({"agents": agents})).await;
        if let Err(error) = written.map(|_| ())
            && !write::outdated(&error)
        {
            tracing::warn!(host = host.name_any(), %error, "cannot write how many agents are on a host");
            outcome = Round::Unfinished;
        }
    }
    outcome
}
