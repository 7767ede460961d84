//! Turns what somebody sends into bytes for the command: a line, a paste, named keys, or raw bytes. Pure; which terminal
//! modes hold is handed in.

/// How the data is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Text and the submit key.
    Line,
    Paste,
    /// Names such as `C-c`, `Up` or `Enter`, separated by commas or blanks.
    Keys,
    Raw,
}

/// The modes of the command's terminal that change what is sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terminal {
    pub bracketed_paste: bool,
    pub application_cursor: bool,
}

/// The parts to type one after the other, with a pause between: a program takes text and submit key that arrive together
/// for a paste, and does not submit.
pub fn parts(mode: Mode, data: &[u8], terminal: Terminal) -> Result<Vec<Vec<u8>>, String> {
    Ok(match mode {
        Mode::Raw => vec![data.to_vec()],
        Mode::Paste => vec![paste(data, terminal)],
        Mode::Line => {
            let text = data.strip_suffix(b"\n").unwrap_or(data);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            let typed = if text.contains(&b'\n') { paste(text, terminal) } else { plain(text) };
            [typed, b"\r".to_vec()].into_iter().filter(|part| !part.is_empty()).collect()
        }
        Mode::Keys => {
            let text = std::str::from_utf8(data).map_err(|_| "key names must be UTF-8".to_owned())?;
            let names = text.split([',', ' ', '\n']).filter(|name| !name.is_empty());
            let keys: Result<Vec<Vec<u8>>, String> = names.map(|name| key(name, terminal)).collect();
            vec![keys?.concat()]
        }
    })
}

/// Text without anything that a terminal would take for a command, the end of a paste above all.
fn plain(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|b| *b >= 0x20 && *b != 0x7f || matches!(b, b'\t' | b'\n')).collect()
}

fn paste(text: &[u8], terminal: Terminal) -> Vec<u8> {
    let text = plain(text);
    if terminal.bracketed_paste {
        [b"\x1b[200~".as_slice(), &text, b"\x1b[201~"].concat()
    } else {
        text.into_iter().map(|b| if b == b'\n' { b'\r' } else { b }).collect()
    }
}

fn key(name: &str, terminal: Terminal) -> Result<Vec<u8>, String> {
    if let Some(rest) = name.strip_prefix("M-").filter(|rest| !rest.is_empty()) {
        return Ok([b"\x1b".to_vec(), key(rest, terminal)?].concat());
    }
    if let Some(rest) =
        name.strip_prefix("C-").or_else(|| name.strip_prefix('^')).filter(|rest| rest.chars().count() == 1)
    {
        let c = rest.as_bytes()[0].to_ascii_uppercase();
        return match c {
            b'@'..=b'_' => Ok(vec![c & 0x1f]),
            b'?' => Ok(vec![0x7f]),
            _ => Err(format!("{name:?} is no control character")),
        };
    }
    let introducer = if terminal.application_cursor { "\x1bO" } else { "\x1b[" };
    let cursor = |letter: &str| format!("{introducer}{letter}").into_bytes();
    Ok(match name {
        "Enter" | "Return" => b"\r".to_vec(),
        "Escape" | "Esc" => b"\x1b".to_vec(),
        "Tab" => b"\t".to_vec(),
        "BTab" | "S-Tab" => b"\x1b[Z".to_vec(),
        "Space" | "C-Space" => vec![if name == "Space" { b' ' } else { 0 }],
        "BSpace" | "Backspace" => b"\x7f".to_vec(),
        "Comma" => b",".to_vec(),
        "Up" => cursor("A"),
        "Down" => cursor("B"),
        "Right" => cursor("C"),
        "Left" => cursor("D"),
        "Home" => cursor("H"),
        "End" => cursor("F"),
        "IC" | "Insert" => b"\x1b[2~".to_vec(),
        "DC" | "Delete" => b"\x1b[3~".to_vec(),
        "PPage" | "PageUp" | "PgUp" => b"\x1b[5~".to_vec(),
        "NPage" | "PageDown" | "PgDn" => b"\x1b[6~".to_vec(),
        "F1" => b"\x1bOP".to_vec(),
        "F2" => b"\x1bOQ".to_vec(),
        "F3" => b"\x1bOR".to_vec(),
        "F4" => b"\x1bOS".to_vec(),
        "F5" => b"\x1b[15~".to_vec(),
        "F6" => b"\x1b[17~".to_vec(),
        "F7" => b"\x1b[18~".to_vec(),
        "F8" => b"\x1b[19~".to_vec(),
        "F9" => b"\x1b[20~".to_vec(),
        "F10" => b"\x1b[21~".to_vec(),
        "F11" => b"\x1b[23~".to_vec(),
        "F12" => b"\x1b[24~".to_vec(),
        one if one.chars().count() == 1 => one.as_bytes().to_vec(),
        other => {
            return Err(format!(
                "unknown key {other:?}; known are single characters, C-x, M-x, Enter, Escape, Tab, BTab, Space, Backspace, Comma, \
                 Up, Down, Left, Right, Home, End, PageUp, PageDown, Insert, Delete, F1 to F12"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Terminal = Terminal { bracketed_paste: false, application_cursor: false };
    const MODERN: Terminal = Terminal { bracketed_paste: true, application_cursor: true };

    #[test]
    fn a_line_is_text_then_the_submit_key_by_itself() {
        assert_eq!(parts(Mode::Line, b"hello\n", MODERN).unwrap(), [b"hello".to_vec(), b"\r".to_vec()]);
        assert_eq!(parts(Mode::Line, b"", PLAIN).unwrap(), [b"\r".to_vec()]);
        assert_eq!(parts(Mode::Line, b"a\nb", MODERN).unwrap(), [b"\x1b[200~a\nb\x1b[201~".to_vec(), b"\r".to_vec()]);
        assert_eq!(parts(Mode::Line, b"a\nb", PLAIN).unwrap(), [b"a\rb".to_vec(), b"\r".to_vec()]);
    }

    #[test]
    fn a_paste_cannot_end_itself() {
        let typed = parts(Mode::Paste, b"x\x1b[201~\rrm -rf\x03", MODERN).unwrap();
        assert_eq!(typed, [b"\x1b[200~x[201~rm -rf\x1b[201~".to_vec()]);
    }

    #[test]
    fn keys_have_names_and_follow_the_cursor_mode() {
        assert_eq!(parts(Mode::Keys, b"C-c,Up M-x", PLAIN).unwrap(), [b"\x03\x1b[A\x1bx".to_vec()]);
        assert_eq!(parts(Mode::Keys, b"Up", MODERN).unwrap(), [b"\x1bOA".to_vec()]);
        assert!(parts(Mode::Keys, b"Hyper-Q", PLAIN).unwrap_err().contains("unknown key"));
    }

    #[test]
    fn raw_bytes_stay_as_they_are() {
        assert_eq!(parts(Mode::Raw, b"\0\xff\x1b", PLAIN).unwrap(), [b"\0\xff\x1b".to_vec()]);
    }
}
