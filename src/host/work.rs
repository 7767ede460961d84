//! What is in a worktree that nobody else has: uncommitted files, and commits that no remote branch reaches. Counted for
//! people by libgit2, cheaply; judged before a removal by git itself, which knows filters, submodules and sparse trees.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::git::{self, Git};
use super::worktree::Origin;
use crate::api::agent_status::{Changes, Worktree};

/// How many files and commits a message names before it says how many more there are.
const NAMED: usize = 3;

/// Work that would be lost with the worktree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// Changed and untracked files; ignored ones do not count.
    pub files: Vec<PathBuf>,
    /// Commits that no branch of the remote has, newest first, one line each.
    pub commits: Vec<String>,
    /// A merge, rebase or the like that is half done.
    pub underway: Option<&'static str>,
}

impl Unsaved {
    pub fn is_clean(&self) -> bool {
        self.files.is_empty() && self.commits.is_empty() && self.underway.is_none()
    }

    /// `2 uncommitted files (a.txt, b.txt) and 1 unpushed commit (1a2b3c4 Fix it)`.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        if !self.files.is_empty() {
            let names: Vec<String> = self.files.iter().map(|f| f.to_string_lossy().into_owned()).collect();
            parts.push(counted(&names, "uncommitted file", "uncommitted files"));
        }
        if !self.commits.is_empty() {
            parts.push(counted(&self.commits, "unpushed commit", "unpushed commits"));
        }
        if let Some(what) = self.underway {
            parts.push(format!("an unfinished {what}"));
        }
        parts.join(" and ")
    }
}

fn counted(names: &[String], one: &str, many: &str) -> String {
    let mut shown = names.iter().take(NAMED).map(|name| printable(name)).collect::<Vec<_>>().join(", ");
    if names.len() > NAMED {
        shown.push_str(&format!(", and {} more", names.len() - NAMED));
    }
    format!("{} {} ({shown})", names.len(), if names.len() == 1 { one } else { many })
}

/// Names come from an agent: no escape sequence of one reaches a terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(120).collect()
}

/// What a removal of this worktree would lose.
pub async fn unsaved(path: &Path, branch: Option<&str>) -> Result<Unsaved, git::Error> {
    let status = Git::at(path)
        .args(["status", "--porcelain=v2", "-z", "--untracked-files=normal", "--ignore-submodules=none"])
        .run()
        .await?;
    let files = parse_status(&status);
    let underway = git2::Repository::open(path).ok().and_then(|repository| match repository.state() {
        git2::RepositoryState::Clean => None,
        git2::RepositoryState::Merge => Some("merge"),
        git2::RepositoryState::Rebase
        | git2::RepositoryState::RebaseInteractive
        | git2::RepositoryState::RebaseMerge
        | git2::RepositoryState::ApplyMailbox
        | git2::RepositoryState::ApplyMailboxOrRebase => Some("rebase"),
        git2::RepositoryState::CherryPick | git2::RepositoryState::CherryPickSequence => Some("cherry-pick"),
        git2::RepositoryState::Revert | git2::RepositoryState::RevertSequence => Some("revert"),
        git2::RepositoryState::Bisect => None,
    });
    Ok(Unsaved { files, commits: unpushed(path, branch).await?, underway })
}

async fn unpushed(path: &Path, branch: Option<&str>) -> Result<Vec<String>, git::Error> {
    let tips = tips(path, branch);
    if tips.is_empty() {
        return Ok(Vec::new());
    }
    let list = Git::at(path)
        .args(["log", "--no-decorate", "--no-show-signature", "-z", "--format=%h %s"])
        .args(&tips)
        .args(["--not", "--remotes=origin", "--"])
        .run()
        .await?;
    Ok(pieces(&list).map(|line| String::from_utf8_lossy(line).into_owned()).collect())
}

/// Where the worktree's own commits end: its HEAD, which may be detached, and the agent's branch.
fn tips(path: &Path, branch: Option<&str>) -> Vec<String> {
    let Ok(repository) = git2::Repository::open(path) else { return Vec::new() };
    let names = std::iter::once("HEAD".to_owned()).chain(branch.map(|b| format!("refs/heads/{b}")));
    names
        .filter_map(|name| Some(repository.find_reference(&name).ok()?.peel_to_commit().ok()?.id().to_string()))
        .collect()
}

fn parse_status(output: &[u8]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut fields = pieces(output);
    while let Some(field) = fields.next() {
        // The number of words before the path, by the kind of line.
        let words = match field.first() {
            Some(b'1') => 8,
            Some(b'2') => {
                // A rename's old name is a field of its own.
                fields.next();
                9
            }
            Some(b'u') => 10,
            Some(b'?') => 1,
            _ => continue,
        };
        if let Some(path) = field.splitn(words + 1, |b| *b == b' ').nth(words) {
            files.push(git::path_of(path));
        }
    }
    files
}

fn pieces(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output.split(|b| *b == 0).filter(|piece| !piece.is_empty())
}

/// The worktree as people see it in the Agent's status.
pub async fn look(path: &Path, origin: Option<&Origin>) -> Result<Worktree, Error> {
    let (at, from) = (path.to_owned(), origin.cloned());
    let found = tokio::task::spawn_blocking(move || {
        let mut worktree = commits(&at, from.as_ref())?;
        if !has_filters(&at) {
            (worktree.dirty, worktree.changes) = changes(&at)?;
        }
        Ok(worktree)
    });
    let mut worktree = found.await.map_err(Error::Ended)?.map_err(Error::Read)?;
    if worktree.changes.is_none() {
        let status = Git::at(path).args(["status", "--porcelain=v2", "-z", "--untracked-files=all"]).run().await?;
        let numbers = Git::at(path).args(["diff", "--numstat", "-z", "HEAD", "--"]).run().await.unwrap_or_default();
        let (added, removed) = parse_numbers(&numbers);
        let files = number(parse_status(&status).len());
        (worktree.dirty, worktree.changes) = (Some(files > 0), Some(Changes { files, added, removed }));
    }
    Ok(worktree)
}

#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Git(#[from] git::Error),
    #[error("{}", .0.message())]
    Read(git2::Error),
    #[error("looking was interrupted: {0}")]
    Ended(tokio::task::JoinError),
}

/// Files of a tree with filters (git-lfs) differ from what is committed on purpose; only git itself knows how.
fn has_filters(path: &Path) -> bool {
    std::fs::read_to_string(path.join(".gitattributes")).is_ok_and(|text| text.contains("filter="))
}

fn parse_numbers(output: &[u8]) -> (i32, i32) {
    let lines = pieces(output).filter_map(|piece| {
        let mut words = piece.split(|b| *b == b'\t').map(|word| String::from_utf8_lossy(word).parse::<i32>());
        Some((words.next()?.ok()?, words.next()?.ok()?))
    });
    lines.fold((0, 0), |(added, removed), (a, r)| (added.saturating_add(a), removed.saturating_add(r)))
}

/// Branch, head, and how far it is from its base and from the remote.
fn commits(path: &Path, origin: Option<&Origin>) -> Result<Worktree, git2::Error> {
    let repository = git2::Repository::open(path)?;
    let head = repository.head().ok().and_then(|head| head.peel_to_commit().ok());
    let branch = repository.find_reference("HEAD").ok().and_then(|head| {
        head.symbolic_target().ok().flatten().and_then(|name| name.strip_prefix("refs/heads/")).map(str::to_owned)
    });
    let base = origin.and_then(|origin| {
        let name = format!("refs/remotes/origin/{}", origin.base);
        let current = repository.find_reference(&name).ok().and_then(|r| r.peel_to_commit().ok()).map(|c| c.id());
        current.or_else(|| git2::Oid::from_str(origin.base_sha.as_deref()?).ok())
    });
    let (mut ahead, mut behind, mut pushed) = (None, None, None);
    if let Some(head) = &head {
        if let Some(base) = base {
            let (a, b) = repository.graph_ahead_behind(head.id(), base)?;
            (ahead, behind) = (Some(number(a)), Some(number(b)));
        }
        let mut walk = repository.revwalk()?;
        walk.push(head.id())?;
        walk.hide_glob("refs/remotes/origin/*")?;
        pushed = Some(walk.next().is_none());
    }
    Ok(Worktree {
        path: path.display().to_string(),
        branch,
        base_sha: origin.and_then(|o| o.base_sha.clone()),
        head_sha: head.map(|commit| commit.id().to_string()),
        ahead,
        behind,
        dirty: None,
        changes: None,
        pushed,
    })
}

/// What is uncommitted, counted. Ignored files do not count.
fn changes(path: &Path) -> Result<(Option<bool>, Option<Changes>), git2::Error> {
    let repository = git2::Repository::open(path)?;
    let mut options = git2::DiffOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).show_untracked_content(true);
    options.include_ignored(false).ignore_submodules(false);
    // Lines of files larger than this are not worth counting.
    options.max_size(1 << 20);
    let tree = repository.head().ok().and_then(|head| head.peel_to_tree().ok());
    let stats = repository.diff_tree_to_workdir_with_index(tree.as_ref(), Some(&mut options))?.stats()?;
    let files = number(stats.files_changed());
    let changes = Changes { files, added: number(stats.insertions()), removed: number(stats.deletions()) };
    Ok((Some(files > 0), Some(changes)))
}

fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_of_every_kind_gives_its_path() {
        let output = b"1 .M N... 100644 100644 100644 aa bb a file\0\
                       2 R. N... 100644 100644 100644 aa bb R100 new name\0old name\0\
                       u UU N... 100644 100644 100644 100644 aa bb cc torn\0? -odd\nname\0! ignored\0";
        let files: Vec<_> = parse_status(output).iter().map(|p| p.display().to_string()).collect();
        assert_eq!(files, ["a file", "new name", "torn", "-odd\nname"]);
    }

    #[test]
    fn unsaved_work_is_named_but_never_at_length() {
        let files = (1..=5).map(|n| PathBuf::from(format!("f{n}\u{1b}"))).collect();
        let unsaved = Unsaved { files, commits: vec!["1a2b3c4 Fix".into()], underway: None };
        assert_eq!(
            unsaved.describe(),
            "5 uncommitted files (f1\u{fffd}, f2\u{fffd}, f3\u{fffd}, and 2 more) and 1 unpushed commit (1a2b3c4 Fix)"
        );
    }
}
