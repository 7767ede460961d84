//! tmux's side: where output is shown and native input comes from. Never blocks: what tmux does not take waits here.

use std::fs::File;
use std::io::{self, ErrorKind, Write};

/// Shown bytes are kept until so many have gathered, so that a slow pane does not move its backlog for every write.
const COMPACT: usize = 256 * 1024;

pub struct Pane {
    pub input: File,
    pub output: File,
    backlog: Vec<u8>,
    shown: usize,
}

impl Pane {
    pub fn new(input: File, output: File) -> Pane {
        Pane { input, output, backlog: Vec::new(), shown: 0 }
    }

    /// How many bytes tmux has not taken yet.
    pub fn behind(&self) -> usize {
        self.backlog.len() - self.shown
    }

    pub fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while self.behind() == 0 && !rest.is_empty() {
            match self.output.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        self.backlog.extend_from_slice(rest);
        Ok(())
    }

    pub fn flush(&mut self) -> io::Result<()> {
        while self.behind() > 0 {
            match self.output.write(&self.backlog[self.shown..]) {
                Ok(n) => self.shown += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        if self.behind() == 0 {
            self.backlog.clear();
            self.backlog.shrink_to(0);
            self.shown = 0;
        } else if self.shown > COMPACT {
            self.backlog.drain(..self.shown);
            self.shown = 0;
        }
        Ok(())
    }
}
