//! The host's bare clones: one per Repo, made by init and a remote with a remote-tracking refspec. (`clone --bare` would
//! leave a stale local branch of every remote one, which agents' branches would collide with; a mirror refspec would prune
//! agents' unpushed branches.) Owns clone, fetch and what the remote's HEAD is; worktrees are `worktree`'s.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::git::{self, Git};
use crate::api::link::{DesiredRepo, ObservedRepo};

/// Agents that start together share one fetch.
const FRESH_MS: i64 = 10_000;

/// Regatta's own files in a worktree, which git is not to see.
const EXCLUDED: &str = "# Regatta's own files\n/.regatta/\n";

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot clone {location}: {source}")]
    Clone { location: String, source: git::Error },
    #[error("cannot use {path}: {why}")]
    Path { path: PathBuf, why: String },
    #[error("cannot prepare the clone {path}: {why}")]
    Prepare { path: PathBuf, why: String },
    #[error("the Repo has neither url nor path")]
    Nowhere,
}

/// A clone that is there.
#[derive(Clone, Debug)]
pub struct Clone {
    pub path: PathBuf,
    /// The branch that agents start from.
    pub default_branch: String,
    /// The commit that it is at; none in an empty repository.
    pub head: Option<String>,
    pub fetched_ms: i64,
    /// Why the last fetch failed, if a clone from before is all there is.
    pub stale: Option<String>,
}

impl Clone {
    pub fn observed(&self, uid: &str) -> ObservedRepo {
        ObservedRepo {
            uid: uid.to_owned(),
            default_branch: Some(self.default_branch.clone()),
            head_sha: self.head.clone(),
            fetched_ms: Some(self.fetched_ms),
            error: self.stale.clone(),
        }
    }
}

/// Every clone of this host.
pub struct Repos {
    directory: PathBuf,
    slots: Mutex<HashMap<String, Arc<AsyncMutex<Slot>>>>,
}

/// What changes a clone holds its slot.
#[derive(Default)]
pub struct Slot {
    fetched: Option<(String, Clone)>,
}

impl Repos {
    pub fn new(directory: PathBuf) -> Repos {
        Repos { directory, slots: Mutex::default() }
    }

    pub fn path(&self, uid: &str) -> PathBuf {
        self.directory.join(format!("{uid}.git"))
    }

    /// The right to change this clone: one at a time.
    pub async fn lock(&self, uid: &str) -> OwnedMutexGuard<Slot> {
        let slot = self.slots.lock().unwrap_or_else(PoisonError::into_inner).entry(uid.to_owned()).or_default().clone();
        slot.lock_owned().await
    }

    /// What is known of a clone without touching it or the network.
    pub fn known(&self, uid: &str) -> Option<ObservedRepo> {
        let path = self.path(uid);
        let fetched = std::fs::metadata(path.join("FETCH_HEAD")).and_then(|file| file.modified()).ok()?;
        let since = fetched.duration_since(std::time::UNIX_EPOCH).ok()?;
        let default_branch = known_head(&path);
        Some(ObservedRepo {
            uid: uid.to_owned(),
            head_sha: default_branch.as_deref().and_then(|branch| remote_commit(&path, branch)),
            default_branch,
            fetched_ms: i64::try_from(since.as_millis()).ok(),
            error: None,
        })
    }

    /// Makes sure that the clone exists and is fresh. A fetch that fails is no error while an older clone is there.
    pub async fn ensure(&self, repo: &DesiredRepo, now_ms: i64) -> Result<Clone, Error> {
        let mut slot = self.lock(&repo.uid).await;
        self.ensure_locked(&mut slot, repo, now_ms, FRESH_MS).await
    }

    /// The same, fetching whatever was fetched before.
    pub async fn refresh(&self, repo: &DesiredRepo, now_ms: i64) -> Result<Clone, Error> {
        let mut slot = self.lock(&repo.uid).await;
        // Callers that waited for another one's fetch need none of their own.
        self.ensure_locked(&mut slot, repo, now_ms, 0).await
    }

    async fn ensure_locked(
        &self,
        slot: &mut Slot,
        repo: &DesiredRepo,
        now_ms: i64,
        fresh_ms: i64,
    ) -> Result<Clone, Error> {
        let location = location(repo)?;
        if let Some((from, clone)) = &slot.fetched
            && *from == location
            && (now_ms - clone.fetched_ms < fresh_ms || clone.fetched_ms > now_ms)
            && clone.path.exists()
        {
            return Ok(clone.clone());
        }
        if let Some(path) = &repo.spec.path {
            prepare_path(Path::new(path), repo).await?;
        }
        let path = self.path(&repo.uid);
        prepare_clone(&path, &location).await?;
        let stale = match fetch(&path).await {
            Ok(()) => None,
            Err(error) if has_remote_refs(&path) => Some(error.to_string()),
            Err(source) => return Err(Error::Clone { location, source }),
        };
        let default_branch = default_branch(&path, repo, stale.is_none()).await;
        let head = remote_commit(&path, &default_branch);
        let clone = Clone { path, default_branch, head, fetched_ms: now_ms, stale };
        slot.fetched = Some((location, clone.clone()));
        Ok(clone)
    }
}

fn location(repo: &DesiredRepo) -> Result<String, Error> {
    repo.spec.url.clone().or_else(|| repo.spec.path.clone()).ok_or(Error::Nowhere)
}

/// A Repo's own directory on this host: a repository, or one that is to become one.
async fn prepare_path(path: &Path, repo: &DesiredRepo) -> Result<(), Error> {
    let wrong = |why: String| Error::Path { path: path.to_owned(), why };
    if git2::Repository::open(path).is_ok() {
        return Ok(());
    }
    if !repo.spec.initialize.unwrap_or(false) {
        let why = match git2::Repository::open(path) {
            Err(error) if path.exists() && error.code() != git2::ErrorCode::NotFound => error.message().to_owned(),
            _ if path.exists() => {
                "it is not a git repository; name its top directory, or set spec.initialize on an empty one".to_owned()
            }
            _ => "there is no such directory on this host; create it, or set spec.initialize".to_owned(),
        };
        return Err(wrong(why));
    }
    std::fs::create_dir_all(path).map_err(|error| wrong(format!("it cannot be created: {error}")))?;
    let mut entries = std::fs::read_dir(path).map_err(|error| wrong(error.to_string()))?;
    if entries.next().is_some() {
        return Err(wrong("spec.initialize needs an empty directory; run `git init` there yourself".into()));
    }
    let branch = repo.spec.default_branch.as_deref().unwrap_or("main");
    Git::at(path)
        .args(["init", "--quiet", &format!("--initial-branch={branch}"), "."])
        .run()
        .await
        .map(drop)
        .map_err(|error| wrong(error.to_string()))
}

/// `git init --bare`, the remote and our excludes; each as it should be already when it is run again.
async fn prepare_clone(path: &Path, location: &str) -> Result<(), Error> {
    let wrong = |why: String| Error::Prepare { path: path.to_owned(), why };
    std::fs::create_dir_all(path).map_err(|error| wrong(error.to_string()))?;
    if !path.join("HEAD").exists() {
        Git::at(path).args(["init", "--quiet", "--bare", "."]).run().await.map_err(|error| wrong(error.to_string()))?;
    }
    let git = |error: git2::Error| wrong(error.message().to_owned());
    // Through the library: a value that begins with a dash stays a value.
    let mut config = git2::Config::open(&path.join("config")).map_err(git)?;
    for (key, value) in [
        ("remote.origin.url", location),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
        // `git push` alone, in a worktree, pushes the agent's branch.
        ("push.default", "current"),
        ("push.autoSetupRemote", "true"),
        ("core.logAllRefUpdates", "true"),
    ] {
        if config.get_string(key).ok().as_deref() != Some(value) {
            config.set_str(key, value).map_err(git)?;
        }
    }
    let exclude = path.join("info/exclude");
    let before = std::fs::read_to_string(&exclude).unwrap_or_default();
    if !before.contains(EXCLUDED) {
        std::fs::create_dir_all(path.join("info")).map_err(|error| wrong(error.to_string()))?;
        std::fs::write(&exclude, before + EXCLUDED).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(())
}

async fn fetch(path: &Path) -> Result<(), git::Error> {
    Git::at(path)
        .args(["fetch", "--quiet", "--prune", "origin"])
        .env("GIT_SSH_COMMAND", git::quiet_ssh(path).await)
        .within(git::LONG)
        .run()
        .await
        .map(drop)
}

/// The branch that agents start from: the Repo's own word, else the remote's HEAD, else what was known before.
async fn default_branch(path: &Path, repo: &DesiredRepo, reachable: bool) -> String {
    if let Some(branch) = &repo.spec.default_branch {
        remember_head(path, branch);
        return branch.clone();
    }
    let found = match &repo.spec.path {
        Some(local) => local_head(Path::new(local)),
        None if reachable => remote_head(path).await,
        None => None,
    };
    match found {
        Some(branch) => {
            remember_head(path, &branch);
            branch
        }
        None => known_head(path).unwrap_or_else(|| "main".to_owned()),
    }
}

fn local_head(path: &Path) -> Option<String> {
    let repository = git2::Repository::open(path).ok()?;
    let head = repository.find_reference("HEAD").ok()?;
    head.symbolic_target().ok().flatten()?.strip_prefix("refs/heads/").map(str::to_owned)
}

async fn remote_head(path: &Path) -> Option<String> {
    let output = Git::at(path)
        .args(["ls-remote", "--symref", "origin", "HEAD"])
        .env("GIT_SSH_COMMAND", git::quiet_ssh(path).await)
        .line()
        .await
        .ok()?;
    let line = output.lines().find_map(|line| line.strip_prefix("ref: refs/heads/"))?;
    line.split_once('\t').map(|(branch, _)| branch.to_owned())
}

const ORIGIN_HEAD: &str = "refs/remotes/origin/HEAD";

fn remember_head(path: &Path, branch: &str) {
    let written = git2::Repository::open_bare(path).and_then(|repository| {
        let target = format!("refs/remotes/origin/{branch}");
        repository.reference_symbolic(ORIGIN_HEAD, &target, true, "the remote's HEAD").map(drop)
    });
    if let Err(error) = written {
        tracing::debug!(path = %path.display(), error = error.message(), "origin/HEAD was not recorded");
    }
}

fn known_head(path: &Path) -> Option<String> {
    let repository = git2::Repository::open_bare(path).ok()?;
    let head = repository.find_reference(ORIGIN_HEAD).ok()?;
    head.symbolic_target().ok().flatten()?.strip_prefix("refs/remotes/origin/").map(str::to_owned)
}

pub(super) fn remote_commit(path: &Path, branch: &str) -> Option<String> {
    let repository = git2::Repository::open_bare(path).ok()?;
    let reference = repository.find_reference(&format!("refs/remotes/origin/{branch}")).ok()?;
    Some(reference.peel_to_commit().ok()?.id().to_string())
}

/// Whether anything was ever fetched.
pub(super) fn has_remote_refs(path: &Path) -> bool {
    git2::Repository::open_bare(path)
        .and_then(|repository| {
            Ok(repository
                .references_glob("refs/remotes/origin/*")?
                .filter_map(Result::ok)
                .any(|reference| reference.target().is_some()))
        })
        .unwrap_or(false)
}
