//! `regatta attach`: an agent's terminal in this terminal. Its bytes go to the terminal's own scrollback; nothing is
//! drawn around them. Goes on by itself where it was when the server was away.

mod frames;
mod keyboard;
mod modes;
mod pieces;
mod replies;
mod tty;

use std::time::Duration;

use clap::Args;
use futures::{SinkExt, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::frames::{FromHost, PROTOCOL};
use self::keyboard::{DetachKeys, Keyboard, Verdict};
pub use self::tty::is_terminal;
use self::tty::{Frame, Streams, Tty};
use super::failure::{Cause, Exit, Failure, Outcome, cannot};
use super::names;
use super::output::say;
use super::request::{self, Socket, query};
use super::server::{Global, Server};
use super::status::exit_text;

#[derive(Args, Debug)]
pub struct Attach {
    /// The agent: its name, an unambiguous beginning of it, or its number
    name: String,
    /// The keys that detach, one after the other; `none` for never
    #[arg(long, env = "REGATTA_DETACH_KEYS", value_name = "KEYS", default_value = "ctrl-b,d", hide_env = true)]
    detach_keys: DetachKeys,
}

impl Attach {
    pub fn to(name: &str) -> Self {
        Self { name: name.to_owned(), detach_keys: DetachKeys::default() }
    }

    pub async fn run(self, global: &Global) -> Outcome {
        if !is_terminal() {
            return Err(Failure::usage(
                "attach needs a terminal on stdin and stdout; `regatta logs -f` and `regatta send` do without",
            ));
        }
        let server = Server::reach(global).await?;
        let agent = names::agent(&server, &self.name).await?;
        let name = agent.metadata.name.unwrap_or_default();
        let mut view = View {
            path: server.agent_path(&name, "terminal"),
            uid: agent.metadata.uid.unwrap_or_default(),
            at: None,
            ended: None,
        };
        if !self.detach_keys.is_never() {
            say(format_args!("attached to {name}; {} detaches", self.detach_keys));
        }
        let (tty, streams) = Tty::open()?;
        let mut viewer = Viewer::new(Keyboard::new(self.detach_keys), streams)?;
        let end = viewer.watch(global, server.clone(), &mut view).await;
        drop(tty);
        match end {
            End::Detached => say(format_args!("[detached from {name}; it goes on]")),
            End::Over => say(format_args!("[{name} {}]", over(&server, &name, view.ended).await)),
            End::Signal(number) => return Ok(128 + number),
            End::Failed(failure) => return Err(failure),
        }
        Ok(Exit::Done as u8)
    }
}

/// How the agent ended, in words: as the host said it over the terminal, else as its status says.
async fn over(server: &Server, name: &str, ended: Option<String>) -> String {
    if let Some(how) = ended {
        return how;
    }
    match server.agents().get_opt(name).await {
        Ok(Some(agent)) => agent.status.and_then(|s| s.exit).map_or_else(|| "ended".into(), |e| exit_text(&e)),
        Ok(None) => "is gone".into(),
        Err(error) => format!("ended; how is not known: {}", Cause::from(error).text),
    }
}

/// Which terminal, and how far it was shown.
struct View {
    path: String,
    uid: String,
    at: Option<u64>,
    ended: Option<String>,
}

enum End {
    Detached,
    /// The agent's terminal is over.
    Over,
    Signal(u8),
    Failed(Failure),
}

/// What one connection came to.
enum Left {
    End(End),
    Lost(String),
}

/// The person in front of this terminal.
struct Viewer {
    keyboard: Keyboard,
    streams: Streams,
    resized: Signal,
    hangup: Signal,
    terminate: Signal,
    /// When a held-back beginning of a sequence counts as typed.
    patience: Option<Instant>,
    told_lost: bool,
}

/// Terminals send a sequence in one go; people take longer than this between two keys.
const SEQUENCE_GAP: Duration = Duration::from_millis(50);

/// How much may be on the terminal before the host is told.
const ACK_EVERY: u64 = 32 * 1024;

const PING_EVERY: Duration = Duration::from_secs(10);

/// Three pings unanswered: nobody is there.
const SILENCE: Duration = Duration::from_secs(30);

impl Viewer {
    fn new(keyboard: Keyboard, streams: Streams) -> Result<Self, Failure> {
        let on = |kind| signal(kind).map_err(|e| cannot("listen for signals", e));
        Ok(Self {
            keyboard,
            streams,
            resized: on(SignalKind::window_change())?,
            hangup: on(SignalKind::hangup())?,
            terminate: on(SignalKind::terminate())?,
            patience: None,
            told_lost: false,
        })
    }

    /// Shows the terminal until somebody ends it, across any number of connections.
    async fn watch(&mut self, global: &Global, mut server: Server, view: &mut View) -> End {
        let mut pause = Duration::from_millis(100);
        let mut first = true;
        loop {
            let path = format!(
                "{}{}",
                view.path,
                query(&[("offset", view.at.map(|o| o.to_string())), ("uid", Some(view.uid.clone()))])
            );
            let opened = tokio::select! {
                opened = timeout(Duration::from_secs(10), request::websocket(&server.client, &path, PROTOCOL)) => opened,
                end = self.idle() => return end,
            };
            let why = match opened {
                Ok(Ok(socket)) => {
                    first = false;
                    let since = Instant::now();
                    match self.connection(socket, view).await {
                        Left::End(end) => return end,
                        Left::Lost(why) => {
                            if since.elapsed() > Duration::from_secs(10) {
                                pause = Duration::from_millis(100);
                            }
                            why
                        }
                    }
                }
                Ok(Err(error)) if first || is_final(&error) => {
                    return End::Failed(cannot("open the terminal", error));
                }
                Ok(Err(error)) => Cause::from(error).text,
                Err(_) => "no answer within 10 s".to_owned(),
            };
            self.tell_lost(&why);
            tokio::select! {
                () = sleep(pause) => {}
                end = self.idle() => return end,
            }
            pause = (pause * 2).min(Duration::from_secs(2));
            // A server that came back may have another port.
            if let Ok(Ok(found)) = Server::find(global).await {
                server = found;
            }
        }
    }

    /// Without a connection keys go nowhere, but they can still detach.
    async fn idle(&mut self) -> End {
        loop {
            tokio::select! {
                keys = self.streams.keys.recv() => {
                    let Some(keys) = keys else { return End::Detached };
                    if self.keyboard.feed(&keys).1 == Verdict::Detach {
                        return End::Detached;
                    }
                }
                _ = self.hangup.recv() => return End::Signal(1),
                _ = self.terminate.recv() => return End::Signal(15),
            }
        }
    }

    async fn connection(&mut self, socket: Socket, view: &mut View) -> Left {
        let (mut to, mut from) = socket.split();
        let mut ping = tokio::time::interval(PING_EVERY);
        let mut heard = Instant::now();
        let mut waiting: Option<Frame> = None;
        let screen = self.streams.frames.clone();
        let mut acked = view.at.unwrap_or(0);
        let mut shown = acked;
        if let Some((cols, rows)) = Tty::size()
            && let Err(error) = to.send(frames::resize(cols, rows)).await
        {
            return Left::Lost(error.to_string());
        }
        let left = loop {
            let patience = self.patience;
            let out = tokio::select! {
                keys = self.streams.keys.recv() => {
                    let Some(keys) = keys else { break Left::End(End::Detached) };
                    let (bytes, verdict) = self.keyboard.feed(&keys);
                    self.patience = self.keyboard.waits().then(|| Instant::now() + SEQUENCE_GAP);
                    match (verdict, bytes.is_empty()) {
                        (Verdict::Detach, true) => break Left::End(End::Detached),
                        (Verdict::Detach, false) => {
                            // What was typed before the detach keys still belongs to the agent.
                            let _ = to.send(frames::input(bytes)).await;
                            break Left::End(End::Detached);
                        }
                        (Verdict::Stay, true) => continue,
                        (Verdict::Stay, false) => frames::input(bytes),
                    }
                }
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    self.patience = None;
                    let (bytes, _) = self.keyboard.give_up_waiting();
                    if bytes.is_empty() {
                        continue;
                    }
                    frames::input(bytes)
                }
                permit = screen.reserve(), if waiting.is_some() => {
                    match (permit, waiting.take()) {
                        (Ok(permit), Some(frame)) => permit.send(frame),
                        _ => break Left::End(End::Detached),
                    }
                    continue;
                }
                message = from.next(), if waiting.is_none() => {
                    heard = Instant::now();
                    let message = match message {
                        Some(Ok(message)) => frames::read(message),
                        Some(Err(error)) => break Left::Lost(error.to_string()),
                        None => break Left::Lost("the server closed the connection".into()),
                    };
                    match message.map(|m| self.take(m, view)) {
                        Ok(Taken::Show(frame)) => waiting = Some(frame),
                        Ok(Taken::Nothing) => {}
                        Ok(Taken::Left(left)) => break left,
                        Err(why) => break Left::Lost(why),
                    }
                    continue;
                }
                written = self.streams.written.recv() => match written {
                    Some(Ok(offset)) => {
                        shown = shown.max(offset);
                        if shown < acked + ACK_EVERY {
                            continue;
                        }
                        acked = shown;
                        frames::ack(shown)
                    }
                    Some(Err(_)) | None => break Left::End(End::Detached),
                },
                _ = self.resized.recv() => match Tty::size() {
                    Some((cols, rows)) => frames::resize(cols, rows),
                    None => continue,
                },
                _ = self.hangup.recv() => break Left::End(End::Signal(1)),
                _ = self.terminate.recv() => break Left::End(End::Signal(15)),
                _ = ping.tick() => {
                    if heard.elapsed() > SILENCE && waiting.is_none() {
                        break Left::Lost(format!("the server was silent for {} s", SILENCE.as_secs()));
                    }
                    if shown > acked {
                        acked = shown;
                        let _ = to.feed(frames::ack(shown)).await;
                    }
                    tokio_tungstenite::tungstenite::Message::Ping(bytes::Bytes::new())
                }
            };
            if let Err(error) = to.send(out).await {
                break Left::Lost(error.to_string());
            }
        };
        left.closing(&mut to).await
    }

    /// What a message from the host means for the screen.
    fn take(&mut self, message: FromHost, view: &mut View) -> Taken {
        match message {
            FromHost::Hello { uid, role } => {
                if uid != view.uid {
                    let why = "this agent was deleted, and another one has its name now";
                    return Taken::Left(Left::End(End::Failed(Failure::new(Exit::NotFound, why))));
                }
                let back = std::mem::take(&mut self.told_lost);
                if role == "view" && !back && view.at.is_none() {
                    say("you may watch, not type\r");
                }
                if back { Taken::Show(Frame { bytes: CLEAR_LAST_LINE.to_vec(), ack: None }) } else { Taken::Nothing }
            }
            FromHost::Snapshot { offset, screen } => {
                let mut bytes = make_room(view.at.is_none());
                bytes.extend(screen);
                view.at = Some(offset);
                Taken::Show(Frame { bytes, ack: Some(offset) })
            }
            FromHost::Output { offset, bytes } => {
                view.ended = None;
                let end = offset + bytes.len() as u64;
                let from = view.at.unwrap_or(offset).max(offset);
                if end <= from {
                    return Taken::Nothing;
                }
                view.at = Some(end);
                // What was shown already is not shown twice.
                let skip = usize::try_from(from - offset).expect("less than the length of a frame");
                Taken::Show(Frame { bytes: bytes[skip..].to_vec(), ack: Some(end) })
            }
            FromHost::Exit { how } => {
                view.ended = Some(how);
                Taken::Nothing
            }
            FromHost::Close { code, reason } => Taken::Left(left_by(code, reason, view)),
            FromHost::Other => Taken::Nothing,
        }
    }

    /// Says once, in the last line, that nothing comes any more.
    fn tell_lost(&mut self, why: &str) {
        if std::mem::replace(&mut self.told_lost, true) {
            return;
        }
        let why: String = why.chars().filter(|c| !c.is_control()).take(60).collect();
        let text = format!("regatta: not connected ({why}); trying again, keys are not sent");
        if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
            use std::io::Write;
            let line = format!("\x1b7\x1b[999;1H\x1b[2K\x1b[7m{text}\x1b[0m\x1b8");
            // Nobody can be told on a terminal that takes nothing.
            let _ = std::io::stderr().write_all(line.as_bytes());
        } else {
            say(text);
        }
    }
}

enum Taken {
    Nothing,
    Show(Frame),
    Left(Left),
}

const CLEAR_LAST_LINE: &[u8] = b"\x1b7\x1b[999;1H\x1b[2K\x1b8";

/// The first snapshot must not paint over what the terminal shows: that scrolls up first.
fn make_room(first: bool) -> Vec<u8> {
    let rows = usize::from(Tty::size().map_or(24, |(_, rows)| rows));
    let mut bytes = Vec::new();
    if first {
        bytes.extend(b"\x1b[999;1H");
        bytes.extend(std::iter::repeat_n(b'\n', rows));
    }
    bytes.extend(b"\x1b[0m\x1b[H\x1b[2J");
    bytes
}

/// 1000: all was said. 1001, 1006, 1011 to 1014: the server goes away. Above 4000: the host refuses, and says why.
fn left_by(code: u16, reason: String, view: &View) -> Left {
    match code {
        1000 => Left::End(End::Over),
        4000.. => {
            let exit = if view.ended.is_some() { Exit::Done } else { Exit::Failed };
            Left::End(End::Failed(Failure::new(exit, format!("the host closed the terminal: {reason} ({code})"))))
        }
        _ if reason.is_empty() => Left::Lost(format!("closed with code {code}")),
        _ => Left::Lost(reason),
    }
}

/// Whether trying again is pointless.
fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 401 | 403 | 404 | 410))
}

impl Left {
    /// Says goodbye, so that the host gives the terminal's size back at once.
    async fn closing<S>(self, to: &mut S) -> Left
    where
        S: futures::Sink<tokio_tungstenite::tungstenite::Message> + Unpin,
    {
        if matches!(self, Left::End(_)) {
            // A connection that is broken already needs no goodbye.
            let _ = timeout(Duration::from_millis(500), to.close()).await;
        }
        self
    }
}
