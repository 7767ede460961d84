//! Server-side apply and the bookkeeping of who owns which field, as upstream does it: an applier owns what its configuration names, an
//! updater what it changed; appliers conflict over different values, updaters just take.
//!
//! Pure: objects in, objects out, the time handed in. Storing, defaulting, pruning and validating are the caller's.

mod managers;
mod set;
mod shape;
mod walk;

use std::fmt::Write;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use self::managers::{Entry, Identity, Managers, Operation};
use self::set::{Set, print};
use self::shape::Shape;
use super::schema::{Schema, too_deep};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Who writes, through what, and when.
#[derive(Clone, Copy, Debug)]
pub struct Manager<'a> {
    pub name: &'a str,
    pub api_version: &'a str,
    /// Empty for the object itself.
    pub subresource: &'a str,
    /// RFC 3339, whole seconds, UTC.
    pub now: &'a str,
}

/// A field that another manager holds with a different value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The holder as upstream describes it: `"kubectl-edit" using v1`.
    pub manager: String,
    /// `.spec.replicas`
    pub field: String,
}

impl Conflict {
    /// The message of the cause in a `Status` of reason Conflict (its type is `FieldManagerConflict`).
    pub fn message(&self) -> String {
        format!("conflict with {}", self.manager)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("{}", describe(.conflicts))]
    Conflict { conflicts: Vec<Conflict> },
    /// The configuration cannot be applied at all: a bad request.
    #[error("{0}")]
    Invalid(String),
}

fn describe(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {}: {}", only.manager, only.field);
    }
    let mut out = format!("Apply failed with {} conflicts:", conflicts.len());
    let mut current = None;
    for conflict in conflicts {
        let separator = if current.is_none() { ' ' } else { '\n' };
        if current != Some(&conflict.manager) {
            // Writing to a string cannot fail.
            let _ = write!(out, "{separator}conflicts with {}:", conflict.manager);
            current = Some(&conflict.manager);
        }
        let _ = write!(out, "\n- {}", conflict.field);
    }
    out
}

/// Lays `config` over `live` for an applier. The result carries `metadata.managedFields`; it equals `live` in everything when nothing
/// changed. What the manager applied before and leaves out now is removed unless somebody else owns it.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    config: &Value,
    manager: Manager<'_>,
    force: bool,
) -> Result<Value, ApplyError> {
    let shape = Shape::root(schema.root());
    check_config(shape, config, &manager)?;
    let mut managers = managers::decode(live)
        .map_err(|error| ApplyError::Invalid(format!("failed to decode managed fields: {error}")))?;
    for entry in managers.values_mut() {
        entry.set = walk::reconcile(shape, &entry.set);
    }
    let mut current = live.cloned().unwrap_or_else(|| json!({}));
    managers::strip(&mut current);
    if managers.is_empty() && live.is_some() {
        let before = Manager { name: managers::BEFORE_FIRST_APPLY, subresource: "", ..manager };
        record_changes(schema, &json!({}), &current, &mut managers, before);
    }
    let config = reset(schema, config, manager.subresource);
    let upgraded = |conflicts: Vec<(Identity, Set)>| -> Result<(), ApplyError> {
        let allowed = match manager.name {
            // kubectl moving an object from client-side to server-side apply takes over what it applied itself.
            "kubectl" => last_applied(shape, &current, manager.api_version),
            _ => Set::default(),
        };
        let left: Vec<(Identity, Set)> = conflicts
            .into_iter()
            .map(|(identity, set)| (identity, set.difference(&allowed)))
            .filter(|(_, set)| !set.is_empty())
            .collect();
        if left.is_empty() { Ok(()) } else { Err(conflict_error(&left)) }
    };

    let identity = Identity::new(&manager, Operation::Apply);
    let merged = walk::merge(shape, &current, &config);
    let last = managers.get(&identity).cloned();
    let (_, applied) = walk::fields(shape, &config);
    let applied = owned(schema, applied, manager.subresource);
    let mut after = managers.clone();
    after.insert(
        identity.clone(),
        Entry {
            api_version: manager.api_version.to_owned(),
            time: last.as_ref().and_then(|entry| entry.time.clone()),
            set: applied,
        },
    );
    let mut object = match &last {
        Some(last) if !last.set.is_empty() => prune(shape, &merged, &config, &after, &last.set),
        _ => merged,
    };
    let changes = walk::compare(shape, &current, &object);
    let touched = changes.added.union(&changes.modified);
    let conflicts: Vec<(Identity, Set)> = after
        .iter()
        .filter(|(other, _)| **other != identity)
        .map(|(other, entry)| (other.clone(), entry.set.intersection(&touched)))
        .filter(|(_, set)| !set.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        upgraded(conflicts)?;
    }
    for (other, entry) in &mut after {
        if *other != identity {
            entry.set = entry.set.difference(&touched).difference(&changes.removed);
        }
        if *other == identity {
            entry.set = entry.set.difference(&META);
        }
    }
    after.retain(|_, entry| !entry.set.is_empty());

    if manager.name == "kubectl" && manager.subresource.is_empty() {
        refresh_last_applied(&mut object, &config);
    }
    let unchanged = object == current;
    if unchanged && after == managers {
        return Ok(match live {
            // Not even the order of entries or the spelling of sets changes.
            Some(live) => live.clone(),
            None => object,
        });
    }
    if let Some(entry) = after.get_mut(&identity) {
        entry.time = Some(manager.now.to_owned());
    }
    managers::encode(&after, &mut object);
    Ok(object)
}

/// Records in `after` who owns what after a create, update or patch from `before`.
pub fn track_update(schema: &Schema, before: Option<&Value>, after: &mut Value, manager: Manager<'_>) {
    let shape = Shape::root(schema.root());
    let managers = if !manager.subresource.is_empty() {
        managers::decode(before)
    } else if managers::asks_for_reset(after) {
        Ok(Managers::new())
    } else {
        // Clients that do not know managedFields must not delete them by leaving them out.
        match managers::decode(Some(after)) {
            Ok(found) if !found.is_empty() => Ok(found),
            _ => managers::decode(before),
        }
    };
    // Unreadable entries cannot be kept, and are no reason to refuse a write.
    let mut managers = managers.unwrap_or_default();
    for entry in managers.values_mut() {
        entry.set = walk::reconcile(shape, &entry.set);
    }
    managers::strip(after);
    if managers.is_empty() && before.is_some() {
        // An object nobody tracks stays so until somebody applies it.
        return;
    }
    let mut earlier = before.cloned().unwrap_or_else(|| json!({}));
    managers::strip(&mut earlier);
    record_changes(schema, &earlier, after, &mut managers, manager);
    managers::cap(&mut managers);
    managers::encode(&managers, after);
}

/// Gives the updater what it changed, takes that from everybody else, and what is gone from all.
fn record_changes(schema: &Schema, before: &Value, after: &Value, managers: &mut Managers, manager: Manager<'_>) {
    let shape = Shape::root(schema.root());
    let changes = walk::compare(shape, before, after);
    let taken = owned(schema, changes.added.union(&changes.modified), manager.subresource);
    let removed = owned(schema, changes.removed, manager.subresource);
    for entry in managers.values_mut() {
        entry.set = entry.set.difference(&taken).difference(&removed);
    }
    let taken = taken.difference(&META);
    if !taken.is_empty() {
        let entry = managers.entry(Identity::new(&manager, Operation::Update)).or_insert_with(|| Entry {
            api_version: manager.api_version.to_owned(),
            time: None,
            set: Set::default(),
        });
        entry.set = entry.set.union(&taken);
        entry.time = Some(manager.now.to_owned());
    }
    managers.retain(|_, entry| !entry.set.is_empty());
}

/// Fields nobody owns: they name the object, or are the server's.
static META: LazyLock<Set> = LazyLock::new(|| {
    let server = [
        "name",
        "namespace",
        "creationTimestamp",
        "selfLink",
        "uid",
        "clusterName",
        "generation",
        "managedFields",
        "resourceVersion",
    ];
    let mut tree = json!({"f:apiVersion": {}, "f:kind": {}, "f:metadata": {".": {}}});
    for name in server {
        tree["f:metadata"][format!("f:{name}")] = json!({});
    }
    Set::decode(&tree).expect("a constant tree of fields")
});

/// What of a set a write through this subresource may own: a status write only status, a write to the object never status.
fn owned(schema: &Schema, mut set: Set, subresource: &str) -> Set {
    let is_status = |step: &set::Step| *step == set::Step::field("status");
    match subresource {
        "status" => {
            set.members.retain(is_status);
            set.children.retain(|step, _| is_status(step));
        }
        "" if schema.status_in_main() => {}
        _ => {
            set.members.retain(|step| !is_status(step));
            set.children.retain(|step, _| !is_status(step));
        }
    }
    set
}

/// The configuration without what this subresource would reset anyway.
fn reset(schema: &Schema, config: &Value, subresource: &str) -> Value {
    let mut out = config.as_object().cloned().unwrap_or_default();
    match subresource {
        "status" => {
            out.retain(|name, _| matches!(name.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
            if let Some(Value::Object(metadata)) = out.get_mut("metadata") {
                metadata.retain(|name, _| matches!(name.as_str(), "name" | "namespace"));
            }
        }
        "" if schema.status_in_main() => {}
        _ => {
            out.remove("status");
        }
    }
    // What only the server writes cannot be applied; preconditions are the caller's.
    if let Some(Value::Object(metadata)) = out.get_mut("metadata") {
        for name in ["resourceVersion", "creationTimestamp", "generation", "selfLink", "uid"] {
            metadata.remove(name);
        }
    }
    Value::Object(out)
}

fn check_config(shape: Shape<'_>, config: &Value, manager: &Manager<'_>) -> Result<(), ApplyError> {
    let invalid = |message: String| Err(ApplyError::Invalid(message));
    let Some(fields) = config.as_object() else {
        return invalid("the configuration to apply must be an object".to_owned());
    };
    if too_deep(config) {
        return invalid("the configuration to apply is nested too deeply".to_owned());
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let version = text(fields.get("apiVersion"));
    if version != manager.api_version {
        return invalid(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            manager.api_version
        ));
    }
    let metadata = fields.get("metadata");
    if metadata.and_then(|metadata| metadata.get("managedFields")).is_some_and(|entries| !entries.is_null()) {
        return invalid("metadata.managedFields must be nil".to_owned());
    }
    let mut errors = Vec::new();
    walk::check(shape, config, &mut Vec::new(), &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    let name = |field: &str| text(metadata.and_then(|metadata| metadata.get(field)));
    let lines = match errors.as_slice() {
        [only] => only.clone(),
        several => format!("errors:\n  {}", several.join("\n  ")),
    };
    invalid(format!(
        "failed to create typed patch object ({}/{}; {version}, Kind={}): {lines}",
        name("namespace"),
        name("name"),
        text(fields.get("kind")),
    ))
}

/// Removes what the applier owned before and nobody owns now. Three steps, as upstream: take out all it owned, put back what anybody
/// (the applier's new configuration included) owns, put back what was nobody's. Maps and lists that the configuration has stay even when nothing in
/// them can be owned, as in `spec: {taints: []}`: upstream takes them out, and then refuses the object for lacking its spec.
fn prune(shape: Shape<'_>, merged: &Value, config: &Value, managers: &Managers, last: &Set) -> Value {
    let last = walk::with_named(shape, last);
    let all = walk::with_named(shape, &walk::fields(shape, merged).1);
    let left = |removed: &Set| walk::remove(shape, merged, removed).unwrap_or_else(|| Value::Object(Map::new()));
    let fields_of = |object: &Value| walk::with_named(shape, &walk::fields(shape, object).1);

    let managed = managers.values().fold(walk::containers(shape, config), |out, entry| out.union(&entry.set));
    let managed = walk::with_named(shape, &managed);
    let kept = fields_of(&left(&last)).union(&managed);
    let owned = left(&all.difference(&kept));
    // A map with nothing in it but lists without items does not show among the fields of a value; its owners still have it.
    let dangling = all.difference(&fields_of(&owned)).difference(&managed).intersection(&last);
    left(&dangling)
}

fn conflict_error(conflicts: &[(Identity, Set)]) -> ApplyError {
    let mut out: Vec<Conflict> = conflicts
        .iter()
        .flat_map(|(identity, set)| {
            set.paths().into_iter().map(|path| Conflict { manager: identity.describe(), field: print(&path) })
        })
        .collect();
    out.sort_by(|a, b| a.manager.cmp(&b.manager));
    ApplyError::Conflict { conflicts: out }
}

/// The fields that client-side apply set and that still have the value it gave them.
fn last_applied(shape: Shape<'_>, live: &Value, api_version: &str) -> Set {
    let annotation = live.pointer("/metadata/annotations").and_then(|annotations| annotations.get(LAST_APPLIED));
    let Some(text) = annotation.and_then(Value::as_str) else { return Set::default() };
    let Ok(config) = serde_json::from_str::<Value>(text) else { return Set::default() };
    if config.get("apiVersion").and_then(Value::as_str) != Some(api_version) {
        return Set::default();
    }
    let changes = walk::compare(shape, &config, live);
    walk::fields(shape, &config).1.difference(&changes.modified).difference(&changes.added).difference(&changes.removed)
}

/// Keeps client-side apply's annotation true for objects that have it, so that going back to client-side apply works.
fn refresh_last_applied(object: &mut Value, config: &Value) {
    let Some(Value::Object(annotations)) = object.pointer_mut("/metadata/annotations") else { return };
    if annotations.get(LAST_APPLIED).and_then(Value::as_str).is_none_or(str::is_empty) {
        return;
    }
    let mut config = config.clone();
    if let Some(Value::Object(annotations)) = config.pointer_mut("/metadata/annotations") {
        annotations.remove(LAST_APPLIED);
    }
    annotations.insert(LAST_APPLIED.to_owned(), Value::String(format!("{config}\n")));
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
