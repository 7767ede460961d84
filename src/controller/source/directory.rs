//! A directory of manifests: notices changes (told by the system, or found by looking) and reads the files. Must not know
//! what is in them.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::tree::{self, File, Tree};

/// Editors and `cp -r` make bursts of events.
const SETTLE: Duration = Duration::from_millis(120);

/// Where the system does not tell of changes (network file systems, a directory that is not there yet), looking does.
const LOOK: Duration = Duration::from_secs(1);

const MAX_DEPTH: usize = 16;

pub struct Directory {
    path: PathBuf,
    told: Arc<Told>,
    watcher: Option<(Identity, RecommendedWatcher)>,
    seen: Glance,
}

/// What the system told since the last reading.
#[derive(Default)]
struct Told {
    wake: Notify,
    touched: Mutex<BTreeSet<PathBuf>>,
}

/// What a look at the directory costs little to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Glance(BTreeMap<PathBuf, Option<Facts>>, Option<String>);

/// Of one file: size, time of the last change, which file it is, who may read it.
type Facts = (u64, Option<SystemTime>, u64, u32);

impl Directory {
    pub fn new(path: PathBuf) -> Directory {
        Directory { path, told: Arc::default(), watcher: None, seen: Glance::default() }
    }

    /// Reads every manifest, and says which files were touched since the last reading.
    pub async fn read(&mut self) -> (Tree, BTreeSet<String>) {
        if self.watcher.as_ref().is_none_or(|(of, _)| *of != identity(&self.path)) {
            self.watcher = watch(&self.path, self.told.clone());
        }
        let touched = std::mem::take(&mut *self.told.touched.lock().unwrap_or_else(PoisonError::into_inner));
        let touched = touched.iter().map(|path| name(&self.path, path)).collect();
        // Before the reading: what changes meanwhile is then seen as a change.
        self.seen = self.glance().await;
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        (read.unwrap_or_else(|error| Tree::unclear(format!("the directory could not be read: {error}"))), touched)
    }

    /// Returns when the directory is not as it was read. Nothing is lost when it is dropped before.
    pub async fn moved(&self) {
        // Told while nobody listened counts as well.
        let mut told = !self.told.touched.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        loop {
            if told || tokio::time::timeout(LOOK, self.told.wake.notified()).await.is_ok() {
                tokio::time::sleep(SETTLE).await;
            }
            if self.glance().await != self.seen {
                return;
            }
            told = false;
        }
    }

    async fn glance(&self) -> Glance {
        let path = self.path.clone();
        // A look that fails differs from every other, so that the reading says why.
        let failed = |error: tokio::task::JoinError| Glance(BTreeMap::new(), Some(error.to_string()));
        tokio::task::spawn_blocking(move || glance(&path)).await.unwrap_or_else(failed)
    }
}

fn glance(root: &Path) -> Glance {
    let mut found = Found::default();
    let trouble = collect(root, &mut Vec::new(), &mut found).err().or(found.unclear);
    let facts = |path: &PathBuf| path.metadata().ok().map(|m| (m.len(), m.modified().ok(), m.ino(), m.mode()));
    Glance(
        found
            .files
            .into_iter()
            .map(|path| {
                let facts = facts(&path);
                (path, facts)
            })
            .collect(),
        trouble,
    )
}

fn read(root: &Path) -> Tree {
    let mut found = Found::default();
    if let Err(message) = collect(root, &mut Vec::new(), &mut found) {
        return Tree::unclear(message);
    }
    let Found { mut files, unclear, oddities } = found;
    files.sort();
    let mut room = tree::MAX_BYTES;
    let read = |path: &PathBuf| File { name: name(root, path), content: content(path, &mut room) };
    Tree { files: files.iter().map(read).collect(), unclear, oddities: named(root, oddities) }
}

fn content(path: &Path, room: &mut u64) -> Result<Vec<u8>, String> {
    let cannot = |error: std::io::Error| format!("cannot read the file: {error}");
    let size = path.metadata().map_err(cannot)?.len();
    if let Some(why) = tree::too_large(size) {
        return Err(why);
    }
    *room = room.checked_sub(size).ok_or("all manifests together are too large; split the source")?;
    std::fs::read(path).map_err(cannot)
}

#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    unclear: Option<String>,
    oddities: Vec<(PathBuf, String)>,
}

/// Finds the manifests below a directory. `above` are the directories that lead to it.
fn collect(directory: &Path, above: &mut Vec<(u64, u64)>, found: &mut Found) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot read directory {}: {error}", directory.display());
    let itself = directory.metadata().map(|m| (m.dev(), m.ino())).map_err(cannot)?;
    if above.contains(&itself) {
        found.oddities.push((directory.to_owned(), "this link leads back to a directory above it".into()));
        return Ok(());
    }
    if above.len() > MAX_DEPTH {
        return Err(format!(
            "{} is more than {MAX_DEPTH} directories deep; choose a flatter layout",
            directory.display()
        ));
    }
    above.push(itself);
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if tree::is_hidden(&name) {
            continue;
        }
        // Follows links, as a directory of links is a common way to choose.
        match path.metadata() {
            Ok(metadata) if metadata.is_dir() => collect(&path, above, found)?,
            Ok(metadata) if metadata.is_file() && tree::is_manifest(&name) => found.files.push(path),
            Ok(_) => {}
            // Gone since the directory was listed, or a link to what is not there, such as a disk that is not mounted.
            Err(error) => {
                found.unclear = Some(format!("{} cannot be read: {error}", path.display()));
                if path.symlink_metadata().is_ok() {
                    found.oddities.push((path.clone(), format!("this link leads nowhere: {error}")));
                }
            }
        }
        if let Some(why) = tree::too_many(found.files.len()) {
            return Err(why);
        }
    }
    above.pop();
    Ok(())
}

fn named(root: &Path, oddities: Vec<(PathBuf, String)>) -> Vec<(String, String)> {
    oddities.into_iter().map(|(path, why)| (name(root, &path), why)).collect()
}

fn name(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

type Identity = Option<(u64, u64)>;

/// A directory that was deleted and made anew is another one, and its watch is dead.
fn identity(path: &Path) -> Identity {
    path.metadata().ok().map(|m| (m.dev(), m.ino()))
}

/// `None` where the system cannot watch the directory; looking at it goes on in any case.
fn watch(path: &Path, told: Arc<Told>) -> Option<(Identity, RecommendedWatcher)> {
    let identity = identity(path);
    let handler = move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event {
            // Our own reading opens files, too.
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            told.touched.lock().unwrap_or_else(PoisonError::into_inner).extend(event.paths);
        }
        told.wake.notify_one();
    };
    let watcher = notify::recommended_watcher(handler).and_then(|mut watcher| {
        watcher.watch(path, RecursiveMode::Recursive)?;
        Ok(watcher)
    });
    match watcher {
        Ok(watcher) => Some((identity, watcher)),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "the directory is looked at instead of watched");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        directory
    }

    fn names(tree: &Tree) -> Vec<&str> {
        tree.files.iter().map(|f| f.name.as_str()).collect()
    }

    #[test]
    fn manifests_are_found_in_order_and_hidden_directories_are_not_entered() {
        let directory = directory(&["b.yaml", "team/a.yml", ".git/c.yaml", "notes.txt", "b.yaml~"]);
        let tree = read(directory.path());
        assert_eq!(names(&tree), ["b.yaml", "team/a.yml"]);
        assert!(tree.unclear.is_none() && tree.oddities.is_empty());
    }

    #[test]
    fn a_directory_that_is_not_there_shows_nothing() {
        let tree = read(&directory(&[]).path().join("gone"));
        assert!(tree.files.is_empty());
        assert!(tree.unclear.unwrap().contains("cannot read directory"));
    }

    #[test]
    fn a_link_that_leads_nowhere_makes_the_reading_unclear_and_is_named() {
        let directory = directory(&["a.yaml"]);
        std::os::unix::fs::symlink("/nowhere/at/all", directory.path().join("disk")).unwrap();
        let tree = read(directory.path());
        assert_eq!(names(&tree), ["a.yaml"]);
        assert!(tree.unclear.is_some());
        assert_eq!(tree.oddities[0].0, "disk");
    }

    #[test]
    fn a_link_in_a_circle_is_not_followed() {
        let directory = directory(&["a.yaml"]);
        std::os::unix::fs::symlink(directory.path(), directory.path().join("again")).unwrap();
        let tree = read(directory.path());
        assert_eq!(names(&tree), ["a.yaml"]);
        assert!(tree.oddities[0].1.contains("back"), "{tree:?}");
    }

    #[test]
    fn a_file_that_is_too_large_is_not_read() {
        let directory = directory(&["a.yaml"]);
        let file = std::fs::File::create(directory.path().join("big.yaml")).unwrap();
        file.set_len(10 << 20).unwrap();
        let tree = read(directory.path());
        assert!(tree.files[1].content.as_ref().unwrap_err().contains("split it"));
        assert!(tree.files[0].content.is_ok());
    }

    #[test]
    fn a_look_sees_what_size_and_time_would_hide() {
        let directory = directory(&["a.yaml"]);
        let before = glance(directory.path());
        assert_eq!(before, glance(directory.path()));
        let path = directory.path().join("a.yaml");
        let time = path.metadata().unwrap().modified().unwrap();
        let other = directory.path().join("b");
        std::fs::write(&other, "y").unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(before, glance(directory.path()), "another file of the same size and time");
    }
}
