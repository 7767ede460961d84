//! Row 2: a keystroke there and back, alone and beside an agent that floods; beside a bare PTY, and tmux with a process
//! for each key.

use std::time::Instant;

use futures::{SinkExt, StreamExt};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;

use crate::Scale;
use crate::harness::{Socket, Up};
use crate::output::{create, opened};
use crate::pty::{Pty, Tmux};
use crate::report::{Report, percentile};

/// Echoes each byte by itself, as a program in raw mode does.
pub const ECHO: &str = "stty raw -echo; printf READY; exec cat";

pub fn run(runtime: &Runtime, scale: Scale, report: &mut Report) {
    let mut pty = Pty::spawn(&["sh", "-c", ECHO]);
    pty.expect("READY");
    let mut bare = sample(scale.keys, || pty.echo());

    let tmux = Tmux::new("echo");
    tmux.run(&["new-session", "-d", "-s", "echo", "-x", "120", "-y", "36", "sh", "-c", ECHO]);
    let mut typed = 0;
    let mut by_tmux = sample(scale.keys / 10, || {
        tmux.run(&["send-keys", "-t", "=echo:", "x"]);
        typed += 1;
        while tmux.run(&["capture-pane", "-p", "-t", "=echo:"]).iter().filter(|b| **b == b'x').count() < typed {}
    });

    let up = Up::start();
    let session = up.login();
    for (name, script) in [("echo", ECHO), ("flood", "sleep 2; exec yes")] {
        create(
            &up,
            &json!({
                "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": name},
                "spec": {"adapter": "command", "command": ["sh", "-c", if name == "flood" { "read go; exec yes" } else { script }]},
            }),
        );
    }
    let mut socket = runtime.block_on(opened(&up, &session, "echo", b"READY"));
    let mut ours = sample(scale.keys, || runtime.block_on(echo(&mut socket)));
    let p50 = percentile(&mut bare, 0.5);
    report.row("echo p50", "us", percentile(&mut ours, 0.5), Some(("bare PTY", p50)));
    report.row("echo p99", "us", percentile(&mut ours, 0.99), Some(("bare PTY", percentile(&mut bare, 0.99))));
    report.row(
        "echo p50",
        "us",
        percentile(&mut ours, 0.5),
        Some(("tmux send+capture", percentile(&mut by_tmux, 0.5))),
    );

    // The flood is watched, too: that is what could get in the way.
    let mut flood = runtime.block_on(up.terminal(&session, "flood", ""));
    runtime.block_on(flood.send(Message::binary(b"\r".to_vec()))).expect("a keystroke");
    let watcher = runtime.spawn(async move {
        let mut acknowledged = 0;
        while let Some(Ok(message)) = flood.next().await {
            if let Message::Binary(frame) = message {
                let head = u64::from_be_bytes(frame[..8].try_into().expect("eight bytes")) + frame.len() as u64 - 8;
                if head > acknowledged + (64 << 10) {
                    acknowledged = head;
                    let ack = json!({"type": "ack", "offset": head}).to_string();
                    if flood.send(Message::text(ack)).await.is_err() {
                        break;
                    }
                }
            }
        }
    });
    let mut beside = Pty::spawn(&["sh", "-c", ECHO]);
    beside.expect("READY");
    let mut bare_flooded = sample(scale.keys, || beside.echo());
    let mut flooded = sample(scale.keys, || runtime.block_on(echo(&mut socket)));
    watcher.abort();
    let baseline = ("bare PTY, same flood", percentile(&mut bare_flooded, 0.5));
    report.row("echo p50 beside a flood", "us", percentile(&mut flooded, 0.5), Some(baseline));
    let baseline = ("bare PTY, same flood", percentile(&mut bare_flooded, 0.99));
    report.row("echo p99 beside a flood", "us", percentile(&mut flooded, 0.99), Some(baseline));
}

/// Microseconds of each of `count` runs.
pub fn sample(count: usize, mut once: impl FnMut()) -> Vec<f64> {
    (0..count)
        .map(|_| {
            let started = Instant::now();
            once();
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect()
}

async fn echo(socket: &mut Socket) {
    socket.send(Message::binary(b"x".to_vec())).await.expect("the terminal stays");
    loop {
        if let Message::Binary(frame) = socket.next().await.expect("the terminal stays").expect("the terminal stays")
            && frame[8..].contains(&b'x')
        {
            let head = u64::from_be_bytes(frame[..8].try_into().expect("eight bytes")) + frame.len() as u64 - 8;
            if head.is_multiple_of(4096) {
                let ack = json!({"type": "ack", "offset": head}).to_string();
                socket.send(Message::text(ack)).await.expect("the terminal stays");
            }
            return;
        }
    }
}
