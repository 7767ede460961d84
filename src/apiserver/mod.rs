//! The embedded Kubernetes API server: resources of the built-in kinds and of CustomResourceDefinitions, served by one axum
//! router over SQLite. It is general: it knows nothing of agents, controllers or the gateway. Who calls is handed in as a
//! `User` in the request's extensions (`authenticate` knows the holders of tokens made here); who may do what, `authz` says.
//!
//! The way of a request: `server` routes it → `request` parses it → `authz` allows it → `read`, `watch`, `write`, `patch`
//! or `delete` does it against `storage` → `reply` words the answer. `collect` cleans up behind deletions, `accounts` looks
//! after ServiceAccounts.

mod accounts;
mod apply;
mod authz;
mod body;
mod builtin;
mod collect;
mod crd;
mod delete;
mod discovery;
mod duplicates;
mod events;
mod expire;
mod gzip;
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
mod token;
mod watch;
mod write;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, Request};
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
    /// Empty where names are never used twice.
    pub uid: String,
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    pub fn new(name: impl Into<String>, groups: &[&str]) -> User {
        let groups = groups.iter().map(|group| group.to_string()).collect();
        User { name: name.into(), groups, ..User::default() }
    }

    pub fn admin() -> User {
        User::new("admin", &[authz::MASTERS, authz::AUTHENTICATED])
    }

    pub fn system(component: &str) -> User {
        User::new(format!("system:regatta:{component}"), &[authz::MASTERS])
    }

    /// Nothing is forbidden to masters.
    fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == authz::MASTERS)
    }
}

/// A running API server. Cheap to clone; all clones are the same server.
#[derive(Clone)]
pub struct ApiServer(Arc<Inner>);

pub(in crate::apiserver) struct Inner {
    store: Store,
    registry: Registry,
    authorizer: authz::Authorizer,
    tokens: token::Tokens,
    /// Definitions are written one after the other, so that two cannot claim one name.
    definitions: tokio::sync::Mutex<()>,
    /// Where writers that lost a race for an object queue up, by its name.
    turns: [tokio::sync::Mutex<()>; 64],
    stopping: CancellationToken,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl ApiServer {
    /// Opens (or creates) the database, serves what is in it, installs the given definitions and the namespaces default,
    /// kube-system and regatta-system with their accounts, and the usual roles, and starts what works in the background.
    pub async fn open(options: Options) -> Result<ApiServer, Error> {
        let (store, writer) = Store::open(&options.database).await?;
        let registry = Registry::new(&store);
        let server = ApiServer(Arc::new(Inner {
            authorizer: authz::Authorizer::new(&store),
            tokens: token::Tokens::new(&store),
            store,
            registry,
            definitions: tokio::sync::Mutex::new(()),
            turns: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            stopping: CancellationToken::new(),
            tasks: Mutex::new(vec![writer]),
        }));
        install::install(&server.0, options.crds).await?;
        let (weak, stopping) = (|| Arc::downgrade(&server.0), || server.0.stopping.clone());
        let tasks = [
            tokio::spawn(collect::run(weak(), stopping())),
            tokio::spawn(accounts::run(weak(), stopping())),
            tokio::spawn(authz::aggregate::run(weak(), stopping())),
        ];
        server.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
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

    /// Makes objects that shall be there from the start; those that are there are left as they are, except for roles, which
    /// are completed unless they are marked as the administrator's own.
    pub async fn provide(&self, objects: Vec<serde_json::Value>) -> Result<(), Error> {
        install::provide(&self.0, objects).await
    }

    /// Told to those who get a ServiceAccount's token in a Secret: the certificate authority of the API's port, in PEM.
    pub fn set_authority(&self, pem: impl Into<String>) {
        self.0.tokens.set_authority(pem.into());
    }

    /// Whose a bearer token is, if it is good for this API now.
    pub fn authenticate(&self, token: &str) -> Option<User> {
        let holder = self.0.tokens.holder(&self.0, token)?;
        holder.audiences.iter().any(|audience| audience == token::AUDIENCE).then_some(holder.user)
    }

    /// Who acts in a request of this caller: the caller, or whom its `Impersonate-…` headers name, if that is allowed. The
    /// headers are removed. The router does the same; this is for whoever serves more than the router.
    // The error is an answer, made once per refused request.
    #[allow(clippy::result_large_err)]
    pub fn impersonate(&self, caller: User, headers: &mut HeaderMap) -> Result<User, Response> {
        authz::impersonate::effective(&self.0.authorizer, caller, headers).map_err(IntoResponse::into_response)
    }

    /// Ends watches and the background tasks, finishes the writes that wait and closes the database.
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
