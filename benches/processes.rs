//! What a product's processes cost: proportional memory and processor time, from /proc.

use std::fs;
use std::path::Path;

/// The processes of a home: its server, its shims, its tmux servers. The agents' own commands are not among them.
pub fn of_home(home: &Path, server: u32) -> Vec<u32> {
    let identity = fs::read_to_string(home.join("host/identity")).unwrap_or_default();
    let socket = format!("regatta-{}-", identity.get(..8).unwrap_or("none"));
    let home = home.to_string_lossy().into_owned();
    let ours = |pid: &u32| {
        let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        *pid == server || (cmdline.contains(" shim ") && cmdline.contains(&home)) || cmdline.contains(&socket)
    };
    all().into_iter().filter(ours).collect()
}

/// A process and all that it started.
pub fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let parents: Vec<(u32, u32)> = all().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut next = 0;
    while next < found.len() {
        let grown = found[next];
        found.extend(parents.iter().filter(|(_, parent)| *parent == grown).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Proportional set size, in MiB.
pub fn memory(pids: &[u32]) -> f64 {
    let kib = |pid: &u32| field(&format!("/proc/{pid}/smaps_rollup"), "Pss:");
    pids.iter().map(kib).sum::<f64>() / 1024.0
}

/// Private memory of one process, in KiB.
pub fn private(pid: u32) -> f64 {
    let path = format!("/proc/{pid}/smaps_rollup");
    field(&path, "Private_Clean:") + field(&path, "Private_Dirty:")
}

/// Processor time used so far, in seconds.
pub fn cpu(pids: &[u32]) -> f64 {
    let ticks = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map_or("", |(_, r)| r);
        rest.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<f64>().ok()).sum::<f64>()
    };
    pids.iter().map(ticks).sum::<f64>() / 100.0
}

fn all() -> Vec<u32> {
    fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

fn field(path: &str, name: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

/// Whether the process is a shim.
pub fn is_shim(pid: u32) -> bool {
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    cmdline.split(|b| *b == 0).nth(1) == Some(b"shim")
}
