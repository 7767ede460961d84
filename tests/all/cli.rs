//! The command line, as a person and a script use it: the real binary against a real server.

mod objects;
mod servers;

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{PATIENCE, REGATTA, Up, kill_tmux, ok, read_json, repository, until};

fn code(up: &Up, args: &[&str]) -> (Option<i32>, String) {
    let output = up.regatta(args);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_verb_that_finds_no_server_starts_one_and_says_so() {
    let home = tempfile::Builder::new().prefix("rg-").tempdir().unwrap();
    let verb = |args: &[&str]| {
        Command::new(REGATTA).args(args).env("REGATTA_HOME", home.path()).env("HOME", home.path()).output().unwrap()
    };
    // Ports of this machine's own server must not matter: both verbs race for one start.
    let threads: Vec<_> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..2).map(|_| scope.spawn(|| verb(&["list", "-o", "json"]))).collect();
        started.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let pid = read_json(&home.path().join("up.json"))["pid"].as_i64().unwrap();
    let said: Vec<String> = threads.iter().map(|o| String::from_utf8_lossy(&o.stderr).into_owned()).collect();
    for output in &threads {
        let list: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said:?}"));
        assert_eq!(list["kind"], "AgentList");
    }
    assert_eq!(said.iter().filter(|s| s.contains("starting one")).count(), 1, "{said:?}");
    assert_eq!(verb(&["list"]).status.code(), Some(0));
    let log = std::fs::read_to_string(home.path().join("up.log")).unwrap();
    assert!(!log.contains("#code="), "a login code does not belong in a log");
    let pid = nix::unistd::Pid::from_raw(pid.try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    until("the server is gone", || {
        if home.path().join("up.json").exists() { Err("up.json is there".into()) } else { Ok(()) }
    });
    kill_tmux(&home.path().join("host"));
}

#[test]
fn apply_says_what_changed_and_where_a_file_is_wrong() {
    let up = Up::start();
    let file = up.home.path().join("fleet.yaml");
    let file = file.to_str().unwrap();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: \"0755\"}\n";
    std::fs::write(file, map).unwrap();
    assert_eq!(ok(up.regatta(&["apply", "-f", file])), "configmap/one created\n");
    assert_eq!(ok(up.regatta(&["apply", "-f", file])), "configmap/one unchanged\n");
    std::fs::write(file, map.replace("0755", "1")).unwrap();
    assert_eq!(ok(up.regatta(&["apply", "-f", file])), "configmap/one configured\n");
    let wrong = "---\napiVersion: regatta.dev/v1alpha1\nkind: AgentClass\nmetadata: {name: x}\nspec:\n  nope: 1\n";
    std::fs::write(file, format!("{map}{wrong}")).unwrap();
    let (exit, said) = code(&up, &["apply", "-f", file]);
    assert_eq!(exit, Some(1));
    assert!(said.contains("fleet.yaml:10: cannot apply agentclass/x:") && said.contains("spec.nope"), "{said}");
    let (exit, said) = code(&up, &["apply", "-f", "/nowhere.yaml"]);
    assert_eq!((exit, said.contains("cannot read /nowhere.yaml")), (Some(1), true), "{said}");
}

#[test]
fn exit_codes_tell_scripts_what_happened() {
    let up = Up::start();
    assert_eq!(code(&up, &["get", "agent", "nobody"]).0, Some(3));
    assert_eq!(code(&up, &["get", "boats"]).0, Some(3));
    assert_eq!(code(&up, &["attach", "nobody"]).0, Some(2), "without a terminal");
    assert_eq!(code(&up, &["sail"]).0, Some(2));
    ok(up.regatta(&["run", "command", "--name", "sleeper", "--scratch", "-d", "--", "sleep", "3600"]));
    assert_eq!(code(&up, &["wait", "sleeper", "--timeout", "1s"]).0, Some(4));
    assert_eq!(code(&up, &["wait", "1", "--for", "condition=Ready", "--timeout", "60s"]).0, Some(0));
    ok(up.regatta(&["stop", "sle"]));
    assert_eq!(code(&up, &["send", "sleeper", "hello"]).0, Some(6), "it does not run");
    ok(up.regatta(&["delete", "sleeper"]));
    assert_eq!(code(&up, &["status", "sleeper"]).0, Some(3));
}

#[test]
fn the_agents_own_exit_code_is_passed_on() {
    let up = Up::start();
    ok(up.regatta(&["run", "command", "--name", "seven", "--scratch", "--no-wait", "--", "sh", "-c", "exit 7"]));
    assert_eq!(code(&up, &["wait", "seven", "--exit-code", "--timeout", "60s"]).0, Some(7));
}

#[test]
fn in_a_repository_run_makes_the_repo_once_and_names_the_agent_after_its_task() {
    let up = Up::start();
    let repo = up.home.path().join("my.repo");
    repository(&repo);
    let run = |args: &[&str]| ok(up.command().current_dir(&repo).args(args).output().unwrap());
    assert_eq!(run(&["run", "shell", "-d", "--name", "one"]), "agent/one\n");
    assert_eq!(run(&["run", "--no-wait", "--", "sleep", "60"]), "agent/sleep\n");
    assert_eq!(run(&["run", "--no-wait", "--", "sleep", "60"]), "agent/sleep-2\n");
    let dry = run(&["run", "claude", "Fix the flaky test, please", "--dry-run"]);
    assert!(dry.contains("name: fix-the-flaky-test\n") && dry.contains("name: my-repo\n"), "{dry}");
    assert!(!dry.contains("kind: Repo"), "the Repo is there already: {dry}");
    assert_eq!(ok(up.regatta(&["get", "repos", "-o", "name"])), "repo/my-repo\n");
}

#[test]
fn following_a_log_over_a_killed_server_misses_no_byte_and_repeats_none() {
    let mut up = Up::start();
    let script = "for i in $(seq -w 1 4000); do echo $i; sleep 0.001; done";
    ok(up.regatta(&["run", "command", "--name", "counter", "--scratch", "-d", "--", "sh", "-c", script]));
    let follower =
        up.command().args(["logs", "counter", "-f"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(500));
    up.kill9();
    up.start_again();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(follower.wait_with_output().unwrap()));
    let output = receiver.recv_timeout(PATIENCE).expect("the follower ends with the agent");
    let expected: String = (1..=4000).map(|i| format!("{i:04}\r\n")).collect();
    let got = String::from_utf8_lossy(&output.stdout);
    assert!(got == expected, "{} of {} bytes\n{}", got.len(), expected.len(), String::from_utf8_lossy(&output.stderr));
}

/// A pseudo-terminal with `regatta attach` in it.
struct Attached {
    child: std::process::Child,
    master: std::fs::File,
    seen: std::sync::Arc<std::sync::Mutex<Vec<u8>>>,
    before: nix::sys::termios::Termios,
    slave: std::os::fd::OwnedFd,
}

impl Attached {
    fn to(up: &Up, name: &str) -> Attached {
        let size = nix::pty::Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).unwrap();
        let before = nix::sys::termios::tcgetattr(pty.slave.as_fd()).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = up.command().args(["attach", name]).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let master = std::fs::File::from(pty.master);
        let seen = std::sync::Arc::<std::sync::Mutex<Vec<u8>>>::default();
        let (mut reader, all) = (master.try_clone().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                all.lock().unwrap().extend(&buffer[..n]);
            }
        });
        Attached { child, master, seen, before, slave: pty.slave }
    }

    fn shows(&self, text: &str) {
        until(&format!("the terminal shows {text:?}"), || {
            let seen = String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned();
            if seen.contains(text) { Ok(()) } else { Err(seen) }
        });
    }

    fn type_in(&mut self, keys: &[u8]) {
        self.master.write_all(keys).unwrap();
    }
}

#[test]
fn attach_types_survives_a_killed_server_and_gives_the_terminal_back() {
    let mut up = Up::start();
    ok(up.regatta(&["run", "shell", "--name", "typist", "--scratch", "-d"]));
    let mut attached = Attached::to(&up, "typist");
    attached.shows("Ctrl-B d detaches");
    until("the terminal is raw", || {
        let now = nix::sys::termios::tcgetattr(attached.slave.as_fd()).unwrap();
        if now == attached.before { Err("cooked".into()) } else { Ok(()) }
    });
    attached.type_in(b"echo $((6*7))-first\r");
    attached.shows("42-first");
    attached.type_in(b"stty size\r");
    attached.shows("30 100");
    // A paste with the detach keys in it stays.
    attached.type_in(b"\x1b[200~: \x02d\x1b[201~\x03");
    up.kill9();
    attached.shows("not connected");
    up.start_again();
    until("typing works again", || {
        attached.type_in(b"echo $((40+3))-again\r");
        std::thread::sleep(std::time::Duration::from_millis(200));
        let seen = String::from_utf8_lossy(&attached.seen.lock().unwrap()).into_owned();
        if seen.contains("43-again") { Ok(()) } else { Err(seen) }
    });
    attached.type_in(b"\x02d");
    let status = until("it detaches", || attached.child.try_wait().unwrap().ok_or_else(|| "attached".into()));
    assert_eq!(status.code(), Some(0));
    attached.shows("[detached from typist; it goes on]");
    assert!(nix::sys::termios::tcgetattr(attached.slave.as_fd()).unwrap() == attached.before, "cooked again");
    assert_eq!(code(&up, &["send", "typist", "echo", "$((50+2))-sent"]).0, Some(0));
    until("the log has it", || {
        let log = ok(up.regatta(&["logs", "typist"]));
        if log.contains("52-sent") { Ok(()) } else { Err(log) }
    });
}
