//! The control plane over the embedded API server: `regatta up`, which has a host as well, and `regatta serve`, which has none.

use anyhow::{Context, Result};

use super::plane::{Plane, PlaneOptions, local_host_name};
use crate::apiserver::{ApiServer, Options, User};
use crate::controller::{self, ControllerOptions, Manifests};

/// Whether agents can live in this process's own host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalHost {
    None,
    /// Named after this machine.
    Machine,
    Named(String),
}

impl LocalHost {
    pub fn name(self) -> Option<String> {
        match self {
            LocalHost::None => None,
            LocalHost::Machine => Some(local_host_name()),
            LocalHost::Named(name) => Some(name),
        }
    }
}

/// Runs until SIGTERM or SIGINT. Stops no agent, ever.
pub async fn up(options: PlaneOptions, host: LocalHost) -> Result<()> {
    let mut plane = Plane::open(options).await?;
    let database = plane.home.join("api.db");
    let api = ApiServer::open(Options { database, crds: crate::api::crds() }).await?;
    api.set_authority(&*plane.certificates.ca);
    api.provide(crate::api::access::roles()).await?;
    let gateway = plane.gateway(api.client(User::system("gateway")), api.router()).await?;
    let controllers = controller::run(
        api.client(User::system("controller")),
        ControllerOptions {
            home: plane.home.path().to_owned(),
            manifests: Manifests::Followed,
            shutdown: plane.shutdown.clone(),
        },
    );
    plane.run(async move { controllers.await.context("controllers ended") });
    let next = match host {
        LocalHost::None => "kubectl get hosts",
        LocalHost::Machine | LocalHost::Named(_) => "regatta run shell",
    };
    if let Some(name) = host.name() {
        plane.host(&gateway, name).await?;
    }
    let routes = gateway.api_router();
    let ending = plane.serve(gateway, routes, Some(api.clone()), next).await?;
    api.shutdown().await;
    ending.finish().await
}
