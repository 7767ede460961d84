//! Saves what is in a worktree before it is discarded: everything that is not ignored becomes a commit at
//! `refs/regatta/rescue/<name>-<uid8>`. Owns that nothing is left out; removes nothing.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::git::{self, Git};
use super::work;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot save the work in {path}: {source}; nothing was removed")]
    Git { path: PathBuf, source: git::Error },
    #[error("cannot save the work in {path}: {why}; nothing was removed")]
    Files { path: PathBuf, why: String },
}

/// The ref that an agent's work is saved at.
pub fn reference(name: &str, uid: &str) -> String {
    let short: String = uid.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("refs/regatta/rescue/{name}-{short}")
}

/// Commits everything in the worktree to `reference`; run twice it adds nothing. `aside` is where repositories inside the
/// worktree go, which a commit would only name.
pub async fn rescue(path: &Path, reference: &str, aside: &Path) -> Result<(), Error> {
    let failed = |source| Error::Git { path: path.to_owned(), source };
    let submodules = set_aside_repositories(path, aside).await?;
    let git_directory =
        PathBuf::from(Git::at(path).args(["rev-parse", "--absolute-git-dir"]).line().await.map_err(failed)?);
    let index = git_directory.join("index");
    let own_index = git_directory.join("regatta-rescue-index");
    let copied = match std::fs::copy(&index, &own_index) {
        Ok(_) => true,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Error::Files { path: path.to_owned(), why: error.to_string() }),
    };
    let git = || Git::at(path).env("GIT_INDEX_FILE", &own_index);
    let head = Git::at(path).args(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]).line().await.ok();
    // What is staged may differ from both HEAD and the files. A torn index (a conflict) has no tree; its files do.
    let staged = if copied { git().args(["write-tree"]).line().await.ok() } else { None };
    git()
        .args(["-c", "core.safecrlf=false", "add", "--all", "--", "."])
        .within(git::LONG)
        .run()
        .await
        .map_err(failed)?;
    for (name, commit) in submodules {
        let mut entry = std::ffi::OsString::from(format!("160000,{commit},"));
        entry.push(name);
        git().args(["update-index", "--add", "--cacheinfo"]).args([entry]).run().await.map_err(failed)?;
    }
    let tree = git().args(["write-tree"]).line().await.map_err(failed)?;
    let head_tree = match &head {
        Some(head) => {
            Some(Git::at(path).args(["rev-parse", &format!("{head}^{{tree}}")]).line().await.map_err(failed)?)
        }
        None => None,
    };
    let mut parents: Vec<String> = head.iter().cloned().collect();
    if let Some(staged) = staged.filter(|staged| Some(staged) != head_tree.as_ref() && *staged != tree) {
        parents.push(commit(path, &staged, &parents, "What was staged").await.map_err(failed)?);
    }
    let nothing_new =
        parents.len() <= 1 && (Some(&tree) == head_tree.as_ref() || (head.is_none() && tree == EMPTY_TREE));
    let tip = if nothing_new {
        head
    } else {
        let before = Git::at(path).args(["rev-parse", "--quiet", "--verify", reference]).line().await.ok();
        if let Some(before) = before.filter(|before| Some(before) != head.as_ref()) {
            let saved =
                Git::at(path).args(["rev-parse", &format!("{before}^{{tree}}")]).line().await.map_err(failed)?;
            if saved == tree {
                remove(&own_index);
                return Ok(());
            }
            parents.push(before);
        }
        Some(commit(path, &tree, &parents, "Work in a discarded worktree").await.map_err(failed)?)
    };
    if let Some(tip) = tip {
        Git::at(path).args(["update-ref", "--create-reflog", reference, &tip]).run().await.map_err(failed)?;
    }
    remove(&own_index);
    Ok(())
}

const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

fn remove(index: &Path) {
    // It goes with the worktree's administrative directory at the latest.
    std::fs::remove_file(index).ok();
}

async fn commit(path: &Path, tree: &str, parents: &[String], message: &str) -> Result<String, git::Error> {
    let parents = parents.iter().flat_map(|parent| ["-p", parent.as_str()]);
    Git::at(path)
        .args(["-c", "commit.gpgSign=false", "commit-tree", "-m", message])
        .args(parents)
        .args([tree])
        .env("GIT_AUTHOR_NAME", "Regatta")
        .env("GIT_AUTHOR_EMAIL", "regatta@localhost")
        .env("GIT_COMMITTER_NAME", "Regatta")
        .env("GIT_COMMITTER_EMAIL", "regatta@localhost")
        .line()
        .await
}

/// A repository that an agent made or cloned inside its worktree would be saved as a bare commit id: its directory moves
/// aside whole instead. So does a submodule with work in it; what the index says of one is returned.
async fn set_aside_repositories(path: &Path, aside: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
    let failed = |source| Error::Git { path: path.to_owned(), source };
    let list = Git::at(path)
        .args(["ls-files", "-z", "--others", "--exclude-standard", "--directory"])
        .run()
        .await
        .map_err(failed)?;
    let mut found = Vec::new();
    for entry in list.split(|b| *b == 0).filter(|entry| entry.ends_with(b"/")) {
        nested(path, &git::path_of(entry), &mut found);
    }
    for name in &found {
        set_aside(path, name, aside)?;
    }
    let mut submodules = Vec::new();
    let staged = Git::at(path).args(["ls-files", "-z", "--stage"]).run().await.map_err(failed)?;
    for entry in staged.split(|b| *b == 0).filter(|entry| entry.starts_with(b"160000 ")) {
        let Some(tab) = entry.iter().position(|b| *b == b'\t') else { continue };
        let name = git::path_of(&entry[tab + 1..]);
        let inner = path.join(&name);
        if inner.join(".git").exists() && !work::unsaved(&inner, None).await.map_err(failed)?.is_clean() {
            set_aside(path, &name, aside)?;
            let commit = String::from_utf8_lossy(&entry[..tab]).split(' ').nth(1).unwrap_or_default().to_owned();
            submodules.push((name, commit));
        }
    }
    Ok(submodules)
}

fn set_aside(path: &Path, name: &Path, aside: &Path) -> Result<(), Error> {
    let (from, to) = (path.join(name), aside.join(name));
    let moved = to.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::rename(&from, &to));
    moved.map_err(|error| Error::Files {
        path: path.to_owned(),
        why: format!("the repository {} in it cannot be moved to {}: {error}", name.display(), to.display()),
    })?;
    tracing::info!(from = %from.display(), to = %to.display(), "kept a repository found in a discarded worktree");
    Ok(())
}

/// The repositories at or below an untracked directory; it does not look inside one, or into links.
fn nested(root: &Path, name: &Path, found: &mut Vec<PathBuf>) {
    let directory = root.join(name);
    if directory.join(".git").exists() {
        found.push(name.to_owned());
        return;
    }
    for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            nested(root, &name.join(entry.file_name()), found);
        }
    }
}
