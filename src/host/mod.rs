//! The part of Regatta that lives on a machine: it turns Desired records into worktrees and tmux sessions, adopts what runs
//! already, and reports what it sees. It ends no agent unless asked to: not when it stops, not when it is killed.
//!
//! Must not know the API server, the database, controllers or the gateway: the control plane is whoever is on the link.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::api::link::{Desired, HostInfo};
use crate::link::Link;

mod actor;
mod board;
pub mod files;
mod fleet;
pub mod git;
pub mod kept;
pub mod keys;
mod launch;
pub mod log;
pub mod machine;
mod observe;
mod record;
mod picture;
mod receipts;
pub mod repo;
pub mod rescue;
mod routes;
pub mod screen;
mod screen_dump;
pub mod session;
pub mod shim_client;
mod steps;
pub mod stream;
pub mod terminal;
mod terminal_log;
mod text;
pub mod tmux;
mod tmux_control;
mod uplink;
pub mod viewers;
pub mod wake;
pub mod work;
pub mod worktree;

use board::Board;
use fleet::Fleet;

/// Checkouts at once: more only fight for the disk.
const CHECKOUTS: usize = 4;
/// Starts at once: enough to keep tmux busy, few enough to keep the host answering.
const STARTS: usize = 16;
/// Worktrees looked at at once.
const LOOKS: usize = 2;

#[derive(Clone, Debug)]
pub struct HostConfig {
    /// `$REGATTA_HOME/host`.
    pub home: PathBuf,
    pub name: String,
    /// This binary, for `regatta shim`.
    pub exe: PathBuf,
    pub labels: BTreeMap<String, String>,
}

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot prepare {path}: {source}")]
    Home { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Machine(#[from] machine::Error),
    #[error(transparent)]
    Tmux(#[from] tmux::Error),
    #[error(transparent)]
    Uplink(#[from] uplink::Error),
}

/// A running host. Dropping the last clone ends its tasks and no agent.
#[derive(Clone)]
pub struct Host {
    shared: Arc<Shared>,
    fleet: Arc<Mutex<Fleet>>,
}

/// What every agent's task uses.
pub(crate) struct Shared {
    config: HostConfig,
    paths: files::Paths,
    info: HostInfo,
    tmux: tmux::Tmux,
    repos: repo::Repos,
    kept: kept::List,
    board: Board,
    checkouts: Semaphore,
    starts: Semaphore,
    looks: Semaphore,
}

impl Host {
    /// Checks the machine and adopts every agent that is here. When this returns, what runs is known.
    pub async fn start(config: HostConfig) -> Result<Host, Error> {
        let paths = files::Paths::prepare(config.home.clone())
            .map_err(|source| Error::Home { path: config.home.clone(), source })?;
        let tools = machine::tools()?;
        let identity = machine::identity(&paths.home)?;
        let shared = Arc::new(Shared {
            info: machine::info(&tools, &config.labels),
            tmux: tmux::Tmux::open(&identity, &paths.home, tools.tmux_version)?,
            repos: repo::Repos::new(paths.repos()),
            kept: kept::List::at(&paths.home),
            board: Board::default(),
            checkouts: Semaphore::new(CHECKOUTS),
            starts: Semaphore::new(STARTS),
            looks: Semaphore::new(LOOKS),
            config,
            paths,
        });
        let fleet = Fleet::adopt(&shared).await;
        Ok(Host { shared, fleet: Arc::new(Mutex::new(fleet)) })
    }

    /// What the control plane may call over the link.
    pub fn router(&self) -> Router {
        routes::router(self.clone())
    }

    /// Talks to the control plane until the link ends.
    pub async fn run_link(&self, link: Link) -> Result<(), Error> {
        Ok(uplink::run(self, &link).await?)
    }

    /// Ends the host's own tasks; agents go on.
    pub async fn shutdown(&self) {
        let tasks = self.lock().dissolve();
        for task in tasks {
            task.abort();
            // An aborted task is what was wanted.
            task.await.ok();
        }
    }

    /// What this host says of its machine.
    pub fn info(&self) -> &HostInfo {
        &self.shared.info
    }

    /// The directories that deleted agents left behind.
    pub fn kept_worktrees(&self) -> Result<Vec<kept::Kept>, kept::Error> {
        self.shared.kept.all()
    }

    pub(crate) fn board(&self) -> &Board {
        &self.shared.board
    }

    fn desired_digest(&self) -> String {
        self.lock().desired_digest()
    }

    fn want_all(&self, desired: Vec<Desired>) {
        self.lock().want_all(&self.shared, desired);
    }

    fn want(&self, desired: Desired) {
        self.lock().want(&self.shared, desired);
    }

    fn forget(&self, uid: &str) {
        self.lock().forget(&self.shared, uid);
    }

    fn terminal(&self, uid: &str) -> Option<session::Terminal> {
        self.lock().terminal(uid)
    }

    fn lock(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
