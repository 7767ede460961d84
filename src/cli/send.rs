//! `regatta send`: input for an agent, delivered once or not at all.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::failure::{Cause, DONE, Exit, Failure, Outcome, cannot};
use super::names;
use super::request;
use super::server::{Global, Server};

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("form").args(["paste", "keys", "raw", "no_newline"])))]
#[command(group(clap::ArgGroup::new("source").args(["text", "stdin", "file", "keys"]).required(true)))]
pub struct Send {
    /// The agent: its name, an unambiguous beginning of it, or its number
    name: String,
    /// What to send, submitted as one line; several words are joined by spaces
    #[arg(trailing_var_arg = true)]
    text: Vec<String>,
    /// Send what comes on stdin
    #[arg(long)]
    stdin: bool,
    /// Send what is in this file
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Type it without submitting
    #[arg(long)]
    no_newline: bool,
    /// Paste it without submitting
    #[arg(long)]
    paste: bool,
    /// Press keys, such as C-c,Up,Enter
    #[arg(long, value_name = "KEYS", conflicts_with = "no_newline")]
    keys: Option<String>,
    /// Send the bytes exactly as they are
    #[arg(long)]
    raw: bool,
}

/// How long an unanswered delivery is tried again, under the same idempotency key.
const PATIENCE: Duration = Duration::from_secs(10);

impl Send {
    pub async fn run(self, global: &Global) -> Outcome {
        let (mode, data) = self.message()?;
        let server = Server::reach(global).await?;
        let agent = names::agent(&server, &self.name).await?;
        let name = agent.metadata.name.unwrap_or_default();
        let body = body(mode, &data, &key()?);
        deliver(&server, &name, &body).await?;
        DONE
    }

    fn message(&self) -> Result<(&'static str, Vec<u8>), Failure> {
        if let Some(keys) = &self.keys {
            return Ok(("keys", keys.clone().into_bytes()));
        }
        let mut data = if self.stdin {
            let mut data = Vec::new();
            std::io::stdin().read_to_end(&mut data).map_err(|e| cannot("read stdin", e))?;
            data
        } else if let Some(file) = &self.file {
            std::fs::read(file).map_err(|e| cannot(format_args!("read {}", file.display()), e))?
        } else {
            self.text.join(" ").into_bytes()
        };
        if self.raw || self.no_newline {
            return Ok(("raw", data));
        }
        if self.paste {
            return Ok(("paste", data));
        }
        // The line's own end is the submit key.
        while data.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            data.pop();
        }
        Ok(("line", data))
    }
}

fn body(mode: &str, data: &[u8], key: &str) -> Value {
    match std::str::from_utf8(data) {
        Ok(text) => json!({"mode": mode, "data": text, "idempotencyKey": key}),
        Err(_) => json!({"mode": mode, "dataBase64": STANDARD.encode(data), "idempotencyKey": key}),
    }
}

/// Tells one delivery from another: the same one repeated does no harm.
fn key() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| cannot("make an idempotency key", e.to_string()))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

async fn deliver(server: &Server, name: &str, body: &Value) -> Result<(), Failure> {
    let path = server.agent_path(name, "input");
    let started = Instant::now();
    loop {
        let error = match request::post(&server.client, &path, body).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if !is_unanswered(&error) || started.elapsed() > PATIENCE {
            return Err(not_delivered(name, error));
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// Whether nobody said what became of it.
fn is_unanswered(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 502..=504),
        _ => true,
    }
}

/// A refusal of the agent or its host is `not delivered`; one of the server keeps its own code.
fn not_delivered(name: &str, error: kube::Error) -> Failure {
    let undelivered = match &error {
        kube::Error::Api(status) => matches!(status.code, 409 | 410 | 429 | 502..=504),
        _ => true,
    };
    let failure = cannot(format_args!("send to agent {name:?}"), Cause::from(error));
    if undelivered { Failure::new(Exit::NotDelivered, failure.message) } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        send: Send,
    }

    fn message(line: &[&str]) -> Result<(&'static str, Vec<u8>), String> {
        let words = ["send", "agent"].iter().chain(line);
        let line = Line::try_parse_from(words).map_err(|e| e.to_string())?;
        line.send.message().map_err(|f| f.message)
    }

    #[test]
    fn words_are_one_line_and_flags_say_otherwise() {
        assert_eq!(message(&["fix", "it"]), Ok(("line", b"fix it".to_vec())));
        assert_eq!(message(&["--no-newline", "y"]), Ok(("raw", b"y".to_vec())));
        assert_eq!(message(&["--paste", "a\nb\n"]), Ok(("paste", b"a\nb\n".to_vec())));
        assert_eq!(message(&["--keys", "C-c,Up"]), Ok(("keys", b"C-c,Up".to_vec())));
    }

    #[test]
    fn there_must_be_something_to_send_and_one_way_to_send_it() {
        assert!(message(&[]).is_err());
        assert!(message(&["--paste", "--raw", "x"]).is_err());
        assert!(message(&["--keys", "Up", "x"]).is_err());
    }

    #[test]
    fn bytes_that_are_no_text_go_as_base64() {
        assert_eq!(body("raw", b"\xff", "k"), json!({"mode": "raw", "dataBase64": "/w==", "idempotencyKey": "k"}));
        assert_eq!(body("line", b"hi", "k")["data"], "hi");
    }

    #[test]
    fn a_refusal_by_the_agent_is_not_delivered_and_a_missing_agent_is_not_found() {
        let exit = |code| {
            let status = kube::core::Status::failure("a question is open", "Blocked").with_code(code).boxed();
            not_delivered("a", kube::Error::Api(status)).exit
        };
        assert_eq!(
            [exit(409), exit(503), exit(404), exit(403)],
            [Exit::NotDelivered, Exit::NotDelivered, Exit::NotFound, Exit::Refused]
        );
    }
}
