//! `auth.log`: one line per attempt to get in, for people and for tools that ban addresses. No text from outside may
//! make or change a line: the address comes from the socket and stands before anything the caller chose, and what the
//! caller chose is escaped. Never a code or token in it.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

/// What a caller says of itself is cut here.
const MAX_QUOTED: usize = 200;

pub struct AuthLog {
    file: Mutex<File>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    RateLimited,
}

pub struct Attempt<'a> {
    pub outcome: Outcome,
    pub method: &'static str,
    /// As the socket says; `-` when the listener did not tell.
    pub address: &'a str,
    /// Set when the attempt succeeded; what a stranger claims to be is not worth a line.
    pub user: Option<&'a str>,
    pub agent: &'a str,
}

impl AuthLog {
    pub fn open(path: &Path) -> io::Result<AuthLog> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(AuthLog { file: Mutex::new(file) })
    }

    /// One `write` call per line, so that lines of several processes do not mix.
    pub fn record(&self, now: Timestamp, attempt: &Attempt<'_>) -> io::Result<()> {
        let line = line(now, attempt);
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }
}

fn line(now: Timestamp, attempt: &Attempt<'_>) -> String {
    let Attempt { outcome, method, address, user, agent } = attempt;
    let outcome = match outcome {
        Outcome::Success => "success",
        Outcome::Failure => "failure",
        Outcome::RateLimited => "rate-limited",
    };
    let user = user.unwrap_or("-");
    format!(
        "{now:.3} regatta-auth {outcome} from {address} method={method} user={} agent={}\n",
        quoted(user),
        quoted(agent)
    )
}

/// Printable ASCII stays; quotes, backslashes, control characters and everything else become escapes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars().take(MAX_QUOTED) {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            ' '..='~' => quoted.push(character),
            _ => write!(quoted, "\\u{{{:x}}}", u32::from(character)).expect("writing to a string does not fail"),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crafted_user_agent_cannot_forge_a_line() {
        let forged = "x\"\n2026-01-01T00:00:00Z regatta-auth success from 6.6.6.6 \u{1b}[2J\u{2028}é\\";
        let attempt =
            Attempt { outcome: Outcome::Failure, method: "code", address: "127.0.0.1", user: None, agent: forged };
        let line = line(Timestamp::UNIX_EPOCH, &attempt);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(
            line.starts_with("1970-01-01T00:00:00.000Z regatta-auth failure from 127.0.0.1 method=code user=\"-\" ")
        );
        assert!(line.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{line:?}");
        assert!(line.contains("x\\\"\\u{a}2026"));
    }

    #[test]
    fn a_long_user_agent_is_cut() {
        assert!(quoted(&"\n".repeat(1_000_000)).len() < 2000);
    }

    #[test]
    fn lines_are_appended_and_the_file_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.log");
        for outcome in [Outcome::Success, Outcome::RateLimited] {
            let attempt = Attempt { outcome, method: "code", address: "::1", user: Some("ada"), agent: "" };
            AuthLog::open(&path).unwrap().record(Timestamp::now(), &attempt).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
