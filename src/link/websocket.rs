//! A WebSocket as a byte stream, so that a link can run over it: binary messages carry the bytes, their borders mean
//! nothing. It must not interpret the bytes; text messages are a protocol error.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The largest message we send. `batch` collects about this much.
const MESSAGE: usize = 64 * 1024;

/// What a link needs of a connection over axum's WebSocket (the gateway's side).
pub fn accepted(socket: axum::extract::ws::WebSocket) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    Carrier::new(socket)
}

/// The same over a dialled WebSocket (a host's side).
pub fn dialled<S>(socket: tokio_tungstenite::WebSocketStream<S>) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    Carrier::new(socket)
}

/// The limits a side sets before it accepts a link: small buffers for an idle link, and no message larger than we send.
pub fn limits(upgrade: axum::extract::ws::WebSocketUpgrade) -> axum::extract::ws::WebSocketUpgrade {
    upgrade.read_buffer_size(16 * 1024).write_buffer_size(0).max_message_size(16 * MESSAGE).max_frame_size(16 * MESSAGE)
}

/// The same limits for the side that dials.
pub fn dial_config() -> tokio_tungstenite::tungstenite::protocol::WebSocketConfig {
    tokio_tungstenite::tungstenite::protocol::WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(0)
        .max_message_size(Some(16 * MESSAGE))
        .max_frame_size(Some(16 * MESSAGE))
}

/// What the two libraries' message types have in common.
trait Message {
    fn binary(data: Bytes) -> Self;
    fn content(self) -> Content;
}

enum Content {
    Data(Bytes),
    /// Ping, pong: the library answers them by itself.
    Control,
    Close,
    Text,
}

impl Message for axum::extract::ws::Message {
    fn binary(data: Bytes) -> Self {
        Self::Binary(data)
    }

    fn content(self) -> Content {
        match self {
            Self::Binary(data) => Content::Data(data),
            Self::Ping(_) | Self::Pong(_) => Content::Control,
            Self::Close(_) => Content::Close,
            Self::Text(_) => Content::Text,
        }
    }
}

impl Message for tokio_tungstenite::tungstenite::Message {
    fn binary(data: Bytes) -> Self {
        Self::Binary(data)
    }

    fn content(self) -> Content {
        match self {
            Self::Binary(data) => Content::Data(data),
            Self::Ping(_) | Self::Pong(_) | Self::Frame(_) => Content::Control,
            Self::Close(_) => Content::Close,
            Self::Text(_) => Content::Text,
        }
    }
}

struct Carrier<S> {
    socket: S,
    /// What is left of the message being read.
    rest: Bytes,
}

impl<S> Carrier<S> {
    fn new(socket: S) -> Self {
        Carrier { socket, rest: Bytes::new() }
    }
}

impl<S, M, E> AsyncRead for Carrier<S>
where
    S: Stream<Item = Result<M, E>> + Unpin,
    M: Message,
    E: std::error::Error + Send + Sync + 'static,
{
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // An empty message must not look like the end.
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(message)) => match message.content() {
                    Content::Data(data) => self.rest = data,
                    Content::Control => {}
                    Content::Close => return Poll::Ready(Ok(())),
                    Content::Text => {
                        let reason = "a text message where a link's bytes were expected";
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, reason)));
                    }
                },
            }
        }
        let length = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..length]);
        self.rest.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S, M, E> AsyncWrite for Carrier<S>
where
    S: Sink<M, Error = E> + Stream<Item = Result<M, E>> + Unpin,
    M: Message,
    E: std::error::Error + Send + Sync + 'static,
{
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io::Error::other)?;
        let length = buf.len().min(MESSAGE);
        let message = M::binary(Bytes::copy_from_slice(&buf[..length]));
        Pin::new(&mut self.socket).start_send(message).map_err(io::Error::other)?;
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io::Error::other)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx).map_err(io::Error::other)
    }
}
