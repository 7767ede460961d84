//! Which escape sequences are a terminal's own answers. An agent's terminal answers its queries itself; the terminal of
//! somebody who watches answers them once more, and that answer must not be typed into the agent. Pure.

/// Whether this sequence was sent by the terminal rather than by a key, a mouse or a focus change.
pub fn is_reply(sequence: &[u8]) -> bool {
    match sequence {
        [0x1b, b']' | b'P' | b'_' | b'^' | b'X', ..] => true,
        [0x1b, b'[', parameters @ .., last] => is_csi_reply(parameters, *last),
        _ => false,
    }
}

fn is_csi_reply(parameters: &[u8], last: u8) -> bool {
    let mark = parameters.first().copied().filter(|b| matches!(b, b'<'..=b'?'));
    let dollar = parameters.ends_with(b"$");
    match (mark, last) {
        // Device attributes, device status, modes, kitty's flags, window reports.
        (Some(b'?' | b'>' | b'='), b'c') | (_, b'n') | (Some(b'?'), b'u' | b'R') => true,
        (None | Some(b'?'), b'y') => dollar,
        (None, b't') => true,
        (None, b'R') => is_cursor_position(parameters),
        _ => false,
    }
}

/// `CSI row ; column R`. F3 with a modifier looks like one in row 1 and columns 2 to 16; that stays a key.
fn is_cursor_position(parameters: &[u8]) -> bool {
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    let numbers = text.split_once(';').and_then(|(row, column)| Some((row.parse().ok()?, column.parse().ok()?)));
    numbers.is_some_and(|(row, column): (u16, u16)| row != 1 || !(2..=16).contains(&column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminals_answers_are_known_by_their_shape() {
        let replies: [&[u8]; 14] = [
            b"\x1b[?62;22c",
            b"\x1b[>41;354;0c",
            b"\x1b[24;80R",
            b"\x1b[1;1R",
            b"\x1b[?24;80R",
            b"\x1b[0n",
            b"\x1b[?997;1n",
            b"\x1b[?2026;2$y",
            b"\x1b[4;2$y",
            b"\x1b[?1u",
            b"\x1b[8;24;80t",
            b"\x1b]11;rgb:0000/0000/0000\x1b\\",
            b"\x1bP>|xterm(390)\x1b\\",
            b"\x1b_Gi=31;OK\x1b\\",
        ];
        for reply in replies {
            assert!(is_reply(reply), "{}", String::from_utf8_lossy(reply));
        }
    }

    #[test]
    fn keys_mouse_and_focus_are_no_answers() {
        let keys: [&[u8]; 13] = [
            b"\x1b[A",
            b"\x1b[1;5A",
            b"\x1b[3~",
            b"\x1b[15;2~",
            b"\x1b[1;5R",
            b"\x1b[98;5u",
            b"\x1b[27;5;98~",
            b"\x1b[<0;10;20M",
            b"\x1b[<0;10;20m",
            b"\x1b[M !!",
            b"\x1b[I",
            b"\x1bOR",
            b"\x1bb",
        ];
        for key in keys {
            assert!(!is_reply(key), "{}", String::from_utf8_lossy(key));
        }
    }
}
