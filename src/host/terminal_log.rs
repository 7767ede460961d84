//! `GET …/log`: the log as one long answer: raw or as text, from anywhere, to its end or for ever. Nothing is skipped: the
//! reader's own pace is the only flow control, and what a slow one has not taken stays on disk.

use super::log::{Index, bounds, tail_start};
use super::session::{Inner, Terminal};
use super::stream::{Next, Reader};
use super::text::PlainText;
use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use bytes::Bytes;
use serde::Deserialize;
use std::io;
use std::sync::Arc;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Query {
    from: Option<u64>,
    tail: Option<u64>,
    /// RFC 3339; the first byte written then or later.
    since: Option<String>,
    follow: bool,
    text: bool,
    epoch: Option<u64>,
    timestamps: bool,
}

/// What the query asks for and cannot be had: outside message.
pub enum Refusal {
    Invalid(String),
    NotFound(String),
    Failed(String),
}

pub async fn answer(terminal: &Terminal, query: Query) -> Result<Response<Body>, Refusal> {
    let inner = terminal.inner().clone();
    let place = {
        let inner = inner.clone();
        tokio::task::spawn_blocking(move || locate(&inner, &query).map(|range| (range, query)))
    };
    let (range, query) = place.await.map_err(|e| Refusal::Failed(format!("cannot read the log: {e}")))??;
    let reader = inner.stream.reader(range.from);
    let state = State {
        writer: Writer { plain: query.text.then(PlainText::default), stamps: query.timestamps, at_line_start: true },
        index: Index::load(&inner.agent_dir),
        until: range.until,
        follow: query.follow && range.until.is_none(),
        reader,
        inner,
        done: false,
    };
    let body = Body::from_stream(futures::stream::try_unfold(state, State::next));
    let kind = if query.text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
    Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, kind)
        .header(header::CACHE_CONTROL, "no-store")
        .header("x-regatta-from", range.from)
        .header("x-regatta-first", range.first)
        .header("x-regatta-head", range.head)
        .body(body)
        .map_err(|e| Refusal::Failed(e.to_string()))
}

struct Range {
    from: u64,
    until: Option<u64>,
    first: u64,
    head: u64,
}

fn locate(inner: &Inner, query: &Query) -> Result<Range, Refusal> {
    let failed = |e: io::Error| Refusal::Failed(format!("cannot read the log of agent {}: {e}", inner.uid));
    let head = inner.stream.head();
    let first = bounds(&inner.agent_dir).map_err(failed)?.0.min(head);
    let index = Index::load(&inner.agent_dir);
    let (mut from, mut until) = (first, None);
    if let Some(epoch) = query.epoch {
        let (start, end) = index.epoch(epoch).ok_or_else(|| {
            Refusal::NotFound(format!("the log has no epoch {epoch}; it may be older than what is kept"))
        })?;
        (from, until) = (start.max(first), end);
    }
    if let Some(since) = &query.since {
        let time: jiff::Timestamp =
            since.parse().map_err(|e| Refusal::Invalid(format!("since={since:?} is not an RFC 3339 time: {e}")))?;
        from = from.max(index.offset_since(time.as_millisecond()).unwrap_or(head));
    }
    if let Some(tail) = query.tail {
        from = from.max(tail_start(&inner.agent_dir, until.unwrap_or(head), tail).map_err(failed)?);
    }
    if let Some(wanted) = query.from {
        if wanted > head {
            return Err(Refusal::Invalid(format!("from={wanted} lies behind the end of the log, {head}")));
        }
        from = from.max(wanted);
    }
    Ok(Range { from, until, first, head })
}

struct State {
    inner: Arc<Inner>,
    reader: Reader,
    index: Index,
    until: Option<u64>,
    follow: bool,
    writer: Writer,
    done: bool,
}

impl State {
    async fn next(mut self) -> io::Result<Option<(Bytes, State)>> {
        while !self.done {
            let next = if self.follow { Some(self.reader.next().await?) } else { self.reader.next_known().await? };
            let out = match next {
                Some(Next::Chunk(chunk)) => {
                    let mut bytes = chunk.bytes();
                    if let Some(until) = self.until
                        && chunk.end() >= until
                    {
                        bytes.truncate(usize::try_from(until.saturating_sub(chunk.offset)).unwrap_or(0));
                        self.done = true;
                    }
                    if self.writer.stamps
                        && self.index.time_at(chunk.end()).is_none_or(|t| t < super::session::now_ms() - 2000)
                    {
                        self.index = Index::load(&self.inner.agent_dir);
                    }
                    self.writer.write(chunk.offset, bytes, &self.index)
                }
                Some(Next::Gap { from: _, to }) => {
                    self.done = self.until.is_some_and(|until| to >= until);
                    Bytes::new()
                }
                None => {
                    self.done = true;
                    Bytes::new()
                }
            };
            if self.done
                && let Some(rest) = self.writer.plain.as_mut().and_then(PlainText::rest)
            {
                return Ok(Some(([out, format!("{rest}\n").into()].concat().into(), self)));
            }
            if !out.is_empty() {
                return Ok(Some((out, self)));
            }
        }
        Ok(None)
    }
}

/// Bytes as asked for: as they are, stripped, with times.
struct Writer {
    plain: Option<PlainText>,
    stamps: bool,
    at_line_start: bool,
}

impl Writer {
    fn write(&mut self, offset: u64, bytes: Bytes, index: &Index) -> Bytes {
        if !self.stamps {
            return match &mut self.plain {
                None => bytes,
                Some(plain) => plain.feed(&bytes).into_iter().flat_map(|line| (line + "\n").into_bytes()).collect(),
            };
        }
        let mut out = Vec::new();
        let mut at = offset;
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            match &mut self.plain {
                Some(plain) => {
                    for text in plain.feed(line) {
                        out.extend_from_slice(stamp(index, at).as_bytes());
                        out.extend_from_slice(text.as_bytes());
                        out.push(b'\n');
                    }
                }
                None => {
                    if self.at_line_start {
                        out.extend_from_slice(stamp(index, at).as_bytes());
                    }
                    out.extend_from_slice(line);
                    self.at_line_start = line.ends_with(b"\n");
                }
            }
            at += line.len() as u64;
        }
        out.into()
    }
}

/// To the second, which is what the index knows.
fn stamp(index: &Index, offset: u64) -> String {
    let time = index.time_at(offset).and_then(|ms| jiff::Timestamp::from_second(ms.div_euclid(1000)).ok());
    time.map_or_else(|| "- ".to_owned(), |time| format!("{time} "))
}
