//! The one task that moves a link's bytes: it owns the yamux connection, hands out streams for requests, and serves the
//! streams the other side opens. It must not do anything slow: every stream of the link waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Cx, Poll, ready};
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::FuturesAsyncReadCompatExt;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use yamux::{Config, Connection, Mode, Stream};

use super::batch::Batch;
use super::{Error, MAX_REQUESTS, Side};

/// Both sides' requests, twice: a stream whose end is still on its way counts too, and yamux ends the whole connection
/// when the number is passed.
const MAX_STREAMS: usize = 4 * MAX_REQUESTS;

/// Each stream starts with 256 KiB that the other side may send before it is read. This much more is shared by those
/// that find it too little for the distance (yamux doubles a window that is used up within two round trips).
const SHARED_WINDOW: usize = 64 << 20;

/// A frame of a flood; a key waits for at most one of each flooding stream. Smaller costs throughput: each frame is an
/// allocation and a turn of the driver.
const FRAME: usize = 16 << 10;

/// How long a close may take before the connection is dropped instead.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct Context {
    pub serve: Router,
    pub requests: mpsc::Receiver<oneshot::Sender<Stream>>,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    pub ended: CancellationToken,
}

/// The future that runs a link. It ends when the connection ends, with an error when it was cut.
#[must_use = "a link does nothing until its driver is polled"]
pub struct LinkDriver {
    run: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>,
}

impl LinkDriver {
    pub(super) fn new<IO>(io: IO, side: Side, context: Context) -> LinkDriver
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        LinkDriver { run: Box::pin(drive(io, side, context)) }
    }
}

impl Future for LinkDriver {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Cx<'_>) -> Poll<Self::Output> {
        self.run.as_mut().poll(cx)
    }
}

async fn drive<IO>(io: IO, side: Side, context: Context) -> Result<(), Error>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Context { serve, requests, tasks, stop, ended } = context;
    // Also when this future is dropped half way: whoever waits for the end must see it.
    let _ended = ended.clone().drop_guard();
    let batch = Batch::new(io);
    let mode = match side {
        Side::Client => Mode::Client,
        Side::Server => Mode::Server,
    };
    let mut pass = Pass {
        connection: Connection::new(batch.clone(), config(), mode),
        batch,
        requests,
        waiting: None,
        stop: Box::pin(stop.cancelled_owned()),
        serve: |stream| {
            let ended = ended.clone();
            let serve = serve.clone();
            tasks.spawn(async move {
                tokio::select! {
                    () = serve_stream(stream, serve) => {}
                    () = ended.cancelled() => {}
                }
            });
        },
    };
    let result = std::future::poll_fn(|cx| pass.poll(cx)).await;
    let result = match result {
        Ok(End::Stopped) => {
            let close = std::future::poll_fn(|cx| pass.connection.poll_close(cx));
            match tokio::time::timeout(CLOSE_TIMEOUT, close).await {
                // The other side may already be gone; stopping was asked for, so this is not a failure.
                Ok(Ok(()) | Err(_)) | Err(_) => Ok(()),
            }
        }
        Ok(End::Finished) => Ok(()),
        Err(error) => Err(error),
    };
    drop(pass);
    ended.cancel();
    tasks.close();
    tasks.wait().await;
    result
}

fn config() -> Config {
    let mut config = Config::default();
    // In this order: yamux checks after each call that the window is enough for the streams.
    config.set_max_connection_receive_window(Some(MAX_STREAMS * yamux::DEFAULT_CREDIT as usize + SHARED_WINDOW));
    config.set_max_num_streams(MAX_STREAMS);
    config.set_split_send_size(FRAME);
    config
}

enum End {
    /// `Link::close` was called.
    Stopped,
    /// The other side closed the connection.
    Finished,
}

struct Pass<IO, F> {
    connection: Connection<Batch<IO>>,
    batch: Batch<IO>,
    requests: mpsc::Receiver<oneshot::Sender<Stream>>,
    /// A request yamux has no stream for yet: it allows 256 that the other side has not acknowledged.
    waiting: Option<oneshot::Sender<Stream>>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    serve: F,
}

impl<IO, F> Pass<IO, F>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    F: FnMut(Stream),
{
    fn poll(&mut self, cx: &mut Cx<'_>) -> Poll<Result<End, Error>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(End::Stopped));
        }
        loop {
            self.batch.begin();
            self.open_streams(cx)?;
            loop {
                match self.connection.poll_next_inbound(cx) {
                    Poll::Ready(Some(Ok(stream))) => (self.serve)(stream),
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                    Poll::Ready(None) => return Poll::Ready(Ok(End::Finished)),
                    Poll::Pending => break,
                }
            }
            if !ready!(self.batch.finish(cx))? {
                return Poll::Pending;
            }
        }
    }

    fn open_streams(&mut self, cx: &mut Cx<'_>) -> Result<(), Error> {
        loop {
            if self.waiting.is_none() {
                match self.requests.poll_recv(cx) {
                    Poll::Ready(Some(reply)) => self.waiting = Some(reply),
                    // `None`: every handle is gone; the link goes on serving.
                    Poll::Ready(None) | Poll::Pending => return Ok(()),
                }
            }
            let Poll::Ready(stream) = self.connection.poll_new_outbound(cx) else { return Ok(()) };
            let stream = stream?;
            if let Some(reply) = self.waiting.take() {
                // Whoever asked may have gone away; the stream is then dropped unused.
                drop(reply.send(stream));
            }
        }
    }
}

/// Serves the one request on a stream the other side opened.
async fn serve_stream(stream: Stream, serve: Router) {
    let mut stream = stream.compat();
    // An empty frame acknowledges the stream at once. Otherwise it would be acknowledged by the answer's first byte,
    // and 256 slow answers would keep the other side from asking anything else.
    if stream.write(&[]).await.is_err() {
        return;
    }
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(serve))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        // Whoever asked went away, or the link was cut: the side that asked has the error.
        tracing::debug!(%error, "a request over the link ended early");
    }
}
