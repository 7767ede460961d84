//! This process's own terminal: raw while somebody is attached, and given back as it was, however that ends.

use std::io::{IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use super::modes::Modes;
use crate::cli::failure::{Failure, cannot};

/// Frames that wait for a slow terminal; beyond them the connection is not read, and the host holds back.
const FRAMES: usize = 16;

/// Output for the terminal, and the offset that is acknowledged once it is there.
#[derive(Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    pub ack: Option<u64>,
}

/// The terminal, raw until dropped.
pub struct Tty {
    saved: Termios,
    modes: Arc<Mutex<Modes>>,
    /// Set when nothing may be written any more.
    closed: Arc<AtomicBool>,
    /// Held while a frame is being written, so that nothing is written after the terminal was given back.
    writing: Arc<Mutex<()>>,
}

/// Both directions of the terminal.
pub struct Streams {
    pub keys: mpsc::Receiver<Vec<u8>>,
    pub frames: mpsc::Sender<Frame>,
    pub written: mpsc::UnboundedReceiver<std::io::Result<u64>>,
}

pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

impl Tty {
    pub fn open() -> Result<(Tty, Streams), Failure> {
        let attempt = "take over this terminal";
        let saved = tcgetattr(std::io::stdin()).map_err(|e| cannot(attempt, e))?;
        let mut raw = saved.clone();
        cfmakeraw(&mut raw);
        tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &raw).map_err(|e| cannot(attempt, e))?;
        let tty = Tty { saved, modes: Arc::default(), closed: Arc::default(), writing: Arc::default() };
        let streams = tty.streams();
        Ok((tty, streams))
    }

    fn streams(&self) -> Streams {
        // A person types little; what a paste sends beyond these chunks waits in the kernel.
        let (keys_in, keys) = mpsc::channel(64);
        thread::spawn(move || read_keys(&keys_in));
        let (frames, frames_out) = mpsc::channel(FRAMES);
        // At most FRAMES entries beyond those that were taken: one a frame.
        let (written_in, written) = mpsc::unbounded_channel();
        let (modes, closed, writing) = (self.modes.clone(), self.closed.clone(), self.writing.clone());
        thread::spawn(move || write_frames(frames_out, &written_in, &modes, &closed, &writing));
        Streams { keys, frames, written }
    }

    /// Columns and rows, as far as the terminal knows them.
    pub fn size() -> Option<(u16, u16)> {
        nix::ioctl_read_bad!(window_size, nix::libc::TIOCGWINSZ, nix::libc::winsize);
        let mut size = nix::libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the call writes one winsize, and that is what it is given.
        unsafe { window_size(nix::libc::STDOUT_FILENO, &mut size) }.ok()?;
        (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
    }

    fn give_back(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // A terminal that takes nothing (stopped, hung) must not keep us.
        for _ in 0..20 {
            match self.writing.try_lock() {
                Ok(_quiet) => {
                    let undo = locked(&self.modes).undo();
                    if !undo.is_empty() {
                        let bottom = b"\x1b[999;1H\r\n";
                        let mut out = std::io::stdout().lock();
                        // Whoever cannot be written to cannot be told either.
                        let _ = out.write_all(&undo).and_then(|()| out.write_all(bottom)).and_then(|()| out.flush());
                    }
                    break;
                }
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
        let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, &self.saved);
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads until the terminal or the receiver is gone. A blocked read ends with the process.
fn read_keys(keys: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    loop {
        match std::io::stdin().lock().read(&mut buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(n) => {
                if keys.blocking_send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        }
    }
}

fn write_frames(
    mut frames: mpsc::Receiver<Frame>,
    written: &mpsc::UnboundedSender<std::io::Result<u64>>,
    modes: &Mutex<Modes>,
    closed: &AtomicBool,
    writing: &Mutex<()>,
) {
    while let Some(frame) = frames.blocking_recv() {
        let _busy = locked(writing);
        if closed.load(Ordering::SeqCst) {
            return;
        }
        locked(modes).saw(&frame.bytes);
        let mut out = std::io::stdout().lock();
        let result = out.write_all(&frame.bytes).and_then(|()| out.flush());
        let told = match (result, frame.ack) {
            (Err(error), _) => written.send(Err(error)),
            (Ok(()), Some(offset)) => written.send(Ok(offset)),
            (Ok(()), None) => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}
