//! The screen of an agent and how far in its output it has come, with the size changes that lie ahead. Pure but for the
//! checkpoints that it holds; who feeds it when is for the session.

use std::collections::VecDeque;

use super::log::{Checkpoint, Checkpoints, SizeFrom};
use super::screen::Screen;

/// The screen and how far it has come.
pub struct Picture {
    pub screen: Option<Screen>,
    pub at: u64,
    pub checkpointed: u64,
    /// Size changes further on in the stream.
    pub sizes: VecDeque<SizeFrom>,
    pub checkpoints: Checkpoints,
    /// What an ended agent's screen showed.
    pub last_lines: Option<Vec<String>>,
}

impl Picture {
    /// Output in order, with the size changes that lie in it.
    pub fn feed(&mut self, offset: u64, bytes: &[u8]) {
        let Some(screen) = &mut self.screen else { return };
        let mut rest = bytes;
        let mut at = offset;
        let end = offset + bytes.len() as u64;
        while let Some((change, (cols, rows))) = self.sizes.pop_front_if(|(change, _)| *change <= end) {
            let before = usize::try_from(change.saturating_sub(at)).unwrap_or(0).min(rest.len());
            screen.feed(&rest[..before]);
            rest = &rest[before..];
            at += before as u64;
            screen.resize(cols, rows);
        }
        screen.feed(rest);
        self.at = end;
    }

    pub fn snapshot(&mut self) -> Option<Checkpoint> {
        let at = self.at;
        let screen = self.screen.as_mut()?;
        let (cols, rows) = screen.size();
        Some(Checkpoint { offset: at, cols, rows, dump: screen.dump().into() })
    }
}
