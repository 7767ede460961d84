//! `regatta serve --kube`: the same controllers and gateway over a cluster's API server. Any number of them may run; one of
//! them leads, and only its controllers act. Every one has a gateway, and a host if asked for.

use std::path::PathBuf;

use anyhow::{Context, Result};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header;

use super::cluster::{self, Tokens};
use super::leader::Election;
use super::plane::{Plane, PlaneOptions, local_host_name};
use super::up::LocalHost;
use crate::apiserver::User;
use crate::controller::{self, ControllerOptions, Manifests};

pub struct ClusterOptions {
    /// Else `KUBECONFIG`, `~/.kube/config`, or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// Where the Lease of the leader is.
    pub namespace: String,
}

/// Runs until SIGTERM or SIGINT. Stops no agent, ever.
pub async fn serve(options: PlaneOptions, cluster: ClusterOptions, host: LocalHost) -> Result<()> {
    let ClusterOptions { kubeconfig, namespace } = cluster;
    let client = cluster::client(kubeconfig.as_deref()).await?;
    cluster::check(&client, &namespace).await?;
    let mut plane = Plane::open(options).await?;
    let gateway = plane.gateway(client.clone(), cluster::router(client.clone())).await?;

    let election = Election::new(&client, &namespace, identity());
    let (home, leading) = (plane.home.path().to_owned(), client.clone());
    let shutdown = plane.shutdown.clone();
    plane.run(async move {
        let work = |fence: super::leader::Fence, shutdown| {
            let options = ControllerOptions { home: home.clone(), manifests: Manifests::AsDeclared, shutdown };
            let controllers = controller::run(fence.around(leading.clone()), options);
            async move { controllers.await.context("controllers ended") }
        };
        election.run(shutdown, work).await
    });
    if let Some(name) = host.name() {
        plane.host(&gateway, name).await?;
    }
    let tokens = from_fn_with_state(Tokens::new(&client), know);
    let routes = gateway.api_router().layer(tokens);
    plane.serve(gateway, routes, None, "kubectl get agents").await?.finish().await
}

/// Of this process only: one that starts again waits until its predecessor's Lease is over.
fn identity() -> String {
    let start = jiff::Timestamp::now().as_millisecond();
    format!("{}_{}_{start:x}", local_host_name(), std::process::id())
}

/// Callers without a certificate may show a token of the cluster's.
async fn know(State(tokens): State<Tokens>, mut request: Request, next: Next) -> Response {
    if request.extensions().get::<User>().is_none()
        && let Some(token) = bearer(&request).map(str::to_owned)
        && let Some(user) = tokens.user(&token).await
    {
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

fn bearer(request: &Request) -> Option<&str> {
    let (scheme, token) = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
