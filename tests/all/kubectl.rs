//! Stock kubectl against the embedded API server, over plain HTTP on the loopback (TLS is another part's). The oldest and the
//! newest kubectl of this machine are asked; with REGATTA_KUBECTLS set to a folder of more, every one.

use std::{path::PathBuf, process::Output, time::Duration};

use regatta::apiserver::User;
use tempfile::TempDir;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::apiserver::{Server, server, server_with};

struct Kubectl {
    binary: PathBuf,
    url: String,
    home: TempDir,
    _server: Server,
    _serving: tokio::task::JoinSet<()>,
}

/// Every kubectl here, oldest first.
fn installed() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let more = std::env::var("REGATTA_KUBECTLS").unwrap_or_default();
    for folder in [more.as_str(), "/usr/lib/google-cloud-sdk/bin", "/usr/local/bin", "/usr/bin"] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().to_string();
            if name.starts_with("kubectl.1.") {
                found.push(entry.path());
            }
        }
    }
    found.sort_by_key(|path| path.file_name().map(std::ffi::OsStr::to_os_string));
    if found.is_empty() { vec![PathBuf::from("kubectl")] } else { found }
}

fn asked() -> Vec<PathBuf> {
    let all = installed();
    if std::env::var_os("REGATTA_KUBECTLS").is_some() || all.len() < 3 {
        return all;
    }
    vec![all[0].clone(), all[all.len() - 1].clone()]
}

impl Kubectl {
    async fn new(binary: PathBuf) -> Kubectl {
        Kubectl::of(binary, server().await).await
    }

    async fn of(binary: PathBuf, server: Server) -> Kubectl {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = server.server.router().layer(axum::Extension(User::admin()));
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Kubectl { binary, url, home: tempfile::tempdir().unwrap(), _server: server, _serving: serving }
    }

    /// Kubectl from here on reads OpenAPI v3 and lets the server judge fields.
    fn is_recent(&self) -> bool {
        let name = self.binary.file_name().unwrap_or_default().to_string_lossy().to_string();
        name.strip_prefix("kubectl.1.").is_none_or(|minor| minor.parse::<u32>().unwrap() >= 27)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command
            .arg("--server")
            .arg(&self.url)
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.home.path())
            .env("KUBE_EDITOR", self.home.path().join("editor.sh"))
            .kill_on_drop(true);
        command
    }

    async fn output(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.command(args);
        command
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("kubectl is installed");
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.ok();
        tokio::time::timeout(Duration::from_secs(60), child.wait_with_output()).await.expect("kubectl ended").unwrap()
    }

    /// What kubectl prints, for a command that must work.
    async fn says(&self, args: &[&str], input: &str) -> String {
        let output = self.output(args, input).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{} {args:?}\n{out}\n{err}", self.binary.display());
        out
    }

    async fn fails(&self, args: &[&str], input: &str) -> String {
        let output = self.output(args, input).await;
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8_lossy(&output.stderr).to_string()
    }

    fn file(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().to_string()
    }
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

const ARK: &str = r#"
apiVersion: sea.example/v1
kind: Boat
metadata: {name: ark, labels: {size: large}}
spec: {port: ararat, oars: 4, crew: [{name: noah, role: captain}]}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_describes_what_is_served() {
    for binary in asked() {
        let k = Kubectl::new(binary).await;
        contains(&k.says(&["version"], "").await, &["Server Version"]);
        let resources = k.says(&["api-resources"], "").await;
        contains(
            &resources,
            &["boats", "bt", "sea.example/v1", "namespaces", "customresourcedefinitions", "events.k8s.io/v1"],
        );
        contains(&k.says(&["api-versions"], "").await, &["sea.example/v1", "v1", "rbac.authorization.k8s.io/v1"]);
        // A second look uses the cache and the tags.
        contains(&k.says(&["api-resources", "--api-group=sea.example"], "").await, &["boats"]);
        if !k.is_recent() {
            continue;
        }
        contains(&k.says(&["explain", "boats.spec"], "").await, &["port", "Where the boat lies."]);
        contains(&k.says(&["explain", "bt", "--recursive"], "").await, &["crew", "role", "oars"]);
        contains(&k.says(&["explain", "configmap.data"], "").await, &["data"]);
        contains(&k.says(&["get", "--raw", "/readyz"], "").await, &["ok"]);
        contains(&k.says(&["auth", "can-i", "create", "boats"], "").await, &["yes"]);
        contains(&k.says(&["get", "crd"], "").await, &["boats.sea.example", "CREATED AT"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_explains_lists_and_describes_every_kind_of_ours() {
    for binary in asked() {
        let k = Kubectl::of(binary, server_with(regatta::api::crds()).await).await;
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples");
        k.says(&["apply", "-f", folder], "").await;
        // Applied again, nothing differs: what is stored is what was written, defaults aside.
        let again = k.says(&["apply", "-f", folder], "").await;
        assert!(again.lines().all(|line| line.ends_with(" unchanged")), "{again}");
        let all = k.says(&["get", "regatta", "-o", "name"], "").await;
        let kinds: Vec<_> = regatta::api::crds().into_iter().map(|crd| crd.spec).collect();
        let short: Vec<String> = kinds.iter().map(|kind| kind.names.short_names.as_ref().unwrap()[0].clone()).collect();
        let short = short.join(",");
        let tables = k.says(&["get", &short], "").await;
        let tables: Vec<&str> = tables.split("\n\n").collect();
        assert_eq!(tables.len(), kinds.len());
        let described = k.says(&["describe", &short], "").await;
        for (kind, table) in kinds.iter().zip(tables) {
            let plural = kind.names.plural.as_str();
            contains(&all, &[&format!("{}.regatta.dev/", kind.names.singular.as_deref().unwrap())]);
            contains(&described, &[&format!("Kind:         {}\n", kind.names.kind)]);
            let columns = kind.versions[0].additional_printer_columns.iter().flatten();
            let columns = columns.filter(|column| column.priority != Some(1)).map(|column| column.name.to_uppercase());
            let heading = table.trim_start().lines().next().unwrap_or_default();
            assert_eq!(heading.split_whitespace().skip(1).collect::<Vec<_>>(), columns.collect::<Vec<_>>(), "{plural}");
            if k.is_recent() {
                let explained = k.says(&["explain", plural, "--recursive"], "").await;
                contains(&explained, &[&kind.names.kind, "spec", "status", "conditions"]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_shows_and_changes() {
    for binary in asked() {
        let k = Kubectl::new(binary).await;
        contains(&k.says(&["apply", "-f", "-"], ARK).await, &["boat.sea.example/ark created"]);
        contains(&k.says(&["apply", "-f", "-"], ARK).await, &["boat.sea.example/ark unchanged"]);
        contains(&k.says(&["apply", "-f", "-"], &ARK.replace("ararat", "joppa")).await, &["configured"]);
        let refused = k.fails(&["apply", "-f", "-"], &ARK.replace("oars: 4", "oars: 9")).await;
        contains(&refused, &["spec.oars: Invalid value: 9: spec.oars in body should be less than or equal to 8"]);
        if k.is_recent() {
            let unknown = k.fails(&["apply", "-f", "-"], &ARK.replace("oars: 4", "sails: 4")).await;
            contains(&unknown, &["unknown field \"spec.sails\""]);
        }

        let table = k.says(&["get", "boats"], "").await;
        contains(&table, &["NAME", "PORT", "READY", "AGE", "ark", "joppa"]);
        assert!(!table.contains("OARS"), "{table}");
        contains(&k.says(&["get", "bt", "-o", "wide"], "").await, &["OARS", "4"]);
        contains(&k.says(&["get", "boat", "ark", "-o", "yaml"], "").await, &["kind: Boat", "port: joppa", "uid:"]);
        assert_eq!(
            k.says(&["get", "boat/ark", "-o", "custom-columns=P:.spec.port", "--no-headers"], "").await.trim(),
            "joppa"
        );
        k.says(&["apply", "-f", "-"], &ARK.replace("name: ark", "name: boot").replace("ararat", "bari")).await;
        let sorted = k.says(&["get", "boats", "--sort-by=.spec.port", "-o", "name"], "").await;
        assert_eq!(sorted.split_whitespace().collect::<Vec<_>>(), ["boat.sea.example/boot", "boat.sea.example/ark"]);
        let sorted = k.says(&["get", "boats", "--sort-by=.spec.port"], "").await;
        assert!(sorted.find("boot") < sorted.find("ark"), "{sorted}");
        contains(
            &k.says(&["get", "boats", "-A", "-l", "size=large", "--field-selector=spec.port=bari"], "").await,
            &["boot"],
        );
        contains(&k.says(&["get", "all"], "").await, &["ark", "boot"]);

        contains(&k.says(&["describe", "boat", "ark"], "").await, &["Name:         ark", "Port:", "joppa", "Events:"]);
        contains(&k.says(&["label", "boat", "ark", "kind=old"], "").await, &["labeled"]);
        contains(&k.says(&["annotate", "boat", "ark", "a=b"], "").await, &["annotate"]);
        let patches =
            [("merge", r#"{"spec":{"oars":5}}"#), ("json", r#"[{"op":"replace","path":"/spec/oars","value":6}]"#)];
        for (kind, patch) in patches {
            contains(&k.says(&["patch", "boat", "ark", "--type", kind, "-p", patch], "").await, &["patched"]);
        }
        let strategic =
            k.fails(&["patch", "boat", "ark", "--type", "strategic", "-p", r#"{"spec":{"oars":5}}"#], "").await;
        contains(&strategic, &["the body of the request was in an unknown format"]);
        contains(&k.says(&["scale", "boat", "ark", "--replicas=3"], "").await, &["scaled"]);
        assert_eq!(k.says(&["get", "boat", "ark", "-o", "jsonpath={.spec.oars}"], "").await, "3");
        k.file("editor.sh", "#!/bin/sh\nsed -i 's/port: joppa/port: tarshish/' \"$1\"\n");
        contains(&k.says(&["edit", "boat", "ark"], "").await, &["edited"]);
        assert_eq!(k.says(&["get", "boat", "ark", "-o", "jsonpath={.spec.port}"], "").await, "tarshish");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_applies_on_the_server_and_shows_differences() {
    for binary in asked() {
        let k = Kubectl::new(binary).await;
        contains(&k.says(&["apply", "--server-side", "-f", "-"], ARK).await, &["serverside-applied"]);
        k.says(&["apply", "--server-side", "-f", "-"], ARK).await;
        let other = ARK.replace("ararat", "joppa");
        let conflict = k.fails(&["apply", "--server-side", "--field-manager=other", "-f", "-"], &other).await;
        contains(&conflict, &["conflict with \"kubectl\"", ".spec.port", "--force-conflicts"]);
        let forced = ["apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-"];
        contains(&k.says(&forced, &other).await, &["serverside-applied"]);
        // Older ones look for dry runs in OpenAPI v2, which tells them nothing here.
        if !k.is_recent() {
            continue;
        }
        let difference = k.output(&["diff", "--server-side", "--force-conflicts", "-f", "-"], ARK).await;
        let text = [difference.stdout, difference.stderr].concat();
        contains(&String::from_utf8_lossy(&text), &["-  port: joppa", "+  port: ararat"]);
        assert_eq!(difference.status.code(), Some(1));
        assert_eq!(
            k.says(&["apply", "--dry-run=server", "-f", "-", "-o", "name"], ARK).await.trim(),
            "boat.sea.example/ark"
        );
        assert_eq!(k.says(&["get", "boat", "ark", "-o", "jsonpath={.spec.port}"], "").await, "joppa");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_makes_built_in_objects_and_patches_them() {
    for binary in asked() {
        let k = Kubectl::new(binary).await;
        contains(&k.says(&["create", "namespace", "harbour"], "").await, &["namespace/harbour created"]);
        contains(&k.says(&["get", "ns"], "").await, &["harbour", "Active", "default", "kube-system", "regatta-system"]);
        let n = ["-n", "harbour"];
        contains(
            &k.says(&["create", "configmap", "c", "--from-literal=a=b", n[0], n[1]], "").await,
            &["configmap/c created"],
        );
        contains(
            &k.says(&["create", "secret", "generic", "s", "--from-literal=k=v", n[0], n[1]], "").await,
            &["secret/s created"],
        );
        assert_eq!(k.says(&["get", "secret", "s", n[0], n[1], "-o", "jsonpath={.data.k}"], "").await, "dg==");
        contains(&k.says(&["get", "secret", n[0], n[1]], "").await, &["TYPE", "Opaque", "1"]);
        k.says(&["create", "serviceaccount", "sa", n[0], n[1]], "").await;
        k.says(&["create", "role", "r", "--verb=get", "--resource=configmaps", n[0], n[1]], "").await;
        contains(&k.says(&["patch", "cm", "c", n[0], n[1], "-p", r#"{"data":{"a":"c"}}"#], "").await, &["patched"]);
        contains(&k.says(&["describe", "cm", "c", n[0], n[1]], "").await, &["Data", "a:"]);
        contains(&k.says(&["describe", "ns", "harbour"], "").await, &["Status:", "Active"]);
        let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d, namespace: harbour}\ndata: {x: 'y'}\n";
        contains(&k.says(&["apply", "-f", "-"], manifest).await, &["created"]);
        contains(&k.says(&["apply", "-f", "-"], &manifest.replace("'y'", "'z'")).await, &["configured"]);
        let uid = k.says(&["get", "cm", "c", n[0], n[1], "-o", "jsonpath={.metadata.uid}"], "").await;
        let event = r#"{"apiVersion":"events.k8s.io/v1","kind":"Event","metadata":{"name":"e","namespace":"harbour"},
            "eventTime":"NOW","reportingController":"test","reportingInstance":"t","action":"Sail",
            "reason":"Sailed","type":"Normal","note":"off it went",
            "regarding":{"kind":"ConfigMap","name":"c","namespace":"harbour","uid":"UID"}}"#
            .replace("UID", &uid)
            .replace("NOW", &k8s_openapi::jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.000000Z").to_string());
        k.says(&["create", "-f", "-"], &event).await;
        contains(&k.says(&["get", "events", n[0], n[1]], "").await, &["Sailed", "configmap/c", "off it went"]);
        contains(&k.says(&["describe", "cm", "c", n[0], n[1]], "").await, &["Sailed", "off it went"]);
        contains(&k.says(&["delete", "namespace", "harbour", "--timeout=20s"], "").await, &["deleted"]);
        contains(&k.fails(&["get", "ns", "harbour"], "").await, &["namespaces \"harbour\" not found"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_waits_watches_and_deletes() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    for binary in asked() {
        let k = Kubectl::new(binary).await;
        k.says(&["apply", "-f", "-"], ARK).await;
        let mut watching =
            k.command(&["get", "boat", "ark", "-w"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
        let mut line = async || {
            tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap_or_default()
        };
        contains(&line().await, &["NAME"]);
        contains(&line().await, &["ararat"]);
        let waiting = k.command(&["wait", "boat/ark", "--for=condition=Ready", "--timeout=20s"]).output();
        let ready = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
        let path = "/apis/sea.example/v1/namespaces/default/boats/ark/status";
        let client = &k._server.client;
        let patch = [("content-type", "application/merge-patch+json")];
        let (waited, patched) =
            tokio::join!(waiting, crate::apiserver::raw(client, "PATCH", path, &patch, ready.as_bytes()));
        assert_eq!(patched.0, 200);
        let waited = waited.unwrap();
        assert!(waited.status.success(), "{}", String::from_utf8_lossy(&waited.stderr));
        contains(&line().await, &["ararat", "True"]);
        watching.kill().await.unwrap();

        contains(&k.says(&["delete", "boat", "ark"], "").await, &["deleted"]);
        for cascade in ["background", "foreground", "orphan"] {
            k.says(&["apply", "-f", "-"], ARK).await;
            contains(
                &k.says(&["delete", "boat", "ark", &format!("--cascade={cascade}"), "--timeout=20s"], "").await,
                &["deleted"],
            );
        }
        k.says(&["apply", "-f", "-"], ARK).await;
        contains(&k.says(&["delete", "boats", "--all", "--timeout=20s"], "").await, &["deleted"]);
        contains(&k.says(&["delete", "boat", "ark", "--ignore-not-found"], "").await, &[]);
        contains(&k.fails(&["delete", "boat", "ark"], "").await, &["boats.sea.example \"ark\" not found"]);
        contains(&k.says(&["delete", "crd", "boats.sea.example", "--timeout=20s"], "").await, &["deleted"]);
        // kubectl still has the kind in its cache.
        contains(&k.fails(&["get", "boats"], "").await, &["the server could not find the requested resource"]);
    }
}
