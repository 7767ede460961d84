//! Signals as bytes in a pipe, so that the poll loop sees them like everything else.

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::IntoRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

static PIPE: AtomicI32 = AtomicI32::new(-1);

const WATCHED: [Signal; 5] = [Signal::SIGCHLD, Signal::SIGWINCH, Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT];

extern "C" fn note(signal: libc::c_int) {
    let byte = signal as u8;
    // SAFETY: write is async-signal-safe; a full pipe means that a wake-up waits already. errno is put back because
    // the interrupted code may be about to read it.
    unsafe {
        let errno = Errno::last_raw();
        libc::write(PIPE.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        Errno::set_raw(errno);
    }
}

/// The reading end. Everything that is not watched keeps what it does by default.
pub fn watch() -> io::Result<File> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC | nix::fcntl::OFlag::O_NONBLOCK)?;
    PIPE.store(writer.into_raw_fd(), Ordering::Relaxed);
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    for signal in WATCHED {
        // SAFETY: the handler is async-signal-safe, see above.
        unsafe { sigaction(signal, &action)? };
    }
    Ok(File::from(reader))
}

/// The signals that have come since the last call.
pub fn drain(pipe: &mut File) -> Vec<Signal> {
    let mut bytes = [0; 64];
    let n = pipe.read(&mut bytes).unwrap_or(0);
    bytes[..n].iter().filter_map(|b| Signal::try_from(i32::from(*b)).ok()).collect()
}
