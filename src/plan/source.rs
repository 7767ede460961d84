//! What a Source may delete, and in which order it applies. The guards err on the side of keeping: a file that an editor
//! is saving, a directory that is not mounted and a half-written manifest must never end an agent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::api::source::{InventoryItem, Prune};

/// How long an object must be missing from clean scans. Editors that delete and create again take milliseconds,
/// `git checkout` of a large tree about a second.
pub const MIN_ABSENCE: Duration = Duration::from_secs(3);

/// Says that a blocked prune is meant: its value is the revision that was looked at.
pub const ALLOW_PRUNE: &str = "regatta.dev/allow-prune";

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

/// One scan, as far as pruning is concerned.
#[derive(Clone, Copy)]
pub struct Scan<'a> {
    pub prune: Prune,
    /// What was applied before.
    pub inventory: &'a [InventoryItem],
    /// What the files say now, whether or not it could be applied.
    pub present: &'a BTreeSet<Key>,
    /// Why this scan does not show everything: an unreadable directory, an unreadable, empty or unparsable file.
    pub unclear: Option<&'a str>,
    /// Files of which something failed: what is missing from them may be missing by the same mistake.
    pub broken: &'a BTreeSet<String>,
    /// Files that somebody touched since the scan before.
    pub touched: &'a BTreeSet<String>,
    /// What other Sources have or want: a manifest that moved there takes its object along.
    pub elsewhere: &'a BTreeSet<Key>,
    /// What was looked at before is not part of the history of what is looked at now.
    pub rewritten: Option<&'a str>,
    /// Since when each object has been missing from clean scans, in milliseconds.
    pub absent_since: &'a BTreeMap<Key, i64>,
    pub revision: &'a str,
    /// The person who looked at a blocked prune said that it is meant.
    pub allowed: bool,
    pub now_ms: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruning {
    /// To delete now, in this order, each only where the uid still matches.
    pub delete: Vec<InventoryItem>,
    /// No longer this Source's: they stay as they are.
    pub release: Vec<Key>,
    /// Missing objects to look at again, and since when they are missing.
    pub absent_since: BTreeMap<Key, i64>,
    /// Why objects that are missing stay.
    pub blocked: Option<String>,
}

pub fn prune(scan: &Scan<'_>) -> Pruning {
    let missing = scan.inventory.iter().filter(|i| !scan.present.contains(&Key::of(i)));
    let (moved, absent): (Vec<_>, Vec<_>) = missing.partition(|i| scan.elsewhere.contains(&Key::of(i)));
    let mut release: Vec<Key> = moved.into_iter().map(Key::of).collect();
    if absent.is_empty() {
        return Pruning { release, ..Pruning::default() };
    }
    if let Some(why) = scan.unclear {
        // The absences are forgotten: only clean scans in a row count.
        let blocked = format!("{} missing from the files stay, because {why}", objects(absent.len()));
        let blocked = (scan.prune == Prune::Enabled).then_some(blocked);
        return Pruning { release, blocked, ..Pruning::default() };
    }
    if scan.prune == Prune::Disabled {
        release.extend(absent.into_iter().map(Key::of));
        return Pruning { release, ..Pruning::default() };
    }
    let (held, absent): (Vec<_>, Vec<_>) = absent.into_iter().partition(|i| scan.broken.contains(&i.file));
    let held = held.first().map(|first| {
        format!("{} missing from files with errors stay; correct {} first", objects(held.len()), first.file)
    });
    let since: BTreeMap<Key, i64> = absent.iter().map(|i| (Key::of(i), absent_since(scan, i))).collect();
    if let Some(why) = guard(scan, absent.len()) {
        return Pruning { delete: Vec::new(), release, absent_since: since, blocked: Some(why) };
    }
    let ripe = |item: &&InventoryItem| scan.now_ms - since[&Key::of(item)] >= MIN_ABSENCE.as_millis() as i64;
    let mut delete: Vec<InventoryItem> = absent.into_iter().filter(ripe).cloned().collect();
    delete.sort_by_key(|i| std::cmp::Reverse(rank(&i.api_version, &i.kind)));
    Pruning { delete, release, absent_since: since, blocked: held }
}

/// A file that is being worked on starts the count anew: an absence has to last while nobody touches it.
fn absent_since(scan: &Scan<'_>, item: &InventoryItem) -> i64 {
    let known = scan.absent_since.get(&Key::of(item)).filter(|_| !scan.touched.contains(&item.file));
    known.copied().unwrap_or(scan.now_ms)
}

/// Why somebody has to be asked before this many objects go.
fn guard(scan: &Scan<'_>, absent: usize) -> Option<String> {
    let all = scan.inventory.len();
    if scan.allowed || absent == 0 {
        return None;
    }
    let why = match scan.rewritten {
        Some(why) => format!("{} are missing, and {why}", objects(absent)),
        None if absent * 2 > all && all > SMALL_SET => {
            format!("{absent} of {} are missing from the files at once, more than half", objects(all))
        }
        None => return None,
    };
    let allow = format!("{ALLOW_PRUNE}={}", scan.revision);
    Some(format!("{why}; put the files back, or, if this is meant, annotate this source with {allow}"))
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

    /// What a test says of a scan; the rest is a clean one.
    struct Case<'a> {
        inventory: &'a [InventoryItem],
        present: BTreeSet<Key>,
        prune: Prune,
        unclear: Option<&'a str>,
        broken: BTreeSet<String>,
        touched: BTreeSet<String>,
        elsewhere: BTreeSet<Key>,
        rewritten: Option<&'a str>,
        absent_since: BTreeMap<Key, i64>,
        allowed: bool,
        now_ms: i64,
    }

    fn case<'a>(inventory: &'a [InventoryItem], present: &[InventoryItem]) -> Case<'a> {
        Case {
            inventory,
            present: present.iter().map(Key::of).collect(),
            prune: Prune::Enabled,
            unclear: None,
            broken: BTreeSet::new(),
            touched: BTreeSet::new(),
            elsewhere: BTreeSet::new(),
            rewritten: None,
            absent_since: BTreeMap::new(),
            allowed: false,
            now_ms: 1_000,
        }
    }

    impl Case<'_> {
        fn once(&self) -> Pruning {
            prune(&Scan {
                prune: self.prune,
                inventory: self.inventory,
                present: &self.present,
                unclear: self.unclear,
                broken: &self.broken,
                touched: &self.touched,
                elsewhere: &self.elsewhere,
                rewritten: self.rewritten,
                absent_since: &self.absent_since,
                revision: "r1",
                allowed: self.allowed,
                now_ms: self.now_ms,
            })
        }

        /// Two scans, the second after the absence has lasted long enough.
        fn twice(mut self) -> Pruning {
            let first = self.once();
            assert!(first.delete.is_empty(), "nothing goes at the first sight of its absence");
            self.absent_since = first.absent_since;
            self.now_ms += 3_000;
            self.once()
        }
    }

    fn names(pruning: &Pruning) -> Vec<&str> {
        pruning.delete.iter().map(|i| i.name.as_str()).collect()
    }

    #[test]
    fn what_is_absent_from_two_clean_scans_goes_agents_before_their_repo() {
        let inventory = [item("Repo", "r"), item("Agent", "a")];
        assert_eq!(names(&case(&inventory, &[]).twice()), ["a", "r"]);
    }

    #[test]
    fn an_absence_shorter_than_an_editor_s_save_deletes_nothing() {
        let inventory = agents(1);
        let absent_since = BTreeMap::from([(Key::of(&inventory[0]), 1_000)]);
        let case = Case { absent_since: absent_since.clone(), now_ms: 3_999, ..case(&inventory, &[]) };
        let pruning = case.once();
        assert!(pruning.delete.is_empty());
        assert_eq!(pruning.absent_since, absent_since);
    }

    #[test]
    fn a_file_that_was_touched_since_starts_the_count_anew() {
        let inventory = agents(1);
        let touched = BTreeSet::from(["fleet.yaml".to_owned()]);
        let absent_since = BTreeMap::from([(Key::of(&inventory[0]), 1_000)]);
        let pruning = Case { absent_since, touched, now_ms: 9_000, ..case(&inventory, &[]) }.once();
        assert!(pruning.delete.is_empty());
        assert_eq!(pruning.absent_since.into_values().collect::<Vec<_>>(), [9_000]);
    }

    #[test]
    fn an_unclear_scan_deletes_nothing_and_starts_the_count_again() {
        let two = agents(2);
        let pruning = Case { unclear: Some("fleet.yaml cannot be parsed"), ..case(&two, &[]) }.twice();
        assert!(pruning.delete.is_empty() && pruning.absent_since.is_empty());
        assert!(pruning.blocked.unwrap().contains("fleet.yaml"));
    }

    #[test]
    fn nothing_goes_that_is_missing_from_a_file_with_an_error() {
        let inventory = [item("Agent", "a"), InventoryItem { file: "other.yaml".into(), ..item("Agent", "b") }];
        let broken = BTreeSet::from(["fleet.yaml".to_owned()]);
        let pruning = Case { broken, ..case(&inventory, &[]) }.twice();
        assert_eq!(names(&pruning), ["b"]);
        assert!(pruning.blocked.unwrap().contains("correct fleet.yaml first"));
    }

    #[test]
    fn more_than_half_of_many_is_asked_about_first() {
        let six = agents(6);
        assert_eq!(case(&six, &six[3..]).twice().delete.len(), 3, "half may go");
        let blocked = case(&six, &six[4..]).twice();
        assert!(blocked.delete.is_empty());
        let why = blocked.blocked.unwrap();
        assert!(why.contains("4 of 6 objects") && why.contains("regatta.dev/allow-prune=r1"), "{why}");
        assert_eq!(Case { allowed: true, ..case(&six, &six[4..]) }.twice().delete.len(), 4);
        assert_eq!(case(&agents(5), &[]).twice().delete.len(), 5, "a small set may go whole");
    }

    #[test]
    fn a_rewritten_history_deletes_nothing_unasked() {
        let two = agents(2);
        let rewritten = Some("the history of main was rewritten");
        let blocked = Case { rewritten, ..case(&two, &two[..1]) }.twice();
        assert!(blocked.delete.is_empty() && blocked.blocked.unwrap().contains("rewritten"));
        assert_eq!(Case { rewritten, allowed: true, ..case(&two, &two[..1]) }.twice().delete.len(), 1);
        assert_eq!(Case { rewritten, ..case(&two, &two) }.twice().blocked, None, "nothing is missing");
    }

    #[test]
    fn without_prune_what_is_missing_is_let_go_and_stays() {
        let two = agents(2);
        let pruning = Case { prune: Prune::Disabled, ..case(&two, &two[1..]) }.twice();
        assert_eq!(pruning, Pruning { release: vec![Key::of(&two[0])], ..Pruning::default() });
    }

    #[test]
    fn what_moved_to_another_source_is_let_go() {
        let two = agents(2);
        let elsewhere = BTreeSet::from([Key::of(&two[0])]);
        let pruning = Case { elsewhere, ..case(&two, &[]) }.twice();
        assert_eq!(names(&pruning), ["a1"]);
        assert_eq!(pruning.release, [Key::of(&two[0])]);
    }

    #[test]
    fn another_version_of_a_kind_is_the_same_object() {
        assert_eq!(Key::new("regatta.dev/v1", "Agent", None, "a"), Key::new("regatta.dev/v2", "Agent", None, "a"));
        assert_ne!(Key::new("v1", "Secret", None, "a"), Key::new("x.io/v1", "Secret", None, "a"));
    }
}
