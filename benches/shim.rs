//! What a shim costs: private memory, keystroke echo, and output into tmux, each beside the bare thing in one run.
//! `shim <regatta binary>`; prints one line a number. Linux only: memory comes from smaps_rollup.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn main() {
    let binary = PathBuf::from(std::env::args().nth(1).expect("the first argument is the regatta binary"));
    println!("shim private memory: {} KiB", private_memory(&binary));
    for (name, binary) in [("bare pty", None), ("shim", Some(binary.as_path()))] {
        let (p50, p99) = echo(binary);
        println!("echo through {name}: p50 {:.0} us, p99 {:.0} us", p50 * 1e6, p99 * 1e6);
    }
    for (name, binary) in [("tmux alone", None), ("tmux with shim", Some(binary.as_path()))] {
        println!("output into {name}: {:.1} MB/s", tmux_output(binary) / 1e6);
    }
}

/// The launch record of a command in its own directory, as JSON: this file must not depend on the library.
fn agent(argv: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let spec = serde_json::json!({
        "uid": "bench", "epoch": 1, "argv": argv, "cwd": dir.path(), "cols": 80, "rows": 24,
        "env": [["PATH", std::env::var("PATH").unwrap_or_default()], ["TERM", "xterm-256color"]],
        "logMaxBytes": 256 << 20, "socket": dir.path().join("s"),
    });
    std::fs::write(dir.path().join("spec.json"), spec.to_string()).expect("the spec is written");
    dir
}

/// Starts a program in a new terminal.
fn in_terminal(argv: &[&str]) -> (Child, File) {
    let pty = nix::pty::openpty(None, None).expect("a terminal");
    let slave: OwnedFd = pty.slave;
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]);
    let end = || Stdio::from(slave.try_clone().expect("a descriptor"));
    command.stdin(end()).stdout(end()).stderr(end());
    // SAFETY: only setsid and ioctl between fork and exec.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            nix::libc::ioctl(0, nix::libc::TIOCSCTTY as _, 0);
            Ok(())
        });
    }
    (command.spawn().expect("the program starts"), File::from(pty.master))
}

fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// KiB that belong to one idle shim alone; the pages of the binary are shared by all of them.
pub fn private_memory(binary: &Path) -> u64 {
    let dir = agent(&["cat"]);
    let (child, mut terminal) = in_terminal(&[&binary.display().to_string(), "shim", &dir.path().display().to_string()]);
    terminal.write_all(b"hello\n").expect("typing works");
    let mut seen = [0; 64];
    let _ = terminal.read(&mut seen);
    std::thread::sleep(Duration::from_millis(300));
    let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", child.id())).expect("the shim lives");
    let private = rollup.lines().filter(|line| line.starts_with("Private_Dirty"));
    let sum = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
    drop(terminal);
    end(child);
    sum
}

/// Seconds from a key to its echo: median and 99th percentile of two thousand.
pub fn echo(binary: Option<&Path>) -> (f64, f64) {
    let argv = ["sh", "-c", "stty raw -echo; echo ready; exec cat"];
    let dir = agent(&argv);
    let (child, mut terminal) = match binary {
        None => in_terminal(&argv),
        Some(binary) => in_terminal(&[&binary.display().to_string(), "shim", &dir.path().display().to_string()]),
    };
    let mut buffer = [0; 4096];
    let mut seen = Vec::new();
    while !seen.windows(6).any(|w| w == b"ready\n") {
        let n = terminal.read(&mut buffer).expect("output");
        seen.extend_from_slice(&buffer[..n]);
    }
    std::thread::sleep(Duration::from_millis(50));
    let mut times: Vec<f64> = (0..2000)
        .map(|_| {
            let begin = Instant::now();
            terminal.write_all(b"x").expect("typing works");
            let n = terminal.read(&mut buffer).expect("an echo");
            assert_eq!(&buffer[..n], b"x");
            begin.elapsed().as_secs_f64()
        })
        .collect();
    end(child);
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Bytes a second of `seq` into a pane of a tmux server of its own, until the last line is on its screen.
pub fn tmux_output(binary: Option<&Path>) -> f64 {
    let lines = 500_000u64;
    let bytes: u64 = (1..=lines).map(|n| n.to_string().len() as u64 + 2).sum();
    let script = format!("seq 1 {lines}; date +%s%N > done; sleep 100");
    let dir = agent(&["sh", "-c", &script]);
    let name = format!("bench-{}", std::process::id());
    let tmux = |args: &[&str]| {
        let mut command = Command::new("tmux");
        command.env_remove("TMUX").current_dir(dir.path()).args(["-L", &name, "-f", "/dev/null"]).args(args);
        command.output().expect("tmux is installed")
    };
    let home = dir.path().display().to_string();
    let begin = Instant::now();
    match binary {
        None => tmux(&["new-session", "-d", "-s", "b", "sh", "-c", &script]),
        Some(binary) => tmux(&["new-session", "-d", "-s", "b", &binary.display().to_string(), "shim", &home]),
    };
    let last = lines.to_string();
    loop {
        let screen = tmux(&["capture-pane", "-p", "-t", "=b:"]);
        if String::from_utf8_lossy(&screen.stdout).lines().any(|line| line == last) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(120), "tmux never showed the last line");
        std::thread::sleep(Duration::from_millis(20));
    }
    let rate = bytes as f64 / begin.elapsed().as_secs_f64();
    tmux(&["kill-server"]);
    rate
}
