//! Sources: directories and repositories whose manifests are applied continuously, and pruned within guards. One task per
//! Source object; each pass reads everything, applies what differs and says in the status what came of it.
//!
//! Guarantees: nothing is deleted because it could not be seen, nothing that was applied is forgotten, two Sources never
//! fight over an object. A Source that is deleted lets its objects be: they stay as they are, and another Source that names
//! them takes them over.

mod apply;
mod credentials;
mod directory;
mod follow;
mod git;
mod kinds;
mod manifest;
mod origin;
mod ready;
mod registry;
mod report;
mod scan;
mod tree;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client, ResourceExt};
use tokio::task::{AbortHandle, JoinSet};

use self::registry::Registry;
use crate::api::source::{ConflictPolicy, Prune};
use crate::api::{Source, SourceSpec};
use crate::reconcile::watched::{Change, Watched};

/// The Source that exists by default, for `$REGATTA_HOME/manifests`.
pub const DEFAULT: &str = "manifests";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make the directory {} for manifests: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("cannot create source {DEFAULT:?}: {0}")]
    Api(#[from] kube::Error),
    #[error("cannot watch {} for manifests: the path is not UTF-8; choose another REGATTA_HOME", .0.display())]
    Path(PathBuf),
}

/// Makes the manifests directory and its Source where they are missing. One that somebody changed stays as it is.
pub async fn ensure_default(client: &Client, home: &Path) -> Result<(), Error> {
    let directory = std::path::absolute(home)
        .map_err(|source| Error::Directory { path: home.to_owned(), source })?
        .join("manifests");
    tokio::fs::create_dir_all(&directory)
        .await
        .map_err(|source| Error::Directory { path: directory.clone(), source })?;
    let path = directory.to_str().ok_or_else(|| Error::Path(directory.clone()))?.to_owned();
    let spec = SourceSpec {
        path: Some(path),
        git: None,
        namespace: None,
        prune: Prune::default(),
        conflict: ConflictPolicy::default(),
        period: None,
    };
    let source =
        Source { metadata: ObjectMeta { name: Some(DEFAULT.into()), ..ObjectMeta::default() }, spec, status: None };
    match Api::<Source>::all(client.clone()).create(&PostParams::default(), &source).await {
        Err(kube::Error::Api(status)) if !status.is_already_exists() => Err(kube::Error::Api(status).into()),
        Ok(_) | Err(kube::Error::Api(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Keeps one follower going for each Source. `state` is where repositories are kept.
pub async fn run(client: Client, state: PathBuf) {
    let mut tasks = JoinSet::new();
    let registry = Registry::default();
    let sources: Watched<Source> = Watched::start(client.clone(), &mut tasks);
    let mut changes = sources.changes();
    sources.ready().await;
    // By uid; restarted when the spec changes.
    let mut followers: HashMap<String, (i64, AbortHandle)> = HashMap::new();
    let mut swept = None;
    loop {
        let current = sources.all();
        let alive = || current.iter().map(|s| &**s).filter(|s| s.metadata.deletion_timestamp.is_none());
        registry.keep(alive());
        let before = followers.len();
        followers.retain(|uid, (generation, task)| {
            let keep = current.iter().any(|s| s.metadata.uid.as_ref() == Some(uid) && generation_of(s) == *generation);
            if !keep {
                task.abort();
            }
            keep && !task.is_finished()
        });
        // What was ended may still be at its last step, and must not meet its successor.
        while tasks.len() > 1 + followers.len() && tasks.join_next().await.is_some() {}
        if swept.is_none() || before != followers.len() {
            swept = Some(origin::sweep(&state, alive()));
            if let Some(Err(error)) = &swept {
                tracing::warn!(path = %state.display(), %error, "cannot remove what sources that are gone have fetched");
            }
        }
        for source in alive() {
            followers.entry(source.uid().unwrap_or_default()).or_insert_with(|| {
                tracing::debug!(source = source.name_any(), from = origin::location(source), "following");
                let registry = registry.clone();
                let follower = follow::Follower::new(client.clone(), sources.clone(), registry, source, &state);
                (generation_of(source), tasks.spawn(follower.run()))
            });
        }
        loop {
            match changes.recv().await {
                // Status alone moves often and means nothing here.
                Ok(Change::Applied(s))
                    if followers
                        .get(&s.uid().unwrap_or_default())
                        .is_some_and(|(generation, task)| *generation == generation_of(&s) && !task.is_finished()) => {}
                _ => break,
            }
        }
    }
}

fn generation_of(source: &Source) -> i64 {
    source.metadata.generation.unwrap_or_default()
}
