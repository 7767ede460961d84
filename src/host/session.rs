//! One agent's terminal in the host: its shim while one lives, its output as a stream, its screen, its viewers, and the
//! facts that others decide upon. It never writes the log and never starts or ends anything by itself.

use super::keys;
use super::log::{self, Checkpoint, Checkpoints, Index};
use super::picture::Picture;
use super::receipts::{self, Receipts};
use super::screen::Screen;
use super::shim_client::{Error, FromShim, Incoming, ShimClient};
use super::stream::{Next, Stream};
use super::viewers::{Role, Viewers};
use super::wake::{Wake, WakeBar, WakeState};
use crate::wire::log::{EVENTS_FILE, EXIT_FILE, SPEC_FILE};
use crate::wire::{Event, EventKind, ExitRecord, LaunchSpec, Welcome};
use bytes::Bytes;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{broadcast, watch};

pub use super::terminal::routes;

/// A checkpoint for each so many bytes: an attach or a restart replays at most about this much, and a checkpoint of a full
/// screen is a twentieth of it.
const CHECKPOINT_EVERY: u64 = 256 * 1024;
/// How far back an attach begins if it can, so that there is something to scroll back to.
const SCROLLBACK: u64 = 128 * 1024;
/// More than this is not replayed for a viewer; the screen as it is now has to do.
const LONGEST_REPLAY: u64 = 512 * 1024;
/// Facts about the flow of output change at most so often; nobody decides by the byte.
const FLOW_FACTS_EVERY_MS: i64 = 1000;
/// Between text and submit key, so that a program does not take both for a paste.
const BEFORE_SUBMIT: Duration = Duration::from_millis(40);
const LAST_LINES: usize = 50;

/// What others decide upon.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub shim_alive: bool,
    pub epoch: u64,
    pub pid: Option<u32>,
    pub first: u64,
    pub head: u64,
    /// Of the present epoch; none while it runs.
    pub exit: Option<ExitRecord>,
    pub last_output_ms: i64,
    pub title: Option<String>,
    /// The last Program Status report (OSC 7501), without its number.
    pub osc_state: Option<String>,
    pub cols: u16,
    pub rows: u16,
    pub viewers: usize,
}

#[derive(Clone)]
pub struct Terminal(Arc<Inner>);

pub(super) struct Inner {
    pub agent_dir: PathBuf,
    pub uid: String,
    pub stream: Arc<Stream>,
    client: Mutex<Option<Arc<ShimClient>>>,
    facts: watch::Sender<Facts>,
    events: broadcast::Sender<Event>,
    viewers: watch::Sender<Viewers>,
    picture: Mutex<Picture>,
    wake: Mutex<Option<Wake>>,
    delivered: tokio::sync::Mutex<Option<Receipts>>,
    /// Only one task feeds the screen.
    painting: tokio::sync::Mutex<()>,
}

/// Where a viewer begins.
pub(super) struct Start {
    pub at: u64,
    pub snapshot: Option<Checkpoint>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Delivered,
    /// The key was used before: nothing was typed again.
    Repeated,
}

#[derive(Debug, thiserror::Error)]
pub enum InputError {
    #[error("cannot type into the agent: it is not running; start it first")]
    NotRunning,
    #[error("cannot understand the input: {0}")]
    Invalid(String),
    #[error("cannot type into the agent: {0}")]
    Shim(#[from] Error),
}

impl Terminal {
    /// Knows what the files say; works for an agent that has ended. Touches nothing.
    pub fn open(agent_dir: PathBuf, uid: String) -> Terminal {
        let (first, stored) = log::bounds(&agent_dir).unwrap_or((0, 0));
        let exit = read_json::<ExitRecord>(&agent_dir.join(EXIT_FILE));
        let spec = read_json::<LaunchSpec>(&agent_dir.join(SPEC_FILE));
        let epoch = spec.as_ref().map_or_else(|| exit.as_ref().map_or(0, |exit| exit.epoch), |spec| spec.epoch);
        let head = stored.max(exit.as_ref().map_or(0, |exit| exit.final_offset));
        let (title, osc_state) = last_reports(&agent_dir);
        let index = Index::load(&agent_dir);
        let (cols, rows) = index.sizes(head).0.or(spec.map(|spec| (spec.cols, spec.rows))).unwrap_or((80, 24));
        let facts = Facts {
            shim_alive: false,
            epoch,
            pid: None,
            first,
            head,
            exit: exit.filter(|exit| exit.epoch == epoch),
            last_output_ms: index.time_at(head).unwrap_or(0),
            title,
            osc_state,
            cols,
            rows,
            viewers: 0,
        };
        let checkpoints = Checkpoints::open(&agent_dir);
        Terminal(Arc::new(Inner {
            stream: Stream::new(agent_dir.clone(), head),
            client: Mutex::new(None),
            facts: watch::channel(facts).0,
            events: broadcast::channel(64).0,
            viewers: watch::channel(Viewers::default()).0,
            picture: Mutex::new(Picture {
                screen: None,
                at: 0,
                checkpointed: 0,
                sizes: VecDeque::new(),
                checkpoints,
                last_lines: None,
            }),
            wake: Mutex::new(None),
            delivered: tokio::sync::Mutex::new(None),
            painting: tokio::sync::Mutex::new(()),
            agent_dir,
            uid,
        }))
    }

    /// Adopts the shim that answers at `socket`. Its output, events and end arrive from now on; when it goes, `facts` say so.
    pub async fn connect(&self, socket: &Path) -> Result<(), Error> {
        let (client, incoming, welcome) = ShimClient::connect(socket).await?;
        if welcome.uid != self.0.uid {
            return Err(Error::Stranger { path: socket.to_owned(), uid: welcome.uid });
        }
        let client = Arc::new(client);
        *lock(&self.0.client) = Some(client.clone());
        self.0.welcomed(&welcome);
        // Both end with the connection: the shim's socket is their shutdown signal.
        tokio::spawn(self.0.clone().listen(client, incoming));
        tokio::spawn(self.0.clone().paint());
        Ok(())
    }

    /// Takes up what a shim left that came and went before anybody met it.
    pub fn missed(&self) {
        lock(&self.0.picture).last_lines = None;
        *lock(&self.0.wake) = None;
        self.0.read_what_was_left();
    }

    pub fn facts(&self) -> watch::Receiver<Facts> {
        self.0.facts.subscribe()
    }

    /// Reports as they come: status, title, bell, notifications.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.events.subscribe()
    }

    /// Types without waiting for a receipt.
    pub async fn input(&self, bytes: Bytes) -> Result<(), Error> {
        self.client()?.input(&bytes).await
    }

    pub async fn resize(&self, cols: u16, rows: u16) -> Result<(), Error> {
        self.client()?.resize(cols, rows).await
    }

    pub async fn stop(&self, grace: Duration) -> Result<(), Error> {
        self.client()?.stop(grace).await
    }

    pub async fn signal(&self, signal: i32) -> Result<(), Error> {
        self.client()?.signal(signal).await
    }

    /// Types once per key, whatever is repeated and whoever was restarted in between; returns when the command's terminal
    /// has it. Without a key every call types.
    pub async fn deliver(&self, mode: keys::Mode, data: &[u8], key: Option<&str>) -> Result<Delivery, InputError> {
        // One at a time: two lines must not mix, and a repetition has to see the outcome of the first attempt.
        let mut delivered = self.0.delivered.lock().await;
        let known = delivered.get_or_insert_with(|| Receipts::open(&self.0.agent_dir));
        let id = key.map(receipts::id_of);
        if id.as_ref().is_some_and(|id| known.has(id)) {
            return Ok(Delivery::Repeated);
        }
        let client = self.client().map_err(|_| InputError::NotRunning)?;
        let parts = keys::parts(mode, data, self.modes()).map_err(InputError::Invalid)?;
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                tokio::time::sleep(BEFORE_SUBMIT).await;
            }
            client.deliver(receipts::part_id(id.as_deref(), n), part).await?;
        }
        if let Some(id) = id {
            // Should this fail, the shim still remembers while it lives, and this process while it does.
            if let Err(error) = known.add(id) {
                tracing::warn!(uid = self.0.uid, %error, "cannot note a delivered input");
            }
        }
        Ok(Delivery::Delivered)
    }

    /// The last `count` lines of the screen, without the empty ones at the bottom.
    pub fn screen_lines(&self, count: usize) -> Vec<String> {
        let picture = lock(&self.0.picture);
        match (&picture.screen, &picture.last_lines) {
            (Some(screen), _) => screen.lines(count),
            (None, Some(lines)) => lines[lines.len().saturating_sub(count)..].to_vec(),
            (None, None) => Vec::new(),
        }
    }

    /// Sixty bars, one a minute, oldest first.
    pub fn wake(&self) -> Vec<WakeBar> {
        let alive = self.0.facts.borrow().shim_alive;
        self.0.with_wake(|wake| wake.bars(now_ms(), alive))
    }

    /// What the agent is doing this minute, as whoever fuses its activity has found out.
    pub fn set_wake_state(&self, state: WakeState) {
        self.0.with_wake(|wake| wake.set_state(now_ms(), state));
    }

    /// Makes sure that a finished agent has a screen too: replays the log behind its last checkpoint, once.
    pub async fn settle(&self) {
        let unknown = {
            let picture = lock(&self.0.picture);
            picture.screen.is_none() && picture.last_lines.is_none()
        };
        if unknown && self.0.finished() {
            self.0.clone().paint().await;
        }
    }

    fn modes(&self) -> keys::Terminal {
        lock(&self.0.picture).screen.as_ref().map_or_else(keys::Terminal::default, |screen| keys::Terminal {
            bracketed_paste: screen.bracketed_paste(),
            application_cursor: screen.application_cursor(),
        })
    }

    fn client(&self) -> Result<Arc<ShimClient>, Error> {
        lock(&self.0.client).clone().ok_or(Error::NotConnected)
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }
}

impl Inner {
    pub fn viewers(&self) -> watch::Receiver<Viewers> {
        self.viewers.subscribe()
    }

    pub fn join(&self, user: String, role: Role) -> u64 {
        self.change_viewers(|viewers| viewers.join(user, role))
    }

    pub fn change_viewers<T>(&self, change: impl FnOnce(&mut Viewers) -> T) -> T {
        let mut result = None;
        self.viewers.send_if_modified(|viewers| {
            let before = viewers.clone();
            result = Some(change(viewers));
            // Who typed last is nobody's news.
            before.owner != viewers.owner || before.all.len() != viewers.all.len()
        });
        let count = self.viewers.borrow().all.len();
        self.facts.send_if_modified(|facts| std::mem::replace(&mut facts.viewers, count) != count);
        result.expect("the closure runs exactly once")
    }

    /// Where a viewer without an offset begins: far enough back for some scrollback, near enough to be quick.
    pub fn start(&self) -> Start {
        let head = self.stream.head();
        let (first, _) = log::bounds(&self.agent_dir).unwrap_or((0, 0));
        let mut picture = lock(&self.picture);
        if first == 0 && head <= LONGEST_REPLAY / 2 {
            return Start { at: 0, snapshot: None };
        }
        let earlier = picture.checkpoints.at_or_before(head.saturating_sub(SCROLLBACK));
        if let Some(checkpoint) = earlier.filter(|c| c.offset >= first && head - c.offset <= LONGEST_REPLAY) {
            return Start { at: checkpoint.offset, snapshot: Some(checkpoint) };
        }
        if let Some(now) = picture.snapshot().or_else(|| self.last_checkpoint(&picture.checkpoints, head, first)) {
            return Start { at: now.offset, snapshot: Some(now) };
        }
        Start { at: first.max(head.saturating_sub(LONGEST_REPLAY)), snapshot: None }
    }

    fn last_checkpoint(&self, checkpoints: &Checkpoints, head: u64, first: u64) -> Option<Checkpoint> {
        checkpoints.at_or_before(head).filter(|checkpoint| checkpoint.offset >= first)
    }

    /// The screen as it is now, for a viewer who has fallen too far behind.
    pub fn snapshot(&self) -> Option<Checkpoint> {
        lock(&self.picture).snapshot()
    }

    fn welcomed(&self, welcome: &Welcome) {
        let Welcome { uid: _, epoch, pid, shim_pid: _, started: _, first, head, cols, rows } = *welcome;
        self.stream.resume(head);
        self.facts.send_modify(|facts| {
            if facts.epoch != epoch {
                (facts.title, facts.osc_state) = (None, None);
            }
            (facts.shim_alive, facts.epoch, facts.pid, facts.exit) = (true, epoch, Some(pid), None);
            (facts.first, facts.head, facts.cols, facts.rows) = (first, head, cols, rows);
        });
        let mut picture = lock(&self.picture);
        picture.sizes.push_back((head, (cols, rows)));
    }

    /// Takes what the shim says until it goes.
    async fn listen(self: Arc<Self>, client: Arc<ShimClient>, mut incoming: Incoming) {
        loop {
            match incoming.next().await {
                Ok(Some(heard)) => self.hear(heard, &client).await,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(uid = self.uid, %error, "lost a shim");
                    break;
                }
            }
        }
        let mut current = lock(&self.client);
        if current.as_ref().is_some_and(|now| !Arc::ptr_eq(now, &client)) {
            // Somebody has connected anew meanwhile.
            return;
        }
        *current = None;
        drop(current);
        // Bytes that were in the log but not yet on the socket when the connection went are read from there.
        self.read_what_was_left();
    }

    /// The files' word on how the last shim ended and how far its log goes.
    fn read_what_was_left(&self) {
        let (first, stored) = log::bounds(&self.agent_dir).unwrap_or((0, 0));
        let exit = read_json::<ExitRecord>(&self.agent_dir.join(EXIT_FILE));
        self.facts.send_modify(|facts| {
            (facts.shim_alive, facts.pid) = (false, None);
            if let Some(exit) = exit.filter(|exit| exit.epoch >= facts.epoch) {
                facts.epoch = exit.epoch;
                facts.exit = Some(exit);
            }
            facts.first = first;
            facts.head = stored.max(facts.exit.as_ref().map_or(0, |exit| exit.final_offset));
        });
        let head = self.facts.borrow().head;
        self.stream.resume(head);
    }

    async fn hear(&self, heard: FromShim, client: &ShimClient) {
        match heard {
            FromShim::Output(chunk) => {
                let (now, end, len) = (now_ms(), chunk.end(), chunk.len() as u64);
                // First: what the index says about the past must not contain this piece already.
                self.with_wake(|wake| wake.add(now, len));
                self.stream.push(chunk);
                self.facts.send_if_modified(|facts| {
                    let news = now / FLOW_FACTS_EVERY_MS != facts.last_output_ms / FLOW_FACTS_EVERY_MS;
                    (facts.head, facts.last_output_ms) = (end, now);
                    news
                });
            }
            FromShim::Behind { head } => {
                self.stream.resume(head);
                // Should this fail, the connection is gone and the reading side notices.
                if let Err(error) = client.hello().await {
                    tracing::debug!(uid = self.uid, %error, "cannot ask a shim to go on");
                }
            }
            FromShim::Welcome(welcome) => self.stream.resume(welcome.head),
            FromShim::Event(event) => {
                self.facts.send_if_modified(|facts| match event.kind {
                    EventKind::Title => facts.title.replace(event.text.clone()).as_ref() != Some(&event.text),
                    EventKind::Status => facts.osc_state.replace(event.text.clone()).as_ref() != Some(&event.text),
                    _ => false,
                });
                // Without subscribers nobody is interested.
                let _ = self.events.send(event);
            }
            FromShim::Size { offset, cols, rows } => {
                lock(&self.picture).sizes.push_back((offset, (cols, rows)));
                self.facts.send_modify(|facts| (facts.cols, facts.rows) = (cols, rows));
            }
            FromShim::Exit(record) => {
                self.stream.resume(record.final_offset);
                self.facts.send_modify(|facts| {
                    facts.head = record.final_offset;
                    facts.exit = Some(record);
                });
            }
        }
    }

    /// Feeds the screen from where the last checkpoint left off, until the shim has gone and everything has been seen.
    async fn paint(self: Arc<Self>) {
        let _alone = self.painting.lock().await;
        let start = self.begin_picture();
        let mut reader = self.stream.reader(start);
        let mut facts = self.facts.subscribe();
        loop {
            let next = tokio::select! {
                next = reader.next() => next,
                () = until_gone(&mut facts), if !self.finished() => continue,
                // Nothing more comes, and nothing is left.
                () = std::future::ready(()), if self.finished() && reader.at() >= reader.head() => break,
            };
            match next {
                Ok(Next::Chunk(chunk)) => self.show(chunk.offset, &chunk.bytes()),
                Ok(Next::Gap { from: _, to }) => self.show(to, &[]),
                Err(error) => {
                    tracing::warn!(uid = self.uid, %error, "cannot read a log for its screen");
                    return;
                }
            }
            self.stream.release(reader.at());
        }
        let mut picture = lock(&self.picture);
        if picture.at > picture.checkpointed {
            self.checkpoint(&mut picture);
        }
        // A grid for each agent that runs, a few lines for each that has ended.
        picture.last_lines = picture.screen.take().map(|screen| screen.lines(LAST_LINES));
    }

    fn finished(&self) -> bool {
        !self.facts.borrow().shim_alive
    }

    fn begin_picture(&self) -> u64 {
        let head = self.stream.head();
        let (first, _) = log::bounds(&self.agent_dir).unwrap_or((0, 0));
        let index = Index::load(&self.agent_dir);
        let mut picture = lock(&self.picture);
        if picture.screen.is_none() {
            let checkpoint = self.last_checkpoint(&picture.checkpoints, head, first);
            let at = checkpoint.as_ref().map_or(first, |checkpoint| checkpoint.offset);
            let (holds, mut later) = index.sizes(at);
            later.retain(|(offset, _)| *offset <= head);
            let (cols, rows) = checkpoint.as_ref().map(|c| (c.cols, c.rows)).or(holds).unwrap_or((80, 24));
            let mut screen = Screen::new(cols, rows);
            if let Some(checkpoint) = checkpoint {
                screen.feed(&checkpoint.dump);
            }
            // What came in live meanwhile stays behind what the index knows.
            let mut sizes: VecDeque<_> = later.into();
            sizes.extend(picture.sizes.iter().filter(|(offset, _)| *offset >= head));
            (picture.screen, picture.at, picture.checkpointed, picture.sizes) = (Some(screen), at, at, sizes);
        }
        picture.at
    }

    fn show(&self, offset: u64, bytes: &[u8]) {
        let mut picture = lock(&self.picture);
        picture.feed(offset, bytes);
        if picture.at - picture.checkpointed >= CHECKPOINT_EVERY {
            self.checkpoint(&mut picture);
        }
    }

    fn checkpoint(&self, picture: &mut Picture) {
        let Some(checkpoint) = picture.snapshot() else { return };
        picture.checkpointed = checkpoint.offset;
        let first = log::bounds(&self.agent_dir).map_or(0, |(first, _)| first);
        let written = picture.checkpoints.append(&checkpoint).and_then(|()| picture.checkpoints.trim(first));
        if let Err(error) = written {
            // An attach replays a little more; the next one may succeed.
            tracing::warn!(uid = self.uid, %error, "cannot write a checkpoint");
        }
    }

    fn with_wake<T>(&self, act: impl FnOnce(&mut Wake) -> T) -> T {
        let mut wake = lock(&self.wake);
        act(wake.get_or_insert_with(|| Wake::from_index(&Index::load(&self.agent_dir), now_ms(), self.stream.head())))
    }
}

async fn until_gone(facts: &mut watch::Receiver<Facts>) {
    // An error means that the terminal itself is going away, which is an end as well.
    let _ = facts.wait_for(|facts| !facts.shim_alive).await;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The last title and status of the last epoch, from the end of the events file.
fn last_reports(agent_dir: &Path) -> (Option<String>, Option<String>) {
    let text = std::fs::read(agent_dir.join(EVENTS_FILE)).unwrap_or_default();
    let recent = &text[text.len().saturating_sub(256 * 1024)..];
    let (mut title, mut state) = (None, None);
    for event in recent.split(|b| *b == b'\n').rev().filter_map(|line| serde_json::from_slice::<Event>(line).ok()) {
        match event.kind {
            EventKind::Title => title = title.or(Some(event.text)),
            EventKind::Status => state = state.or(Some(event.text)),
            EventKind::Started => break,
            _ => {}
        }
        if title.is_some() && state.is_some() {
            break;
        }
    }
    (title, state)
}
