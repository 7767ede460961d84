//! The entries of `metadata.managedFields`: who owns which fields, and when they last took any. Reading, writing, order and the cap on
//! their number; who gains and loses what is decided in the parent module.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Manager;
use super::set::Set;
use crate::apiserver::schema::quote;

/// Upstream keeps this many entries of updates; the oldest beyond them become one.
const MAX_UPDATERS: usize = 10;
const BUCKET: &str = "ancient-changes";
pub(super) const BEFORE_FIRST_APPLY: &str = "before-first-apply";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// What makes two entries one: an applier keeps its entry across versions, an updater has one for each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub operation: Operation,
    pub manager: String,
    pub subresource: String,
    /// Empty for appliers.
    pub version: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub api_version: String,
    pub time: Option<String>,
    pub set: Set,
}

pub(super) type Managers = BTreeMap<Identity, Entry>;

impl Identity {
    pub fn new(manager: &Manager<'_>, operation: Operation) -> Identity {
        Identity {
            operation,
            manager: manager.name.to_owned(),
            subresource: manager.subresource.to_owned(),
            version: match operation {
                Operation::Apply => String::new(),
                Operation::Update => manager.api_version.to_owned(),
            },
        }
    }

    /// As conflicts name it: `"kubectl-edit" using v1`.
    pub fn describe(&self) -> String {
        let mut out = quote(&self.manager);
        if !self.subresource.is_empty() {
            out.push_str(&format!(" with subresource {}", quote(&self.subresource)));
        }
        match self.operation {
            Operation::Apply => {}
            Operation::Update => out.push_str(&format!(" using {}", self.version)),
        }
        out
    }
}

fn entries(object: Option<&Value>) -> Option<&Value> {
    object?.get("metadata")?.get("managedFields").filter(|entries| !entries.is_null())
}

/// Whether a client asks to forget all owners: an empty list, or one empty entry.
pub(super) fn asks_for_reset(object: &Value) -> bool {
    entries(Some(object)).and_then(Value::as_array).is_some_and(|list| match list.as_slice() {
        [] => true,
        [Value::Object(entry)] => entry.is_empty(),
        _ => false,
    })
}

/// Reads an object's entries; an error names the first that cannot be read.
pub(super) fn decode(object: Option<&Value>) -> Result<Managers, String> {
    let mut out = Managers::new();
    let Some(list) = entries(object) else { return Ok(out) };
    let list = list.as_array().ok_or("metadata.managedFields must be a list")?;
    for (i, entry) in list.iter().enumerate() {
        let text = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            other => {
                return Err(format!("metadata.managedFields[{i}].operation: {other:?} is neither Apply nor Update"));
            }
        };
        let empty = json!({});
        let fields = entry.get("fieldsV1").filter(|fields| !fields.is_null()).unwrap_or(&empty);
        let set = Set::decode(fields)
            .ok_or_else(|| format!("metadata.managedFields[{i}].fieldsV1 is not a tree of fields"))?;
        let api_version = text("apiVersion");
        let identity = Identity {
            operation,
            manager: text("manager"),
            subresource: text("subresource"),
            version: if operation == Operation::Apply { String::new() } else { api_version.clone() },
        };
        let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
        out.entry(identity).and_modify(|known: &mut Entry| known.set = known.set.union(&set)).or_insert(Entry {
            api_version,
            time,
            set,
        });
    }
    Ok(out)
}

fn seconds(time: Option<&str>) -> i64 {
    time.and_then(|time| time.parse::<jiff::Timestamp>().ok()).map_or(0, jiff::Timestamp::as_second)
}

/// Writes the entries into the object, in upstream's order; no entries, no key.
pub(super) fn encode(managers: &Managers, object: &mut Value) {
    let mut list: Vec<(&Identity, &Entry)> = managers.iter().collect();
    list.sort_by_key(|(identity, entry)| {
        (
            identity.operation,
            seconds(entry.time.as_deref()),
            identity.manager.clone(),
            entry.api_version.clone(),
            identity.subresource.clone(),
        )
    });
    let list: Vec<Value> = list
        .into_iter()
        .map(|(identity, entry)| {
            let mut out = Map::new();
            let mut put = |name: &str, value: Value| out.insert(name.to_owned(), value);
            put("manager", json!(identity.manager));
            put(
                "operation",
                match identity.operation {
                    Operation::Apply => json!("Apply"),
                    Operation::Update => json!("Update"),
                },
            );
            put("apiVersion", json!(entry.api_version));
            if let Some(time) = &entry.time {
                put("time", json!(time));
            }
            put("fieldsType", json!("FieldsV1"));
            put("fieldsV1", entry.set.encode());
            if !identity.subresource.is_empty() {
                put("subresource", json!(identity.subresource));
            }
            Value::Object(out)
        })
        .collect();
    strip(object);
    if list.is_empty() {
        return;
    }
    if let Value::Object(fields) = object {
        let metadata = fields.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            metadata.insert("managedFields".to_owned(), Value::Array(list));
        }
    }
}

pub(super) fn strip(object: &mut Value) {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.remove("managedFields");
    }
}

/// Folds the oldest updaters of a version into one entry until there are few enough.
pub(super) fn cap(managers: &mut Managers) {
    let mut updaters: Vec<(i64, Identity)> = managers
        .iter()
        .filter(|(identity, _)| identity.operation == Operation::Update)
        .map(|(identity, entry)| (seconds(entry.time.as_deref()), identity.clone()))
        .collect();
    updaters.sort();
    let mut left = updaters.len();
    let mut first_of: BTreeMap<String, Identity> = BTreeMap::new();
    for (_, identity) in updaters {
        if left <= MAX_UPDATERS {
            return;
        }
        let Some(first) = first_of.get(&identity.version) else {
            first_of.insert(identity.version.clone(), identity);
            continue;
        };
        let bucket = Identity {
            operation: Operation::Update,
            manager: BUCKET.to_owned(),
            subresource: String::new(),
            version: identity.version.clone(),
        };
        if !managers.contains_key(&bucket)
            && let Some(entry) = managers.remove(first)
        {
            managers.insert(bucket.clone(), entry);
        }
        if identity == bucket {
            continue;
        }
        if let (Some(entry), Some(target)) = (managers.remove(&identity), managers.get_mut(&bucket)) {
            target.set = target.set.union(&entry.set);
            target.time = entry.time;
            left -= 1;
        }
    }
}
