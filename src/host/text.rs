//! Plain text from terminal output: escapes removed, and of a line that was overwritten in place what it showed last.
//! Programs that paint the whole screen come out roughly, one piece of text a line.

use alacritty_terminal::vte::{Params, Parser, Perform};

/// A line without end is cut here, and a tab or a cursor movement cannot ask for more.
const LONGEST_LINE: usize = 16 * 1024;

#[derive(Default)]
pub struct PlainText {
    parser: Parser,
    line: Line,
}

#[derive(Default)]
struct Line {
    cells: Vec<char>,
    column: usize,
    finished: Vec<String>,
}

impl PlainText {
    /// The lines that ended within these bytes, without their newline.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        self.parser.advance(&mut self.line, bytes);
        std::mem::take(&mut self.line.finished)
    }

    /// What stands in the line that has not ended.
    pub fn rest(&mut self) -> Option<String> {
        self.line.finish_if_any();
        self.line.finished.pop()
    }
}

impl Line {
    fn finish(&mut self) {
        let text: String = self.cells.drain(..).collect();
        self.finished.push(text.trim_end().to_owned());
        self.column = 0;
    }

    fn finish_if_any(&mut self) {
        if self.cells.iter().any(|c| *c != ' ') {
            self.finish();
        } else {
            self.cells.clear();
            self.column = 0;
        }
    }

    fn move_to(&mut self, column: usize) {
        self.column = column.min(LONGEST_LINE);
    }
}

impl Perform for Line {
    fn print(&mut self, c: char) {
        if self.cells.len() < self.column {
            self.cells.resize(self.column, ' ');
        }
        match self.cells.get_mut(self.column) {
            Some(cell) => *cell = c,
            None => self.cells.push(c),
        }
        self.column += 1;
        if self.column >= LONGEST_LINE {
            self.finish();
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            b'\n' => self.finish(),
            b'\r' => self.column = 0,
            b'\t' => self.move_to((self.column / 8 + 1) * 8),
            0x08 => self.column = self.column.saturating_sub(1),
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _ignore: bool, action: char) {
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|p| p.first()).copied().map_or(0, usize::from);
        match action {
            'C' => self.move_to(self.column + first.max(1)),
            'D' => self.column = self.column.saturating_sub(first.max(1)),
            'G' => self.move_to(first.max(1) - 1),
            'K' => match first {
                0 => self.cells.truncate(self.column),
                1 => self.cells.iter_mut().take(self.column + 1).for_each(|c| *c = ' '),
                _ => self.cells.clear(),
            },
            'A' | 'B' | 'E' | 'F' | 'H' | 'J' | 'd' | 'f' => self.finish_if_any(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(bytes: &[u8]) -> Vec<String> {
        let mut plain = PlainText::default();
        let mut lines = plain.feed(bytes);
        lines.extend(plain.rest());
        lines
    }

    #[test]
    fn escapes_go_and_overwritten_lines_show_their_last_state() {
        assert_eq!(text(b"\x1b[1;31mred\x1b[0m\r\n\x1b]2;t\x07next\r\n"), ["red", "next"]);
        assert_eq!(text(b"10%\r50%\r100%\n"), ["100%"]);
        assert_eq!(text(b"long text\rab\x1b[K\n"), ["ab"]);
        assert_eq!(text(b"a\tb\x1b[3Cc\n"), ["a       b   c"]);
        assert_eq!(text(b"one\x1b[5;1Htwo"), ["one", "two"]);
        assert_eq!(text("\u{fc}\u{4f60}\n".as_bytes()), ["ü你"]);
        assert_eq!(text(b"bad \xff byte\n"), ["bad \u{fffd} byte"]);
    }

    proptest! {
        #[test]
        fn cutting_the_stream_changes_nothing_and_memory_is_bounded(
            bytes in proptest::collection::vec(prop_oneof![Just(0x1b), Just(b'['), Just(b'\n'), Just(b'\r'), Just(b'9'), Just(b'C'), any::<u8>()], 0..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(bytes.len() + 1);
            let mut plain = PlainText::default();
            let mut lines = plain.feed(&bytes[..cut]);
            lines.extend(plain.feed(&bytes[cut..]));
            lines.extend(plain.rest());
            prop_assert_eq!(lines, text(&bytes));
        }
    }
}
