//! `regatta doctor`: what this machine has and lacks, each with the way out. Changes nothing.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::json;

use super::failure::{Cause, DONE, Failure, Outcome};
use super::kinds::Kinds;
use super::output::{Format, document, print};
use super::request;
use super::server::{Global, Place, Server, kubeconfig_path};
use super::up::Running;
use super::version::VERSION;

#[derive(Args, Debug)]
pub struct Doctor {
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

/// One thing looked at.
#[derive(Debug, PartialEq, Eq)]
struct Check {
    what: &'static str,
    found: String,
    /// What is wrong, and what to do about it.
    problem: Option<String>,
}

impl Check {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, found: found.into(), problem: None }
    }

    fn problem(what: &'static str, found: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { what, found: found.into(), problem: Some(way_out.into()) }
    }
}

/// Client flags of tmux's control mode came with 3.2; `git worktree` has been able to do what hosts do since 2.30.
const TMUX: (u32, u32) = (3, 2);
const GIT: (u32, u32) = (2, 30);

/// Worktrees and logs need room; below this an agent's first build may fill the disk.
const ROOM: u64 = 1 << 30;

/// A Unix socket's path ends at 104 bytes on some systems; the longest below the home is `host/run/<12 hex>.sock`.
const SOCKET_PATH: usize = 104;
const BELOW_HOME: usize = "/host/run/0123456789ab.sock".len();

impl Doctor {
    pub async fn run(self, global: &Global) -> Outcome {
        let home = global.home()?;
        let mut checks = vec![
            program("git", &["--version"], GIT, "install git with your package manager"),
            program("tmux", &["-V"], TMUX, "install tmux with your package manager"),
            home_check(&home),
            socket_check(&home),
            credentials_check(&home),
            disk_check(&home),
        ];
        checks.push(server_check(global).await?);
        checks.extend(api_checks(global).await?);
        checks.extend(port_checks(&home)?);
        let problems = checks.iter().filter(|c| c.problem.is_some()).count();
        match self.output {
            Some(format @ (Format::Json | Format::Yaml)) => {
                let list: Vec<_> = checks
                    .iter()
                    .map(|c| json!({"check": c.what, "ok": c.problem.is_none(), "found": c.found, "wayOut": c.problem}))
                    .collect();
                print(document(format, &json!({"checks": list, "problems": problems}))?)?;
            }
            Some(Format::Name | Format::Wide) | None => print(page(&checks))?,
        }
        if problems > 0 {
            return Err(Failure::failed(format!("{problems} problem{} found", if problems == 1 { "" } else { "s" })));
        }
        DONE
    }
}

fn page(checks: &[Check]) -> String {
    checks
        .iter()
        .map(|c| match &c.problem {
            None => format!("ok       {:12} {}\n", c.what, c.found),
            Some(way_out) => format!("problem  {:12} {}\n         {:12} → {way_out}\n", c.what, c.found, ""),
        })
        .collect()
}

fn program(name: &'static str, arguments: &[&str], needs: (u32, u32), way_out: &str) -> Check {
    let output = match Command::new(name).args(arguments).output() {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Ok(output) => return Check::problem(name, format!("{name} ends with {}", output.status), way_out),
        Err(error) => return Check::problem(name, format!("cannot be run: {error}"), way_out),
    };
    match version_in(&output) {
        Some(version) if version < needs => {
            Check::problem(name, output, format!("version {}.{} or newer is needed: {way_out}", needs.0, needs.1))
        }
        // A version that cannot be read (tmux master) is taken as new.
        _ => Check::ok(name, output),
    }
}

/// The first `major.minor` in a text such as `git version 2.47.3` or `tmux 3.5a`.
fn version_in(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let (major, rest) = word.split_once('.')?;
        Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
    })
}

fn home_check(home: &Path) -> Check {
    let shown = home.display();
    match std::fs::metadata(home) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok("home", format!("{shown} will be made at the first start"))
        }
        Err(error) => Check::problem("home", format!("{shown}: {error}"), "choose another with --home DIR"),
        Ok(data) if !data.is_dir() => {
            Check::problem("home", format!("{shown} is no directory"), "choose another with --home DIR")
        }
        Ok(data) if data.uid() != nix::unistd::geteuid().as_raw() => {
            Check::problem("home", format!("{shown} belongs to another user"), "choose another with --home DIR")
        }
        Ok(data) if data.permissions().mode() & 0o077 != 0 => {
            let mode = data.permissions().mode() & 0o777;
            Check::problem("home", format!("{shown} is open to others (mode {mode:o})"), format!("chmod 700 {shown}"))
        }
        Ok(_) => Check::ok("home", shown.to_string()),
    }
}

fn socket_check(home: &Path) -> Check {
    let length = home.as_os_str().len() + BELOW_HOME;
    let found = format!("paths of {length} of {SOCKET_PATH} bytes");
    if length < SOCKET_PATH {
        Check::ok("sockets", found)
    } else {
        let most = SOCKET_PATH - BELOW_HOME - 1;
        Check::problem("sockets", found, format!("choose a home of at most {most} bytes with --home DIR"))
    }
}

fn credentials_check(home: &Path) -> Check {
    let path = kubeconfig_path(home);
    let shown = path.display();
    match std::fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::ok("credentials", "made at the first start")
        }
        Err(error) => Check::problem("credentials", format!("{shown}: {error}"), "`regatta up` writes it anew"),
        Ok(data) if data.permissions().mode() & 0o077 != 0 => {
            Check::problem("credentials", format!("{shown} is open to others"), format!("chmod 600 {shown}"))
        }
        Ok(_) => Check::ok("credentials", shown.to_string()),
    }
}

fn disk_check(home: &Path) -> Check {
    let existing: PathBuf = home.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/")).to_owned();
    match nix::sys::statvfs::statvfs(&existing) {
        Err(error) => {
            Check::problem("disk", format!("{}: {error}", existing.display()), "choose another with --home DIR")
        }
        Ok(stat) => {
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            let found = format!("{:.1} GiB free at {}", free as f64 / (1u64 << 30) as f64, existing.display());
            if free < ROOM {
                Check::problem("disk", found, "make room, or choose a home on another disk with --home DIR")
            } else {
                Check::ok("disk", found)
            }
        }
    }
}

async fn server_check(global: &Global) -> Result<Check, Failure> {
    Ok(match Server::find(global).await? {
        Ok(server) => {
            let version = server.running()?.map(|r| r.version);
            match version {
                Some(version) if version != VERSION => Check::problem(
                    "server",
                    format!("{} has version {version}, this program {VERSION}", server.url),
                    "restart `regatta up` with this program; agents go on meanwhile",
                ),
                _ => Check::ok("server", format!("{} answers", server.url)),
            }
        }
        Err(why) if global.target()?.place == Place::Elsewhere => {
            let found = format!("{why} ({})", global.target()?.reason());
            Check::problem("server", found, "check that it runs; `regatta context list` names others")
        }
        Err(why) => Check::ok("server", format!("none runs ({why}); any verb starts one")),
    })
}

/// What a server that answers must have for us, and let us do.
async fn api_checks(global: &Global) -> Result<Vec<Check>, Failure> {
    let Ok(server) = Server::find(global).await? else { return Ok(Vec::new()) };
    let kinds = match Kinds::discover(&server.client).await {
        Ok(kinds) => kinds,
        Err(failure) => {
            return Ok(vec![Check::problem("kinds", failure.message, "ask who runs the server for access")]);
        }
    };
    let has = |crd: &CustomResourceDefinition| {
        kinds.all().any(|k| k.group == crd.spec.group && k.plural == crd.spec.names.plural)
    };
    let (here, missing): (Vec<_>, Vec<_>) = crate::api::crds().into_iter().partition(has);
    let names: Vec<&str> = missing.iter().map(|crd| crd.spec.names.plural.as_str()).collect();
    let found = match names.as_slice() {
        [] => Check::ok("kinds", format!("all {} are there", here.len())),
        names => Check::problem("kinds", format!("missing: {}", names.join(", ")), "regatta crd | kubectl apply -f -"),
    };
    Ok(vec![found, rights_check(&server).await])
}

async fn rights_check(server: &Server) -> Check {
    let attributes = json!({"group": crate::api::GROUP, "resource": "agents", "verb": "create",
                            "namespace": server.namespace});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                        "spec": {"resourceAttributes": attributes}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let way_out = "ask who runs the server for the role `edit` in this namespace";
    match request::post(&server.client, path, &review).await {
        Ok(answer) if answer["status"]["allowed"] == true => {
            Check::ok("rights", format!("you may create agents in namespace {}", server.namespace))
        }
        Ok(_) => {
            let found = format!("you may not create agents in namespace {}", server.namespace);
            Check::problem("rights", found, way_out)
        }
        Err(error) => Check::problem("rights", Cause::from(error).text, way_out),
    }
}

/// Ports matter only while no server of ours has them; a busy one is replaced at the start.
fn port_checks(home: &Path) -> Result<Vec<Check>, Failure> {
    if let Some(running) = Running::read(home)? {
        let found = format!("web {}, api {}, process {}", running.web, running.api, running.pid);
        return Ok(vec![Check::ok("ports", found)]);
    }
    let ports = [7600, 7601].map(|port| match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => format!("{port} is free"),
        Err(_) => format!("{port} is busy, a free one will be taken"),
    });
    Ok(vec![Check::ok("ports", ports.join(", "))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(version_in("git version 2.47.3"), Some((2, 47)));
        assert_eq!(version_in("tmux 3.5a"), Some((3, 5)));
        assert_eq!(version_in("tmux master"), None);
        assert!((3, 10) > (3, 2) && (2, 9) < GIT);
    }

    #[test]
    fn a_program_that_is_missing_is_a_problem_with_a_way_out() {
        let check = program("regatta-no-such-program", &[], (1, 0), "install it");
        assert_eq!(check.problem.as_deref(), Some("install it"));
        assert!(page(&[check]).contains("→ install it"));
    }

    #[test]
    fn a_home_open_to_others_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(home_check(dir.path()).problem.is_some_and(|p| p.starts_with("chmod 700")));
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(home_check(dir.path()).problem, None);
        assert!(socket_check(Path::new(&format!("/{}", "x".repeat(90)))).problem.is_some());
    }
}
