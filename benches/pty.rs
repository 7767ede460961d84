//! The baselines: a command in a bare PTY, and in tmux alone.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

/// A command in a PTY with nothing between.
pub struct Pty {
    pub master: File,
    child: Child,
}

impl Pty {
    pub fn spawn(argv: &[&str]) -> Pty {
        let size = nix::pty::Winsize { ws_row: 36, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = nix::pty::openpty(Some(&size), None).expect("a pty");
        let slave = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
        let mut command = Command::new(argv[0]);
        command.args(&argv[1..]).stdin(slave(&pair.slave)).stdout(slave(&pair.slave)).stderr(slave(&pair.slave));
        // SAFETY: only async-signal-safe calls between fork and exec.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0);
                Ok(())
            });
        }
        let child = command.spawn().expect("the command starts");
        drop(pair.slave);
        Pty { master: File::from(pair.master), child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads to the end, which on Linux is EIO once the last writer is gone; returns the bytes read.
    pub fn drain(&mut self) -> usize {
        let mut total = 0;
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = self.master.read(&mut buffer) {
            total += n;
        }
        total
    }

    /// One byte there and back.
    pub fn echo(&mut self) {
        self.master.write_all(b"x").expect("the pty takes a byte");
        let mut byte = [0; 1];
        self.master.read_exact(&mut byte).expect("the echo");
        assert_eq!(&byte, b"x");
    }

    /// Reads until the command has said `word`.
    pub fn expect(&mut self, word: &str) {
        let mut seen = Vec::new();
        let mut byte = [0; 1];
        while !seen.ends_with(word.as_bytes()) {
            self.master.read_exact(&mut byte).expect("the command speaks");
            seen.push(byte[0]);
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A tmux server of its own, without configuration.
pub struct Tmux {
    socket: String,
}

impl Tmux {
    pub fn new(name: &str) -> Tmux {
        Tmux { socket: format!("regatta-bench-{name}-{}", std::process::id()) }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.socket, "-f", "/dev/null"]).args(args).env_remove("TMUX").env_remove("TMUX_TMPDIR");
        command
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Vec<u8> {
        let output = self.command(args).output().expect("tmux");
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = self.command(&["kill-server"]).output();
    }
}
