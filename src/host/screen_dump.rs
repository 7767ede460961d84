//! Writes a screen down as escape sequences: cells, attributes, both buffers, cursors, modes, charsets, tab stops, scrolling
//! region, colours, title. Replayed into a fresh terminal of the same size it gives the same state, hidden parts included,
//! so that the bytes that follow mean the same to both.

use super::screen::{Keyboard, Screen, Tracked, cell, default_tabs};
use alacritty_terminal::grid::{Cursor, Dimensions};
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags, Hyperlink};
use alacritty_terminal::vte::ansi::{CharsetIndex, Color, CursorShape, NamedColor, StandardCharset};
use std::io::Write;

/// Whatever the terminal did before: the first buffer, plain attributes, no margins, an empty screen.
const CLEAN: &[u8] =
    b"\x1b[?1049l\x1b[r\x1b[?6l\x1b[4l\x1b[20l\x1b[?7h\x0f\x1b(B\x1b)B\x1b*B\x1b+B\x1b[0m\x1b]8;;\x1b\\\x1b[2J\x1b[H";

pub fn dump(screen: &mut Screen) -> Vec<u8> {
    let mut out = Pen { out: CLEAN.to_vec(), now: Cell::default() };
    let state = &mut screen.state;
    if state.alternate() {
        // The other buffer can only be reached by swapping, which clears this one: keep a copy meanwhile.
        let alternate = state.term.grid().clone();
        state.term.swap_alt();
        out.rows(state);
        let cursor = state.term.grid().cursor.clone();
        out.place(state, &cursor, 0);
        out.keyboard(&state.other_keyboard);
        state.term.swap_alt();
        *state.term.grid_mut() = alternate;
        out.raw(b"\x1b[?1049h");
        out.charsets(&Cursor::default());
        out.raw(b"\x1b[0m\x1b]8;;\x1b\\\x1b[2J\x1b[H");
        out.now = Cell::default();
    }
    out.rows(state);
    out.tabs(state);
    let saved = state.term.grid().saved_cursor.clone();
    out.place(state, &saved, 0);
    out.raw(b"\x1b7");
    out.charsets(&Cursor::default());
    let (top, bottom) = state.region;
    let origin = state.term.mode().contains(TermMode::ORIGIN);
    if (top, bottom) != (0, state.term.screen_lines()) {
        // A last row beyond the screen is cut to it, and unlike the row itself it allows a region of one row there.
        let last = if bottom == state.term.screen_lines() { 9999 } else { bottom };
        out.text(format_args!("\x1b[{};{last}r", top + 1));
    }
    if origin {
        out.raw(b"\x1b[?6h");
    }
    let cursor = state.term.grid().cursor.clone();
    out.place(state, &cursor, if origin { top } else { 0 });
    out.raw(if matches!(state.charset, CharsetIndex::G1) { b"\x0e" } else { b"\x0f" });
    out.modes(state);
    out.keyboard(&state.keyboard);
    out.colours_and_title(state);
    out.raw(&screen.unfinished);
    out.out
}

/// The output, and the attributes that hold at its end.
struct Pen {
    out: Vec<u8>,
    now: Cell,
}

impl Pen {
    fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    fn text(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a vector takes everything");
    }

    fn rows(&mut self, state: &Tracked) {
        let (rows, cols) = (state.term.screen_lines(), state.term.columns());
        let mut wrapped = false;
        for row in 0..rows {
            let wraps = row + 1 < rows && cell(state, row, cols - 1).flags.contains(Flags::WRAPLINE);
            let blank = Cell::default();
            let used = (0..cols).rev().find(|c| !same_look(cell(state, row, *c), &blank)).map_or(0, |last| last + 1);
            let until = if wraps { cols } else { used.max(usize::from(wrapped)) };
            if !wrapped && until > 0 {
                self.text(format_args!("\x1b[{};1H", row + 1));
            }
            let mut column = 0;
            while column < until {
                let leading = cell(state, row, column).flags.contains(Flags::LEADING_WIDE_CHAR_SPACER);
                if leading && wraps && column + 1 == cols && is_wide(state, row + 1, 0) {
                    // The wide character that follows makes this placeholder itself.
                    break;
                }
                column += self.cell(state, row, column);
            }
            wrapped = wraps;
        }
    }

    /// Prints the cell's character with its attributes; how many columns that took.
    fn cell(&mut self, state: &Tracked, row: usize, column: usize) -> usize {
        let this = cell(state, row, column);
        self.attributes(this);
        let wide = is_wide(state, row, column);
        // Half of a wide character, left over by an erasure, shows nothing.
        let orphan = !wide
            && this.flags.intersects(Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER);
        let c = if orphan || this.c.is_control() { ' ' } else { this.c };
        self.text(format_args!("{c}"));
        for mark in this.zerowidth().into_iter().flatten() {
            self.text(format_args!("{mark}"));
        }
        1 + usize::from(wide)
    }

    /// Cursor position, pending wrap, attributes and charsets; `above` rows are not counted (origin mode).
    fn place(&mut self, state: &Tracked, cursor: &Cursor<Cell>, above: usize) {
        let (row, mut column) = (usize::try_from(cursor.point.line.0).unwrap_or(0), cursor.point.column.0);
        let last = state.term.columns() - 1;
        let wraps = cursor.input_needs_wrap && column == last;
        if wraps && last > 0 && is_wide(state, row, last - 1) {
            column = last - 1;
        }
        self.text(format_args!("\x1b[{};{}H", row.saturating_sub(above) + 1, column + 1));
        if wraps {
            // Only printing in the last column makes the next character wrap.
            self.cell(state, row, column);
        }
        self.attributes(&cursor.template);
        self.charsets(cursor);
    }

    fn charsets(&mut self, cursor: &Cursor<Cell>) {
        let all =
            [(CharsetIndex::G0, b'('), (CharsetIndex::G1, b')'), (CharsetIndex::G2, b'*'), (CharsetIndex::G3, b'+')];
        for (index, letter) in all {
            let set = match cursor.charsets[index] {
                StandardCharset::Ascii => b'B',
                StandardCharset::SpecialCharacterAndLineDrawing => b'0',
            };
            self.raw(&[0x1b, letter, set]);
        }
    }

    fn attributes(&mut self, wanted: &Cell) {
        if same_attributes(&self.now, wanted) {
            return;
        }
        self.raw(b"\x1b[0");
        let flags = [
            (Flags::BOLD, "1"),
            (Flags::DIM, "2"),
            (Flags::ITALIC, "3"),
            (Flags::UNDERLINE, "4"),
            (Flags::DOUBLE_UNDERLINE, "4:2"),
            (Flags::UNDERCURL, "4:3"),
            (Flags::DOTTED_UNDERLINE, "4:4"),
            (Flags::DASHED_UNDERLINE, "4:5"),
            (Flags::INVERSE, "7"),
            (Flags::HIDDEN, "8"),
            (Flags::STRIKEOUT, "9"),
        ];
        for (flag, code) in flags {
            if wanted.flags.contains(flag) {
                self.text(format_args!(";{code}"));
            }
        }
        self.colour(wanted.fg, 30, 38);
        self.colour(wanted.bg, 40, 48);
        if let Some(colour) = wanted.underline_color() {
            self.colour(colour, 0, 58);
        }
        self.raw(b"m");
        if self.now.hyperlink() != wanted.hyperlink() {
            match wanted.hyperlink() {
                Some(link) => self.text(format_args!("\x1b]8;id={};{}\x1b\\", link.id(), link.uri())),
                None => self.raw(b"\x1b]8;;\x1b\\"),
            }
        }
        self.now = wanted.clone();
    }

    fn colour(&mut self, colour: Color, base: u16, extended: u16) {
        match colour {
            Color::Named(named) => match named as u16 {
                n @ 0..=7 if base > 0 => self.text(format_args!(";{}", base + n)),
                n @ 8..=15 if base > 0 => self.text(format_args!(";{}", base + 60 + n - 8)),
                // The default colours, which the leading reset has set already.
                _ => {}
            },
            Color::Indexed(n) => self.text(format_args!(";{extended};5;{n}")),
            Color::Spec(rgb) => self.text(format_args!(";{extended};2;{};{};{}", rgb.r, rgb.g, rgb.b)),
        }
    }

    /// Moves the cursor and prints nothing.
    fn tabs(&mut self, state: &Tracked) {
        if state.tabs == default_tabs(0, state.term.columns()) {
            return;
        }
        self.raw(b"\x1b[3g");
        for (column, _) in state.tabs.iter().enumerate().filter(|(_, stop)| **stop) {
            self.text(format_args!("\x1b[{}G\x1bH", column + 1));
        }
    }

    fn modes(&mut self, state: &Tracked) {
        let mode = state.term.mode();
        self.raw(b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1005l\x1b[?1006l");
        let modes = [
            (TermMode::APP_CURSOR, "?1"),
            (TermMode::LINE_WRAP, "?7"),
            (TermMode::SHOW_CURSOR, "?25"),
            (TermMode::FOCUS_IN_OUT, "?1004"),
            (TermMode::ALTERNATE_SCROLL, "?1007"),
            (TermMode::URGENCY_HINTS, "?1042"),
            (TermMode::BRACKETED_PASTE, "?2004"),
            (TermMode::INSERT, "4"),
            (TermMode::LINE_FEED_NEW_LINE, "20"),
        ];
        for (flag, number) in modes {
            self.text(format_args!("\x1b[{number}{}", if mode.contains(flag) { 'h' } else { 'l' }));
        }
        let exclusive = [
            (TermMode::MOUSE_REPORT_CLICK, "?1000"),
            (TermMode::MOUSE_DRAG, "?1002"),
            (TermMode::MOUSE_MOTION, "?1003"),
            (TermMode::UTF8_MOUSE, "?1005"),
            (TermMode::SGR_MOUSE, "?1006"),
        ];
        for (_, number) in exclusive.iter().filter(|(flag, _)| mode.contains(*flag)) {
            self.text(format_args!("\x1b[{number}h"));
        }
        for number in &state.extra_modes {
            self.text(format_args!("\x1b[?{number}h"));
        }
        self.raw(if mode.contains(TermMode::APP_KEYPAD) { b"\x1b=" } else { b"\x1b>" });
        if state.modify_other_keys > 0 {
            self.text(format_args!("\x1b[>4;{}m", state.modify_other_keys));
        }
        let style = state.term.cursor_style();
        let shape = match style.shape {
            CursorShape::Underline => 4,
            CursorShape::Beam => 6,
            CursorShape::Block | CursorShape::HollowBlock | CursorShape::Hidden => 2,
        };
        self.text(format_args!("\x1b[{} q", shape - u8::from(style.blinking)));
    }

    fn keyboard(&mut self, keyboard: &Keyboard) {
        for flags in &keyboard.stack {
            self.text(format_args!("\x1b[>{flags}u"));
        }
        if keyboard.stack.last().copied().unwrap_or(0) != keyboard.flags {
            self.text(format_args!("\x1b[={};1u", keyboard.flags));
        }
    }

    fn colours_and_title(&mut self, state: &Tracked) {
        let colours = state.term.colors();
        for index in 0..256 {
            if let Some(c) = colours[index] {
                self.text(format_args!("\x1b]4;{index};rgb:{:02x}/{:02x}/{:02x}\x1b\\", c.r, c.g, c.b));
            }
        }
        for (number, name) in [(10, NamedColor::Foreground), (11, NamedColor::Background), (12, NamedColor::Cursor)] {
            if let Some(c) = colours[name] {
                self.text(format_args!("\x1b]{number};rgb:{:02x}/{:02x}/{:02x}\x1b\\", c.r, c.g, c.b));
            }
        }
        if let Some(title) = &state.title {
            self.text(format_args!("\x1b]2;{title}\x1b\\"));
        }
    }
}

/// A wide character with its other half where it belongs.
fn is_wide(state: &Tracked, row: usize, column: usize) -> bool {
    column + 1 < state.term.columns()
        && cell(state, row, column).flags.contains(Flags::WIDE_CHAR)
        && cell(state, row, column + 1).flags.contains(Flags::WIDE_CHAR_SPACER)
}

/// Flags about the place in the grid, not about the look.
const LAYOUT: Flags =
    Flags::WRAPLINE.union(Flags::WIDE_CHAR).union(Flags::WIDE_CHAR_SPACER).union(Flags::LEADING_WIDE_CHAR_SPACER);

fn link(cell: &Cell) -> Option<Hyperlink> {
    cell.hyperlink()
}

fn same_attributes(a: &Cell, b: &Cell) -> bool {
    a.fg == b.fg
        && a.bg == b.bg
        && a.flags - LAYOUT == b.flags - LAYOUT
        && a.underline_color() == b.underline_color()
        && link(a) == link(b)
}

fn same_look(a: &Cell, b: &Cell) -> bool {
    let shown = |c: &Cell| if c.c.is_control() { ' ' } else { c.c };
    same_attributes(a, b)
        && shown(a) == shown(b)
        && a.zerowidth().unwrap_or_default() == b.zerowidth().unwrap_or_default()
        && (a.flags & LAYOUT) - Flags::WRAPLINE == (b.flags & LAYOUT) - Flags::WRAPLINE
}

#[cfg(test)]
mod tests {
    use super::*;
    use alacritty_terminal::index::Line;
    use proptest::prelude::*;

    /// Everything that shows or will matter, in a form that explains a difference.
    fn picture(screen: &Screen) -> Vec<String> {
        let state = &screen.state;
        let (rows, cols) = (state.term.screen_lines(), state.term.columns());
        let mut all = Vec::new();
        for row in 0..rows {
            for column in 0..cols {
                let this = cell(state, row, column);
                let wide = is_wide(state, row, column);
                let half = column > 0 && is_wide(state, row, column - 1);
                let odd = !wide
                    && this
                        .flags
                        .intersects(Flags::WIDE_CHAR | Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER);
                let c = if odd || this.c.is_control() { ' ' } else { this.c };
                if half {
                    continue;
                }
                all.push(format!(
                    "{row},{column}: {c:?} wide={wide} {}",
                    look(this, this.zerowidth().unwrap_or_default())
                ));
            }
        }
        let grid = state.term.grid();
        for (name, cursor) in [("cursor", &grid.cursor), ("saved", &grid.saved_cursor)] {
            all.push(format!(
                "{name} {:?} wrap={} {:?} {}",
                cursor.point,
                cursor.input_needs_wrap,
                cursor.charsets,
                look(&cursor.template, &[])
            ));
        }
        all.push(format!("{:?} {:?} {:?}", state.term.mode(), state.region, state.charset));
        all.push(format!("{:?} {:?} {:?} {:?}", state.title, state.tabs, state.keyboard, state.other_keyboard));
        all.push(format!("{} {:?} {:?}", state.modify_other_keys, state.extra_modes, state.term.cursor_style()));
        all.extend((0..269).filter_map(|i| state.term.colors()[i].map(|c| format!("colour {i} {c:?}"))));
        all
    }

    fn look(cell: &Cell, marks: &[char]) -> String {
        // Links without a name are numbered through the whole process.
        let named = |id: &str| (!id.ends_with("_alacritty")).then(|| id.to_owned());
        let link = cell.hyperlink().map(|l| (named(l.id()), l.uri().to_owned()));
        format!("{:?} {:?} {:?} {:?} {link:?} {marks:?}", cell.fg, cell.bg, cell.flags - LAYOUT, cell.underline_color())
    }

    fn replayed(screen: &mut Screen) -> Screen {
        let (cols, rows) = screen.size();
        let mut second = Screen::new(cols, rows);
        second.feed(&screen.dump());
        second
    }

    fn check(screen: &mut Screen) -> Screen {
        let before = picture(screen);
        let second = replayed(screen);
        assert_eq!(difference(&picture(screen), &before), [], "a dump changes nothing");
        assert_eq!(difference(&picture(&second), &before), []);
        second
    }

    fn difference(got: &[String], wanted: &[String]) -> Vec<(String, String)> {
        let longest = got.len().max(wanted.len());
        let at = |all: &[String], i: usize| all.get(i).cloned().unwrap_or_default();
        (0..longest).map(|i| (at(got, i), at(wanted, i))).filter(|(a, b)| a != b).collect()
    }

    #[test]
    fn a_screen_dumped_at_any_byte_continues_the_same() {
        let stream = "plain \x1b[1;31mred\x1b[0m \x1b[48;5;20mblue\x1b[K\r\n\x1b[4:3;58;2;1;2;3mcurl\x1b[m\x1b(0lqk\x1b(B\
            \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ wide 你好 e\u{301}\x1b]2;title\x07\x1b[2;5r\x1b[?6h\x1b[2;3Hin\x1b7\
            \x1b[?1049h\x1b[2J\x1b[5;5Halt\x1b[>1u\x1b[?2004h\x1b[?1002;1006h\x1b[?25l\x1b[3 q\x1b[?1h\x1b=\x1b[4h\x1b[?7l\
            0123456789012345678901234567890123456789\x1b[?7h\x1b[?1049l tail\x1b8\x1b[?6l\x1b[r\x1b[3;1Hend\x1b]11;rgb:10/20/30\x07"
            .as_bytes();
        for cut in 0..=stream.len() {
            let mut first = Screen::new(30, 6);
            first.feed(&stream[..cut]);
            let mut second = check(&mut first);
            first.feed(&stream[cut..]);
            second.feed(&stream[cut..]);
            assert_eq!(difference(&picture(&second), &picture(&first)), [], "cut at {cut}");
        }
    }

    #[test]
    fn lines_wrapped_by_the_terminal_stay_one_line_for_a_resize() {
        let mut first = Screen::new(10, 4);
        first.feed(b"0123456789abcdefghij\r\nnext");
        let mut second = replayed(&mut first);
        for screen in [&mut first, &mut second] {
            screen.resize(20, 4);
            assert_eq!(screen.lines(9), ["0123456789abcdefghij", "next"]);
        }
    }

    #[test]
    fn an_endless_sequence_is_given_up() {
        let mut screen = Screen::new(20, 3);
        screen.feed(b"\x1b]2;");
        for _ in 0..40 {
            screen.feed(&[b'x'; 64 * 1024]);
        }
        assert!(screen.unfinished.len() <= 1 << 20);
        screen.feed(b"\x07\x1b[2J\x1b[Hafter");
        assert_eq!(screen.lines(5), ["after"]);
    }

    #[test]
    fn the_last_lines_leave_out_the_empty_bottom() {
        let mut screen = Screen::new(20, 10);
        screen.feed("one\r\n\r\n你 three  \r\n".as_bytes());
        assert_eq!(screen.lines(12), ["one", "", "你 three"]);
        assert_eq!(screen.lines(1), ["你 three"]);
        assert_eq!(screen.state.term.grid()[Line(0)][alacritty_terminal::index::Column(0)].c, 'o');
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let csi = "\x1b\\[[0-9]{0,2}(;[0-9]{1,2})?[ABCDEFGHJKLMPSTXIZdfr@]";
        let sgr = "\x1b\\[(0|1|2|3|4|7|9|22|27|31|42|93|104|38;5;[0-9]{1,2}|48;2;1;2;3|4:3|58;5;3|59)m";
        let mode = "\x1b\\[\\?(1|6|7|25|1000|1002|1003|1004|1006|1049|2004|2031)[hl]";
        prop_oneof![
            6 => "[a-z0-9 ]{1,12}".prop_map(String::into_bytes),
            3 => csi.prop_map(String::into_bytes),
            3 => sgr.prop_map(String::into_bytes),
            2 => mode.prop_map(String::into_bytes),
            2 => "(\r|\n|\r\n|\t|\x08|\x0e|\x0f)".prop_map(String::into_bytes),
            1 => "(\x1b7|\x1b8|\x1bD|\x1bM|\x1bE|\x1bH|\x1b=|\x1b>|\x1b\\(0|\x1b\\(B|\x1b\\)0|\x1b#8|\x1bc|\x1b\\[3g|\x1b\\[4[hl]|\x1b\\[[0-6] q)".prop_map(String::into_bytes),
            1 => "\x1b\\[>[0-9]u|\x1b\\[<u|\x1b\\[=3;[123]u".prop_map(String::into_bytes),
            1 => "\x1b\\]([02];[a-z]{0,5}|8;;u|8;;|4;[0-9];rgb:11/22/33)\x07".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_dump_replayed_into_a_second_grid_is_the_same_screen(
            pieces in proptest::collection::vec(piece(), 0..60),
            rest in proptest::collection::vec(piece(), 0..20),
        ) {
            let mut first = Screen::new(20, 6);
            pieces.iter().for_each(|p| first.feed(p));
            // A cursor outside its margins in origin mode has no sequence that could put it there.
            let state = &first.state;
            let row = state.term.grid().cursor.point.line.0 as usize;
            prop_assume!(!state.term.mode().contains(TermMode::ORIGIN) || (state.region.0 <= row && row < state.region.1));
            // A back tab leaves a wrap pending in the middle of a line; no other sequence makes that state.
            let odd = |c: &Cursor<Cell>| c.input_needs_wrap && c.point.column.0 + 1 < state.term.columns();
            prop_assume!(!odd(&state.term.grid().cursor) && !odd(&state.term.grid().saved_cursor));
            let before = picture(&first);
            let mut second = replayed(&mut first);
            prop_assert_eq!(difference(&picture(&second), &before), []);
            for p in &rest {
                first.feed(p);
                second.feed(p);
            }
            prop_assert_eq!(difference(&picture(&second), &picture(&first)), []);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500), cols in 0u16..40, rows in 0u16..10) {
            let mut screen = Screen::new(20, 6);
            screen.feed(&bytes);
            screen.resize(cols, rows);
            let mut again = replayed(&mut screen);
            again.feed(&bytes);
        }
    }
}
