//! `regatta serve`: control planes over somebody else's API server, of which one leads.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regatta::api::{Agent, crds};
use regatta::apiserver::{ApiServer, Options, User};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, REGATTA, kill_tmux};

/// An API server that is not the control plane's own.
struct Cluster {
    directory: tempfile::TempDir,
    client: Client,
    _server: ApiServer,
    serving: tokio::task::JoinHandle<()>,
}

impl Cluster {
    async fn start(
        definitions: Vec<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition>,
    ) -> Cluster {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { database: directory.path().join("api.db"), crds: definitions };
        let server = ApiServer::open(options).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = server.router().layer(axum::Extension(User::admin()));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "c", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        });
        std::fs::write(directory.path().join("kubeconfig"), config.to_string()).unwrap();
        Cluster { client: server.client(User::admin()), directory, _server: server, serving }
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A running `regatta serve --kube` with a home of its own.
struct Serve {
    home: tempfile::TempDir,
    child: Child,
    said: Value,
}

impl Serve {
    fn start(kubeconfig: &Path, more: &[&str]) -> Serve {
        let home = tempfile::Builder::new().prefix("rg-").tempdir().unwrap();
        let mut child = serve(home.path(), kubeconfig, more).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!("{line:?}; its log:\n{}", std::fs::read_to_string(home.path().join("stderr")).unwrap())
        });
        Serve { home, child, said }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("stderr")).unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        // Already dead is fine: the test may have killed it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        kill_tmux(&self.home.path().join("host"));
    }
}

fn serve(home: &Path, kubeconfig: &Path, more: &[&str]) -> Command {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join("stderr")).unwrap();
    let mut command = Command::new(REGATTA);
    command
        .args([
            "serve",
            "--kube",
            "--listen",
            "127.0.0.1:0",
            "--kube-listen",
            "127.0.0.1:0",
            "-o",
            "json",
            "--kubeconfig",
        ])
        .arg(kubeconfig)
        .args(more)
        .arg("--home")
        .arg(home)
        .env("HOME", home)
        .env_remove("KUBECONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log);
    command
}

async fn holder(client: &Client) -> Option<String> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), "regatta-system");
    leases.get_opt("regatta-controllers").await.unwrap()?.spec?.holder_identity
}

/// Waits for a leader other than this one; says who and how long it took.
async fn leader(client: &Client, but: Option<&str>) -> (String, Duration) {
    let started = Instant::now();
    loop {
        match holder(client).await {
            Some(holder) if Some(holder.as_str()) != but => return (holder, started.elapsed()),
            _ => assert!(started.elapsed() < PATIENCE, "nobody leads"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An agent that is placed on a host: somebody's controllers act.
async fn is_placed(client: &Client, name: &str) -> Agent {
    let agents: Api<Agent> = Api::default_namespaced(client.clone());
    let agent = json!({"apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": name},
        "spec": {"command": ["sleep", "1000"], "adapter": "command"}});
    agents.create(&Default::default(), &serde_json::from_value(agent).unwrap()).await.unwrap();
    let started = Instant::now();
    loop {
        let agent = agents.get(name).await.unwrap();
        if agent.status.as_ref().is_some_and(|s| s.host_name.is_some()) {
            return agent;
        }
        assert!(started.elapsed() < PATIENCE, "{name} is not placed: {:?}", agent.status);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Which of these is the leader called this.
fn who<'a>(identity: &str, servers: &[&'a Serve]) -> &'a Serve {
    servers.iter().find(|s| identity.split('_').nth(1) == Some(&s.child.id().to_string())).expect("one of ours")
}

/// The whole of leadership, over any API server that has the definitions.
async fn leadership(kubeconfig: &Path, client: &Client) {
    // The first has the host and stays alive; the ones that come and go have none.
    let first = Serve::start(kubeconfig, &["--host=fermi"]);
    let (identity, _) = leader(client, None).await;
    assert!(std::ptr::eq(who(&identity, &[&first]), &first));
    let agent = is_placed(client, "a").await;
    assert_eq!(agent.status.unwrap().host_name.as_deref(), Some("fermi"));

    // Stopped, not ended: when it goes on, another leads, and it must not have acted meanwhile.
    let second = Serve::start(kubeconfig, &[]);
    first.signal(Signal::SIGSTOP);
    let (taken, after) = leader(client, Some(&identity)).await;
    println!("took over {after:?} after the leader was stopped");
    assert!(after < Duration::from_secs(20), "{after:?}");
    assert!(std::ptr::eq(who(&taken, &[&second]), &second));
    first.signal(Signal::SIGCONT);
    is_placed(client, "b").await;
    let deadline = Instant::now() + PATIENCE;
    while !first.log().contains("leads no longer") {
        assert!(Instant::now() < deadline, "{}", first.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(holder(client).await.as_deref(), Some(taken.as_str()));

    // kill -9: within the Lease.
    let mut second = second;
    second.child.kill().unwrap();
    let (third, after) = leader(client, Some(&taken)).await;
    println!("took over {after:?} after kill -9");
    assert!(after < Duration::from_secs(20), "{after:?}");
    assert!(std::ptr::eq(who(&third, &[&first]), &first), "the first leads again");
    is_placed(client, "c").await;

    // A clean exit gives the Lease back.
    let fourth = Serve::start(kubeconfig, &[]);
    first.signal(Signal::SIGTERM);
    let (last, after) = leader(client, Some(&third)).await;
    println!("took over {after:?} after a clean exit");
    assert!(after < Duration::from_secs(3), "{after:?}");
    assert!(std::ptr::eq(who(&last, &[&fourth]), &fourth));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_control_plane_leads_and_another_takes_over() {
    let cluster = Cluster::start(crds()).await;
    leadership(&cluster.kubeconfig(), &cluster.client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_over_a_cluster_answers_in_its_callers_names() {
    let cluster = Cluster::start(crds()).await;
    let server = Serve::start(&cluster.kubeconfig(), &[]);
    let kubeconfig = server.said["kubeconfig"].as_str().unwrap().to_owned();
    let config = kube::config::Kubeconfig::read_from(&kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &Default::default()).await.unwrap();
    let through = Client::try_from(config).unwrap();
    let maps: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(through.clone());
    let map = json!({"metadata": {"name": "m"}, "data": {"a": "x".repeat(100_000)}});
    maps.create(&Default::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    let direct: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::default_namespaced(cluster.client.clone());
    assert_eq!(direct.get("m").await.unwrap().data, maps.get("m").await.unwrap().data);
    // A watch comes through as it goes.
    let version = maps.list(&Default::default()).await.unwrap().metadata.resource_version.unwrap();
    let mut events = Box::pin(maps.watch(&Default::default(), &version).await.unwrap());
    direct.delete("m", &Default::default()).await.unwrap();
    let event = tokio::time::timeout(PATIENCE, futures::TryStreamExt::try_next(&mut events)).await.unwrap().unwrap();
    assert!(matches!(event, Some(kube::api::WatchEvent::Deleted(_))), "{event:?}");
    // To be somebody else, one has to ask the cluster itself.
    let sly = http::Request::get("/api/v1/namespaces").header("impersonate-user", "ada").body(vec![]).unwrap();
    let refused = through.request::<Value>(sly).await.unwrap_err();
    assert!(matches!(&refused, kube::Error::Api(status) if status.code == 403), "{refused}");
    // No credential, nothing.
    let url = kube::config::Kubeconfig::read_from(&kubeconfig).unwrap().clusters[0].cluster.clone().unwrap();
    let mut bare = kube::Config::new(url.server.unwrap().parse().unwrap());
    bare.accept_invalid_certs = true;
    let bare = Client::try_from(bare).unwrap();
    let nobody =
        bare.request::<Value>(http::Request::get("/api/v1/namespaces").body(vec![]).unwrap()).await.unwrap_err();
    assert!(matches!(&nobody, kube::Error::Api(status) if status.code == 401), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_the_definitions_is_told_which_and_how() {
    let cluster = Cluster::start(Vec::new()).await;
    let home = tempfile::tempdir().unwrap();
    let kubeconfig = cluster.kubeconfig();
    let directory = home.path().to_owned();
    let output =
        tokio::task::spawn_blocking(move || serve(&directory, &kubeconfig, &[]).output().unwrap()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = std::fs::read_to_string(home.path().join("stderr")).unwrap();
    assert!(said.contains("agents.regatta.dev") && said.contains("regatta crd | kubectl apply"), "{said}");
    let api: Api<k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition> =
        Api::all(cluster.client.clone());
    assert!(api.list(&Default::default()).await.unwrap().items.is_empty(), "nothing was installed");
}
