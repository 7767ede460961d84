//! The directories that deleted agents left behind, in `kept.json`: what they are and whose they were, so that a person
//! can find them and the next agent on the branch can take one over.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::files;

#[derive(Debug, Error)]
#[error("cannot {doing} the list of kept worktrees {path}: {why}")]
pub struct Error {
    doing: &'static str,
    path: PathBuf,
    why: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    pub path: PathBuf,
    pub repo: Option<String>,
    pub branch: Option<String>,
    pub owner: Owner,
    pub since_ms: i64,
}

/// The agent that it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

pub struct List {
    path: PathBuf,
    /// Held while the file is read and written.
    lock: Mutex<()>,
}

impl List {
    pub fn at(home: &Path) -> List {
        List { path: home.join("kept.json"), lock: Mutex::new(()) }
    }

    pub fn all(&self) -> Result<Vec<Kept>, Error> {
        let error = |why: String| Error { doing: "read", path: self.path.clone(), why };
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| error(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(error(e.to_string())),
        }
    }

    pub fn has(&self, path: &Path) -> bool {
        self.all().is_ok_and(|all| all.iter().any(|kept| same(&kept.path, path)))
    }

    pub fn add(&self, kept: Kept) -> Result<(), Error> {
        self.change(|all| {
            all.retain(|other| !same(&other.path, &kept.path));
            all.push(kept);
        })
    }

    pub fn forget(&self, path: &Path) -> Result<(), Error> {
        self.change(|all| all.retain(|other| !same(&other.path, path)))
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Kept>)) -> Result<(), Error> {
        let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = self.all()?;
        edit(&mut all);
        files::write_json(&self.path, &all).map_err(|e| Error {
            doing: "write",
            path: self.path.clone(),
            why: e.to_string(),
        })
    }
}

/// Whether two paths name one directory; git writes them with links resolved.
fn same(a: &Path, b: &Path) -> bool {
    a == b || matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}
