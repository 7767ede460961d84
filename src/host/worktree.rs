//! Agents' worktrees: made on the agent's own branch, kept, and put away. Whether anything in one would be lost is for
//! `work` to say and `rescue` to save; this file never removes what they were not asked about.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::git::{self, Git};
use super::kept::{self, Kept};
use super::repo::{self, Clone, Repos};
use crate::api::link::DesiredRepo;

#[derive(Debug, Error)]
pub enum Error {
    #[error(transparent)]
    Repo(#[from] repo::Error),
    #[error(transparent)]
    Kept(#[from] kept::Error),
    #[error("\"{0}\" cannot be a branch: git allows no such name; set spec.branch")]
    BranchName(String),
    #[error("branch \"{branch}\" is checked out at {at}; set spec.branch or remove that worktree")]
    BranchTaken { branch: String, at: PathBuf },
    #[error("Repo \"{repo}\" has no branch, tag or commit \"{base}\"; push it there or change spec.baseRef")]
    NoBase { repo: String, base: String },
    #[error("{0} is there already and is no worktree of this Repo; move it away")]
    Occupied(PathBuf),
    #[error("cannot add a worktree at {path}: {source}")]
    Add { path: PathBuf, source: git::Error },
    #[error("cannot put away {path}: {why}")]
    Away { path: PathBuf, why: String },
}

impl Error {
    /// A word for the condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Error::Repo(_) => "RepoUnavailable",
            Error::BranchName(_) => "InvalidBranch",
            Error::BranchTaken { .. } => "BranchConflict",
            Error::NoBase { .. } => "BaseNotFound",
            Error::Occupied(_) | Error::Add { .. } | Error::Away { .. } | Error::Kept(_) => "WorktreeFailed",
        }
    }
}

/// What an agent's worktree was made from; remembered for as long as it exists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    pub repo_uid: String,
    pub repo_name: String,
    pub branch: String,
    /// The branch that ahead and behind are counted against.
    pub base: String,
    /// Where the branch started; none in an empty repository.
    pub base_sha: Option<String>,
}

/// A worktree to be.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub path: &'a Path,
    pub repo: &'a DesiredRepo,
    pub branch: &'a str,
    pub base: Option<&'a str>,
    /// Whether an agent already worked in it: then nothing in it is ever replaced.
    pub used: bool,
}

/// Makes sure that the worktree exists. Returns where it came from, or `None` when it was there already.
pub async fn ensure(
    repos: &Repos,
    kept: &kept::List,
    wanted: Wanted<'_>,
    now_ms: i64,
) -> Result<(Clone, Option<Origin>), Error> {
    let Wanted { path, repo, branch, base, used } = wanted;
    let refname = format!("refs/heads/{branch}");
    if branch.starts_with('-') || !git2::Reference::is_valid_name(&refname) {
        return Err(Error::BranchName(branch.to_owned()));
    }
    let mut clone = repos.ensure(repo, now_ms).await?;
    let base_name = base.unwrap_or(&clone.default_branch).to_owned();
    if !path.exists() && repo::has_remote_refs(&clone.path) && resolve(&clone.path, &base_name).is_none() {
        clone = repos.refresh(repo, now_ms).await?;
    }
    let _slot = repos.lock(&repo.uid).await;
    if path.exists() {
        match standing(&clone.path, path)? {
            Standing::Complete => return Ok((clone, None)),
            Standing::HalfMade if !used => abandon(&clone.path, path).await?,
            Standing::HalfMade => return Ok((clone, None)),
        }
    }
    let mut origin = Origin {
        repo_uid: repo.uid.clone(),
        repo_name: repo.name.clone(),
        branch: branch.to_owned(),
        base: base_name.clone(),
        base_sha: resolve(&clone.path, &base_name),
    };
    let add = |source| Error::Add { path: path.to_owned(), source };
    let mut holder = checked_out(&clone.path, &refname);
    // A pruning costs as much as all worktrees together: only when something that is gone is in the way.
    if holder.as_ref().is_some_and(|at| !at.exists()) || admin_directory(&clone.path, path).exists() {
        Git::at(&clone.path).args(["worktree", "prune"]).run().await.map_err(add)?;
        holder = checked_out(&clone.path, &refname);
    }
    if let Some(at) = holder {
        // A worktree that a deleted agent left behind is taken over by the next agent on its branch.
        if !kept.has(&at) {
            return Err(Error::BranchTaken { branch: branch.to_owned(), at });
        }
        Git::at(&clone.path).args(["worktree", "move", "--"]).args([&at, path]).run().await.map_err(add)?;
        kept.forget(&at)?;
        return Ok((clone, Some(origin)));
    }
    let exists = has_reference(&clone.path, &refname);
    let remote = format!("refs/remotes/origin/{branch}");
    let new = Git::at(&clone.path).args(["-c", "checkout.workers=2", "worktree", "add", "--quiet"]).within(git::LONG);
    let new = if exists {
        new.args(["--"]).args([path]).args([branch])
    } else if base.is_none() && has_reference(&clone.path, &remote) {
        new.args(["--track", "-b", branch, "--"]).args([path]).args([&format!("origin/{branch}")])
    } else if let Some(sha) = &origin.base_sha {
        new.args(["--no-track", "-b", branch, "--"]).args([path]).args([sha])
    } else if !repo::has_remote_refs(&clone.path) {
        add_orphan(&clone.path, path, &refname)?;
        return Ok((clone, Some(origin)));
    } else {
        return Err(Error::NoBase { repo: repo.name.clone(), base: base_name });
    };
    new.run().await.map_err(add)?;
    if exists && let Some(fork) = merge_base(&clone.path, &refname, origin.base_sha.as_deref()) {
        origin.base_sha = Some(fork);
    }
    Ok((clone, Some(origin)))
}

/// Takes a worktree out of the way at once; `trash` says what is left to be deleted at leisure.
pub async fn put_away(repos: &Repos, repo_uid: Option<&str>, path: &Path) -> Result<Option<PathBuf>, Error> {
    let away = |why: String| Error::Away { path: path.to_owned(), why };
    let slot = match repo_uid {
        Some(uid) => Some((repos.path(uid), repos.lock(uid).await)),
        None => None,
    };
    let trash = trash(path);
    let moved = match std::fs::rename(path, &trash) {
        Ok(()) => Some(trash),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(away(error.to_string())),
    };
    if let Some((clone, _lock)) = slot.filter(|(clone, _)| clone.exists()) {
        Git::at(&clone).args(["worktree", "prune"]).run().await.map_err(|error| away(error.to_string()))?;
    }
    Ok(moved)
}

const TRASH: &str = ".trash-";

/// Beside what is thrown away: a rename within a directory cannot fail half way.
fn trash(path: &Path) -> PathBuf {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let free = |n: &u32| !path.with_file_name(format!("{TRASH}{name}-{n}")).exists();
    let n = (0..).find(free).expect("some number is free");
    path.with_file_name(format!("{TRASH}{name}-{n}"))
}

/// What a host that ended meanwhile had not finished deleting.
pub fn leftovers(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(TRASH)))
        .collect()
}

/// Deletes a tree, read-only directories included (Go's module cache is full of them). Blocking.
pub fn delete(path: &Path) {
    if std::fs::remove_dir_all(path).is_ok() {
        return;
    }
    open_up(path);
    if let Err(error) = std::fs::remove_dir_all(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "a discarded directory is not deleted; the next start tries again");
    }
}

fn open_up(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // What cannot be opened shows up as the error of the deletion that follows.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).ok();
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Deletes the agent's branch when every commit of it is on the remote.
pub async fn delete_merged_branch(repos: &Repos, repo_uid: &str, branch: &str) -> Result<bool, git::Error> {
    let _slot = repos.lock(repo_uid).await;
    let path = repos.path(repo_uid);
    let refname = format!("refs/heads/{branch}");
    if !path.exists() || !has_reference(&path, &refname) {
        return Ok(false);
    }
    let left = Git::at(&path).args(["rev-list", "--count", &refname, "--not", "--remotes=origin"]).line().await?;
    if left != "0" {
        return Ok(false);
    }
    // `branch -d` refuses what another worktree has checked out; that is right here too.
    Git::at(&path).args(["branch", "--quiet", "-D", "--", branch]).run().await.map(|_| true)
}

enum Standing {
    Complete,
    /// git was interrupted while it checked out.
    HalfMade,
}

fn standing(clone: &Path, path: &Path) -> Result<Standing, Error> {
    let occupied = || Error::Occupied(path.to_owned());
    let link = std::fs::read_to_string(path.join(".git")).map_err(|_| occupied())?;
    let admin = PathBuf::from(link.trim().strip_prefix("gitdir: ").ok_or_else(occupied)?);
    if !admin.starts_with(clone.canonicalize().unwrap_or_else(|_| clone.to_owned())) && !admin.starts_with(clone) {
        return Err(occupied());
    }
    // git locks a worktree with this word until its files are there.
    let locked = std::fs::read_to_string(admin.join("locked")).is_ok_and(|why| why.trim() == "initializing");
    Ok(if locked { Standing::HalfMade } else { Standing::Complete })
}

/// Removes a worktree that never became one: it holds what git wrote and nothing else.
async fn abandon(clone: &Path, path: &Path) -> Result<(), Error> {
    let add = |source| Error::Add { path: path.to_owned(), source };
    Git::at(clone)
        .args(["worktree", "remove", "--force", "--force", "--"])
        .args([path])
        .run()
        .await
        .map(drop)
        .map_err(add)
}

/// A worktree on a branch without a commit. `git worktree add --orphan` came with git 2.42; these are the files it makes.
fn add_orphan(clone: &Path, path: &Path, refname: &str) -> Result<(), Error> {
    let admin = admin_directory(clone, path);
    let write = || {
        std::fs::create_dir_all(&admin)?;
        std::fs::create_dir_all(path)?;
        std::fs::write(admin.join("HEAD"), format!("ref: {refname}\n"))?;
        std::fs::write(admin.join("commondir"), "../..\n")?;
        std::fs::write(admin.join("gitdir"), format!("{}\n", path.join(".git").display()))?;
        std::fs::write(path.join(".git"), format!("gitdir: {}\n", admin.display()))
    };
    write().map_err(|error: std::io::Error| Error::Away { path: path.to_owned(), why: error.to_string() })
}

/// The commit that a base means: a remote branch first, then a tag, a commit, another agent's branch.
fn resolve(clone: &Path, base: &str) -> Option<String> {
    let repository = git2::Repository::open_bare(clone).ok()?;
    let short = base.strip_prefix("refs/heads/").or_else(|| base.strip_prefix("origin/")).unwrap_or(base);
    let candidates =
        [format!("refs/remotes/origin/{short}"), format!("refs/tags/{base}"), format!("refs/heads/{base}")];
    let named = candidates
        .iter()
        .filter(|name| git2::Reference::is_valid_name(name))
        .find_map(|name| repository.find_reference(name).ok()?.peel_to_commit().ok());
    let is_sha = base.len() >= 7 && base.bytes().all(|b| b.is_ascii_hexdigit());
    let by_sha = || is_sha.then(|| repository.revparse_single(base).ok()?.peel_to_commit().ok()).flatten();
    named.or_else(by_sha).map(|commit| commit.id().to_string())
}

fn has_reference(clone: &Path, name: &str) -> bool {
    git2::Repository::open_bare(clone).is_ok_and(|repository| repository.find_reference(name).is_ok())
}

fn merge_base(clone: &Path, refname: &str, base: Option<&str>) -> Option<String> {
    let repository = git2::Repository::open_bare(clone).ok()?;
    let branch = repository.find_reference(refname).ok()?.peel_to_commit().ok()?.id();
    Some(repository.merge_base(branch, git2::Oid::from_str(base?).ok()?).ok()?.to_string())
}

/// Where a branch is checked out.
fn checked_out(clone: &Path, refname: &str) -> Option<PathBuf> {
    let head = format!("ref: {refname}");
    std::fs::read_dir(clone.join("worktrees")).ok()?.flatten().find_map(|entry| {
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let gitdir = (read("HEAD").trim() == head).then(|| PathBuf::from(read("gitdir").trim()))?;
        Some(gitdir.parent().map(Path::to_owned).unwrap_or(gitdir))
    })
}

/// Where git keeps what it knows of a worktree: under the worktree's own name, which is the agent's uid.
fn admin_directory(clone: &Path, path: &Path) -> PathBuf {
    clone.join("worktrees").join(path.file_name().unwrap_or_default())
}

/// The record of a worktree that stays behind.
pub fn kept_record(path: &Path, origin: Option<&Origin>, owner: kept::Owner, now_ms: i64) -> Kept {
    Kept {
        path: path.to_owned(),
        repo: origin.map(|o| o.repo_name.clone()),
        branch: origin.map(|o| o.branch.clone()),
        owner,
        since_ms: now_ms,
    }
}
