//! The verbs that stand for the whole API: get, describe, edit, diff, delete, wait; on objects that need no controller.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::code;
use crate::harness::{PATIENCE, Up, ok, until};

const MAPS: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {tier: a}}
data: {colour: red}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: two, labels: {tier: b}}
data: {colour: blue}
---
apiVersion: v1
kind: Secret
metadata: {name: key, labels: {tier: a}}
stringData: {password: hunter2}
";

struct Place {
    up: Up,
}

impl Place {
    fn new() -> Place {
        let place = Place { up: Up::start() };
        let file = place.file("maps.yaml", MAPS);
        ok(place.up.regatta(&["apply", "-f", &file]));
        place
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.up.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// `edit` with a script for an editor, and a folder of its own for copies.
    fn edit(&self, script: &str, args: &[&str]) -> (Option<i32>, String, String) {
        let editor = self.file("editor.sh", &format!("#!/bin/sh\nset -e\n{script}\n"));
        std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).unwrap();
        let copies = self.up.home.path().join("copies");
        std::fs::create_dir_all(&copies).unwrap();
        let mut command = self.up.command();
        command.arg("edit").args(args).env("TMPDIR", copies).env("EDITOR", editor);
        for other in ["REGATTA_EDITOR", "KUBE_EDITOR", "VISUAL"] {
            command.env_remove(other);
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn copies(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.up.home.path().join("copies")).unwrap();
        entries.map(|e| std::fs::read_to_string(e.unwrap().path()).unwrap()).collect()
    }

    fn colour(&self, name: &str) -> String {
        let object: Value = serde_json::from_str(&ok(self.up.regatta(&["get", "cm", name, "-o", "json"]))).unwrap();
        object["data"]["colour"].as_str().unwrap_or_default().to_owned()
    }
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn get_shows_kinds_names_selections_and_every_form() {
    let place = Place::new();
    let get = |args: &[&str]| ok(place.up.regatta(&[&["get"], args].concat()));
    let table = get(&["cm"]);
    contains(&table, &["NAME   DATA   AGE\n", "\none    1", "\ntwo    1"]);
    assert!(!table.contains('\u{1b}'), "no colours in a pipe: {table:?}");
    contains(&get(&["cm,secrets", "-l", "tier=a"]), &["configmap/one", "secret/key"]);
    assert!(!get(&["cm", "-l", "tier=a"]).contains("two"));
    assert_eq!(get(&["cm", "--field-selector", "metadata.name=two", "-o", "name"]), "configmap/two\n");
    assert_eq!(get(&["cm", "two", "one", "-o", "name"]), "configmap/two\nconfigmap/one\n");
    assert_eq!(get(&["secret/key", "cm/one", "-o", "name"]), "secret/key\nconfigmap/one\n");
    contains(&get(&["cm", "-A"]), &["NAMESPACE   NAME", "default"]);
    assert!(!get(&["cm", "--no-headers"]).contains("NAME"));
    contains(&get(&["agents", "-o", "wide"]), &[]);
    let list: Value = serde_json::from_str(&get(&["secret/key", "cm/one", "-o", "json"])).unwrap();
    assert_eq!((list["kind"].as_str(), list["items"].as_array().unwrap().len()), (Some("List"), 2));
    assert!(list["items"][0]["metadata"].get("managedFields").is_none());
    contains(&get(&["cm", "one", "-o", "yaml"]), &["kind: ConfigMap\n", "  colour: red\n"]);
    contains(&get(&["cm", "one", "-o", "yaml", "--show-managed-fields"]), &["manager: regatta-cli"]);

    assert_eq!(code(&place.up, &["get", "cm", "none"]).0, Some(3));
    assert_eq!(code(&place.up, &["get", "cm", "none", "--ignore-not-found"]).0, Some(0));
    assert_eq!(code(&place.up, &["get", "cm,secrets", "one"]).0, Some(2));
    assert_eq!(code(&place.up, &["get", "cm", "one", "-l", "a=b"]).0, Some(2));
    assert_eq!(code(&place.up, &["get"]).0, Some(2));
    let (exit, said) = code(&place.up, &["get", "cm", "-l", "a in"]);
    assert_eq!((exit, said.starts_with("regatta: cannot get configmaps: ")), (Some(1), true), "{said}");
}

#[test]
fn a_watch_goes_on_over_a_killed_server_and_tells_everything_once() {
    let mut place = Place::new();
    let mut watching = place
        .up
        .command()
        .args(["get", "cm", "-w", "-o", "name"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    let stdout = BufReader::new(watching.stdout.take().unwrap());
    std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let line = || lines.recv_timeout(PATIENCE).expect("another line");
    assert_eq!([line(), line()], ["configmap/one", "configmap/two"]);
    let changed = place.file("three.yaml", &MAPS.replace("name: one", "name: three"));
    ok(place.up.regatta(&["apply", "-f", &changed]));
    assert_eq!(line(), "configmap/three");
    place.up.kill9();
    place.up.start_again();
    ok(place.up.regatta(&["apply", "-f", &place.file("four.yaml", &MAPS.replace("name: one", "name: four"))]));
    assert_eq!(line(), "configmap/four", "and none of the others again");
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[test]
fn describe_tells_all_there_is_to_know_and_no_secret() {
    let place = Place::new();
    let uid = ok(place.up.kubectl(&["get", "cm", "one", "-o", "jsonpath={.metadata.uid}"]));
    let event = format!(
        "apiVersion: v1\nkind: Event\nmetadata: {{name: e, namespace: default}}\ntype: Warning\nreason: Faded\n\
         message: it was left in the sun\nsource: {{component: weather}}\ncount: 2\n\
         lastTimestamp: \"2026-01-01T00:00:00Z\"\n\
         involvedObject: {{kind: ConfigMap, name: one, namespace: default, uid: {uid}}}\n"
    );
    ok(place.up.regatta(&["apply", "-f", &place.file("event.yaml", &event)]));
    let page = ok(place.up.regatta(&["describe", "cm", "one"]));
    contains(
        &page,
        &[
            "configmap/one (v1)",
            "tier=a",
            "\nData\n  colour: red\n",
            "Warning",
            "Faded",
            "weather",
            "left in the sun",
            "(x2)",
        ],
    );
    let page = ok(place.up.regatta(&["describe", "secret/key"]));
    contains(&page, &["password: 7 bytes"]);
    assert!(!page.contains("hunter2") && !page.contains("aHVudGVyMg"), "{page}");

    ok(place.up.regatta(&["run", "command", "--name", "sleeper", "--scratch", "-d", "--", "sleep", "3600"]));
    let page = until("an agent's page is whole", || {
        let page = ok(place.up.regatta(&["describe", "agent/sleeper"]));
        if page.contains("Running") { Ok(page) } else { Err(page) }
    });
    contains(&page, &["\nSpec\n", "\nEffective\n", "\nConditions\n", "CONDITION", "Ready", "Scheduled", "\nEvents\n"]);
    contains(&ok(place.up.regatta(&["describe", "cm", "-l", "tier=b"])), &["configmap/two"]);
    assert_eq!(code(&place.up, &["describe", "cm", "none"]).0, Some(3));
    assert_eq!(code(&place.up, &["describe", "boats"]).0, Some(3));
}

#[test]
fn diff_exits_with_0_1_or_more_and_shows_what_would_change() {
    let place = Place::new();
    let diff = |text: &str| {
        let output = place.up.regatta(&["diff", "-f", &place.file("diff.yaml", text)]);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(diff(MAPS), (Some(0), String::new(), String::new()));
    let (exit, patch, _) = diff(&MAPS.replace("colour: red", "colour: green").replace("hunter2", "hunter3"));
    assert_eq!(exit, Some(1), "{patch}");
    contains(
        &patch,
        &["--- configmap/one (on the server)\n", "-  colour: red\n+  colour: green\n", "+  password: (hidden, new)"],
    );
    assert!(!patch.contains("configmap/two") && !patch.contains("resourceVersion"), "{patch}");
    assert_eq!(place.colour("one"), "red", "nothing was changed");
    let (exit, patch, _) = diff(&MAPS.replace("name: one", "name: new"));
    assert_eq!(exit, Some(1));
    contains(&patch, &["+  name: new\n"]);
    let (exit, _, said) = diff("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: 1}\n");
    assert!(exit > Some(1) && said.contains("diff.yaml:"), "{exit:?} {said}");
    assert_eq!(diff("{").0, Some(2));
}

#[test]
fn an_edit_reaches_the_server_and_leaves_nothing_behind() {
    let place = Place::new();
    let (exit, out, said) = place.edit("sed -i 's/colour: red/colour: green/' \"$1\"", &["cm/one"]);
    assert_eq!((exit, out.as_str()), (Some(0), "configmap/one edited\n"), "{said}");
    assert_eq!(place.colour("one"), "green");
    let (exit, out, said) = place.edit("true", &["cm", "one"]);
    assert_eq!((exit, out.as_str()), (Some(0), ""), "{said}");
    contains(&said, &["nothing was changed"]);
    let (exit, ..) = place.edit(": > \"$1\"", &["cm/one"]);
    assert_eq!(exit, Some(0), "an emptied file is a change of mind");
    assert_eq!(place.copies(), Vec::<String>::new());
    let (exit, out, _) = place.edit("sed -i 's/green/blue/' \"$1\"", &["cm/one", "--dry-run"]);
    assert_eq!((exit, out.as_str()), (Some(0), "configmap/one edited (dry run)\n"));
    assert_eq!(place.colour("one"), "green");
    assert_eq!(place.edit("true", &["cm/none"]).0, Some(3));
    assert_eq!(place.edit("true", &["cm"]).0, Some(3), "an agent of that name");
}

#[test]
fn what_is_wrong_with_an_edit_comes_back_into_the_editor() {
    let place = Place::new();
    // Wrong first; then, having read why, right.
    let script = "if grep -q 'was not changed' \"$1\"; then cp \"$1\" \"$0.seen\"; sed -i 's/colour: \\[1\\]/colour: blue/' \"$1\"
                  else sed -i 's/colour: red/colour: [1]/' \"$1\"; fi";
    let (exit, out, said) = place.edit(script, &["cm/one"]);
    assert_eq!((exit, out.as_str()), (Some(0), "configmap/one edited\n"), "{said}");
    let seen = std::fs::read_to_string(place.up.home.path().join("editor.sh.seen")).unwrap();
    contains(&seen, &["#: configmap/one was not changed:\n", "colour: [1]"]);
    assert_eq!(place.colour("one"), "blue");

    // No YAML at all, and no second thoughts: the text is kept, and where is said.
    let (exit, _, said) = place.edit("grep -q 'was not changed' \"$1\" || echo '  : [mine' >> \"$1\"", &["cm/one"]);
    assert_eq!(exit, Some(1), "{said}");
    contains(&said, &["what you wrote is kept in "]);
    let copies = place.copies();
    assert!(copies.len() == 1 && copies[0].contains("[mine"), "{copies:?}");
    let (_, _, said) =
        place.edit("grep -q 'was not changed' \"$1\" || sed -i 's/name: one/name: other/' \"$1\"", &["cm/one"]);
    contains(&said, &["kept in"]);
    let (exit, _, said) = place.edit("exit 3", &["cm/one"]);
    assert_eq!(exit, Some(1));
    contains(&said, &["editor", "exit status: 3", "kept in"]);
}

#[test]
fn others_changes_meanwhile_stay_and_a_clash_comes_back_with_both() {
    let place = Place::new();
    let kubeconfig = place.up.kubeconfig();
    let patch = |data: &str| {
        format!("kubectl --kubeconfig {} patch cm one --type merge -p '{data}' >/dev/null", kubeconfig.display())
    };
    let other = patch(r#"{"data":{"theirs":"1"}}"#);
    let (exit, _, said) = place.edit(&format!("{other}\nsed -i 's/colour: red/colour: mine/' \"$1\""), &["cm/one"]);
    assert_eq!(exit, Some(0), "{said}");
    let object: Value = serde_json::from_str(&ok(place.up.regatta(&["get", "cm/one", "-o", "json"]))).unwrap();
    assert_eq!((object["data"]["colour"].as_str(), object["data"]["theirs"].as_str()), (Some("mine"), Some("1")));

    let clash = patch(r#"{"data":{"colour":"theirs"}}"#);
    let script = format!(
        "if grep -q 'was not changed' \"$1\"; then cp \"$1\" \"$0.seen\"; sed -i '/^#:/d' \"$1\"
         else {clash}; sed -i 's/colour: mine/colour: again/' \"$1\"; fi"
    );
    let (exit, _, said) = place.edit(&script, &["cm/one"]);
    assert_eq!(exit, Some(0), "{said}");
    let seen = std::fs::read_to_string(place.up.home.path().join("editor.sh.seen")).unwrap();
    contains(&seen, &["somebody else changed the same", "data.colour: \"theirs\"", "  colour: again\n"]);
    assert_eq!(place.colour("one"), "again", "who has seen both decides");
}

#[test]
fn delete_takes_files_selections_and_policies() {
    let place = Place::new();
    let owner: Value = serde_json::from_str(&ok(place.up.regatta(&["get", "cm/one", "-o", "json"]))).unwrap();
    let owned = |name: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  ownerReferences:\n  - {{apiVersion: v1, kind: ConfigMap, name: one, uid: {}}}\n",
            owner["metadata"]["uid"].as_str().unwrap()
        )
    };
    ok(place.up.regatta(&["apply", "-f", &place.file("owned.yaml", &owned("owned"))]));
    assert_eq!(ok(place.up.regatta(&["delete", "cm/one", "--dry-run"])), "configmap/one deleted (dry run)\n");
    assert_eq!(ok(place.up.regatta(&["delete", "cm", "one", "--cascade", "orphan"])), "configmap/one deleted\n");
    let owned: Value = serde_json::from_str(&ok(place.up.regatta(&["get", "cm/owned", "-o", "json"]))).unwrap();
    assert!(owned["metadata"].get("ownerReferences").is_none(), "{owned}");

    assert_eq!(
        ok(place.up.regatta(&["delete", "cm,secrets", "-l", "tier"])),
        "configmap/two deleted\nsecret/key deleted\n"
    );
    assert_eq!(code(&place.up, &["delete", "cm/two"]).0, Some(3));
    assert_eq!(code(&place.up, &["delete", "cm/two", "--ignore-not-found"]).0, Some(0));
    ok(place.up.regatta(&["apply", "-f", &place.file("maps.yaml", MAPS)]));
    let file = place.file("maps.yaml", MAPS);
    assert_eq!(
        ok(place.up.regatta(&["delete", "-f", &file])),
        "secret/key deleted\nconfigmap/two deleted\nconfigmap/one deleted\n"
    );
    assert_eq!(code(&place.up, &["delete", "-f", &file]).0, Some(3));
    assert_eq!(code(&place.up, &["delete", "-f", &file, "--ignore-not-found"]).0, Some(0));
    assert_eq!(code(&place.up, &["delete"]).0, Some(2));

    // A finalizer keeps it: without waiting it is done at once, with waiting the time is up.
    let held = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: held, finalizers: [example.com/held]}\n";
    ok(place.up.regatta(&["apply", "-f", &place.file("held.yaml", held)]));
    assert_eq!(code(&place.up, &["delete", "cm/held", "--timeout", "1s"]).0, Some(4));
    assert_eq!(code(&place.up, &["delete", "cm/held", "--wait=false"]).0, Some(0));
    contains(&ok(place.up.regatta(&["describe", "cm/held"])), &["deleting", "held by example.com/held"]);
}

#[test]
fn wait_knows_every_kind_and_says_what_was_last_seen() {
    let place = Place::new();
    let file = place.file(
        "class.yaml",
        "apiVersion: regatta.dev/v1alpha1\nkind: AgentClass\nmetadata: {name: c}\nspec: {adapter: shell}\n",
    );
    ok(place.up.regatta(&["apply", "-f", &file]));
    assert_eq!(code(&place.up, &["wait", "agentclass/c", "--for", "condition=Ready", "--timeout", "60s"]).0, Some(0));
    assert_eq!(code(&place.up, &["wait", "cm/one", "--for", "condition=Ready", "--timeout", "1s"]).0, Some(4));
    assert_eq!(code(&place.up, &["wait", "cm/one"]).0, Some(2), "only agents finish");
    assert_eq!(code(&place.up, &["wait", "cm/none", "--for", "condition=Ready"]).0, Some(3));
    assert_eq!(code(&place.up, &["wait", "cm/none", "--for", "delete"]).0, Some(0));
    let waiting = place.up.command().args(["wait", "cm", "one", "two", "--for", "delete", "--timeout", "60s"]).spawn();
    ok(place.up.regatta(&["delete", "cm", "one", "two"]));
    assert_eq!(waiting.unwrap().wait().unwrap().code(), Some(0));
}

#[test]
fn apply_says_who_holds_a_field_and_brings_a_kind_along() {
    let place = Place::new();
    ok(Command::new("kubectl")
        .args(["--kubeconfig", place.up.kubeconfig().to_str().unwrap(), "patch", "cm", "one", "--type", "merge"])
        .args(["-p", r#"{"data":{"colour":"theirs"}}"#])
        .env("HOME", place.up.home.path())
        .output()
        .unwrap());
    let file = place.file("maps.yaml", MAPS);
    let (exit, said) = code(&place.up, &["apply", "-f", &file]);
    assert_eq!(exit, Some(1));
    contains(
        &said,
        &["maps.yaml:", "cannot apply configmap/one", "kubectl-patch", ".data.colour", "--force-conflicts"],
    );
    ok(place.up.regatta(&["apply", "-f", &file, "--force-conflicts"]));
    assert_eq!(place.colour("one"), "red");

    let kind = "
apiVersion: example.com/v1
kind: Buoy
metadata: {name: north}
spec: {light: on}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: buoys.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: buoys, singular: buoy, kind: Buoy}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {light: {type: boolean}}}}
";
    let said = ok(place.up.regatta(&["apply", "-f", &place.file("buoy.yaml", kind)]));
    assert_eq!(said, "customresourcedefinition/buoys.example.com created\nbuoy/north created\n");
    contains(&ok(place.up.regatta(&["get", "buoys", "-o", "yaml"])), &["light: true"]);
}
