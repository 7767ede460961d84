//! The embedded Kubernetes API server: resources of the built-in kinds and of CustomResourceDefinitions, served by one axum
//! router over SQLite. It is general: it knows nothing of agents, controllers or the gateway. Who calls is handed in as a
//! `User` in the request's extensions; who may do what is not decided here yet.
//!
//! The way of a request: `server` routes it → `request` parses it → `read`, `watch`, `write`, `patch` or `delete` does it
//! against `storage` → `reply` words the answer. `collect` cleans up behind deletions.

mod apply;
mod body;
mod builtin;
mod collect;
mod crd;
mod delete;
mod discovery;
mod events;
mod expire;
mod install;
mod jsonpath;
mod names;
mod object;
mod openapi;
mod patch;
mod protobuf;
mod read;
mod registry;
mod reply;
mod request;
mod resource;
mod review;
mod schema;
mod select;
mod server;
mod status;
mod storage;
mod table;
mod watch;
mod write;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::Router;
use http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use registry::Registry;
use storage::Store;

pub struct Options {
    /// The SQLite file; made when missing.
    pub database: PathBuf,
    /// Definitions that shall be there as they are here.
    pub crds: Vec<CustomResourceDefinition>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start the API server: {0}")]
    Storage(#[from] storage::Error),
    #[error("cannot start the API server: installing {what} failed: {why}")]
    Install { what: String, why: String },
}

/// Who makes a request.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
}

impl User {
    pub fn admin() -> User {
        User { name: "admin".into(), groups: vec!["system:masters".into(), "system:authenticated".into()] }
    }

    pub fn system(component: &str) -> User {
        User { name: format!("system:regatta:{component}"), groups: vec!["system:masters".into()] }
    }
}

/// A running API server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

pub(in crate::apiserver) struct Inner {
    store: Store,
    registry: Registry,
    /// Definitions are written one after the other, so that two cannot claim one name.
    definitions: tokio::sync::Mutex<()>,
    /// Where writers that lost a race for an object queue up, by its name.
    turns: [tokio::sync::Mutex<()>; 64],
    stopping: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl ApiServer {
    /// Opens (or creates) the database, serves what is in it, installs the given definitions and the namespaces default,
    /// kube-system and regatta-system, and starts the collector.
    pub async fn open(options: Options) -> Result<ApiServer, Error> {
        let (store, writer) = Store::open(&options.database).await?;
        let registry = Registry::new(&store);
        let server = ApiServer(Arc::new(Inner {
            store,
            registry,
            definitions: tokio::sync::Mutex::new(()),
            turns: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            stopping: CancellationToken::new(),
            tasks: Mutex::new(vec![writer]),
        }));
        install::install(&server.0, options.crds).await?;
        let collector = tokio::spawn(collect::run(Arc::downgrade(&server.0), server.0.stopping.clone()));
        server.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(collector);
        Ok(server)
    }

    /// Everything that is served. Requests without a `User` in their extensions get 401.
    pub fn router(&self) -> Router {
        server::router(self.0.clone())
    }

    /// A client in this process: requests go through the router without a socket.
    pub fn client(&self, user: User) -> kube::Client {
        let router = self.router();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let mut request = request.map(axum::body::Body::new);
            request.extensions_mut().insert(user.clone());
            router.clone().oneshot(request)
        });
        kube::Client::new(service, "default")
    }

    /// Ends watches and the collector, finishes the writes that wait and closes the database.
    pub async fn shutdown(&self) {
        self.0.stopping.cancel();
        self.0.store.close().await;
        let tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the API server ended badly");
            }
        }
    }
}

impl Inner {
    fn turn(&self, name: &str) -> &tokio::sync::Mutex<()> {
        let sum = name.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        &self.turns[sum % self.turns.len()]
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}
