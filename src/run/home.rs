//! `$REGATTA_HOME`: its layout, its permissions, and the lock that keeps a second server out of it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// The home directory of a control plane, held by this process until dropped.
pub struct Home {
    path: PathBuf,
    lock: Flock<File>,
}

/// What a running server tells others on this machine: `$REGATTA_HOME/up.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Running {
    pub pid: u32,
    pub web: String,
    pub api: String,
    pub version: String,
}

impl Home {
    /// Opens the directory, creating it with nobody else's access, and takes its lock.
    pub fn open(path: &Path) -> Result<Home> {
        let path = std::path::absolute(path).with_context(|| format!("cannot resolve home {}", path.display()))?;
        private_dir(&path)?;
        let lock_path = path.join("up.lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .with_context(|| format!("cannot open {}", lock_path.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                lock.set_len(0)?;
                lock.rewind()?;
                write!(lock, "{}", std::process::id())?;
                Ok(Home { path, lock })
            }
            Err((mut file, _)) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).unwrap_or_default();
                let process = if holder.is_empty() { "another process".into() } else { format!("process {holder}") };
                bail!("{process} already serves home {}; stop it first, or choose another with --home", path.display());
            }
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Says where this server is, for the CLI.
    pub fn announce(&self, running: &Running) -> Result<()> {
        let text = serde_json::to_string_pretty(running).expect("strings and numbers are always JSON");
        write_private(&self.join("up.json"), text.as_bytes())
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A stale up.json would send the CLI to a port that is somebody else's by then.
        if let Err(error) = fs::remove_file(self.path.join("up.json"))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot remove up.json");
        }
        if let Err(error) = self.lock.set_len(0) {
            tracing::warn!(%error, "cannot empty up.lock");
        }
    }
}

/// A directory that only its owner enters.
pub fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot create directory {}", path.display()))?;
    let mode = fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .with_context(|| format!("cannot close {} to other users", path.display()))?;
    }
    Ok(())
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_is_told_who_has_the_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let refused = Home::open(dir.path()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(home);
        assert!(Home::open(dir.path()).is_ok());
    }

    #[test]
    fn the_home_is_closed_to_others_even_if_it_was_open() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let _home = Home::open(dir.path()).unwrap();
        assert_eq!(fs::metadata(dir.path()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}
