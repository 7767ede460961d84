//! Writes the log: segments, marks in the index, the byte budget. The only writer of all three, and it trusts write(2):
//! what has been written outlives this process, though perhaps not the machine.
//!
//! A disk that is full must not end the session: bytes that cannot be stored still count, and where storing works again
//! a new segment begins at the offset reached, so that the gap shows in the names alone even if the index was lost too.

use crate::wire::ExitRecord;
use crate::wire::log::{EXIT_FILE, Mark, MarkKind, Segment, index_path, log_dir, parse_index, segment_path, segments};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const SEGMENT: u64 = 4 << 20;
const SMALLEST_SEGMENT: u64 = 64 << 10;
/// A time mark for each second with output: enough for `--since` and minute bars, 27 bytes each.
const MARK_EVERY_MS: i64 = 1000;
/// A larger index is rewritten without what the budget has dropped, and with fewer time marks if that is not enough.
const INDEX_LIMIT: u64 = 1 << 20;
/// Between two attempts to write to a disk that refused.
const RETRY_MS: i64 = 250;

/// What the caller should report.
#[derive(Debug, PartialEq, Eq)]
pub enum Trouble {
    Lost(String),
    Resumed { from: u64, to: u64 },
}

pub struct LogWriter {
    dir: PathBuf,
    /// Oldest first; the last one is being written when `open` is there.
    kept: VecDeque<Segment>,
    open: Option<File>,
    head: u64,
    max_bytes: u64,
    index: Option<File>,
    index_len: u64,
    marked_ms: i64,
    gap: Option<Gap>,
}

struct Gap {
    from: u64,
    retry_ms: i64,
}

impl LogWriter {
    /// Goes on where the last epoch ended.
    pub fn open(agent_dir: &Path, max_bytes: u64) -> io::Result<LogWriter> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(log_dir(agent_dir))?;
        let kept: VecDeque<Segment> = segments(agent_dir)?.into();
        let stored = kept.back().map_or(0, Segment::end);
        // After a full disk more may have been counted than stored; an offset is never given out twice.
        let counted = std::fs::read(agent_dir.join(EXIT_FILE))
            .ok()
            .and_then(|text| serde_json::from_slice::<ExitRecord>(&text).ok())
            .map_or(0, |exit| exit.final_offset);
        let mut log = LogWriter {
            dir: agent_dir.to_owned(),
            kept,
            open: None,
            head: stored.max(counted),
            max_bytes,
            index: None,
            index_len: 0,
            marked_ms: 0,
            gap: None,
        };
        log.open_index();
        Ok(log)
    }

    pub fn head(&self) -> u64 {
        self.head
    }

    pub fn first(&self) -> u64 {
        self.kept.front().map_or(self.head, |segment| segment.start)
    }

    /// Appends output. It counts whether or not it could be stored.
    pub fn append(&mut self, bytes: &[u8], now_ms: i64) -> Option<Trouble> {
        if let Some(gap) = &self.gap
            && now_ms < gap.retry_ms
        {
            self.head += bytes.len() as u64;
            return None;
        }
        let at = self.head;
        match self.store(bytes) {
            Ok(()) => {
                let trouble = self.gap.take().map(|gap| {
                    self.mark(gap.from, now_ms, MarkKind::Gap { to: at });
                    Trouble::Resumed { from: gap.from, to: at }
                });
                if now_ms - self.marked_ms >= MARK_EVERY_MS || self.marked_ms > now_ms || trouble.is_some() {
                    self.marked_ms = now_ms;
                    self.mark(at, now_ms, MarkKind::Time);
                }
                self.trim();
                trouble
            }
            Err((stored, error)) => {
                let retry_ms = now_ms + RETRY_MS;
                let trouble = match &mut self.gap {
                    Some(gap) => {
                        gap.retry_ms = retry_ms;
                        None
                    }
                    None => {
                        self.gap = Some(Gap { from: at + stored, retry_ms });
                        Some(Trouble::Lost(format!(
                            "cannot write the log in {}: {error}",
                            log_dir(&self.dir).display()
                        )))
                    }
                };
                self.head = at + bytes.len() as u64;
                trouble
            }
        }
    }

    /// Says something about the present offset. Marks are an aid; one that cannot be written is left out.
    pub fn mark_here(&mut self, now_ms: i64, kind: MarkKind) {
        self.mark(self.head, now_ms, kind);
    }

    /// On failure also how many bytes got through; the segment is closed then.
    fn store(&mut self, bytes: &[u8]) -> Result<(), (u64, io::Error)> {
        if self.open.is_none() || self.kept.back().is_none_or(|last| last.len >= self.segment_size()) {
            self.roll().map_err(|e| (0, e))?;
        }
        let (Some(file), Some(segment)) = (&mut self.open, self.kept.back_mut()) else { return Ok(()) };
        let mut stored = 0;
        let result = loop {
            if stored == bytes.len() {
                break Ok(());
            }
            match file.write(&bytes[stored..]) {
                Ok(0) => break Err(io::Error::from(io::ErrorKind::WriteZero)),
                Ok(n) => stored += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        segment.len += stored as u64;
        self.head += stored as u64;
        if result.is_err() {
            self.open = None;
            if segment.len == 0 {
                // An empty segment would make the next attempt reuse a name further back than the head.
                let _ = std::fs::remove_file(segment_path(&self.dir, segment.start));
                self.kept.pop_back();
            }
        }
        result.map_err(|e| (stored as u64, e))
    }

    fn roll(&mut self) -> io::Result<()> {
        self.open = None;
        let path = segment_path(&self.dir, self.head);
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        if self.kept.back().is_none_or(|last| last.start != self.head) {
            self.kept.push_back(Segment { start: self.head, len: 0 });
        }
        self.open = Some(file);
        Ok(())
    }

    fn segment_size(&self) -> u64 {
        (self.max_bytes / 8).clamp(SMALLEST_SEGMENT, SEGMENT)
    }

    fn trim(&mut self) {
        let mut total: u64 = self.kept.iter().map(|s| s.len).sum();
        while total > self.max_bytes && self.kept.len() > 1 {
            let Some(oldest) = self.kept.pop_front() else { return };
            total -= oldest.len;
            // Should it stay, the next shim finds it and tries again.
            let _ = std::fs::remove_file(segment_path(&self.dir, oldest.start));
        }
    }

    fn open_index(&mut self) {
        let path = index_path(&self.dir);
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        self.index_len = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        self.index = opened.ok();
        let torn = self.index_len > 0 && std::fs::read(&path).is_ok_and(|text| text.last() != Some(&b'\n'));
        if torn && let Some(file) = &mut self.index {
            self.index_len += u64::from(file.write_all(b"\n").is_ok());
        }
    }

    fn mark(&mut self, offset: u64, time: i64, kind: MarkKind) {
        if self.index.is_none() {
            self.open_index();
        }
        let Some(file) = &mut self.index else { return };
        let line = Mark { offset, time, kind }.to_string();
        match file.write_all(line.as_bytes()) {
            Ok(()) => self.index_len += line.len() as u64,
            // Opened again for the next mark, which also ends the torn line.
            Err(_) => self.index = None,
        }
        if self.index_len > INDEX_LIMIT {
            self.compact_index();
        }
    }

    fn compact_index(&mut self) {
        let path = index_path(&self.dir);
        let Ok(text) = std::fs::read(&path) else { return };
        let marks = compacted(parse_index(&text), self.first(), INDEX_LIMIT / 2);
        let lines: String = marks.iter().map(Mark::to_string).collect();
        let draft = path.with_extension("new");
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft);
        if written
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .and_then(|()| std::fs::rename(&draft, &path))
            .is_ok()
        {
            self.open_index();
        } else {
            // No room for a copy: try again only after the index has grown by as much again.
            self.index_len = 0;
        }
    }
}

/// Drops marks of trimmed bytes (but keeps the epoch and size that hold at `first`), then every second time mark from
/// the old end until at most about `limit` bytes remain.
fn compacted(marks: Vec<Mark>, first: u64, limit: u64) -> Vec<Mark> {
    let epoch = marks.iter().rfind(|m| m.offset < first && matches!(m.kind, MarkKind::Epoch(_))).copied();
    let size = marks.iter().rfind(|m| m.offset < first && matches!(m.kind, MarkKind::Size { .. })).copied();
    let mut kept: Vec<Mark> =
        epoch.into_iter().chain(size).chain(marks.into_iter().filter(|m| m.offset >= first)).collect();
    let bytes = |marks: &[Mark]| marks.iter().map(|m| m.to_string().len() as u64).sum::<u64>();
    while bytes(&kept) > limit && kept.len() > 1000 {
        let older = kept.len() * 3 / 4;
        let mut n = 0;
        let mut at = 0;
        kept.retain(|mark| {
            at += 1;
            let thin = at <= older && mark.kind == MarkKind::Time;
            n += usize::from(thin);
            !thin || n % 2 == 0
        });
        if n < 2 {
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(dir: &Path) -> Vec<(u64, Vec<u8>)> {
        segments(dir).unwrap().iter().map(|s| (s.start, std::fs::read(segment_path(dir, s.start)).unwrap())).collect()
    }

    #[test]
    fn offsets_go_on_across_epochs() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), 1 << 20).unwrap();
        log.mark_here(5, MarkKind::Epoch(1));
        assert_eq!(log.append(b"hello", 10), None);
        drop(log);
        let mut log = LogWriter::open(dir.path(), 1 << 20).unwrap();
        assert_eq!((log.first(), log.head()), (0, 5));
        log.mark_here(15, MarkKind::Epoch(2));
        log.append(b" world", 20);
        let bytes: Vec<u8> = stored(dir.path()).into_iter().flat_map(|(_, b)| b).collect();
        assert_eq!(bytes, b"hello world");
        let marks = parse_index(&std::fs::read(index_path(dir.path())).unwrap());
        let epochs: Vec<_> = marks.iter().filter(|m| matches!(m.kind, MarkKind::Epoch(_))).map(|m| m.offset).collect();
        assert_eq!(epochs, [0, 5]);
    }

    #[test]
    fn the_budget_drops_the_oldest_segments_and_never_the_newest() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), 200 << 10).unwrap();
        for i in 0..100u8 {
            log.append(&[i; 10 << 10], i64::from(i));
        }
        assert_eq!(log.head(), 1000 << 10);
        let kept = stored(dir.path());
        assert_eq!(kept[0].0, log.first());
        assert!(log.first() > 0);
        let total: usize = kept.iter().map(|(_, b)| b.len()).sum();
        assert!((100 << 10..=200 << 10).contains(&total), "{total} bytes kept");
        assert_eq!(kept.last().unwrap().1.last(), Some(&99));
    }

    #[test]
    fn a_log_that_cannot_be_written_leaves_a_gap_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = LogWriter::open(dir.path(), 1 << 20).unwrap();
        log.append(b"before", 0);
        // A directory where the next segment should be refuses like a full disk, also for root.
        log.open = None;
        std::fs::create_dir(segment_path(dir.path(), 6)).unwrap();
        assert!(matches!(log.append(b"lost", 1000), Some(Trouble::Lost(_))));
        assert_eq!(log.append(b"too", 1100), None);
        assert_eq!(log.append(b"after", 2000), Some(Trouble::Resumed { from: 6, to: 13 }));
        std::fs::remove_dir(segment_path(dir.path(), 6)).unwrap();
        assert_eq!(stored(dir.path()), [(0, b"before".to_vec()), (13, b"after".to_vec())]);
        let marks = parse_index(&std::fs::read(index_path(dir.path())).unwrap());
        assert!(marks.iter().any(|m| m.offset == 6 && m.kind == MarkKind::Gap { to: 13 }));
        assert_eq!(log.head(), 18);
    }

    #[test]
    fn an_index_that_grows_too_large_keeps_what_holds_at_the_start() {
        let time = |n: u64| Mark { offset: n, time: n as i64, kind: MarkKind::Time };
        let mut marks = vec![
            Mark { offset: 0, time: 0, kind: MarkKind::Epoch(1) },
            Mark { offset: 0, time: 0, kind: MarkKind::Size { cols: 1, rows: 1 } },
            Mark { offset: 5, time: 0, kind: MarkKind::Epoch(2) },
        ];
        marks.extend((0..20_000).map(time));
        let kept = compacted(marks, 100, 50_000);
        assert_eq!(kept[0].kind, MarkKind::Epoch(2));
        assert_eq!(kept[1].kind, MarkKind::Size { cols: 1, rows: 1 });
        assert!(kept[2].offset >= 100 && kept.len() > 1000);
        assert_eq!(kept.last().unwrap().offset, 19_999);
        let bytes: usize = kept.iter().map(|m| m.to_string().len()).sum();
        assert!(bytes <= 50_000, "{bytes}");
    }
}
