//! The host's end of a shim's socket. Writes go straight from the caller to the socket; output comes as shared buffers
//! that already have the form viewers get. Knows nothing of viewers, logs or screens.

use crate::wire::frame::{self, FrameError, HEADER, MAX_INPUT, ToShim, kind};
use crate::wire::{Event, ExitRecord, Welcome};
use bytes::{Buf, Bytes, BytesMut};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

/// A shim answers at once or not at all: it is one poll loop that never waits.
const WELCOME_WITHIN: Duration = Duration::from_secs(5);
/// A small first buffer for keystrokes, a large one while output pours.
const SMALL_READ: usize = 4 * 1024;
const LARGE_READ: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot reach the shim at {path}: {source}")]
    Connect { path: PathBuf, source: io::Error },
    #[error("the shim at {path} accepted the connection but did not answer within {WELCOME_WITHIN:?}")]
    Silent { path: PathBuf },
    #[error("lost the connection to the shim: {0}")]
    Lost(#[from] io::Error),
    #[error("the shim sent something that is no frame: {0}")]
    Frame(#[from] FrameError),
    #[error("the shim ended the connection before it had said who it is")]
    NoWelcome,
    #[error("the shim at {path} runs another agent, {uid}")]
    Stranger { path: PathBuf, uid: String },
    #[error("the agent has no shim: it is not running")]
    NotConnected,
    #[error("the command is not reading its input, and 1 MiB is waiting for it already")]
    InputFull,
    #[error("the shim went away before it had passed on the input")]
    InputUnknown,
}

/// A piece of output in the form it travels in: eight bytes of offset (big endian), then the bytes.
#[derive(Clone, Debug)]
pub struct Chunk {
    pub offset: u64,
    framed: Bytes,
}

impl Chunk {
    pub fn new(offset: u64, bytes: &[u8]) -> Chunk {
        let mut framed = BytesMut::with_capacity(8 + bytes.len());
        framed.extend_from_slice(&offset.to_be_bytes());
        framed.extend_from_slice(bytes);
        Chunk { offset, framed: framed.freeze() }
    }

    pub fn bytes(&self) -> Bytes {
        self.framed.slice(8..)
    }

    pub fn framed(&self) -> Bytes {
        self.framed.clone()
    }

    pub fn end(&self) -> u64 {
        self.offset + self.len() as u64
    }

    pub fn len(&self) -> usize {
        self.framed.len() - 8
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a shim says.
#[derive(Clone, Debug)]
pub enum FromShim {
    /// After a Hello: output is pushed from `head` on.
    Welcome(Welcome),
    Output(Chunk),
    Event(Event),
    /// Nothing from `head` on has been pushed: read the log and say Hello again.
    Behind {
        head: u64,
    },
    Size {
        offset: u64,
        cols: u16,
        rows: u16,
    },
    Exit(ExitRecord),
}

type Receipts = Arc<Mutex<HashMap<u64, oneshot::Sender<bool>>>>;

pub struct ShimClient {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    receipts: Receipts,
}

/// The reading half. Whoever has it decides the pace; when it is too slow the shim says Behind.
pub struct Incoming {
    reader: OwnedReadHalf,
    buffer: BytesMut,
    next_read: usize,
    receipts: Receipts,
}

impl ShimClient {
    /// Connects and says Hello; output is pushed from the Welcome's `head` on.
    pub async fn connect(socket: &Path) -> Result<(ShimClient, Incoming, Welcome), Error> {
        let path = || socket.to_owned();
        let stream = UnixStream::connect(socket).await.map_err(|source| Error::Connect { path: path(), source })?;
        let (reader, writer) = stream.into_split();
        let receipts = Receipts::default();
        let client = ShimClient { writer: tokio::sync::Mutex::new(writer), receipts: receipts.clone() };
        let mut incoming = Incoming { reader, buffer: BytesMut::new(), next_read: SMALL_READ, receipts };
        client.hello().await?;
        let welcome = tokio::time::timeout(WELCOME_WITHIN, async {
            loop {
                match incoming.next().await? {
                    Some(FromShim::Welcome(welcome)) => return Ok(welcome),
                    // Events go to everybody who is connected, also before the answer.
                    Some(FromShim::Event(_) | FromShim::Size { .. }) => {}
                    Some(FromShim::Output(_) | FromShim::Behind { .. } | FromShim::Exit(_)) | None => {
                        return Err(Error::NoWelcome);
                    }
                }
            }
        });
        let welcome = welcome.await.map_err(|_| Error::Silent { path: path() })??;
        Ok((client, incoming, welcome))
    }

    /// Asks for output to be pushed (again).
    pub async fn hello(&self) -> Result<(), Error> {
        self.send(&[ToShim::Hello]).await
    }

    /// Types without asking for a receipt: the path of a keystroke.
    pub async fn input(&self, bytes: &[u8]) -> Result<(), Error> {
        let pieces: Vec<ToShim> =
            bytes.chunks(MAX_INPUT).map(|piece| ToShim::Input { id: 0, bytes: piece.to_vec() }).collect();
        self.send(&pieces).await
    }

    /// Types once: the same `id` (not zero) again does nothing. Returns when the bytes are in the command's terminal.
    pub async fn deliver(&self, id: u64, bytes: &[u8]) -> Result<(), Error> {
        let pieces = bytes.chunks(MAX_INPUT).enumerate();
        for (n, piece) in pieces {
            // Each piece is remembered by itself, so that a repetition continues where the first attempt ended.
            let id = id.wrapping_add(n as u64).max(1);
            let (sender, receipt) = oneshot::channel();
            self.receipts.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
            self.send(&[ToShim::Input { id, bytes: piece.to_vec() }]).await?;
            match receipt.await {
                Ok(true) => {}
                Ok(false) => return Err(Error::InputFull),
                Err(_) => return Err(Error::InputUnknown),
            }
        }
        Ok(())
    }

    pub async fn resize(&self, cols: u16, rows: u16) -> Result<(), Error> {
        self.send(&[ToShim::Resize { cols, rows }]).await
    }

    pub async fn signal(&self, signal: i32) -> Result<(), Error> {
        self.send(&[ToShim::Signal(signal)]).await
    }

    /// TERM, then HUP, and after `grace` KILL for the whole tree. The Exit record says how it went.
    pub async fn stop(&self, grace: Duration) -> Result<(), Error> {
        let grace_ms = u32::try_from(grace.as_millis()).unwrap_or(u32::MAX);
        self.send(&[ToShim::Stop { grace_ms }]).await
    }

    async fn send(&self, frames: &[ToShim]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| frame.encode(&mut bytes));
        Ok(self.writer.lock().await.write_all(&bytes).await?)
    }
}

impl Incoming {
    /// The next thing the shim says; `None` when it has closed the connection.
    pub async fn next(&mut self) -> Result<Option<FromShim>, Error> {
        loop {
            if let Some(heard) = self.take_frame()? {
                return Ok(Some(heard));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<FromShim>, Error> {
        while let Some((kind, len)) = frame::parse_header(&self.buffer)? {
            if self.buffer.len() < HEADER + len {
                self.buffer.reserve(HEADER + len - self.buffer.len());
                return Ok(None);
            }
            self.buffer.advance(HEADER);
            let payload = self.buffer.split_to(len).freeze();
            if kind == kind::OUTPUT {
                let Some(offset) = payload.first_chunk::<8>().map(|b| u64::from_be_bytes(*b)) else {
                    return Err(FrameError::Malformed { kind, why: "no offset".to_owned() }.into());
                };
                return Ok(Some(FromShim::Output(Chunk { offset, framed: payload })));
            }
            return Ok(Some(match frame::FromShim::parse(kind, &payload)? {
                frame::FromShim::Taken { id, accepted } => {
                    let waiting = self.receipts.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                    if let Some(waiting) = waiting {
                        // Whoever asked may have given up.
                        let _ = waiting.send(accepted);
                    }
                    continue;
                }
                frame::FromShim::Welcome(welcome) => FromShim::Welcome(welcome),
                frame::FromShim::Output { offset, bytes } => FromShim::Output(Chunk::new(offset, &bytes)),
                frame::FromShim::Event(event) => FromShim::Event(event),
                frame::FromShim::Behind { head } => FromShim::Behind { head },
                frame::FromShim::Size { offset, cols, rows } => FromShim::Size { offset, cols, rows },
                frame::FromShim::Exit(record) => FromShim::Exit(record),
            }));
        }
        Ok(None)
    }

    /// False at the end of the stream. An idle connection holds no buffer.
    async fn fill(&mut self) -> Result<bool, Error> {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
        loop {
            self.reader.readable().await?;
            self.buffer.reserve(self.next_read);
            let room = self.buffer.capacity() - self.buffer.len();
            match self.reader.try_read_buf(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(n) => {
                    self.next_read = if n >= room.min(LARGE_READ) { LARGE_READ } else { SMALL_READ };
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // Nobody will hear a receipt any more.
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
