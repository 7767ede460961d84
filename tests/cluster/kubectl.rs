//! Every kubectl this machine offers, and the folder a case's shell lines run in.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use crate::pair::{ROOT, Side};

/// A shell line that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(120);

pub struct Kubectl {
    /// `1.27`
    pub label: String,
    pub minor: u32,
    program: PathBuf,
}

/// Debian's old one, the newest (of `tests/kube`), and what a cloud SDK brings; `KUBECTLS=1.20,1.36` chooses.
pub fn installed() -> Vec<Arc<Kubectl>> {
    let target = Path::new(ROOT).join("target/kube");
    let mut programs = vec![target.join("debian/usr/bin/kubectl"), target.join("kubectl")];
    for folder in ["/usr/lib/google-cloud-sdk/bin", "/usr/local/bin", "/usr/bin"] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("kubectl.1.") {
                programs.push(entry.path());
            }
        }
    }
    let wanted = std::env::var("KUBECTLS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split(',').filter(|label| !label.is_empty()).collect();
    let mut found: Vec<Arc<Kubectl>> = programs.into_iter().map(|program| Arc::new(Kubectl::new(program))).collect();
    found.sort_by_key(|kubectl| kubectl.minor);
    found.dedup_by_key(|kubectl| kubectl.minor);
    found.retain(|kubectl| wanted.is_empty() || wanted.contains(&kubectl.label.as_str()));
    assert!(!found.is_empty(), "no kubectl of {wanted:?} here");
    found
}

impl Kubectl {
    fn new(program: PathBuf) -> Kubectl {
        let output = Command::new(&program).args(["version", "--client", "-o", "json"]).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}; run `make test-cluster`", program.display()));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let version = said["clientVersion"]["gitVersion"].as_str().expect("a version").trim_start_matches('v');
        let label = version.split('.').take(2).collect::<Vec<_>>().join(".");
        let minor = label.split('.').nth(1).and_then(|minor| minor.parse().ok()).expect("a minor version");
        Kubectl { label, minor, program }
    }
}

/// Where one case's shell lines run: `kubectl` is the one meant, its configuration the side's with the case's namespace.
pub struct Shell {
    folder: TempDir,
}

impl Shell {
    pub fn new(kubectl: &Kubectl, side: &Side, namespace: &str) -> Shell {
        let folder = tempfile::Builder::new().prefix("compare-").tempdir().unwrap();
        let path = folder.path();
        for part in ["bin", "work"] {
            std::fs::create_dir(path.join(part)).unwrap();
        }
        std::os::unix::fs::symlink(&kubectl.program, path.join("bin/kubectl")).unwrap();
        for (name, text) in TOOLS {
            let file = path.join("bin").join(name);
            std::fs::write(&file, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(&file, mode).unwrap();
        }
        let mut config: serde_json::Value =
            serde_saphyr::from_str(&std::fs::read_to_string(&side.kubeconfig).unwrap()).unwrap();
        config["contexts"][0]["context"]["namespace"] = namespace.into();
        std::fs::write(path.join("kubeconfig"), config.to_string()).unwrap();
        Shell { folder }
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("work").join(name);
        std::fs::create_dir_all(path.parent().expect("inside work")).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// What a line printed, and its exit code.
    pub async fn run(&self, line: &str) -> (String, String, String) {
        let path = self.folder.path();
        let mut command = tokio::process::Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(path.join("work"))
            .env_clear()
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", path.join("bin").display()))
            .env("HOME", path)
            .env("OUT_OF_SCOPE", format!("{ROOT}/tests/cluster/out-of-scope.txt"))
            .env("KUBECONFIG", path.join("kubeconfig"))
            .env("KUBE_EDITOR", "editor")
            .env("TZ", "UTC")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match tokio::time::timeout(LIMIT, command.output()).await {
            Ok(Ok(output)) => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let code = output.status.code().map_or_else(|| output.status.to_string(), |code| code.to_string());
                (text(&output.stdout), text(&output.stderr), code)
            }
            Ok(Err(error)) => (String::new(), error.to_string(), "cannot start".into()),
            Err(_) => (String::new(), String::new(), format!("not ended within {LIMIT:?}")),
        }
    }
}

/// What shell lines may use beside kubectl.
const TOOLS: &[(&str, &str)] = &[
    // in-scope: drops lines about resources of a whole cluster that are not ours to have.
    ("in-scope", "#!/bin/sh\nexec grep -v -w -E -f \"$OUT_OF_SCOPE\"\n"),
    // wait-for TEXT FILE: until a background command has written it.
    (
        "wait-for",
        "#!/bin/sh\nn=0\nuntil grep -q -e \"$1\" \"$2\" 2>/dev/null; do\n n=$((n+1)); [ $n -lt 600 ] || { echo \"never: $1\"; exit 1; }; sleep 0.1\ndone\n",
    ),
    // editor: what `kubectl edit` opens; $EDIT is a sed script.
    ("editor", "#!/bin/sh\nexec sed -i -e \"$EDIT\" \"$1\"\n"),
];
