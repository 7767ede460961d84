//! The picture of one host: what it was told, what it said, and what follows from that. Lives as long as the gateway,
//! across links. The handlers here answer the host; the work is done by the loop that `told` wakes.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::routing::{post, put};
use axum::{Json, Router};
use kube::ResourceExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Shared, desired};
use crate::api::Agent;
use crate::api::conditions::Verdict;
use crate::api::link::{Desired, Heartbeat, Hello, HostInfo, Observed, ObservedRepo, Welcome, set_digest};

/// Leases are written at most this often: a third of the patience that others have with a host.
const LEASE_PACE: Duration = Duration::from_secs(10);

/// A hello carries every agent of a host: 64 MiB is some ten thousand of them.
const MAX_BODY: usize = 64 << 20;

/// What the loop of a host has to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Job {
    /// The Host object and its status.
    Object,
    Lease,
    /// Tell the host about the agent with this uid.
    Push(String),
    /// Write down what the host said about it.
    Report(String),
    /// Write down what the host said about the Repo with this uid.
    Mirror(String),
}

pub struct HostState {
    pub name: String,
    picture: Mutex<Picture>,
    wake: Notify,
}

#[derive(Default)]
pub struct Picture {
    /// Cancelled when another link takes over.
    pub turn: CancellationToken,
    /// A host that has not said hello on its present link gets nothing pushed.
    pub greeted: bool,
    pub info: Option<HostInfo>,
    /// What the host has acknowledged, by uid.
    pub sent: HashMap<String, Sent>,
    /// What the host said last, by uid.
    pub observed: HashMap<String, Observed>,
    /// The last status written for each agent, and when.
    pub written: HashMap<String, (Arc<Agent>, Instant)>,
    /// The freshest word about each Repo, by its uid.
    pub repos: HashMap<String, ObservedRepo>,
    /// uid → generation of the specs seen.
    generations: HashMap<String, i64>,
    jobs: BTreeSet<Job>,
    heard: Option<Instant>,
    leased: Option<Instant>,
}

/// A record that the host has.
pub struct Sent {
    pub version: String,
    pub blocked: Option<Verdict>,
}

impl From<&Desired> for Sent {
    fn from(desired: &Desired) -> Sent {
        Sent { version: desired.version.clone(), blocked: desired.blocked.clone() }
    }
}

impl HostState {
    pub fn new(name: &str) -> HostState {
        HostState { name: name.to_owned(), picture: Mutex::default(), wake: Notify::new() }
    }

    pub fn picture(&self) -> MutexGuard<'_, Picture> {
        self.picture.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The field manager of everything that this host is the source of.
    pub fn manager(&self) -> String {
        format!("host/{}", self.name)
    }

    /// Ends the loop of an older link, if there is one, and begins another.
    pub fn take_turn(&self) -> CancellationToken {
        let mut picture = self.picture();
        picture.turn.cancel();
        picture.turn = CancellationToken::new();
        picture.heard = Some(Instant::now());
        picture.turn.clone()
    }

    pub fn link_ended(&self) {
        self.picture().greeted = false;
    }

    pub fn silent_for(&self) -> Duration {
        self.picture().heard.map_or(Duration::ZERO, |heard| heard.elapsed())
    }

    /// What came up since the last call; waits until something does.
    pub async fn told(&self) -> BTreeSet<Job> {
        loop {
            let notified = self.wake.notified();
            let jobs = std::mem::take(&mut self.picture().jobs);
            if !jobs.is_empty() {
                return jobs;
            }
            notified.await;
        }
    }

    pub fn ask(&self, job: Job) {
        self.picture().jobs.insert(job);
        self.wake.notify_one();
    }

    pub fn knows(&self, uid: &str) -> bool {
        let picture = self.picture();
        picture.sent.contains_key(uid) || picture.observed.contains_key(uid)
    }

    pub fn known(&self) -> Vec<String> {
        let picture = self.picture();
        picture
            .sent
            .keys()
            .chain(picture.observed.keys().filter(|uid| !picture.sent.contains_key(*uid)))
            .cloned()
            .collect()
    }

    /// Whether this generation of a spec was not seen before.
    pub fn is_news(&self, uid: Option<String>, generation: Option<i64>) -> bool {
        let generation = generation.unwrap_or_default();
        self.picture().generations.insert(uid.unwrap_or_default(), generation) != Some(generation)
    }

    fn hello(&self, hello: Hello, desired: &[Desired]) {
        let mut picture = self.picture();
        let now = Instant::now();
        picture.greeted = true;
        picture.heard = Some(now);
        picture.leased = Some(now);
        picture.info = Some(hello.host);
        picture.sent = desired.iter().map(|d| (d.uid.clone(), Sent::from(d))).collect();
        picture.observed = hello.observed.into_iter().map(|o| (o.uid.clone(), o)).collect();
        let uids: Vec<String> = picture.observed.keys().chain(picture.sent.keys()).cloned().collect();
        for uid in uids {
            // What changed between the making of the Welcome and now is found by comparing once more.
            picture.jobs.insert(Job::Push(uid.clone()));
            picture.jobs.insert(Job::Report(uid));
        }
        picture.jobs.extend([Job::Object, Job::Lease]);
        drop(picture);
        self.wake.notify_one();
    }

    fn observed(&self, observed: Observed) {
        let mut picture = self.picture();
        picture.heard = Some(Instant::now());
        picture.jobs.insert(Job::Report(observed.uid.clone()));
        picture.observed.insert(observed.uid.clone(), observed);
        drop(picture);
        self.wake.notify_one();
    }

    fn heartbeat(&self) -> Heartbeat {
        let mut picture = self.picture();
        let now = Instant::now();
        picture.heard = Some(now);
        if !picture.greeted {
            // No digest is empty, so the host says hello again.
            return Heartbeat { desired_digest: String::new(), observed_digest: String::new() };
        }
        if picture.leased.is_none_or(|at| now - at >= LEASE_PACE) {
            picture.leased = Some(now);
            picture.jobs.insert(Job::Lease);
            self.wake.notify_one();
        }
        Heartbeat {
            desired_digest: set_digest(picture.sent.iter().map(|(uid, sent)| (uid.as_str(), sent.version.as_str()))),
            observed_digest: set_digest(picture.observed.values().map(|o| (o.uid.as_str(), o.version.as_str()))),
        }
    }
}

type Context = (Arc<Shared>, Arc<HostState>);

pub fn router(shared: Arc<Shared>, state: Arc<HostState>) -> Router {
    Router::new()
        .route("/hello", post(hello))
        .route("/observed/{uid}", put(observed))
        .route("/heartbeat", post(heartbeat))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state((shared, state))
}

async fn hello(State((shared, state)): State<Context>, Json(hello): Json<Hello>) -> Json<Welcome> {
    shared.ready().await;
    let agents = shared.agents.filter(|agent| desired::is_on(agent, &state.name));
    let desired: Vec<Desired> = agents.iter().map(|agent| desired::record(&shared, agent)).collect();
    tracing::info!(host = state.name, wanted = desired.len(), observed = hello.observed.len(), "host says hello");
    state.hello(hello, &desired);
    Json(Welcome { desired })
}

async fn observed(
    State((_, state)): State<Context>,
    Path(uid): Path<String>,
    Json(observed): Json<Observed>,
) -> StatusCode {
    if uid != observed.uid {
        return StatusCode::BAD_REQUEST;
    }
    state.observed(observed);
    StatusCode::NO_CONTENT
}

async fn heartbeat(State((_, state)): State<Context>, Json(_): Json<Heartbeat>) -> Json<Heartbeat> {
    Json(state.heartbeat())
}

/// The agent with this uid, as far as it is this host's.
pub fn agent_here(shared: &Shared, host: &str, uid: &str) -> Option<Arc<Agent>> {
    shared.agents.filter(|a| a.metadata.uid.as_deref() == Some(uid) && desired::is_on(a, host)).pop()
}

/// Its name for messages, wherever it can be found.
pub fn full_name(agent: &Agent) -> String {
    format!("{}/{}", agent.namespace().unwrap_or_default(), agent.name_any())
}
