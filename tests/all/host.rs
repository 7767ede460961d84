//! The host with real tmux and real git: what it is told over a link, and what becomes of it on the machine.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{post, put};
use axum::{Json, Router};
use regatta::adapter;
use regatta::api::agent::{OnDelete, Restart, Run, TerminalSize, WorktreeFate};
use regatta::api::agent_status::{Activity, Effective};
use regatta::api::conditions::{READY, Truth};
use regatta::api::link::{Desired, DesiredRepo, Heartbeat, Hello, Observed, Welcome, Workspace, set_digest};
use regatta::api::repo::RepoSpec;
use regatta::host::{Host, HostConfig};
use regatta::link::{self, Link, Side};

/// What a control plane would know: what it wants, and what it was told.
#[derive(Clone, Default)]
struct ControlPlane {
    inner: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    desired: BTreeMap<String, Desired>,
    observed: BTreeMap<String, Observed>,
    /// Every record in the order in which it came.
    history: Vec<Observed>,
}

impl ControlPlane {
    fn router(&self) -> Router {
        Router::new()
            .route(
                "/hello",
                post(|State(plane): State<ControlPlane>, Json(hello): Json<Hello>| async move {
                    let mut known = plane.inner.lock().unwrap();
                    known.observed = hello.observed.iter().map(|o| (o.uid.clone(), o.clone())).collect();
                    known.history.extend(hello.observed);
                    Json(Welcome { desired: known.desired.values().cloned().collect() })
                }),
            )
            .route(
                "/observed/{uid}",
                put(
                    |State(plane): State<ControlPlane>, UrlPath(uid): UrlPath<String>, Json(o): Json<Observed>| async move {
                        let mut known = plane.inner.lock().unwrap();
                        known.history.push(o.clone());
                        known.observed.insert(uid, o);
                        StatusCode::NO_CONTENT
                    },
                ),
            )
            .route(
                "/heartbeat",
                post(|State(plane): State<ControlPlane>, Json(_): Json<Heartbeat>| async move {
                    let known = plane.inner.lock().unwrap();
                    let desired = known.desired.values().map(|d| (d.uid.as_str(), d.version.as_str()));
                    let observed = known.observed.values().map(|o| (o.uid.as_str(), o.version.as_str()));
                    Json(Heartbeat { desired_digest: set_digest(desired), observed_digest: set_digest(observed) })
                }),
            )
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self.clone())
    }

    fn observed(&self, uid: &str) -> Option<Observed> {
        self.inner.lock().unwrap().observed.get(uid).cloned()
    }
}

/// A home, its host, and the control plane that it is linked to.
struct World {
    directory: tempfile::TempDir,
    plane: ControlPlane,
    running: Option<Running>,
}

struct Running {
    host: Host,
    gateway: Link,
    tasks: tokio::task::JoinSet<()>,
}

impl World {
    async fn new() -> World {
        let mut world =
            World { directory: tempfile::tempdir().unwrap(), plane: ControlPlane::default(), running: None };
        world.start().await;
        world
    }

    /// Unlike any other world's: a shim finds its agent's processes by their uid.
    fn uid(&self, n: u32) -> String {
        format!("{n:08x}-0000-4000-8000-{:04x}{}", std::process::id() & 0xffff, self.identity())
    }

    fn agent(&self, n: u32, command: &[&str]) -> Desired {
        agent(self.uid(n), n, command)
    }

    fn home(&self) -> PathBuf {
        self.directory.path().join("host home's \"$(id)\"")
    }

    async fn start(&mut self) {
        let config = HostConfig {
            home: self.home(),
            name: "here".into(),
            exe: env!("CARGO_BIN_EXE_regatta").into(),
            labels: BTreeMap::new(),
        };
        let host = Host::start(config).await.unwrap();
        let (near, far) = link::pair();
        let (gateway, gateway_driver) = Link::start(near, Side::Server, self.plane.router());
        let (link, driver) = Link::start(far, Side::Client, host.router());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let _ = gateway_driver.await;
        });
        tasks.spawn(async move {
            let _ = driver.await;
        });
        let talking = host.clone();
        tasks.spawn(async move {
            let _ = talking.run_link(link).await;
        });
        self.running = Some(Running { host, gateway, tasks });
    }

    /// The host is gone between two instructions, as after a kill -9.
    async fn crash(&mut self) {
        if let Some(Running { host, gateway, mut tasks }) = self.running.take() {
            drop((host, gateway));
            tasks.abort_all();
            while tasks.join_next().await.is_some() {}
        }
    }

    async fn want(&self, desired: Desired) -> Desired {
        let desired = desired.sealed();
        self.plane.inner.lock().unwrap().desired.insert(desired.uid.clone(), desired.clone());
        let body = serde_json::to_vec(&desired).unwrap();
        self.call("PUT", &format!("/desired/{}", desired.uid), body).await;
        desired
    }

    async fn forget(&self, uid: &str) {
        self.plane.inner.lock().unwrap().desired.remove(uid);
        self.call("DELETE", &format!("/desired/{uid}"), Vec::new()).await;
    }

    async fn call(&self, method: &str, path: &str, body: Vec<u8>) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body))
            .unwrap();
        let response = self.running.as_ref().unwrap().gateway.request(request).await.unwrap();
        assert!(response.status().is_success(), "{method} {path}: {}", response.status());
    }

    async fn until(&self, uid: &str, what: &str, holds: impl Fn(&Observed) -> bool) -> Observed {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let observed = self.plane.observed(uid);
            if let Some(observed) = observed.clone().filter(|o| holds(o)) {
                return observed;
            }
            assert!(Instant::now() < deadline, "{uid} never was {what}; last: {observed:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn until_ready(&self, uid: &str, reason: &str) -> Observed {
        self.until(uid, reason, |o| ready(o) == (Truth::True, reason)).await
    }

    async fn until_removed(&self, uid: &str) -> Observed {
        self.until(uid, "removed", |o| o.removed).await
    }

    fn worktree(&self, uid: &str) -> PathBuf {
        self.home().join("worktrees").join(uid)
    }

    fn identity(&self) -> String {
        std::fs::read_to_string(self.home().join("identity")).unwrap_or_default().trim().to_owned()
    }

    fn sockets(&self) -> Vec<String> {
        let prefix = format!("regatta-{}-", self.identity());
        let directory = regatta::host::tmux::socket_directory();
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().into_string().ok()).filter(|name| name.starts_with(&prefix)).collect()
    }

    /// What the agent's terminal printed so far.
    fn log(&self, uid: &str) -> String {
        let directory = self.home().join("agents").join(uid).join("log");
        let mut segments: Vec<PathBuf> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "seg"))
            .collect();
        segments.sort();
        let bytes: Vec<u8> = segments.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.tasks.abort_all();
        }
        for socket in self.sockets() {
            let _ = Command::new("tmux").args(["-L", &socket, "kill-server"]).output();
            let _ = std::fs::remove_file(regatta::host::tmux::socket_directory().join(socket));
        }
    }
}

fn ready(observed: &Observed) -> (Truth, &str) {
    let verdict = observed.verdicts.iter().find(|v| v.kind == READY).expect("every record has a Ready");
    (verdict.status, &verdict.reason)
}

fn agent(uid: String, n: u32, command: &[&str]) -> Desired {
    let adapter = adapter::find("command").unwrap().clone();
    Desired {
        uid,
        namespace: "default".into(),
        name: format!("agent-{n}"),
        version: String::new(),
        generation: 1,
        deleting: false,
        run: Run::Running,
        effective: Effective {
            adapter: adapter.name.clone(),
            options: BTreeMap::new(),
            restart: adapter.spec.restart.clone(),
            on_delete: OnDelete::default(),
            terminal: TerminalSize::default(),
            log_max_bytes: 1 << 20,
        },
        adapter,
        workspace: Workspace::Scratch,
        args: vec![],
        command: command.iter().map(|s| s.to_string()).collect(),
        prompt: None,
        env: vec![],
        secret_env: vec![],
        terminal: TerminalSize::default(),
        blocked: None,
    }
}

fn in_repo(mut desired: Desired, path: &Path) -> Desired {
    let spec = Box::new(RepoSpec { path: Some(path.display().to_string()), ..RepoSpec::default() });
    let repo = DesiredRepo { uid: "10000000-aaaa-4000-8000-000000000001".into(), name: "repo".into(), spec };
    desired.workspace = Workspace::Worktree { repo, base_ref: None, branch: format!("agent/{}", desired.name) };
    desired
}

fn ending(desired: &Desired, fate: WorktreeFate) -> Desired {
    let mut desired = Desired { deleting: true, ..desired.clone() };
    desired.effective.on_delete = OnDelete { worktree: Some(fate), branch: None };
    desired
}

fn git(directory: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(directory)
        .args(["-c", "user.name=T", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"])
        .args(args)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn repository(directory: &Path) -> PathBuf {
    let path = directory.join("repo");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "--quiet", "--initial-branch=trunk", "."]);
    std::fs::write(path.join("README"), "hello\n").unwrap();
    std::fs::write(path.join(".gitignore"), "ignored/\n").unwrap();
    git(&path, &["add", "."]);
    git(&path, &["commit", "--quiet", "-m", "first"]);
    path
}

fn clone_of(world: &World) -> PathBuf {
    world.home().join("repos/10000000-aaaa-4000-8000-000000000001.git")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_agent_gets_a_worktree_on_its_own_branch_and_runs_there() {
    let world = World::new().await;
    let repo = repository(world.directory.path());
    for n in 1..=3 {
        world
            .want(in_repo(world.agent(n, &["sh", "-c", "pwd; git branch --show-current; exec sleep 1000"]), &repo))
            .await;
    }
    for n in 1..=3 {
        let observed = world.until_ready(&world.uid(n), "Running").await;
        let worktree = observed.worktree.unwrap();
        assert_eq!(worktree.branch.as_deref(), Some(format!("agent/agent-{n}").as_str()));
        assert_eq!(worktree.dirty, Some(false));
        assert_eq!(worktree.head_sha.as_deref(), Some(git(&repo, &["rev-parse", "HEAD"]).as_str()));
        assert_eq!((worktree.ahead, worktree.behind, worktree.pushed), (Some(0), Some(0), Some(true)));
        let repo = observed.repo.unwrap();
        assert_eq!(repo.default_branch.as_deref(), Some("trunk"));
        world.until(&world.uid(n), "working", |o| o.activity == Activity::Working).await;
        let log = world.log(&world.uid(n));
        assert!(log.contains(&format!("/worktrees/{}", world.uid(n))), "{log}");
        assert!(log.contains(&format!("agent/agent-{n}")), "{log}");
    }
    assert_eq!(git(&repo, &["branch", "--list"]), "* trunk", "the user's own repository is left as it is");
    assert_eq!(git(&repo, &["worktree", "list"]).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_host_adopts_what_runs_and_loses_nothing_of_it() {
    let mut world = World::new().await;
    let counts = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.02; done";
    world.want(world.agent(1, &["sh", "-c", counts])).await;
    world.want(world.agent(2, &["sh", "-c", "exit 3"])).await;
    world.want(world.agent(3, &["true"])).await;
    let before = world.until_ready(&world.uid(1), "Running").await;
    world.until(&world.uid(2), "failed", |o| o.activity == Activity::Failed).await;
    world.until_ready(&world.uid(3), "Finished").await;
    world.crash().await;
    let head = world.log(&world.uid(1)).len();
    poll(|| world.log(&world.uid(1)).len() > head, "the agent goes on without a host").await;
    world.start().await;
    let after = world.until_ready(&world.uid(1), "Running").await;
    assert_eq!(after.session, before.session, "the same process in the same session");
    assert_eq!(after.restarts, 0);
    let failed = world.until(&world.uid(2), "failed", |o| o.activity == Activity::Failed).await;
    assert_eq!(failed.exit.unwrap().code, Some(3));
    let finished = world.until_ready(&world.uid(3), "Finished").await;
    assert_eq!(finished.session.unwrap().epoch, 1, "a finished agent is not started again");
    let log = world.log(&world.uid(1));
    for (n, line) in log.lines().enumerate().take(log.lines().count() - 1) {
        assert_eq!(line.trim_end(), format!("line {}", n + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_polite_first_and_ends_everything_at_last() {
    let world = World::new().await;
    let polite = world
        .want(world.agent(1, &["sh", "-c", "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done"]))
        .await;
    let mut deaf = world.agent(2, &["sh", "-c", "trap '' TERM HUP INT; echo up; while :; do sleep 0.05; done"]);
    deaf.adapter.spec.stop[0].wait_ms = 300;
    let deaf = world.want(deaf).await;
    for n in 1..=2 {
        world.until(&world.uid(n), "working", |o| o.activity == Activity::Working).await;
    }
    let pid = world.until_ready(&world.uid(2), "Running").await.session.unwrap().pid.unwrap();
    for desired in [&polite, &deaf] {
        world.want(Desired { run: Run::Stopped, generation: 2, ..desired.clone() }).await;
    }
    let first = world.until_ready(&world.uid(1), "Stopped").await;
    assert_eq!(first.activity, Activity::Stopped);
    assert_eq!(first.exit.unwrap().reason, "Stopped");
    assert!(world.log(&world.uid(1)).contains("bye"));
    world.until_ready(&world.uid(2), "Stopped").await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    // Wanted again, it runs again, as a new epoch.
    world.want(Desired { generation: 3, ..polite }).await;
    let again = world.until_ready(&world.uid(1), "Running").await;
    assert_eq!(again.session.unwrap().epoch, 2);
    assert_eq!(again.restarts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashing_agent_is_started_again_by_its_policy() {
    let world = World::new().await;
    let mut desired = world.agent(1, &["sh", "-c", "exit 1"]);
    desired.effective.restart = Restart { policy: regatta::api::agent::RestartPolicy::OnFailure, limit: Some(0) };
    world.want(desired).await;
    let observed = world.until(&world.uid(1), "failed", |o| ready(o).1 == "Failed").await;
    assert!(observed.message.contains("its limit"), "{}", observed.message);
    let mut desired = world.agent(2, &["sh", "-c", "exit 1"]);
    desired.effective.restart = Restart { policy: regatta::api::agent::RestartPolicy::OnFailure, limit: Some(1) };
    world.want(desired).await;
    world.until(&world.uid(2), "waiting", |o| ready(o).1 == "CrashLoop").await;
    let observed = world.until(&world.uid(2), "given up", |o| ready(o).1 == "Failed" && o.restarts == 1).await;
    assert_eq!(observed.exit.unwrap().epoch, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_removes_what_is_clean_and_names_what_is_not() {
    let world = World::new().await;
    let repo = repository(world.directory.path());
    let clean = world.want(in_repo(world.agent(1, &["sleep", "1000"]), &repo)).await;
    let dirty = world.want(in_repo(world.agent(2, &["sleep", "1000"]), &repo)).await;
    let ahead = world.want(in_repo(world.agent(3, &["sleep", "1000"]), &repo)).await;
    for n in 1..=3 {
        world.until_ready(&world.uid(n), "Running").await;
    }
    std::fs::create_dir(world.worktree(&world.uid(1)).join("ignored")).unwrap();
    std::fs::write(world.worktree(&world.uid(1)).join("ignored/x"), "no work").unwrap();
    std::fs::write(world.worktree(&world.uid(2)).join("-new file"), "work").unwrap();
    std::fs::write(world.worktree(&world.uid(3)).join("README"), "changed\n").unwrap();
    git(&world.worktree(&world.uid(3)), &["commit", "--quiet", "-am", "Mine alone"]);
    for desired in [&clean, &dirty, &ahead] {
        world.want(ending(desired, WorktreeFate::DeleteWhenClean)).await;
    }
    world.until_removed(&world.uid(1)).await;
    assert!(!world.worktree(&world.uid(1)).exists());
    assert!(!world.home().join("agents").join(world.uid(1)).exists());
    for (n, names) in [(2, "-new file"), (3, "Mine alone")] {
        let observed = world.until(&world.uid(n), "dirty", |o| ready(o).1 == "DirtyWorktree").await;
        let verdict = observed.verdicts.iter().find(|v| v.kind == "DirtyWorktree").unwrap();
        for says in [names, "commit and push", "Discard", "Keep"] {
            assert!(verdict.message.contains(says), "{:?} does not say {says:?}", verdict.message);
        }
        assert!(world.worktree(&world.uid(n)).exists());
    }
    // The user takes the commit over: nothing is unpushed any more.
    git(&repo, &["fetch", "--quiet", &clone_of(&world).display().to_string(), "agent/agent-3:taken"]);
    world.want(Desired { generation: 2, ..ending(&ahead, WorktreeFate::DeleteWhenClean) }).await;
    world.until_removed(&world.uid(3)).await;
    // The other one is kept, and the next agent on its branch takes it over.
    world.want(ending(&dirty, WorktreeFate::Keep)).await;
    world.until_removed(&world.uid(2)).await;
    let kept = world.running.as_ref().unwrap().host.kept_worktrees().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].path, world.worktree(&world.uid(2)));
    world.forget(&world.uid(2)).await;
    let mut heir = in_repo(world.agent(4, &["sleep", "1000"]), &repo);
    if let Workspace::Worktree { branch, .. } = &mut heir.workspace {
        *branch = "agent/agent-2".into();
    }
    world.want(heir).await;
    world.until_ready(&world.uid(4), "Running").await;
    assert_eq!(std::fs::read_to_string(world.worktree(&world.uid(4)).join("-new file")).unwrap(), "work");
    assert!(world.running.as_ref().unwrap().host.kept_worktrees().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn discarded_work_is_all_in_the_rescue_ref() {
    let world = World::new().await;
    let repo = repository(world.directory.path());
    let desired = world.want(in_repo(world.agent(1, &["sleep", "1000"]), &repo)).await;
    world.until_ready(&world.uid(1), "Running").await;
    let worktree = world.worktree(&world.uid(1));
    std::fs::write(worktree.join("committed"), "c").unwrap();
    git(&worktree, &["add", "committed"]);
    git(&worktree, &["commit", "--quiet", "-m", "Mine"]);
    std::fs::write(worktree.join("README"), "changed\n").unwrap();
    std::fs::write(worktree.join("staged"), "staged version").unwrap();
    git(&worktree, &["add", "staged"]);
    std::fs::write(worktree.join("staged"), "last version").unwrap();
    std::fs::create_dir(worktree.join("sub")).unwrap();
    std::fs::write(worktree.join("sub/$(odd) 'name'\n"), "odd").unwrap();
    std::fs::create_dir(worktree.join("ignored")).unwrap();
    std::fs::write(worktree.join("ignored/x"), "no work").unwrap();
    std::fs::create_dir(worktree.join("inner")).unwrap();
    git(&worktree.join("inner"), &["init", "--quiet", "."]);
    std::fs::write(worktree.join("inner/deep"), "deep").unwrap();
    world.want(ending(&desired, WorktreeFate::Discard)).await;
    world.until_removed(&world.uid(1)).await;
    assert!(!worktree.exists());
    let clone = clone_of(&world);
    let reference = "refs/regatta/rescue/agent-1-00000001";
    let restored = world.directory.path().join("restored");
    git(&clone, &["worktree", "add", "--quiet", "--detach", restored.to_str().unwrap(), reference]);
    for (name, content) in [
        ("committed", "c"),
        ("README", "changed\n"),
        ("staged", "last version"),
        ("sub/$(odd) 'name'\n", "odd"),
        (".gitignore", "ignored/\n"),
    ] {
        assert_eq!(std::fs::read_to_string(restored.join(name)).unwrap(), content, "{name}");
    }
    assert!(!restored.join("ignored").exists());
    assert_eq!(git(&clone, &["show", &format!("{reference}^2:staged")]), "staged version");
    let inner = world.home().join("rescued/agent-1-00000001/inner/deep");
    assert_eq!(std::fs::read_to_string(inner).unwrap(), "deep", "a repository inside is kept whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_stays_data_all_the_way_to_the_command() {
    let world = World::new().await;
    let odd = ["it's \"quoted\"", "line\nbreak", "$(id) `id` ${HOME}", "-x", "--", "; exit #", "", "\\", "ä€"];
    let mut command = vec!["sh", "-c", "for a in \"$@\" \"$ODD\" \"$SECRET\"; do printf '[%s]' \"$a\"; done", "sh"];
    command.extend(odd);
    let mut desired = world.agent(1, &command);
    desired.env = vec![("ODD".into(), "a'b\n$(id)\t-z".into())];
    desired.secret_env = vec![("SECRET".into(), "s3cret=\nwith 'lines'".into())];
    world.want(desired).await;
    world.until_ready(&world.uid(1), "Finished").await;
    let expected: String =
        odd.iter().copied().chain(["a'b\n$(id)\t-z", "s3cret=\nwith 'lines'"]).map(|a| format!("[{a}]")).collect();
    assert_eq!(world.log(&world.uid(1)).replace("\r\n", "\n"), expected);
    // The secret is nowhere on disk but in what the agent itself printed.
    let output = Command::new("grep").args(["-rl", "s3cret"]).arg(world.home()).output().unwrap();
    let files = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(files.lines().all(|file| file.contains("/log/")), "{files}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_says_why_and_goes_on_when_it_is_mended() {
    let world = World::new().await;
    world.want(world.agent(1, &["/no/such/program"])).await;
    let observed = world.until(&world.uid(1), "failed", |o| ready(o).1 == "CannotStart").await;
    assert_eq!(observed.activity, Activity::Failed);
    world.want(world.agent(2, &[])).await;
    let observed = world.until(&world.uid(2), "refused", |o| ready(o).1 == "InvalidSpec").await;
    assert!(observed.message.contains("spec.command"), "{}", observed.message);
    let repo = world.directory.path().join("repo");
    world.want(in_repo(world.agent(3, &["sleep", "1000"]), &repo)).await;
    let observed = world.until(&world.uid(3), "refused", |o| ready(o).1 == "RepoUnavailable").await;
    assert!(observed.message.contains("no such directory"), "{}", observed.message);
    repository(world.directory.path());
    world.until_ready(&world.uid(3), "Running").await;
    // A branch has one worktree; the second agent on it is told where.
    let mut second = in_repo(world.agent(4, &["sleep", "1000"]), &repo);
    if let Workspace::Worktree { branch, .. } = &mut second.workspace {
        *branch = "agent/agent-3".into();
    }
    world.want(second).await;
    let observed = world.until(&world.uid(4), "refused", |o| ready(o).1 == "BranchConflict").await;
    assert!(observed.message.contains("is checked out at"), "{}", observed.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_repository_gets_a_worktree_without_a_commit() {
    let world = World::new().await;
    let path = world.directory.path().join("empty");
    let mut desired = in_repo(world.agent(1, &["sleep", "1000"]), &path);
    if let Workspace::Worktree { repo, .. } = &mut desired.workspace {
        repo.spec.initialize = Some(true);
    }
    let desired = world.want(desired).await;
    world.until_ready(&world.uid(1), "Running").await;
    let worktree = world.worktree(&world.uid(1));
    assert_eq!(git(&worktree, &["symbolic-ref", "HEAD"]), "refs/heads/agent/agent-1");
    std::fs::write(worktree.join("first"), "1").unwrap();
    git(&worktree, &["add", "."]);
    git(&worktree, &["commit", "--quiet", "-m", "first"]);
    world.want(ending(&desired, WorktreeFate::DeleteWhenClean)).await;
    world.until(&world.uid(1), "dirty", |o| ready(o).1 == "DirtyWorktree").await;
    git(&worktree, &["push", "--quiet", "origin", "HEAD:taken"]);
    world.want(Desired { generation: 2, ..ending(&desired, WorktreeFate::DeleteWhenClean) }).await;
    world.until_removed(&world.uid(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shells_prompt_is_typed_once_even_if_the_host_is_restarted() {
    let mut world = World::new().await;
    let mut desired = world.agent(1, &[]);
    desired.adapter = adapter::find("shell").unwrap().clone();
    desired.effective.adapter = "shell".into();
    desired.args = vec!["--norc".into()];
    desired.prompt = Some("echo typed-$((20+22))".into());
    world.want(desired).await;
    poll(|| world.log(&world.uid(1)).contains("typed-42"), "the prompt ran").await;
    world.crash().await;
    world.start().await;
    world.until_ready(&world.uid(1), "Running").await;
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(world.log(&world.uid(1)).matches("typed-42").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dying_tmux_server_is_told_as_such_and_takes_no_other_home_with_it() {
    let world = World::new().await;
    let other = World::new().await;
    assert_ne!(world.identity(), other.identity());
    world.want(world.agent(1, &["sleep", "1000"])).await;
    other.want(other.agent(1, &["sleep", "1000"])).await;
    world.until_ready(&world.uid(1), "Running").await;
    other.until_ready(&other.uid(1), "Running").await;
    let [socket] = &world.sockets()[..] else { panic!("one server: {:?}", world.sockets()) };
    let output = Command::new("tmux").args(["-L", socket, "kill-server"]).output().unwrap();
    assert!(output.status.success());
    let observed = world.until(&world.uid(1), "lost", |o| ready(o).1 == "TerminalLost").await;
    assert_eq!(observed.exit.unwrap().reason, "TerminalLost");
    assert_eq!(ready(&other.plane.observed(&other.uid(1)).unwrap()), (Truth::True, "Running"));
    // And a new agent gets a new server.
    world.want(world.agent(2, &["sleep", "1000"])).await;
    world.until_ready(&world.uid(2), "Running").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_agent_takes_its_tmux_server_with_it() {
    let world = World::new().await;
    let desired = world.want(world.agent(1, &["sleep", "1000"])).await;
    world.until_ready(&world.uid(1), "Running").await;
    world.want(ending(&desired, WorktreeFate::DeleteWhenClean)).await;
    world.until_removed(&world.uid(1)).await;
    let directory = regatta::host::tmux::socket_directory();
    let answers = || world.sockets().iter().any(|s| std::os::unix::net::UnixStream::connect(directory.join(s)).is_ok());
    poll(|| !answers(), "no server is left").await;
    world.forget(&world.uid(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_connection_that_dies_is_made_anew_and_no_agent_notices() {
    let world = World::new().await;
    world.want(world.agent(1, &["sleep", "1000"])).await;
    let before = world.until_ready(&world.uid(1), "Running").await;
    let [socket] = &world.sockets()[..] else { panic!("one server: {:?}", world.sockets()) };
    let clients = Command::new("tmux").args(["-L", socket, "list-clients", "-F", "#{client_pid}"]).output().unwrap();
    let pid = String::from_utf8_lossy(&clients.stdout).trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    world.want(world.agent(2, &["sleep", "1000"])).await;
    world.until_ready(&world.uid(2), "Running").await;
    assert_eq!(world.sockets().len(), 1, "in the same server");
    assert_eq!(world.plane.observed(&world.uid(1)).unwrap().session, before.session);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_nobody_wants_is_left_alone_until_its_object_is_said_to_be_gone() {
    let mut world = World::new().await;
    let repo = repository(world.directory.path());
    world.want(in_repo(world.agent(1, &["sleep", "1000"]), &repo)).await;
    let before = world.until_ready(&world.uid(1), "Running").await;
    world.crash().await;
    world.plane.inner.lock().unwrap().desired.clear();
    world.start().await;
    let unasked = world.until(&world.uid(1), "found", |o| o.desired_version.is_empty()).await;
    assert_eq!(ready(&unasked), (Truth::True, "Running"));
    assert_eq!(unasked.session, before.session);
    assert_eq!(unasked.repo.unwrap().head_sha, before.repo.unwrap().head_sha);
    std::fs::write(world.worktree(&world.uid(1)).join("work"), "work").unwrap();
    world.forget(&world.uid(1)).await;
    let directory = world.home().join("agents").join(world.uid(1));
    poll(|| !directory.exists(), "nothing of it is left").await;
    let kept = world.running.as_ref().unwrap().host.kept_worktrees().unwrap();
    assert_eq!(kept.len(), 1, "but its work");
    assert!(kept[0].path.join("work").exists());
}

async fn poll(holds: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
