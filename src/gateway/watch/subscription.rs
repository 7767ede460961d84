//! One list and the watch that follows it, relayed from the API. Starts at a resourceVersion when the page has one;
//! when that is too old, or when the page could not keep up, it says `resync` and sends a new list.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, BodyDataStream, to_bytes};
use axum::extract::ws::Message;
use axum::http::StatusCode;
use axum::response::Response;
use bytes::{Buf, BytesMut};
use futures::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::super::api;
use super::super::status::Failure;
use crate::apiserver::User;

/// A list is sent whole; this is far above ten thousand objects.
const MAX_LIST: usize = 256 << 20;

/// One object with its event. Above it the API itself would not have taken the object.
const MAX_LINE: usize = 16 << 20;

const BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(15);

/// A watch that lasted this long worked.
const STEADY: Duration = Duration::from_secs(10);

/// The parameters of a list or watch that are ours to choose.
const OURS: [&str; 8] = [
    "watch",
    "resourceVersion",
    "resourceVersionMatch",
    "limit",
    "continue",
    "allowWatchBookmarks",
    "sendInitialEvents",
    "timeoutSeconds",
];

pub struct Subscription {
    /// As JSON text: it goes into every message.
    id: String,
    /// Path and query, ending in `?` or `&`.
    path: String,
    api: Router,
    user: User,
    out: mpsc::Sender<Message>,
}

/// How a watch ended.
enum End {
    /// It broke off or its time was up: go on where it was.
    Again { version: String, progress: bool },
    /// The version is no longer known.
    TooOld,
    /// The page cannot keep up.
    Behind,
    /// The API will not serve this; saying it again would not help.
    Refused(Value),
    /// The page is gone.
    Gone,
}

impl Subscription {
    pub fn new(
        id: String,
        path: &str,
        api: Router,
        user: User,
        out: mpsc::Sender<Message>,
    ) -> Result<Subscription, Failure> {
        let path = watchable(path)?;
        Ok(Subscription { id: Value::String(id).to_string(), path, api, user, out })
    }

    /// Until it is refused or the page is gone.
    pub async fn run(self, mut version: Option<String>) {
        let mut backoff = BACKOFF;
        loop {
            let from = match version.take() {
                Some(version) => version,
                None => match self.list().await {
                    ControlFlow::Continue(Some(version)) => {
                        backoff = BACKOFF;
                        version
                    }
                    ControlFlow::Continue(None) => {
                        wait(&mut backoff).await;
                        continue;
                    }
                    ControlFlow::Break(()) => return,
                },
            };
            match self.watch(from).await {
                End::Again { version: last, progress } => {
                    if progress {
                        backoff = BACKOFF;
                    } else {
                        wait(&mut backoff).await;
                    }
                    version = Some(last);
                }
                // The watch is closed by now, so nobody waits while this page catches up.
                End::TooOld | End::Behind => {
                    if self.resync().await.is_break() {
                        return;
                    }
                }
                End::Refused(status) => {
                    let _ = self.send(format!(r#"{{"type":"error","id":{},"status":{status}}}"#, self.id)).await;
                    return;
                }
                End::Gone => return,
            }
        }
    }

    /// Sends the list; `None`: it failed in a way that may pass.
    async fn list(&self) -> ControlFlow<(), Option<String>> {
        let path = self.path.trim_end_matches(['?', '&']);
        let response = match api::get(&self.api, self.user.clone(), path).await {
            Ok(response) => response,
            Err(failure) => return self.refuse(failure.status()).await,
        };
        let status = response.status();
        let body = match to_bytes(response.into_body(), MAX_LIST).await {
            Ok(body) => body,
            Err(error) => {
                tracing::warn!(%error, path, "a list broke off");
                return ControlFlow::Continue(None);
            }
        };
        if !status.is_success() {
            return match refusal(status, &body) {
                Some(status) => self.refuse(status).await,
                None => ControlFlow::Continue(None),
            };
        }
        let Ok(List { metadata, items }) = serde_json::from_slice(&body) else {
            let message = format!("cannot watch {path}: it is not a list");
            return self.refuse(Failure::bad_request(message).status()).await;
        };
        let version = metadata.resource_version;
        let message = json!({ "resourceVersion": version, "items": items.unwrap_or_default() }).to_string();
        self.send(format!(r#"{{"type":"list","id":{},{}"#, self.id, &message[1..])).await?;
        ControlFlow::Continue(Some(version))
    }

    async fn watch(&self, from: String) -> End {
        let query = format!("watch=true&allowWatchBookmarks=true&resourceVersion={}", escape(&from));
        let response: Response = match api::get(&self.api, self.user.clone(), &format!("{}{query}", self.path)).await {
            Ok(response) => response,
            Err(failure) => return End::Refused(failure.status()),
        };
        let status = response.status();
        if status == StatusCode::GONE {
            return End::TooOld;
        }
        if !status.is_success() {
            let body = to_bytes(response.into_body(), MAX_LINE).await.unwrap_or_default();
            return match refusal(status, &body) {
                Some(status) => End::Refused(status),
                None => End::Again { version: from, progress: false },
            };
        }
        let mut lines = Lines::new(response.into_body());
        let mut version = from;
        let mut progress = false;
        let begin = Instant::now();
        while let Some(line) = lines.next().await {
            let Ok(Event { kind, object }) = serde_json::from_slice(&line) else {
                tracing::warn!(path = self.path, "a watch sent something that is not an event");
                break;
            };
            if kind == "ERROR" {
                match object.code {
                    Some(410) => return End::TooOld,
                    code => {
                        tracing::debug!(path = self.path, ?code, "a watch ended with an error");
                        break;
                    }
                }
            }
            progress = true;
            if let Some(new) = object.metadata.resource_version {
                version = new;
            }
            let text = if kind == "BOOKMARK" {
                let version = Value::String(version.clone());
                format!(r#"{{"type":"bookmark","id":{},"resourceVersion":{version}}}"#, self.id)
            } else {
                match event(&self.id, kind, &line) {
                    Some(text) => text,
                    None => continue,
                }
            };
            match self.out.try_send(Message::Text(text.into())) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(_)) => return End::Behind,
                Err(mpsc::error::TrySendError::Closed(_)) => return End::Gone,
            }
        }
        // A quiet watch that the API ends after its time is no failure.
        End::Again { version, progress: progress || begin.elapsed() >= STEADY }
    }

    async fn resync(&self) -> ControlFlow<()> {
        self.send(format!(r#"{{"type":"resync","id":{}}}"#, self.id)).await
    }

    async fn refuse(&self, status: Value) -> ControlFlow<(), Option<String>> {
        self.send(format!(r#"{{"type":"error","id":{},"status":{status}}}"#, self.id)).await?;
        ControlFlow::Break(())
    }

    /// Waits for room; only called while no watch is open.
    async fn send(&self, text: String) -> ControlFlow<()> {
        match self.out.send(Message::Text(text.into())).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

#[derive(Deserialize)]
struct List {
    metadata: ListMetadata,
    /// `null` when there are none, from some servers.
    items: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "resourceVersion")]
    resource_version: String,
}

/// What has to be known of an event; the rest of the object is skipped, not built.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    metadata: ObjectMetadata,
    /// Of a Status, when the event is an error.
    #[serde(default)]
    code: Option<u16>,
}

#[derive(Default, Deserialize)]
struct ObjectMetadata {
    #[serde(default, rename = "resourceVersion")]
    resource_version: Option<String>,
}

/// The message for one event. The object's text is copied as it is: a thousand agents times a few browsers would
/// otherwise be parsed and printed for each of them.
fn event(id: &str, kind: &str, line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let prefix = format!(r#"{{"type":"{kind}","object":"#);
    let object = match line.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix('}')) {
        Some(object) => object.to_owned(),
        // Written in another order or with spaces.
        None => serde_json::from_str::<Value>(line).ok()?.get("object")?.to_string(),
    };
    Some(format!(r#"{{"type":"event","id":{id},"event":"{kind}","object":{object}}}"#))
}

/// The Status to show, unless the failure may pass by itself.
fn refusal(status: StatusCode, body: &[u8]) -> Option<Value> {
    let passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    if passing {
        tracing::debug!(%status, "the API cannot answer a watch now");
        return None;
    }
    let told = serde_json::from_slice::<Value>(body).ok().filter(|told| told["kind"] == "Status");
    Some(told.unwrap_or_else(|| Failure::bad_request(format!("cannot watch: HTTP {status}")).status()))
}

/// A path of the API that can be listed, ready for more parameters.
fn watchable(path: &str) -> Result<String, Failure> {
    let refuse = || Failure::bad_request(format!("cannot watch {path:?}: it must be a list under /api/ or /apis/"));
    let (bare, query) = path.split_once('?').unwrap_or((path, ""));
    let under_api = bare.starts_with("/api/") || bare.starts_with("/apis/");
    let plain = bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-._:".contains(&byte));
    let straight = bare.split('/').skip(1).all(|part| !part.is_empty() && part != "." && part != "..");
    if !under_api || !plain || !straight || query.contains(|c: char| c.is_control() || c == ' ' || c == '#') {
        return Err(refuse());
    }
    let theirs = query.split('&').filter(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        !name.is_empty() && !OURS.contains(&name)
    });
    let mut path = format!("{bare}?");
    for pair in theirs {
        path.push_str(pair);
        path.push('&');
    }
    Ok(path)
}

/// resourceVersions are numbers in practice and opaque by contract.
fn escape(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

async fn wait(backoff: &mut Duration) {
    tokio::time::sleep(*backoff).await;
    *backoff = (*backoff * 2).min(MAX_BACKOFF);
}

/// A body cut into lines.
struct Lines {
    body: BodyDataStream,
    rest: BytesMut,
    /// Up to here `rest` has no line end.
    searched: usize,
}

impl Lines {
    fn new(body: Body) -> Lines {
        Lines { body: body.into_data_stream(), rest: BytesMut::new(), searched: 0 }
    }

    /// `None` at the end, at an error, and at a line no object could fill.
    async fn next(&mut self) -> Option<BytesMut> {
        loop {
            if let Some(end) = self.rest[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.rest.split_to(self.searched + end);
                self.rest.advance(1);
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Some(line);
            }
            self.searched = self.rest.len();
            if self.rest.len() > MAX_LINE {
                return None;
            }
            self.rest.extend_from_slice(&self.body.next().await?.ok()?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lists_of_the_api_can_be_watched() {
        assert_eq!(watchable("/api/v1/namespaces").unwrap(), "/api/v1/namespaces?");
        assert_eq!(
            watchable("/apis/regatta.dev/v1alpha1/agents?labelSelector=a%3Db&watch=1&limit=5").unwrap(),
            "/apis/regatta.dev/v1alpha1/agents?labelSelector=a%3Db&"
        );
        let refused = [
            "",
            "/",
            "/auth/session",
            "/apis/../auth",
            "/apis//x",
            "http://evil/apis/x",
            "/api/v1/%2e%2e/x",
            "/apis/x y",
            "/apis/x?a=b\r\nc",
        ];
        for path in refused {
            assert!(watchable(path).is_err(), "{path}");
        }
    }

    #[test]
    fn an_event_keeps_the_objects_own_text() {
        let object = r#"{"metadata":{"resourceVersion":"7"},"n":1.50}"#;
        let line = format!("{{\"type\":\"ADDED\",\"object\":{object}}}\n");
        let text = event("\"a\"", "ADDED", line.as_bytes()).unwrap();
        assert_eq!(text, format!(r#"{{"type":"event","id":"a","event":"ADDED","object":{object}}}"#));
        let other_way_round = format!(r#"{{ "object": {object}, "type": "ADDED" }}"#);
        let text = event("\"a\"", "ADDED", other_way_round.as_bytes()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["object"]["metadata"]["resourceVersion"], "7");
    }

    #[tokio::test]
    async fn lines_are_found_wherever_the_pieces_end() {
        let text = "{\"a\":1}\n\n{\"b\":2}\n{\"cut off\"";
        for size in 1..text.len() {
            let pieces: Vec<Result<String, std::io::Error>> =
                text.as_bytes().chunks(size).map(|piece| Ok(String::from_utf8_lossy(piece).into_owned())).collect();
            let mut lines = Lines::new(Body::from_stream(futures::stream::iter(pieces)));
            assert_eq!(lines.next().await.unwrap(), "{\"a\":1}");
            assert_eq!(lines.next().await.unwrap(), "{\"b\":2}");
            assert!(lines.next().await.is_none());
        }
    }
}
