//! Row 1: a file printed in an agent, end to end to WebSocket clients that want every byte; beside the same `cat` in a
//! bare PTY and in tmux alone. The bytes are compared.

use std::io::Write;
use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;

use crate::Scale;
use crate::harness::{Session, Up, ok, until};
use crate::pty::{Pty, Tmux};
use crate::report::Report;

pub fn run(runtime: &Runtime, scale: Scale, report: &mut Report) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let printed = write_lines(file.as_file(), scale.output_bytes);
    let path = file.path().to_str().expect("a plain path");
    let megabytes = printed.bytes as f64 / 1e6;

    let started = Instant::now();
    assert_eq!(Pty::spawn(&["cat", path]).drain(), printed.bytes, "a bare PTY prints every byte");
    let bare = megabytes / started.elapsed().as_secs_f64();

    let tmux = Tmux::new("output");
    let started = Instant::now();
    let script = format!("cat '{path}'; tmux wait-for -S done");
    tmux.run(&["new-session", "-d", "-x", "120", "-y", "36", "sh", "-c", &script]);
    tmux.run(&["wait-for", "done"]);
    let alone = megabytes / started.elapsed().as_secs_f64();

    for &viewers in scale.viewers {
        let up = Up::start();
        let ours = megabytes / to_viewers(runtime, &up, path, &printed, viewers).as_secs_f64();
        let what = format!("output to {viewers} exact viewer{}", if viewers == 1 { "" } else { "s" });
        report.row(&what, "MB/s", ours, Some(("tmux alone", alone)));
        if viewers == 1 {
            report.row(&what, "MB/s", ours, Some(("bare PTY", bare)));
        }
    }
}

struct Printed {
    bytes: usize,
    digest: [u8; 32],
}

/// Lines of a build log's length; what a terminal makes of them has CR LF.
fn write_lines(file: &std::fs::File, bytes: usize) -> Printed {
    let mut out = std::io::BufWriter::new(file);
    let mut digest = Sha256::new();
    let (mut written, mut printed, mut n) = (0, 0, 0u64);
    while written < bytes {
        let line = format!("\x1b[32m   Compiling\x1b[0m crate-{n:08} v0.{}.{} (registry) {:x}", n % 90, n % 7, n * n);
        out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).expect("a temporary file takes bytes");
        digest.update(line.as_bytes());
        digest.update(b"\r\n");
        written += line.len() + 1;
        printed += line.len() + 2;
        n += 1;
    }
    out.flush().expect("a temporary file takes bytes");
    Printed { bytes: printed, digest: digest.finalize().into() }
}

fn to_viewers(runtime: &Runtime, up: &Up, path: &str, printed: &Printed, viewers: usize) -> Duration {
    let session = up.login();
    let agent = json!({
        "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "printer"},
        "spec": {"adapter": "command", "log": {"maxBytes": "4Gi"},
                 "command": ["sh", "-c", format!("stty -echo; printf READY; read go; cat '{path}'; sleep 600")]},
    });
    create(up, &agent);
    let expected = printed.bytes;
    runtime.block_on(async {
        let mut waiting = tokio::task::JoinSet::new();
        let ready = std::sync::Arc::new(tokio::sync::Barrier::new(viewers + 1));
        for _ in 0..viewers {
            let socket = up.terminal(&session, "printer", "offset=0&exact=true").await;
            waiting.spawn(read_all(socket, expected, ready.clone()));
        }
        ready.wait().await;
        let mut typist = up.terminal(&session, "printer", "").await;
        let started = Instant::now();
        typist.send(Message::binary(b"\n".to_vec())).await.expect("a keystroke");
        while let Some(read) = waiting.join_next().await {
            assert_eq!(read.expect("a viewer"), printed.digest, "every viewer gets every byte");
        }
        started.elapsed()
    })
}

/// Reads the bytes after READY as they come, acknowledging them; returns their digest.
async fn read_all(
    mut socket: crate::harness::Socket,
    expected: usize,
    ready: std::sync::Arc<tokio::sync::Barrier>,
) -> [u8; 32] {
    let mut digest = Sha256::new();
    let (mut prompt, mut seen, mut acknowledged, mut begun) = (Vec::new(), 0, 0, false);
    while seen < expected {
        let message = socket.next().await.expect("the terminal stays").expect("the terminal stays");
        let Message::Binary(frame) = message else { continue };
        let (offset, bytes) = frame.split_at(8);
        let offset = u64::from_be_bytes(offset.try_into().expect("eight bytes"));
        if begun {
            digest.update(bytes);
            seen += bytes.len();
        } else {
            prompt.extend_from_slice(bytes);
            if prompt.ends_with(b"READY") {
                begun = true;
                ready.wait().await;
            }
        }
        let head = offset + bytes.len() as u64;
        if head - acknowledged > 64 << 10 {
            acknowledged = head;
            let ack = json!({"type": "ack", "offset": head}).to_string();
            socket.send(Message::text(ack)).await.expect("the terminal stays");
        }
    }
    digest.finalize().into()
}

/// Applies an object with kubectl and waits for Ready.
pub fn create(up: &Up, object: &Value) {
    let file = up.home.path().join("object.json");
    std::fs::write(&file, object.to_string()).expect("the home takes a file");
    ok(up.kubectl(&["apply", "-f", file.to_str().expect("a plain path")]));
    let name = object["metadata"]["name"].as_str().expect("a name");
    let ready = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    until(&format!("agent {name} Ready"), || {
        let status = ok(up.kubectl(&["get", "agent", name, "-o", ready]));
        if status == "True" { Ok(()) } else { Err(status) }
    });
}

/// A terminal that has said `word`.
pub async fn opened(up: &Up, session: &Session, agent: &str, word: &[u8]) -> crate::harness::Socket {
    let mut socket = up.terminal(session, agent, "offset=0").await;
    let mut seen = Vec::new();
    while !seen.windows(word.len()).any(|w| w == word) {
        match socket.next().await.expect("the terminal stays").expect("the terminal stays") {
            Message::Binary(frame) => seen.extend_from_slice(&frame[8..]),
            Message::Text(text) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                if message["type"] == "snapshot" {
                    use base64::Engine;
                    let bytes = message["bytes"].as_str().expect("bytes");
                    seen.extend(base64::engine::general_purpose::STANDARD.decode(bytes).expect("base64"));
                }
            }
            _ => {}
        }
    }
    socket
}
