//! What an agent's terminal shows now: one grid without scrollback, fed from the output, able to write itself down as
//! escape sequences. Never on the path of a keystroke, and never answers a query: that is for the terminal the command has.

use crate::wire::scan::Scanner;
use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::Dimensions;
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::term::{Config, Term, TermMode};
use alacritty_terminal::vte::ansi::{
    Attr, CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, Hyperlink, KeyboardModes,
    KeyboardModesApplyBehavior, LineClearMode, Mode, ModifyOtherKeys, PrivateMode, Processor, Rgb, StandardCharset,
    TabulationClearMode, Timeout,
};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A sequence that has not ended after so many bytes is given up: the parser would keep all of it.
const LONGEST_SEQUENCE: usize = 1 << 20;
/// Larger than any display, small enough that a grid cannot exhaust memory.
const LARGEST: u16 = 1000;

pub struct Screen {
    pub(super) state: Tracked,
    parser: Processor<Unsynchronised>,
    scanner: Scanner,
    /// The beginning of a sequence that has not ended yet. A dump ends with it, so that what follows completes it.
    pub(super) unfinished: Vec<u8>,
}

impl Screen {
    pub fn new(cols: u16, rows: u16) -> Screen {
        Screen {
            state: Tracked::new(Size::new(cols, rows)),
            parser: Processor::new(),
            scanner: Scanner::default(),
            unfinished: Vec::new(),
        }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        // The terminal library is not ours and its input is hostile: a panic costs this picture, never the host.
        let fed = catch_unwind(AssertUnwindSafe(|| self.parser.advance(&mut self.state, bytes)));
        if fed.is_err() {
            let (cols, rows) = self.size();
            *self = Screen::new(cols, rows);
            return;
        }
        self.scanner.feed(bytes, |_, _| {});
        let open = self.scanner.open_bytes();
        if open > LONGEST_SEQUENCE {
            self.feed(b"\x18");
        } else if open > bytes.len() {
            self.unfinished.extend_from_slice(bytes);
        } else {
            self.unfinished.clear();
            self.unfinished.shrink_to(1024);
            self.unfinished.extend_from_slice(&bytes[bytes.len() - open..]);
        }
    }

    pub fn resize(&mut self, cols: u16, rows: u16) {
        let size = Size::new(cols, rows);
        if catch_unwind(AssertUnwindSafe(|| self.state.resize(size))).is_err() {
            *self = Screen::new(cols, rows);
        }
    }

    pub fn size(&self) -> (u16, u16) {
        let narrow = |n: usize| u16::try_from(n).unwrap_or(LARGEST);
        (narrow(self.state.term.columns()), narrow(self.state.term.screen_lines()))
    }

    pub fn title(&self) -> &str {
        self.state.title.as_deref().unwrap_or_default()
    }

    pub fn bracketed_paste(&self) -> bool {
        self.state.term.mode().contains(TermMode::BRACKETED_PASTE)
    }

    pub fn application_cursor(&self) -> bool {
        self.state.term.mode().contains(TermMode::APP_CURSOR)
    }

    /// The last `count` lines, without the empty ones at the bottom.
    pub fn lines(&self, count: usize) -> Vec<String> {
        let grid = self.state.term.grid();
        let mut lines: Vec<String> = (0..grid.screen_lines()).map(|row| text_of(&grid[Line(row as i32)][..])).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.split_off(lines.len().saturating_sub(count))
    }

    /// Escape sequences that bring a fresh terminal of this size to this very state.
    pub fn dump(&mut self) -> Vec<u8> {
        super::screen_dump::dump(self)
    }
}

fn text_of(row: &[Cell]) -> String {
    let mut text = String::new();
    for cell in row {
        if cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER) {
            continue;
        }
        text.push(if cell.c.is_control() { ' ' } else { cell.c });
        text.extend(cell.zerowidth().into_iter().flatten());
    }
    text.truncate(text.trim_end().len());
    text
}

#[derive(Clone, Copy)]
pub struct Size {
    cols: usize,
    rows: usize,
}

impl Size {
    fn new(cols: u16, rows: u16) -> Size {
        // The library's grid needs two columns for a wide character.
        Size { cols: usize::from(cols.clamp(2, LARGEST)), rows: usize::from(rows.clamp(1, LARGEST)) }
    }
}

impl Dimensions for Size {
    fn total_lines(&self) -> usize {
        self.rows
    }
    fn screen_lines(&self) -> usize {
        self.rows
    }
    fn columns(&self) -> usize {
        self.cols
    }
}

/// Synchronised updates would hold bytes back; a picture that is read a few times a second does not need them.
#[derive(Default)]
struct Unsynchronised;

impl Timeout for Unsynchronised {
    fn set_timeout(&mut self, _: Duration) {}
    fn clear_timeout(&mut self) {}
    fn pending_timeout(&self) -> bool {
        false
    }
}

/// Kitty's keyboard flags of one screen: those that hold, and those to come back to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keyboard {
    pub flags: u8,
    pub stack: Vec<u8>,
}

/// The library's terminal, and beside it what it knows but does not tell.
pub struct Tracked {
    pub term: Term<VoidListener>,
    pub title: Option<String>,
    pub tabs: Vec<bool>,
    /// First row and the one behind the last.
    pub region: (usize, usize),
    pub charset: CharsetIndex,
    pub keyboard: Keyboard,
    pub other_keyboard: Keyboard,
    pub modify_other_keys: u8,
    pub extra_modes: BTreeSet<u16>,
}

/// Modes that the library does not know but viewers do: mouse encodings, colour scheme and size reports.
const EXTRA_MODES: [u16; 5] = [9, 1015, 1016, 2031, 2048];
const DEEPEST_KEYBOARD_STACK: usize = 16;

impl Tracked {
    fn new(size: Size) -> Tracked {
        // Kitty's protocol is followed here: the library's own stack handling can be made to panic.
        let config = Config { scrolling_history: 0, kitty_keyboard: false, ..Config::default() };
        Tracked {
            term: Term::new(config, &size, VoidListener),
            title: None,
            tabs: default_tabs(0, size.cols),
            region: (0, size.rows),
            charset: CharsetIndex::G0,
            keyboard: Keyboard::default(),
            other_keyboard: Keyboard::default(),
            modify_other_keys: 0,
            extra_modes: BTreeSet::new(),
        }
    }

    fn resize(&mut self, size: Size) {
        if size.cols == self.term.columns() && size.rows == self.term.screen_lines() {
            return;
        }
        self.term.resize(size);
        self.tabs.truncate(size.cols);
        self.tabs.extend(default_tabs(self.tabs.len(), size.cols));
        self.region = (0, size.rows);
    }

    pub fn alternate(&self) -> bool {
        self.term.mode().contains(TermMode::ALT_SCREEN)
    }
}

pub fn default_tabs(from: usize, to: usize) -> Vec<bool> {
    (from..to).map(|column| column % 8 == 0).collect()
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $kind:ty),*);)*) => {
        $(#[inline] fn $name(&mut self, $($arg: $kind),*) { Handler::$name(&mut self.term, $($arg),*) })*
    };
}

impl Handler for Tracked {
    pass_on! {
        set_cursor_style(style: Option<CursorStyle>); set_cursor_shape(shape: CursorShape); input(c: char);
        goto(line: i32, col: usize); goto_line(line: i32); goto_col(col: usize); insert_blank(n: usize); move_up(n: usize);
        move_down(n: usize); move_forward(n: usize); move_backward(n: usize); move_down_and_cr(n: usize); move_up_and_cr(n: usize);
        put_tab(n: u16); backspace(); carriage_return(); linefeed(); newline(); scroll_up(n: usize); scroll_down(n: usize);
        insert_blank_lines(n: usize); delete_lines(n: usize); erase_chars(n: usize); delete_chars(n: usize);
        move_backward_tabs(n: u16); move_forward_tabs(n: u16); save_cursor_position(); restore_cursor_position();
        clear_line(mode: LineClearMode); clear_screen(mode: ClearMode); reverse_index(); terminal_attribute(attr: Attr);
        set_mode(mode: Mode); unset_mode(mode: Mode); set_keypad_application_mode(); unset_keypad_application_mode();
        configure_charset(index: CharsetIndex, charset: StandardCharset); set_color(index: usize, color: Rgb);
        reset_color(index: usize); decaln(); set_hyperlink(link: Option<Hyperlink>);
    }

    fn set_title(&mut self, title: Option<String>) {
        self.title = title.map(|title| title.chars().filter(|c| !c.is_control()).take(256).collect());
    }

    fn set_horizontal_tabstop(&mut self) {
        let column = self.term.grid().cursor.point.column.0;
        if let Some(stop) = self.tabs.get_mut(column) {
            *stop = true;
        }
        Handler::set_horizontal_tabstop(&mut self.term);
    }

    fn clear_tabs(&mut self, mode: TabulationClearMode) {
        let column = self.term.grid().cursor.point.column.0;
        match (&mode, self.tabs.get_mut(column)) {
            (TabulationClearMode::All, _) => self.tabs.fill(false),
            (TabulationClearMode::Current, Some(stop)) => *stop = false,
            (TabulationClearMode::Current, None) => {}
        }
        Handler::clear_tabs(&mut self.term, mode);
    }

    fn set_scrolling_region(&mut self, top: usize, bottom: Option<usize>) {
        let rows = self.term.screen_lines();
        let wanted = bottom.unwrap_or(rows);
        if top < wanted {
            self.region = (top.saturating_sub(1).min(rows), wanted.min(rows));
        }
        Handler::set_scrolling_region(&mut self.term, top, bottom);
    }

    fn set_active_charset(&mut self, index: CharsetIndex) {
        self.charset = index;
        Handler::set_active_charset(&mut self.term, index);
    }

    fn reset_state(&mut self) {
        let size = Size { cols: self.term.columns(), rows: self.term.screen_lines() };
        Handler::reset_state(&mut self.term);
        self.title = None;
        self.tabs = default_tabs(0, size.cols);
        self.region = (0, size.rows);
        self.charset = CharsetIndex::G0;
        (self.keyboard, self.other_keyboard) = Default::default();
        self.modify_other_keys = 0;
        self.extra_modes.clear();
    }

    fn set_private_mode(&mut self, mode: PrivateMode) {
        self.private_mode(mode, true);
    }

    fn unset_private_mode(&mut self, mode: PrivateMode) {
        self.private_mode(mode, false);
    }

    fn push_keyboard_mode(&mut self, mode: KeyboardModes) {
        let keyboard = &mut self.keyboard;
        if keyboard.stack.len() == DEEPEST_KEYBOARD_STACK {
            keyboard.stack.remove(0);
        }
        keyboard.stack.push(mode.bits());
        keyboard.flags = mode.bits();
    }

    fn pop_keyboard_modes(&mut self, count: u16) {
        let keyboard = &mut self.keyboard;
        keyboard.stack.truncate(keyboard.stack.len().saturating_sub(usize::from(count)));
        keyboard.flags = keyboard.stack.last().copied().unwrap_or(0);
    }

    fn set_keyboard_mode(&mut self, mode: KeyboardModes, behavior: KeyboardModesApplyBehavior) {
        let flags = &mut self.keyboard.flags;
        match behavior {
            KeyboardModesApplyBehavior::Replace => *flags = mode.bits(),
            KeyboardModesApplyBehavior::Union => *flags |= mode.bits(),
            KeyboardModesApplyBehavior::Difference => *flags &= !mode.bits(),
        }
    }

    fn set_modify_other_keys(&mut self, mode: ModifyOtherKeys) {
        self.modify_other_keys = mode as u8;
    }
}

impl Tracked {
    fn private_mode(&mut self, mode: PrivateMode, on: bool) {
        let was_alternate = self.alternate();
        if EXTRA_MODES.contains(&mode.raw()) {
            if on {
                self.extra_modes.insert(mode.raw());
            } else {
                self.extra_modes.remove(&mode.raw());
            }
        }
        if mode.raw() == 3 {
            // DECCOLM, either way, makes the scrolling region the whole screen.
            self.region = (0, self.term.screen_lines());
        }
        if on {
            Handler::set_private_mode(&mut self.term, mode);
        } else {
            Handler::unset_private_mode(&mut self.term, mode);
        }
        if self.alternate() != was_alternate {
            std::mem::swap(&mut self.keyboard, &mut self.other_keyboard);
            if was_alternate {
                // What a full-screen program set for itself ends with it.
                self.other_keyboard = Keyboard::default();
            }
        }
    }
}

/// One cell by row and column, for those who look closely.
pub(super) fn cell(state: &Tracked, row: usize, column: usize) -> &Cell {
    &state.term.grid()[Line(i32::try_from(row).unwrap_or(0))][Column(column)]
}
