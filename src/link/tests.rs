use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::routing::{any, get, post};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::*;

const DEADLINE: Duration = Duration::from_secs(30);

fn echo() -> Router {
    Router::new()
        .route("/echo", post(|body: Bytes| async move { body }))
        .route(
            "/flood",
            get(|| async {
                let piece = Bytes::from(vec![b'x'; 64 * 1024]);
                Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
            }),
        )
        .route("/never", get(std::future::pending::<()>))
        .route("/socket", any(|upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(echo_socket) }))
}

async fn echo_socket(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.next().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

fn join<A, B>(a: A, b: B) -> (Link, Link)
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, driver) = Link::start(a, Side::Client, echo());
    tokio::spawn(driver);
    let (server, driver) = Link::start(b, Side::Server, echo());
    tokio::spawn(driver);
    (client, server)
}

fn call(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(path).body(body.into()).unwrap()
}

async fn echoed(link: &Link, body: Bytes) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let response = link.request(call("POST", "/echo", body)).await?;
    assert_eq!(response.status(), 200);
    Ok(response.into_body().collect().await?.to_bytes())
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

#[tokio::test]
async fn requests_and_answers_cross_in_both_directions_at_once() {
    let (a, b) = pair();
    let (client, server) = join(a, b);
    let mut calls = JoinSet::new();
    for n in 0..100usize {
        for link in [client.clone(), server.clone()] {
            calls.spawn(async move {
                let body = Bytes::from(vec![n as u8; n * 3000]);
                assert_eq!(echoed(&link, body.clone()).await.unwrap(), body);
            });
        }
    }
    in_time(calls.join_all()).await;
}

#[tokio::test]
async fn a_websocket_upgrade_passes_through_the_link() {
    let (a, b) = pair();
    let (client, _server) = join(a, b);
    let request = Request::builder()
        .uri("/socket")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::empty())
        .unwrap();
    let mut response = in_time(client.request(request)).await.unwrap();
    assert_eq!(response.status(), 101);
    let upgraded = TokioIo::new(hyper::upgrade::on(&mut response).await.unwrap());
    let role = tokio_tungstenite::tungstenite::protocol::Role::Client;
    let mut socket = tokio_tungstenite::WebSocketStream::from_raw_socket(upgraded, role, None).await;
    for text in ["a", "b"] {
        socket.send(text.into()).await.unwrap();
        assert_eq!(in_time(socket.next()).await.unwrap().unwrap().into_text().unwrap(), text);
    }
}

#[tokio::test]
async fn a_thousand_requests_can_be_open_at_the_same_time() {
    const COUNT: usize = 1000;
    let barrier = Arc::new(Barrier::new(COUNT));
    let arrived = Arc::new(AtomicUsize::new(0));
    let together = Router::new().route(
        "/together",
        get({
            let arrived = arrived.clone();
            move || async move {
                arrived.fetch_add(1, Ordering::Relaxed);
                barrier.wait().await;
            }
        }),
    );
    let (a, b) = pair();
    let (client, driver) = Link::start(a, Side::Client, Router::new());
    tokio::spawn(driver);
    let (_server, driver) = Link::start(b, Side::Server, together);
    tokio::spawn(driver);
    let mut calls = JoinSet::new();
    for _ in 0..COUNT {
        let client = client.clone();
        calls.spawn(async move { client.request(call("GET", "/together", Body::empty())).await.unwrap().status() });
    }
    let statuses = in_time(calls.join_all()).await;
    assert!(statuses.iter().all(|status| *status == 200));
    assert_eq!(arrived.load(Ordering::Relaxed), COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flooding_stream_does_not_delay_another_one() {
    let (a, b) = pair();
    let (client, _server) = join(a, b);
    let mut floods = JoinSet::new();
    for _ in 0..4 {
        let mut body = client.request(call("GET", "/flood", Body::empty())).await.unwrap().into_body();
        floods.spawn(async move { while let Some(Ok(_)) = body.frame().await {} });
    }
    // One that nobody reads: its window fills, and that must be all that happens.
    let _unread = client.request(call("GET", "/flood", Body::empty())).await.unwrap();
    let mut times = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        in_time(echoed(&client, Bytes::from_static(b"ping"))).await.unwrap();
        times.push(begin.elapsed());
    }
    times.sort();
    eprintln!("echo beside five floods: p50 {:?} p99 {:?}", times[100], times[198]);
    assert!(times[100] < Duration::from_millis(100), "p50 {:?}", times[100]);
}

#[tokio::test]
async fn a_cut_ends_every_request_with_an_error_and_resolves_closed() {
    let (a, b) = pair();
    let (client, driver) = Link::start(a, Side::Client, echo());
    tokio::spawn(driver);
    let (server, driver) = Link::start(b, Side::Server, echo());
    let far_end = tokio::spawn(driver);
    let mut flood = client.request(call("GET", "/flood", Body::empty())).await.unwrap().into_body();
    flood.frame().await.unwrap().unwrap();
    let mut never = JoinSet::new();
    for link in [client.clone(), server.clone()] {
        never.spawn(async move { link.request(call("GET", "/never", Body::empty())).await });
    }
    tokio::task::yield_now().await;
    far_end.abort();
    in_time(client.closed()).await;
    in_time(server.closed()).await;
    for outcome in in_time(never.join_all()).await {
        assert!(outcome.is_err());
    }
    let rest: Result<Vec<_>, _> = in_time(flood.into_data_stream().try_collect()).await;
    assert!(rest.is_err(), "a body that was cut must not look complete");
    let after = in_time(client.request(call("GET", "/never", Body::empty()))).await;
    assert!(matches!(after, Err(Error::Closed { .. })));
}

#[tokio::test]
async fn close_ends_both_sides() {
    let (a, b) = pair();
    let (client, server) = join(a, b);
    echoed(&client, Bytes::from_static(b"x")).await.unwrap();
    server.close();
    in_time(client.closed()).await;
    in_time(server.closed()).await;
}

#[tokio::test]
async fn a_dropped_request_frees_the_handler_on_the_other_side() {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let gone = Arc::new(AtomicUsize::new(0));
    let (started, mut has_started) = mpsc::channel(1);
    let router = Router::new().route(
        "/wait",
        get({
            let gone = gone.clone();
            move || async move {
                let _gone = Gone(gone);
                started.send(()).await.unwrap();
                std::future::pending::<()>().await;
            }
        }),
    );
    let (a, b) = pair();
    let (client, driver) = Link::start(a, Side::Client, Router::new());
    tokio::spawn(driver);
    let (_server, driver) = Link::start(b, Side::Server, router);
    tokio::spawn(driver);
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.request(call("GET", "/wait", Body::empty())).await.map(|_| ()) }
    });
    in_time(has_started.recv()).await.unwrap();
    waiting.abort();
    in_time(async {
        while gone.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(client.shared.permits.available_permits(), MAX_REQUESTS);
}

#[tokio::test]
async fn short_reads_and_writes_of_every_size_change_nothing() {
    for size in (1..=40).chain([63, 64, 65, 1000]) {
        let (a, b) = pair();
        let (client, server) = join(Short::new(a, size), Short::new(b, size));
        for link in [&client, &server] {
            let body = Bytes::from((0..2000 + size).map(|n| n as u8).collect::<Vec<_>>());
            assert_eq!(in_time(echoed(link, body.clone())).await.unwrap(), body, "size {size}");
        }
    }
}

#[tokio::test]
async fn both_directions_full_at_once_keep_moving() {
    let (a, b) = tokio::io::duplex(64);
    let (client, server) = join(Short::new(a, 50), Short::new(b, 50));
    let mut calls = JoinSet::new();
    for link in [client, server] {
        for _ in 0..4 {
            let link = link.clone();
            calls.spawn(async move {
                let body = Bytes::from(vec![7u8; 300 * 1024]);
                assert_eq!(echoed(&link, body.clone()).await.unwrap(), body);
            });
        }
    }
    in_time(calls.join_all()).await;
}

#[tokio::test]
async fn garbage_on_the_wire_ends_the_link_and_nothing_else() {
    let (a, mut b) = pair();
    let (link, driver) = Link::start(a, Side::Server, echo());
    let driver = tokio::spawn(driver);
    b.write_all(&[0xff; 64]).await.unwrap();
    in_time(link.closed()).await;
    assert!(in_time(driver).await.unwrap().is_err());
    let mut rest = Vec::new();
    in_time(b.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn a_link_runs_over_a_websocket() {
    let (give, mut taken) = mpsc::channel(1);
    let app = Router::new().route(
        "/link",
        any(move |upgrade: WebSocketUpgrade| async move {
            websocket::limits(upgrade).on_upgrade(move |socket| async move {
                let (server, driver) = Link::start(websocket::accepted(socket), Side::Server, echo());
                give.send(server).await.unwrap();
                driver.await.unwrap();
            })
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let tcp = tokio::net::TcpStream::connect(address).await.unwrap();
    let url = format!("ws://{address}/link");
    let config = Some(websocket::dial_config());
    let (socket, _) = tokio_tungstenite::client_async_with_config(url, tcp, config).await.unwrap();
    let (client, driver) = Link::start(websocket::dialled(socket), Side::Client, echo());
    tokio::spawn(driver);
    let server = in_time(taken.recv()).await.unwrap();
    for link in [&client, &server] {
        for size in [0, 1, 65_535, 65_536, 1_000_000] {
            let body = Bytes::from(vec![1u8; size]);
            assert_eq!(in_time(echoed(link, body.clone())).await.unwrap(), body);
        }
    }
    client.close();
    in_time(server.closed()).await;
}

/// A pipe that moves at most `size` bytes per call and pretends not to be ready every third time.
struct Short<IO> {
    io: IO,
    size: usize,
    calls: usize,
}

impl<IO> Short<IO> {
    fn new(io: IO, size: usize) -> Self {
        Short { io, size, calls: 0 }
    }

    fn stumbles(&mut self, cx: &mut Context<'_>) -> bool {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            cx.waker().wake_by_ref();
        }
        self.calls.is_multiple_of(3)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Short<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        let mut space = [0; 1024];
        let size = self.size.min(buf.remaining()).min(space.len());
        let mut part = ReadBuf::new(&mut space[..size]);
        std::task::ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        buf.put_slice(part.filled());
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Short<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        let length = buf.len().min(self.size);
        Pin::new(&mut self.io).poll_write(cx, &buf[..length])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
