//! What the agent's output did to the terminal of somebody who watches, and the bytes that undo it. Pure.

use std::collections::BTreeSet;

/// Modes that are on in a terminal that nobody touched: autowrap, the cursor.
const NORMALLY_ON: [u16; 2] = [7, 25];

/// Modes that change what a shell would see afterwards: cursor keys, reverse video, origin, mouse, focus, alternate
/// screens, bracketed paste, synchronised output, colour reports, keypad.
const WATCHED: [u16; 24] = [
    1, 5, 6, 7, 9, 25, 47, 66, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1047, 1049, 2004, 2026, 2031,
    2048, 1007,
];

const LONGEST: usize = 64;

#[derive(Debug, Default)]
pub struct Modes {
    /// Private modes that are not as they normally are.
    changed: BTreeSet<u16>,
    keypad: bool,
    /// Kitty's keyboard flags: how many entries were pushed.
    pushed: u32,
    flags: bool,
    other_keys: bool,
    cursor_style: bool,
    touched: bool,
    state: State,
    buffer: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    Csi,
    Text,
    TextEscape,
}

impl Modes {
    /// Output that the terminal was given.
    pub fn saw(&mut self, output: &[u8]) {
        self.touched |= !output.is_empty();
        for &byte in output {
            self.step(byte);
        }
    }

    /// What leaves a terminal in which a shell can go on.
    pub fn undo(&self) -> Vec<u8> {
        let mut undo = Vec::new();
        if !self.touched {
            return undo;
        }
        // A sequence that was cut short would swallow what follows: CAN ends it.
        if self.state != State::Ground {
            undo.push(0x18);
        }
        for mode in &self.changed {
            let letter = if NORMALLY_ON.contains(mode) { 'h' } else { 'l' };
            undo.extend(format!("\x1b[?{mode}{letter}").bytes());
        }
        if self.pushed > 0 {
            undo.extend(format!("\x1b[<{}u", self.pushed).bytes());
        }
        if self.flags {
            undo.extend(b"\x1b[=0u");
        }
        if self.other_keys {
            undo.extend(b"\x1b[>4m");
        }
        if self.cursor_style {
            undo.extend(b"\x1b[0 q");
        }
        if self.keypad {
            undo.extend(b"\x1b>");
        }
        // Colours, character set, scroll region (which homes the cursor, hence the save), hyperlink.
        undo.extend(b"\x1b[0m\x1b(B\x0f\x1b7\x1b[r\x1b8\x1b]8;;\x1b\\");
        undo
    }

    fn step(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (_, 0x18 | 0x1a) => State::Ground,
            (State::Text, 0x07) => State::Ground,
            (State::Text, 0x1b) => State::TextEscape,
            (State::TextEscape, b'\\') => State::Ground,
            (State::Text, _) => State::Text,
            (_, 0x1b) => State::Escape,
            (State::Ground, _) => State::Ground,
            (State::Escape | State::TextEscape, b'[') => {
                self.buffer.clear();
                State::Csi
            }
            (State::Escape | State::TextEscape, b']' | b'P' | b'_' | b'^' | b'X') => State::Text,
            (State::Escape | State::TextEscape, other) => {
                self.escape(other);
                State::Ground
            }
            (State::Csi, 0x20..=0x3f) => {
                if self.buffer.len() < LONGEST {
                    self.buffer.push(byte);
                }
                State::Csi
            }
            (State::Csi, 0x40..=0x7e) => {
                self.control(byte);
                State::Ground
            }
            // C0 controls act inside a sequence without ending it.
            (State::Csi, _) => State::Csi,
        };
    }

    fn escape(&mut self, byte: u8) {
        match byte {
            b'=' => self.keypad = true,
            b'>' => self.keypad = false,
            b'c' => *self = Modes { touched: true, ..Modes::default() },
            _ => {}
        }
    }

    fn control(&mut self, last: u8) {
        let buffer = std::mem::take(&mut self.buffer);
        let text = std::str::from_utf8(&buffer).unwrap_or_default();
        let number = |text: &str| text.split([';', ':']).next().and_then(|n| n.parse::<u32>().ok());
        match (buffer.first(), last) {
            (Some(b'?'), b'h' | b'l') => {
                for mode in text[1..].split(';').filter_map(|m| m.parse::<u16>().ok()) {
                    self.set(mode, last == b'h');
                }
            }
            (Some(b'>'), b'u') => self.pushed = self.pushed.saturating_add(1).min(99),
            (Some(b'<'), b'u') => self.pushed = self.pushed.saturating_sub(number(&text[1..]).unwrap_or(1)),
            (Some(b'='), b'u') => self.flags = number(&text[1..]).unwrap_or(0) != 0,
            (Some(b'>'), b'm') => self.other_keys = text.starts_with(">4;") && !text.ends_with(";0"),
            (_, b'q') if text.ends_with(' ') => self.cursor_style = !matches!(text.trim(), "" | "0"),
            (_, b'p') if text == "!" => {
                self.changed.retain(|mode| matches!(mode, 47 | 1047 | 1049));
                self.keypad = false;
            }
            _ => {}
        }
    }

    fn set(&mut self, mode: u16, on: bool) {
        if !WATCHED.contains(&mode) {
            return;
        }
        if on == NORMALLY_ON.contains(&mode) {
            self.changed.remove(&mode);
        } else {
            self.changed.insert(mode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undo_of(output: &[u8]) -> String {
        let mut modes = Modes::default();
        modes.saw(output);
        String::from_utf8(modes.undo()).unwrap()
    }

    #[test]
    fn a_terminal_that_saw_nothing_is_left_alone() {
        assert_eq!(undo_of(b""), "");
        assert!(!undo_of(b"hello").contains("\x1b[?"));
    }

    #[test]
    fn what_was_switched_on_is_switched_off_and_the_cursor_is_shown_again() {
        let undo = undo_of(b"\x1b[?1049h\x1b[?1002;1006h\x1b[?2004h\x1b[?25l\x1b[?1h\x1b=\x1b[>1u\x1b[4 q\x1b[>4;2m");
        for part in ["?1049l", "?1002l", "?1006l", "?2004l", "?25h", "?1l", "\x1b>", "\x1b[<1u", "\x1b[0 q", "\x1b[>4m"]
        {
            assert!(undo.contains(part), "{part:?} in {undo:?}");
        }
    }

    #[test]
    fn what_the_agent_took_back_itself_is_not_undone_again() {
        let undo = undo_of(b"\x1b[?1049h\x1b[?25l\x1b[>1u\x1b[<u\x1b[?25h\x1b[?1049l");
        assert!(!undo.contains("1049") && !undo.contains("25h") && !undo.contains('<'), "{undo:?}");
        assert!(!undo_of(b"\x1b[?1000h\x1bc").contains("1000"));
    }

    #[test]
    fn modes_are_seen_across_chunks_and_never_inside_a_title() {
        let mut modes = Modes::default();
        modes.saw(b"\x1b[?10");
        modes.saw(b"00h\x1b]0;\x07");
        assert!(String::from_utf8(modes.undo()).unwrap().contains("?1000l"));
        assert!(!undo_of(b"\x1b]0;[?1003h\x07").contains("1003"));
        assert!(undo_of(b"\x1b]0;half a title").starts_with('\u{18}'));
    }
}
