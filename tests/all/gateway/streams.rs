//! Terminals, logs and input through a real link to a host that echoes.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ws::{Message as HostMessage, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Request as HostRequest};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use super::world::{World, refused_with, until};

pub const TERMINAL: &str = "/apis/regatta.dev/v1alpha1/namespaces/default/agents/a/terminal";
const LOG: &str = "/apis/regatta.dev/v1alpha1/namespaces/default/agents/a/log";
const INPUT: &str = "/apis/regatta.dev/v1alpha1/namespaces/default/agents/a/input";

/// What the host was asked: path with query, and headers.
pub type Asked = Arc<Mutex<Vec<(String, HeaderMap)>>>;

pub fn host(asked: &Asked) -> Router {
    let asked = asked.clone();
    Router::new()
        .route(
            "/agents/{uid}/terminal",
            any(|upgrade: WebSocketUpgrade| async {
                upgrade.protocols(["regatta.terminal.v1"]).on_upgrade(|socket| async {
                    // It ends with an error when the viewer goes, which is how most tests end.
                    drop(echo(socket).await);
                })
            }),
        )
        .route("/agents/{uid}/log", get(log))
        .route("/agents/{uid}/input", post(|body: Bytes| async move { (StatusCode::ACCEPTED, body) }))
        .layer(axum::middleware::from_fn(move |request: HostRequest, next: axum::middleware::Next| {
            asked.lock().unwrap().push((request.uri().to_string(), request.headers().clone()));
            next.run(request)
        }))
}

/// Sends back what comes, or 64 MiB on the word `flood`.
async fn echo(mut socket: WebSocket) -> Result<(), axum::Error> {
    while let Some(message) = socket.recv().await {
        match message? {
            HostMessage::Text(text) if text == "flood" => {
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                for _ in 0..1024 {
                    socket.send(HostMessage::Binary(piece.clone())).await?;
                }
            }
            message @ (HostMessage::Text(_) | HostMessage::Binary(_)) => socket.send(message).await?,
            HostMessage::Ping(_) | HostMessage::Pong(_) | HostMessage::Close(_) => {}
        }
    }
    Ok(())
}

async fn log(Path(uid): Path<String>) -> Response {
    let first = futures::stream::once(async move { Ok::<_, std::io::Error>(Bytes::from(format!("{uid}\n"))) });
    let body = Body::from_stream(futures::StreamExt::chain(first, futures::stream::pending()));
    ([("x-regatta-first", "5"), ("set-cookie", "evil=1")], body).into_response()
}

#[tokio::test]
async fn a_terminal_passes_bytes_both_ways_unchanged() {
    let world = World::new().await;
    let asked = Asked::default();
    world.link("fermi", host(&asked)).await;
    world.api.put("a", "u-1", Some("fermi"));
    let login = world.login().await;
    let origin = world.origin();
    let headers = [
        ("cookie", login.cookie.as_str()),
        ("origin", &origin),
        ("sec-websocket-protocol", "regatta.terminal.v1"),
        ("x-regatta-role", "god"),
        ("x-regatta-user", "mallory"),
    ];
    let mut socket = world.socket(&format!("{TERMINAL}?offset=7&uid=u-1"), &headers).await.unwrap();
    for size in [0, 1, 125, 126, 65_535, 65_536, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        socket.send(&bytes).await;
        assert_eq!(socket.next().await.unwrap().into_data(), bytes, "{size}");
    }
    socket.say(json!({"type": "ack"})).await;
    assert_eq!(socket.hear().await["type"], "ack");

    let (path, seen) = asked.lock().unwrap()[0].clone();
    assert_eq!(path, "/agents/u-1/terminal?offset=7&uid=u-1");
    assert_eq!(
        (&seen["x-regatta-role"], &seen["x-regatta-user"]),
        (&"type".parse().unwrap(), &"admin".parse().unwrap())
    );
    assert_eq!(seen.get_all("x-regatta-role").iter().count(), 1);
    for secret in ["cookie", "authorization", "x-csrf-token"] {
        assert!(!seen.contains_key(secret));
    }
}

#[tokio::test]
async fn who_may_not_type_views_and_who_may_not_view_is_refused() {
    let world = World::new().await;
    let asked = Asked::default();
    world.link("fermi", host(&asked)).await;
    world.api.put("a", "u-1", Some("fermi"));
    let login = world.login().await;
    let origin = world.origin();
    world.api.deny("create input");
    world.open(TERMINAL, &login).await;
    assert_eq!(asked.lock().unwrap()[0].1["x-regatta-role"], "view");
    world.send(world.change(Method::POST, INPUT, &login), "{}").await.refused(403, "Forbidden");
    world.api.deny("get terminal");
    world.api.deny("get log");
    let headers = [("cookie", login.cookie.as_str()), ("origin", &origin)];
    assert_eq!(refused_with(world.socket(TERMINAL, &headers).await), 403);
    world.get(LOG, &login).await.refused(403, "Forbidden");
    assert_eq!(asked.lock().unwrap().len(), 1, "the host is not even asked");
}

#[tokio::test]
async fn input_is_passed_on_and_a_log_streams_without_the_hosts_cookies() {
    let world = World::new().await;
    let asked = Asked::default();
    world.link("fermi", host(&asked)).await;
    world.api.put("a", "u-1", Some("fermi"));
    let login = world.login().await;
    let answer = world.send(world.change(Method::POST, INPUT, &login), r#"{"mode":"line"}"#).await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::ACCEPTED, &br#"{"mode":"line"}"#[..]));

    let mut log = raw_get(&world, LOG, &login.cookie).await;
    let head = log.read_until("u-1\n").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("x-regatta-first: 5"), "{head}");
    assert!(!head.contains("evil=1"), "{head}");
    world.send(world.change(Method::POST, "/auth/logout", &login), "").await;
    log.read_to_cut().await;
}

#[tokio::test]
async fn a_logout_closes_the_terminals_of_that_session() {
    let world = World::new().await;
    world.link("fermi", host(&Asked::default())).await;
    world.api.put("a", "u-1", Some("fermi"));
    let (login, other) = (world.login().await, world.login().await);
    let mut closing = world.open(TERMINAL, &login).await;
    let mut staying = world.open(TERMINAL, &other).await;
    let mut watching = world.open("/watch", &login).await;
    world.send(world.change(Method::POST, "/auth/logout", &login), "").await;
    assert!(closing.next().await.is_none());
    assert!(watching.next().await.is_none());
    staying.send(b"still here").await;
    assert_eq!(staying.next().await.unwrap(), Message::binary(&b"still here"[..]));
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    let world = World::new().await;
    let login = world.login().await;
    let get = Request::get(LOG).header(header::COOKIE, &login.cookie);
    world.send(get, "").await.refused(404, "NotFound");
    world.api.put("a", "u-1", None);
    world.get(LOG, &login).await.refused(409, "Conflict");
    world.api.put("a", "u-1", Some("fermi"));
    let answer = world.get(LOG, &login).await;
    let status = answer.refused(503, "ServiceUnavailable");
    let message = status["message"].as_str().unwrap();
    assert!(message.contains("\"fermi\"") && message.contains("has not connected since"), "{message}");
    assert!(answer.headers.contains_key(header::RETRY_AFTER));

    let link = world.link("fermi", host(&Asked::default())).await;
    link.close();
    until("the host is gone", || world.gateway.links().get("fermi").is_none()).await;
    let status = world.get(LOG, &login).await.refused(503, "ServiceUnavailable");
    assert!(status["message"].as_str().unwrap().contains("has not been connected since 20"), "{status}");
    world.get(TERMINAL, &login).await.refused(400, "BadRequest");
}

#[tokio::test]
async fn names_that_are_paths_reach_nothing() {
    let world = World::new().await;
    let login = world.login().await;
    let names = ["..", "%2e%2e", "a%2f..%2f..%2fsecrets", "a%00", "%ff", "A", "-a", "a%3fwatch=1", "a%23", "%20"];
    for name in names {
        for path in [LOG.replace("/a/", &format!("/{name}/")), LOG.replace("/default/", &format!("/{name}/"))] {
            assert_eq!(world.get(&path, &login).await.status, StatusCode::NOT_FOUND, "{path}");
        }
    }
}

#[tokio::test]
async fn a_host_that_goes_away_ends_its_terminals() {
    let world = World::new().await;
    let link = world.link("fermi", host(&Asked::default())).await;
    world.api.put("a", "u-1", Some("fermi"));
    let login = world.login().await;
    let mut socket = world.open(TERMINAL, &login).await;
    socket.send(b"x").await;
    socket.next().await.unwrap();
    link.close();
    assert!(socket.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_does_not_read_does_not_hold_up_another() {
    let world = World::new().await;
    world.link("fermi", host(&Asked::default())).await;
    world.api.put("a", "u-1", Some("fermi"));
    let login = world.login().await;
    let mut stuck = world.open(TERMINAL, &login).await;
    stuck.send_text("flood").await;
    let mut lively = world.open(TERMINAL, &login).await;
    for _ in 0..50 {
        let begin = std::time::Instant::now();
        lively.send(b"k").await;
        lively.next().await.unwrap();
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
    for _ in 0..1024 {
        assert_eq!(stuck.next().await.unwrap().len(), 64 * 1024, "and nothing of the flood is lost");
    }
}

struct Raw {
    stream: tokio::net::TcpStream,
    text: String,
}

async fn raw_get(world: &World, path: &str, cookie: &str) -> Raw {
    use tokio::io::AsyncWriteExt;
    let mut stream = tokio::net::TcpStream::connect(world.web).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n\r\n", world.web);
    stream.write_all(request.as_bytes()).await.unwrap();
    Raw { stream, text: String::new() }
}

impl Raw {
    async fn read_until(&mut self, end: &str) -> String {
        while !self.text.contains(end) {
            assert!(self.read().await, "ended early: {}", self.text);
        }
        self.text.clone()
    }

    /// To the end of the connection, which must come without the end of the body.
    async fn read_to_cut(mut self) {
        while self.read().await {}
        assert!(!self.text.ends_with("0\r\n\r\n"), "{}", self.text);
    }

    async fn read(&mut self) -> bool {
        use tokio::io::AsyncReadExt;
        let mut buffer = [0; 4096];
        let length = super::world::in_time(self.stream.read(&mut buffer)).await.unwrap_or(0);
        self.text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        length > 0
    }
}
