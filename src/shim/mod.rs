//! The process in every tmux pane: tmux → shim → command. It owns the command's terminal, keeps the log, copies input and
//! output, records reports, and ends the whole tree. One thread, one poll loop, no runtime; it outlives the host.
//!
//! It must never wait for a viewer or the host, and never starts a second command on an agent that has one.

mod child;
mod ending;
mod events;
mod exit;
mod input;
mod log;
mod pane;
mod peers;
mod session;
mod signals;
mod spec;
mod tree;
mod tty;

use std::path::Path;
use std::process::ExitCode;

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Why there is no session; nothing has been started and nothing of another session has been touched.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("cannot read {path}: {source}; the host writes it before it starts the shim")]
    Spec { path: std::path::PathBuf, source: std::io::Error },
    #[error("cannot understand {path}: {source}")]
    SpecFormat { path: std::path::PathBuf, source: serde_json::Error },
    #[error("cannot open {path}: {source}")]
    Lock { path: std::path::PathBuf, source: std::io::Error },
    #[error("another shim{pid} already runs the agent in {dir}; nothing was started")]
    Running { dir: std::path::PathBuf, pid: String },
    #[error("standard input is not a terminal; the shim is started by tmux in a pane")]
    NoTerminal,
}

/// Runs the agent described in `<agent_dir>/spec.json` to its end. The exit code is the command's, or 128 plus the
/// signal, so that a dead pane shows it.
pub fn main(agent_dir: &Path) -> ExitCode {
    child::tune_allocator();
    match spec::Claim::take(agent_dir) {
        Ok(claim) => session::run(claim),
        Err(refusal) => {
            eprintln!("regatta shim: {refusal}");
            ExitCode::from(125)
        }
    }
}
