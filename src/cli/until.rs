//! Watching one object until it is as somebody wants it. Survives a restart of the server.

use std::time::Duration;

use futures::StreamExt;
use kube::Client;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use super::failure::{Exit, Failure, cannot};
use super::request::{self, JSON, query};
use crate::api::conditions::READY;

/// How long a server may be away before waiting for it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The object as it is now, or that there is none.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    Object(&'a Value),
    Gone,
}

/// Which object, and how long.
pub struct Waiting<'a> {
    pub client: &'a Client,
    /// The collection's path.
    pub path: String,
    pub name: &'a str,
    pub deadline: Option<Instant>,
    /// What is waited for, for the message: `agent/x to be Ready`.
    pub what: String,
}

/// Calls `seen` with every state of the object until it says that this is it.
pub async fn until<T>(waiting: &Waiting<'_>, mut seen: impl FnMut(Seen<'_>) -> Option<T>) -> Result<T, Failure> {
    let forever = Instant::now() + Duration::from_secs(365 * 86_400);
    let deadline = waiting.deadline.unwrap_or(forever);
    let mut last = String::new();
    let mut noting = |state: Seen<'_>| {
        last = match state {
            Seen::Object(object) => readiness(object),
            Seen::Gone => String::new(),
        };
        seen(state)
    };
    let done = timeout_at(deadline, watch(waiting, &mut noting)).await;
    done.unwrap_or_else(|_| {
        Err(Failure::new(Exit::Timeout, format!("gave up waiting for {}: the time is up{last}", waiting.what)))
    })
}

/// Why an object is not ready, as it says itself.
fn readiness(object: &Value) -> String {
    let ready = object["status"]["conditions"].as_array().into_iter().flatten().find(|c| c["type"] == READY);
    let Some(ready) = ready else { return String::new() };
    let text = |key: &str| ready[key].as_str().unwrap_or_default();
    match text("message") {
        "" => format!("; Ready is {} ({})", text("status"), text("reason")),
        message => format!("; Ready is {} ({}): {message}", text("status"), text("reason")),
    }
}

async fn watch<T>(waiting: &Waiting<'_>, seen: &mut impl FnMut(Seen<'_>) -> Option<T>) -> Result<T, Failure> {
    let mut away_since: Option<Instant> = None;
    loop {
        match round(waiting, seen).await {
            Ok(Some(done)) => return Ok(done),
            Ok(None) => away_since = None,
            Err(error @ kube::Error::Api(_)) if !is_passing(&error) => return Err(failed(waiting, error)),
            Err(error) => {
                if away_since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(failed(waiting, error));
                }
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn failed(waiting: &Waiting<'_>, error: kube::Error) -> Failure {
    cannot(format_args!("wait for {}", waiting.what), error)
}

/// One look and one watch from there; nothing when the watch ended before it was over.
async fn round<T>(
    waiting: &Waiting<'_>,
    seen: &mut impl FnMut(Seen<'_>) -> Option<T>,
) -> Result<Option<T>, kube::Error> {
    let selector = |from: Option<&str>| {
        query(&[
            ("fieldSelector", Some(format!("metadata.name={}", waiting.name))),
            ("watch", from.map(|_| "true".into())),
            ("resourceVersion", from.map(str::to_owned)),
        ])
    };
    let list = request::get(waiting.client, &format!("{}{}", waiting.path, selector(None)), JSON).await?;
    let now = list["items"].get(0).map_or(Seen::Gone, Seen::Object);
    if let Some(done) = seen(now) {
        return Ok(Some(done));
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let path = format!("{}{}", waiting.path, selector(Some(version)));
    let mut events = request::events(request::open(waiting.client, &path, JSON).await?);
    while let Some(event) = events.next().await {
        let event = event?;
        let state = match event["type"].as_str() {
            Some("ADDED" | "MODIFIED") => Seen::Object(&event["object"]),
            Some("DELETED") => Seen::Gone,
            Some("BOOKMARK") => continue,
            // Too old, or another reason to look anew.
            _ => return Ok(None),
        };
        if let Some(done) = seen(state) {
            return Ok(Some(done));
        }
    }
    Ok(None)
}

pub fn is_passing(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 410 | 429 | 500 | 502..=504))
}
