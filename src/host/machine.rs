//! What a host knows of its machine: its own identity, the tools it needs, and what it tells the control plane of itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files;
use crate::api::link::HostInfo;

/// `remain-on-exit`, exact targets and argument vectors are all there since.
const OLDEST_TMUX: (u32, u32) = (3, 0);

#[derive(Debug, Error)]
pub enum Error {
    #[error(
        "cannot run `{tool} {flag}`: {source}; install {tool} (apt install {tool}, brew install {tool}) and put it on the PATH"
    )]
    Missing { tool: &'static str, flag: &'static str, source: std::io::Error },
    #[error("`{tool} {flag}` failed: {said}")]
    Broken { tool: &'static str, flag: &'static str, said: String },
    #[error("this host has {found}, and Regatta needs tmux 3.0 or later")]
    OldTmux { found: String },
    #[error("cannot keep this host's identity in {path}: {source}")]
    Identity { path: PathBuf, source: std::io::Error },
    #[error("{path} does not hold an identity (8 hexadecimal digits); remove it if no agent runs on this host")]
    MalformedIdentity { path: PathBuf },
}

/// Which tmux and git there are.
#[derive(Clone, Debug)]
pub struct Tools {
    pub tmux: String,
    pub tmux_version: (u32, u32),
    pub git: String,
}

pub fn tools() -> Result<Tools, Error> {
    let tmux = ask("tmux", "-V")?;
    // A version that cannot be read (a development build) is taken to be new.
    let tmux_version = version(&tmux).unwrap_or((99, 0));
    if tmux_version < OLDEST_TMUX {
        return Err(Error::OldTmux { found: tmux });
    }
    Ok(Tools { tmux, tmux_version, git: ask("git", "--version")? })
}

fn ask(tool: &'static str, flag: &'static str) -> Result<String, Error> {
    let output = std::process::Command::new(tool)
        .arg(flag)
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|source| Error::Missing { tool, flag, source })?;
    if !output.status.success() {
        return Err(Error::Broken { tool, flag, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `tmux 3.3a` is (3, 3), `tmux next-3.4` is (3, 4).
fn version(text: &str) -> Option<(u32, u32)> {
    let digits = text.find(|c: char| c.is_ascii_digit())?;
    let (major, rest) = text[digits..].split_once('.')?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

/// Eight hexadecimal digits, made once and kept: they name this host's tmux servers, so that two homes never share one.
pub fn identity(home: &Path) -> Result<String, Error> {
    let path = home.join("identity");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let identity = text.trim().to_owned();
            let fits = identity.len() == 8 && identity.bytes().all(|b| b.is_ascii_hexdigit());
            if fits { Ok(identity) } else { Err(Error::MalformedIdentity { path }) }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = [0u8; 4];
            getrandom::fill(&mut bytes)
                .map_err(|error| Error::Identity { path: path.clone(), source: std::io::Error::other(error) })?;
            let identity: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
            files::write_private(&path, format!("{identity}\n").as_bytes())
                .map_err(|source| Error::Identity { path, source })?;
            Ok(identity)
        }
        Err(source) => Err(Error::Identity { path, source }),
    }
}

pub fn info(tools: &Tools, labels: &BTreeMap<String, String>) -> HostInfo {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let number = |text: &str| text.split_once(' ').map_or(text, |(_, number)| number).to_owned();
    HostInfo {
        os: shorten(os_name().unwrap_or_else(|| std::env::consts::OS.to_owned())),
        arch: std::env::consts::ARCH.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tmux: shorten(number(&tools.tmux)),
        git: shorten(number(tools.git.trim_start_matches("git "))),
        cpus: i32::try_from(cpus).unwrap_or(i32::MAX),
        memory_bytes: memory_bytes().unwrap_or_default(),
        labels: labels.clone(),
    }
}

fn shorten(text: String) -> String {
    crate::api::conditions::shorten(&text, 64)
}

fn os_name() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}

fn memory_bytes() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_spelling_are_read() {
        assert_eq!(version("tmux 3.3a"), Some((3, 3)));
        assert_eq!(version("tmux next-3.4"), Some((3, 4)));
        assert_eq!(version("tmux 2.9"), Some((2, 9)));
        assert_eq!(version("tmux master"), None);
    }

    #[test]
    fn an_identity_is_made_once_and_a_broken_one_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let first = identity(home.path()).unwrap();
        assert_eq!(identity(home.path()).unwrap(), first);
        std::fs::write(home.path().join("identity"), "x").unwrap();
        assert!(matches!(identity(home.path()), Err(Error::MalformedIdentity { .. })));
    }
}
