//! The global reconcilers: one of each in a control plane. They read from one shared mirror per kind and write by
//! server-side apply, each under a manager's name of its own. Must not know HTTP, terminals or checkouts.

mod class;
mod host;
mod later;
mod numbers;
mod placement;
mod repo;
mod rounds;
pub mod source;

use std::path::PathBuf;

use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::{Agent, AgentClass, Host, Repo};
use crate::reconcile::watched::Watched;

pub struct ControllerOptions {
    /// `$REGATTA_HOME`: `sources/` below it holds what was fetched.
    pub home: PathBuf,
    pub manifests: Manifests,
    pub shutdown: CancellationToken,
}

/// Whether there is a Source for `manifests/` below the home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manifests {
    /// Made when it is missing.
    Followed,
    /// Only those that somebody made: in a cluster nothing is installed unasked.
    AsDeclared,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error("a controller ended by a defect: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

/// The mirrors that several controllers read.
#[derive(Clone)]
pub struct Stores {
    pub agents: Watched<Agent>,
    pub hosts: Watched<Host>,
    pub repos: Watched<Repo>,
    pub classes: Watched<AgentClass>,
}

impl Stores {
    pub fn start(client: &Client, tasks: &mut JoinSet<()>) -> Stores {
        Stores {
            agents: Watched::start(client.clone(), tasks),
            hosts: Watched::start(client.clone(), tasks),
            repos: Watched::start(client.clone(), tasks),
            classes: Watched::start(client.clone(), tasks),
        }
    }

    pub async fn ready(&self) {
        tokio::join!(self.agents.ready(), self.hosts.ready(), self.repos.ready(), self.classes.ready());
    }
}

/// Runs all of them until `shutdown`.
pub async fn run(client: Client, options: ControllerOptions) -> Result<(), Error> {
    let ControllerOptions { home, manifests, shutdown } = options;
    if manifests == Manifests::Followed {
        source::ensure_default(&client, &home).await?;
    }
    let mut tasks = JoinSet::new();
    let stores = Stores::start(&client, &mut tasks);
    tasks.spawn(placement::Controller::new(client.clone(), stores.clone()).run());
    tasks.spawn(repo::run(client.clone(), stores.clone()));
    tasks.spawn(class::run(client.clone(), stores.clone()));
    tasks.spawn(host::run(client.clone(), stores));
    tasks.spawn(later::run(client.clone()));
    tasks.spawn(source::run(client, home.join("sources")));
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        // They loop for ever: one that ends has panicked.
        ended = tasks.join_next() => ended.transpose().map(|_| ()),
    };
    tasks.shutdown().await;
    Ok(ended?)
}
