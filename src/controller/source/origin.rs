//! Where a Source's files come from, a directory or a repository, behind one face: read everything, and tell when another
//! reading is due. What was read last stays what is true when a remote cannot be reached or has lost its reference.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::{Client, ResourceExt};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::credentials;
use super::directory::Directory;
use super::git::Repository;
use super::tree::Tree;
use crate::api::Source;
use crate::api::conditions::{FETCHED, Truth, Verdict};
use crate::api::source::GitSource;

/// How often everything is applied again when the spec does not say.
const PATH_PERIOD: Duration = Duration::from_secs(300);
const GIT_PERIOD: Duration = Duration::from_secs(60);

/// More often helps nobody.
const MIN_PERIOD: Duration = Duration::from_secs(1);

/// A remote that failed is asked again after this, twice as long each time, up to the period.
const FIRST_RETRY: Duration = Duration::from_secs(2);

pub enum Origin {
    Directory(Directory),
    Git(Box<Remote>),
}

/// Everything that one reading found.
pub struct Reading {
    pub tree: Tree,
    /// A commit; the files' own digest stands in where there is none.
    pub revision: Option<String>,
    /// How the remote was.
    pub fetched: Option<Verdict>,
    pub rewritten: Option<String>,
    /// Files that somebody touched since the last reading.
    pub touched: BTreeSet<String>,
}

impl Origin {
    /// `state` is where repositories are kept.
    pub fn of(source: &Source, state: &Path) -> Origin {
        match (&source.spec.git, &source.spec.path) {
            (Some(git), _) => {
                let uid = source.uid().unwrap_or_default();
                Origin::Git(Box::new(Remote::new(git.clone(), repository_path(state, &uid, git), period(source))))
            }
            // The schema lets no Source be without either.
            (None, path) => Origin::Directory(Directory::new(PathBuf::from(path.as_deref().unwrap_or_default()))),
        }
    }

    pub async fn read(&mut self, client: &Client) -> Reading {
        match self {
            Origin::Directory(directory) => {
                let (tree, touched) = directory.read().await;
                Reading { tree, revision: None, fetched: None, rewritten: None, touched }
            }
            Origin::Git(remote) => remote.read(client).await,
        }
    }

    /// Returns when there may be something new. Nothing is lost when it is dropped before.
    pub async fn moved(&self) {
        match self {
            Origin::Directory(directory) => directory.moved().await,
            Origin::Git(remote) => tokio::time::sleep_until(remote.next).await,
        }
    }

    /// Somebody says that there is something new.
    pub fn asked(&mut self) {
        match self {
            Origin::Directory(_) => {}
            Origin::Git(remote) => remote.next = Instant::now(),
        }
    }

    /// Everything that this revision says is done.
    pub async fn settle(&self, revision: &str) {
        if let Origin::Git(remote) = self
            && let Err(error) = remote.repository.settle(revision).await
        {
            tracing::warn!(%error, "a later rewriting of the history may go unnoticed");
        }
    }
}

/// Where it is, for people.
pub fn location(source: &Source) -> Option<String> {
    let Some(GitSource { url, reference, dir, credentials_ref: _, webhook_secret_ref: _ }) = &source.spec.git else {
        return source.spec.path.clone();
    };
    let dir = dir.as_ref().map(|dir| format!("//{}", dir.trim_matches('/'))).unwrap_or_default();
    let reference = reference.as_ref().map(|r| format!("@{r}")).unwrap_or_default();
    Some(format!("{url}{dir}{reference}"))
}

pub fn period(source: &Source) -> Duration {
    let default = if source.spec.git.is_some() { GIT_PERIOD } else { PATH_PERIOD };
    source.spec.period.as_ref().and_then(|p| p.get()).unwrap_or(default).max(MIN_PERIOD)
}

/// Another URL or reference is another history: it gets another repository.
fn repository_path(state: &Path, uid: &str, git: &GitSource) -> PathBuf {
    let what = Sha256::digest(format!("{}\n{}", git.url, git.reference.as_deref().unwrap_or_default()));
    let what: String = what[..6].iter().map(|b| format!("{b:02x}")).collect();
    state.join(format!("{uid}-{what}.git"))
}

/// Removes the repositories of Sources that are not among these, and of what these had before.
pub fn sweep<'a>(state: &Path, sources: impl Iterator<Item = &'a Source>) -> std::io::Result<()> {
    let wanted: BTreeSet<PathBuf> = sources
        .filter_map(|s| Some(repository_path(state, s.metadata.uid.as_deref()?, s.spec.git.as_ref()?)))
        .collect();
    for entry in match std::fs::read_dir(state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    } {
        let path = entry?.path();
        let is_ours = path.extension().is_some_and(|e| e == "git" || e == "secrets");
        if is_ours && !wanted.contains(&path) {
            std::fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

pub struct Remote {
    git: GitSource,
    repository: Repository,
    period: Duration,
    /// When the remote is asked next.
    next: Instant,
    failures: u32,
    /// How it was when it was asked last.
    fetched: Verdict,
}

impl Remote {
    fn new(git: GitSource, directory: PathBuf, period: Duration) -> Remote {
        let repository = Repository::new(directory, git.url.clone(), git.reference.clone());
        let fetched = Verdict::new(FETCHED, Truth::Unknown, "Fetching", "the remote has not answered yet");
        Remote { git, repository, period, next: Instant::now(), failures: 0, fetched }
    }

    async fn read(&mut self, client: &Client) -> Reading {
        if Instant::now() >= self.next {
            self.fetch(client).await;
        }
        let nothing = |tree, fetched| Reading {
            tree,
            revision: None,
            fetched: Some(fetched),
            rewritten: None,
            touched: BTreeSet::new(),
        };
        let Some(commit) = self.repository.last().await else {
            return nothing(Tree::unclear(self.fetched.message.clone()), self.fetched.clone());
        };
        let tree = match self.repository.tree(&commit, self.git.dir.as_deref()).await {
            Ok(tree) => tree,
            Err(error) => return nothing(Tree::unclear(error.to_string()), self.fetched.clone()),
        };
        let rewritten = self.repository.rewritten(&commit).await;
        Reading { revision: Some(commit), rewritten, ..nothing(tree, self.fetched.clone()) }
    }

    async fn fetch(&mut self, client: &Client) {
        let GitSource { url, reference: _, dir: _, credentials_ref, webhook_secret_ref: _ } = &self.git;
        let secret = credentials_ref.as_ref().map(|r| r.name.as_str());
        let answer = match credentials::read(client, secret, url).await {
            Err(why) => Err(("NoCredentials", why)),
            Ok(credentials) => {
                self.repository.fetch(&credentials).await.map_err(|error| (error.reason(), error.to_string()))
            }
        };
        let before = self.fetched.clone();
        self.fetched = match answer {
            Ok(commit) => {
                self.failures = 0;
                self.next = Instant::now() + self.period;
                Verdict::new(FETCHED, Truth::True, "Fetched", format!("commit {commit}"))
            }
            Err((reason, why)) => {
                let wait = FIRST_RETRY.saturating_mul(1 << self.failures.min(10)).min(self.period);
                self.failures = self.failures.saturating_add(1);
                self.next = Instant::now() + wait;
                Verdict::new(FETCHED, Truth::False, reason, format!("{why}; what was fetched before stays"))
            }
        };
        if before != self.fetched {
            match self.fetched.status {
                Truth::True => tracing::info!(url, message = self.fetched.message, "fetched"),
                Truth::False | Truth::Unknown => {
                    tracing::warn!(url, why = self.fetched.message, "cannot fetch a source")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(spec: serde_json::Value) -> Source {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Source", "metadata": {"name": "s", "uid": "u-1"}, "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn a_source_is_shown_where_it_comes_from() {
        let shown = |spec| location(&source(spec)).unwrap();
        assert_eq!(shown(serde_json::json!({"path": "/srv/m"})), "/srv/m");
        let git = serde_json::json!({"git": {"url": "https://h/x.git", "ref": "main", "dir": "deploy/"}});
        assert_eq!(shown(git), "https://h/x.git//deploy@main");
    }

    #[test]
    fn the_period_has_a_default_and_a_floor() {
        let of = |spec| period(&source(spec));
        assert_eq!(of(serde_json::json!({"path": "/x"})), Duration::from_secs(300));
        assert_eq!(of(serde_json::json!({"git": {"url": "file:///x"}})), Duration::from_secs(60));
        assert_eq!(of(serde_json::json!({"path": "/x", "period": "10ms"})), Duration::from_secs(1));
        assert_eq!(of(serde_json::json!({"path": "/x", "period": "2h"})), Duration::from_secs(7200));
    }

    #[test]
    fn repositories_of_sources_that_are_gone_are_removed_and_nothing_else() {
        let state = tempfile::tempdir().unwrap();
        let kept = source(serde_json::json!({"git": {"url": "file:///x"}}));
        let path = repository_path(state.path(), "u-1", kept.spec.git.as_ref().unwrap());
        for name in [path.clone(), state.path().join("u-2-000000.git"), state.path().join("u-1-000000.git")] {
            std::fs::create_dir(name).unwrap();
        }
        std::fs::create_dir(state.path().join("mine")).unwrap();
        sweep(state.path(), [&kept].into_iter()).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(state.path()).unwrap().map(|e| e.unwrap().path()).collect();
        left.sort();
        let mut expected = vec![state.path().join("mine"), path];
        expected.sort();
        assert_eq!(left, expected);
        sweep(&state.path().join("none"), std::iter::empty()).unwrap();
    }
}
