//! For each linked host: what it should run, and what it reports. Must not know how a host does its work.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{post, put};
use axum::{Json, Router};

use super::links::HostLinks;
use crate::api::link::{Heartbeat, Hello, Observed, Welcome};
use crate::link::Link;

#[derive(Clone)]
pub struct Hosts {
    api: kube::Client,
    links: HostLinks,
}

impl Hosts {
    pub fn new(api: kube::Client, links: HostLinks) -> Hosts {
        Hosts { api, links }
    }

    /// What the named host may call over its link.
    pub fn router(&self, host: &str) -> Router {
        let host = host.to_owned();
        Router::new()
            .route(
                "/hello",
                post(|Json(hello): Json<Hello>| async move {
                    tracing::info!(host, agents = hello.observed.len(), "host says hello");
                    Json(Welcome { desired: Vec::new() })
                }),
            )
            .route(
                "/observed/{uid}",
                put(|Path(_): Path<String>, Json(_): Json<Observed>| async { StatusCode::NO_CONTENT }),
            )
            .route("/heartbeat", post(|Json(heartbeat): Json<Heartbeat>| async move { Json(heartbeat) }))
    }

    /// Keeps one host going until its link ends.
    pub async fn run(&self, host: &str, link: Link) {
        tracing::debug!(host, namespace = self.api.default_namespace(), hosts = self.links.connected().len(), "linked");
        link.closed().await;
    }
}
