//! Follows one Source: wakes when there may be something new, makes a pass, writes the status. Everything that must survive a
//! restart is in that status: an object is noted there before it is applied, so that whatever is applied is known.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::{Api, Client, ResourceExt};
use tokio::time::Instant;

use super::apply::{self, Applier, Outcome};
use super::kinds::Kinds;
use super::manifest::{self, Resolved};
use super::origin::{self, Origin, Reading};
use super::ready::readiness;
use super::registry::Registry;
use super::report::{self, Pass};
use super::scan::{self, Manifest, Scan, failure};
use crate::api::conditions::{CONVERGED, find, is_true};
use crate::api::source::{Failure, InventoryItem};
use crate::api::{Source, SourceStatus};
use crate::plan::source::{self as plan, ALLOW_PRUNE, Key, MIN_ABSENCE, Pruning, rank};
use crate::reconcile::watched::{Key as Name, Watched};
use crate::reconcile::write;

const MANAGER: &str = "source";

/// Asks for a pass now, whatever its value: a webhook writes the time, a person may write anything new.
pub const REQUESTED: &str = "regatta.dev/requested-at";

/// While objects are waited for, how often they are looked at: soon after a change, then less and less.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LAST_LOOK: Duration = Duration::from_secs(5);

/// After something of the server's went wrong.
const RETRY: Duration = Duration::from_secs(1);
/// While another Source has what this one wants.
const CONTESTED: Duration = Duration::from_secs(2);
/// Refused manifests may be right after somebody changed something else: a namespace, a definition, a field's owner.
const REFUSED: Duration = Duration::from_secs(10);

pub struct Follower {
    client: Client,
    sources: Watched<Source>,
    registry: Registry,
    name: String,
    origin: Origin,
    kinds: Kinds,
    inventory: Vec<InventoryItem>,
    /// What the files named in the last pass.
    present: BTreeSet<Key>,
    absent_since: BTreeMap<Key, i64>,
    /// The last status written, before the mirror has it.
    said: Option<SourceStatus>,
}

/// What the last pass left to do.
struct Rest {
    again: Option<Duration>,
    converged: bool,
}

/// What applying came to.
#[derive(Default)]
struct Applied {
    items: Vec<InventoryItem>,
    failures: Vec<Failure>,
    /// Every object that the files name, applied or not, and where.
    present: HashMap<Key, String>,
    /// Certainly not applied, or another Source's.
    not_ours: BTreeSet<Key>,
    /// Something could not even be identified: what is missing then proves nothing.
    unidentified: Option<String>,
    again: Option<Duration>,
}

impl Applied {
    fn again_after(&mut self, wait: Duration) {
        self.again = Some(self.again.map_or(wait, |again| again.min(wait)));
    }
}

impl Follower {
    pub fn new(
        client: Client,
        sources: Watched<Source>,
        registry: Registry,
        source: &Source,
        state: &Path,
    ) -> Follower {
        Follower {
            client,
            sources,
            registry,
            name: source.name_any(),
            origin: Origin::of(source, state),
            kinds: Kinds::default(),
            inventory: source.status.as_ref().map(|s| s.inventory.clone()).unwrap_or_default(),
            present: BTreeSet::new(),
            absent_since: BTreeMap::new(),
            said: source.status.clone(),
        }
    }

    pub async fn run(mut self) {
        loop {
            let Some(source) = self.source() else { return };
            let rest = self.pass(&source).await;
            self.rest(&source, &rest).await;
        }
    }

    fn source(&self) -> Option<Arc<Source>> {
        self.sources.get(&Name::new("", &self.name))
    }

    /// Returns when another pass is due.
    async fn rest(&mut self, source: &Source, rest: &Rest) {
        let passed = Instant::now();
        let due = passed + rest.again.unwrap_or(Duration::MAX).min(origin::period(source));
        let mut changes = self.sources.changes();
        let mut pause = FIRST_LOOK;
        let mut look = passed + pause;
        loop {
            let next = if rest.converged { due } else { due.min(look) };
            tokio::select! {
                () = self.origin.moved() => return,
                // Its own status comes by here, too; only the annotations matter.
                _ = changes.recv() => {}
                () = tokio::time::sleep_until(next) => {}
            }
            let Some(now) = self.source() else { return };
            if asked(&now, REQUESTED) != asked(source, REQUESTED) {
                self.origin.asked();
                return;
            }
            if Instant::now() >= due || asked(&now, ALLOW_PRUNE) != asked(source, ALLOW_PRUNE) {
                return;
            }
            if !rest.converged && Instant::now() >= look {
                if self.has_moved().await {
                    return;
                }
                pause = (pause * 2).min(LAST_LOOK);
                look = Instant::now() + pause;
            }
        }
    }

    /// Whether the objects are further on than the status says.
    async fn has_moved(&mut self) -> bool {
        let readiness = readiness(&self.client, &mut self.kinds, wanted(&self.inventory, &self.present)).await;
        let said = self.said.as_ref().and_then(|s| find(&s.conditions, CONVERGED));
        readiness.is_ok_and(|r| r.missing || said.is_none_or(|c| c.message != report::convergence(&r, true).message))
    }

    async fn pass(&mut self, source: &Source) -> Rest {
        let Reading { tree, revision, fetched, rewritten, touched } = self.origin.read(&self.client).await;
        let scan = match tokio::task::spawn_blocking(move || scan::scan(tree)).await {
            Ok(scan) => scan,
            Err(error) => Scan { unclear: Some(format!("the files could not be read: {error}")), ..Scan::default() },
        };
        let revision = revision.unwrap_or_else(|| scan.revision.clone());
        let mut applied = self.apply(source, &scan).await;
        let emptied = self.emptied(&scan);
        applied.failures.extend(emptied.iter().map(|file| {
            failure(file, None, "the file is empty; its objects stay. Delete the file to delete them".into())
        }));
        let empty = emptied.first().map(|file| format!("{file} is empty"));
        let pruning = plan::prune(&plan::Scan {
            prune: source.spec.prune,
            inventory: &self.inventory,
            present: &self.present,
            unclear: scan.unclear.as_deref().or(applied.unidentified.as_deref()).or(empty.as_deref()),
            broken: &applied.failures.iter().map(|f| f.file.clone()).collect(),
            touched: &touched,
            elsewhere: &self.registry.elsewhere(&self.name),
            rewritten: rewritten.as_deref(),
            absent_since: &self.absent_since,
            revision: &revision,
            allowed: source.annotations().get(ALLOW_PRUNE) == Some(&revision),
            now_ms: Timestamp::now().as_millisecond(),
        });
        let kept = self.delete(&pruning, &mut applied).await;
        self.merge(&applied, &pruning, &kept);
        let readiness = readiness(&self.client, &mut self.kinds, wanted(&self.inventory, &self.present)).await;
        if readiness.as_ref().map_or(true, |r| r.missing) {
            applied.again_after(RETRY);
        }
        let pass = Pass {
            revision: &revision,
            failures: &applied.failures,
            blocked: pruning.blocked.as_deref(),
            readiness: &readiness,
            fetched: fetched.as_ref(),
            inventory: &self.inventory,
        };
        let status = report::status(source, self.said.as_ref(), &pass, Timestamp::now());
        let converged = is_true(&status.conditions, CONVERGED);
        if let Err(error) = self.say(source, status).await {
            tracing::warn!(source = self.name, %error, "cannot write the status of a source");
            applied.again_after(RETRY);
        }
        if !applied.failures.is_empty() {
            applied.again_after(REFUSED);
        }
        match (pruning.absent_since.is_empty(), &pruning.blocked) {
            (true, None) if applied.failures.is_empty() => self.origin.settle(&revision).await,
            (false, None) => applied.again_after(MIN_ABSENCE),
            _ => {}
        }
        self.absent_since = pruning.absent_since;
        Rest { again: applied.again, converged }
    }

    /// Namespaces and definitions first, then what others refer to, then the rest; what is of one rank, together.
    async fn apply(&mut self, source: &Source, scan: &Scan) -> Applied {
        let mut applied = Applied { failures: scan.failures.clone(), ..Applied::default() };
        let defined = manifest::defined(scan.manifests.iter());
        let mut ranks: BTreeMap<u8, Vec<&Manifest>> = BTreeMap::new();
        for manifest in &scan.manifests {
            let (api_version, kind) =
                (manifest::text(&manifest.value, "apiVersion"), manifest::text(&manifest.value, "kind"));
            ranks.entry(rank(api_version, kind)).or_default().push(manifest);
        }
        for manifests in ranks.into_values() {
            let mut resolved = Vec::new();
            for one in manifests {
                match manifest::resolve(&self.client, &mut self.kinds, &source.spec, &defined, one).await {
                    Ok(one) => resolved.extend(first_of_its_name(one, &mut applied)),
                    Err(failure) => {
                        let why = format!("{} names an object that is not understood", one.file.name);
                        applied.unidentified = Some(why);
                        applied.failures.push(failure);
                    }
                }
            }
            // Before asking whose they are: of two that ask at once, one is to see the other.
            self.registry.wants(&self.name, applied.present.keys().cloned().collect());
            let resolved = self.uncontested(resolved, &mut applied);
            match self.note(source, &resolved).await {
                Ok(()) => self.apply_all(source, &resolved, &mut applied).await,
                Err(error) => {
                    let why = format!("cannot note what is about to be applied: {error}");
                    applied.failures.extend(resolved.iter().map(|one| one.manifest.failure("", why.clone())));
                    applied.again_after(RETRY);
                }
            }
        }
        self.registry.wants(&self.name, applied.present.keys().cloned().collect());
        self.present = applied.present.keys().cloned().collect();
        applied
    }

    /// Without what belongs to another Source.
    fn uncontested<'a>(&self, resolved: Vec<Resolved<'a>>, applied: &mut Applied) -> Vec<Resolved<'a>> {
        let (mut ours, mut contested) = (Vec::new(), Vec::new());
        for one in resolved {
            match self.registry.owner(&self.name, &one.key) {
                None => ours.push(one),
                Some(owner) => contested.push((owner, one)),
            }
        }
        for (owner, Resolved { manifest, item, value: _, kind: _, key }) in contested {
            let why = format!(
                "{} {:?} comes from source {owner:?} already and is left to it; keep it in one of the two",
                item.kind, item.name
            );
            applied.failures.push(manifest.failure("metadata.name", why));
            applied.not_ours.insert(key);
            applied.again_after(CONTESTED);
        }
        ours
    }

    /// Writes down what is about to be applied for the first time: should we end before we can say that it was, it is known
    /// all the same.
    async fn note(&mut self, source: &Source, resolved: &[Resolved<'_>]) -> kube::Result<()> {
        let known: BTreeSet<Key> = self.inventory.iter().map(Key::of).collect();
        let fresh: Vec<InventoryItem> =
            resolved.iter().filter(|one| !known.contains(&one.key)).map(|one| one.item.clone()).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let mut inventory = self.inventory.clone();
        inventory.extend(fresh);
        let status = SourceStatus { inventory: inventory.clone(), ..self.said.clone().unwrap_or_default() };
        self.write(source, status).await?;
        self.inventory = inventory;
        self.registry.has(&self.name, self.inventory.iter().map(Key::of).collect());
        Ok(())
    }

    async fn apply_all(&self, source: &Source, resolved: &[Resolved<'_>], applied: &mut Applied) {
        let applier = Applier {
            client: &self.client,
            registry: &self.registry,
            source: &self.name,
            conflict: source.spec.conflict,
        };
        for outcome in applier.all(resolved).await {
            match outcome {
                Outcome::Applied(item) => applied.items.push(item),
                Outcome::Ending(key, failure) => {
                    applied.not_ours.insert(key);
                    applied.failures.push(failure);
                    applied.again_after(RETRY);
                }
                Outcome::Refused(key, failure) => {
                    applied.not_ours.insert(key);
                    applied.failures.push(failure);
                }
                Outcome::Unanswered(failure) => {
                    applied.failures.push(failure);
                    applied.again_after(RETRY);
                }
            }
        }
    }

    /// Empty files from which objects came: an editor truncates before it writes.
    fn emptied<'a>(&self, scan: &'a Scan) -> Vec<&'a str> {
        let known = |file: &&String| self.inventory.iter().any(|i| i.file == **file);
        scan.empty.iter().filter(known).map(String::as_str).collect()
    }

    /// Says which could not be deleted.
    async fn delete(&mut self, pruning: &Pruning, applied: &mut Applied) -> Vec<Key> {
        let mut kept = Vec::new();
        for item in &pruning.delete {
            match apply::delete(&self.client, &mut self.kinds, &self.name, item).await {
                Ok(()) => tracing::info!(source = self.name, kind = item.kind, name = item.name, "pruned"),
                Err(message) => {
                    applied.failures.push(failure(&item.file, None, message));
                    kept.push(Key::of(item));
                }
            }
        }
        kept
    }

    /// What was applied now, and what was applied before and is neither applied now, nor deleted, nor let go.
    fn merge(&mut self, applied: &Applied, pruning: &Pruning, kept: &[Key]) {
        let fresh: BTreeSet<Key> = applied.items.iter().map(Key::of).collect();
        let mut gone: BTreeSet<Key> = pruning.delete.iter().map(Key::of).filter(|k| !kept.contains(k)).collect();
        gone.extend(pruning.release.iter().cloned());
        let registry = self.registry.clone();
        let name = self.name.clone();
        self.inventory.retain(|item| {
            let key = Key::of(item);
            // A manifest that is refused now may have been applied before; then its object stays ours.
            let lost =
                applied.not_ours.contains(&key) && (item.uid.is_empty() || registry.owner(&name, &key).is_some());
            !fresh.contains(&key) && !gone.contains(&key) && !lost
        });
        self.inventory.extend(applied.items.iter().cloned());
        self.inventory.sort_by(|a, b| (&a.file, &a.kind, &a.name).cmp(&(&b.file, &b.kind, &b.name)));
        self.registry.has(&self.name, self.inventory.iter().map(Key::of).collect());
    }

    async fn say(&mut self, source: &Source, status: SourceStatus) -> kube::Result<()> {
        if self.said.as_ref() == Some(&status) {
            return Ok(());
        }
        let before = self.said.clone();
        self.write(source, status.clone()).await?;
        report::tell(source, before.as_ref(), &status);
        Ok(())
    }

    async fn write(&mut self, source: &Source, status: SourceStatus) -> kube::Result<()> {
        let api: Api<Source> = Api::all(self.client.clone());
        write::status(&api, source, MANAGER, &status).await?;
        self.said = Some(status);
        Ok(())
    }
}

/// Of several manifests of one object the first counts.
fn first_of_its_name<'a>(one: Resolved<'a>, applied: &mut Applied) -> Option<Resolved<'a>> {
    if let Some(file) = applied.present.get(&one.key) {
        let why = format!("{} {:?} is already defined in {file}; keep one of the two", one.item.kind, one.item.name);
        applied.failures.push(one.manifest.failure("metadata.name", why));
        return None;
    }
    applied.present.insert(one.key.clone(), one.item.file.clone());
    Some(one)
}

/// Objects that are applied and still in the files.
fn wanted<'a>(inventory: &'a [InventoryItem], present: &'a BTreeSet<Key>) -> impl Iterator<Item = &'a InventoryItem> {
    inventory.iter().filter(|item| !item.uid.is_empty() && present.contains(&Key::of(item)))
}

fn asked<'a>(source: &'a Source, annotation: &str) -> Option<&'a String> {
    source.annotations().get(annotation)
}
