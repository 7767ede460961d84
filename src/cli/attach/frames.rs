//! What comes and goes over a terminal's WebSocket: protocol `regatta.terminal.v1`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub const PROTOCOL: &str = "regatta.terminal.v1";

/// What the host says.
#[derive(Debug, PartialEq)]
pub enum FromHost {
    Hello {
        uid: String,
        role: String,
    },
    /// The whole screen as it was at an offset.
    Snapshot {
        offset: u64,
        screen: Vec<u8>,
    },
    Output {
        offset: u64,
        bytes: Bytes,
    },
    /// The agent's command ended; a restart may follow.
    Exit {
        how: String,
    },
    /// The host ended the connection and says why.
    Close {
        code: u16,
        reason: String,
    },
    /// Sizes of other viewers, pongs: nothing that changes what is shown.
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
enum Text {
    Hello {
        uid: String,
        #[serde(default)]
        role: String,
    },
    Snapshot {
        offset: u64,
        bytes: String,
    },
    Exit(Ending),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Ending {
    code: Option<i64>,
    signal: Option<String>,
    message: Option<String>,
}

/// Reads one message; what breaks the protocol is an error in words.
pub fn read(message: Message) -> Result<FromHost, String> {
    match message {
        Message::Binary(mut bytes) => {
            let head: [u8; 8] =
                bytes.get(..8).and_then(|b| b.try_into().ok()).ok_or("the host sent output without an offset")?;
            let bytes = bytes.split_off(8);
            Ok(FromHost::Output { offset: u64::from_be_bytes(head), bytes })
        }
        Message::Text(text) => {
            let text: Text = serde_json::from_str(&text).map_err(|e| format!("the host sent unreadable JSON: {e}"))?;
            Ok(match text {
                Text::Hello { uid, role } => FromHost::Hello { uid, role },
                Text::Snapshot { offset, bytes } => {
                    let screen = STANDARD.decode(bytes).map_err(|e| format!("the host sent a broken snapshot: {e}"))?;
                    FromHost::Snapshot { offset, screen }
                }
                Text::Exit(ending) => FromHost::Exit { how: ending.words() },
                Text::Other => FromHost::Other,
            })
        }
        Message::Close(frame) => {
            let (code, reason) = frame.map_or((CloseCode::Status, String::new()), |f| (f.code, f.reason.to_string()));
            Ok(FromHost::Close { code: code.into(), reason })
        }
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(FromHost::Other),
    }
}

impl Ending {
    fn words(&self) -> String {
        let how = match (self.code, self.signal.as_deref()) {
            (_, Some(signal)) => format!("ended by {signal}"),
            (Some(0), None) => "finished".to_owned(),
            (Some(code), None) => format!("failed with exit code {code}"),
            (None, None) => "ended".to_owned(),
        };
        match self.message.as_deref() {
            Some(message) if !message.is_empty() => format!("{how}: {message}"),
            _ => how,
        }
    }
}

pub fn input(bytes: Vec<u8>) -> Message {
    Message::Binary(bytes.into())
}

pub fn ack(offset: u64) -> Message {
    Message::text(json!({"type": "ack", "offset": offset}).to_string())
}

pub fn resize(cols: u16, rows: u16) -> Message {
    Message::text(json!({"type": "resize", "cols": cols, "rows": rows}).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_carries_its_offset() {
        let message = Message::Binary(Bytes::from_static(b"\0\0\0\0\0\0\x01\x02hi"));
        assert_eq!(read(message), Ok(FromHost::Output { offset: 258, bytes: Bytes::from_static(b"hi") }));
        assert!(read(Message::Binary(Bytes::from_static(b"short"))).is_err());
    }

    #[test]
    fn a_snapshot_is_decoded_and_unknown_talk_is_ignored() {
        let snapshot = r#"{"type":"snapshot","offset":7,"cols":80,"rows":24,"bytes":"aGk="}"#;
        assert_eq!(read(Message::text(snapshot)), Ok(FromHost::Snapshot { offset: 7, screen: b"hi".to_vec() }));
        assert_eq!(read(Message::text(r#"{"type":"viewers","viewers":[]}"#)), Ok(FromHost::Other));
    }

    #[test]
    fn an_exit_is_said_in_words() {
        let how = |text: &str| match read(Message::text(text)) {
            Ok(FromHost::Exit { how }) => how,
            other => panic!("{other:?}"),
        };
        assert_eq!(how(r#"{"type":"exit","code":0}"#), "finished");
        assert_eq!(how(r#"{"type":"exit","code":3}"#), "failed with exit code 3");
        assert_eq!(how(r#"{"type":"exit","signal":"SIGKILL"}"#), "ended by SIGKILL");
    }
}
