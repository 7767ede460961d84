//! From what a terminal sends to what the agent gets: the terminal's own replies are left out, the detach keys are
//! noticed. Pure: bytes in, bytes and a verdict out.

use super::pieces::{Piece, Pieces};
use super::replies::is_reply;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Stay,
    Detach,
}

/// The keys that detach, one after the other; none means never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![0x02, b'd'])
    }
}

impl std::str::FromStr for DetachKeys {
    type Err = String;

    /// `ctrl-b,d`: keys separated by commas; `none` for no way out but closing the terminal.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        text.split(',').map(key_of).collect::<Result<Vec<u8>, String>>().map(Self)
    }
}

fn key_of(word: &str) -> Result<u8, String> {
    let lower = word.to_ascii_lowercase();
    let control = ["ctrl-", "c-", "^"].iter().find_map(|p| lower.strip_prefix(p)).filter(|rest| !rest.is_empty());
    if let Some(rest) = control {
        return match rest.as_bytes() {
            [c @ (b'a'..=b'z' | b'[' | b'\\' | b']' | b'^' | b'_' | b'@')] => Ok(c.to_ascii_uppercase() & 0x1f),
            _ => Err(format!("{word:?} is no control key; write ctrl-a to ctrl-z")),
        };
    }
    match (lower.as_str(), word.as_bytes()) {
        ("esc", _) => Ok(0x1b),
        ("enter", _) => Ok(b'\r'),
        ("tab", _) => Ok(b'\t'),
        ("space", _) => Ok(b' '),
        (_, [c @ 0x21..=0x7e]) => Ok(*c),
        _ => Err(format!("{word:?} is no key; write keys like ctrl-b,d or ctrl-p,ctrl-q, or none")),
    }
}

impl std::fmt::Display for DetachKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self.0.iter().map(|key| word_of(*key)).collect();
        f.write_str(&words.join(" "))
    }
}

fn word_of(key: u8) -> String {
    match key {
        0x1b => "Esc".into(),
        b'\r' => "Enter".into(),
        b'\t' => "Tab".into(),
        b' ' => "Space".into(),
        0..0x20 => format!("Ctrl-{}", char::from(key | 0x40)),
        other => char::from(other).to_string(),
    }
}

impl DetachKeys {
    pub fn is_never(&self) -> bool {
        self.0.is_empty()
    }
}

/// One person's keyboard.
#[derive(Debug)]
pub struct Keyboard {
    pieces: Pieces,
    detach: Vec<u8>,
    /// How many of the detach keys were pressed, and the bytes held back meanwhile.
    matched: usize,
    held: Vec<u8>,
}

/// What a piece is as a key, as far as detach keys care.
enum Key {
    Press(u8),
    Release,
    Other,
}

impl Keyboard {
    pub fn new(detach: DetachKeys) -> Self {
        Self { pieces: Pieces::default(), detach: detach.0, matched: 0, held: Vec::new() }
    }

    /// What a chunk of input sends to the agent. After Detach the rest of the chunk is nobody's.
    pub fn feed(&mut self, chunk: &[u8]) -> (Vec<u8>, Verdict) {
        let pieces = self.pieces.feed(chunk);
        self.take(pieces)
    }

    /// Whether [`Keyboard::give_up_waiting`] should be called when nothing comes for a moment.
    pub fn waits(&self) -> bool {
        self.pieces.waits()
    }

    pub fn give_up_waiting(&mut self) -> (Vec<u8>, Verdict) {
        let pieces = self.pieces.give_up_waiting();
        self.take(pieces)
    }

    fn take(&mut self, pieces: Vec<Piece>) -> (Vec<u8>, Verdict) {
        let mut out = Vec::new();
        for piece in pieces {
            let (key, bytes) = match piece {
                Piece::Byte(byte) => (Key::Press(byte), vec![byte]),
                Piece::Sequence(sequence) if is_reply(&sequence) => continue,
                Piece::Sequence(sequence) => (key_in(&sequence), sequence),
                Piece::Pasted(text) => (Key::Other, text),
            };
            if self.press(key, bytes, &mut out) == Verdict::Detach {
                return (out, Verdict::Detach);
            }
        }
        (out, Verdict::Stay)
    }

    fn press(&mut self, key: Key, bytes: Vec<u8>, out: &mut Vec<u8>) -> Verdict {
        match key {
            Key::Press(key) if self.detach.get(self.matched) == Some(&key) => {
                self.held.extend(bytes);
                self.matched += 1;
                if self.matched == self.detach.len() {
                    return Verdict::Detach;
                }
            }
            // Letting go of the first key must not break the sequence.
            Key::Release if self.matched > 0 => self.held.extend(bytes),
            // The first key twice sends it once.
            Key::Press(key) if self.matched == 1 && key == self.detach[0] => self.let_go(out),
            Key::Press(_) | Key::Release | Key::Other => {
                self.let_go(out);
                out.extend(bytes);
            }
        }
        Verdict::Stay
    }

    fn let_go(&mut self, out: &mut Vec<u8>) {
        self.matched = 0;
        out.append(&mut self.held);
    }
}

/// Terminals in kitty's or xterm's extended mode send Ctrl-B as `CSI 98;5u` or `CSI 27;5;98~`.
fn key_in(sequence: &[u8]) -> Key {
    let Some((last, parameters)) = sequence.strip_prefix(b"\x1b[").and_then(|s| s.split_last()) else {
        return Key::Other;
    };
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    let fields: Vec<Vec<u32>> =
        text.split(';').map(|f| f.split(':').map(|n| n.parse().unwrap_or(0)).collect()).collect();
    let first = |i: usize| fields.get(i).and_then(|f| f.first()).copied();
    let (code, modifiers, event) = match (last, fields.len()) {
        (b'u', 1..) => (first(0), first(1), fields.get(1).and_then(|f| f.get(1)).copied()),
        (b'~', 3) if first(0) == Some(27) => (first(2), first(1), None),
        _ => return Key::Other,
    };
    if event == Some(3) {
        return Key::Release;
    }
    const SHIFT: u32 = 1;
    const CTRL: u32 = 4;
    // Caps and num lock say nothing about the key.
    let modifiers = modifiers.unwrap_or(1).saturating_sub(1) & 0x3f;
    match (code.and_then(|c| u8::try_from(c).ok()), modifiers) {
        (Some(code @ 0x40..=0x7e), CTRL) => Key::Press(code.to_ascii_uppercase() & 0x1f),
        (Some(code @ 0x01..=0x7e), 0) => Key::Press(code),
        (Some(code @ b'a'..=b'z'), SHIFT) => Key::Press(code.to_ascii_uppercase()),
        _ => Key::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyboard() -> Keyboard {
        Keyboard::new(DetachKeys::default())
    }

    #[test]
    fn the_detach_keys_detach_and_send_nothing() {
        assert_eq!(keyboard().feed(b"ls\x02d"), (b"ls".to_vec(), Verdict::Detach));
        let mut slow = keyboard();
        assert_eq!(slow.feed(b"\x02"), (vec![], Verdict::Stay));
        assert_eq!(slow.feed(b"d"), (vec![], Verdict::Detach));
    }

    #[test]
    fn the_first_key_twice_sends_it_once() {
        assert_eq!(keyboard().feed(b"\x02\x02d"), (b"\x02d".to_vec(), Verdict::Stay));
    }

    #[test]
    fn another_key_after_the_first_sends_both() {
        assert_eq!(keyboard().feed(b"\x02x"), (b"\x02x".to_vec(), Verdict::Stay));
        assert_eq!(keyboard().feed(b"\x02\x1b[Ad"), (b"\x02\x1b[Ad".to_vec(), Verdict::Stay));
    }

    #[test]
    fn a_paste_that_contains_the_detach_keys_does_not_detach() {
        let paste = b"\x1b[200~one \x02d two\x1b[201~";
        assert_eq!(keyboard().feed(paste), (paste.to_vec(), Verdict::Stay));
        let mut in_parts = keyboard();
        let mut sent = Vec::new();
        for byte in paste {
            let (bytes, verdict) = in_parts.feed(&[*byte]);
            assert_eq!(verdict, Verdict::Stay);
            sent.extend(bytes);
        }
        // The pieces of a bracket that arrive alone cannot be told from keys; nothing of them is lost.
        assert_eq!(sent, paste);
    }

    #[test]
    fn extended_keyboards_detach_too() {
        assert_eq!(keyboard().feed(b"\x1b[98;5ud"), (vec![], Verdict::Detach));
        assert_eq!(keyboard().feed(b"\x1b[98;5:1u\x1b[98;5:3u\x1b[100;1u"), (vec![], Verdict::Detach));
        assert_eq!(keyboard().feed(b"\x1b[27;5;98~d"), (vec![], Verdict::Detach));
        let other = b"\x1b[98;7ud".to_vec();
        assert_eq!(keyboard().feed(&other), (other, Verdict::Stay), "Ctrl-Alt-b is another key");
    }

    #[test]
    fn the_terminals_replies_are_swallowed_and_keys_are_not() {
        let (sent, _) = keyboard().feed(b"a\x1b[?62c\x1b[A\x1b]11;rgb:0/0/0\x07b");
        assert_eq!(sent, b"a\x1b[Ab");
        assert_eq!(keyboard().feed(b"\x02\x1b[?62cd"), (vec![], Verdict::Detach), "a reply between the keys");
    }

    #[test]
    fn other_detach_keys_and_none_at_all() {
        let keys: DetachKeys = "ctrl-p,ctrl-q".parse().unwrap();
        assert_eq!(keys.to_string(), "Ctrl-P Ctrl-Q");
        assert_eq!(Keyboard::new(keys).feed(b"\x10\x11").1, Verdict::Detach);
        let never: DetachKeys = "none".parse().unwrap();
        assert_eq!(Keyboard::new(never).feed(b"\x02d"), (b"\x02d".to_vec(), Verdict::Stay));
        assert!("ctrl-ä".parse::<DetachKeys>().is_err());
    }
}
