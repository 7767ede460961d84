//! The two servers: a real control plane and `regatta up`, each started once for the whole run, with the same definitions.
//! A shell beside each watches its stdin and ends it, and removes its data, when this process is gone however it went.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use http::Method;
use serde_json::Value;

use crate::http::{Answer, Ask};

const REGATTA: &str = env!("CARGO_BIN_EXE_regatta");
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// How long something may take to settle: the real garbage collector notices a new definition within half a minute.
pub const PATIENCE: Duration = Duration::from_secs(75);

/// One of the two, as a case sees it.
pub struct Side {
    pub name: &'static str,
    pub client: kube::Client,
    pub kubeconfig: PathBuf,
}

pub struct Pair {
    pub real: Side,
    pub ours: Side,
}

struct Running {
    _guards: [Child; 2],
    kubeconfigs: [PathBuf; 2],
}

fn running() -> &'static Running {
    static RUNNING: OnceLock<Running> = OnceLock::new();
    RUNNING.get_or_init(|| {
        let (real, real_said, real_home) = spawn("kube-", |home| {
            let program = Path::new(ROOT).join("target/kube/kube");
            assert!(program.exists(), "{} is missing; run `make target/kube/kubectl`", program.display());
            let mut command = vec![program.display().to_string(), "control-plane".into(), "--dir".into()];
            command.push(home.display().to_string());
            command
        });
        let (ours, ours_said, ours_home) = spawn("rg-", |home| {
            let args = ["up", "--listen", "127.0.0.1:0", "--kube-listen", "127.0.0.1:0", "-o", "json", "--home"];
            let args = args.iter().map(|arg| arg.to_string());
            std::iter::once(REGATTA.to_string()).chain(args).chain([home.display().to_string()]).collect()
        });
        let logs = |home: &Path| {
            let log = std::fs::read_to_string(home.join("stderr")).unwrap_or_default();
            log.lines().rev().take(20).collect::<Vec<_>>().join("\n")
        };
        let real_config = real_said
            .strip_prefix("kubeconfig ")
            .unwrap_or_else(|| panic!("the real control plane did not start:\n{}", logs(&real_home)));
        assert!(ours_said.starts_with('{'), "`regatta up` did not start:\n{}", logs(&ours_home));
        Running { _guards: [real, ours], kubeconfigs: [real_config.into(), ours_home.join("kubeconfig")] }
    })
}

/// Starts a program whose first line on stdout says that it is ready.
fn spawn(prefix: &str, command: impl Fn(&Path) -> Vec<String>) -> (Child, String, PathBuf) {
    // Not one that is removed on drop: statics are never dropped. The shell removes it.
    let home = tempfile::Builder::new().prefix(prefix).tempdir().unwrap().keep();
    let script = r#"trap '' INT; home=$1; shift
        "$@" </dev/null 2>"$home/stderr" & child=$!
        cat >/dev/null; kill "$child"; wait "$child"; rm -rf "$home""#;
    let with_stdin = r#"trap '' INT; home=$1; shift; "$@" 2>"$home/stderr"; rm -rf "$home""#;
    let watches_stdin = prefix.starts_with("kube");
    let mut child = Command::new("sh")
        .args(["-c", if watches_stdin { with_stdin } else { script }, "sh"])
        .arg(&home)
        .args(command(&home))
        .env("HOME", &home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line on stdout");
    (child, line.trim().to_owned(), home)
}

async fn side(name: &'static str, kubeconfig: &Path) -> Side {
    let read = kube::config::Kubeconfig::read_from(kubeconfig).expect("a kubeconfig");
    let config = kube::Config::from_custom_kubeconfig(read, &Default::default()).await.expect("a kubeconfig");
    let client = kube::Client::try_from(config).expect("a client");
    Side { name, client, kubeconfig: kubeconfig.into() }
}

impl Pair {
    /// Both servers with every definition in place; started by whoever comes first.
    pub async fn connect() -> Pair {
        let running = tokio::task::spawn_blocking(running).await.expect("both start");
        let [real, ours] = &running.kubeconfigs;
        let pair = Pair { real: side("real", real).await, ours: side("ours", ours).await };
        let own = definitions(&Path::new(ROOT).join("crd"));
        let shared = definitions(&Path::new(ROOT).join("tests/cluster/definitions"));
        for definition in own.iter().chain(&shared) {
            pair.real.install(definition).await;
        }
        for definition in &shared {
            pair.ours.install(definition).await;
        }
        pair
    }
}

fn definitions(folder: &Path) -> Vec<Value> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        found.push(serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", entry.path().display())));
    }
    assert!(!found.is_empty(), "{} holds no definitions", folder.display());
    found
}

impl Side {
    pub async fn ask(&self, ask: Ask) -> Answer {
        ask.send(&self.client).await
    }

    /// A JSON request that must succeed.
    pub async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(Ask::json(method, path, body)).await;
        assert!(answer.code < 300, "{}: {path}: {} {}", self.name, answer.code, answer.text());
        answer.json().unwrap_or(Value::Null)
    }

    async fn install(&self, definition: &Value) {
        let name = definition["metadata"]["name"].as_str().expect("a name");
        let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
        let mut ask = Ask::json(
            Method::PATCH,
            &format!("{path}?fieldManager=installer&force=true&fieldValidation=Ignore"),
            Some(definition),
        );
        ask.content_type = Some("application/apply-patch+yaml".into());
        let answer = self.ask(ask).await;
        assert!(answer.code < 300, "{}: {name}: {}", self.name, answer.text());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let live = self.json(Method::GET, &path, None).await;
            let list = live["status"]["conditions"].as_array().cloned().unwrap_or_default();
            if list.iter().any(is_established) {
                return;
            }
            assert!(Instant::now() < deadline, "{}: {name} is not established: {list:?}", self.name);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn is_established(condition: &Value) -> bool {
    condition["type"] == "Established" && condition["status"] == "True"
}
