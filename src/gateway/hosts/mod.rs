//! For each linked host: what it should run goes down, what it reports becomes status. Must not know how a host does its
//! work, nor who else speaks over the link.
//!
//! One loop per host (`run`) owns the order of things: per agent, at most one record travels and one status is written at
//! a time, the newest wins, and a failure is tried again with growing pauses. What a host says (`router`) only updates the
//! picture and wakes the loop, so a slow API never holds up a host.

mod desired;
mod lost;
mod object;
mod report;
mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use self::state::{HostState, Job};
use super::links::HostLinks;
use crate::api::{Agent, AgentClass, Host, Repo};
use crate::link::Link;
use crate::plan::status::HOST_GRACE;
use crate::reconcile::queue::{Outcome, Queue, until};
use crate::reconcile::watched::{Change, Key, Watched};

/// Records and writes of one host under way at the same time.
const WORKERS: usize = 32;

/// Cheap to clone; the mirrors behind it end with the last clone.
#[derive(Clone)]
pub struct Hosts {
    shared: Arc<Shared>,
    hosts: Arc<Mutex<HashMap<String, Arc<HostState>>>>,
    _tasks: Arc<JoinSet<()>>,
}

/// What every host's loop reads and writes through.
struct Shared {
    api: kube::Client,
    agents: Watched<Agent>,
    hosts: Watched<Host>,
    repos: Watched<Repo>,
    classes: Watched<AgentClass>,
    secrets: Watched<Secret>,
}

impl Shared {
    async fn ready(&self) {
        tokio::join!(
            self.agents.ready(),
            self.hosts.ready(),
            self.repos.ready(),
            self.classes.ready(),
            self.secrets.ready()
        );
    }
}

impl Hosts {
    /// Starts the mirrors; call it within a runtime.
    pub fn new(api: kube::Client, links: HostLinks) -> Hosts {
        let mut tasks = JoinSet::new();
        let shared = Arc::new(Shared {
            agents: Watched::start(api.clone(), &mut tasks),
            hosts: Watched::start(api.clone(), &mut tasks),
            repos: Watched::start(api.clone(), &mut tasks),
            classes: Watched::start(api.clone(), &mut tasks),
            secrets: Watched::start(api.clone(), &mut tasks),
            api,
        });
        tasks.spawn(lost::run(shared.clone(), links));
        Hosts { shared, hosts: Arc::default(), _tasks: Arc::new(tasks) }
    }

    /// What the named host may call over its link.
    pub fn router(&self, host: &str) -> Router {
        state::router(self.shared.clone(), self.state(host))
    }

    /// Keeps one host going until its link ends, or until the host has dialled again.
    pub async fn run(&self, host: &str, link: Link) {
        let state = self.state(host);
        let turn = state.take_turn();
        tokio::select! {
            () = turn.cancelled() => tracing::debug!(host, "another link took over"),
            () = work(&self.shared, &state, &link) => {}
        }
        if !turn.is_cancelled() {
            state.link_ended();
        }
    }

    fn state(&self, host: &str) -> Arc<HostState> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.entry(host.to_owned()).or_insert_with(|| Arc::new(HostState::new(host))).clone()
    }
}

/// The loop of one host; returns when its link has ended.
async fn work(shared: &Arc<Shared>, state: &Arc<HostState>, link: &Link) {
    let (mut agents, mut repos) = (shared.agents.changes(), shared.repos.changes());
    let (mut classes, mut secrets) = (shared.classes.changes(), shared.secrets.changes());
    let mut hosts = shared.hosts.changes();
    shared.ready().await;
    let mut queue: Queue<Job> = Queue::new(WORKERS);
    let mut running: JoinSet<(Job, Outcome)> = JoinSet::new();
    let mut watch = Watch { shared, state, queue: &mut queue };
    watch.mark_all();
    let mut silence = tokio::time::interval(HOST_GRACE / 8);
    loop {
        while let Some(job) = watch.queue.next(Instant::now()) {
            running.spawn(perform(shared.clone(), state.clone(), link.clone(), job));
        }
        tokio::select! {
            () = link.closed() => break,
            change = agents.recv() => watch.agent(change),
            change = repos.recv() => watch.repo(change),
            change = classes.recv() => watch.class(change),
            change = secrets.recv() => watch.secret(change),
            change = hosts.recv() => watch.host(change),
            jobs = state.told() => jobs.into_iter().for_each(|job| watch.queue.mark(job)),
            Some(ended) = running.join_next() => match ended {
                Ok((job, outcome)) => watch.queue.done(job, outcome, Instant::now()),
                Err(error) => tracing::error!(host = state.name, %error, "a task for a host ended by a defect"),
            },
            () = until(watch.queue.wake()) => {}
            _ = silence.tick() => {
                if state.silent_for() > HOST_GRACE {
                    tracing::info!(host = state.name, "the link is open but the host is silent: closing it");
                    link.close();
                }
            }
        }
    }
}

async fn perform(shared: Arc<Shared>, state: Arc<HostState>, link: Link, job: Job) -> (Job, Outcome) {
    let outcome = match &job {
        Job::Object => object::ensure(&shared, &state).await,
        Job::Lease => object::renew(&shared, &state).await,
        Job::Push(uid) => desired::push(&shared, &state, &link, uid).await,
        Job::Report(uid) => report::agent(&shared, &state, &link, uid).await,
        Job::Mirror(uid) => report::mirror(&shared, &state, uid).await,
    };
    (job, outcome)
}

/// Turns changes of objects into jobs.
struct Watch<'a> {
    shared: &'a Shared,
    state: &'a HostState,
    queue: &'a mut Queue<Job>,
}

impl Watch<'_> {
    fn agent(&mut self, change: Result<Change<Agent>, RecvError>) {
        let Ok(change) = change else { return self.mark_all() };
        let agent = change.object();
        let uid = agent.uid().unwrap_or_default();
        if desired::is_on(agent, &self.state.name) || self.state.knows(&uid) {
            self.queue.mark(Job::Push(uid.clone()));
            self.queue.mark(Job::Report(uid));
        }
    }

    fn repo(&mut self, change: Result<Change<Repo>, RecvError>) {
        let Ok(change) = change else { return self.mark_all() };
        let repo = change.object();
        // Its status moves with every agent; only the spec reaches hosts.
        if self.state.is_news(repo.uid(), repo.metadata.generation) {
            let key = Key::of(&**repo);
            self.mark_agents(|agent| {
                agent.namespace().as_ref() == Some(&key.namespace)
                    && agent.spec.repo_ref.as_ref().is_some_and(|r| r.name == key.name)
            });
            self.queue.mark(Job::Mirror(repo.uid().unwrap_or_default()));
        }
    }

    fn class(&mut self, change: Result<Change<AgentClass>, RecvError>) {
        let Ok(change) = change else { return self.mark_all() };
        let class = change.object();
        if matches!(change, Change::Deleted(_)) || self.state.is_news(class.uid(), class.metadata.generation) {
            let key = Key::of(&**class);
            self.mark_agents(|agent| {
                agent.namespace().as_ref() == Some(&key.namespace)
                    && agent.spec.class_ref.as_ref().is_some_and(|c| c.name == key.name)
            });
        }
    }

    fn secret(&mut self, change: Result<Change<Secret>, RecvError>) {
        let Ok(change) = change else { return self.mark_all() };
        let key = Key::of(&**change.object());
        let shared = self.shared;
        self.mark_agents(|agent| {
            agent.namespace().as_ref() == Some(&key.namespace) && desired::uses_secret(shared, agent, &key.name)
        });
    }

    fn host(&mut self, change: Result<Change<Host>, RecvError>) {
        match change {
            Ok(change) if change.object().name_any() != self.state.name => {}
            Ok(_) | Err(_) => self.queue.mark(Job::Object),
        }
    }

    fn mark_all(&mut self) {
        self.mark_agents(|_| true);
        for uid in self.state.known() {
            self.queue.mark(Job::Push(uid.clone()));
            self.queue.mark(Job::Report(uid));
        }
        self.queue.mark(Job::Object);
    }

    fn mark_agents(&mut self, wanted: impl Fn(&Agent) -> bool) {
        let here = self.shared.agents.filter(|agent| desired::is_on(agent, &self.state.name) && wanted(agent));
        for agent in here {
            self.queue.mark(Job::Push(agent.uid().unwrap_or_default()));
        }
    }
}
