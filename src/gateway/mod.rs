//! The HTTP edge: web app, logins, the Kubernetes API passed through, `/watch`, agents' streams over the hosts' links;
//! and, for each linked host, the reconciler in `hosts`. Must not know tmux or git worktrees, nor decide what resources
//! mean: that is the API's.
//!
//! `routes` is the table of everything that can be asked; `guard` stands before all of it.

mod agents;
mod api;
mod assets;
mod auth_log;
mod guard;
mod hooks;
pub mod hosts;
pub mod links;
mod login;
mod origin;
mod rate;
pub mod routes;
mod screens;
mod secret;
mod sessions;
mod status;
mod streams;
mod watch;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::apiserver::User;
use crate::db::Db;
use crate::link::{Link, Side};
use agents::AgentIndex;
use auth_log::AuthLog;
use hosts::Hosts;
use links::HostLinks;
use origin::Origins;
use rate::FailureLimit;
use screens::Screens;
use sessions::{LoginCodes, Sessions};

/// How long a host's reconciler may take to end after its link did.
const RECONCILER_END: Duration = Duration::from_secs(5);

/// Webhooks read at the same time: a few bodies of some megabytes.
const WEBHOOKS: usize = 4;

pub struct GatewayOptions {
    /// As system:regatta:gateway.
    pub api: kube::Client,
    /// The API itself; it needs a `User` in the request's extensions.
    pub api_router: Router,
    pub db: Db,
    /// Where `auth.log` is.
    pub home: PathBuf,
    /// Besides loopback: origins under which the web app is served, such as `https://regatta.example.org`.
    pub allowed_origins: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Origin(#[from] origin::InvalidOrigin),
    #[error("cannot open the auth log {path}: {source}")]
    AuthLog { path: PathBuf, source: std::io::Error },
}

/// Cheap to clone; all clones are one gateway.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    api: Router,
    client: kube::Client,
    links: HostLinks,
    hosts: Hosts,
    index: AgentIndex,
    screens: Screens,
    sessions: Sessions,
    codes: LoginCodes,
    failures: Mutex<FailureLimit>,
    hook_failures: Mutex<FailureLimit>,
    /// Webhooks whose bodies are read at the same time.
    hooks: Semaphore,
    auth_log: AuthLog,
    origins: Origins,
    started: Timestamp,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Gateway {
    pub async fn start(options: GatewayOptions) -> Result<Gateway, Error> {
        let GatewayOptions { api, api_router, db, home, allowed_origins } = options;
        let path = home.join("auth.log");
        let auth_log = AuthLog::open(&path).map_err(|source| Error::AuthLog { path, source })?;
        let links = HostLinks::new();
        let gateway = Gateway {
            shared: Arc::new(Shared {
                api: api_router,
                client: api.clone(),
                hosts: Hosts::new(api.clone(), links.clone()),
                links,
                index: AgentIndex::new(api),
                screens: Screens::default(),
                sessions: Sessions::new(db),
                codes: LoginCodes::default(),
                failures: Mutex::default(),
                hook_failures: Mutex::default(),
                hooks: Semaphore::new(WEBHOOKS),
                auth_log,
                origins: Origins::new(&allowed_origins)?,
                started: Timestamp::now(),
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
            }),
        };
        let Shared { index, screens, links, tasks, stop, .. } = &*gateway.shared;
        tasks.spawn(index.clone().run(stop.clone()));
        tasks.spawn(screens.clone().run(index.clone(), links.clone(), stop.clone()));
        Ok(gateway)
    }

    /// The web port. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: the rate limit and the auth
    /// log want the caller's address.
    pub fn web_router(&self) -> Router {
        routes::web(self)
    }

    /// The API port: resources, agents' subresources, streams. The listener's authenticator puts `User` into the
    /// request's extensions; without one everything but health is 401.
    pub fn api_router(&self) -> Router {
        routes::api(self)
    }

    /// A fresh one-time code that logs a browser in as the administrator.
    pub async fn login_code(&self) -> String {
        self.shared.codes.issue(User::admin(), Instant::now())
    }

    /// Which hosts are connected.
    pub fn links(&self) -> &HostLinks {
        &self.shared.links
    }

    /// Runs one host's link and its reconciler; returns when the link has ended.
    pub async fn attach_host(&self, name: String, io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let Shared { hosts, links, stop, .. } = &*self.shared;
        let (link, driver) = Link::start(io, Side::Server, hosts.router(&name));
        // A task of its own: the reconciler's work must not hold up anybody's keys.
        let driver = AbortOnDropHandle::new(tokio::spawn(driver));
        links.insert(&name, link.clone());
        tracing::info!(host = name, "host connected");
        let mut reconciler = std::pin::pin!(hosts.run(&name, link.clone()));
        let finished = tokio::select! {
            () = &mut reconciler => true,
            () = link.closed() => false,
            () = stop.cancelled() => false,
        };
        link.close();
        links.remove(&name, &link);
        if !finished && tokio::time::timeout(RECONCILER_END, reconciler).await.is_err() {
            tracing::warn!(host = name, "the host's reconciler did not end in time and was dropped");
        }
        match driver.await {
            Ok(Ok(())) => tracing::info!(host = name, "host disconnected"),
            Ok(Err(error)) => tracing::warn!(host = name, %error, "host disconnected"),
            Err(error) => tracing::error!(host = name, %error, "the host's link failed"),
        }
    }

    /// Ends streams, watches and links. Agents do not notice.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Webhooks have a count of their own: a forge with a wrong secret must not lock people out.
    fn hook_failures(&self) -> MutexGuard<'_, FailureLimit> {
        self.shared.hook_failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failures(&self) -> MutexGuard<'_, FailureLimit> {
        self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
