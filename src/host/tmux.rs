//! The tmux servers of this host: at most fifty agents each, because a server slows with every session in it (a command
//! takes 15 µs with one session and 1.4 ms with a thousand). Owns which agent is in which server, and what a session of
//! ours is called. Kills nothing that it did not make: sessions it does not know are reported by `sessions`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tmux_interface::{KillSession, ListPanes, NewSession, RespawnPane, SetOption, TmuxCommand};
use tokio::sync::Mutex as AsyncMutex;

use super::tmux_control::{Control, Invocation, Reply};

/// A dying server takes this many agents with it, not all.
const AGENTS_PER_SERVER: usize = 50;

/// Our own configuration: nothing of the user's, no status line (the pane has the agent's whole size), little history
/// (the log is the history, and 50,000 lines would cost 25 MB a session), and dead panes stay as evidence.
const CONFIGURATION: &str = "\
set -g default-shell /bin/sh
set -g update-environment ''
set -g default-terminal screen-256color
set -g remain-on-exit on
set -g history-limit 500
set -g status off
set -g destroy-unattached off
set -g set-titles off
set -g allow-rename off
set -g automatic-rename off
set -g visual-activity off
set -g bell-action none
set -s escape-time 10
";

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot start tmux server {socket}: {why}")]
    Start { socket: String, why: String },
    #[error("the connection to tmux server {socket} broke; it is made anew with the next command")]
    Lost { socket: String },
    #[error("tmux server {socket} did not answer `{command}` within {seconds} s")]
    Silent { socket: String, command: String, seconds: u64 },
    #[error("tmux server {socket} refused `{command}`: {why}")]
    Refused { socket: String, command: String, why: String },
    #[error("cannot write {path}: {source}")]
    Configuration { path: PathBuf, source: std::io::Error },
}

/// A session found in one of our servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub socket: String,
    pub session: String,
    /// The agent's uid, if the session is one of ours.
    pub uid: Option<String>,
    pub dead: bool,
}

/// What to run in an agent's pane.
#[derive(Clone, Copy, Debug)]
pub struct Pane<'a> {
    pub uid: &'a str,
    /// The agent's name, for people who look with tmux itself.
    pub label: &'a str,
    /// At least two words, so that tmux runs it as it is instead of giving it to a shell.
    pub argv: [&'a str; 3],
    pub cols: u16,
    pub rows: u16,
}

pub struct Tmux {
    invocation: Invocation,
    identity: String,
    servers: Mutex<Servers>,
}

#[derive(Default)]
struct Servers {
    all: BTreeMap<u32, Arc<Server>>,
    /// Which server an agent's session is in.
    places: BTreeMap<String, u32>,
}

struct Server {
    socket: String,
    control: AsyncMutex<Option<Control>>,
}

impl Tmux {
    /// Writes the configuration and finds our servers that are still there.
    pub fn open(identity: &str, home: &Path, version: (u32, u32)) -> Result<Tmux, Error> {
        let configuration = home.join("tmux.conf");
        std::fs::write(&configuration, CONFIGURATION)
            .map_err(|source| Error::Configuration { path: configuration.clone(), source })?;
        Ok(Tmux {
            invocation: Invocation { configuration, client_flags: version >= (3, 2) },
            identity: identity.to_owned(),
            servers: Mutex::default(),
        })
    }

    /// Every session in our servers, and with that where each agent is. Starts no server.
    pub async fn sessions(&self) -> Vec<Found> {
        let mut found = Vec::new();
        for number in self.running() {
            let server = self.server(number);
            let list = ListPanes::new().all().format("#{session_name} #{pane_dead} #{@regatta-uid}").build();
            let lines = match server.run(&self.invocation, list).await {
                Ok(lines) => lines,
                // Its agents are found by their shims, and are Unknown until it answers.
                Err(error) => {
                    tracing::warn!(socket = server.socket, %error, "a tmux server of ours does not answer");
                    continue;
                }
            };
            for line in lines {
                let mut words = line.split(' ');
                let session = words.next().unwrap_or_default().to_owned();
                let dead = words.next() == Some("1");
                let uid = words.next().filter(|uid| !uid.is_empty() && session_name(uid) == session).map(str::to_owned);
                if session == KEEPER {
                    continue;
                }
                if let Some(uid) = &uid {
                    self.lock().places.insert(uid.clone(), number);
                }
                found.push(Found { socket: server.socket.clone(), session, uid, dead });
            }
        }
        found
    }

    /// Makes sure that the agent's session exists and runs `argv` in its pane. The caller knows that nothing of the agent
    /// runs there any more: a pane whose program lives is refused, never killed.
    pub async fn ensure(&self, pane: Pane<'_>) -> Result<(), Error> {
        let (number, known) = self.place(pane.uid);
        let server = self.server(number);
        if known {
            match server.run(&self.invocation, respawn(pane)).await {
                Ok(_) => return Ok(()),
                Err(Error::Refused { why, .. }) if missing(&why) => {}
                Err(error) => return Err(error),
            }
        }
        match server.run_all(&self.invocation, create(pane)).await {
            Err(Error::Refused { why, .. }) if why.contains("duplicate session") => {
                server.run(&self.invocation, respawn(pane)).await.map(drop)
            }
            other => other.map(drop),
        }
    }

    /// Whether the agent's pane is there, and its program dead. `None`: no such session.
    pub async fn pane(&self, uid: &str) -> Result<Option<PaneState>, Error> {
        let Some(number) = self.lock().places.get(uid).copied() else { return Ok(None) };
        if !self.alive(number) {
            return Ok(None);
        }
        let list = ListPanes::new().target(exact(uid)).format("#{pane_dead} #{pane_dead_status}").build();
        match self.server(number).run(&self.invocation, list).await {
            Ok(lines) => Ok(lines.first().map(|line| match line.strip_prefix("1") {
                Some(status) => PaneState::Dead { status: status.trim().to_owned() },
                None => PaneState::Alive,
            })),
            Err(Error::Refused { why, .. }) if missing(&why) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the agent's session, and the server with the last of them.
    pub async fn remove(&self, uid: &str) -> Result<(), Error> {
        let Some(number) = self.lock().places.get(uid).copied() else { return Ok(()) };
        if self.alive(number) {
            let server = self.server(number);
            let kill = KillSession::new().target_session(format!("={}", session_name(uid))).build();
            match server.run(&self.invocation, kill).await {
                Ok(_) => {}
                Err(Error::Refused { why, .. }) if missing(&why) => {}
                Err(error) => return Err(error),
            }
        }
        let empty = {
            let mut servers = self.lock();
            servers.places.remove(uid);
            let empty = !servers.places.values().any(|at| *at == number);
            if empty { servers.all.remove(&number) } else { None }
        };
        if let Some(server) = empty {
            server.end().await;
        }
        Ok(())
    }

    /// How people reach the session with tmux itself: `SOCKET:SESSION`.
    pub fn address(&self, uid: &str) -> Option<String> {
        let number = *self.lock().places.get(uid)?;
        Some(format!("{}:{}", self.socket(number), session_name(uid)))
    }

    fn socket(&self, number: u32) -> String {
        format!("regatta-{}-{number}", self.identity)
    }

    fn server(&self, number: u32) -> Arc<Server> {
        let socket = self.socket(number);
        let fresh = || Arc::new(Server { socket, control: AsyncMutex::default() });
        self.lock().all.entry(number).or_insert_with(fresh).clone()
    }

    /// The server for an agent, and whether the agent already was in it.
    fn place(&self, uid: &str) -> (u32, bool) {
        let mut servers = self.lock();
        if let Some(number) = servers.places.get(uid) {
            return (*number, true);
        }
        let mut load: BTreeMap<u32, usize> = BTreeMap::new();
        for number in servers.places.values() {
            *load.entry(*number).or_default() += 1;
        }
        let number = (0..)
            .find(|number| load.get(number).is_none_or(|agents| *agents < AGENTS_PER_SERVER))
            .expect("there are more numbers than agents");
        servers.places.insert(uid.to_owned(), number);
        (number, false)
    }

    /// The numbers of our servers that answer.
    fn running(&self) -> Vec<u32> {
        let prefix = format!("regatta-{}-", self.identity);
        let Ok(entries) = std::fs::read_dir(socket_directory()) else { return Vec::new() };
        let mut numbers: Vec<u32> = entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.strip_prefix(&prefix)?.parse().ok())
            .filter(|number| self.alive(*number))
            .collect();
        numbers.sort_unstable();
        numbers
    }

    fn alive(&self, number: u32) -> bool {
        std::os::unix::net::UnixStream::connect(socket_directory().join(self.socket(number))).is_ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Servers> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaneState {
    Alive,
    Dead { status: String },
}

impl Server {
    async fn run(&self, invocation: &Invocation, command: TmuxCommand<'_>) -> Result<Vec<String>, Error> {
        self.run_all(invocation, vec![command]).await
    }

    /// Sends the commands in one write and returns the first one's answer; the first refusal counts.
    async fn run_all(&self, invocation: &Invocation, commands: Vec<TmuxCommand<'_>>) -> Result<Vec<String>, Error> {
        let lines: Vec<Vec<String>> =
            commands.iter().map(|c| c.to_vec().into_iter().map(|word| word.into_owned()).collect()).collect();
        let answers = match self.control(invocation).await?.send(&lines).await {
            // The connection broke before these were answered. Said twice they do no harm, so they are said once more.
            Err(Error::Lost { .. }) => self.control(invocation).await?.send(&lines).await?,
            other => other?,
        };
        let mut first = None;
        for (answer, line) in answers.into_iter().zip(&lines) {
            match answer {
                Reply::Done(output) => first = first.or(Some(output)),
                Reply::Refused(why) => {
                    return Err(Error::Refused { socket: self.socket.clone(), command: line.join(" "), why });
                }
            }
        }
        Ok(first.unwrap_or_default())
    }

    /// The standing connection, made anew when it broke. That starts the server if there is none.
    async fn control(&self, invocation: &Invocation) -> Result<Control, Error> {
        let mut slot = self.control.lock().await;
        if let Some(control) = slot.as_ref().filter(|control| control.is_open()) {
            return Ok(control.clone());
        }
        let control = Control::connect(invocation, &self.socket, KEEPER).await?;
        *slot = Some(control.clone());
        Ok(control)
    }

    /// Ends a server that has no agent any more: with its keeper goes its last session.
    async fn end(&self) {
        if let Some(control) = self.control.lock().await.take() {
            let kill = KillSession::new().target_session(format!("={KEEPER}")).build();
            let line = kill.to_vec().into_iter().map(|word| word.into_owned()).collect();
            // The server may go before it answers; there is nothing left to do about it either way.
            if let Err(error) = control.send(&[line]).await {
                tracing::debug!(socket = self.socket, %error, "tmux server ended without an answer");
            }
        }
    }
}

/// The session that a server's control connection is attached to.
const KEEPER: &str = "regatta";

fn session_name(uid: &str) -> String {
    format!("ag-{uid}")
}

/// A target that matches this session only; tmux takes a bare name for a prefix.
fn exact(uid: &str) -> String {
    format!("={}:", session_name(uid))
}

fn missing(why: &str) -> bool {
    why.contains("can't find") || why.contains("no such")
}

fn create(pane: Pane<'_>) -> Vec<TmuxCommand<'_>> {
    let mut new = NewSession::new()
        .detached()
        .session_name(session_name(pane.uid))
        .start_directory("/")
        .width(usize::from(pane.cols))
        .height(usize::from(pane.rows))
        .build();
    new.push_param("--");
    for word in pane.argv {
        new.push_param(word);
    }
    let option = |name, value| SetOption::new().target_pane(exact(pane.uid)).option(name).value(value).build();
    vec![new, option("@regatta-uid", pane.uid), option("@regatta-name", pane.label)]
}

fn respawn(pane: Pane<'_>) -> TmuxCommand<'_> {
    let mut respawn = RespawnPane::new().target_pane(exact(pane.uid)).start_directory("/").build();
    respawn.push_param("--");
    for word in pane.argv {
        respawn.push_param(word);
    }
    respawn
}

/// Where tmux keeps its sockets when TMUX_TMPDIR is unset, as it always is for ours.
pub fn socket_directory() -> PathBuf {
    PathBuf::from(format!("/tmp/tmux-{}", nix::unistd::Uid::current()))
}
