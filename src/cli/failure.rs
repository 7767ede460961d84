//! How a verb ends: the exit codes that scripts rely on, and the one sentence on stderr. Decides nothing else.

use std::fmt::Display;

/// Exit codes, the same for every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Timeout = 4,
    Refused = 5,
    NotDelivered = 6,
}

/// What a verb returns: the process's exit code, or why there is none to speak of.
pub type Outcome = Result<u8, Failure>;

pub const DONE: Outcome = Ok(Exit::Done as u8);

/// A verb that could not do what it was asked: what was attempted, why not, and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The reader of our stdout is gone: nothing to say, nobody to say it to.
    pub fn unheard() -> Self {
        Self::new(Exit::Done, "")
    }

    pub fn code(&self) -> u8 {
        self.exit as u8
    }
}

/// `cannot list agents: …`, with the exit code that the cause deserves.
pub fn cannot(what: impl Display, why: impl Into<Cause>) -> Failure {
    let Cause { exit, text } = why.into();
    if exit == Exit::Done {
        return Failure::unheard();
    }
    Failure::new(exit, format!("cannot {what}: {text}"))
}

/// Why something failed, as far as the exit code is concerned.
#[derive(Debug)]
pub struct Cause {
    pub exit: Exit,
    pub text: String,
}

impl From<kube::Error> for Cause {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self { exit: exit_of(status.code), text: sentence(&status) },
            other => Self { exit: Exit::Failed, text: chain(&other) },
        }
    }
}

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        let exit = if error.kind() == std::io::ErrorKind::BrokenPipe { Exit::Done } else { Exit::Failed };
        Self { exit, text: error.to_string() }
    }
}

impl From<nix::Error> for Cause {
    fn from(error: nix::Error) -> Self {
        std::io::Error::from(error).into()
    }
}

impl From<anyhow::Error> for Cause {
    fn from(error: anyhow::Error) -> Self {
        Self { exit: Exit::Failed, text: format!("{error:#}") }
    }
}

impl From<serde_json::Error> for Cause {
    fn from(error: serde_json::Error) -> Self {
        Self { exit: Exit::Failed, text: error.to_string() }
    }
}

impl From<&str> for Cause {
    fn from(text: &str) -> Self {
        Self { exit: Exit::Failed, text: text.into() }
    }
}

impl From<String> for Cause {
    fn from(text: String) -> Self {
        Self { exit: Exit::Failed, text }
    }
}

fn exit_of(code: u16) -> Exit {
    match code {
        404 => Exit::NotFound,
        401 | 403 => Exit::Refused,
        408 | 504 => Exit::Timeout,
        _ => Exit::Failed,
    }
}

/// How servers say that they have no such path, as opposed to no such object.
const UNKNOWN_PATH: [&str; 2] = ["could not find the requested resource", "404 page not found"];

/// The server's own words; a Status without a message at least names its reason.
fn sentence(status: &kube::core::Status) -> String {
    match (status.message.trim(), status.reason.trim()) {
        ("", "") => format!("the server answered {}", status.code),
        ("", reason) => reason.to_owned(),
        // The path itself is unknown, not the object.
        (message, _) if status.code == 404 && UNKNOWN_PATH.iter().any(|words| message.contains(words)) => {
            format!("{message}; a server without Regatta's kinds gets them by `regatta crd | kubectl apply -f -`")
        }
        (message, _) if is_apply_conflict(status) => {
            let message = message.replace("\n- ", " ");
            format!("{message}; leave those fields out, or take them over with --force-conflicts")
        }
        (message, _) => message.to_owned(),
    }
}

/// Somebody else set a field that an apply wants, as opposed to a write that came too late.
fn is_apply_conflict(status: &kube::core::Status) -> bool {
    let causes = status.details.as_ref().map(|d| d.causes.as_slice()).unwrap_or_default();
    status.code == 409 && causes.iter().any(|c| c.reason == "FieldManagerConflict")
}

/// An error and its causes in one line, without those that only repeat what was said.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16, message: &str, reason: &str) -> kube::Error {
        kube::Error::Api(kube::core::Status::failure(message, reason).with_code(code).boxed())
    }

    #[test]
    fn the_exit_code_follows_the_servers_answer() {
        for (code, exit) in [
            (404, Exit::NotFound),
            (401, Exit::Refused),
            (403, Exit::Refused),
            (504, Exit::Timeout),
            (409, Exit::Failed),
            (500, Exit::Failed),
        ] {
            assert_eq!(cannot("get agent \"x\"", api(code, "no", "R")).exit, exit, "{code}");
        }
    }

    #[test]
    fn a_failure_says_what_was_attempted_and_why_it_failed() {
        let failure = cannot("get agent \"x\"", api(404, "agents.regatta.dev \"x\" not found", "NotFound"));
        assert_eq!(failure.message, "cannot get agent \"x\": agents.regatta.dev \"x\" not found");
        assert_eq!(cannot("get", api(500, "", "")).message, "cannot get: the server answered 500");
    }

    #[test]
    fn a_conflict_of_appliers_and_a_missing_kind_say_the_way_out() {
        let status =
            |value: serde_json::Value| kube::Error::Api(serde_json::from_value::<Status>(value).unwrap().boxed());
        let conflict = status(serde_json::json!({
            "status": "Failure", "code": 409, "reason": "Conflict",
            "message": "Apply failed with 2 conflicts: conflicts with \"x\" using v1:\n- .data.a\n- .data.b",
            "details": {"causes": [{"reason": "FieldManagerConflict", "field": ".data.a", "message": "conflict"}]}}));
        let message = cannot("apply", conflict).message;
        assert!(
            message.contains("using v1: .data.a .data.b; leave") && message.ends_with("--force-conflicts"),
            "{message}"
        );
        let missing = api(404, "the server could not find the requested resource", "NotFound");
        assert!(cannot("list agents", missing).message.contains("regatta crd"));
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let gone = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(cannot("print", gone), Failure::unheard());
    }
}
