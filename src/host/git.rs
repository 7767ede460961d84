//! Runs the git CLI: never with a prompt, never past its time, with nothing of our caller's repository in the environment.
//! Owns how git is called; what is done with it is for `repo`, `worktree` and `rescue`.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use thiserror::Error;
use tokio::process::Command;

/// What needs the network, or a checkout of a large tree.
pub const LONG: Duration = Duration::from_secs(1800);
/// What only looks at or changes a few files.
pub const SHORT: Duration = Duration::from_secs(120);

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot run git: {0}; install git and put it on the PATH of this host")]
    Missing(std::io::Error),
    #[error("`git {command}` did not end within {seconds} s and was stopped")]
    TooSlow { command: String, seconds: u64 },
    #[error("`git {command}` failed: {why}")]
    Failed { command: String, why: String },
}

/// A call of git in a directory.
pub struct Git<'a> {
    directory: &'a Path,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, OsString)>,
    patience: Duration,
}

impl<'a> Git<'a> {
    /// In this directory: a worktree, or a bare repository.
    pub fn at(directory: &'a Path) -> Git<'a> {
        Git { directory, arguments: Vec::new(), environment: Vec::new(), patience: SHORT }
    }

    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Standard output, of a call that ended with 0.
    pub async fn run(self) -> Result<Vec<u8>, Error> {
        let shown = || self.arguments.iter().map(|a| a.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(name)) {
            command.env_remove(name);
        }
        command
            .args(&self.arguments)
            .current_dir(self.directory)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS", "")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // Messages are matched and shown; a translated one could not be.
            .env("LC_ALL", "C.UTF-8")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let child = command.spawn().map_err(Error::Missing)?;
        let output = match tokio::time::timeout(self.patience, child.wait_with_output()).await {
            Ok(output) => output.map_err(Error::Missing)?,
            Err(_) => return Err(Error::TooSlow { command: shown(), seconds: self.patience.as_secs() }),
        };
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(Error::Failed { command: shown(), why: reason(&output.stderr, output.status) })
    }

    /// Standard output as one trimmed line.
    pub async fn line(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.run().await?).trim().to_owned())
    }
}

/// Variables with which a caller's git (a hook, an alias) would point ours at another repository.
fn foreign(name: &OsStr) -> bool {
    const KEPT: [&str; 4] = ["GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_EXEC_PATH"];
    name.to_str().is_some_and(|n| n.starts_with("GIT_") && !n.starts_with("GIT_CONFIG_") && !KEPT.contains(&n))
}

/// The last lines of what git said, which is where it says why. A password that a URL carried is taken out.
fn reason(stderr: &[u8], status: std::process::ExitStatus) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let from = lines.len().saturating_sub(4);
    let said = lines[from..].join("; ");
    if said.is_empty() { status.to_string() } else { without_passwords(&said) }
}

fn without_passwords(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        clean.push_str(before);
        let end = after.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(sign) if after[..sign].contains(':') => {
                clean.push_str("…@");
                &after[sign + 1..]
            }
            _ => after,
        };
    }
    clean.push_str(rest);
    clean
}

/// The ssh command for calls that go to a remote: the user's own, told never to ask.
pub async fn quiet_ssh(repository: &Path) -> OsString {
    let base = match std::env::var_os("GIT_SSH_COMMAND") {
        Some(command) => command,
        // An unset key is an error to git; ssh itself is what it stands for.
        None => match Git::at(repository).args(["config", "--get", "core.sshCommand"]).line().await {
            Ok(command) if !command.is_empty() => command.into(),
            _ => "ssh".into(),
        },
    };
    let mut quiet = base;
    quiet.push(" -o BatchMode=yes -o ConnectTimeout=20");
    quiet
}

/// Bytes that git printed as a path.
pub fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_never_reaches_a_message() {
        assert_eq!(
            without_passwords("fatal: https://me:secret@host/x.git and https://me@host/y ssh://host"),
            "fatal: https://…@host/x.git and https://me@host/y ssh://host"
        );
    }

    #[tokio::test]
    async fn a_failing_call_says_which_and_why() {
        let error = Git::at(Path::new("/")).args(["rev-parse", "HEAD"]).run().await.unwrap_err();
        assert!(error.to_string().starts_with("`git rev-parse HEAD` failed: fatal:"), "{error}");
    }
}
