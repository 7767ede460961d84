//! From a Desired to the files that a shim starts from: `spec.json`, and the secrets in a file of their own that the shim
//! removes as it reads it. The environment is complete and explicit; nothing of the host's own leaks in by accident.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files;
use crate::adapter::{self, Inputs, Launch, SpecError};
use crate::api::link::Desired;
use crate::wire::LaunchSpec;

/// What an agent's command inherits of the host's environment: who and where it is, and how it reaches the network and
/// the user's keys. Everything else is the agent's own.
const INHERITED: [&str; 21] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSH_AUTH_SOCK",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
];

const SECRETS_FILE: &str = "secrets";

#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Spec(#[from] SpecError),
    #[error("the environment variable {name:?} cannot be set: {why}")]
    Variable { name: String, why: &'static str },
}

/// The argument vector and prompt of this agent, or what in its spec is in the way.
pub fn check(desired: &Desired) -> Result<Launch, Error> {
    for (name, value) in desired.env.iter().chain(&desired.secret_env) {
        let why = match name {
            name if name.is_empty() || name.contains(['=', '\0']) => "that is no name of a variable",
            _ if value.contains('\0') => "its value contains a NUL character, which no program can be given",
            _ => continue,
        };
        return Err(Error::Variable { name: name.clone(), why });
    }
    let Desired { args, command, prompt, effective, .. } = desired;
    let inputs = Inputs { options: &effective.options, args, command, prompt: prompt.as_deref() };
    Ok(adapter::launch(&desired.adapter, inputs, |name| match name {
        "SHELL" => Some(shell()),
        name => std::env::var(name).ok(),
    })?)
}

/// Writes what the shim reads. Returns nothing: the shim finds it in the agent's directory.
pub fn write(directory: &Path, desired: &Desired, launch: Launch, place: Place<'_>) -> io::Result<()> {
    let secrets = if desired.secret_env.is_empty() {
        None
    } else {
        let path = directory.join(SECRETS_FILE);
        let text: String = desired.secret_env.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
        files::write_private(&path, text.as_bytes())?;
        Some(path)
    };
    let spec = LaunchSpec {
        uid: desired.uid.clone(),
        epoch: place.epoch,
        argv: launch.argv,
        cwd: place.cwd.to_owned(),
        env: environment(desired, place.cwd),
        secrets,
        cols: desired.terminal.cols,
        rows: desired.terminal.rows,
        log_max_bytes: u64::try_from(desired.effective.log_max_bytes).unwrap_or_default(),
        socket: place.socket,
    };
    files::write_json(&directory.join(crate::wire::log::SPEC_FILE), &spec)
}

/// Where and as what an epoch runs.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    pub epoch: u64,
    pub cwd: &'a Path,
    pub socket: PathBuf,
}

/// Removes secrets that no shim came to read.
pub fn remove_leftover_secrets(directory: &Path) {
    match std::fs::remove_file(directory.join(SECRETS_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %directory.display(), %error, "a leftover secrets file cannot be removed");
        }
        _ => {}
    }
}

fn environment(desired: &Desired, cwd: &Path) -> Vec<(String, String)> {
    let mut all: BTreeMap<String, String> =
        INHERITED.iter().filter_map(|name| Some((name.to_string(), std::env::var(name).ok()?))).collect();
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    all.extend([own("TERM", "xterm-256color"), own("COLORTERM", "truecolor"), own("SHELL", &shell())]);
    all.entry("PATH".into()).or_insert_with(|| "/usr/local/bin:/usr/bin:/bin".into());
    all.entry("LANG".into()).or_insert_with(|| "C.UTF-8".into());
    all.extend(desired.env.iter().cloned());
    // Last, and so true whatever the agent's own values say.
    all.extend([
        own("REGATTA_AGENT", &desired.name),
        own("REGATTA_NAMESPACE", &desired.namespace),
        own("REGATTA_WORKTREE", &cwd.to_string_lossy()),
        own(crate::wire::launch::AGENT_UID_VARIABLE, &desired.uid),
        own("PWD", &cwd.to_string_lossy()),
    ]);
    all.into_iter().collect()
}

/// The user's shell, as far as it exists here.
fn shell() -> String {
    let own = std::env::var("SHELL").ok().filter(|shell| shell.starts_with('/'));
    let candidates = own.into_iter().chain(["/bin/bash".to_owned(), "/bin/sh".to_owned()]);
    candidates.into_iter().find(|shell| Path::new(shell).is_file()).unwrap_or_else(|| "/bin/sh".to_owned())
}
