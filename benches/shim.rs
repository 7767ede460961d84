//! Row 5: a shim alone: a keystroke through it beside a bare PTY, output through it into tmux beside tmux alone, and the memory
//! that is only its own.

use std::io::Write;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Scale;
use crate::echo::{ECHO, sample};
use crate::harness::REGATTA;
use crate::processes;
use crate::pty::{Pty, Tmux};
use crate::report::{Report, percentile};

/// Of a pane that never shows what it must.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(scale: Scale, report: &mut Report) {
    let echo = ["sh", "-c", ECHO];
    let mut bare = Pty::spawn(&echo);
    bare.expect("READY");
    let mut bare = sample(scale.keys, || bare.echo());
    let agent = Agent::new(&echo);
    let mut shim = agent.in_pty();
    shim.expect("READY");
    let mut ours = sample(scale.keys, || shim.echo());
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let baseline = ("bare PTY", percentile(&mut bare, share));
        report.row(&format!("echo through a shim {name}"), "us", percentile(&mut ours, share), Some(baseline));
    }

    // About a fifth of the bytes of the output row: tmux is the slow one here.
    let lines = scale.output_bytes / 40;
    let ours = output(lines, true);
    report.row("output through a shim into tmux", "MB/s", ours, Some(("tmux alone", output(lines, false))));

    let agent = Agent::new(&["sh", "-c", "echo READY; exec cat"]);
    let mut shim = agent.in_pty();
    shim.expect("READY");
    shim.master.write_all(b"x\r").expect("the pty takes a line");
    shim.expect("x");
    report.row("private memory of an idle shim", "KiB", processes::private(shim.pid()), None);
}

/// The directory of an agent, with the record that a shim starts from.
struct Agent {
    directory: TempDir,
}

impl Agent {
    fn new(argv: &[&str]) -> Agent {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let spec = serde_json::json!({
            "uid": "bench", "epoch": 1, "argv": argv, "cwd": directory.path(), "cols": 120, "rows": 36,
            "env": [["PATH", std::env::var("PATH").unwrap_or_default()], ["TERM", "xterm-256color"]],
            "logMaxBytes": 256 << 20, "socket": directory.path().join("s"),
        });
        std::fs::write(directory.path().join("spec.json"), spec.to_string()).expect("the directory takes a file");
        Agent { directory }
    }

    fn path(&self) -> &str {
        self.directory.path().to_str().expect("a plain path")
    }

    fn in_pty(&self) -> Pty {
        Pty::spawn(&[REGATTA, "shim", self.path()])
    }
}

/// MB/s of `seq` into a pane, until the last line is on its screen.
fn output(lines: usize, through_shim: bool) -> f64 {
    let bytes: usize = (1..=lines).map(|n| n.to_string().len() + 2).sum();
    let command = ["sh", "-c", &format!("seq 1 {lines}; exec sleep 1000")];
    let agent = Agent::new(&command);
    let pane: &[&str] = if through_shim { &[REGATTA, "shim", agent.path()] } else { &command };
    let tmux = Tmux::new("shim");
    let last = lines.to_string();
    let started = Instant::now();
    tmux.run(&[&["new-session", "-d", "-s", "shim", "-x", "120", "-y", "36"], pane].concat());
    while !String::from_utf8_lossy(&tmux.run(&["capture-pane", "-p", "-t", "=shim:"])).lines().any(|l| l == last) {
        assert!(started.elapsed() < PATIENCE, "tmux never showed the last of {lines} lines");
        std::thread::sleep(Duration::from_millis(10));
    }
    bytes as f64 / 1e6 / started.elapsed().as_secs_f64()
}
