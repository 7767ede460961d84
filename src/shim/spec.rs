//! Takes possession of an agent directory: the launch spec, and the lock that makes a second shim impossible.

use super::Refusal;
use crate::wire::LaunchSpec;
use crate::wire::log::{LOCK_FILE, SPEC_FILE};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

pub struct Claim {
    pub dir: PathBuf,
    pub spec: LaunchSpec,
    /// Held, never read: the kernel lets it go when this process is gone, however it goes. Not inherited by the command.
    pub _lock: File,
}

impl Claim {
    pub fn take(dir: &Path) -> Result<Claim, Refusal> {
        let path = dir.join(LOCK_FILE);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut lock = open.map_err(|source| Refusal::Lock { path: path.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The number only makes the message better.
                let _ = lock.read_to_string(&mut pid);
                let pid = if pid.trim().is_empty() { String::new() } else { format!(" (process {})", pid.trim()) };
                return Err(Refusal::Running { dir: dir.to_owned(), pid });
            }
            Err(TryLockError::Error(source)) => return Err(Refusal::Lock { path, source }),
        }
        // For people who look; a full disk is no reason not to start.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));

        let path = dir.join(SPEC_FILE);
        let text = std::fs::read(&path).map_err(|source| Refusal::Spec { path: path.clone(), source })?;
        let spec = serde_json::from_slice(&text).map_err(|source| Refusal::SpecFormat { path, source })?;
        Ok(Claim { dir: dir.to_owned(), spec, _lock: lock })
    }
}

/// The secrets of the spec as environment entries. The file is gone afterwards, also when it is malformed.
pub fn take_secrets(path: &Path) -> std::io::Result<Vec<(String, String)>> {
    let bytes = std::fs::read(path);
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut entries = Vec::new();
    for entry in bytes?.split(|b| *b == 0).filter(|entry| !entry.is_empty()) {
        let text = std::str::from_utf8(entry).ok().and_then(|text| text.split_once('='));
        let (name, value) = text.ok_or_else(|| std::io::Error::other("an entry is not K=V in UTF-8"))?;
        entries.push((name.to_owned(), value.to_owned()));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_read_once_and_unlinked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        std::fs::write(&path, b"A=1\0B=x=y\nz\0").unwrap();
        let got = take_secrets(&path).unwrap();
        assert_eq!(got, [("A".into(), "1".into()), ("B".into(), "x=y\nz".into())]);
        assert!(!path.exists());
        std::fs::write(&path, b"no equals sign").unwrap();
        assert!(take_secrets(&path).is_err());
        assert!(!path.exists(), "a malformed file must not stay either");
    }
}
