//! The product's spine, from the outside: one YAML file ends in live terminals, and survives kill -9.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Session, Up, git, ok, until};

fn example(name: &str) -> String {
    format!("{}/manifests/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn agent(up: &Up, name: &str) -> Value {
    serde_json::from_str(&ok(up.kubectl(&["get", "agent", name, "-o", "json"]))).unwrap()
}

fn condition<'a>(object: &'a Value, kind: &str) -> &'a Value {
    object["status"]["conditions"].as_array().and_then(|c| c.iter().find(|c| c["type"] == kind)).unwrap_or(&Value::Null)
}

fn wait_ready(up: &Up, names: &[&str]) {
    for name in names {
        until(&format!("agent {name} Ready"), || {
            let output = up.kubectl(&["get", "agent", name, "-o", "json"]);
            let object: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if condition(&object, "Ready")["status"] == "True" { Ok(()) } else { Err(object["status"].to_string()) }
        });
    }
}

/// The first fleet, with its repository in the test's own directory instead of the example's.
fn first_fleet(up: &Up) -> String {
    let text = std::fs::read_to_string(example("first-fleet.yaml")).unwrap();
    let path = text.lines().find_map(|l| l.trim().strip_prefix("path: ")).expect("the example's Repo has a path");
    text.replace(path.split_whitespace().next().unwrap(), up.home.path().join("fleet-repo").to_str().unwrap())
}

fn names_in(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for document in text.split("\n---") {
        if document.lines().any(|l| l.trim() == "kind: Agent") {
            let name = document.lines().find_map(|l| l.trim().strip_prefix("metadata: {name: ")).map_or_else(
                || document.lines().find_map(|l| l.trim().strip_prefix("name: ")).unwrap().to_owned(),
                |rest| rest.split(['}', ',']).next().unwrap().to_owned(),
            );
            names.push(name);
        }
    }
    names
}

#[test]
fn one_file_applied_with_kubectl_becomes_three_agents_in_worktrees_of_their_own() {
    let up = Up::start();
    let text = first_fleet(&up);
    let file = up.home.path().join("first-fleet.yaml");
    std::fs::write(&file, &text).unwrap();
    ok(up.kubectl(&["apply", "-f", file.to_str().unwrap()]));
    let names = names_in(&text);
    assert_eq!(names.len(), 3);
    let mut arguments: Vec<String> = names.iter().map(|n| format!("agent/{n}")).collect();
    arguments.splice(0..0, ["wait", "--for=condition=Ready", "--timeout=60s"].map(str::to_owned));
    ok(up.kubectl(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));

    let mut paths = std::collections::BTreeSet::new();
    for name in &names {
        let object = agent(&up, name);
        let path = object["status"]["worktree"]["path"].as_str().unwrap().to_owned();
        let branch = object["spec"]["branch"].as_str().map_or_else(|| format!("agent/{name}"), str::to_owned);
        assert_eq!(git(Path::new(&path), &["symbolic-ref", "--short", "HEAD"]), branch);
        assert_eq!(object["status"]["worktree"]["branch"], branch.as_str());
        assert!(paths.insert(path), "each agent has a worktree of its own");
        assert!(object["status"]["number"].as_i64().unwrap() >= 1);
    }
    // Applying the same again changes nothing.
    let before = agent(&up, &names[0])["metadata"]["generation"].clone();
    ok(up.kubectl(&["apply", "-f", file.to_str().unwrap()]));
    assert_eq!(agent(&up, &names[0])["metadata"]["generation"], before);
}

#[test]
fn the_same_file_in_the_manifests_folder_does_the_same_and_taking_it_away_keeps_dirty_work() {
    let up = Up::start();
    let text = first_fleet(&up);
    let names = names_in(&text);
    let file = up.manifests().join("first-fleet.yaml");
    std::fs::write(&file, &text).unwrap();
    wait_ready(&up, &names.iter().map(String::as_str).collect::<Vec<_>>());

    let dirty = &names[0];
    let worktree = agent(&up, dirty)["status"]["worktree"]["path"].as_str().unwrap().to_owned();
    std::fs::write(Path::new(&worktree).join("unfinished.txt"), "not committed\n").unwrap();
    std::fs::remove_file(&file).unwrap();
    for clean in &names[1..] {
        until(&format!("agent {clean} gone"), || {
            let output = up.kubectl(&["get", "agent", clean, "-o", "json"]);
            if output.status.success() { Err(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Ok(()) }
        });
    }
    let message = until("the dirty agent says so", || {
        let object = agent(&up, dirty);
        let condition = condition(&object, "DirtyWorktree");
        if condition["status"] == "True" {
            Ok(condition["message"].as_str().unwrap().to_owned())
        } else {
            Err(object["status"].to_string())
        }
    });
    assert!(message.contains("unfinished.txt"), "{message}");
    assert!(message.contains("Discard") && message.contains("Keep") && message.contains("commit"), "{message}");
    assert_eq!(std::fs::read_to_string(Path::new(&worktree).join("unfinished.txt")).unwrap(), "not committed\n");
    let stopped = agent(&up, dirty);
    assert_ne!(stopped["status"]["activity"], "Working", "it was stopped");

    // The way out that the message names.
    let patch = r#"{"spec":{"onDelete":{"worktree":"Discard"}}}"#;
    ok(up.kubectl(&["patch", "agent", dirty, "--type=merge", "-p", patch]));
    until("the agent is gone", || {
        let output = up.kubectl(&["get", "agent", dirty, "-o", "json"]);
        if output.status.success() { Err(String::from_utf8_lossy(&output.stdout).into_owned()) } else { Ok(()) }
    });
    let repos = up.home.path().join("host/repos");
    let bare = std::fs::read_dir(&repos).unwrap().flatten().next().unwrap().path();
    let refs = git(&bare, &["for-each-ref", "--format=%(refname)", "refs/regatta/rescue"]);
    let rescue = refs.lines().next().expect("a rescue ref");
    assert_eq!(git(&bare, &["show", &format!("{rescue}:unfinished.txt")]), "not committed");
}

/// Ten bytes a line, so that the byte at every offset is known beforehand.
const COUNTER: &str = "i=0; while :; do printf '%08d\\n' $i; i=$((i+1)); done";

fn counted(offset: u64) -> u8 {
    let line = format!("{:08}\r\n", offset / 10);
    line.as_bytes()[(offset % 10) as usize]
}

/// What a viewer has got so far: every byte is checked as it comes, none twice, none missing.
struct Tally {
    next: u64,
}

impl Tally {
    fn take(&mut self, offset: u64, bytes: &[u8]) {
        assert_eq!(offset, self.next, "bytes come at the offset where the last ones ended");
        for (i, byte) in bytes.iter().enumerate() {
            let at = offset + i as u64;
            assert_eq!(*byte, counted(at), "byte {at} is another than the command printed");
        }
        self.next += bytes.len() as u64;
    }
}

/// Follows a terminal that wants every byte until `enough` more have come, or the connection breaks.
async fn follow(up: &Up, session: &Session, uid: &str, tally: &mut Tally, enough: u64) {
    let query = format!("offset={}&uid={uid}&exact=true", tally.next);
    let mut socket = up.terminal(session, "counter", &query).await;
    let goal = tally.next + enough;
    let mut acknowledged = tally.next;
    while tally.next < goal {
        let Some(Ok(message)) = socket.next().await else { return };
        match message {
            Message::Binary(frame) => {
                let offset = u64::from_be_bytes(frame[..8].try_into().unwrap());
                tally.take(offset, &frame[8..]);
                if tally.next - acknowledged > 16 << 10 {
                    acknowledged = tally.next;
                    let ack = json!({"type": "ack", "offset": tally.next}).to_string();
                    if socket.send(Message::text(ack)).await.is_err() {
                        return;
                    }
                }
            }
            Message::Text(text) => assert!(!text.contains("\"snapshot\""), "an exact viewer gets no snapshot: {text}"),
            _ => {}
        }
    }
}

#[test]
fn no_byte_is_lost_or_doubled_over_twenty_kills_while_output_runs() {
    let mut up = Up::start();
    let manifest = json!({
        "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "counter"},
        "spec": {"adapter": "command", "command": ["bash", "-c", COUNTER], "log": {"maxBytes": "4Gi"}},
    });
    let file = up.home.path().join("counter.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    ok(up.kubectl(&["apply", "-f", file.to_str().unwrap()]));
    wait_ready(&up, &["counter"]);
    let before = agent(&up, "counter");
    let uid = before["metadata"]["uid"].as_str().unwrap().to_owned();
    let session = up.login();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut tally = Tally { next: 0 };
    for round in 0..20 {
        runtime.block_on(follow(&up, &session, &uid, &mut tally, 40_000 + 7_001 * round));
        // The command prints on while nobody is there to look.
        up.kill9();
        up.start_again();
        until("the terminal is back", || {
            let (head, _) = up.http(
                "GET",
                "/apis/regatta.dev/v1alpha1/namespaces/default/agents/counter/log?tail=1",
                &cookie(&session),
                "",
            );
            if head.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(head) }
        });
    }
    runtime.block_on(follow(&up, &session, &uid, &mut tally, 100_000));

    // The log tells the same, from the first byte.
    let (head, body) = {
        let output = up.regatta(&["logs", "counter"]);
        (output.status, output.stdout)
    };
    assert!(head.success());
    assert!(body.len() as u64 >= tally.next, "the log has what the viewer saw");
    Tally { next: 0 }.take(0, &body);

    let after = agent(&up, "counter");
    assert_eq!(after["status"]["session"]["pid"], before["status"]["session"]["pid"], "the agent lived on");
    assert_eq!(after["status"]["session"]["epoch"], 1);
    assert_eq!(after["status"]["restarts"].as_i64().unwrap_or(0), 0);
}

fn cookie(session: &Session) -> String {
    format!("Cookie: {}\r\n", session.cookie)
}

#[test]
fn a_viewer_that_comes_late_gets_the_screen_and_can_type() {
    let up = Up::start();
    ok(up.regatta(&["run", "shell", "--name", "typist", "-d"]));
    wait_ready(&up, &["typist"]);
    let session = up.login();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut socket = up.terminal(&session, "typist", "").await;
        socket.send(Message::binary(b"echo $((6*7))-answer\r".to_vec())).await.unwrap();
        expect(&mut socket, "42-answer").await;
        let mut late = up.terminal(&session, "typist", "").await;
        expect(&mut late, "42-answer").await;
    });
}

#[test]
fn whoever_is_told_the_past_ends_with_the_size_of_now_and_whose_it_is() {
    let up = Up::start();
    ok(up.regatta(&["run", "shell", "--name", "sized", "-d"]));
    wait_ready(&up, &["sized"]);
    let session = up.login();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut owner = up.terminal(&session, "sized", "").await;
        owner.send(Message::text(r#"{"type":"resize","cols":44,"rows":26}"#)).await.unwrap();
        let size = text_frame(&mut owner, |m| m["type"] == "size" && m["cols"] == 44 && !m["owner"].is_null()).await;
        owner.send(Message::binary(b"echo $((6*7))-answer\r".to_vec())).await.unwrap();
        expect(&mut owner, "42-answer").await;
        let mut late = up.terminal(&session, "sized", "offset=0&exact=true").await;
        text_frame(&mut late, |m| m["type"] == "size" && m["owner"].is_null()).await;
        let last = text_frame(&mut late, |m| m["type"] == "size").await;
        assert_eq!(last, size);
    });
}

/// The next text frame that is looked for.
async fn text_frame(socket: &mut crate::harness::Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            if let Message::Text(message) = socket.next().await.unwrap().unwrap() {
                let message: Value = serde_json::from_str(&message).unwrap();
                if wanted(&message) {
                    return message;
                }
            }
        }
    };
    tokio::time::timeout(crate::harness::PATIENCE, found).await.expect("a frame like that")
}

/// Reads until the terminal has shown `text`, in bytes or in a snapshot.
async fn expect(socket: &mut crate::harness::Socket, text: &str) {
    let mut seen = Vec::new();
    let deadline = tokio::time::Instant::now() + crate::harness::PATIENCE;
    while !String::from_utf8_lossy(&seen).contains(text) {
        let message = tokio::time::timeout_at(deadline, socket.next())
            .await
            .unwrap_or_else(|_| panic!("no {text:?} in {:?}", String::from_utf8_lossy(&seen)))
            .unwrap()
            .unwrap();
        match message {
            Message::Binary(frame) => seen.extend_from_slice(&frame[8..]),
            Message::Text(message) => {
                let message: Value = serde_json::from_str(&message).unwrap();
                if message["type"] == "snapshot" {
                    let bytes = message["bytes"].as_str().unwrap();
                    seen.extend(base64::engine::general_purpose::STANDARD.decode(bytes).unwrap());
                }
            }
            _ => {}
        }
    }
}

#[test]
fn a_command_that_ends_at_once_leaves_all_that_it_printed() {
    let up = Up::start();
    // Ten of them: whether the host meets the shim before it is gone is a matter of microseconds.
    let name = |n: usize| format!("quick-{n}");
    for n in 0..10 {
        ok(up.regatta(&["run", "command", "--name", &name(n), "-d", "--no-wait", "--", "sh", "-c", "echo all of it"]));
    }
    for n in 0..10 {
        ok(up.regatta(&["wait", &name(n), "--timeout", "60s"]));
        assert_eq!(ok(up.regatta(&["logs", &name(n)])), "all of it\r\n");
        assert_eq!(agent(&up, &name(n))["status"]["log"]["head"], 11);
    }
}

#[test]
fn sigterm_ends_the_server_soon_and_no_agent() {
    let mut up = Up::start();
    ok(up.regatta(&["run", "command", "--name", "sleeper", "-d", "--", "sleep", "3600"]));
    wait_ready(&up, &["sleeper"]);
    let pid = agent(&up, "sleeper")["status"]["session"]["pid"].as_i64().unwrap();
    let started = std::time::Instant::now();
    up.terminate();
    assert!(started.elapsed().as_secs_f64() < 5.0, "took {:?}", started.elapsed());
    assert!(Path::new(&format!("/proc/{pid}")).exists(), "the agent goes on");
    assert!(!up.home.path().join("up.json").exists());
    up.start_again();
    wait_ready(&up, &["sleeper"]);
    assert_eq!(agent(&up, "sleeper")["status"]["session"]["pid"], pid);
}

#[test]
fn a_second_server_on_the_same_home_is_refused() {
    let up = Up::start();
    let output = up.command().args(["up", "--listen", "127.0.0.1:0", "--kube-listen", "127.0.0.1:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&format!("process {}", up.pid())), "{said}");
}

#[test]
fn secrets_reach_the_agent_and_nothing_else() {
    let up = Up::start();
    let planted = format!("planted-{}", std::process::id());
    ok(up.kubectl(&["create", "secret", "generic", "db", &format!("--from-literal=url={planted}")]));
    let manifest = json!({
        "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "keeper"},
        "spec": {"adapter": "command", "command": ["bash", "-c", "printf %s \"$DB\" | md5sum; exec sleep 600"],
                 "env": [{"name": "DB", "valueFrom": {"secretKeyRef": {"name": "db", "key": "url"}}}]},
    });
    let file = up.home.path().join("keeper.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    ok(up.kubectl(&["apply", "-f", file.to_str().unwrap()]));
    wait_ready(&up, &["keeper"]);
    let expected = ok(Command::new("sh").args(["-c", &format!("printf %s {planted} | md5sum")]).output().unwrap());
    until("the agent has its secret", || {
        let log = ok(up.regatta(&["logs", "keeper", "--text"]));
        if log.contains(expected.split_whitespace().next().unwrap()) { Ok(()) } else { Err(log) }
    });
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(up.home.path().join("api.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nowhere but in the API's database: not in the host's files, the server's log, or any command line.
    let found = Command::new("grep").args(["-rlF", "--", &planted]).arg(up.home.path().join("host")).output().unwrap();
    assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    let stderr = std::fs::read_to_string(up.home.path().join("stderr")).unwrap();
    assert!(!stderr.contains(&planted));
    let ps = ok(Command::new("ps").args(["-eo", "args"]).output().unwrap());
    assert!(!ps.contains(&planted));
}
