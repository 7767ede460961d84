//! Gives every agent a Host and a number, once, and lets go of agents that are deleted before they had a Host. Decisions
//! are `plan::placement`'s; this is where they are read for and written down. After hostName is set, the agent is its
//! host's and nothing here touches it again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use kube::{Client, ResourceExt};
use tokio::sync::broadcast;

use super::Stores;
use super::numbers;
use super::numbers::Numbers;
use crate::api::agent::HostChoice;
use crate::api::conditions::{READY, SCHEDULED, Truth, Verdict, find, is_true};
use crate::api::{AGENT_FINALIZER, Agent, AgentStatus, Host, Repo};
use crate::plan::placement::{Candidate, PLACED, Placement, Wish, place};
use crate::plan::{news, status::to_seconds};
use crate::reconcile::queue::{Outcome, Queue, until};
use crate::reconcile::watched::{Change, Key};
use crate::reconcile::{events, write};

pub const MANAGER: &str = "placement";

/// Writes under way at the same time: the store commits them in groups.
const WRITERS: usize = 64;

/// A burst of new agents is placed in a few rounds, not one by one.
const GATHER: Duration = Duration::from_millis(10);

pub struct Controller {
    client: Client,
    stores: Stores,
    numbers: Numbers,
    queue: Queue<Key>,
    /// Placed here, not yet seen so in the store: agent's uid → host, and the Repo that pins others to it.
    assumed: HashMap<String, Assumed>,
}

struct Assumed {
    agent: Key,
    host: String,
    repo: Option<Key>,
}

/// One agent's verdict, on its way to the store.
struct Decision {
    agent: std::sync::Arc<Agent>,
    number: i64,
    placement: Placement,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot {attempt} agent {agent:?}: {source}")]
    Write { attempt: &'static str, agent: String, source: kube::Error },
    #[error(transparent)]
    Numbers(#[from] numbers::Error),
}

impl Controller {
    pub fn new(client: Client, stores: Stores) -> Controller {
        let numbers = Numbers::new(&client);
        Controller { client, stores, numbers, queue: Queue::new(usize::MAX), assumed: HashMap::new() }
    }

    pub async fn run(mut self) {
        let mut agents = self.stores.agents.changes();
        let mut hosts = self.stores.hosts.changes();
        let mut classes = self.stores.classes.changes();
        self.stores.ready().await;
        self.mark_waiting();
        loop {
            self.round().await;
            tokio::select! {
                change = agents.recv() => self.agent_changed(change),
                change = hosts.recv() => self.host_changed(change),
                _ = classes.recv() => self.mark_waiting(),
                () = until(self.queue.wake()) => {}
            }
            tokio::time::sleep(GATHER).await;
            while let Some(change) = taken(agents.try_recv()) {
                self.agent_changed(change);
            }
        }
    }

    fn agent_changed(&mut self, change: Result<Change<Agent>, broadcast::error::RecvError>) {
        match change {
            Ok(Change::Applied(agent)) => {
                if unplaced(&agent) {
                    self.queue.mark(Key::of(&*agent));
                } else {
                    self.assumed.remove(&agent.uid().unwrap_or_default());
                }
            }
            Ok(Change::Deleted(agent)) => {
                self.assumed.remove(&agent.uid().unwrap_or_default());
                // A place became free.
                self.mark_waiting();
            }
            Err(_) => self.mark_waiting(),
        }
    }

    /// Hosts report all the time; only what placement asks of them counts.
    fn host_changed(&mut self, change: Result<Change<Host>, broadcast::error::RecvError>) {
        match change {
            Ok(Change::Applied(host)) if !is_ready(&host) => {}
            Ok(Change::Applied(_) | Change::Deleted(_)) | Err(_) => self.mark_waiting(),
        }
    }

    fn mark_waiting(&mut self) {
        for agent in self.stores.agents.filter(unplaced) {
            self.queue.mark(Key::of(&*agent));
        }
    }

    async fn round(&mut self) {
        let mut batch = Vec::new();
        while let Some(key) = self.queue.next(Instant::now()) {
            batch.push(key);
        }
        if batch.is_empty() {
            return;
        }
        self.forget_seen();
        let (placed, let_go): (Vec<_>, Vec<_>) = batch
            .iter()
            .filter_map(|key| self.stores.agents.get(key))
            .filter(|agent| unplaced(agent) && !self.assumed.contains_key(&agent.uid().unwrap_or_default()))
            .partition(|agent| agent.metadata.deletion_timestamp.is_none());
        let mut failed: HashMap<Key, Error> = HashMap::new();
        match self.decide(placed).await {
            Ok(decisions) => {
                let (client, writes) = (&self.client, decisions.into_iter());
                let written: Vec<_> =
                    stream::iter(writes.map(|d| write_down(client, d))).buffer_unordered(WRITERS).collect().await;
                for (decision, result) in written {
                    self.written(decision, result, &mut failed);
                }
            }
            Err((agents, error)) => {
                tracing::warn!(%error, agents = agents.len(), "placement waits");
                for agent in agents {
                    self.queue.done(Key::of(&*agent), Outcome::Failed, Instant::now());
                }
            }
        }
        for agent in let_go {
            let api = write::api_of(&self.client, &*agent);
            if let Err(source) = write::remove_finalizer(&api, &*agent, AGENT_FINALIZER).await {
                let agent_name = agent.name_any();
                failed.insert(Key::of(&*agent), Error::Write { attempt: "let go of", agent: agent_name, source });
            }
        }
        for key in batch {
            let outcome = match failed.remove(&key) {
                None => Outcome::Done,
                // Its own change is on the way here and decides.
                Some(Error::Write { source, .. }) if write::outdated(&source) => Outcome::Again(Duration::from_secs(1)),
                Some(error) => {
                    tracing::warn!(%error, "placement tries again");
                    Outcome::Failed
                }
            };
            self.queue.done(key, outcome, Instant::now());
        }
    }

    fn written(&mut self, decision: Decision, result: Result<(), Error>, failed: &mut HashMap<Key, Error>) {
        let agent = &decision.agent;
        match (result, decision.placement) {
            (Ok(()), Placement::On { host, verdict: _ }) => {
                let repo = repo_of(agent);
                self.assumed.insert(agent.uid().unwrap_or_default(), Assumed { agent: Key::of(&**agent), host, repo });
            }
            (Ok(()), Placement::Wait(_)) => {}
            (Err(error), _) => {
                failed.insert(Key::of(&**agent), error);
            }
        }
    }

    /// Drops what the store has caught up with.
    fn forget_seen(&mut self) {
        let agents = &self.stores.agents;
        self.assumed.retain(|uid, assumed| {
            agents.get(&assumed.agent).is_some_and(|a| a.uid().as_ref() == Some(uid) && unplaced(&a))
        });
    }

    /// A verdict and a number for each, leaving out those of whom the store says the same already.
    async fn decide(
        &self,
        agents: Vec<std::sync::Arc<Agent>>,
    ) -> Result<Vec<Decision>, (Vec<std::sync::Arc<Agent>>, Error)> {
        if agents.is_empty() {
            return Ok(Vec::new());
        }
        let mut load = self.load();
        let hosts = self.stores.hosts.all();
        let mut pins = self.pins();
        let mut decided = Vec::with_capacity(agents.len());
        for agent in &agents {
            let candidates: Vec<Candidate<'_>> = hosts.iter().map(|host| candidate(host, &load)).collect();
            let choice = self.choice(agent);
            let repo = repo_of(agent).filter(|key| self.stores.repos.get(key).is_some_and(|r| r.spec.path.is_some()));
            let pinned = repo.as_ref().and_then(|key| pins.get(key)).map(String::as_str);
            let placement = place(Wish { choice: choice.as_ref(), pinned }, &candidates);
            if let Placement::On { host, verdict: _ } = &placement {
                *load.entry(host.clone()).or_default() += 1;
                if let Some(repo) = repo {
                    pins.entry(repo).or_insert_with(|| host.clone());
                }
            }
            decided.push(placement);
        }
        let mut numbers = match self.numbers_for(&agents).await {
            Ok(numbers) => numbers,
            Err(error) => return Err((agents, error)),
        };
        let decisions = agents.into_iter().zip(decided).map(|(agent, placement)| {
            let own = agent.status.as_ref().and_then(|s| s.number);
            let number =
                own.or_else(|| numbers.get_mut(&agent.namespace().unwrap_or_default()).and_then(Iterator::next));
            Decision { agent, number: number.expect("as many numbers were taken as agents had none"), placement }
        });
        Ok(decisions.filter(Decision::is_new).collect())
    }

    async fn numbers_for(
        &self,
        agents: &[std::sync::Arc<Agent>],
    ) -> Result<HashMap<String, std::ops::Range<i64>>, Error> {
        let mut wanted: HashMap<String, usize> = HashMap::new();
        for agent in agents.iter().filter(|a| a.status.as_ref().is_none_or(|s| s.number.is_none())) {
            *wanted.entry(agent.namespace().unwrap_or_default()).or_default() += 1;
        }
        let mut taken = HashMap::new();
        for (namespace, count) in wanted {
            let of_namespace = self.stores.agents.filter(|a| a.namespace().as_ref() == Some(&namespace));
            let seen = of_namespace.iter().filter_map(|a| a.status.as_ref()?.number).max().unwrap_or(0);
            let range = self.numbers.take(&namespace, count, seen).await?;
            taken.insert(namespace, range);
        }
        Ok(taken)
    }

    /// Agents per host, those of a moment ago included.
    fn load(&self) -> HashMap<String, usize> {
        let mut load: HashMap<String, usize> = HashMap::new();
        for agent in self.stores.agents.all() {
            if let Some(host) = host_of(&agent) {
                *load.entry(host.to_owned()).or_default() += 1;
            }
        }
        for assumed in self.assumed.values() {
            *load.entry(assumed.host.clone()).or_default() += 1;
        }
        load
    }

    /// Where the agents of each Repo are. Only those of a Repo that is a directory are bound by it.
    fn pins(&self) -> HashMap<Key, String> {
        let mut pins = HashMap::new();
        for repo in self.stores.repos.filter(|r: &Repo| r.spec.path.is_some()) {
            if let Some(mirror) = repo.status.as_ref().and_then(|s| s.mirrors.first()) {
                pins.insert(Key::of(&*repo), mirror.host.clone());
            }
        }
        for assumed in self.assumed.values() {
            if let Some(repo) = &assumed.repo {
                pins.entry(repo.clone()).or_insert_with(|| assumed.host.clone());
            }
        }
        for agent in self.stores.agents.all() {
            if let (Some(repo), Some(host)) = (repo_of(&agent), host_of(&agent)) {
                pins.entry(repo).or_insert_with(|| host.to_owned());
            }
        }
        pins
    }

    fn choice(&self, agent: &Agent) -> Option<HostChoice> {
        let class = agent.spec.class_ref.as_ref().and_then(|class_ref| {
            self.stores.classes.get(&Key::new(agent.namespace().unwrap_or_default(), &class_ref.name))
        });
        agent.spec.host.clone().or_else(|| class.and_then(|c| c.spec.host.clone()))
    }
}

impl Decision {
    fn is_new(&self) -> bool {
        let status = self.agent.status.as_ref();
        let said = status.and_then(|s| find(&s.conditions, SCHEDULED));
        let verdict = match &self.placement {
            Placement::On { .. } => return true,
            Placement::Wait(verdict) => verdict,
        };
        status.and_then(|s| s.number) != Some(self.number)
            || said.is_none_or(|s| (&s.reason, &s.message) != (&verdict.reason, &verdict.message))
    }

    /// Until a host speaks for the agent, placement does: Ready says why it is not.
    fn status(&self, now: Timestamp) -> AgentStatus {
        let before = self.agent.status.as_ref().map_or(&[][..], |s| &s.conditions);
        let (host_name, scheduled, ready) = match &self.placement {
            Placement::On { host, verdict } => {
                let message = format!("waits for host {host:?} to report");
                (Some(host.clone()), verdict, Verdict::new(READY, Truth::False, PLACED, message))
            }
            Placement::Wait(verdict) => (None, verdict, Verdict { kind: READY.into(), ..verdict.clone() }),
        };
        let (generation, now) = (self.agent.metadata.generation, to_seconds(now));
        let conditions = [&ready, scheduled].map(|v| v.over(before, generation, &now)).to_vec();
        AgentStatus { host_name, number: Some(self.number), conditions, ..AgentStatus::default() }
    }
}

/// Finalizer first: an agent that a host may hold must not vanish without the host hearing of it.
async fn write_down(client: &Client, decision: Decision) -> (Decision, Result<(), Error>) {
    let agent = &decision.agent;
    let api = write::api_of(client, &**agent);
    let failed = |attempt| move |source| Error::Write { attempt, agent: agent.name_any(), source };
    let result = async {
        let host = match &decision.placement {
            Placement::On { host, verdict: _ } => Some(host),
            Placement::Wait(_) => None,
        };
        if host.is_some() && !agent.finalizers().iter().any(|f| f == AGENT_FINALIZER) {
            write::add_finalizer(&api, &**agent, AGENT_FINALIZER).await.map_err(failed("put a finalizer on"))?;
        }
        let status = decision.status(Timestamp::now());
        write::status(&api, &**agent, MANAGER, &status).await.map_err(failed("place"))?;
        if let Some(host) = host {
            tracing::debug!(agent = agent.name_any(), host, number = decision.number, "placed");
            events::tell(client, agent, MANAGER, &[news::placed(host)]).await;
        }
        Ok(())
    }
    .await;
    (decision, result)
}

fn candidate<'a>(host: &'a Host, load: &HashMap<String, usize>) -> Candidate<'a> {
    let name = host.metadata.name.as_deref().unwrap_or_default();
    Candidate {
        name,
        labels: host.metadata.labels.as_ref(),
        spec: &host.spec,
        ready: is_ready(host) && host.metadata.deletion_timestamp.is_none(),
        agents: load.get(name).copied().unwrap_or_default(),
    }
}

fn is_ready(host: &Host) -> bool {
    host.status.as_ref().is_some_and(|s| is_true(&s.conditions, READY))
}

fn unplaced(agent: &Agent) -> bool {
    host_of(agent).is_none()
}

pub(super) fn host_of(agent: &Agent) -> Option<&str> {
    agent.status.as_ref()?.host_name.as_deref()
}

pub(super) fn repo_of(agent: &Agent) -> Option<Key> {
    let repo = agent.spec.repo_ref.as_ref()?;
    Some(Key::new(agent.namespace().unwrap_or_default(), &repo.name))
}

/// What `try_recv` had, in the words of `recv`; `None` when it had nothing.
fn taken<T>(received: Result<T, broadcast::error::TryRecvError>) -> Option<Result<T, broadcast::error::RecvError>> {
    match received {
        Ok(value) => Some(Ok(value)),
        Err(broadcast::error::TryRecvError::Lagged(count)) => Some(Err(broadcast::error::RecvError::Lagged(count))),
        Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => None,
    }
}
