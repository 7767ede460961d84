//! Connections on the shim's socket: the host, or two of them for a moment while one replaces the other. A connection
//! that does not read is told that it is behind and costs no more than its limit; it never slows anybody else.

use crate::wire::frame::{Decoder, FromShim, ToShim, output_header};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

pub type PeerId = u64;

/// What may wait in memory for one connection before it is declared behind.
const OUTPUT_LIMIT: usize = 256 * 1024;
/// Even the small frames stop here: whoever reads nothing at all is not there.
const ABANDON_LIMIT: usize = 1 << 20;
const MAX_PEERS: usize = 16;

pub struct Peer {
    pub id: PeerId,
    pub stream: UnixStream,
    incoming: Decoder,
    outgoing: Vec<u8>,
    sent: usize,
    pushing: bool,
    broken: bool,
}

pub struct Peers {
    pub listener: UnixListener,
    pub all: Vec<Peer>,
    next: PeerId,
}

impl Peers {
    /// Takes over the path: the lock on the agent's directory says that no other shim is using it.
    pub fn listen(path: &Path) -> io::Result<Peers> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        // Nobody else may connect, not even in the moment before a chmod could act.
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
        let listener = UnixListener::bind(path);
        nix::sys::stat::umask(before);
        let listener = listener?;
        listener.set_nonblocking(true)?;
        Ok(Peers { listener, all: Vec::new(), next: 1 })
    }

    pub fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if self.all.len() < MAX_PEERS && stream.set_nonblocking(true).is_ok() {
                let id = self.next;
                self.next += 1;
                let (incoming, outgoing) = (Decoder::default(), Vec::new());
                self.all.push(Peer { id, stream, incoming, outgoing, sent: 0, pushing: false, broken: false });
            }
        }
    }

    pub fn get(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.all.iter_mut().find(|peer| peer.id == id)
    }

    pub fn push_output(&mut self, offset: u64, bytes: &[u8]) {
        for peer in &mut self.all {
            peer.push_output(offset, bytes);
        }
    }

    pub fn tell_all(&mut self, frame: &FromShim) {
        for peer in &mut self.all {
            peer.tell(frame);
        }
    }

    pub fn remove_broken(&mut self) {
        self.all.retain(|peer| !peer.broken);
    }
}

impl Peer {
    pub fn wants_to_write(&self) -> bool {
        self.sent < self.outgoing.len()
    }

    /// The next whole request, `None` when there is none for now. Whoever talks nonsense is disconnected.
    pub fn next_request(&mut self) -> Option<ToShim> {
        let parsed = self
            .incoming
            .next_frame()
            .and_then(|frame| frame.map(|(kind, payload)| ToShim::parse(kind, payload)).transpose());
        parsed.unwrap_or_else(|_| {
            self.broken = true;
            None
        })
    }

    pub fn receive(&mut self) {
        let mut bytes = [0; 8 * 1024];
        // A few pieces at a time: one talker must not keep everybody else waiting.
        for _ in 0..8 {
            match self.stream.read(&mut bytes) {
                Ok(0) => self.broken = true,
                Ok(n) => {
                    self.incoming.push(&bytes[..n]);
                    if n == bytes.len() {
                        continue;
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => self.broken = true,
            }
            return;
        }
    }

    /// From now on everything from `welcome.head` is pushed.
    pub fn welcome(&mut self, welcome: FromShim) {
        self.pushing = true;
        self.tell(&welcome);
    }

    pub fn tell(&mut self, frame: &FromShim) {
        if self.outgoing.len() - self.sent > ABANDON_LIMIT {
            self.broken = true;
            return;
        }
        frame.encode(&mut self.outgoing);
        self.flush();
    }

    fn push_output(&mut self, offset: u64, bytes: &[u8]) {
        if !self.pushing || self.broken {
            return;
        }
        if self.wants_to_write() {
            self.flush();
        }
        if self.outgoing.len() - self.sent > OUTPUT_LIMIT {
            self.pushing = false;
            self.tell(&FromShim::Behind { head: offset });
            return;
        }
        let header = output_header(offset, bytes.len());
        let mut done = 0;
        if !self.wants_to_write() {
            match self.stream.write_vectored(&[IoSlice::new(&header), IoSlice::new(bytes)]) {
                Ok(n) => done = n,
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(_) => self.broken = true,
            }
        }
        if done < header.len() {
            self.outgoing.extend_from_slice(&header[done..]);
            self.outgoing.extend_from_slice(bytes);
        } else {
            self.outgoing.extend_from_slice(&bytes[done - header.len()..]);
        }
    }

    pub fn flush(&mut self) {
        while self.wants_to_write() && !self.broken {
            match self.stream.write(&self.outgoing[self.sent..]) {
                Ok(0) => self.broken = true,
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.broken = true,
            }
        }
        if !self.wants_to_write() {
            self.outgoing.clear();
            self.outgoing.shrink_to(4096);
            self.sent = 0;
        } else if self.sent > 64 * 1024 {
            self.outgoing.drain(..self.sent);
            self.sent = 0;
        }
    }
}
