//! Where an agent's log lives and how its index reads. Segments hold raw bytes and are named by the absolute offset of
//! their first; the index is lines of text, so that a torn last line costs nothing but itself.

use std::fmt;
use std::path::{Path, PathBuf};

pub const SPEC_FILE: &str = "spec.json";
pub const EXIT_FILE: &str = "exit.json";
pub const LOCK_FILE: &str = "lock";
pub const EVENTS_FILE: &str = "events.jsonl";
pub const LOG_DIR: &str = "log";
pub const INDEX_FILE: &str = "index";
pub const CHECKPOINTS_FILE: &str = "checkpoints";

pub fn log_dir(agent_dir: &Path) -> PathBuf {
    agent_dir.join(LOG_DIR)
}

pub fn segment_path(agent_dir: &Path, offset: u64) -> PathBuf {
    agent_dir.join(LOG_DIR).join(format!("{offset:020}.seg"))
}

pub fn index_path(agent_dir: &Path) -> PathBuf {
    agent_dir.join(LOG_DIR).join(INDEX_FILE)
}

/// One segment as found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub start: u64,
    pub len: u64,
}

impl Segment {
    pub fn end(&self) -> u64 {
        self.start + self.len
    }
}

/// The segments, oldest first. A directory that does not exist has none; one that goes away meanwhile is skipped.
pub fn segments(agent_dir: &Path) -> std::io::Result<Vec<Segment>> {
    let entries = match std::fs::read_dir(log_dir(agent_dir)) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(start) = name.to_str().and_then(|n| n.strip_suffix(".seg")).and_then(|n| n.parse().ok()) else {
            continue;
        };
        match entry.metadata() {
            Ok(meta) => found.push(Segment { start, len: meta.len() }),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    found.sort_by_key(|s| s.start);
    Ok(found)
}

/// One line of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub offset: u64,
    /// Milliseconds since 1970.
    pub time: i64,
    pub kind: MarkKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// The byte at `offset` was written at `time`; at most one a second.
    Time,
    Epoch(u64),
    Size {
        cols: u16,
        rows: u16,
    },
    /// The bytes from `offset` to `to` could not be stored.
    Gap {
        to: u64,
    },
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { offset, time, kind } = self;
        match kind {
            MarkKind::Time => writeln!(f, "T {offset} {time}"),
            MarkKind::Epoch(epoch) => writeln!(f, "E {offset} {time} {epoch}"),
            MarkKind::Size { cols, rows } => writeln!(f, "R {offset} {time} {cols} {rows}"),
            MarkKind::Gap { to } => writeln!(f, "G {offset} {time} {to}"),
        }
    }
}

impl Mark {
    pub fn parse(line: &str) -> Option<Mark> {
        let mut words = line.split(' ');
        let letter = words.next()?;
        let offset = words.next()?.parse().ok()?;
        let time = words.next()?.parse().ok()?;
        let kind = match letter {
            "T" => MarkKind::Time,
            "E" => MarkKind::Epoch(words.next()?.parse().ok()?),
            "R" => MarkKind::Size { cols: words.next()?.parse().ok()?, rows: words.next()?.parse().ok()? },
            "G" => MarkKind::Gap { to: words.next()?.parse().ok()? },
            _ => return None,
        };
        words.next().is_none().then_some(Mark { offset, time, kind })
    }
}

/// The marks of an index in file order. Only whole lines count: the last one may be half written.
pub fn parse_index(text: &[u8]) -> Vec<Mark> {
    let whole = text.iter().rposition(|b| *b == b'\n').map_or(&text[..0], |end| &text[..=end]);
    whole.split(|b| *b == b'\n').filter_map(|line| Mark::parse(std::str::from_utf8(line).ok()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark() -> impl Strategy<Value = Mark> {
        let kind = prop_oneof![
            Just(MarkKind::Time),
            any::<u64>().prop_map(MarkKind::Epoch),
            any::<(u16, u16)>().prop_map(|(cols, rows)| MarkKind::Size { cols, rows }),
            any::<u64>().prop_map(|to| MarkKind::Gap { to }),
        ];
        (any::<u64>(), any::<i64>(), kind).prop_map(|(offset, time, kind)| Mark { offset, time, kind })
    }

    proptest! {
        #[test]
        fn an_index_cut_at_any_byte_yields_exactly_its_whole_lines(marks in proptest::collection::vec(mark(), 0..8), cut in any::<prop::sample::Index>()) {
            let text: String = marks.iter().map(Mark::to_string).collect();
            let cut = cut.index(text.len() + 1);
            let whole = text[..cut].matches('\n').count();
            prop_assert_eq!(parse_index(&text.as_bytes()[..cut]), &marks[..whole]);
        }

        #[test]
        fn a_corrupt_index_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            parse_index(&bytes);
        }
    }

    #[test]
    fn a_broken_line_costs_only_itself() {
        let text = b"T 1 2\ngarbage\nT 5\nE 7 8 2\nT 9 9 9\n";
        assert_eq!(
            parse_index(text),
            [Mark { offset: 1, time: 2, kind: MarkKind::Time }, Mark { offset: 7, time: 8, kind: MarkKind::Epoch(2) }]
        );
    }
}
