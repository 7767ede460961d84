//! Cuts what a terminal sends into pieces: single bytes, whole escape sequences, pasted text. Pure; time enters as
//! [`Pieces::give_up_waiting`], called when nothing more came for a moment.

/// A piece of input that means something by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Byte(u8),
    Sequence(Vec<u8>),
    /// Part of a bracketed paste, its brackets included: passed on whatever it holds.
    Pasted(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    Escape,
    Csi,
    /// `ESC O` and one more byte.
    Ss3,
    /// OSC, DCS, APC, PM or SOS: until ST, or BEL for OSC.
    Text,
    TextEscape,
    /// `CSI M` and three bytes of any value.
    Mouse(u8),
    Paste,
}

const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// A terminal's longest reply is a clipboard; beyond this it is no reply.
const LONGEST: usize = 1 << 20;

#[derive(Debug)]
pub struct Pieces {
    state: State,
    held: Vec<u8>,
    /// How many bytes of `held` were passed on already: the ESC that ended the chunk before.
    passed: usize,
}

impl Default for Pieces {
    fn default() -> Self {
        Self { state: State::Ground, held: Vec::new(), passed: 0 }
    }
}

impl Pieces {
    /// The pieces that a chunk of input completes. A lone ESC at its end is the key, and is not held back.
    pub fn feed(&mut self, chunk: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut pasted = Vec::new();
        if self.passed > 0 && self.state == State::Ground && !chunk.is_empty() {
            // A read can end between the ESC and the rest of a sequence.
            if chunk[0] == b'[' {
                self.held.push(0x1b);
                self.state = State::Escape;
            } else {
                self.passed = 0;
            }
        }
        for &byte in chunk {
            self.step(byte, &mut pieces, &mut pasted);
        }
        if !pasted.is_empty() {
            pieces.push(Piece::Pasted(pasted));
        }
        if self.state == State::Escape {
            pieces.extend(self.release());
            self.passed = 1;
        }
        pieces
    }

    /// Whether the beginning of a sequence is held back.
    pub fn waits(&self) -> bool {
        !self.held.is_empty() && self.state != State::Paste
    }

    /// What is held was typed after all (Alt-[ begins like a sequence).
    pub fn give_up_waiting(&mut self) -> Vec<Piece> {
        if self.waits() { self.release() } else { Vec::new() }
    }

    fn release(&mut self) -> Vec<Piece> {
        self.state = State::Ground;
        let passed = std::mem::take(&mut self.passed);
        std::mem::take(&mut self.held).into_iter().skip(passed).map(Piece::Byte).collect()
    }

    fn step(&mut self, byte: u8, pieces: &mut Vec<Piece>, pasted: &mut Vec<u8>) {
        if self.state == State::Paste {
            return self.step_paste(byte, pieces, pasted);
        }
        if self.state == State::Ground && byte != 0x1b {
            return pieces.push(Piece::Byte(byte));
        }
        self.held.push(byte);
        self.state = match (self.state, byte) {
            (State::Ground, _) => State::Escape,
            (State::Escape, b'[') => State::Csi,
            (State::Escape, b'O') => State::Ss3,
            (State::Escape, b']' | b'P' | b'_' | b'^' | b'X') => State::Text,
            (State::Escape, 0x1b) => {
                // Two ESCs: the first was the key, the second may begin a sequence.
                self.held.pop();
                pieces.extend(self.release());
                self.held.push(0x1b);
                State::Escape
            }
            (State::Csi, b'M') if self.held.len() == 3 => State::Mouse(3),
            (State::Mouse(left), _) if left > 1 => State::Mouse(left - 1),
            (State::Csi, 0x20..=0x3f) if self.held.len() < LONGEST => State::Csi,
            (State::Text, 0x07) if self.held[1] == b']' => return self.complete(pieces, pasted),
            (State::Text, 0x1b) => State::TextEscape,
            (State::Text, _) if self.held.len() < LONGEST => State::Text,
            (State::Csi, 0x40..=0x7e)
            | (State::TextEscape, b'\\')
            | (State::Ss3 | State::Mouse(_) | State::Escape, _) => return self.complete(pieces, pasted),
            (State::Csi | State::Text | State::TextEscape | State::Paste, _) => {
                // No sequence after all.
                pieces.extend(self.release());
                return;
            }
        };
    }

    fn complete(&mut self, pieces: &mut Vec<Piece>, pasted: &mut Vec<u8>) {
        let mut sequence = std::mem::take(&mut self.held);
        let is_paste = sequence == PASTE_BEGIN;
        let passed = std::mem::take(&mut self.passed);
        sequence.drain(..passed);
        self.state = if is_paste { State::Paste } else { State::Ground };
        match (is_paste, passed) {
            (true, _) => pasted.extend(sequence),
            (false, 0) => pieces.push(Piece::Sequence(sequence)),
            (false, _) => pieces.extend(sequence.into_iter().map(Piece::Byte)),
        }
    }

    /// Only what could be the closing bracket is held.
    fn step_paste(&mut self, byte: u8, pieces: &mut Vec<Piece>, pasted: &mut Vec<u8>) {
        self.held.push(byte);
        if self.held == PASTE_END {
            pasted.append(&mut self.held);
            pieces.push(Piece::Pasted(std::mem::take(pasted)));
            self.state = State::Ground;
        } else if !PASTE_END.starts_with(&self.held) {
            let keep = usize::from(byte == 0x1b);
            let kept = self.held.split_off(self.held.len() - keep);
            pasted.append(&mut self.held);
            self.held = kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &[u8]) -> Vec<Piece> {
        text.iter().copied().map(Piece::Byte).collect()
    }

    fn sequence(text: &[u8]) -> Piece {
        Piece::Sequence(text.to_vec())
    }

    #[test]
    fn a_lone_escape_passes_at_once() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.feed(b"\x1b"), bytes(b"\x1b"));
        assert!(!pieces.waits());
        assert_eq!(pieces.feed(b"a\x1b\x1b"), bytes(b"a\x1b\x1b"));
    }

    #[test]
    fn sequences_come_whole_even_in_parts() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.feed(b"\x1b[A\x1bOPx"), [sequence(b"\x1b[A"), sequence(b"\x1bOP"), Piece::Byte(b'x')]);
        assert_eq!(pieces.feed(b"\x1b]11;rgb:"), []);
        assert!(pieces.waits());
        assert_eq!(pieces.feed(b"0/0/0\x1b"), []);
        assert_eq!(pieces.feed(b"\\"), [sequence(b"\x1b]11;rgb:0/0/0\x1b\\")]);
        assert_eq!(pieces.feed(b"\x1b]11;x\x07y"), [sequence(b"\x1b]11;x\x07"), Piece::Byte(b'y')]);
        assert_eq!(pieces.feed(b"\x1b[M\x03 \x1b"), [sequence(b"\x1b[M\x03 \x1b")], "a mouse report of any bytes");
        assert_eq!(pieces.feed(b"\x1bb"), [sequence(b"\x1bb")], "Alt-b");
    }

    #[test]
    fn alt_with_a_bracket_is_typed_once_nothing_follows() {
        let mut pieces = Pieces::default();
        assert_eq!(pieces.feed(b"\x1b["), []);
        assert_eq!(pieces.give_up_waiting(), bytes(b"\x1b["));
        assert_eq!(pieces.feed(b"x"), bytes(b"x"));
    }

    #[test]
    fn a_paste_passes_whatever_it_holds() {
        let mut pieces = Pieces::default();
        let text = b"\x1b[200~a\x02d\x1b[c\x1b\x1b[201~z";
        let pasted = Piece::Pasted(text[..text.len() - 1].to_vec());
        assert_eq!(pieces.feed(text), [pasted, Piece::Byte(b'z')]);
    }

    #[test]
    fn cutting_the_input_anywhere_changes_no_byte() {
        let text = b"ab\x1b[200~\x02d\x1b[20\x1b[201~\x1b[1;5A\x1b]0;t\x07\x1b[M\x01\x02\x03\x1bOH\xc3\xa4";
        for cut in 1..text.len() {
            let mut pieces = Pieces::default();
            let mut all = pieces.feed(&text[..cut]);
            all.extend(pieces.feed(&text[cut..]));
            all.extend(pieces.give_up_waiting());
            assert!(!pieces.waits());
            let flat: Vec<u8> = all
                .into_iter()
                .flat_map(|p| match p {
                    Piece::Byte(b) => vec![b],
                    Piece::Sequence(s) | Piece::Pasted(s) => s,
                })
                .collect();
            assert_eq!(flat, text, "cut at {cut}");
        }
    }
}
