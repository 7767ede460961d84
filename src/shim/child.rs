//! Starts the command in a terminal of its own: new session, that terminal as its controlling one, the environment of
//! the spec and nothing else.

use super::spec::take_secrets;
use super::tty;
use crate::wire::LaunchSpec;
use crate::wire::launch::AGENT_UID_VARIABLE;
use nix::libc;
use nix::unistd::Pid;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The command and the two sides of its terminal. Our copy of the slave side keeps the terminal alive while the command
/// lives, even if it closes every descriptor of it for a while.
pub struct Child {
    pub pid: Pid,
    pub master: File,
    pub slave: OwnedFd,
}

/// Says what was attempted and why it failed; `code` is what a shell would exit with.
pub struct CannotStart {
    pub message: String,
    pub code: u8,
}

pub fn start(spec: &LaunchSpec, size: (u16, u16)) -> Result<Child, CannotStart> {
    let secrets = match &spec.secrets {
        None => Vec::new(),
        Some(path) => take_secrets(path)
            .map_err(|e| refused(format!("cannot read the secrets of the agent from {}: {e}", path.display()), 126))?,
    };
    let [program, arguments @ ..] = spec.argv.as_slice() else {
        return Err(refused("cannot start the agent: its command is empty; set spec.command".to_owned(), 126));
    };
    if !spec.cwd.is_dir() {
        return Err(refused(
            format!("cannot start {program:?}: its directory {} does not exist", spec.cwd.display()),
            126,
        ));
    }
    let pty = nix::pty::openpty(None, None)
        .map_err(|e| refused(format!("cannot open a terminal for {program:?}: {e}"), 126))?;
    let master = File::from(pty.master);
    let prepared = close_on_exec(&master)
        .and_then(|()| close_on_exec(&pty.slave))
        .and_then(|()| tty::set_size(&master, size))
        .and_then(|()| tty::nonblocking(&master));
    prepared.map_err(|e| refused(format!("cannot prepare the terminal of {program:?}: {e}"), 126))?;

    let mut command = Command::new(program);
    command.args(arguments).current_dir(&spec.cwd).env_clear();
    command.envs(spec.env.iter().chain(&secrets).map(|(name, value)| (name, value)));
    command.env(AGENT_UID_VARIABLE, &spec.uid);
    for stdio in [Command::stdin, Command::stdout, Command::stderr] {
        let end = pty.slave.try_clone().map_err(|e| refused(format!("cannot start {program:?}: {e}"), 126))?;
        stdio(&mut command, Stdio::from(end));
    }
    let terminal = pty.slave.as_raw_fd();
    // SAFETY: between fork and exec only setsid and ioctl are called, both async-signal-safe.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            if libc::ioctl(terminal, libc::TIOCSCTTY as _, 0) == -1 {
                return Err(io::Error::last_os_error());
            }
            Ok(())
        });
    }
    match command.spawn() {
        Ok(child) => Ok(Child { pid: Pid::from_raw(child.id().cast_signed()), master, slave: pty.slave }),
        Err(e) => {
            let code = if e.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
            let way_out = if code == 127 { "; install it on this host or correct spec.command" } else { "" };
            Err(refused(format!("cannot start {program:?} in {}: {e}{way_out}", spec.cwd.display()), code))
        }
    }
}

fn refused(message: String, code: u8) -> CannotStart {
    CannotStart { message, code }
}

fn close_on_exec(fd: impl std::os::fd::AsFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(fd.as_fd(), FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

/// One megabyte of backlog must be given back to the system when it is gone: glibc otherwise raises its limit for
/// separate mappings to the largest block it has seen, and keeps the memory.
pub fn tune_allocator() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets parameters, before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 * 1024);
    }
}
