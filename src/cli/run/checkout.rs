//! What git says about the directory that somebody stands in. Asks, decides nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::failure::{Failure, cannot};

/// A git checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkout {
    /// The directory that holds what is checked out here.
    pub toplevel: PathBuf,
    /// The checkout that others are worktrees of; none when they hang on a bare repository.
    pub main: Option<PathBuf>,
    pub origin: Option<String>,
}

/// The checkout around a directory, if there is one. Without git there is none.
pub fn around(directory: &Path) -> Result<Option<Checkout>, Failure> {
    let Some(toplevel) = git(directory, &["rev-parse", "--show-toplevel"])? else { return Ok(None) };
    let worktrees = git(directory, &["worktree", "list", "--porcelain"])?.unwrap_or_default();
    Ok(Some(Checkout {
        toplevel: PathBuf::from(toplevel),
        main: main_of(&worktrees),
        origin: git(directory, &["remote", "get-url", "origin"])?.filter(|url| !url.is_empty()),
    }))
}

/// One line of git's answer, or nothing when git says no.
fn git(directory: &Path, arguments: &[&str]) -> Result<Option<String>, Failure> {
    let output = match Command::new("git").arg("-C").arg(directory).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot("ask git about this directory", error)),
    };
    if !output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| cannot("ask git about this directory", "its path is not UTF-8"))?;
    Ok(Some(text.trim_end_matches('\n').to_owned()))
}

/// git lists the main checkout first, and says when it is bare.
fn main_of(porcelain: &str) -> Option<PathBuf> {
    let first = porcelain.split("\n\n").next()?;
    let path = first.lines().find_map(|line| line.strip_prefix("worktree "))?;
    (!first.lines().any(|line| line == "bare")).then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_repository_is_no_main_checkout() {
        let linked = "worktree /src/app\nHEAD 1\nbranch refs/heads/main\n\nworktree /tmp/w\nHEAD 2\ndetached\n";
        assert_eq!(main_of(linked), Some(PathBuf::from("/src/app")));
        assert_eq!(main_of("worktree /r.git\nbare\n\nworktree /tmp/w\nHEAD 2\n"), None);
        assert_eq!(main_of(""), None);
    }
}
