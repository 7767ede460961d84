//! The Host object of a linked host, its status and its Lease.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;

use super::Shared;
use super::report::strangers;
use super::state::HostState;
use crate::api::conditions::{READY, Truth, Verdict};
use crate::api::link::HostInfo;
use crate::api::{Host, HostSpec, HostStatus, SYSTEM_NAMESPACE};
use crate::plan::status::{HOST_GRACE, to_seconds};
use crate::plan::unsupported;
use crate::reconcile::queue::Outcome;
use crate::reconcile::watched::Key;
use crate::reconcile::write;

/// True while the host has agents that nobody asked for.
pub const UNKNOWN_AGENTS: &str = "UnknownAgents";

/// How many of them a message names before it only counts them.
const NAMED: usize = 10;

/// Makes the Host object where it is missing, and its status say that the host is here.
pub async fn ensure(shared: &Shared, state: &HostState) -> Outcome {
    let (info, greeted) = {
        let picture = state.picture();
        (picture.info.clone(), picture.greeted)
    };
    let (Some(info), true) = (info, greeted) else {
        return Outcome::Done;
    };
    match write_down(shared, state, info).await {
        Ok(()) => Outcome::Done,
        Err(error) => {
            tracing::warn!(host = state.name, %error, "cannot write the host's object");
            Outcome::Failed
        }
    }
}

async fn write_down(shared: &Shared, state: &HostState, info: HostInfo) -> kube::Result<()> {
    let api: Api<Host> = Api::all(shared.api.clone());
    let host = match shared.hosts.get(&Key::new("", &state.name)) {
        Some(host) => host,
        // The mirror may lag behind another gateway, or behind ourselves.
        None => match api.create(&PostParams::default(), &new(&state.name, &info)).await {
            Ok(host) => host.into(),
            Err(kube::Error::Api(status)) if status.is_already_exists() => api.get(&state.name).await?.into(),
            Err(error) => return Err(error),
        },
    };
    let now = to_seconds(Timestamp::now());
    let empty = HostStatus::default();
    let before = host.status.as_ref().unwrap_or(&empty);
    let mut verdicts =
        vec![Verdict::new(READY, Truth::True, "Connected", format!("regatta {} is linked", info.version))];
    let strangers = strangers(shared, state);
    if !strangers.is_empty() {
        let more = strangers.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "agents run here that no object asks for: {}{more}; restore their objects, or end them on the host with tmux",
            strangers[..strangers.len().min(NAMED)].join(", ")
        );
        verdicts.push(Verdict::new(UNKNOWN_AGENTS, Truth::True, "NoObject", message));
    }
    verdicts.extend(unsupported::verdict(&unsupported::host(&host.spec)));
    verdicts.sort_by(|a, b| a.kind.cmp(&b.kind));
    let generation = host.metadata.generation;
    let mut status = HostStatus {
        observed_generation: generation,
        info: Some(info),
        adapters: Vec::new(),
        agents: None,
        gateway: None,
        last_seen_time: before.last_seen_time.clone(),
        conditions: verdicts.iter().map(|v| v.over(&before.conditions, generation, &now)).collect(),
    };
    if status == (HostStatus { agents: None, ..before.clone() }) {
        return Ok(());
    }
    status.last_seen_time = Some(now);
    write::status(&api, &*host, &state.manager(), &status).await.map(|_| ())
}

fn new(name: &str, info: &HostInfo) -> Host {
    let labels = (!info.labels.is_empty()).then(|| info.labels.clone());
    Host {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels, ..ObjectMeta::default() },
        spec: HostSpec::default(),
        status: None,
    }
}

/// Renews the Lease: the exact word on when a host was last heard.
pub async fn renew(shared: &Shared, state: &HostState) -> Outcome {
    let api: Api<Lease> = Api::namespaced(shared.api.clone(), SYSTEM_NAMESPACE);
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": state.name, "namespace": SYSTEM_NAMESPACE},
        "spec": {
            "holderIdentity": state.name,
            "leaseDurationSeconds": HOST_GRACE.as_secs(),
            "renewTime": MicroTime(Timestamp::now()),
        },
    });
    let params = PatchParams::apply(&state.manager()).force();
    match api.patch(&state.name, &params, &Patch::Apply(lease)).await {
        Ok(_) => Outcome::Done,
        Err(error) => {
            tracing::warn!(host = state.name, %error, "cannot renew the host's lease");
            Outcome::Failed
        }
    }
}
