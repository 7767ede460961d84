//! Reads an agent's log: cursors over the segments, what the index says about offsets, and the checkpoints, which are
//! the only part that the host writes. Everything here blocks on the file system; async callers use a blocking thread.

use crate::wire::log::{
    CHECKPOINTS_FILE, Mark, MarkKind, Segment, index_path, log_dir, parse_index, segment_path, segments,
};
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// One read: large enough for throughput, small enough that a slow reader holds little.
pub const PIECE: usize = 64 * 1024;

/// Where the log begins and ends on disk.
pub fn bounds(agent_dir: &Path) -> io::Result<(u64, u64)> {
    let all = segments(agent_dir)?;
    Ok((all.first().map_or(0, |s| s.start), all.last().map_or(0, Segment::end)))
}

/// Columns and rows that hold from an offset on.
pub type SizeFrom = (u64, (u16, u16));

/// What a cursor finds at its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Bytes {
        offset: u64,
        bytes: Bytes,
    },
    /// These bytes are not there: trimmed by the budget, or never stored. The cursor stands behind them now.
    Gap {
        from: u64,
        to: u64,
    },
    /// Nothing before the limit.
    End,
}

/// A place in the log. Holds one file open, so that the budget cannot take a segment away under a slow reader.
pub struct Cursor {
    agent_dir: PathBuf,
    at: u64,
    open: Option<(u64, File)>,
}

impl Cursor {
    pub fn new(agent_dir: &Path, at: u64) -> Cursor {
        Cursor { agent_dir: agent_dir.to_owned(), at, open: None }
    }

    pub fn at(&self) -> u64 {
        self.at
    }

    /// Reads on, never beyond `limit`.
    pub fn read(&mut self, limit: u64) -> io::Result<Piece> {
        loop {
            if self.at >= limit {
                return Ok(Piece::End);
            }
            if let Some((start, file)) = &self.open {
                let want = usize::try_from(limit - self.at).unwrap_or(PIECE).min(PIECE);
                let mut buffer = vec![0; want];
                let n = file.read_at(&mut buffer, self.at - start)?;
                if n > 0 {
                    buffer.truncate(n);
                    let offset = self.at;
                    self.at += n as u64;
                    return Ok(Piece::Bytes { offset, bytes: buffer.into() });
                }
                self.open = None;
            }
            let all = segments(&self.agent_dir)?;
            if let Some(segment) = all.iter().find(|s| s.start <= self.at && self.at < s.end()) {
                match File::open(segment_path(&self.agent_dir, segment.start)) {
                    Ok(file) => self.open = Some((segment.start, file)),
                    // Trimmed in this moment: look again, there are others behind it.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
                continue;
            }
            let from = self.at;
            let next = all.iter().find(|s| s.start > from).map_or(limit, |s| s.start);
            self.at = next.min(limit);
            return Ok(Piece::Gap { from, to: self.at });
        }
    }
}

/// The offset from which `lines` lines remain until `head`; an unfinished last line counts as one.
pub fn tail_start(agent_dir: &Path, head: u64, lines: u64) -> io::Result<u64> {
    let mut wanted = lines;
    let mut last = true;
    if lines == 0 {
        return Ok(head);
    }
    let mut upper = head;
    for segment in segments(agent_dir)?.iter().rev() {
        let mut end = segment.end().min(upper);
        if end <= segment.start {
            continue;
        }
        let file = match File::open(segment_path(agent_dir, segment.start)) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(upper),
            Err(e) => return Err(e),
        };
        while end > segment.start {
            let begin = end.saturating_sub(PIECE as u64).max(segment.start);
            let mut block = vec![0; usize::try_from(end - begin).unwrap_or(PIECE)];
            file.read_exact_at(&mut block, begin - segment.start)?;
            for (i, _) in block.iter().enumerate().rev().filter(|(_, b)| **b == b'\n') {
                let behind = begin + i as u64 + 1;
                // The newline that ends the last line begins none.
                if std::mem::take(&mut last) && behind == head {
                    continue;
                }
                wanted -= 1;
                if wanted == 0 {
                    return Ok(behind);
                }
            }
            last = false;
            end = begin;
        }
        upper = segment.start;
    }
    Ok(upper)
}

/// The index as it is now. One that is missing or damaged makes times and sizes unknown, never the bytes.
pub struct Index(Vec<Mark>);

impl Index {
    pub fn load(agent_dir: &Path) -> Index {
        Index(std::fs::read(index_path(agent_dir)).map(|text| parse_index(&text)).unwrap_or_default())
    }

    /// When the byte at `offset` was written, to the second.
    pub fn time_at(&self, offset: u64) -> Option<i64> {
        self.0
            .iter()
            .rfind(|m| m.offset <= offset && matches!(m.kind, MarkKind::Time | MarkKind::Epoch(_)))
            .map(|m| m.time)
    }

    /// The first offset written at `time` or later.
    pub fn offset_since(&self, time: i64) -> Option<u64> {
        self.0.iter().find(|m| m.time >= time && m.kind == MarkKind::Time).map(|m| m.offset)
    }

    /// Start and end (exclusive, none for the last one) of an epoch.
    pub fn epoch(&self, wanted: u64) -> Option<(u64, Option<u64>)> {
        let mut epochs = self.0.iter().filter_map(|m| match m.kind {
            MarkKind::Epoch(epoch) => Some((epoch, m.offset)),
            MarkKind::Time | MarkKind::Size { .. } | MarkKind::Gap { .. } => None,
        });
        let (_, start) = epochs.by_ref().find(|(epoch, _)| *epoch == wanted)?;
        Some((start, epochs.next().map(|(_, offset)| offset)))
    }

    /// Sizes that begin behind `after`, in order; together with the size that holds there.
    pub fn sizes(&self, after: u64) -> (Option<(u16, u16)>, Vec<SizeFrom>) {
        let mut holds = None;
        let mut later = Vec::new();
        for mark in &self.0 {
            if let MarkKind::Size { cols, rows } = mark.kind {
                if mark.offset <= after {
                    holds = Some((cols, rows));
                } else {
                    later.push((mark.offset, (cols, rows)));
                }
            }
        }
        (holds, later)
    }

    /// Bytes per minute, oldest first, the last bar for the minute of `now`: as many as the log is minutes old, `minutes`
    /// at most.
    pub fn bytes_per_minute(&self, now: i64, minutes: usize, head: u64) -> Vec<u64> {
        let times: Vec<&Mark> = self.0.iter().filter(|m| m.kind == MarkKind::Time).collect();
        let age = times.first().map_or(0, |first| now.div_euclid(60_000) - first.time.div_euclid(60_000));
        let minutes = usize::try_from(age).map_or(1, |age| age.saturating_add(1).min(minutes));
        let mut bars = vec![0; minutes];
        for (i, mark) in times.iter().enumerate() {
            let until = times.get(i + 1).map_or(head, |next| next.offset);
            let ago = now.div_euclid(60_000) - mark.time.div_euclid(60_000);
            if let Some(bar) = usize::try_from(ago).ok().and_then(|ago| minutes.checked_sub(ago + 1)) {
                bars[bar] += until.saturating_sub(mark.offset);
            }
        }
        bars
    }
}

/// A screen as escape sequences, standing for everything before `offset`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub offset: u64,
    pub cols: u16,
    pub rows: u16,
    pub dump: Bytes,
}

const MAGIC: &[u8; 4] = b"RCP1";
const RECORD_HEADER: usize = 4 + 8 + 2 + 2 + 4 + 4;

/// Records of `magic, offset, cols, rows, length, sum of the dump, dump`. A torn or foreign end is ignored and written over.
pub struct Checkpoints {
    path: PathBuf,
    /// Offset in the log and place in the file, oldest first.
    known: Vec<(u64, u64)>,
    end: u64,
}

impl Checkpoints {
    pub fn open(agent_dir: &Path) -> Checkpoints {
        let path = log_dir(agent_dir).join(CHECKPOINTS_FILE);
        let mut found = Checkpoints { path, known: Vec::new(), end: 0 };
        if let Ok(file) = File::open(&found.path) {
            let len = file.metadata().map_or(0, |meta| meta.len());
            while let Some((header, size)) = read_header(&file, found.end) {
                let behind = found.end + (RECORD_HEADER + size) as u64;
                if behind > len {
                    break;
                }
                found.known.push((header.offset, found.end));
                found.end = behind;
            }
        }
        found
    }

    pub fn last_offset(&self) -> Option<u64> {
        self.known.last().map(|(offset, _)| *offset)
    }

    /// The newest one at or before `offset` that can still be read.
    pub fn at_or_before(&self, offset: u64) -> Option<Checkpoint> {
        let file = File::open(&self.path).ok()?;
        self.known.iter().rev().filter(|(at, _)| *at <= offset).find_map(|(_, place)| read_record(&file, *place))
    }

    pub fn append(&mut self, checkpoint: &Checkpoint) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        let record = encode(checkpoint);
        file.set_len(self.end)?;
        file.write_all_at(&record, self.end)?;
        self.known.push((checkpoint.offset, self.end));
        self.end += record.len() as u64;
        Ok(())
    }

    /// Forgets those that stand for bytes before `first`, when they are the larger part.
    pub fn trim(&mut self, first: u64) -> io::Result<()> {
        let stale = self.known.iter().take_while(|(offset, _)| *offset < first).count();
        if stale < 16 || stale * 2 < self.known.len() {
            return Ok(());
        }
        let file = File::open(&self.path)?;
        let keep: Vec<Checkpoint> =
            self.known[stale..].iter().filter_map(|(_, place)| read_record(&file, *place)).collect();
        let draft = self.path.with_extension("new");
        let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        (self.known, self.end) = (Vec::new(), 0);
        for checkpoint in &keep {
            let record = encode(checkpoint);
            out.write_all(&record)?;
            self.known.push((checkpoint.offset, self.end));
            self.end += record.len() as u64;
        }
        std::fs::rename(draft, &self.path)
    }
}

struct RecordHeader {
    offset: u64,
    cols: u16,
    rows: u16,
    sum: u32,
}

fn encode(checkpoint: &Checkpoint) -> Vec<u8> {
    let Checkpoint { offset, cols, rows, dump } = checkpoint;
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&offset.to_be_bytes());
    out.extend_from_slice(&cols.to_be_bytes());
    out.extend_from_slice(&rows.to_be_bytes());
    out.extend_from_slice(&u32::try_from(dump.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&fnv(dump).to_be_bytes());
    out.extend_from_slice(dump);
    out
}

fn read_header(file: &File, place: u64) -> Option<(RecordHeader, usize)> {
    let mut raw = [0; RECORD_HEADER];
    file.read_exact_at(&mut raw, place).ok()?;
    let (magic, rest) = raw.split_first_chunk::<4>()?;
    let (offset, rest) = rest.split_first_chunk::<8>()?;
    let (cols, rest) = rest.split_first_chunk::<2>()?;
    let (rows, rest) = rest.split_first_chunk::<2>()?;
    let (len, sum) = rest.split_first_chunk::<4>()?;
    let sum = u32::from_be_bytes(sum.try_into().ok()?);
    let (cols, rows) = (u16::from_be_bytes(*cols), u16::from_be_bytes(*rows));
    let header = RecordHeader { offset: u64::from_be_bytes(*offset), cols, rows, sum };
    (magic == MAGIC).then_some((header, u32::from_be_bytes(*len) as usize))
}

fn read_record(file: &File, place: u64) -> Option<Checkpoint> {
    let (RecordHeader { offset, cols, rows, sum }, len) = read_header(file, place)?;
    let mut dump = vec![0; len];
    file.read_exact_at(&mut dump, place + RECORD_HEADER as u64).ok()?;
    (fnv(&dump) == sum).then(|| Checkpoint { offset, cols, rows, dump: dump.into() })
}

fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, b| (sum ^ u32::from(*b)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write_segments(dir: &Path, parts: &[(u64, &[u8])]) {
        std::fs::create_dir_all(log_dir(dir)).unwrap();
        for (start, bytes) in parts {
            std::fs::write(segment_path(dir, *start), bytes).unwrap();
        }
    }

    fn drain(cursor: &mut Cursor, limit: u64) -> Vec<Piece> {
        std::iter::from_fn(|| Some(cursor.read(limit).unwrap()).filter(|p| *p != Piece::End)).collect()
    }

    #[test]
    fn a_cursor_reads_across_segments_and_names_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        write_segments(dir.path(), &[(10, b"abc"), (13, b"def"), (20, b"xyz")]);
        let mut cursor = Cursor::new(dir.path(), 0);
        let bytes = |offset, bytes: &'static [u8]| Piece::Bytes { offset, bytes: bytes.into() };
        let expected = vec![
            Piece::Gap { from: 0, to: 10 },
            bytes(10, b"abc"),
            bytes(13, b"def"),
            Piece::Gap { from: 16, to: 20 },
            bytes(20, b"xy"),
        ];
        assert_eq!(drain(&mut cursor, 22), expected);
        assert_eq!(cursor.at(), 22);
        assert_eq!(drain(&mut cursor, 23), [bytes(22, b"z")]);
    }

    #[test]
    fn a_segment_trimmed_under_a_slow_reader_is_still_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let long = vec![7; PIECE + 5];
        write_segments(dir.path(), &[(0, &long), (long.len() as u64, b"end")]);
        let mut cursor = Cursor::new(dir.path(), 0);
        let limit = long.len() as u64 + 3;
        assert!(matches!(cursor.read(limit).unwrap(), Piece::Bytes { offset: 0, .. }));
        std::fs::remove_file(segment_path(dir.path(), 0)).unwrap();
        let rest = drain(&mut cursor, limit);
        assert!(!rest.iter().any(|p| matches!(p, Piece::Gap { .. })), "{rest:?}");
    }

    #[test]
    fn the_last_lines_are_counted_like_tail_does() {
        let dir = tempfile::tempdir().unwrap();
        write_segments(dir.path(), &[(0, b"one\ntwo\nth"), (10, b"ree\nfour\n")]);
        let at = |lines, head| tail_start(dir.path(), head, lines).unwrap();
        assert_eq!((at(1, 19), at(2, 19), at(3, 19), at(9, 19), at(0, 19)), (14, 8, 4, 0, 19));
        assert_eq!((at(1, 12), at(2, 12)), (8, 4), "an unfinished last line is a line");
    }

    #[test]
    fn checkpoints_survive_a_torn_end_and_are_found_by_offset() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(log_dir(dir.path())).unwrap();
        let of = |offset: u64| Checkpoint { offset, cols: 80, rows: 24, dump: format!("screen {offset}").into() };
        let mut all = Checkpoints::open(dir.path());
        for offset in [100, 200, 300] {
            all.append(&of(offset)).unwrap();
        }
        let path = log_dir(dir.path()).join(CHECKPOINTS_FILE);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut again = Checkpoints::open(dir.path());
            let left = again.known.len();
            assert_eq!(left, cut / (whole.len() / 3));
            assert_eq!(again.at_or_before(250), [None, Some(of(100)), Some(of(200)), Some(of(200))][left].clone());
            again.append(&of(400)).unwrap();
            assert_eq!(Checkpoints::open(dir.path()).at_or_before(500), Some(of(400)));
        }
    }

    #[test]
    fn checkpoints_of_trimmed_bytes_go() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(log_dir(dir.path())).unwrap();
        let mut all = Checkpoints::open(dir.path());
        for offset in 0..40 {
            all.append(&Checkpoint { offset, cols: 1, rows: 1, dump: vec![1; 100].into() }).unwrap();
        }
        all.trim(30).unwrap();
        assert_eq!(all.known.len(), 10);
        assert_eq!(Checkpoints::open(dir.path()).at_or_before(100).unwrap().offset, 39);
    }

    #[test]
    fn the_index_answers_for_times_epochs_sizes_and_minutes() {
        let text = b"E 0 1000 1\nR 0 1000 80 24\nT 0 1000\nT 50 61000\nR 60 61000 100 30\nE 70 62000 2\nT 70 130000\n";
        let index = Index(parse_index(text));
        assert_eq!(
            (index.time_at(49), index.time_at(50), index.offset_since(60_000)),
            (Some(1000), Some(61_000), Some(50))
        );
        assert_eq!((index.epoch(1), index.epoch(2), index.epoch(3)), (Some((0, Some(70))), Some((70, None)), None));
        assert_eq!(index.sizes(0), (Some((80, 24)), vec![(60, (100, 30))]));
        assert_eq!(index.bytes_per_minute(130_000, 3, 100), [50, 20, 30]);
    }

    proptest! {
        #[test]
        fn a_corrupt_checkpoint_file_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<u64>()) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(log_dir(dir.path())).unwrap();
            let mut file = MAGIC.to_vec();
            file.extend(bytes);
            std::fs::write(log_dir(dir.path()).join(CHECKPOINTS_FILE), file).unwrap();
            Checkpoints::open(dir.path()).at_or_before(at);
        }
    }
}
