//! Row 5: the API of `regatta up` beside a real control plane (kube-apiserver, etcd, controller-manager; all durable), both over
//! TLS on loopback, with the same client and the same objects: Agents' own schema under another group, so that no controller acts.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures::StreamExt;
use http_body_util::BodyExt;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Scale;
use crate::harness::Up;
use crate::processes;
use crate::report::{Report, percentile};

const GROUP: &str = "bench.example.com";
const PAGE: u32 = 500;
const WATCHERS: usize = 100;
const IDLE_WATCHES: usize = 200;
const LISTS: usize = 5;

/// Figures in the order in which they are reported; both sides give the same names.
type Figures = Vec<(String, &'static str, f64)>;

pub fn run(runtime: &Runtime, scale: Scale, report: &mut Report) {
    let mut up = Up::start();
    let ours = measure(runtime, scale, &mut up);
    drop(up);
    let mut real = ControlPlane::start();
    let theirs = measure(runtime, scale, &mut real);
    for ((what, unit, value), (_, _, baseline)) in ours.into_iter().zip(theirs) {
        report.row(&what, unit, value, Some(("kube-apiserver", baseline)));
    }
}

/// What is measured: how to reach it, which processes it is, and how to start it again on what it has stored.
trait Server {
    fn kubeconfig(&self) -> PathBuf;
    fn pid(&self) -> u32;
    /// Ends it politely and starts it again.
    fn again(&mut self);
}

impl Server for Up {
    fn kubeconfig(&self) -> PathBuf {
        Up::kubeconfig(self)
    }
    fn pid(&self) -> u32 {
        Up::pid(self)
    }
    fn again(&mut self) {
        self.terminate();
        self.start_again();
    }
}

/// `target/kube/kube control-plane`, see tests/kube.
struct ControlPlane {
    directory: tempfile::TempDir,
    child: Child,
}

impl ControlPlane {
    fn start() -> ControlPlane {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let child = control_plane(directory.path());
        ControlPlane { directory, child }
    }

    fn stop(&mut self) {
        // It ends when nobody holds its standard input.
        drop(self.child.stdin.take());
        self.child.wait().expect("the control plane ends");
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Server for ControlPlane {
    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }
    fn pid(&self) -> u32 {
        self.child.id()
    }
    fn again(&mut self) {
        self.stop();
        self.child = control_plane(self.directory.path());
    }
}

/// Returns when it says that it is ready.
fn control_plane(directory: &Path) -> Child {
    let binary = concat!(env!("CARGO_MANIFEST_DIR"), "/target/kube/kube");
    let mut child = Command::new(binary)
        .args(["control-plane", "--dir"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(directory.join("stderr")).expect("a log"))
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {binary}: {error}; build it with: make {binary}"));
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "the control plane ended; see {}", directory.join("stderr").display());
    child
}

fn measure(runtime: &Runtime, scale: Scale, server: &mut impl Server) -> Figures {
    let mut figures = Figures::new();
    let tree = processes::tree(server.pid());
    runtime.block_on(async {
        let client = client(&server.kubeconfig()).await;
        install(&client).await;
        figures.push(("memory, empty".into(), "MiB", processes::memory(&tree)));
        let agents: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource());
        let made = creates(&agents, scale, &mut figures).await;
        lists(&client, &agents, made, &mut figures).await;
        figures.push((format!("memory, {made} objects"), "MiB", processes::memory(&tree)));
        watches(&client, &agents, scale.updates, &mut figures).await;
        idle(&client, &tree, scale.idle_seconds, &mut figures).await;
    });
    let made = runtime.block_on(async { count(&client(&server.kubeconfig()).await).await });
    let started = Instant::now();
    server.again();
    runtime.block_on(async {
        // Started is when it answers with what it has, not when it says so.
        let client = client(&server.kubeconfig()).await;
        while client.request_text(get(&format!("{}?limit=1", path()))).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        figures.push((format!("stop and start, {made} objects"), "ms", started.elapsed().as_secs_f64() * 1e3));
        assert_eq!(count(&client).await, made, "what was acknowledged is there after a restart");
    });
    figures
}

async fn client(kubeconfig: &Path) -> Client {
    let config = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let mut config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.expect("a configuration");
    config.read_timeout = None;
    Client::try_from(config).expect("a client")
}

fn resource() -> ApiResource {
    let gvk = kube::core::GroupVersionKind::gvk(GROUP, regatta::api::VERSION, "Agent");
    ApiResource::from_gvk_with_plural(&gvk, "agents")
}

fn path() -> String {
    format!("/apis/{GROUP}/{}/namespaces/default/agents", regatta::api::VERSION)
}

fn get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).body(Vec::new()).expect("a request")
}

async fn install(client: &Client) {
    let mut crd = regatta::api::crds().into_iter().find(|c| c.spec.names.kind == "Agent").expect("the Agent kind");
    crd.spec.group = GROUP.into();
    crd.spec.names.categories = None;
    crd.metadata.name = Some(format!("agents.{GROUP}"));
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.create(&PostParams::default(), &crd).await.expect("the definition is accepted");
    while client.request_text(get(&path())).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// How many there are.
async fn count(client: &Client) -> usize {
    let list: serde_json::Value = client.request(get(&path())).await.expect("a list");
    list["items"].as_array().map_or(0, Vec::len)
}

async fn creates(agents: &Api<DynamicObject>, scale: Scale, figures: &mut Figures) -> usize {
    let mut made = 0;
    let rest = scale.objects.saturating_sub(scale.creates);
    for (writers, count) in [(1, scale.creates), (16, rest / 2), (64, rest - rest / 2)] {
        let started = Instant::now();
        let mut times = create(agents, writers, count).await;
        let rate = times.len() as f64 / started.elapsed().as_secs_f64();
        made += times.len();
        figures.push((format!("creates, {writers} writers"), "/s", rate));
        figures.push((format!("create, {writers} writers, p50"), "ms", percentile(&mut times, 0.5)));
        figures.push((format!("create, {writers} writers, p99"), "ms", percentile(&mut times, 0.99)));
    }
    made
}

/// Milliseconds of each.
async fn create(agents: &Api<DynamicObject>, writers: usize, count: usize) -> Vec<f64> {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let agents = agents.clone();
        tasks.spawn(async move {
            let mut times = Vec::new();
            for i in (writer..count).step_by(writers) {
                let object = json!({
                    "apiVersion": format!("{GROUP}/{}", regatta::api::VERSION), "kind": "Agent",
                    "metadata": {"name": format!("a-{writers}-{i}"), "labels": {"writer": writer.to_string()}},
                    "spec": {"adapter": "command", "command": ["sleep", "1000"], "prompt": {"text": "x".repeat(200)}},
                });
                let object = serde_json::from_value(object).expect("an object");
                let started = Instant::now();
                agents.create(&PostParams::default(), &object).await.expect("created");
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
            times
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// As bytes: what the client does with them is its own matter.
async fn lists(client: &Client, agents: &Api<DynamicObject>, made: usize, figures: &mut Figures) {
    let mut whole = Vec::new();
    let mut paged = Vec::new();
    for _ in 0..LISTS {
        let started = Instant::now();
        let bytes = client.request_text(get(&path())).await.expect("a list").len();
        whole.push(started.elapsed().as_secs_f64() * 1e3);
        assert!(bytes > made * 500, "{bytes} bytes are no list of {made}");

        let started = Instant::now();
        let mut seen = 0;
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = agents.list_metadata(&params).await.expect("a page");
            seen += page.items.len();
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => break,
            }
        }
        paged.push(started.elapsed().as_secs_f64() * 1e3);
        assert_eq!(seen, made);
    }
    figures.push((format!("list of {made}"), "ms", percentile(&mut whole, 0.5)));
    figures.push((format!("list of {made} by {PAGE}, metadata"), "ms", percentile(&mut paged, 0.5)));
}

/// A watch as the stream of its lines; the first that came with the answer's head is not waited for.
async fn watch(client: &Client) -> kube::client::Body {
    let path = format!("{}?watch=true&resourceVersion={}", path(), version(client).await);
    let request = http::Request::get(path).body(kube::client::Body::empty()).expect("a request");
    let response = client.send(request).await.expect("a watch");
    assert!(response.status().is_success(), "a watch is answered with {}", response.status());
    response.into_body()
}

async fn version(client: &Client) -> String {
    let list: serde_json::Value = client.request(get(&format!("{}?limit=1", path()))).await.expect("a list");
    list["metadata"]["resourceVersion"].as_str().expect("a version").to_owned()
}

async fn watches(client: &Client, agents: &Api<DynamicObject>, updates: usize, figures: &mut Figures) {
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHERS {
        let mut events = watch(client).await.into_data_stream();
        watchers.spawn(async move {
            let mut seen = 0;
            while seen < updates {
                let bytes = events.next().await.expect("the watch goes on").expect("bytes");
                seen += bytes.iter().filter(|b| **b == b'\n').count();
            }
        });
    }
    let started = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let agents = agents.clone();
        writers.spawn(async move {
            for i in (writer..updates).step_by(16) {
                let patch = Patch::Merge(json!({"metadata": {"labels": {"round": i.to_string()}}}));
                let name = format!("a-1-{}", i % 100);
                agents.patch(&name, &PatchParams::default(), &patch).await.expect("patched");
            }
        });
    }
    writers.join_all().await;
    watchers.join_all().await;
    let what = format!("{updates} updates at {WATCHERS} watchers");
    figures.push((what, "ms", started.elapsed().as_secs_f64() * 1e3));
}

async fn idle(client: &Client, tree: &[u32], seconds: u64, figures: &mut Figures) {
    let mut watches = Vec::new();
    for _ in 0..IDLE_WATCHES {
        watches.push(watch(client).await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = processes::cpu(tree);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let share = (processes::cpu(tree) - before) / seconds as f64 * 100.0;
    figures.push((format!("idle with {IDLE_WATCHES} watches"), "% core", share));
    drop(watches);
}
