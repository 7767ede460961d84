//! Frames on the shim's socket: one byte of type, four of length (big endian), the payload.
//! Output payloads begin with their offset in the very form that viewers get, so that a host passes them on unchanged.

use super::launch::{Event, ExitRecord, Welcome};

pub const HEADER: usize = 5;
/// The largest payload anyone may send; a longer one is a broken or hostile peer.
pub const MAX_PAYLOAD: usize = 1 << 20;
/// The largest piece of input in one frame.
pub const MAX_INPUT: usize = 64 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    TooLong { kind: u8, len: usize },
    Unknown(u8),
    Malformed { kind: u8, why: String },
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FrameError::TooLong { kind, len } => {
                write!(f, "frame of type {kind} announces {len} bytes, at most {MAX_PAYLOAD} are allowed")
            }
            FrameError::Unknown(kind) => write!(f, "unknown frame type {kind}"),
            FrameError::Malformed { kind, why } => write!(f, "malformed frame of type {kind}: {why}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Host → shim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToShim {
    /// Start (or start again, after Behind) pushing output; answered by Welcome.
    Hello,
    /// Bytes for the command. A nonzero `id` is answered by Taken once they are in the command's terminal, and one
    /// that was taken before is not typed again.
    Input {
        id: u64,
        bytes: Vec<u8>,
    },
    Resize {
        cols: u16,
        rows: u16,
    },
    /// To the command's process group.
    Signal(i32),
    /// TERM, then HUP, and after `grace_ms` KILL for the whole tree.
    Stop {
        grace_ms: u32,
    },
}

/// Shim → host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromShim {
    Welcome(Welcome),
    Output {
        offset: u64,
        bytes: Vec<u8>,
    },
    Event(Event),
    /// The connection was read too slowly: nothing from `head` on has been pushed. Read the log, say Hello again.
    Behind {
        head: u64,
    },
    /// The input `id` is in the command's terminal (`accepted`), or was refused because too much is waiting already.
    Taken {
        id: u64,
        accepted: bool,
    },
    /// The size of the command's terminal from `offset` on.
    Size {
        offset: u64,
        cols: u16,
        rows: u16,
    },
    Exit(ExitRecord),
}

pub mod kind {
    pub const HELLO: u8 = 1;
    pub const INPUT: u8 = 2;
    pub const RESIZE: u8 = 3;
    pub const SIGNAL: u8 = 4;
    pub const STOP: u8 = 5;
    pub const WELCOME: u8 = 64;
    pub const OUTPUT: u8 = 65;
    pub const EVENT: u8 = 66;
    pub const BEHIND: u8 = 67;
    pub const TAKEN: u8 = 68;
    pub const SIZE: u8 = 69;
    pub const EXIT: u8 = 70;
}

pub fn header(kind: u8, len: usize) -> [u8; HEADER] {
    let len = u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes();
    [kind, len[0], len[1], len[2], len[3]]
}

/// Type and length of the frame that begins here, when its header is complete.
pub fn parse_header(bytes: &[u8]) -> Result<Option<(u8, usize)>, FrameError> {
    let Some((head, _)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if len > MAX_PAYLOAD {
        return Err(FrameError::TooLong { kind: head[0], len });
    }
    Ok(Some((head[0], len)))
}

fn frame(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(&header(kind, parts.iter().map(|p| p.len()).sum()));
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// The header of an Output frame together with its offset; the bytes follow.
pub fn output_header(offset: u64, len: usize) -> [u8; HEADER + 8] {
    let mut head = [0; HEADER + 8];
    head[..HEADER].copy_from_slice(&header(kind::OUTPUT, len + 8));
    head[HEADER..].copy_from_slice(&offset.to_be_bytes());
    head
}

impl ToShim {
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            ToShim::Hello => frame(kind::HELLO, &[], out),
            ToShim::Input { id, bytes } => frame(kind::INPUT, &[&id.to_be_bytes(), bytes], out),
            ToShim::Resize { cols, rows } => frame(kind::RESIZE, &[&cols.to_be_bytes(), &rows.to_be_bytes()], out),
            ToShim::Signal(signal) => frame(kind::SIGNAL, &[&signal.to_be_bytes()], out),
            ToShim::Stop { grace_ms } => frame(kind::STOP, &[&grace_ms.to_be_bytes()], out),
        }
    }

    pub fn parse(kind: u8, payload: &[u8]) -> Result<ToShim, FrameError> {
        Ok(match kind {
            kind::HELLO => ToShim::Hello,
            kind::INPUT => {
                let (id, bytes) = split_u64(kind, payload)?;
                ToShim::Input { id, bytes: bytes.to_vec() }
            }
            kind::RESIZE => {
                let b = exactly::<4>(kind, payload)?;
                ToShim::Resize { cols: u16::from_be_bytes([b[0], b[1]]), rows: u16::from_be_bytes([b[2], b[3]]) }
            }
            kind::SIGNAL => ToShim::Signal(i32::from_be_bytes(exactly(kind, payload)?)),
            kind::STOP => ToShim::Stop { grace_ms: u32::from_be_bytes(exactly(kind, payload)?) },
            other => return Err(FrameError::Unknown(other)),
        })
    }
}

impl FromShim {
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FromShim::Welcome(w) => frame(kind::WELCOME, &[&json(w)], out),
            FromShim::Output { offset, bytes } => {
                out.extend_from_slice(&output_header(*offset, bytes.len()));
                out.extend_from_slice(bytes);
            }
            FromShim::Event(event) => frame(kind::EVENT, &[&json(event)], out),
            FromShim::Behind { head } => frame(kind::BEHIND, &[&head.to_be_bytes()], out),
            FromShim::Taken { id, accepted } => frame(kind::TAKEN, &[&id.to_be_bytes(), &[u8::from(*accepted)]], out),
            FromShim::Size { offset, cols, rows } => {
                frame(kind::SIZE, &[&offset.to_be_bytes(), &cols.to_be_bytes(), &rows.to_be_bytes()], out)
            }
            FromShim::Exit(record) => frame(kind::EXIT, &[&json(record)], out),
        }
    }

    pub fn parse(kind: u8, payload: &[u8]) -> Result<FromShim, FrameError> {
        Ok(match kind {
            kind::WELCOME => FromShim::Welcome(from_json(kind, payload)?),
            kind::OUTPUT => {
                let (offset, bytes) = split_u64(kind, payload)?;
                FromShim::Output { offset, bytes: bytes.to_vec() }
            }
            kind::EVENT => FromShim::Event(from_json(kind, payload)?),
            kind::BEHIND => FromShim::Behind { head: u64::from_be_bytes(exactly(kind, payload)?) },
            kind::TAKEN => {
                let b = exactly::<9>(kind, payload)?;
                let (id, rest) = split_u64(kind, &b)?;
                FromShim::Taken { id, accepted: rest == [1] }
            }
            kind::SIZE => {
                let (offset, rest) = split_u64(kind, payload)?;
                let b = exactly::<4>(kind, rest)?;
                let (cols, rows) = (u16::from_be_bytes([b[0], b[1]]), u16::from_be_bytes([b[2], b[3]]));
                FromShim::Size { offset, cols, rows }
            }
            kind::EXIT => FromShim::Exit(from_json(kind, payload)?),
            other => return Err(FrameError::Unknown(other)),
        })
    }
}

fn json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain structs of strings and numbers always serialise")
}

fn from_json<T: serde::de::DeserializeOwned>(kind: u8, payload: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(payload).map_err(|e| FrameError::Malformed { kind, why: e.to_string() })
}

fn exactly<const N: usize>(kind: u8, payload: &[u8]) -> Result<[u8; N], FrameError> {
    payload
        .try_into()
        .map_err(|_| FrameError::Malformed { kind, why: format!("{} bytes instead of {N}", payload.len()) })
}

fn split_u64(kind: u8, payload: &[u8]) -> Result<(u64, &[u8]), FrameError> {
    let (head, rest) = payload
        .split_first_chunk::<8>()
        .ok_or_else(|| FrameError::Malformed { kind, why: format!("{} bytes instead of 8 or more", payload.len()) })?;
    Ok((u64::from_be_bytes(*head), rest))
}

/// Collects bytes as they come and yields whole frames.
#[derive(Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl Decoder {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.taken = 0;
            // One long paste must not keep its memory for the life of the session.
            self.buffer.shrink_to(4096);
        } else if self.taken > 64 * 1024 {
            self.buffer.drain(..self.taken);
            self.taken = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame's type and payload.
    pub fn next_frame(&mut self) -> Result<Option<(u8, &[u8])>, FrameError> {
        let rest = &self.buffer[self.taken..];
        let Some((kind, len)) = parse_header(rest)? else { return Ok(None) };
        if rest.len() < HEADER + len {
            return Ok(None);
        }
        let start = self.taken + HEADER;
        self.taken = start + len;
        Ok(Some((kind, &self.buffer[start..start + len])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{EventKind, ExitReason};
    use proptest::prelude::*;

    fn samples() -> (Vec<ToShim>, Vec<FromShim>) {
        let to = vec![
            ToShim::Hello,
            ToShim::Input { id: 7, bytes: b"\x1b[A\0\xff".to_vec() },
            ToShim::Input { id: 0, bytes: vec![] },
            ToShim::Resize { cols: 80, rows: 24 },
            ToShim::Signal(15),
            ToShim::Stop { grace_ms: 10_000 },
        ];
        let from = vec![
            FromShim::Welcome(Welcome {
                uid: "u".into(),
                epoch: 3,
                pid: 4,
                shim_pid: 5,
                started: 6,
                first: 0,
                head: u64::MAX,
                cols: 80,
                rows: 24,
            }),
            FromShim::Output { offset: 1 << 40, bytes: b"hello".to_vec() },
            FromShim::Event(Event {
                offset: 1,
                time: 2,
                epoch: 3,
                kind: EventKind::Title,
                text: "t".into(),
                dropped: 0,
            }),
            FromShim::Behind { head: 9 },
            FromShim::Taken { id: 8, accepted: true },
            FromShim::Size { offset: 3, cols: 1, rows: 2 },
            FromShim::Exit(ExitRecord {
                epoch: 1,
                code: Some(0),
                signal: None,
                reason: ExitReason::Exited,
                message: None,
                started: 1,
                ended: 2,
                final_offset: 3,
            }),
        ];
        (to, from)
    }

    #[test]
    fn frames_survive_being_cut_at_every_byte() {
        let (to, from) = samples();
        let mut stream = Vec::new();
        to.iter().for_each(|f| f.encode(&mut stream));
        from.iter().for_each(|f| f.encode(&mut stream));
        for cut in 0..=stream.len() {
            let mut decoder = Decoder::default();
            let (mut got_to, mut got_from) = (Vec::new(), Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                decoder.push(part);
                while let Some((kind, payload)) = decoder.next_frame().unwrap() {
                    if kind < 64 {
                        got_to.push(ToShim::parse(kind, payload).unwrap());
                    } else {
                        got_from.push(FromShim::parse(kind, payload).unwrap());
                    }
                }
            }
            assert_eq!((&got_to, &got_from), (&to, &from), "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_that_announces_too_much_is_refused_before_it_is_stored() {
        let mut decoder = Decoder::default();
        decoder.push(&[kind::INPUT, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some((kind, payload))) = decoder.next_frame() {
                let _ = ToShim::parse(kind, payload);
                let _ = FromShim::parse(kind, payload);
            }
        }
    }
}
