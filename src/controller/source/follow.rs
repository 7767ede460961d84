//! Follows one Source: wakes when its directory changes (told by the system, or found by looking), makes a pass, writes the
//! status. Everything that must survive a restart is in that status.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::apply::{self, Applied, Readiness};
use super::kinds::Kinds;
use super::scan::{self, Glance, Scan, failure};
use crate::api::conditions::{CONVERGED, PRUNE_BLOCKED, READY, RECONCILING, STALLED, Truth, Verdict, shorten};
use crate::api::source::{Failure, InventoryItem};
use crate::api::{Source, SourceStatus};
use crate::plan::source::{self as plan, Key, MIN_ABSENCE, Pruning};
use crate::plan::status::to_seconds;
use crate::reconcile::watched::{Key as Name, Watched};
use crate::reconcile::write;

const MANAGER: &str = "source";

/// Says that a blocked prune is meant: its value is the revision that was looked at.
const ALLOW_PRUNE: &str = "regatta.dev/allow-prune";

/// Editors and `cp -r` make bursts of events.
const SETTLE: Duration = Duration::from_millis(120);

/// Where the system does not tell of changes (network file systems, a directory that is not there yet), looking does.
const LOOK: Duration = Duration::from_secs(1);

/// Applies everything again although no file changed: undoes what others did to it.
const REFRESH: Duration = Duration::from_secs(300);

/// How many objects that are waited for a message names.
const NAMED: usize = 5;

const MAX_FAILURES: usize = 100;
const MAX_INVENTORY: usize = 10_000;

pub struct Follower {
    client: Client,
    sources: Watched<Source>,
    name: String,
    path: PathBuf,
    kinds: Kinds,
    inventory: Vec<InventoryItem>,
    absent_since: BTreeMap<Key, i64>,
    /// The last status written, before the mirror has it.
    said: Option<SourceStatus>,
}

/// What the last pass left to do.
struct Rest {
    again: Option<Duration>,
    converged: bool,
}

impl Follower {
    pub fn new(client: Client, sources: Watched<Source>, source: &Source) -> Follower {
        Follower {
            client,
            sources,
            name: source.name_any(),
            path: PathBuf::from(&source.spec.path),
            kinds: Kinds::default(),
            inventory: source.status.as_ref().map(|s| s.inventory.clone()).unwrap_or_default(),
            absent_since: BTreeMap::new(),
            said: source.status.clone(),
        }
    }

    pub async fn run(mut self) {
        let told = Arc::new(Notify::new());
        let mut watcher = None;
        loop {
            if watcher.as_ref().is_none_or(|(of, _)| *of != identity(&self.path)) {
                watcher = watch(&self.path, told.clone());
            }
            let seen = self.glance().await;
            let Some(source) = self.sources.get(&Name::new("", &self.name)) else { return };
            let rest = self.pass(&source).await;
            self.rest(&told, seen, &rest, source).await;
        }
    }

    /// Returns when another pass is due.
    async fn rest(&mut self, told: &Notify, seen: Glance, rest: &Rest, source: Arc<Source>) {
        let passed = Instant::now();
        let allowed = source.annotations().get(ALLOW_PRUNE).cloned();
        loop {
            let wait = rest.again.unwrap_or(LOOK).min(LOOK);
            let event = tokio::time::timeout(wait, told.notified()).await.is_ok();
            if event {
                tokio::time::sleep(SETTLE).await;
            }
            let due = rest.again.is_some_and(|again| passed.elapsed() >= again) || passed.elapsed() >= REFRESH;
            let annotated = self
                .sources
                .get(&Name::new("", &self.name))
                .is_none_or(|s| s.annotations().get(ALLOW_PRUNE) != allowed.as_ref());
            if due || annotated || self.glance().await != seen {
                return;
            }
            if !rest.converged && self.has_moved().await {
                return;
            }
        }
    }

    /// Whether the objects are further on than the status says.
    async fn has_moved(&mut self) -> bool {
        let readiness = apply::readiness(&self.client, &mut self.kinds, &self.inventory).await;
        let said = self.said.as_ref().and_then(|s| crate::api::conditions::find(&s.conditions, CONVERGED));
        readiness.is_ok_and(|r| r.missing || said.is_none_or(|c| c.message != convergence(&r, true).message))
    }

    async fn glance(&self) -> Glance {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || scan::glance(&path)).await.unwrap_or_default()
    }

    async fn pass(&mut self, source: &Source) -> Rest {
        let path = self.path.clone();
        let scan = match tokio::task::spawn_blocking(move || scan::scan(&path)).await {
            Ok(scan) => scan,
            Err(error) => {
                Scan { unclear: Some(format!("the directory could not be read: {error}")), ..Scan::default() }
            }
        };
        let mut applied = apply::apply(&self.client, &mut self.kinds, &self.name, &source.spec, &scan).await;
        let emptied = self.emptied(&scan);
        applied.failures.extend(emptied.iter().map(|file| {
            failure(file, None, "the file is empty; its objects stay. Delete the file to delete them".into())
        }));
        let pruning = self.prune(source, &scan, &applied, emptied.first().copied());
        let mut kept = Vec::new();
        for item in &pruning.delete {
            match apply::delete(&self.client, &mut self.kinds, item).await {
                Ok(()) => tracing::info!(source = self.name, kind = item.kind, name = item.name, "pruned"),
                Err(message) => {
                    applied.failures.push(failure(&item.file, None, message));
                    kept.push(Key::of(item));
                }
            }
        }
        self.merge(&applied, &pruning, &kept);
        let readiness = apply::readiness(&self.client, &mut self.kinds, &self.inventory).await;
        let status = self.status(source, &scan, &applied.failures, &pruning, &readiness);
        let converged = crate::api::conditions::is_true(&status.conditions, CONVERGED);
        let written = self.say(source, status).await;
        let retry = (!written || applied.ending || readiness.as_ref().is_ok_and(|r| r.missing) || readiness.is_err())
            .then_some(Duration::from_secs(1));
        // Refused manifests may be right after somebody changed something else: a namespace, a definition, a field's owner.
        let failed = (!applied.failures.is_empty()).then_some(Duration::from_secs(10));
        let absent = (!pruning.absent_since.is_empty() && pruning.blocked.is_none()).then_some(MIN_ABSENCE);
        self.absent_since = pruning.absent_since;
        Rest { again: [retry, failed, absent].into_iter().flatten().min(), converged }
    }

    /// Empty files from which objects came: an editor truncates before it writes.
    fn emptied<'a>(&self, scan: &'a Scan) -> Vec<&'a str> {
        let known = |file: &&String| self.inventory.iter().any(|i| i.file == **file);
        scan.empty.iter().filter(known).map(String::as_str).collect()
    }

    fn prune(&self, source: &Source, scan: &Scan, applied: &Applied, emptied: Option<&str>) -> Pruning {
        let empty = emptied.map(|file| format!("{file} is empty"));
        let unclear = scan.unclear.as_deref().or(applied.unidentified.as_deref()).or(empty.as_deref());
        plan::prune(&plan::Scan {
            prune: source.spec.prune,
            inventory: &self.inventory,
            present: &applied.present,
            unclear,
            absent_since: &self.absent_since,
            allowed: source.annotations().get(ALLOW_PRUNE) == Some(&scan.revision),
            now_ms: Timestamp::now().as_millisecond(),
        })
    }

    /// What was applied now, and what was applied before and is neither applied now nor deleted.
    fn merge(&mut self, applied: &Applied, pruning: &Pruning, kept: &[Key]) {
        let fresh: std::collections::BTreeSet<Key> = applied.items.iter().map(Key::of).collect();
        let deleted: std::collections::BTreeSet<Key> =
            pruning.delete.iter().map(Key::of).filter(|k| !kept.contains(k)).collect();
        self.inventory.retain(|item| {
            let key = Key::of(item);
            !fresh.contains(&key) && !deleted.contains(&key)
        });
        self.inventory.extend(applied.items.iter().cloned());
        self.inventory.sort_by(|a, b| (&a.file, &a.kind, &a.name).cmp(&(&b.file, &b.kind, &b.name)));
        self.inventory.truncate(MAX_INVENTORY);
    }

    fn status(
        &self,
        source: &Source,
        scan: &Scan,
        failures: &[Failure],
        pruning: &Pruning,
        readiness: &Result<Readiness, String>,
    ) -> SourceStatus {
        let before = self.said.as_ref();
        let complete = failures.is_empty();
        let mut verdicts = vec![match failures.first() {
            None => Verdict::new(READY, Truth::True, "Applied", format!("{} objects", self.inventory.len())),
            Some(first) => {
                let line = first.line.map(|l| format!(":{l}")).unwrap_or_default();
                let more =
                    if failures.len() > 1 { format!(" (and {} more)", failures.len() - 1) } else { String::new() };
                let message = shorten(&format!("{}{line}: {}{more}", first.file, first.message), 1000);
                Verdict::new(READY, Truth::False, "Failed", message)
            }
        }];
        if !complete {
            verdicts.push(Verdict { kind: STALLED.into(), status: Truth::True, ..verdicts[0].clone() });
        }
        verdicts.push(match readiness {
            Ok(readiness) => convergence(readiness, complete),
            Err(message) => Verdict::new(CONVERGED, Truth::Unknown, "Unknown", message.clone()),
        });
        if complete && verdicts.iter().any(|v| v.kind == CONVERGED && v.status != Truth::True) {
            let waiting = verdicts.iter().find(|v| v.kind == CONVERGED).cloned();
            verdicts.extend(waiting.map(|v| Verdict { kind: RECONCILING.into(), status: Truth::True, ..v }));
        }
        if let Some(why) = &pruning.blocked {
            verdicts.push(Verdict::new(PRUNE_BLOCKED, Truth::True, "Guarded", why.clone()));
        }
        verdicts.sort_by(|a, b| a.kind.cmp(&b.kind));
        let (generation, now) = (source.metadata.generation, to_seconds(Timestamp::now()));
        let conditions = before.map_or(&[][..], |s| &s.conditions);
        let count = |n: usize| Some(i32::try_from(n).unwrap_or(i32::MAX));
        SourceStatus {
            observed_generation: generation,
            revision: match complete {
                true => Some(scan.revision.clone()),
                false => before.and_then(|s| s.revision.clone()),
            },
            applied: count(self.inventory.len()),
            failed: count(failures.len()),
            failures: failures.iter().take(MAX_FAILURES).cloned().collect(),
            inventory: self.inventory.clone(),
            conditions: verdicts.iter().map(|v| v.over(conditions, generation, &now)).collect(),
        }
    }

    /// Whether the status is stored.
    async fn say(&mut self, source: &Source, status: SourceStatus) -> bool {
        if self.said.as_ref() == Some(&status) {
            return true;
        }
        let api: Api<Source> = Api::all(self.client.clone());
        match write::status(&api, source, MANAGER, &status).await {
            Ok(_) => {
                self.said = Some(status);
                true
            }
            Err(error) => {
                tracing::warn!(source = self.name, %error, "cannot write the status of a source");
                false
            }
        }
    }
}

fn convergence(readiness: &Readiness, complete: bool) -> Verdict {
    let Readiness { waiting, missing: _ } = readiness;
    match waiting.len() {
        0 if complete => Verdict::new(CONVERGED, Truth::True, "AllReady", "every object is Ready at its generation"),
        0 => Verdict::new(CONVERGED, Truth::False, "Failed", "some manifests could not be applied; see failures"),
        n => {
            let named = waiting.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join("; ");
            let more = n.saturating_sub(NAMED);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            Verdict::new(CONVERGED, Truth::False, "Waiting", shorten(&format!("{named}{more}"), 1000))
        }
    }
}

type Identity = Option<(u64, u64)>;

/// A directory that was deleted and made anew is another one, and its watch is dead.
fn identity(path: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt;
    path.metadata().ok().map(|m| (m.dev(), m.ino()))
}

/// `None` where the system cannot watch the directory; looking at it goes on in any case.
fn watch(path: &Path, told: Arc<Notify>) -> Option<(Identity, RecommendedWatcher)> {
    let identity = identity(path);
    let handler = move |_: notify::Result<notify::Event>| told.notify_one();
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
