//! Follows terminal output just closely enough to see reports (OSC strings, the bell) and to know whether it stands
//! between two sequences. It never changes a byte and keeps no screen; what a sequence does is other people's business.

use super::launch::EventKind;

/// A longer OSC string is somebody's image or clipboard, not a report.
const MAX_REPORT: usize = 4096;
/// How much of a report's text is kept.
const MAX_TEXT: usize = 1024;
/// The answer to `OSC 7501 ; ?`: this terminal understands Program Status.
pub const STATUS_ANSWER: &[u8] = b"\x1b]7501;?\x1b\\";

const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ground,
    /// Inside a UTF-8 character that lacks so many bytes.
    Char(u8),
    Escape,
    EscapeIntermediate,
    Csi,
    Osc,
    /// DCS, SOS, PM, APC: skipped to their end.
    OtherString,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Report<'a> {
    Osc(&'a [u8]),
    Bell,
}

/// Carries the state from one piece of output to the next.
pub struct Scanner {
    state: State,
    osc: Vec<u8>,
    osc_overflow: bool,
    open: usize,
}

impl Default for Scanner {
    fn default() -> Scanner {
        Scanner { state: State::Ground, osc: Vec::new(), osc_overflow: false, open: 0 }
    }
}

impl Scanner {
    /// How many of the bytes fed last belong to a sequence or character that has not ended yet.
    pub fn open_bytes(&self) -> usize {
        self.open
    }

    /// Calls `report` with each report and the index in `bytes` just behind it.
    pub fn feed(&mut self, bytes: &[u8], mut report: impl FnMut(usize, Report<'_>)) {
        // Where the open sequence began; it may have begun in an earlier piece.
        let mut began = None;
        let carried = self.open;
        let mut at = 0;
        while at < bytes.len() {
            if self.state == State::Ground {
                at += bytes[at..].iter().position(|b| interesting(*b)).unwrap_or(bytes.len() - at);
                if at == bytes.len() {
                    break;
                }
                began = Some(at);
            }
            let byte = bytes[at];
            if matches!(self.state, State::Char(_)) && byte & 0xc0 != 0x80 {
                // The character was cut short; this byte is a new beginning.
                self.state = State::Ground;
                continue;
            }
            at += 1;
            self.step(byte, at, &mut report);
        }
        self.open = match (self.state, began) {
            (State::Ground, _) => 0,
            (_, Some(began)) => bytes.len() - began,
            (_, None) => carried + bytes.len(),
        };
    }

    fn step(&mut self, byte: u8, behind: usize, report: &mut impl FnMut(usize, Report<'_>)) {
        self.state = match (self.state, byte) {
            (State::Osc, BEL) => {
                self.finish_osc(behind, report);
                State::Ground
            }
            (State::Osc, ESC) => State::Escape,
            (State::Escape, b'\\') => {
                self.finish_osc(behind, report);
                State::Ground
            }
            (_, 0x18 | 0x1a) => {
                self.forget_osc();
                State::Ground
            }
            (_, ESC) => {
                self.forget_osc();
                State::Escape
            }
            (State::Ground, BEL) => {
                report(behind, Report::Bell);
                State::Ground
            }
            (State::Ground, 0xc2..=0xdf) => State::Char(1),
            (State::Ground, 0xe0..=0xef) => State::Char(2),
            (State::Ground, 0xf0..=0xf4) => State::Char(3),
            (State::Ground, _) | (State::Char(0 | 1), _) => State::Ground,
            (State::Char(lacks), _) => State::Char(lacks - 1),
            (State::Escape, first) => {
                self.forget_osc();
                match first {
                    b'[' => State::Csi,
                    b']' => State::Osc,
                    b'P' | b'X' | b'^' | b'_' => State::OtherString,
                    b' '..=b'/' => State::EscapeIntermediate,
                    // A control inside a sequence is executed and the sequence goes on.
                    0x00..=0x1f => {
                        if first == BEL {
                            report(behind, Report::Bell);
                        }
                        State::Escape
                    }
                    _ => State::Ground,
                }
            }
            (within @ (State::EscapeIntermediate | State::Csi), BEL) => {
                report(behind, Report::Bell);
                within
            }
            (State::EscapeIntermediate, 0x30..=0x7e) | (State::Csi, 0x40..=0x7e) => State::Ground,
            (State::Osc, byte) => {
                if self.osc.len() < MAX_REPORT {
                    self.osc.push(byte);
                } else {
                    self.osc_overflow = true;
                }
                State::Osc
            }
            (state @ (State::EscapeIntermediate | State::Csi | State::OtherString), _) => state,
        };
    }

    fn finish_osc(&mut self, behind: usize, report: &mut impl FnMut(usize, Report<'_>)) {
        if !self.osc.is_empty() && !self.osc_overflow {
            report(behind, Report::Osc(&self.osc));
        }
        self.forget_osc();
    }

    fn forget_osc(&mut self) {
        self.osc.clear();
        self.osc.shrink_to(256);
        self.osc_overflow = false;
    }
}

/// Everything that takes the scanner out of plain text.
fn interesting(byte: u8) -> bool {
    byte == ESC || byte == BEL || byte >= 0xc2
}

/// What an OSC string reports, if it is one of those worth an event.
pub fn interpret(osc: &[u8]) -> Option<(EventKind, String)> {
    let split = osc.iter().position(|b| *b == b';')?;
    let (number, rest) = (&osc[..split], &osc[split + 1..]);
    match number {
        b"7501" if rest == b"?" => Some((EventKind::StatusQuery, String::new())),
        b"7501" => Some((EventKind::Status, plain(rest))),
        b"0" | b"2" => Some((EventKind::Title, plain(rest))),
        // `9;4;…` is a progress bar, redrawn many times a second.
        b"9" if rest.starts_with(b"4;") => None,
        b"9" | b"99" | b"777" => Some((EventKind::Notification, plain(osc))),
        b"133" => Some((EventKind::Prompt, plain(rest))),
        _ => None,
    }
}

/// Text that cannot drive anybody's terminal: controls removed, invalid UTF-8 replaced, a sane length.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > MAX_TEXT {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reports with their absolute offsets, for `bytes` fed in the given pieces.
    fn scan(pieces: &[&[u8]]) -> Vec<(usize, String)> {
        let mut scanner = Scanner::default();
        let mut found = Vec::new();
        let mut base = 0;
        for piece in pieces {
            scanner.feed(piece, |behind, report| {
                let text = match report {
                    Report::Bell => "bell".to_owned(),
                    Report::Osc(osc) => String::from_utf8_lossy(osc).into_owned(),
                };
                found.push((base + behind, text));
            });
            base += piece.len();
        }
        found
    }

    #[test]
    fn reports_are_found_wherever_the_stream_is_cut() {
        let stream = "a\x1b]7501;?\x1b\\b\x1b]2;héllo\x07\x07c\x1b[31mü\x1b]133;D;0\x1b\\\x1bPtmux;\x1b\x1b]9;hi\x07\x1b\\\x1b[c€".as_bytes();
        let whole = scan(&[stream]);
        let texts: Vec<&str> = whole.iter().map(|(_, t)| t.as_str()).collect();
        assert_eq!(texts, ["7501;?", "2;héllo", "bell", "133;D;0", "9;hi"]);
        for cut in 0..=stream.len() {
            assert_eq!(scan(&[&stream[..cut], &stream[cut..]]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(scan(&bytes), whole);
    }

    #[test]
    fn a_bell_that_ends_a_title_is_not_a_bell() {
        assert_eq!(scan(&[b"\x1b]0;t\x07"]), [(6, "0;t".to_owned())]);
    }

    #[test]
    fn an_escape_that_is_not_the_end_cancels_the_report() {
        assert_eq!(scan(&[b"\x1b]2;t\x1b[31mx\x07"]), [(12, "bell".to_owned())]);
        assert_eq!(scan(&[b"\x1b]2;t\x18\x07"]), [(7, "bell".to_owned())]);
    }

    #[test]
    fn an_endless_report_is_dropped_and_takes_no_memory() {
        let mut stream = b"\x1b]1337;".to_vec();
        stream.resize(1 << 20, b'x');
        stream.extend_from_slice(b"\x07\x1b]2;ok\x07");
        let found = scan(&[&stream]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, "2;ok");
    }

    #[test]
    fn open_bytes_count_the_unfinished_end() {
        let cases: [(&[u8], usize); 9] = [
            (b"plain", 0),
            (b"x\x1b", 1),
            (b"x\x1b[3", 3),
            (b"x\x1b[31m", 0),
            (b"x\x1b]2;ab", 6),
            (b"x\xe2\x82", 2),
            (b"x\xe2\x82\xac", 0),
            (b"\x1b(", 2),
            (b"\x1b(B", 0),
        ];
        for (bytes, open) in cases {
            for cut in 0..=bytes.len() {
                let mut scanner = Scanner::default();
                scanner.feed(&bytes[..cut], |_, _| {});
                scanner.feed(&bytes[cut..], |_, _| {});
                assert_eq!(scanner.open_bytes(), open, "{bytes:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn osc_strings_become_events_and_progress_bars_do_not() {
        assert_eq!(interpret(b"7501;?"), Some((EventKind::StatusQuery, String::new())));
        assert_eq!(interpret(b"7501;state=idle"), Some((EventKind::Status, "state=idle".into())));
        assert_eq!(interpret(b"2;a\tb"), Some((EventKind::Title, "ab".into())));
        assert_eq!(interpret(b"777;notify;t;b"), Some((EventKind::Notification, "777;notify;t;b".into())));
        assert_eq!(interpret(b"9;4;1;50"), None);
        assert_eq!(interpret(b"8;;http://x"), None);
        assert_eq!(interpret(b"junk"), None);
    }

    proptest! {
        #[test]
        fn cutting_never_changes_what_is_found(
            bytes in proptest::collection::vec(prop_oneof![Just(0x1b), Just(0x07), Just(b']'), Just(b'\\'), Just(b'['), Just(b'P'), Just(0x18), any::<u8>()], 0..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = cut.index(bytes.len() + 1);
            prop_assert_eq!(scan(&[&bytes]), scan(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
