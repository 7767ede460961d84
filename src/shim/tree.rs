//! Finds every process of the agent: descendants of the shim (which, as a subreaper, inherits orphans) and whatever
//! carries the agent's mark in its environment, wherever it has been adopted.

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;

/// Orphans of the command become our children instead of init's.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    // Without it (a kernel from before 3.4) the mark in the environment still finds them.
    let _ = nix::sys::prctl::set_child_subreaper(true);
}

/// The processes that live now, the shim itself and zombies excluded.
#[cfg(target_os = "linux")]
pub fn members(uid: &str) -> Vec<Pid> {
    let own = Pid::this().as_raw();
    let mut parents: HashMap<i32, i32> = HashMap::new();
    let mut found: Vec<i32> = Vec::new();
    let mut zombies: Vec<i32> = Vec::new();
    let marker = format!("{}={uid}", crate::wire::launch::AGENT_UID_VARIABLE);
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = std::fs::read(format!("/proc/{pid}/stat")) else { continue };
        let Some((state, parent)) = state_and_parent(&stat) else { continue };
        parents.insert(pid, parent);
        if matches!(state, b'Z' | b'X') {
            zombies.push(pid);
            continue;
        }
        if pid == own {
            continue;
        }
        let marked = std::fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|env| env.split(|b| *b == 0).any(|entry| entry == marker.as_bytes()));
        if marked {
            found.push(pid);
        }
    }
    for pid in parents.keys().copied().filter(|pid| *pid != own) {
        if found.contains(&pid) {
            continue;
        }
        let mut at = pid;
        // Bounded, should pids have been reused into a ring while we read.
        for _ in 0..256 {
            match parents.get(&at) {
                Some(parent) if *parent == own => {
                    found.push(pid);
                    break;
                }
                Some(parent) => at = *parent,
                None => break,
            }
        }
    }
    found.retain(|pid| !zombies.contains(pid));
    found.into_iter().map(Pid::from_raw).collect()
}

/// Where there is no /proc, the process group of the command (ended separately) is all we can see.
#[cfg(not(target_os = "linux"))]
pub fn members(_uid: &str) -> Vec<Pid> {
    Vec::new()
}

/// Fields three and four; the second one, the name, may contain anything.
#[cfg(target_os = "linux")]
fn state_and_parent(stat: &[u8]) -> Option<(u8, i32)> {
    let after_name = stat.iter().rposition(|b| *b == b')')? + 2;
    let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    let mut words = rest.split(' ');
    let state = *words.next()?.as_bytes().first()?;
    Some((state, words.next()?.parse().ok()?))
}

pub fn signal_all(pids: &[Pid], signal: Signal) {
    for pid in pids {
        // Gone meanwhile is what we want.
        let _ = kill(*pid, signal);
    }
}

/// The command's process group and the one in the foreground of its terminal, which a shell's job control makes another.
pub fn signal_groups(leader: Pid, master: &impl std::os::fd::AsFd, signal: Signal) {
    let _ = nix::sys::signal::killpg(leader, signal);
    if let Ok(foreground) = nix::unistd::tcgetpgrp(master)
        && foreground != leader
        && foreground.as_raw() > 1
    {
        let _ = nix::sys::signal::killpg(foreground, signal);
    }
}

/// A signal by number, also the real-time ones that have no name.
pub fn signal_group_raw(leader: Pid, signal: i32) -> std::io::Result<()> {
    // SAFETY: kill takes plain numbers.
    match unsafe { libc::kill(-leader.as_raw(), signal) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
