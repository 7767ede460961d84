//! Small terminal calls: raw mode, window sizes, non-blocking descriptors.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Makes the pane's terminal pass bytes on untouched; the former settings come back for the end.
pub fn make_raw(tty: impl AsFd) -> io::Result<Termios> {
    let before = tcgetattr(tty.as_fd())?;
    let mut raw = before.clone();
    cfmakeraw(&mut raw);
    tcsetattr(tty.as_fd(), SetArg::TCSANOW, &raw)?;
    Ok(before)
}

pub fn restore(tty: impl AsFd, settings: &Termios) {
    // The pane may be gone by now, which is no news to anybody.
    let _ = tcsetattr(tty.as_fd(), SetArg::TCSANOW, settings);
}

/// Columns and rows; `None` where the terminal does not know (zero) or is gone.
pub fn size(tty: impl AsFd) -> Option<(u16, u16)> {
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open for the call and `size` is a winsize.
    let ok = unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &mut size) } == 0;
    (ok && size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// The kernel tells the foreground process group when the size really changes.
pub fn set_size(tty: impl AsFd, (cols, rows): (u16, u16)) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: as above; the kernel copies the structure.
    match unsafe { libc::ioctl(tty.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &size) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

pub fn nonblocking(fd: impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(())
}
