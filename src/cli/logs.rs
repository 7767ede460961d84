//! `regatta logs`: every byte that an agent's terminal printed, as it is. Following goes on at its offset when the server
//! was away: no byte is missing, none comes twice.

use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use tokio::time::{Instant, sleep};

use super::failure::{Cause, DONE, Failure, Outcome, cannot};
use super::names;
use super::output::say;
use super::request::{self, query};
use super::server::{Global, Server};
use super::wait::seconds;

#[derive(Args, Debug)]
pub struct Logs {
    /// The agent: its name, an unambiguous beginning of it, or its number
    name: String,
    /// Go on with what it prints, until it ends
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    tail: Option<u64>,
    /// Without colours and cursor movements
    #[arg(long)]
    text: bool,
    /// Only what is newer: a duration such as 10m, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "DURATION|TIME", value_parser = since)]
    since: Option<Since>,
    /// Only this start of the command, counted from 1
    #[arg(long, value_name = "N")]
    epoch: Option<u64>,
    /// The time before every line
    #[arg(long)]
    timestamps: bool,
}

/// A moment, as milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Since(i64);

fn since(text: &str) -> Result<Since, String> {
    if let Ok(ago) = seconds(text) {
        let now = jiff::Timestamp::now().as_millisecond();
        return Ok(Since(now.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))));
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("{text:?} is neither a duration like 10m nor a time like 2026-01-31T12:00:00Z"))?;
    Ok(Since(time.as_millisecond()))
}

/// Where the next byte stands in the log. Known only while bytes come as they are: stripped or stamped text has no offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Offset(u64),
    Unknown,
}

impl Logs {
    pub async fn run(self, global: &Global) -> Outcome {
        let mut server = Server::reach(global).await?;
        let agent = names::agent(&server, &self.name).await?;
        let name = agent.metadata.name.unwrap_or_default();
        let mut at = At::Unknown;
        let mut lost: Option<Instant> = None;
        loop {
            let why = match self.part(&server, &name, &mut at).await {
                Ok(()) => return DONE,
                Err(Part::Final(failure)) => return Err(failure),
                Err(Part::Broken(why)) => why,
            };
            if !self.follow || at == At::Unknown {
                return Err(cannot(format_args!("go on with the log of agent {name:?}"), why));
            }
            if lost.is_none_or(|since| since.elapsed() > Duration::from_secs(5)) {
                say(format_args!("regatta: not connected ({why}); trying again"));
            }
            lost = Some(Instant::now());
            server = back(global).await?;
        }
    }

    /// One answer of the server, to its end.
    async fn part(&self, server: &Server, name: &str, at: &mut At) -> Result<(), Part> {
        let resumed = match at {
            At::Offset(offset) => Some(*offset),
            At::Unknown => None,
        };
        let fresh = |value: Option<String>| if resumed.is_some() { None } else { value };
        let path = server.agent_path(name, "log")
            + &query(&[
                ("from", resumed.map(|o| o.to_string())),
                ("tail", fresh(self.tail.map(|n| n.to_string()))),
                ("since", fresh(self.since.map(|s| s.0.to_string()))),
                ("epoch", self.epoch.map(|n| n.to_string())),
                ("follow", self.follow.then(|| "true".into())),
                ("text", self.text.then(|| "true".into())),
                ("timestamps", self.timestamps.then(|| "true".into())),
            ]);
        let attempt = || format!("read the log of agent {name:?}");
        let response = match request::open(&server.client, &path, "*/*").await {
            Ok(response) => response,
            // On the way back the host may be linked a moment later than the server answers.
            Err(error) if resumed.is_some() && is_passing(&error) => return Err(Part::Broken(Cause::from(error).text)),
            Err(error) => return Err(Part::Final(cannot(attempt(), error))),
        };
        if !self.text && !self.timestamps {
            let start =
                response.headers().get("x-regatta-first").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
            *at = start.map_or(At::Unknown, At::Offset);
            if let (Some(wanted), Some(got)) = (resumed, start)
                && got > wanted
            {
                say(format_args!("regatta: {} bytes are gone from the log: it keeps only so much", got - wanted));
            }
        }
        let mut chunks = request::chunks(response);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|e| Part::Broken(Cause::from(e).text))?;
            write(&chunk).map_err(|e| Part::Final(cannot("write to stdout", e)))?;
            if let At::Offset(offset) = at {
                *offset += chunk.len() as u64;
            }
        }
        Ok(())
    }
}

/// Waits until a server answers again; it may have another port.
async fn back(global: &Global) -> Result<Server, Failure> {
    loop {
        sleep(Duration::from_millis(250)).await;
        if let Ok(server) = Server::find(global).await? {
            return Ok(server);
        }
    }
}

enum Part {
    Final(Failure),
    Broken(String),
}

fn write(bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn is_passing(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 429 | 500 | 502..=504),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_takes_durations_and_times() {
        assert_eq!(since("2026-01-01T00:00:00Z"), Ok(Since(1_767_225_600_000)));
        let ago = since("10m").unwrap().0;
        let now = jiff::Timestamp::now().as_millisecond();
        assert!((now - 600_000 - ago).abs() < 10_000);
        assert!(since("yesterday").is_err());
    }
}
