//! What a Source may delete, and in which order it applies. The guards err on the side of keeping: a file that an editor
//! is saving, a directory that is not mounted and a half-written manifest must never end an agent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::api::source::{InventoryItem, Prune};

/// How long an object must be missing from clean scans. Editors that delete and create again take milliseconds,
/// `git checkout` of a large tree about a second.
pub const MIN_ABSENCE: Duration = Duration::from_secs(3);

/// Up to this many objects may go at once whatever their share: a small fleet is deleted by deleting its file.
const SMALL_SET: usize = 5;

/// What an object is called wherever it was read from. Versions of one group name the same object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub group: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

impl Key {
    pub fn new(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> Key {
        let group = api_version.split_once('/').map_or("", |(group, _)| group);
        Key { group: group.into(), kind: kind.into(), namespace: namespace.map(Into::into), name: name.into() }
    }

    pub fn of(item: &InventoryItem) -> Key {
        Key::new(&item.api_version, &item.kind, item.namespace.as_deref(), &item.name)
    }
}

/// Namespaces first, then kinds, then what others refer to, then the rest. Deletion goes the other way round.
pub fn rank(api_version: &str, kind: &str) -> u8 {
    match (api_version.split_once('/').map_or("", |(group, _)| group), kind) {
        ("", "Namespace") => 0,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => 1,
        ("", _) => 2,
        ("regatta.dev", "Repo" | "AgentClass" | "Host") => 3,
        _ => 4,
    }
}

/// One scan of the directory, as far as pruning is concerned.
pub struct Scan<'a> {
    pub prune: Prune,
    /// What was applied before.
    pub inventory: &'a [InventoryItem],
    /// What the files say now, whether or not it could be applied.
    pub present: &'a BTreeSet<Key>,
    /// Why this scan does not show everything: an unreadable directory, an unreadable, empty or unparsable file.
    pub unclear: Option<&'a str>,
    /// Since when each object has been missing from clean scans, in milliseconds.
    pub absent_since: &'a BTreeMap<Key, i64>,
    /// The person who looked at a blocked prune said that it is meant.
    pub allowed: bool,
    pub now_ms: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// To delete now, in this order, each only where the uid still matches.
    pub delete: Vec<InventoryItem>,
    /// Missing objects to look at again, and since when they are missing.
    pub absent_since: BTreeMap<Key, i64>,
    /// Why objects that are missing stay.
    pub blocked: Option<String>,
}

pub fn prune(scan: &Scan<'_>) -> Pruning {
    let Scan { prune, inventory, present, unclear, absent_since, allowed, now_ms } = scan;
    let mut absent: Vec<&InventoryItem> = inventory.iter().filter(|i| !present.contains(&Key::of(i))).collect();
    if *prune == Prune::Disabled || absent.is_empty() {
        return Pruning::default();
    }
    if let Some(why) = unclear {
        let count = objects(absent.len());
        // The absences are forgotten: only clean scans in a row count.
        let blocked = Some(format!("{count} missing from the files stay, because {why}"));
        return Pruning { blocked, ..Pruning::default() };
    }
    let since: BTreeMap<Key, i64> = absent
        .iter()
        .map(|i| Key::of(i))
        .map(|k| (k.clone(), absent_since.get(&k).copied().unwrap_or(*now_ms)))
        .collect();
    if absent.len() * 2 > inventory.len() && inventory.len() > SMALL_SET && !allowed {
        let blocked = Some(format!(
            "{} of {} are missing from the files at once, more than half; put the files back, or, if this is meant, \
             annotate this source with regatta.dev/allow-prune set to status.revision",
            absent.len(),
            objects(inventory.len()),
        ));
        return Pruning { blocked, absent_since: since, delete: Vec::new() };
    }
    let ripe = |item: &&InventoryItem| now_ms - since[&Key::of(item)] >= MIN_ABSENCE.as_millis() as i64;
    absent.retain(ripe);
    absent.sort_by_key(|i| std::cmp::Reverse(rank(&i.api_version, &i.kind)));
    let delete: Vec<InventoryItem> = absent.into_iter().cloned().collect();
    Pruning { delete, absent_since: since, blocked: None }
}

fn objects(count: usize) -> String {
    if count == 1 { "1 object".into() } else { format!("{count} objects") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, name: &str) -> InventoryItem {
        InventoryItem {
            api_version: "regatta.dev/v1alpha1".into(),
            kind: kind.into(),
            namespace: Some("default".into()),
            name: name.into(),
            uid: format!("uid-{name}"),
            file: "fleet.yaml".into(),
        }
    }

    fn agents(count: usize) -> Vec<InventoryItem> {
        (0..count).map(|i| item("Agent", &format!("a{i}"))).collect()
    }

    /// Two clean scans, the second after the absence has lasted long enough.
    fn twice(inventory: &[InventoryItem], present: &[InventoryItem], adjust: impl Fn(&mut Scan<'_>)) -> Pruning {
        let present: BTreeSet<Key> = present.iter().map(Key::of).collect();
        let nothing = BTreeMap::new();
        let mut scan = Scan {
            prune: Prune::Enabled,
            inventory,
            present: &present,
            unclear: None,
            absent_since: &nothing,
            allowed: false,
            now_ms: 1_000,
        };
        adjust(&mut scan);
        let first = prune(&scan);
        assert!(first.delete.is_empty(), "nothing goes at the first sight of its absence");
        prune(&Scan { absent_since: &first.absent_since, now_ms: 1_000 + 3_000, ..scan })
    }

    #[test]
    fn what_is_absent_from_two_clean_scans_goes_agents_before_their_repo() {
        let inventory = [item("Repo", "r"), item("Agent", "a")];
        let pruning = twice(&inventory, &[], |_| {});
        let names: Vec<_> = pruning.delete.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["a", "r"]);
    }

    #[test]
    fn an_absence_shorter_than_an_editor_s_save_deletes_nothing() {
        let inventory = agents(1);
        let present = BTreeSet::new();
        let absent = BTreeMap::from([(Key::of(&inventory[0]), 1_000)]);
        let scan = Scan {
            prune: Prune::Enabled,
            inventory: &inventory,
            present: &present,
            unclear: None,
            absent_since: &absent,
            allowed: false,
            now_ms: 3_999,
        };
        assert!(prune(&scan).delete.is_empty());
        assert_eq!(prune(&scan).absent_since, absent);
    }

    #[test]
    fn an_unclear_scan_deletes_nothing_and_starts_the_count_again() {
        let pruning = twice(&agents(2), &[], |scan| scan.unclear = Some("fleet.yaml cannot be parsed"));
        assert!(pruning.delete.is_empty() && pruning.absent_since.is_empty());
        assert!(pruning.blocked.unwrap().contains("fleet.yaml"));
    }

    #[test]
    fn more_than_half_of_many_is_asked_about_first() {
        let six = agents(6);
        assert_eq!(twice(&six, &six[3..], |_| {}).delete.len(), 3, "half may go");
        let blocked = twice(&six, &six[4..], |_| {});
        assert!(blocked.delete.is_empty());
        assert!(blocked.blocked.unwrap().contains("4 of 6 objects"));
        assert_eq!(twice(&six, &six[4..], |scan| scan.allowed = true).delete.len(), 4);
        assert_eq!(twice(&agents(5), &[], |_| {}).delete.len(), 5, "a small set may go whole");
    }

    #[test]
    fn without_prune_everything_stays() {
        assert_eq!(twice(&agents(2), &[], |scan| scan.prune = Prune::Disabled), Pruning::default());
    }

    #[test]
    fn another_version_of_a_kind_is_the_same_object() {
        assert_eq!(Key::new("regatta.dev/v1", "Agent", None, "a"), Key::new("regatta.dev/v2", "Agent", None, "a"));
        assert_ne!(Key::new("v1", "Secret", None, "a"), Key::new("x.io/v1", "Secret", None, "a"));
    }
}
