//! What others reach of an agent's terminal over HTTP: the terminal WebSocket, the log, input, and the screens of many.
//! Who may do what was decided before; the role header is all that is enforced here.

use super::keys::Mode;
use super::session::{Delivery, InputError, Terminal};
use super::stream::Next;
use super::terminal_log::{self, Refusal};
use super::viewers::{Role, Viewers};
use super::wake::WakeBar;
use crate::wire::ExitRecord;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::{IntoResponse, Json};
use axum::routing::{get, post};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, mpsc};

pub const SUBPROTOCOL: &str = "regatta.terminal.v1";
/// The `uid` asked for is not this agent's: its name has been used again.
pub const CLOSE_OTHER_AGENT: u16 = 4001;
/// A text frame that nobody understands.
pub const CLOSE_PROTOCOL: u16 = 4002;
/// The log could not be read.
pub const CLOSE_LOG: u16 = 4003;
/// An offset less than this behind the head is answered with bytes, any other with a snapshot.
const NEAR: u64 = 1 << 20;
/// A viewer who acknowledges gets no more than this ahead.
const WINDOW: u64 = 1 << 20;
/// One who falls further behind than this gets a fresh snapshot instead of the backlog, unless it wants every byte.
const FAR_BEHIND: u64 = 4 << 20;
/// A paste is at most this; it also bounds what one viewer can make us hold.
const LARGEST_MESSAGE: usize = 1 << 20;
const SCREEN_LINES: usize = 12;
const MOST_SCREENS: usize = 500;

type Lookup = Arc<dyn Fn(&str) -> Option<Terminal> + Send + Sync>;

/// `/agents/{uid}/terminal`, `/agents/{uid}/log`, `/agents/{uid}/input` and `/screens`.
pub fn routes(lookup: impl Fn(&str) -> Option<Terminal> + Clone + Send + Sync + 'static) -> axum::Router {
    axum::Router::new()
        .route("/agents/{uid}/terminal", get(terminal))
        .route("/agents/{uid}/log", get(log))
        .route("/agents/{uid}/input", post(input))
        .route("/screens", post(screens))
        .with_state(Arc::new(lookup) as Lookup)
}

/// A Kubernetes Status, as everywhere.
fn status(code: StatusCode, reason: &str, message: String) -> Response<Body> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    (code, Json(body)).into_response()
}

fn unknown(uid: &str) -> Response<Body> {
    status(StatusCode::NOT_FOUND, "NotFound", format!("this host has no agent with uid {uid:?}"))
}

async fn log(
    State(lookup): State<Lookup>,
    Path(uid): Path<String>,
    Query(query): Query<terminal_log::Query>,
) -> Response<Body> {
    let Some(terminal) = lookup(&uid) else { return unknown(&uid) };
    terminal_log::answer(&terminal, query).await.unwrap_or_else(|refusal| match refusal {
        Refusal::Invalid(message) => status(StatusCode::BAD_REQUEST, "BadRequest", message),
        Refusal::NotFound(message) => status(StatusCode::NOT_FOUND, "NotFound", message),
        Refusal::Failed(message) => status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InputRequest {
    mode: Mode,
    data: Option<String>,
    data_base64: Option<String>,
    idempotency_key: Option<String>,
}

async fn input(State(lookup): State<Lookup>, Path(uid): Path<String>, body: axum::body::Bytes) -> Response<Body> {
    let Some(terminal) = lookup(&uid) else { return unknown(&uid) };
    let bad = |message: String| status(StatusCode::BAD_REQUEST, "BadRequest", message);
    let request: InputRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(e) => return bad(format!("cannot understand the input: {e}")),
    };
    let data = match (request.data, request.data_base64) {
        (Some(text), None) => text.into_bytes(),
        (None, Some(encoded)) => match BASE64_STANDARD.decode(encoded) {
            Ok(bytes) => bytes,
            Err(e) => return bad(format!("dataBase64 is not base64: {e}")),
        },
        (Some(_), Some(_)) | (None, None) => return bad("exactly one of data and dataBase64 is needed".to_owned()),
    };
    match terminal.deliver(request.mode, &data, request.idempotency_key.as_deref()).await {
        Ok(delivery) => {
            let body = serde_json::json!({ "delivered": true, "repeated": delivery == Delivery::Repeated });
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Err(error @ InputError::Invalid(_)) => bad(error.to_string()),
        Err(error @ InputError::NotRunning) => status(StatusCode::CONFLICT, "NotRunning", error.to_string()),
        Err(error @ InputError::Shim(_)) => status(StatusCode::CONFLICT, "NotDelivered", error.to_string()),
    }
}

#[derive(Deserialize)]
struct ScreensRequest {
    uids: Vec<String>,
}

#[derive(Serialize)]
struct ScreenPreview {
    uid: String,
    lines: Vec<String>,
    cols: u16,
    rows: u16,
    wake: Vec<WakeBar>,
    /// When the last output came, milliseconds since 1970.
    updated: i64,
}

async fn screens(State(lookup): State<Lookup>, Json(request): Json<ScreensRequest>) -> Response<Body> {
    let mut screens = Vec::new();
    for uid in request.uids.into_iter().take(MOST_SCREENS) {
        let Some(terminal) = lookup(&uid) else { continue };
        terminal.settle().await;
        let facts = terminal.facts().borrow().clone();
        let (lines, wake) = (terminal.screen_lines(SCREEN_LINES), terminal.wake());
        screens.push(ScreenPreview {
            uid,
            lines,
            cols: facts.cols,
            rows: facts.rows,
            wake,
            updated: facts.last_output_ms,
        });
    }
    Json(serde_json::json!({ "screens": screens })).into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TerminalQuery {
    offset: Option<u64>,
    uid: Option<String>,
    exact: bool,
}

async fn terminal(
    State(lookup): State<Lookup>,
    Path(uid): Path<String>,
    Query(query): Query<TerminalQuery>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response<Body> {
    let Some(terminal) = lookup(&uid) else { return unknown(&uid) };
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    // Whoever does not say may only look.
    let role = if text("x-regatta-role") == "type" { Role::Type } else { Role::View };
    let user = text("x-regatta-user");
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0)
        .max_message_size(LARGEST_MESSAGE)
        .on_upgrade(move |socket| async move {
            let (sink, stream) = socket.split();
            if query.uid.as_deref().is_some_and(|wanted| wanted != uid) {
                let why = "this name belongs to another agent now; forget the offset and attach again";
                close(sink, CLOSE_OTHER_AGENT, why).await;
                return;
            }
            terminal.settle().await;
            attend(terminal, query, user, role, sink, stream).await;
        })
}

async fn close(mut sink: SplitSink<WebSocket, Message>, code: u16, reason: &str) {
    // Whoever has gone already needs no reason.
    let _ = sink.send(Message::Close(Some(CloseFrame { code, reason: reason.into() }))).await;
}

/// Text frames to the viewer.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Say<'a> {
    Hello {
        uid: &'a str,
        epoch: u64,
        first: u64,
        head: u64,
        cols: u16,
        rows: u16,
        role: Role,
        viewer: u64,
        running: bool,
    },
    /// Forget what you show; this is the screen at `offset`. `bytes` is base64.
    Snapshot {
        offset: u64,
        cols: u16,
        rows: u16,
        bytes: String,
    },
    /// The size from the next byte on; `owner` is the viewer whose window it is.
    Size {
        cols: u16,
        rows: u16,
        owner: Option<u64>,
    },
    Gap {
        from: u64,
        to: u64,
    },
    Exit(&'a ExitRecord),
    Viewers {
        count: usize,
        list: &'a [super::viewers::Viewer],
    },
    Error {
        reason: &'a str,
        message: &'a str,
    },
}

/// Text frames from the viewer.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Hear {
    Resize { cols: u16, rows: u16 },
    Focus {},
    Ack { offset: u64 },
    Ping {},
}

/// What the two directions of one viewer tell one another.
struct Between {
    /// `u64::MAX` as long as the viewer has never acknowledged anything: then its connection alone sets the pace.
    acknowledged: AtomicU64,
    ack: Notify,
}

async fn attend(
    terminal: Terminal,
    query: TerminalQuery,
    user: String,
    role: Role,
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
) {
    let viewer = terminal.inner().join(user, role);
    let between = Between { acknowledged: AtomicU64::new(u64::MAX), ack: Notify::new() };
    // Errors for the viewer; a few, because one that is not read may be dropped.
    let (complain, complaints) = mpsc::channel(8);
    let down = Down {
        terminal: terminal.clone(),
        viewer,
        role,
        exact: query.exact,
        sink,
        between: &between,
        sizes: VecDeque::new(),
        replaying: false,
    };
    // Typing must get through while output waits for a slow connection, hence two directions.
    tokio::select! {
        end = down.run(query.offset, complaints) => if let Err((sink, code, reason)) = end { close(sink, code, &reason).await },
        () = up(&terminal, viewer, role, stream, &between, complain) => {}
    }
    if let Some((cols, rows)) = terminal.inner().change_viewers(|viewers| viewers.leave(viewer)) {
        // Without a shim there is no size to change.
        let _ = terminal.resize(cols, rows).await;
    }
}

async fn up(
    terminal: &Terminal,
    viewer: u64,
    role: Role,
    mut stream: SplitStream<WebSocket>,
    between: &Between,
    complain: mpsc::Sender<(&'static str, String)>,
) {
    while let Some(Ok(message)) = stream.next().await {
        let size = match message {
            Message::Binary(_) if role == Role::View => {
                let _ = complain.try_send(("ReadOnly", "you may watch this terminal but not type".to_owned()));
                None
            }
            Message::Binary(bytes) => {
                let size = terminal.inner().change_viewers(|viewers| viewers.act(viewer));
                if let Err(error) = terminal.input(bytes).await {
                    let _ = complain.try_send(("NotDelivered", error.to_string()));
                }
                size
            }
            Message::Text(text) => match serde_json::from_str(&text) {
                Ok(Hear::Resize { cols, rows }) => {
                    let size = (cols.clamp(2, 1000), rows.clamp(1, 1000));
                    terminal.inner().change_viewers(|viewers| viewers.resize(viewer, size))
                }
                Ok(Hear::Focus {}) => terminal.inner().change_viewers(|viewers| viewers.act(viewer)),
                Ok(Hear::Ack { offset }) => {
                    between.acknowledged.store(offset, Ordering::Relaxed);
                    between.ack.notify_one();
                    None
                }
                Ok(Hear::Ping {}) => None,
                Err(error) => {
                    let _ = complain.try_send(("Protocol", format!("cannot understand a text frame: {error}")));
                    None
                }
            },
            Message::Close(_) => return,
            Message::Ping(_) | Message::Pong(_) => None,
        };
        if let Some((cols, rows)) = size
            && let Err(error) = terminal.resize(cols, rows).await
        {
            tracing::debug!(%error, "cannot resize a terminal");
        }
    }
}

struct Down<'a> {
    terminal: Terminal,
    viewer: u64,
    role: Role,
    exact: bool,
    sink: SplitSink<WebSocket, Message>,
    between: &'a Between,
    /// Sizes that held further on in the part of the log that is replayed.
    sizes: VecDeque<super::log::SizeFrom>,
    /// A size of the past was told last; that of now is due once no other follows.
    replaying: bool,
}

type Closed = (SplitSink<WebSocket, Message>, u16, String);

impl Down<'_> {
    async fn run(
        mut self,
        offset: Option<u64>,
        complaints: mpsc::Receiver<(&'static str, String)>,
    ) -> Result<(), Closed> {
        match self.follow(offset, complaints).await {
            Ok(()) => Ok(()),
            Err(Trouble::Gone) => Ok(()),
            Err(Trouble::Log(error)) => Err((self.sink, CLOSE_LOG, format!("cannot read the log: {error}"))),
        }
    }

    async fn follow(
        &mut self,
        offset: Option<u64>,
        mut complaints: mpsc::Receiver<(&'static str, String)>,
    ) -> Result<(), Trouble> {
        let inner = self.terminal.inner().clone();
        let mut facts = self.terminal.facts();
        let mut viewers = inner.viewers();
        let mut epoch = self.hello(&mut facts).await?;
        let mut told_exit = None;
        let mut size = {
            let facts = facts.borrow();
            (facts.cols, facts.rows)
        };
        let at = self.begin(offset).await?;
        let mut reader = inner.stream.reader(at);
        viewers.mark_changed();
        loop {
            if !self.exact
                && reader.head().saturating_sub(reader.at()) > FAR_BEHIND
                && let Some(now) = inner.snapshot().filter(|now| now.offset > reader.at())
            {
                self.snapshot(&now).await?;
                reader.seek(now.offset);
            }
            let acknowledged = self.between.acknowledged.load(Ordering::Relaxed);
            let open = acknowledged == u64::MAX || reader.at().saturating_sub(acknowledged) < WINDOW;
            tokio::select! {
                biased;
                Some((reason, message)) = complaints.recv() => self.say(&Say::Error { reason, message: &message }).await?,
                Ok(()) = viewers.changed() => {
                    let now = viewers.borrow_and_update().clone();
                    self.attendance(&now, &facts).await?;
                }
                next = reader.next(), if open => match next? {
                    Next::Chunk(chunk) => self.output(chunk).await?,
                    Next::Gap { from, to } => self.say(&Say::Gap { from, to }).await?,
                },
                () = self.between.ack.notified(), if !open => {}
                Ok(()) = facts.changed() => {}
            }
            let now = facts.borrow_and_update().clone();
            let told_past = self.replaying && self.sizes.is_empty();
            if told_past || (now.cols, now.rows) != size {
                self.replaying &= !told_past;
                size = (now.cols, now.rows);
                let owner = viewers.borrow().owner;
                self.say(&Say::Size { cols: now.cols, rows: now.rows, owner }).await?;
            }
            if now.epoch != epoch {
                epoch = self.hello(&mut facts).await?;
                // A hello says nothing of whose window decides the size.
                viewers.mark_changed();
            }
            if let Some(exit) = &now.exit
                && reader.at() >= exit.final_offset
                && told_exit != Some(exit.epoch)
            {
                told_exit = Some(exit.epoch);
                self.say(&Say::Exit(exit)).await?;
            }
        }
    }

    async fn hello(&mut self, facts: &mut tokio::sync::watch::Receiver<super::session::Facts>) -> Result<u64, Trouble> {
        let now = facts.borrow_and_update().clone();
        let terminal = self.terminal.clone();
        let (uid, head) = (&terminal.inner().uid, terminal.inner().stream.head());
        let (epoch, first, cols, rows) = (now.epoch, now.first, now.cols, now.rows);
        let (role, viewer, running) = (self.role, self.viewer, now.shim_alive);
        self.say(&Say::Hello { uid, epoch, first, head, cols, rows, role, viewer, running }).await?;
        Ok(epoch)
    }

    /// Snapshot or not, and where the bytes begin.
    async fn begin(&mut self, offset: Option<u64>) -> Result<u64, Trouble> {
        let inner = self.terminal.inner().clone();
        let head = inner.stream.head();
        let stored = super::log::bounds(&inner.agent_dir).map_err(Trouble::Log)?.0;
        let near = offset.filter(|at| (stored..=head).contains(at) && (self.exact || head - at < NEAR));
        let exact = offset.filter(|at| self.exact && *at < stored);
        let at = match near.or(exact) {
            Some(at) => at,
            None => {
                let start = tokio::task::spawn_blocking({
                    let inner = inner.clone();
                    move || inner.start()
                });
                let start = start.await.map_err(|e| Trouble::Log(std::io::Error::other(e)))?;
                if let Some(snapshot) = &start.snapshot {
                    self.snapshot(snapshot).await?;
                }
                start.at
            }
        };
        let (_, later) = super::log::Index::load(&inner.agent_dir).sizes(at);
        self.sizes = later.into_iter().filter(|(offset, _)| *offset <= head).collect();
        Ok(at)
    }

    async fn snapshot(&mut self, now: &super::log::Checkpoint) -> Result<(), Trouble> {
        let bytes = BASE64_STANDARD.encode(&now.dump);
        self.sizes.retain(|(offset, _)| *offset > now.offset);
        self.say(&Say::Snapshot { offset: now.offset, cols: now.cols, rows: now.rows, bytes }).await
    }

    /// One frame as it came, unless the size changed within it.
    async fn output(&mut self, chunk: super::shim_client::Chunk) -> Result<(), Trouble> {
        let mut rest = chunk;
        while let Some((at, (cols, rows))) = self.sizes.pop_front_if(|(at, _)| *at < rest.end()) {
            if at > rest.offset {
                let bytes = rest.bytes();
                let (before, after) = bytes.split_at(usize::try_from(at - rest.offset).unwrap_or(0));
                self.send(Message::Binary(super::shim_client::Chunk::new(rest.offset, before).framed())).await?;
                rest = super::shim_client::Chunk::new(at, after);
            }
            self.say(&Say::Size { cols, rows, owner: None }).await?;
            self.replaying = true;
        }
        self.send(Message::Binary(rest.framed())).await
    }

    async fn attendance(
        &mut self,
        viewers: &Viewers,
        facts: &tokio::sync::watch::Receiver<super::session::Facts>,
    ) -> Result<(), Trouble> {
        let (cols, rows) = {
            let facts = facts.borrow();
            (facts.cols, facts.rows)
        };
        self.say(&Say::Viewers { count: viewers.all.len(), list: &viewers.all }).await?;
        self.say(&Say::Size { cols, rows, owner: viewers.owner }).await
    }

    async fn say(&mut self, frame: &Say<'_>) -> Result<(), Trouble> {
        let text = serde_json::to_string(frame).expect("frames of strings and numbers always serialise");
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Trouble> {
        self.sink.send(message).await.map_err(|_| Trouble::Gone)
    }
}

enum Trouble {
    Gone,
    Log(std::io::Error),
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Trouble {
        Trouble::Log(error)
    }
}
