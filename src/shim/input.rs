//! Bytes on their way to the command: from the pane and from the socket, in the order they came, with a note of which
//! deliveries somebody wants to hear about. Remembers deliveries so that a repeated one is not typed twice.

use super::peers::PeerId;
use std::collections::VecDeque;
use std::io::{self, Write};

/// What may wait for a command that does not read. More is refused, visibly: nothing typed is dropped in silence.
const WAITING_LIMIT: usize = 1 << 20;
/// A pane is asked for no more input beyond this; tmux keeps the rest.
const PANE_LIMIT: usize = 64 * 1024;
const REMEMBERED: usize = 256;

#[derive(Default)]
pub struct Input {
    waiting: VecDeque<u8>,
    /// Bytes ever taken in and ever written.
    taken: u64,
    written: u64,
    receipts: VecDeque<Receipt>,
    delivered: VecDeque<u64>,
}

struct Receipt {
    peer: PeerId,
    id: u64,
    /// Due when `written` has reached this.
    at: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Offer {
    /// Under way; a receipt follows if an id was given.
    Queued,
    /// An id seen before, typed before.
    Repeated,
    /// Too much is waiting.
    Refused,
}

impl Input {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn wants_pane(&self) -> bool {
        self.waiting.len() < PANE_LIMIT
    }

    pub fn type_in(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes);
        self.taken += bytes.len() as u64;
    }

    pub fn offer(&mut self, peer: PeerId, id: u64, bytes: &[u8]) -> Offer {
        if id != 0 && (self.delivered.contains(&id) || self.receipts.iter().any(|r| r.id == id)) {
            return Offer::Repeated;
        }
        if self.waiting.len() + bytes.len() > WAITING_LIMIT {
            return Offer::Refused;
        }
        self.type_in(bytes);
        if id != 0 {
            self.receipts.push_back(Receipt { peer, id, at: self.taken });
        }
        Offer::Queued
    }

    /// Writes what the terminal takes. An error other than "later" means that nobody will read it any more.
    pub fn write_to(&mut self, terminal: &mut impl Write) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match terminal.write(front) {
                Ok(0) => break,
                Ok(n) => {
                    self.waiting.drain(..n);
                    self.written += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(4096);
        }
        Ok(())
    }

    /// Deliveries that are complete now.
    pub fn receipts(&mut self) -> Vec<(PeerId, u64)> {
        let mut done = Vec::new();
        while let Some(receipt) = self.receipts.pop_front_if(|r| r.at <= self.written) {
            if self.delivered.len() == REMEMBERED {
                self.delivered.pop_front();
            }
            self.delivered.push_back(receipt.id);
            done.push((receipt.peer, receipt.id));
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that takes so many bytes and then no more for now.
    struct Slow(Vec<u8>, usize);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.1 - self.0.len());
            if n == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0.extend_from_slice(&bytes[..n]);
            Ok(n)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_receipt_comes_when_the_last_byte_is_written_and_a_repetition_types_nothing() {
        let mut input = Input::default();
        let mut terminal = Slow(vec![], 4);
        assert_eq!(input.offer(1, 7, b"hello"), Offer::Queued);
        input.write_to(&mut terminal).unwrap();
        assert!(input.receipts().is_empty());
        assert_eq!(input.offer(2, 7, b"hello"), Offer::Repeated);
        terminal.1 = 100;
        input.write_to(&mut terminal).unwrap();
        assert_eq!(input.receipts(), [(1, 7)]);
        assert_eq!(input.offer(2, 7, b"hello"), Offer::Repeated);
        assert_eq!(input.offer(2, 0, b"!"), Offer::Queued);
        input.write_to(&mut terminal).unwrap();
        assert_eq!(terminal.0, b"hello!");
    }

    #[test]
    fn more_than_fits_is_refused_whole() {
        let mut input = Input::default();
        assert_eq!(input.offer(1, 1, &vec![b'x'; WAITING_LIMIT]), Offer::Queued);
        assert_eq!(input.offer(1, 2, b"y"), Offer::Refused);
        assert!(!input.wants_pane());
    }
}
