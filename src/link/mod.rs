//! HTTP both ways over one connection: a yamux stream per request, HTTP/1.1 on it. It knows nothing of who is on the
//! other side, and nothing of what the requests mean.
//!
//! Guarantees: a request either gets an answer or an error, also when the connection is cut in the middle; a stream
//! that floods holds back neither other streams nor the other direction (`batch` says how); when the connection ends,
//! every request and every handler on it ends with it.

mod batch;
mod driver;
#[cfg(test)]
mod tests;
pub mod websocket;

pub use driver::LinkDriver;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Requests of one side open at the same time: each may be a terminal that stays for hours. Above it `request` waits.
const MAX_REQUESTS: usize = 2048;

/// How long `request` waits for a free place before it says that there is none.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Which end of the connection this is. It only decides whose stream numbers are odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Dialled the connection (a host).
    Client,
    /// Accepted it (the gateway).
    Server,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot send {request} over the link: the link is closed")]
    Closed { request: String },
    #[error("cannot send {request} over the link: {MAX_REQUESTS} requests are already open on it; close some viewers")]
    Busy { request: String },
    #[error("cannot send {request} over the link: {source}")]
    Failed { request: String, source: hyper::Error },
    #[error("the link broke: {0}")]
    Lost(#[from] yamux::ConnectionError),
    #[error("the link broke: {0}")]
    Io(#[from] std::io::Error),
}

/// One side's handle. Cheap to clone; dropping all clones does not end the connection, `close` does.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    /// Asks the driver for a new stream. Bounded by `permits`: the channel has a place for every permit.
    open: mpsc::Sender<oneshot::Sender<yamux::Stream>>,
    permits: Arc<Semaphore>,
    /// The connections that carry requests; the driver waits for them at the end.
    tasks: TaskTracker,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Link {
    /// Starts HTTP on a connection. The other side's requests go to `serve`. Nothing happens until the driver is polled.
    pub fn start<IO>(io: IO, side: Side, serve: axum::Router) -> (Link, LinkDriver)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (open, requests) = mpsc::channel(MAX_REQUESTS);
        let link = Link {
            shared: Arc::new(Shared {
                open,
                permits: Arc::new(Semaphore::new(MAX_REQUESTS)),
                tasks: TaskTracker::new(),
                stop: CancellationToken::new(),
                ended: CancellationToken::new(),
            }),
        };
        let context = driver::Context {
            serve,
            requests,
            tasks: link.shared.tasks.clone(),
            stop: link.shared.stop.clone(),
            ended: link.shared.ended.clone(),
        };
        (link, LinkDriver::new(io, side, context))
    }

    /// Sends one request on a stream of its own. The answer's body streams; dropping it (or this future) resets the
    /// stream, which the other side's handler notices. A `101` answer can be upgraded with `hyper::upgrade::on`.
    pub async fn request(&self, mut request: Request<Body>) -> Result<Response<Body>, Error> {
        let what = format!("{} {}", request.method(), request.uri().path());
        let lane = self.open(&what).await?;
        prepare(&mut request);
        let failed = |source| Error::Failed { request: what.clone(), source };
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(lane)).await.map_err(failed)?;
        let ended = self.shared.ended.clone();
        self.shared.tasks.spawn(async move {
            tokio::select! {
                // Its error reaches the caller through the answer or the answer's body.
                _ = connection.with_upgrades() => {}
                () = ended.cancelled() => {}
            }
        });
        let response = sender.send_request(request).await.map_err(failed)?;
        Ok(response.map(Body::new))
    }

    /// Resolves when the connection has ended, for whatever reason.
    pub async fn closed(&self) {
        self.shared.ended.cancelled().await;
    }

    pub fn is_closed(&self) -> bool {
        self.shared.ended.is_cancelled()
    }

    /// Whether both are handles of one connection.
    pub fn same(&self, other: &Link) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Ends the connection from this side: what is queued is still sent, open requests end with an error.
    pub fn close(&self) {
        self.shared.stop.cancel();
    }

    async fn open(&self, request: &str) -> Result<Lane, Error> {
        let closed = || Error::Closed { request: request.to_owned() };
        let permit = tokio::time::timeout(MAX_WAIT, self.shared.permits.clone().acquire_owned())
            .await
            .map_err(|_| Error::Busy { request: request.to_owned() })?
            .map_err(|_| closed())?;
        let (reply, opened) = oneshot::channel();
        self.shared.open.send(reply).await.map_err(|_| closed())?;
        let stream = opened.await.map_err(|_| closed())?;
        Ok(Lane { stream: stream.compat(), _permit: permit })
    }
}

/// An in-memory connection, for a host in the same process. What fits into it stands before the next key.
pub fn pair() -> (DuplexStream, DuplexStream) {
    tokio::io::duplex(32 * 1024)
}

/// HTTP/1.1 as a server expects it: the path alone in the request line, and a Host.
fn prepare(request: &mut Request<Body>) {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::try_from(path).expect("the path of a valid URI is a valid URI");
    *request.version_mut() = http::Version::HTTP_11;
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("link"));
}

/// A stream together with its place among `MAX_REQUESTS`, which it gives back when it is dropped, upgraded or not.
struct Lane {
    stream: Compat<yamux::Stream>,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Lane {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Lane {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
