//! Sources in repositories: real git on both sides, over files and over HTTP.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Request, Response, StatusCode, header};
use base64::Engine;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use regatta::api::Source;
use regatta::api::conditions::{CONVERGED, FETCHED, PRUNE_BLOCKED, READY, find};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::super::world::{World, condition, eventually, is, write};
use super::{make, named, nothing_goes, one_agent};
use crate::harness::{Up, git, ok, until};

/// A repository to push to, and a checkout to push from.
struct Forge {
    directory: tempfile::TempDir,
}

impl Forge {
    fn new() -> Forge {
        let directory = tempfile::tempdir().unwrap();
        let forge = Forge { directory };
        git(forge.directory.path(), &["init", "-q", "--bare", "-b", "main", "fleet.git"]);
        git(forge.directory.path(), &["clone", "-q", "fleet.git", "work"]);
        git(&forge.work(), &["checkout", "-q", "-b", "main"]);
        std::fs::create_dir(forge.work().join("deploy")).unwrap();
        forge
    }

    fn work(&self) -> PathBuf {
        self.directory.path().join("work")
    }

    fn url(&self) -> String {
        format!("file://{}", self.directory.path().join("fleet.git").display())
    }

    fn write(&self, file: &str, text: &str) {
        write(&self.work(), file, text);
    }

    /// Commits and pushes everything; says which commit it is.
    fn push(&self) -> String {
        git(&self.work(), &["add", "-A"]);
        git(&self.work(), &["commit", "-qm", "change"]);
        git(&self.work(), &["push", "-q", "--force", "origin", "HEAD"]);
        git(&self.work(), &["rev-parse", "HEAD"])
    }
}

fn fleet(count: usize) -> String {
    (0..count).map(|i| one_agent(&format!("a{i}"), "run: Running")).collect()
}

async fn at(world: &World, revision: &str) -> Source {
    let arrived = async || {
        let source = named(world, "fleet").await;
        (source.status.as_ref()?.revision.as_deref() == Some(revision)).then_some(source)
    };
    eventually(&format!("revision {revision}"), arrived).await
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_become_objects_and_what_they_remove_goes() {
    let mut world = World::start().await;
    let _host = world.connect("fermi", vec![]).await;
    let forge = Forge::new();
    forge.write("deploy/fleet.yaml", &fleet(2));
    forge.write("elsewhere.yaml", "this is: [no manifest");
    let first = forge.push();
    make(&world, "fleet", json!({"git": {"url": forge.url(), "dir": "deploy"}, "period": "1s"})).await;
    let source = at(&world, &first).await;
    assert!(is(&source, FETCHED, "True").is_some() && is(&source, READY, "True").is_some());
    assert_eq!(source.status.unwrap().location.unwrap(), format!("{}//deploy", forge.url()));
    eventually("convergence", async || is(&named(&world, "fleet").await, CONVERGED, "True")).await;

    forge.write("deploy/fleet.yaml", &fleet(1));
    forge.write("deploy/more.yaml", &one_agent("b", "run: Stopped"));
    let pushed = Instant::now();
    let second = forge.push();
    at(&world, &second).await;
    println!("a commit was applied {:?} after its push, asked for every second", pushed.elapsed());
    world.agent("b").await;
    let gone = async || world.agents().get_opt("a1").await.unwrap().is_none().then_some(());
    eventually("the end of a1", gone).await;
    world.agent("a0").await;
    // The default branch is one spelling; a branch, a tag and a commit are others.
    git(&forge.work(), &["tag", "-a", "v1", "-m", "v1", &first]);
    git(&forge.work(), &["push", "-q", "origin", "v1"]);
    for reference in ["v1", "refs/heads/main", "main", first.as_str()] {
        let spec = json!({"git": {"url": forge.url(), "dir": "deploy", "ref": reference}, "prune": "Disabled"});
        make(&world, "fleet", spec).await;
        at(&world, if reference.ends_with("main") { &second } else { &first }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_history_and_a_lost_branch_keep_what_there_is() {
    let world = World::start().await;
    let forge = Forge::new();
    forge.write("deploy/fleet.yaml", &fleet(1));
    let base = forge.push();
    forge.write("deploy/fleet.yaml", &fleet(3));
    let good = forge.push();
    let spec = json!({"git": {"url": forge.url(), "dir": "deploy", "ref": "main"}, "period": "1s"});
    make(&world, "fleet", spec).await;
    at(&world, &good).await;

    // Somebody pushes a history without the last commit.
    git(&forge.work(), &["reset", "-q", "--hard", &base]);
    forge.write("deploy/note.txt", "other");
    let forced = forge.push();
    let blocked = async || find(&named(&world, "fleet").await.status?.conditions, PRUNE_BLOCKED).cloned();
    let why = eventually("the guard", blocked).await.message;
    assert!(why.contains("rewritten") && why.contains(&format!("allow-prune={forced}")), "{why}");
    nothing_goes(&world, 3).await;

    // The branch goes altogether.
    git(&forge.directory.path().join("fleet.git"), &["update-ref", "-d", "refs/heads/main"]);
    let lost = async || (condition(&named(&world, "fleet").await, FETCHED)?.1 == "RefNotFound").then_some(());
    eventually("the lost branch", lost).await;
    assert!(is(&named(&world, "fleet").await, READY, "False").is_some());
    nothing_goes(&world, 3).await;

    // It comes back, and somebody says that it is meant.
    git(&forge.work(), &["push", "-q", "--force", "origin", "HEAD"]);
    eventually("the branch again", async || is(&named(&world, "fleet").await, FETCHED, "True")).await;
    let sources: Api<Source> = Api::all(world.client.clone());
    let allow = json!({"metadata": {"annotations": {"regatta.dev/allow-prune": forced}}});
    sources.patch("fleet", &Default::default(), &kube::api::Patch::Merge(allow)).await.unwrap();
    let pruned = async || (world.agents().list(&Default::default()).await.unwrap().items.len() == 1).then_some(());
    eventually("the prune", pruned).await;

    // A directory that a commit no longer has proves nothing.
    git(&forge.work(), &["mv", "deploy", "moved"]);
    forge.push();
    let unclear = async || find(&named(&world, "fleet").await.status?.conditions, PRUNE_BLOCKED).cloned();
    eventually("the guard", unclear).await;
    nothing_goes(&world, 1).await;
}

const PASSWORD: &str = "planted-Pa55word";

/// `git http-backend` behind a password.
#[derive(Clone)]
struct Backend {
    root: PathBuf,
    /// Command lines and environments of everything that ran while we were asked.
    seen: Arc<Mutex<String>>,
}

async fn backend(State(backend): State<Backend>, request: Request<Body>) -> Response<Body> {
    let expected = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}")));
    let shown = request.headers().get(header::AUTHORIZATION).map(|v| v.to_str().unwrap().to_owned());
    backend.seen.lock().unwrap().push_str(&processes());
    if shown.as_deref() != Some(&expected) {
        let refuse = Response::builder().status(StatusCode::UNAUTHORIZED);
        return refuse.header(header::WWW_AUTHENTICATE, "Basic realm=\"forge\"").body(Body::empty()).unwrap();
    }
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let text = |name: header::HeaderName| parts.headers.get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
    let mut child = tokio::process::Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &backend.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", text(header::CONTENT_TYPE))
        .env("HTTP_CONTENT_ENCODING", text(header::CONTENT_ENCODING))
        .env("HTTP_GIT_PROTOCOL", parts.headers.get("git-protocol").map_or("", |v| v.to_str().unwrap()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&body).await.unwrap();
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let mut response = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output[end + 4..].to_vec())).unwrap()
}

/// What `ps e` would show of git.
fn processes() -> String {
    let mut shown = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if command.windows(3).any(|w| w == b"git") {
            shown.push_str(&String::from_utf8_lossy(&command));
            shown.push_str(&String::from_utf8_lossy(&std::fs::read(entry.path().join("environ")).unwrap_or_default()));
            shown.push('\n');
        }
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_secret_and_show_nowhere() {
    let world = World::start().await;
    let forge = Forge::new();
    forge.write("deploy/fleet.yaml", &fleet(1));
    let commit = forge.push();
    let serving = Backend { root: forge.directory.path().to_owned(), seen: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/fleet.git", listener.local_addr().unwrap());
    let app = Router::new().fallback(backend).with_state(serving.clone());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let spec = json!({"git": {"url": url, "dir": "deploy", "credentialsRef": {"name": "forge"}}, "period": "1s"});
    make(&world, "fleet", spec).await;
    let reason = |wanted: &'static str| {
        let world = &world;
        async move {
            let said = async || {
                let source = named(world, "fleet").await;
                let found = find(&source.status.as_ref()?.conditions, FETCHED)?.clone();
                (found.reason == wanted).then_some(found)
            };
            eventually(wanted, said).await
        }
    };
    assert!(reason("NoCredentials").await.message.contains("regatta-system/forge"));
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), "regatta-system");
    let secret = |password: &str| {
        serde_json::from_value::<Secret>(json!({
            "metadata": {"name": "forge"}, "stringData": {"username": "me", "password": password},
        }))
        .unwrap()
    };
    secrets.create(&Default::default(), &secret("wrong")).await.unwrap();
    let refused = reason("FetchFailed").await;
    assert!(!refused.message.contains("wrong\"") && refused.message.contains("stays"), "{}", refused.message);
    let right = kube::api::Patch::Merge(json!({"stringData": {"password": PASSWORD}}));
    secrets.patch("forge", &Default::default(), &right).await.unwrap();
    at(&world, &commit).await;
    world.agent("a0").await;

    let seen = serving.seen.lock().unwrap().clone();
    assert!(seen.contains("ls-remote") || seen.contains("remote-http"), "git was seen at work: {seen}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"));
    for secret in [PASSWORD, &encoded] {
        assert!(!seen.contains(secret), "it shows in `ps`");
        assert!(!json!(named(&world, "fleet").await).to_string().contains(secret));
    }
    // Nothing of it stays behind, neither beside the repository nor in its configuration.
    server.abort();
    let state = world.home.path().join("sources");
    for file in walk(&state) {
        let bytes = std::fs::read(&file).unwrap();
        assert!(!bytes.windows(PASSWORD.len()).any(|w| w == PASSWORD.as_bytes()), "{}", file.display());
    }
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        // A fetch that is going on may take its files away meanwhile.
        match entry.path().metadata() {
            Ok(metadata) if metadata.is_dir() && entry.path().extension().is_none_or(|e| e != "secrets") => {
                files.extend(walk(&entry.path()));
            }
            Ok(metadata) if metadata.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    files
}

#[test]
fn a_webhook_makes_its_sources_look_at_once_and_nobody_else_s_words_do() {
    let up = Up::start();
    let forge = Forge::new();
    forge.write("deploy/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: first}\n");
    forge.push();
    let token = "--from-literal=token=hook-secret";
    ok(up.kubectl(&["create", "secret", "generic", "hook", "-n", "regatta-system", token]));
    let source = json!({
        "apiVersion": "regatta.dev/v1alpha1", "kind": "Source", "metadata": {"name": "fleet"},
        "spec": {"period": "1h", "git": {"url": forge.url(), "dir": "deploy", "webhookSecretRef": {"name": "hook"}}},
    });
    let file = up.home.path().join("source.json");
    std::fs::write(&file, source.to_string()).unwrap();
    ok(up.kubectl(&["apply", "-f", file.to_str().unwrap()]));
    let value = || {
        let output = up.kubectl(&["get", "configmap", "m", "-o", "jsonpath={.data.a}"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let becomes = |wanted: &str| until(wanted, || Some(()).filter(|()| value() == wanted).ok_or_else(value));
    becomes("first");
    forge.write("deploy/map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: second}\n");
    forge.push();
    let body = json!({"repository": {"clone_url": forge.url()}}).to_string();
    let post = |headers: &str, body: &str| up.http("POST", "/hooks/git", headers, body).0;
    for wrong in ["", "X-Gitlab-Token: other\r\n", "X-Hub-Signature-256: sha256=00\r\n"] {
        assert!(post(wrong, &body).starts_with("HTTP/1.1 401"), "{wrong}");
    }
    let right = "X-Gitlab-Token: hook-secret\r\n";
    let other = json!({"repository": {"clone_url": "https://forge.example/other.git"}}).to_string();
    assert!(post(right, &other).starts_with("HTTP/1.1 202"));
    assert!(post(right, "no json").starts_with("HTTP/1.1 400"));
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(value(), "first", "another repository's webhook is no reason to look");
    let (head, answer) = up.http("POST", "/hooks/git", right, &body);
    assert!(head.starts_with("HTTP/1.1 202") && answer.contains("\"sources\":1"), "{head} {answer}");
    let told = Instant::now();
    becomes("second");
    println!("a commit was applied {:?} after its webhook", told.elapsed());
    for _ in 0..12 {
        post("X-Gitlab-Token: guess\r\n", &body);
    }
    assert!(post(right, &body).starts_with("HTTP/1.1 429"), "guessers are told to wait");
    let log = std::fs::read_to_string(up.home.path().join("stderr")).unwrap();
    assert!(!log.contains("hook-secret"));
}
