//! One agent's output as a stream that any number of readers follow at any speed: the newest pieces from memory, shared and
//! not copied, everything older from the log. A reader is nothing but an offset, so between the two no byte is lost or
//! seen twice, and a slow reader costs no memory.

use super::log::{Cursor, Piece};
use super::shim_client::Chunk;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The newest output kept for readers who keep up. Whoever falls further behind reads the log.
const RECENT: usize = 256 * 1024;

pub struct Stream {
    agent_dir: PathBuf,
    recent: Mutex<Recent>,
    head: watch::Sender<u64>,
    readers: AtomicUsize,
}

#[derive(Default)]
struct Recent {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

impl Stream {
    pub fn new(agent_dir: PathBuf, head: u64) -> Arc<Stream> {
        let recent = Mutex::new(Recent::default());
        Arc::new(Stream { agent_dir, recent, head: watch::channel(head).0, readers: AtomicUsize::new(0) })
    }

    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Everything before `head` is in the log; what is pushed from now on begins there.
    pub fn resume(&self, head: u64) {
        self.head.send_if_modified(|known| head > std::mem::replace(known, head.max(*known)));
    }

    pub fn push(&self, chunk: Chunk) {
        let end = chunk.end();
        let mut recent = self.recent();
        recent.bytes += chunk.len();
        recent.chunks.push_back(chunk);
        while recent.bytes > RECENT && recent.chunks.len() > 1 {
            recent.drop_oldest();
        }
        drop(recent);
        self.resume(end);
    }

    /// Gives the memory back when the only reader (the screen) has read everything.
    pub fn release(&self, read: u64) {
        if self.readers.load(Ordering::Relaxed) <= 1 {
            let mut recent = self.recent();
            while recent.chunks.front().is_some_and(|chunk| chunk.end() <= read) {
                recent.drop_oldest();
            }
        }
    }

    pub fn reader(self: &Arc<Self>, at: u64) -> Reader {
        self.readers.fetch_add(1, Ordering::Relaxed);
        Reader { stream: self.clone(), at, head: self.head.subscribe(), log: None }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn drop_oldest(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.bytes -= chunk.len();
        }
    }

    /// The piece that holds `at`, from there on; or where the next one after it begins.
    fn find(&self, at: u64) -> Result<Chunk, Option<u64>> {
        let behind = self.chunks.partition_point(|chunk| chunk.end() <= at);
        match self.chunks.get(behind) {
            Some(chunk) if chunk.offset == at => Ok(chunk.clone()),
            Some(chunk) if chunk.offset < at => {
                let skip = usize::try_from(at - chunk.offset).unwrap_or(usize::MAX);
                Ok(Chunk::new(at, &chunk.bytes()[skip..]))
            }
            later => Err(later.map(|chunk| chunk.offset)),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Next {
    Chunk(Chunk),
    /// These bytes are nowhere: trimmed by the budget or never stored.
    Gap {
        from: u64,
        to: u64,
    },
}

pub struct Reader {
    stream: Arc<Stream>,
    at: u64,
    head: watch::Receiver<u64>,
    log: Option<Cursor>,
}

impl Reader {
    pub fn at(&self) -> u64 {
        self.at
    }

    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Jumps: whoever shows a snapshot goes on behind it.
    pub fn seek(&mut self, at: u64) {
        (self.at, self.log) = (at, None);
    }

    /// The next piece; waits for output. May be dropped while it waits: the place moves only when a piece is returned.
    pub async fn next(&mut self) -> io::Result<Next> {
        loop {
            if let Some(next) = self.next_known().await? {
                return Ok(next);
            }
            if self.head.changed().await.is_err() {
                // The sender lives in the stream that we hold.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next piece of what is there already.
    pub async fn next_known(&mut self) -> io::Result<Option<Next>> {
        let head = *self.head.borrow_and_update();
        if self.at >= head {
            return Ok(None);
        }
        let found = self.stream.recent().find(self.at);
        let limit = match found {
            Ok(chunk) => {
                (self.at, self.log) = (chunk.end(), None);
                return Ok(Some(Next::Chunk(chunk)));
            }
            Err(next) => next.unwrap_or(head).min(head),
        };
        let mut cursor = self.log.take().unwrap_or_else(|| Cursor::new(&self.stream.agent_dir, self.at));
        let read = tokio::task::spawn_blocking(move || cursor.read(limit).map(|piece| (piece, cursor)));
        let (piece, cursor) = read.await.map_err(io::Error::other)??;
        self.log = Some(cursor);
        Ok(match piece {
            Piece::Bytes { offset, bytes } => {
                self.at = offset + bytes.len() as u64;
                Some(Next::Chunk(Chunk::new(offset, &bytes)))
            }
            Piece::Gap { from, to } => {
                self.at = to;
                Some(Next::Gap { from, to })
            }
            Piece::End => None,
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stream.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::log::{log_dir, segment_path};
    use proptest::prelude::*;
    use std::io::Write;

    /// Writes as the shim does: first the log, then the push, some of which a slow connection misses.
    async fn follow(writes: Vec<(usize, bool)>, start: u64, segment: usize) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(log_dir(dir.path())).unwrap();
        let total: usize = writes.iter().map(|(n, _)| n).sum();
        let all: Vec<u8> = (0..total).map(|i| (i * 31 + i / 251) as u8).collect();
        let start = start % (total as u64 + 1);
        let stream = Stream::new(dir.path().to_owned(), 0);
        let mut reader = stream.reader(start);
        let path = dir.path().to_owned();
        let writer = {
            let (stream, all) = (stream.clone(), all.clone());
            tokio::spawn(async move {
                let mut at = 0;
                let mut seg = 0;
                for (n, pushed) in writes {
                    if at - seg > segment {
                        seg = at;
                    }
                    let name = segment_path(&path, seg as u64);
                    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(name).unwrap();
                    file.write_all(&all[at..at + n]).unwrap();
                    if pushed {
                        stream.push(Chunk::new(at as u64, &all[at..at + n]));
                    }
                    at += n;
                    if n % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                stream.resume(at as u64);
            })
        };
        let mut got = Vec::new();
        let mut at = start;
        while at < total as u64 {
            match reader.next().await.unwrap() {
                Next::Chunk(chunk) => {
                    assert_eq!(chunk.offset, at);
                    got.extend_from_slice(&chunk.bytes());
                    at = chunk.end();
                    stream.release(at);
                }
                Next::Gap { from, to } => panic!("gap from {from} to {to} in {total}"),
            }
        }
        writer.await.unwrap();
        assert!(got == all[usize::try_from(start).unwrap()..], "bytes differ");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_reader_sees_every_byte_once_wherever_it_starts_and_whatever_was_pushed(
            writes in proptest::collection::vec((0usize..9000, any::<bool>()), 1..60),
            start in any::<u64>(),
            segment in 1usize..30_000,
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(follow(writes, start, segment));
        }
    }
}
