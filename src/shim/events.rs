//! Records events: lines in `events.jsonl`, and frames for whoever is connected. Output can print reports as fast as it
//! likes, so each kind is capped; of those that come too fast the last one is kept and recorded when there is room again,
//! because most of them say what holds now.

use crate::wire::log::EVENTS_FILE;
use crate::wire::{Event, EventKind};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Per kind and second.
const PER_SECOND: i64 = 20;
/// The file is set aside as `events.jsonl.1` at this size, replacing the one before.
const FILE_LIMIT: u64 = 4 << 20;

pub struct Events {
    path: PathBuf,
    file: Option<File>,
    len: u64,
    kinds: BTreeMap<EventKind, Bucket>,
}

struct Bucket {
    second: i64,
    used: i64,
    held: Option<Event>,
}

impl Events {
    pub fn open(agent_dir: &Path) -> Events {
        Events { path: agent_dir.join(EVENTS_FILE), file: None, len: 0, kinds: BTreeMap::new() }
    }

    /// The event to tell others about now, if it is not held back.
    pub fn record(&mut self, mut event: Event) -> Option<Event> {
        let second = event.time.div_euclid(1000);
        let bucket = self.kinds.entry(event.kind).or_insert(Bucket { second, used: 0, held: None });
        if bucket.second != second {
            (bucket.second, bucket.used) = (second, 0);
        }
        if let Some(held) = bucket.held.take() {
            event.dropped += held.dropped + 1;
        }
        if bucket.used >= PER_SECOND {
            bucket.held = Some(event);
            return None;
        }
        bucket.used += 1;
        self.write(&event);
        Some(event)
    }

    /// Milliseconds until a held event may go.
    pub fn due_in(&self, now_ms: i64) -> Option<i64> {
        let held = self.kinds.values().filter(|b| b.held.is_some());
        held.map(|b| ((b.second + 1) * 1000 - now_ms).max(0)).min()
    }

    /// Held events whose second is over, or all of them at the end.
    pub fn release(&mut self, now_ms: i64, all: bool) -> Vec<Event> {
        let second = now_ms.div_euclid(1000);
        let due = self.kinds.values_mut().filter(|b| all || b.second != second);
        let events: Vec<Event> = due.filter_map(|b| b.held.take()).collect();
        for event in &events {
            self.write(event);
        }
        events
    }

    /// The live frame is what matters; a line that a full disk refuses is given up.
    fn write(&mut self, event: &Event) {
        if self.len > FILE_LIMIT {
            let _ = std::fs::rename(&self.path, self.path.with_extension("jsonl.1"));
            self.file = None;
        }
        if self.file.is_none() {
            self.file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path).ok();
            self.len = std::fs::metadata(&self.path).map_or(0, |meta| meta.len());
        }
        let Ok(mut line) = serde_json::to_vec(event) else { return };
        line.push(b'\n');
        match self.file.as_mut().map(|file| file.write_all(&line)) {
            Some(Ok(())) => self.len += line.len() as u64,
            _ => self.file = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind, time: i64, text: &str) -> Event {
        Event { offset: 0, time, epoch: 1, kind, text: text.to_owned(), dropped: 0 }
    }

    #[test]
    fn a_flood_is_capped_and_its_last_report_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = Events::open(dir.path());
        let passed =
            (0..1000).filter(|i| events.record(event(EventKind::Title, 5000, &i.to_string())).is_some()).count();
        assert_eq!(passed, 20);
        assert!(events.record(event(EventKind::Bell, 5000, "")).is_some(), "another kind has its own allowance");
        assert_eq!(events.due_in(5400), Some(600));
        assert!(events.release(5999, false).is_empty());
        let late = events.release(6000, false);
        assert_eq!((late.len(), late[0].text.as_str(), late[0].dropped), (1, "999", 979));
        let lines = std::fs::read_to_string(dir.path().join(EVENTS_FILE)).unwrap();
        assert_eq!(lines.lines().count(), 22);
    }
}
