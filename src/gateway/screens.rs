//! The last lines of the agents somebody looks at. One loop for all browsers asks each host at most twice a second, and
//! only while somebody looks; a browser is told only what changed. Must not know terminals: a screen is JSON here.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::agents::{AgentIndex, AgentName};
use super::links::HostLinks;
use crate::link::Link;

const EVERY: Duration = Duration::from_millis(500);

/// A host that does not answer in this time is asked again later.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Twelve lines and sixty bars of a thousand agents.
const MAX_ANSWER: usize = 8 << 20;

/// Cards one browser can have in view; more is a mistake or an attack.
const MAX_VISIBLE: usize = 500;

#[derive(Clone, Default)]
pub struct Screens {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Somebody began to look.
    wanted: Notify,
    /// Counts the answers that changed something.
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// How many browsers look at an agent.
    lookers: HashMap<AgentName, usize>,
    latest: HashMap<AgentName, Latest>,
    /// Hosts that have not answered the last question yet.
    asked: HashSet<String>,
}

#[derive(Clone)]
struct Latest {
    /// The change that brought it.
    change: u64,
    screen: Arc<Value>,
}

impl Screens {
    /// Asks the hosts until told to stop.
    pub async fn run(self, index: AgentIndex, links: HostLinks, stop: CancellationToken) {
        let mut questions = JoinSet::new();
        loop {
            let begin = Instant::now();
            for (host, agents) in self.by_host(&index) {
                let Some(link) = links.get(&host) else { continue };
                if self.state().asked.insert(host.clone()) {
                    questions.spawn(self.clone().ask(host, link, agents));
                }
            }
            while questions.try_join_next().is_some() {}
            let idle = self.state().lookers.is_empty();
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.wanted.notified(), if idle => {}
                () = tokio::time::sleep_until(begin + EVERY), if !idle => {}
            }
        }
    }

    /// A browser that looks at nothing yet.
    pub fn viewer(&self) -> Viewer {
        Viewer {
            screens: self.clone(),
            visible: Vec::new(),
            seen: HashMap::new(),
            changes: self.shared.changes.subscribe(),
        }
    }

    fn by_host(&self, index: &AgentIndex) -> HashMap<String, HashMap<String, AgentName>> {
        let mut hosts: HashMap<String, HashMap<String, AgentName>> = HashMap::new();
        for agent in self.state().lookers.keys() {
            if let Some(place) = index.known(agent) {
                hosts.entry(place.host).or_default().insert(place.uid, agent.clone());
            }
        }
        hosts
    }

    async fn ask(self, host: String, link: Link, agents: HashMap<String, AgentName>) {
        match tokio::time::timeout(TIMEOUT, question(&link, &agents)).await {
            Ok(Ok(screens)) => self.take(screens, &agents),
            Ok(Err(error)) => tracing::debug!(host, error, "no screens from the host"),
            Err(_) => tracing::debug!(host, "no screens from the host in time"),
        }
        self.state().asked.remove(&host);
    }

    fn take(&self, screens: Vec<Value>, agents: &HashMap<String, AgentName>) {
        let mut state = self.state();
        let change = *self.shared.changes.borrow() + 1;
        let mut changed = false;
        for screen in screens {
            let Some(agent) = screen["uid"].as_str().and_then(|uid| agents.get(uid)) else { continue };
            if !state.lookers.contains_key(agent) {
                continue;
            }
            let screen = json!({
                "namespace": agent.namespace,
                "name": agent.name,
                "uid": screen["uid"],
                "lines": screen["lines"],
                "cols": screen["cols"],
                "rows": screen["rows"],
                "wake": screen["wake"],
            });
            if state.latest.get(agent).is_some_and(|latest| *latest.screen == screen) {
                continue;
            }
            state.latest.insert(agent.clone(), Latest { change, screen: Arc::new(screen) });
            changed = true;
        }
        drop(state);
        if changed {
            self.shared.changes.send_replace(change);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn question(link: &Link, agents: &HashMap<String, AgentName>) -> Result<Vec<Value>, String> {
    let uids: Vec<&String> = agents.keys().collect();
    let request = Request::builder()
        .method(Method::POST)
        .uri("/screens")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(json!({ "uids": uids }).to_string()))
        .expect("a request of constant parts is valid");
    let answer = link.request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = to_bytes(answer.into_body(), MAX_ANSWER).await.map_err(|error| error.to_string())?;
    if !status.is_success() {
        return Err(format!("HTTP {status}"));
    }
    let answer: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
    match answer {
        Value::Object(mut answer) => match answer.remove("screens") {
            Some(Value::Array(screens)) => Ok(screens),
            Some(_) | None => Err("the answer has no screens".into()),
        },
        _ => Err("the answer is not an object".into()),
    }
}

/// What one browser looks at, and has been told. Dropping it looks away.
pub struct Viewer {
    screens: Screens,
    visible: Vec<AgentName>,
    seen: HashMap<AgentName, u64>,
    changes: watch::Receiver<u64>,
}

impl Viewer {
    /// The whole list each time. What is already known of newcomers is told at the next `take`.
    pub fn look_at(&mut self, agents: Vec<AgentName>) {
        let mut agents: Vec<AgentName> = agents.into_iter().collect::<HashSet<_>>().into_iter().collect();
        agents.truncate(MAX_VISIBLE);
        let mut state = self.screens.state();
        for agent in &agents {
            *state.lookers.entry(agent.clone()).or_default() += 1;
        }
        state.forget(&self.visible);
        drop(state);
        self.seen.retain(|agent, _| agents.contains(agent));
        self.visible = agents;
        self.changes.mark_changed();
        self.screens.shared.wanted.notify_one();
    }

    /// Resolves when there may be something new.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The loop is gone, and so is the gateway; whoever waits here is about to be told.
            std::future::pending::<()>().await;
        }
    }

    /// What the browser has not been told yet.
    pub fn news(&self) -> Vec<(AgentName, u64, Arc<Value>)> {
        let state = self.screens.state();
        let news = self.visible.iter().filter_map(|agent| {
            let Latest { change, screen } = state.latest.get(agent)?;
            (self.seen.get(agent) != Some(change)).then(|| (agent.clone(), *change, screen.clone()))
        });
        news.collect()
    }

    /// The browser has been told.
    pub fn told(&mut self, news: impl IntoIterator<Item = (AgentName, u64)>) {
        self.seen.extend(news);
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.screens.state().forget(&self.visible);
    }
}

impl State {
    fn forget(&mut self, agents: &[AgentName]) {
        for agent in agents {
            let Some(count) = self.lookers.get_mut(agent) else { continue };
            *count -= 1;
            if *count == 0 {
                self.lookers.remove(agent);
                self.latest.remove(agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> AgentName {
        AgentName { namespace: "default".into(), name: name.into() }
    }

    fn answer(uid: &str, line: &str) -> Vec<Value> {
        vec![json!({"uid": uid, "lines": [line], "cols": 80, "rows": 24, "wake": [], "updated": line.len()})]
    }

    #[test]
    fn a_viewer_hears_only_what_changed_among_what_it_looks_at() {
        let screens = Screens::default();
        let agents = HashMap::from([("u1".to_owned(), agent("a")), ("u2".to_owned(), agent("b"))]);
        let mut viewer = screens.viewer();
        screens.take(answer("u1", "nobody looks"), &agents);
        viewer.look_at(vec![agent("a"), agent("a")]);
        assert!(viewer.news().is_empty());
        screens.take(answer("u1", "one"), &agents);
        screens.take(answer("u2", "not looked at"), &agents);
        let news = viewer.news();
        assert_eq!(news.len(), 1);
        assert_eq!(
            *news[0].2,
            json!({"namespace": "default", "name": "a", "uid": "u1", "lines": ["one"],
            "cols": 80, "rows": 24, "wake": []})
        );
        viewer.told(news.into_iter().map(|(agent, change, _)| (agent, change)));
        screens.take(answer("u1", "one"), &agents);
        assert!(viewer.news().is_empty(), "nothing changed");
        screens.take(answer("u1", "two"), &agents);
        assert_eq!(viewer.news().len(), 1);
        drop(viewer);
        assert!(screens.state().lookers.is_empty() && screens.state().latest.is_empty());
    }

    #[test]
    fn two_viewers_share_what_is_known() {
        let screens = Screens::default();
        let agents = HashMap::from([("u1".to_owned(), agent("a"))]);
        let mut first = screens.viewer();
        first.look_at(vec![agent("a")]);
        screens.take(answer("u1", "one"), &agents);
        let mut second = screens.viewer();
        second.look_at(vec![agent("a")]);
        assert_eq!(second.news().len(), 1, "the newcomer need not wait for a change");
        first.look_at(vec![]);
        assert_eq!(second.news().len(), 1);
    }
}
