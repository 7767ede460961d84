//! How an epoch ended, for whoever asks later: the exit record, written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use nix::sys::wait::WaitStatus;

use super::child::CannotStart;
use super::log::LogWriter;
use super::now_ms;
use super::spec::Claim;
use crate::wire::log::{EXIT_FILE, MarkKind};
use crate::wire::{ExitReason, ExitRecord};

/// What is known of the command's end.
pub struct Exit {
    pub status: WaitStatus,
    pub ended: i64,
    /// Why we ended it, if we did.
    pub asked: Option<ExitReason>,
}

impl Exit {
    /// The record, and the code that the shim itself ends with.
    pub fn record(self, epoch: u64, started: i64, final_offset: u64) -> (ExitRecord, u8) {
        let Exit { status, ended, asked } = self;
        let (code, signal) = match status {
            WaitStatus::Exited(_, code) => (Some(code), None),
            WaitStatus::Signaled(_, signal, _) => (None, Some(signal)),
            _ => (None, None),
        };
        let natural = if signal.is_some() { ExitReason::Signaled } else { ExitReason::Exited };
        let record = ExitRecord {
            epoch,
            code,
            signal: signal.map(|s| s.as_str().to_owned()),
            reason: asked.unwrap_or(natural),
            message: None,
            started,
            ended,
            final_offset,
        };
        let shown = code.unwrap_or_else(|| 128 + signal.map_or(0, |s| s as i32));
        (record, u8::try_from(shown & 0xff).unwrap_or(u8::MAX))
    }
}

/// The command never ran: the reason goes where people look, into the pane and the log, and into the exit record.
pub fn never_ran(claim: &Claim, cannot: &CannotStart) -> u8 {
    let text = format!("regatta: {}\r\n", cannot.message);
    // A pane that is gone has nobody who could read it; the log has the same.
    let _ = io::stdout().write_all(text.as_bytes());
    let now = now_ms();
    let mut final_offset = 0;
    if let Ok(mut log) = LogWriter::open(&claim.dir, claim.spec.log_max_bytes) {
        log.mark_here(now, MarkKind::Epoch(claim.spec.epoch));
        let _ = log.append(text.as_bytes(), now);
        final_offset = log.head();
    }
    let record = ExitRecord {
        epoch: claim.spec.epoch,
        code: Some(i32::from(cannot.code)),
        signal: None,
        reason: ExitReason::CannotStart,
        message: Some(cannot.message.clone()),
        started: now,
        ended: now,
        final_offset,
    };
    if let Err(e) = write(&claim.dir, &record) {
        eprintln!("regatta shim: cannot write {}: {e}\r", claim.dir.join(EXIT_FILE).display());
    }
    cannot.code
}

/// Whole or not at all.
pub fn write(dir: &Path, record: &ExitRecord) -> io::Result<()> {
    let path = dir.join(EXIT_FILE);
    let draft = path.with_extension("json.new");
    std::fs::write(&draft, serde_json::to_vec(record)?)?;
    std::fs::rename(&draft, &path)
}
