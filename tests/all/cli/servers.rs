//! Which server a verb talks to, what it says about it, and what a shell is told.

use std::process::{Command, Output};

use serde_json::Value;

use crate::harness::{REGATTA, Up, ok, until};

/// The CLI as a user without any settings has it; only `home` is theirs.
fn bare(home: &std::path::Path, args: &[&str], set: &[(&str, &std::path::Path)]) -> Output {
    let mut command = Command::new(REGATTA);
    command.args(args).env("HOME", home);
    for name in ["REGATTA_HOME", "REGATTA_SERVER", "REGATTA_CONTEXT", "KUBECONFIG"] {
        command.env_remove(name);
    }
    command.envs(set.iter().map(|(name, path)| (name, path)));
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_server_is_found_by_kubeconfig_context_choice_and_environment() {
    let up = Up::start();
    let person = tempfile::tempdir().unwrap();
    let home = person.path();
    let kubeconfig = up.kubeconfig();
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: here}\n";
    let file = home.join("map.yaml");
    std::fs::write(&file, map).unwrap();
    ok(up.regatta(&["apply", "-f", file.to_str().unwrap()]));
    let found = |args: &[&str], set: &[(&str, &std::path::Path)]| {
        ok(bare(home, &[&["get", "cm", "here", "-o", "name"], args].concat(), set)) == "configmap/here\n"
    };
    assert!(found(&["--kubeconfig", kubeconfig.to_str().unwrap()], &[]));
    assert!(found(&[], &[("KUBECONFIG", &kubeconfig)]));
    assert!(found(&["--context", "regatta"], &[("KUBECONFIG", &kubeconfig)]));

    let said = ok(bare(home, &["context", "use", "regatta"], &[("KUBECONFIG", &kubeconfig)]));
    assert_eq!(said, "now talking to regatta\n");
    assert!(found(&[], &[]), "the choice remembers the file");
    let list = ok(bare(home, &["context", "list"], &[]));
    assert!(list.lines().any(|l| l.starts_with("*         regatta   https://127.0.0.1:")), "{list}");
    assert!(list.lines().any(|l| l.trim_start().starts_with("local ")), "{list}");
    let shown: Value = serde_json::from_str(&ok(bare(home, &["context", "show", "-o", "json"], &[]))).unwrap();
    assert_eq!((shown["context"].as_str(), shown["answers"].as_bool()), (Some("regatta"), Some(true)), "{shown}");
    ok(bare(home, &["context", "use", "local"], &[]));
    let shown: Value =
        serde_json::from_str(&ok(bare(home, &["context", "show", "-o", "json"], &[("KUBECONFIG", &kubeconfig)])))
            .unwrap();
    assert_eq!((shown["context"].as_str(), shown["answers"].as_bool()), (Some("local"), Some(false)), "{shown}");
    ok(bare(home, &["context", "use", "--forget"], &[]));
    assert!(found(&[], &[("KUBECONFIG", &kubeconfig)]));

    let nobody = bare(home, &["context", "use", "mars"], &[("KUBECONFIG", &kubeconfig)]);
    assert_eq!(nobody.status.code(), Some(3));
    assert!(stderr(&nobody).contains("there are local, regatta"), "{}", stderr(&nobody));
    let lost = home.join("lost");
    let missing = bare(home, &["get", "cm"], &[("KUBECONFIG", &lost)]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("lost"), "{}", stderr(&missing));
    assert!(!home.join(".regatta/up.log").exists(), "and no server was started");
}

#[test]
fn a_server_elsewhere_that_does_not_answer_is_said_with_the_reason_it_was_meant() {
    let up = Up::start();
    let text = std::fs::read_to_string(up.kubeconfig()).unwrap();
    let port = { std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port() };
    let address = text.split("https://").nth(1).unwrap().split(['"', '\n', '\'']).next().unwrap();
    let person = tempfile::tempdir().unwrap();
    let file = person.path().join("kubeconfig");
    std::fs::write(&file, text.replace(address, &format!("127.0.0.1:{port}"))).unwrap();
    let output = bare(person.path(), &["list"], &[("KUBECONFIG", &file)]);
    assert_eq!(output.status.code(), Some(1));
    for part in ["cannot reach the server", "named by KUBECONFIG", "regatta context use local"] {
        assert!(stderr(&output).contains(part), "{part:?} in {}", stderr(&output));
    }
}

#[test]
fn version_and_doctor_ask_the_server_and_start_none() {
    let up = Up::start();
    let version = env!("CARGO_PKG_VERSION");
    let said = ok(up.regatta(&["version"]));
    assert!(said.starts_with(&format!("regatta {version}\nserver {version} (Kubernetes API v1.")), "{said}");
    let value: Value = serde_json::from_str(&ok(up.regatta(&["version", "-o", "json"]))).unwrap();
    assert_eq!((value["client"].as_str(), value["server"].as_str()), (Some(version), Some(version)));
    let report: Value = serde_json::from_str(&ok(up.regatta(&["doctor", "-o", "json"]))).unwrap();
    let names: Vec<&str> = report["checks"].as_array().unwrap().iter().filter_map(|c| c["check"].as_str()).collect();
    for name in ["git", "tmux", "home", "disk", "server", "kinds", "rights"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    std::fs::set_permissions(up.home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let output = up.regatta(&["doctor"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("→ chmod 700"));

    let person = tempfile::tempdir().unwrap();
    assert_eq!(ok(bare(person.path(), &["version"], &[])), format!("regatta {version}\n"));
    assert!(!person.path().join(".regatta").exists());
}

#[test]
fn a_shell_is_told_kinds_objects_and_namespaces() {
    let up = Up::start();
    ok(up.regatta(&["run", "command", "--name", "sleeper", "--scratch", "--no-wait", "--", "sleep", "3600"]));
    let complete = |words: &[&str]| {
        let text = ok(up.regatta(&[&["complete", "--"], words].concat()));
        text.lines().map(|l| l.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // On a busy machine the first answers may come too late for a shell.
    until(
        "the shell is told",
        || if complete(&["attach", ""]) == ["sleeper"] { Ok(()) } else { Err("nothing".into()) },
    );
    assert_eq!(complete(&["desc"]), ["describe"]);
    assert_eq!(complete(&["get", "agentc"]), ["agentclasses"]);
    assert_eq!(complete(&["get", "agents", "s"]), ["sleeper"]);
    assert_eq!(complete(&["describe", "agent/"]), ["agent/sleeper"]);
    assert_eq!(complete(&["attach", ""]), ["sleeper"]);
    assert_eq!(complete(&["-n", "kube-"]), ["kube-system"]);
    assert_eq!(complete(&["get", "-n", "kube-system", "agents", ""]), Vec::<String>::new());
    assert_eq!(complete(&["apply", "-f", ""]), [":files"]);
    assert_eq!(complete(&["get", "agents", "--output=y"]), ["--output=yaml"]);
    let nobody = tempfile::tempdir().unwrap();
    assert_eq!(ok(bare(nobody.path(), &["complete", "--", "attach", ""], &[])), "", "and no server is started");
    assert!(!nobody.path().join(".regatta").exists());
}

#[test]
fn bash_completes_with_the_printed_script() {
    let up = Up::start();
    ok(up.regatta(&["run", "command", "--name", "sleeper", "--scratch", "--no-wait", "--", "sleep", "3600"]));
    let script = ok(up.regatta(&["completions", "bash"]));
    let ask = format!(
        "{script}\nCOMP_WORDS=({REGATTA} get agents sl); COMP_CWORD=3; _regatta; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let bash = || {
        let mut command = Command::new("bash");
        command.args(["--norc", "-c", &ask]).env("HOME", up.home.path()).env("REGATTA_HOME", up.home.path());
        ok(command.output().unwrap())
    };
    let said = until("bash knows the agent", || {
        let said = bash();
        if said.contains("sleeper") { Ok(said) } else { Err(said) }
    });
    assert_eq!(said, "sleeper\n");
    for shell in ["zsh", "fish"] {
        assert!(ok(up.regatta(&["completions", shell])).contains("complete --"), "{shell}");
    }
}
