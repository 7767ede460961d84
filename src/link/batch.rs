//! The connection as yamux sees it. yamux writes a frame's header and body apart and flushes after every frame; this
//! collects what one wake-up of the driver produces and writes it at once. So a key leaves immediately (nothing waits
//! for a timer), and a flood leaves in pieces of up to 32 KiB. It must not hold bytes when the driver goes to sleep.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What may wait here for the socket: two frames. More moved no more bytes and put a longer flood between a key and the
/// wire (64 KiB tripled the echo beside a flood).
const SOFT_LIMIT: usize = 32 * 1024;

/// yamux stops reading while an answer to a ping cannot be written. Were both sides to do so at once, with both
/// directions full, neither would ever go on. In exactly that state the driver lets a frame more in, up to here; it is
/// reached only by a peer that sends pings and does not read, and that peer may wait.
const HARD_LIMIT: usize = 1024 * 1024;

/// yamux owns one clone, the driver the other; both are used from the driver's task only.
pub struct Batch<IO> {
    inner: Arc<Mutex<Inner<IO>>>,
}

struct Inner<IO> {
    io: IO,
    out: BytesMut,
    limit: usize,
    unflushed: bool,
    write_refused: bool,
    read_asked: bool,
}

impl<IO> Clone for Batch<IO> {
    fn clone(&self) -> Self {
        Batch { inner: self.inner.clone() }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Batch<IO> {
    pub fn new(io: IO) -> Self {
        Batch {
            inner: Arc::new(Mutex::new(Inner {
                io,
                out: BytesMut::new(),
                limit: SOFT_LIMIT,
                unflushed: false,
                write_refused: false,
                read_asked: false,
            })),
        }
    }

    /// Before yamux is polled: forgets what the last pass saw.
    pub fn begin(&self) {
        let mut inner = self.lock();
        inner.write_refused = false;
        inner.read_asked = false;
    }

    /// After yamux was polled: writes what it produced. `Ready(true)` means that yamux should be polled again, because
    /// a write was refused and there is room now.
    pub fn finish(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut inner = self.lock();
        let drained = inner.drain(cx)?;
        let room = inner.out.len() < SOFT_LIMIT;
        if room {
            inner.limit = SOFT_LIMIT;
        }
        if !inner.write_refused {
            return drained.map(|()| Ok(false));
        }
        if room {
            return Poll::Ready(Ok(true));
        }
        if !inner.read_asked && inner.limit < HARD_LIMIT {
            inner.limit = (inner.out.len() + SOFT_LIMIT).min(HARD_LIMIT);
            return Poll::Ready(Ok(true));
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner<IO>> {
        // A panic inside the socket's own code leaves nothing half done here.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Inner<IO> {
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.out.advance(written);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> futures::io::AsyncRead for Batch<IO> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        inner.read_asked = true;
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut inner.io).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> futures::io::AsyncWrite for Batch<IO> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.lock();
        if inner.out.len() >= inner.limit {
            // Registers for the socket's readiness; an error shows up here too.
            if let Poll::Ready(result) = inner.drain(cx) {
                result?;
            }
            if inner.out.len() >= inner.limit {
                inner.write_refused = true;
                return Poll::Pending;
            }
        }
        inner.out.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    /// Deferred: `finish` flushes once for the whole pass.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.drain(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}
