//! Which inputs an agent has been given already: the keys that senders chose, kept in a file, so that a repeated delivery
//! types nothing, whoever was restarted in between.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Far more than anybody repeats.
const REMEMBERED: usize = 1000;
const FILE: &str = "inputs";

pub struct Receipts {
    path: PathBuf,
    ids: VecDeque<String>,
}

impl Receipts {
    /// A file that cannot be read is an empty one: the shim remembers the latest inputs as well.
    pub fn open(agent_dir: &Path) -> Receipts {
        let path = agent_dir.join(FILE);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        Receipts { path, ids: text.lines().map(str::to_owned).collect() }
    }

    pub fn has(&self, id: &str) -> bool {
        self.ids.iter().any(|known| known == id)
    }

    pub fn add(&mut self, id: String) -> io::Result<()> {
        if self.ids.len() >= REMEMBERED {
            self.ids.pop_front();
        }
        self.ids.push_back(id);
        let draft = self.path.with_extension("new");
        let text: String = self.ids.iter().map(|id| format!("{id}\n")).collect();
        std::fs::write(&draft, text)?;
        std::fs::rename(draft, &self.path)
    }
}

/// A sender's key, in a form that a file and a line can hold.
pub fn id_of(key: &str) -> String {
    Sha256::digest(key.as_bytes())[..16].iter().map(|b| format!("{b:02x}")).collect()
}

/// The shim's memory of one part of an input: the same for the same key, unique without one.
pub fn part_id(id: Option<&str>, part: usize) -> u64 {
    let mut seed = [0; 8];
    match id {
        Some(id) => seed.copy_from_slice(&Sha256::digest(format!("{id} {part}"))[..8]),
        None => getrandom::fill(&mut seed).expect("the system has random numbers"),
    }
    u64::from_be_bytes(seed).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_after_a_restart_and_the_oldest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut receipts = Receipts::open(dir.path());
        for n in 0..=REMEMBERED {
            receipts.add(id_of(&n.to_string())).unwrap();
        }
        let again = Receipts::open(dir.path());
        assert!(again.has(&id_of("1")) && again.has(&id_of("1000")));
        assert!(!again.has(&id_of("0")));
    }

    #[test]
    fn parts_without_a_key_are_never_taken_for_repetitions() {
        assert_ne!(part_id(None, 0), part_id(None, 0));
        assert_eq!(part_id(Some("a"), 1), part_id(Some("a"), 1));
        assert_ne!(part_id(Some("a"), 0), part_id(Some("a"), 1));
    }
}
