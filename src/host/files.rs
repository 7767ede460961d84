//! Where the host keeps what, and how it writes: whole files, by rename, for its own user only.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The paths below the host's home.
#[derive(Clone, Debug)]
pub struct Paths {
    pub home: PathBuf,
}

impl Paths {
    /// Makes the directories, 0700.
    pub fn prepare(home: PathBuf) -> io::Result<Paths> {
        let paths = Paths { home };
        for directory in [paths.home.clone(), paths.repos(), paths.worktrees(), paths.agents(), paths.home.join("run")]
        {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        Ok(paths)
    }

    pub fn repos(&self) -> PathBuf {
        self.home.join("repos")
    }

    pub fn worktrees(&self) -> PathBuf {
        self.home.join("worktrees")
    }

    pub fn worktree(&self, uid: &str) -> PathBuf {
        self.worktrees().join(uid)
    }

    pub fn agents(&self) -> PathBuf {
        self.home.join("agents")
    }

    pub fn agent(&self, uid: &str) -> PathBuf {
        self.agents().join(uid)
    }

    /// The shim's socket: twelve digits of the uid, because a socket's path ends at 104 to 108 bytes.
    pub fn socket(&self, uid: &str) -> PathBuf {
        let short: String = uid.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        self.home.join("run").join(format!("{short}.sock"))
    }
}

/// Whether this can be the name of a directory and of a session: uids come over the link.
pub fn is_uid(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Writes a file that only its owner may read, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    // A leftover might have other permissions.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    drop(file);
    std::fs::rename(&new, path)
}

pub fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    write_private(path, &serde_json::to_vec(value)?)
}

/// The file's content; `None` when there is no such file.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_uid_is_never_a_path() {
        assert!(is_uid("0d9e5e34-2f0c-4b0e-9d2e-6f1f7a7f9d11"));
        for bad in ["", ".", "..", "a/b", "a b", "a.b", "ä", &"x".repeat(65)] {
            assert!(!is_uid(bad), "{bad}");
        }
    }

    #[test]
    fn a_private_file_is_whole_and_private_even_over_a_leftover() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.json");
        std::fs::write(directory.path().join("x.json.new"), "half").unwrap();
        write_json(&path, &[1, 2]).unwrap();
        assert_eq!(read_json::<Vec<u8>>(&path).unwrap(), Some(vec![1, 2]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
