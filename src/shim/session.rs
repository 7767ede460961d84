//! One epoch of an agent, from its start to its exit record: the poll loop and the order in which things happen to a
//! byte. Output goes to the log first, then to the socket and the pane; reports are looked for last.

use super::child::{self, CannotStart, Child};
use super::ending::{Ending, Sight, Step};
use super::events::Events;
use super::exit::{self, Exit};
use super::input::{Input, Offer};
use super::log::{LogWriter, Trouble};
use super::pane::Pane;
use super::peers::{PeerId, Peers};
use super::spec::Claim;
use super::{Refusal, now_ms, signals, tree, tty};
use crate::wire::frame::{FromShim, ToShim};
use crate::wire::log::{EXIT_FILE, MarkKind};
use crate::wire::scan::{Report, STATUS_ANSWER, Scanner, interpret};
use crate::wire::{Event, EventKind, ExitReason, LaunchSpec, Welcome};
use nix::libc;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

/// How far the command may run ahead of tmux before it has to wait, like any program in a terminal.
const PANE_AHEAD: usize = 1 << 20;
/// One read of output at most: large enough for few writes to the log, small enough to leave at once.
const READ: usize = 64 * 1024;
/// A shorter read means that the terminal is empty for now: no second call to learn just that.
const PROBABLY_MORE: usize = 1024;
/// tmux is gone: how long the command may take to end.
const TERMINAL_LOST_GRACE_MS: u32 = 5000;
/// Somebody ended the shim itself with a signal.
const TERMINATED_GRACE_MS: u32 = 10_000;
/// At the end, how long to wait for tmux to show the last lines, and for the host to hear of it.
const PANE_LINGER_MS: i64 = 5000;
const PEERS_LINGER_MS: i64 = 1000;

pub fn run(claim: Claim) -> ExitCode {
    let (Ok(pane_in), Ok(pane_out)) = (
        io::stdin().as_fd().try_clone_to_owned().map(File::from),
        io::stdout().as_fd().try_clone_to_owned().map(File::from),
    ) else {
        return refuse(&Refusal::NoTerminal);
    };
    let Ok(settings) = tty::make_raw(&pane_in) else { return refuse(&Refusal::NoTerminal) };
    let code = match Session::start(&claim, pane_in, pane_out) {
        Ok(mut session) => session.run(),
        Err(cannot) => exit::never_ran(&claim, &cannot),
    };
    tty::restore(io::stdin(), &settings);
    // The socket must not be mistaken for a live shim's.
    let _ = std::fs::remove_file(&claim.spec.socket);
    ExitCode::from(code)
}

fn refuse(refusal: &Refusal) -> ExitCode {
    eprintln!("regatta shim: {refusal}");
    ExitCode::from(125)
}

struct Session {
    dir: PathBuf,
    spec: LaunchSpec,
    signals: File,
    pane: Option<Pane>,
    command: Pid,
    master: File,
    /// Held while the command lives; afterwards the terminal reports its end when everybody else has let go.
    slave: Option<OwnedFd>,
    drained: bool,
    log: LogWriter,
    events: Events,
    scanner: Scanner,
    input: Input,
    peers: Peers,
    ending: Ending,
    exit: Option<Exit>,
    size: (u16, u16),
    started: i64,
    next_step_ms: i64,
    buffer: Vec<u8>,
}

impl Session {
    fn start(claim: &Claim, pane_in: File, pane_out: File) -> Result<Session, CannotStart> {
        let spec = &claim.spec;
        let cannot = |what: &str, e: io::Error| CannotStart {
            message: format!("cannot start the agent: {what}: {e}"),
            code: 126,
        };
        let signals = signals::watch().map_err(|e| cannot("watching signals", e))?;
        tree::adopt_orphans();
        let mut log = LogWriter::open(&claim.dir, spec.log_max_bytes)
            .map_err(|e| cannot(&format!("opening the log in {}", claim.dir.display()), e))?;
        let peers =
            Peers::listen(&spec.socket).map_err(|e| cannot(&format!("listening on {}", spec.socket.display()), e))?;
        for fd in [&pane_in, &pane_out] {
            tty::nonblocking(fd).map_err(|e| cannot("preparing the pane", e))?;
        }
        let size = tty::size(&pane_in).unwrap_or((spec.cols.max(1), spec.rows.max(1)));
        let started = now_ms();
        let Child { pid, master, slave } = child::start(spec, size)?;
        log.mark_here(started, MarkKind::Epoch(spec.epoch));
        log.mark_here(started, MarkKind::Size { cols: size.0, rows: size.1 });
        let mut session = Session {
            dir: claim.dir.clone(),
            spec: LaunchSpec { env: Vec::new(), argv: Vec::new(), ..spec.clone() },
            signals,
            pane: Some(Pane::new(pane_in, pane_out)),
            command: pid,
            master,
            slave: Some(slave),
            drained: false,
            log,
            events: Events::open(&claim.dir),
            scanner: Scanner::default(),
            input: Input::default(),
            peers,
            ending: Ending::default(),
            exit: None,
            size,
            started,
            next_step_ms: 0,
            buffer: vec![0; READ],
        };
        session.report(EventKind::Started, String::new(), started);
        Ok(session)
    }

    fn run(&mut self) -> u8 {
        loop {
            let now = now_ms();
            for event in self.events.release(now, false) {
                self.peers.tell_all(&FromShim::Event(event));
            }
            if self.ending.under_way() && now >= self.next_step_ms && self.step(now) {
                return self.finish();
            }
            self.wait_and_serve();
        }
    }

    /// One turn of the loop: wait for anything, then do what can be done without waiting.
    fn wait_and_serve(&mut self) {
        let now = now_ms();
        let read_output =
            !self.drained && (self.pane.as_ref().is_none_or(|p| p.behind() < PANE_AHEAD) || self.ending.killing(now));
        let mut fds = Vec::with_capacity(8);
        let mut sources = Vec::with_capacity(8);
        let mut add = |source, fd: i32, reads: bool, writes: bool| {
            // A descriptor without interest is left out: its hang-up would wake us without end.
            if reads || writes {
                let events = if reads { libc::POLLIN } else { 0 } | if writes { libc::POLLOUT } else { 0 };
                fds.push(libc::pollfd { fd, events, revents: 0 });
                sources.push(source);
            }
        };
        add(Source::Signals, self.signals.as_raw_fd(), true, false);
        add(Source::Terminal, self.master.as_raw_fd(), read_output, !self.drained && !self.input.is_empty());
        if let Some(pane) = &self.pane {
            add(Source::PaneIn, pane.input.as_raw_fd(), self.input.wants_pane(), false);
            add(Source::PaneOut, pane.output.as_raw_fd(), false, pane.behind() > 0);
        }
        add(Source::Listener, self.peers.listener.as_raw_fd(), true, false);
        for peer in &self.peers.all {
            add(Source::Peer(peer.id), peer.stream.as_raw_fd(), true, peer.wants_to_write());
        }
        if wait(&mut fds, self.timeout(now)).is_err() {
            return;
        }
        let now = now_ms();
        for (source, fd) in sources.into_iter().zip(fds) {
            let ready = fd.revents & (libc::POLLIN | libc::POLLHUP | libc::POLLERR) != 0;
            let writable = fd.revents & libc::POLLOUT != 0;
            match source {
                Source::Signals if ready => self.on_signals(now),
                Source::Terminal => {
                    if writable {
                        self.write_input();
                    }
                    if ready && read_output {
                        self.read_output(now);
                    }
                }
                Source::PaneIn if ready => self.read_pane(now),
                Source::PaneOut if fd.revents != 0 => self.flush_pane(now),
                Source::Listener if ready => self.peers.accept(),
                Source::Peer(id) if fd.revents != 0 => self.serve_peer(id, ready, now),
                Source::Signals | Source::PaneIn | Source::PaneOut | Source::Listener | Source::Peer(_) => {}
            }
        }
        self.peers.remove_broken();
    }

    fn timeout(&self, now: i64) -> Option<i64> {
        let step = self.ending.under_way().then(|| (self.next_step_ms - now).max(0));
        step.into_iter().chain(self.events.due_in(now)).min()
    }

    fn read_output(&mut self, now: i64) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut filled = 0;
        while filled < buffer.len() {
            match self.master.read(&mut buffer[filled..]) {
                Ok(0) => self.drained = self.slave.is_none(),
                Ok(n) => {
                    filled += n;
                    if n >= PROBABLY_MORE {
                        continue;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                // EIO: nobody has the terminal open any more, and it has given everything.
                Err(_) => self.drained = true,
            }
            break;
        }
        if filled > 0 {
            self.deliver(&buffer[..filled], now);
        }
        if self.drained {
            self.next_step_ms = now;
        }
        self.buffer = buffer;
    }

    fn deliver(&mut self, bytes: &[u8], now: i64) {
        let offset = self.log.head();
        let trouble = self.log.append(bytes, now);
        self.peers.push_output(offset, bytes);
        self.show(bytes, now);

        let mut reports = Vec::new();
        self.scanner.feed(bytes, |behind, report| {
            let found = match report {
                Report::Bell => Some((EventKind::Bell, String::new())),
                Report::Osc(osc) => interpret(osc),
            };
            reports.extend(found.map(|(kind, text)| (offset + behind as u64, kind, text)));
        });
        for (offset, kind, text) in reports {
            let recorded = self.report_at(offset, kind, text, now);
            // The pane's answer to a following DA1 has to come through tmux and this very thread: it is later.
            if kind == EventKind::StatusQuery && recorded {
                self.input.type_in(STATUS_ANSWER);
                self.write_input();
            }
        }
        match trouble {
            Some(Trouble::Lost(why)) => self.report(EventKind::LogLost, why, now),
            Some(Trouble::Resumed { from, to }) => {
                self.report(EventKind::LogResumed, format!("bytes {from} to {to} of the output were not kept"), now);
            }
            None => {}
        }
    }

    fn report(&mut self, kind: EventKind, text: String, now: i64) {
        self.report_at(self.log.head(), kind, text, now);
    }

    fn report_at(&mut self, offset: u64, kind: EventKind, text: String, now: i64) -> bool {
        let event = Event { offset, time: now, epoch: self.spec.epoch, kind, text, dropped: 0 };
        let recorded = self.events.record(event);
        if let Some(event) = &recorded {
            self.peers.tell_all(&FromShim::Event(event.clone()));
        }
        recorded.is_some()
    }

    fn show(&mut self, bytes: &[u8], now: i64) {
        let Some(pane) = &mut self.pane else { return };
        if pane.show(bytes).is_err() {
            self.lose_pane(now);
        }
    }

    fn flush_pane(&mut self, now: i64) {
        if self.pane.as_mut().is_some_and(|pane| pane.flush().is_err()) {
            self.lose_pane(now);
        }
    }

    fn read_pane(&mut self, now: i64) {
        let Some(pane) = &mut self.pane else { return };
        let mut bytes = [0; 4096];
        match pane.input.read(&mut bytes) {
            Ok(0) => self.lose_pane(now),
            Ok(n) => {
                self.input.type_in(&bytes[..n]);
                self.write_input();
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.lose_pane(now),
        }
    }

    /// tmux has gone or closed the pane: the end of this epoch, politely.
    fn lose_pane(&mut self, now: i64) {
        if self.pane.take().is_none() {
            return;
        }
        if !self.ending.under_way() {
            self.report(EventKind::TerminalLost, String::new(), now);
        }
        self.end(ExitReason::TerminalLost, TERMINAL_LOST_GRACE_MS, now);
    }

    fn write_input(&mut self) {
        if self.input.write_to(&mut &self.master).is_err() {
            // Nobody will read it any more; the end of the terminal is noticed where it is read.
            self.input = Input::default();
        }
        for (peer, id) in self.input.receipts() {
            if let Some(peer) = self.peers.get(peer) {
                peer.tell(&FromShim::Taken { id, accepted: true });
            }
        }
    }

    fn serve_peer(&mut self, id: PeerId, readable: bool, now: i64) {
        let Some(peer) = self.peers.get(id) else { return };
        peer.flush();
        if readable {
            peer.receive();
        }
        while let Some(request) = self.peers.get(id).and_then(|peer| peer.next_request()) {
            match request {
                ToShim::Hello => {
                    let welcome = FromShim::Welcome(self.welcome());
                    if let Some(peer) = self.peers.get(id) {
                        peer.welcome(welcome);
                    }
                }
                ToShim::Input { id: input, bytes } => self.take_input(id, input, &bytes),
                ToShim::Resize { cols, rows } => self.resize((cols, rows), now),
                ToShim::Signal(signal) => {
                    // No such process is the one failure possible, and Exit says so better.
                    let _ = tree::signal_group_raw(self.command, signal);
                }
                ToShim::Stop { grace_ms } => {
                    self.report(EventKind::Stopping, format!("{grace_ms} ms"), now);
                    self.end(ExitReason::Stopped, grace_ms, now);
                }
            }
        }
    }

    fn welcome(&self) -> Welcome {
        Welcome {
            uid: self.spec.uid.clone(),
            epoch: self.spec.epoch,
            pid: self.command.as_raw().unsigned_abs(),
            shim_pid: std::process::id(),
            started: self.started,
            first: self.log.first(),
            head: self.log.head(),
            cols: self.size.0,
            rows: self.size.1,
        }
    }

    fn take_input(&mut self, peer: PeerId, id: u64, bytes: &[u8]) {
        let accepted = match self.input.offer(peer, id, bytes) {
            Offer::Queued => {
                self.write_input();
                return;
            }
            Offer::Repeated => true,
            Offer::Refused => false,
        };
        if let Some(peer) = self.peers.get(peer) {
            peer.tell(&FromShim::Taken { id, accepted });
        }
    }

    fn resize(&mut self, size: (u16, u16), now: i64) {
        let (cols, rows) = size;
        if size == self.size || cols == 0 || rows == 0 || tty::set_size(&self.master, size).is_err() {
            return;
        }
        self.size = size;
        self.log.mark_here(now, MarkKind::Size { cols, rows });
        self.peers.tell_all(&FromShim::Size { offset: self.log.head(), cols, rows });
    }

    fn on_signals(&mut self, now: i64) {
        for signal in signals::drain(&mut self.signals) {
            match signal {
                Signal::SIGCHLD => self.reap(now),
                Signal::SIGWINCH => {
                    if let Some(size) = self.pane.as_ref().and_then(|pane| tty::size(&pane.input)) {
                        self.resize(size, now);
                    }
                }
                Signal::SIGHUP => self.lose_pane(now),
                _ => self.end(ExitReason::Stopped, TERMINATED_GRACE_MS, now),
            }
        }
    }

    /// The command, and as a subreaper every orphan of the tree.
    fn reap(&mut self, now: i64) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(status @ (WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _))) => {
                    if pid == self.command {
                        self.exit = Some(Exit { status, ended: now, asked: self.ending.asked() });
                        self.slave = None;
                        self.ending.command_exited(now);
                    }
                    self.next_step_ms = now;
                }
                Ok(WaitStatus::StillAlive) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    fn end(&mut self, why: ExitReason, grace_ms: u32, now: i64) {
        self.ending.ask(why, now, grace_ms);
        self.next_step_ms = now;
    }

    /// True when the epoch is over.
    fn step(&mut self, now: i64) -> bool {
        let gone = self.exit.is_some();
        // Only once the command is gone do others decide anything; looking for them reads all of /proc.
        let survivors = if gone { tree::members(&self.spec.uid) } else { Vec::new() };
        let ended = self.exit.as_ref().map_or(now, |exit| exit.ended);
        self.next_step_ms = now + if now - ended < 300 { 20 } else { 100 };
        let sight = Sight { now_ms: now, terminal_drained: self.drained, survivors: !survivors.is_empty() };
        match self.ending.step(&sight) {
            Step::Nothing => {}
            Step::Term if gone => tree::signal_all(&survivors, Signal::SIGTERM),
            Step::Term => {
                tree::signal_groups(self.command, &self.master, Signal::SIGTERM);
                // A stopped process takes the signal only once it goes on.
                tree::signal_groups(self.command, &self.master, Signal::SIGCONT);
            }
            Step::Hup => tree::signal_groups(self.command, &self.master, Signal::SIGHUP),
            Step::Kill => {
                if !gone {
                    tree::signal_groups(self.command, &self.master, Signal::SIGKILL);
                }
                tree::signal_all(&tree::members(&self.spec.uid), Signal::SIGKILL);
            }
            Step::Finish => return true,
        }
        false
    }

    /// Everything is in the log. Leave the record, tell whoever listens, let tmux show the last lines.
    fn finish(&mut self) -> u8 {
        let now = now_ms();
        for event in self.events.release(now, true) {
            self.peers.tell_all(&FromShim::Event(event));
        }
        let ended =
            self.exit.take().unwrap_or(Exit { status: WaitStatus::StillAlive, ended: now, asked: self.ending.asked() });
        let (record, code) = ended.record(self.spec.epoch, self.started, self.log.head());
        let mut unwritten = exit::write(&self.dir, &record).err();
        self.peers.tell_all(&FromShim::Exit(record.clone()));
        let (pane_until, peers_until) = (now + PANE_LINGER_MS, now + PEERS_LINGER_MS);
        loop {
            let now = now_ms();
            let mut fds: Vec<libc::pollfd> = Vec::new();
            if now < peers_until {
                let waiting = self.peers.all.iter().filter(|peer| peer.wants_to_write());
                fds.extend(waiting.map(|peer| libc::pollfd {
                    fd: peer.stream.as_raw_fd(),
                    events: libc::POLLOUT,
                    revents: 0,
                }));
            }
            if let Some(pane) = self.pane.as_ref().filter(|pane| pane.behind() > 0) {
                fds.push(libc::pollfd { fd: pane.output.as_raw_fd(), events: libc::POLLOUT, revents: 0 });
            }
            if (fds.is_empty() && unwritten.is_none()) || now >= pane_until {
                break;
            }
            let _ = wait(&mut fds, Some(100));
            self.peers.all.iter_mut().for_each(super::peers::Peer::flush);
            self.peers.remove_broken();
            if self.pane.as_mut().is_some_and(|pane| pane.flush().is_err()) {
                self.pane = None;
            }
            if unwritten.is_some() {
                unwritten = exit::write(&self.dir, &record).err();
            }
        }
        if let Some(e) = unwritten {
            eprintln!("regatta shim: cannot write {}: {e}\r", self.dir.join(EXIT_FILE).display());
        }
        code
    }
}

#[derive(Clone, Copy)]
enum Source {
    Signals,
    Terminal,
    PaneIn,
    PaneOut,
    Listener,
    Peer(PeerId),
}

/// Waits for any of them; a signal is no error, its pipe is among them.
fn wait(fds: &mut [libc::pollfd], timeout_ms: Option<i64>) -> io::Result<()> {
    let timeout = timeout_ms.map_or(-1, |ms| i32::try_from(ms).unwrap_or(i32::MAX));
    // SAFETY: the pointer and length describe the slice, which lives across the call.
    let n = unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
    if n >= 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
