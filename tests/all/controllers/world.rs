//! An API server with all controllers, and hosts that do what they are told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::put;
use axum::{Json, Router};
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::{Api, Client};
use regatta::api::agent_status::{Session, Worktree};
use regatta::api::conditions::{READY, Truth, Verdict};
use regatta::api::link::{Desired, Heartbeat, Hello, HostInfo, Observed, ObservedRepo, Welcome, Workspace};
use regatta::api::{Activity, Agent, crds};
use regatta::apiserver::{ApiServer, Options, User};
use regatta::controller::{self, ControllerOptions, Manifests};
use regatta::gateway::hosts::Hosts;
use regatta::gateway::links::HostLinks;
use regatta::link::{Link, Side, pair};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub struct World {
    pub client: Client,
    pub home: tempfile::TempDir,
    hosts: Hosts,
    links: HostLinks,
    tasks: JoinSet<()>,
    server: ApiServer,
    controllers: Option<(CancellationToken, tokio::task::JoinHandle<()>)>,
}

impl World {
    pub async fn start() -> World {
        let home = tempfile::tempdir().unwrap();
        let options = Options { database: home.path().join("api.db"), crds: crds() };
        let server = ApiServer::open(options).await.unwrap();
        let client = server.client(User::admin());
        let links = HostLinks::new();
        let hosts = Hosts::new(server.client(User::system("gateway")), links.clone());
        let mut world = World { client, home, hosts, links, tasks: JoinSet::new(), server, controllers: None };
        world.start_controllers();
        world
    }

    pub fn start_controllers(&mut self) {
        let shutdown = CancellationToken::new();
        let options = ControllerOptions {
            home: self.home.path().to_owned(),
            manifests: Manifests::Followed,
            shutdown: shutdown.clone(),
        };
        let client = self.server.client(User::system("controllers"));
        let running = tokio::spawn(async move { controller::run(client, options).await.unwrap() });
        self.controllers = Some((shutdown, running));
    }

    pub async fn stop_controllers(&mut self) {
        let (shutdown, running) = self.controllers.take().expect("they run");
        shutdown.cancel();
        running.await.unwrap();
    }

    /// A host connects and says hello with what it has.
    pub async fn connect(&mut self, name: &str, has: Vec<Observed>) -> Host {
        let host = Host::default();
        let (ours, theirs) = pair();
        let (gate, gate_driver) = Link::start(ours, Side::Server, self.hosts.router(name));
        let (link, link_driver) = Link::start(theirs, Side::Client, host.router());
        self.tasks.spawn(async move { drop(gate_driver.await) });
        self.tasks.spawn(async move { drop(link_driver.await) });
        self.links.insert(name, gate.clone());
        let (hosts, at) = (self.hosts.clone(), name.to_owned());
        self.tasks.spawn(async move { hosts.run(&at, gate).await });
        host.link.lock().unwrap().replace(link.clone());
        for observed in &has {
            host.observed.lock().unwrap().insert(observed.uid.clone(), observed.clone());
        }
        let labels = BTreeMap::from([("zone".to_owned(), "dock".to_owned())]);
        let info = HostInfo { os: "linux".into(), version: "0.1.0".into(), cpus: 2, labels, ..HostInfo::default() };
        let welcome: Welcome = call(&link, "POST", "/hello", &Hello { host: info, observed: has }).await;
        for desired in welcome.desired {
            host.act(desired).await;
        }
        host
    }

    pub async fn apply(&self, text: &str) {
        for document in regatta::api::yaml::parse(text).unwrap() {
            self.apply_value(document.value).await;
        }
    }

    pub async fn apply_value(&self, value: Value) {
        let (kind, name) = (value["kind"].as_str().unwrap().to_owned(), value["metadata"]["name"].as_str().unwrap());
        let ours = crds().into_iter().map(|crd| crd.spec).find(|spec| spec.names.kind == kind);
        let plural = ours.as_ref().map_or_else(|| kind.to_lowercase() + "s", |spec| spec.names.plural.clone());
        let place = if ours.is_some_and(|spec| spec.scope == "Cluster") { "" } else { "namespaces/default/" };
        let path = match kind.as_str() {
            "Secret" => format!("/api/v1/{place}{plural}/{name}"),
            _ => format!("/apis/regatta.dev/v1alpha1/{place}{plural}/{name}"),
        };
        let request = http::Request::patch(format!("{path}?fieldManager=test&fieldValidation=Strict"))
            .header("content-type", "application/apply-patch+yaml")
            .body(value.to_string().into_bytes())
            .unwrap();
        self.client.request::<Value>(request).await.unwrap_or_else(|e| panic!("{kind} {name}: {e}"));
    }

    pub fn agents(&self) -> Api<Agent> {
        Api::default_namespaced(self.client.clone())
    }

    pub async fn agent(&self, name: &str) -> Agent {
        self.agents().get(name).await.unwrap()
    }

    pub async fn patch_agent(&self, name: &str, patch: Value) {
        let params = PatchParams { field_validation: Some(ValidationDirective::Strict), ..PatchParams::default() };
        self.agents().patch(name, &params, &Patch::Merge(patch)).await.unwrap();
    }

    pub fn manifests(&self) -> std::path::PathBuf {
        self.home.path().join("manifests")
    }
}

/// A host that says it does whatever it is told, unless it is held.
#[derive(Clone, Default)]
pub struct Host {
    pub desired: Arc<Mutex<BTreeMap<String, Desired>>>,
    pub observed: Arc<Mutex<BTreeMap<String, Observed>>>,
    pub forgotten: Arc<Mutex<Vec<String>>>,
    pub held: Arc<Mutex<bool>>,
    pub link: Arc<Mutex<Option<Link>>>,
}

impl Host {
    fn router(&self) -> Router {
        Router::new().route("/desired/{uid}", put(told).delete(forget)).with_state(self.clone())
    }

    pub fn link(&self) -> Link {
        self.link.lock().unwrap().clone().unwrap()
    }

    pub fn hold(&self, held: bool) {
        *self.held.lock().unwrap() = held;
    }

    pub fn wants(&self, name: &str) -> Option<Desired> {
        self.desired.lock().unwrap().values().find(|d| d.name == name).cloned()
    }

    pub async fn act(&self, desired: Desired) {
        self.desired.lock().unwrap().insert(desired.uid.clone(), desired.clone());
        if !*self.held.lock().unwrap() {
            self.report(observe(&desired)).await;
        }
    }

    pub async fn report(&self, observed: Observed) {
        let observed = observed.sealed();
        let path = format!("/observed/{}", observed.uid);
        self.observed.lock().unwrap().insert(observed.uid.clone(), observed.clone());
        let _: Value = call(&self.link(), "PUT", &path, &observed).await;
    }

    pub async fn heartbeat(&self) -> Heartbeat {
        let nothing = Heartbeat { desired_digest: String::new(), observed_digest: String::new() };
        call(&self.link(), "POST", "/heartbeat", &nothing).await
    }
}

async fn told(State(host): State<Host>, UrlPath(uid): UrlPath<String>, Json(desired): Json<Desired>) -> StatusCode {
    assert_eq!(uid, desired.uid);
    // As a real host does: file it, then do it.
    tokio::spawn(async move { host.act(desired).await });
    StatusCode::NO_CONTENT
}

async fn forget(State(host): State<Host>, UrlPath(uid): UrlPath<String>) -> StatusCode {
    host.desired.lock().unwrap().remove(&uid);
    host.observed.lock().unwrap().remove(&uid);
    host.forgotten.lock().unwrap().push(uid);
    StatusCode::NO_CONTENT
}

pub fn observe(desired: &Desired) -> Observed {
    let repo = match &desired.workspace {
        Workspace::Worktree { repo, .. } => Some(ObservedRepo {
            uid: repo.uid.clone(),
            default_branch: Some("main".into()),
            head_sha: Some("0".repeat(40)),
            fetched_ms: Some(1_800_000_000_000),
            error: None,
        }),
        Workspace::Directory { .. } | Workspace::Scratch => None,
    };
    let ready = match &desired.blocked {
        Some(why) => why.clone(),
        None => Verdict::new(READY, Truth::True, "Running", "its command runs"),
    };
    Observed {
        uid: desired.uid.clone(),
        namespace: desired.namespace.clone(),
        name: desired.name.clone(),
        version: String::new(),
        desired_version: desired.version.clone(),
        generation: desired.generation,
        verdicts: vec![ready],
        activity: Activity::Working,
        activity_since_ms: 1_800_000_000_000,
        activity_source: "session".into(),
        message: String::new(),
        session: Some(Session {
            tmux: format!("regatta-0-0 ag-{}", desired.uid),
            conversation_id: None,
            pid: Some(1),
            epoch: 1,
        }),
        worktree: Some(Worktree { path: format!("/w/{}", desired.uid), ..Worktree::default() }),
        log: None,
        restarts: 0,
        exit: None,
        effective: Some(desired.effective.clone()),
        repo,
        removed: desired.deleting,
    }
}

pub async fn call<B: Serialize, A: DeserializeOwned>(link: &Link, method: &str, path: &str, body: &B) -> A {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(serde_json::to_vec(body).unwrap().into())
        .unwrap();
    let answer = link.request(request).await.unwrap();
    assert!(answer.status().is_success(), "{method} {path}: {}", answer.status());
    let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    serde_json::from_slice(if bytes.is_empty() { b"null" } else { &bytes }).unwrap()
}

/// Waits until `value` has something to say that is not `None`.
pub async fn eventually<T>(what: &str, mut value: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = value().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Status and reason of a condition, when it has been observed at the object's own generation.
pub fn condition(object: &impl Serialize, kind: &str) -> Option<(String, String)> {
    let object = json!(object);
    let conditions = object["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|c| c["type"] == kind)?;
    let generation = object["metadata"]["generation"].as_i64();
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    (found["observedGeneration"].as_i64() >= generation).then(|| (text("status"), text("reason")))
}

pub fn is(object: &impl Serialize, kind: &str, status: &str) -> Option<()> {
    (condition(object, kind)?.0 == status).then_some(())
}

pub fn write(directory: &Path, file: &str, text: &str) {
    std::fs::write(directory.join(file), text).unwrap();
}

pub fn agent(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": name}, "spec": spec})
}
