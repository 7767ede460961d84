//! The four walks over values along their shape that ownership is made of: the fields of a value, the difference of two values, the
//! merge of two values, and a value without some fields. Semantics follow structured merge and diff as upstream practises it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::set::{Path, Set, Step, print};
use super::shape::Shape;
use crate::apiserver::schema::ListType;

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(fields)) => fields.is_empty(),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_)) => false,
    }
}

/// How a pair of values is walked.
enum Form {
    Leaf,
    Map,
    List,
}

fn form(shape: Shape<'_>, one: Option<&Value>, other: Option<&Value>) -> Form {
    if is_empty(one) && is_empty(other) {
        return Form::Leaf;
    }
    let map = |value: Option<&Value>| value.is_none_or(|value| value.is_object() || value.is_null());
    let list = |value: Option<&Value>| value.is_none_or(|value| value.is_array() || value.is_null());
    if map(one) && map(other) && !shape.is_atomic_map() {
        Form::Map
    } else if list(one) && list(other) && *shape.list() != ListType::Atomic {
        Form::List
    } else {
        Form::Leaf
    }
}

/// What `config` breaks of the schema: undeclared fields, wrong types, items without or with repeated names. One line each.
pub(super) fn check(shape: Shape<'_>, value: &Value, path: &mut Path, errors: &mut Vec<String>) {
    if let Some(expected) = shape.mismatch(value) {
        let found = match value {
            Value::Object(_) => "map",
            Value::Array(_) => "list",
            Value::String(_) => "string",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::Null => "null",
        };
        errors.push(format!("{}: expected {expected}, got {found}", print(path)));
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                path.push(Step::field(name));
                if shape.forbids(name) {
                    errors.push(format!("{}: field not declared in schema", print(path)));
                } else {
                    check(shape.field(name), field, path, errors);
                }
                path.pop();
            }
        }
        Value::Array(items) => {
            let mut seen = std::collections::BTreeSet::new();
            for (i, item) in items.iter().enumerate() {
                let step = match shape.item_step(i, item) {
                    Ok(step) => step,
                    Err(error) => {
                        errors.push(format!("{}: element {i}: {error}", print(path)));
                        continue;
                    }
                };
                if !seen.insert(step.clone()) {
                    errors.push(format!("{}: duplicate entries for key {}", print(path), print(&[step])));
                    continue;
                }
                path.push(step);
                check(shape.items(), item, path, errors);
                path.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The fields of a value, and whether the value itself is one.
pub(super) fn fields(shape: Shape<'_>, value: &Value) -> (bool, Set) {
    let mut set = Set::default();
    match value {
        Value::Object(_) if shape.is_atomic_map() => return (true, set),
        Value::Object(fields_of) => {
            for (name, field) in fields_of {
                let step = Step::field(name);
                let (leaf, below) = fields(shape.field(name), field);
                let empty = field.as_object().is_some_and(Map::is_empty);
                if leaf || empty || !shape.names(name) {
                    set.members.insert(step.clone());
                }
                set.graft(&step, below);
            }
        }
        Value::Array(_) if *shape.list() == ListType::Atomic => return (true, set),
        Value::Array(items) => {
            let mut seen: BTreeMap<Step, usize> = BTreeMap::new();
            for (i, item) in items.iter().enumerate() {
                if let Ok(step) = shape.item_step(i, item) {
                    *seen.entry(step).or_default() += 1;
                }
            }
            for (i, item) in items.iter().enumerate() {
                let Ok(step) = shape.item_step(i, item) else { continue };
                let (_, below) = fields(shape.items(), item);
                // Repeated items are owned as one thing, nothing inside them can be told apart.
                if seen.get(&step) == Some(&1) {
                    set.graft(&step, below);
                }
                set.members.insert(step);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return (true, set),
    }
    (false, set)
}

/// Every map and list that is a field of the value, at any depth outside lists.
pub(super) fn containers(shape: Shape<'_>, value: &Value) -> Set {
    let mut set = Set::default();
    for (name, field) in
        value.as_object().into_iter().flatten().filter(|(_, field)| field.is_object() || field.is_array())
    {
        let (step, inner) = (Step::field(name), shape.field(name));
        if !inner.is_atomic_map() {
            set.graft(&step, containers(inner, field));
        }
        set.members.insert(step);
    }
    set
}

/// What changed from one value to another.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub added: Set,
    pub modified: Set,
    pub removed: Set,
}

pub(super) fn compare(shape: Shape<'_>, before: &Value, after: &Value) -> Changes {
    let mut changes = Changes::default();
    differ(shape, Some(before), Some(after), &mut Vec::new(), &mut changes);
    changes
}

fn differ(shape: Shape<'_>, before: Option<&Value>, after: Option<&Value>, path: &mut Path, out: &mut Changes) {
    if before == after {
        return;
    }
    match form(shape, before, after) {
        Form::Leaf => {
            if let (Some(before), Some(after)) = (before, after) {
                // A container that becomes something else: what was in it goes, what is in the new one comes.
                let turned = before.is_object() != after.is_object() || before.is_array() != after.is_array();
                if turned
                    && !is_empty(Some(before))
                    && matches!(form(shape, Some(before), None), Form::Map | Form::List)
                {
                    children(shape, Some(before), None, path, out);
                }
                if turned && !is_empty(Some(after)) && matches!(form(shape, None, Some(after)), Form::Map | Form::List)
                {
                    children(shape, None, Some(after), path, out);
                }
            }
        }
        Form::Map | Form::List => {
            children(shape, before, after, path, out);
            if before.is_some() && after.is_some() {
                return;
            }
        }
    }
    match (before, after) {
        (None, _) => out.added.insert(path),
        (_, None) => out.removed.insert(path),
        (Some(_), Some(_)) => out.modified.insert(path),
    }
}

fn children(shape: Shape<'_>, before: Option<&Value>, after: Option<&Value>, path: &mut Path, out: &mut Changes) {
    let none = Map::new();
    match (before, after) {
        (Some(Value::Array(_)), _) | (_, Some(Value::Array(_))) => list_items(shape, before, after, path, out),
        _ => {
            let before = before.and_then(Value::as_object).unwrap_or(&none);
            let after = after.and_then(Value::as_object).unwrap_or(&none);
            let only_after = after.keys().filter(|name| !before.contains_key(*name));
            for name in before.keys().chain(only_after) {
                path.push(Step::field(name));
                differ(shape.field(name), before.get(name), after.get(name), path, out);
                path.pop();
            }
        }
    }
}

fn by_step<'v>(shape: Shape<'_>, list: Option<&'v Value>) -> BTreeMap<Step, Vec<&'v Value>> {
    let mut out: BTreeMap<Step, Vec<&Value>> = BTreeMap::new();
    for (i, item) in list.and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Ok(step) = shape.item_step(i, item) {
            out.entry(step).or_default().push(item);
        }
    }
    out
}

fn list_items(shape: Shape<'_>, before: Option<&Value>, after: Option<&Value>, path: &mut Path, out: &mut Changes) {
    let before = by_step(shape, before);
    let mut after = by_step(shape, after);
    let mut pairs: Vec<(Step, Vec<&Value>, Vec<&Value>)> = Vec::new();
    for (step, items) in before {
        let new = after.remove(&step).unwrap_or_default();
        pairs.push((step, items, new));
    }
    pairs.extend(after.into_iter().map(|(step, items)| (step, Vec::new(), items)));
    for (step, old, new) in pairs {
        path.push(step);
        match (old.as_slice(), new.as_slice()) {
            ([] | [_], [] | [_]) => differ(shape.items(), old.first().copied(), new.first().copied(), path, out),
            ([_, _, ..], [_, _, ..]) => {
                if old != new {
                    out.modified.insert(path);
                }
            }
            ([_, _, ..], _) => {
                if let Some(item) = new.first() {
                    differ(shape.items(), None, Some(item), path, out);
                }
                out.removed.insert(path);
            }
            (_, [_, _, ..]) => {
                if let Some(item) = old.first() {
                    differ(shape.items(), Some(item), None, path, out);
                }
                out.added.insert(path);
            }
        }
        path.pop();
    }
}

/// `live` with `config` laid over it.
pub(super) fn merge(shape: Shape<'_>, live: &Value, config: &Value) -> Value {
    match form(shape, Some(live), Some(config)) {
        Form::Leaf => config.clone(),
        // A null over a filled container changes nothing: there is nothing in it to lay over.
        Form::Map | Form::List if config.is_null() => live.clone(),
        Form::Map | Form::List if live.is_null() => config.clone(),
        Form::Map => {
            let mut out = live.as_object().cloned().unwrap_or_default();
            for (name, field) in config.as_object().into_iter().flatten() {
                let merged = match out.get(name) {
                    Some(current) => merge(shape.field(name), current, field),
                    None => field.clone(),
                };
                out.insert(name.clone(), merged);
            }
            Value::Object(out)
        }
        Form::List => merge_list(shape, live, config),
    }
}

/// Items of both lists, merged by name. The config decides the order of the items it shares with the live list; items only live has
/// stay where they are between them.
fn merge_list(shape: Shape<'_>, live: &Value, config: &Value) -> Value {
    let steps = |list: &Value| -> Vec<(Step, Value)> {
        let items = list.as_array().into_iter().flatten().enumerate();
        items.filter_map(|(i, item)| Some((shape.item_step(i, item).ok()?, item.clone()))).collect()
    };
    let (left, right) = (steps(live), steps(config));
    let mut in_left: BTreeMap<&Step, usize> = BTreeMap::new();
    for (step, _) in &left {
        *in_left.entry(step).or_default() += 1;
    }
    let in_right: BTreeMap<&Step, &Value> = right.iter().map(|(step, item)| (step, item)).collect();
    let left_item: BTreeMap<&Step, &Value> = left.iter().map(|(step, item)| (step, item)).collect();
    // Of repeated live items none is merged with: the config's item replaces them all.
    let merged = |step: &Step, item: &Value| match (in_left.get(step), left_item.get(step)) {
        (Some(1), Some(current)) => merge(shape.items(), current, item),
        _ => item.clone(),
    };
    let mut shared = right.iter().map(|(step, _)| step).filter(|step| in_left.contains_key(step));
    let mut next_shared = shared.next();
    let mut done: std::collections::BTreeSet<&Step> = std::collections::BTreeSet::new();
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if let (Some((ours, _)), Some((theirs, item))) = (left.get(l), right.get(r)) {
            if ours == theirs {
                done.insert(theirs);
                out.push(merged(theirs, item));
                (l, r, next_shared) = (l + 1, r + 1, shared.next());
                continue;
            }
            if in_right.contains_key(ours) && next_shared.is_some_and(|next| next != ours) {
                // Shared, but the config wants another one first.
                l += 1;
                continue;
            }
        }
        if let Some((ours, item)) = left.get(l) {
            if !in_right.contains_key(ours) {
                out.push(item.clone());
                l += 1;
                continue;
            }
            if done.contains(ours) {
                l += 1;
            }
        }
        if let Some((theirs, item)) = right.get(r) {
            done.insert(theirs);
            out.push(merged(theirs, item));
            r += 1;
            if next_shared == Some(theirs) {
                next_shared = shared.next();
            }
        }
    }
    Value::Array(out)
}

/// The value without the fields of a set; `None` when nothing is left of a container.
pub(super) fn remove(shape: Shape<'_>, value: &Value, set: &Set) -> Option<Value> {
    match value {
        Value::Object(fields) => {
            if shape.is_atomic_map() && !fields.is_empty() {
                return None;
            }
            let mut out = Map::new();
            for (name, field) in fields {
                let step = Step::field(name);
                if set.members.contains(&step) {
                    continue;
                }
                let kept = match set.children.get(&step).filter(|below| !below.is_empty()) {
                    // Somebody still wants the container, or it would be in the set itself.
                    Some(below) => remove(shape.field(name), field, below).unwrap_or_else(|| emptied(field)),
                    None => field.clone(),
                };
                out.insert(name.clone(), kept);
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        Value::Array(items) => {
            if *shape.list() == ListType::Atomic {
                return None;
            }
            let mut out = Vec::new();
            for (i, item) in items.iter().enumerate() {
                let Ok(step) = shape.item_step(i, item) else {
                    out.push(item.clone());
                    continue;
                };
                if set.members.contains(&step) {
                    continue;
                }
                match set.children.get(&step).filter(|below| !below.is_empty()) {
                    Some(below) => {
                        out.push(remove(shape.items(), item, below).unwrap_or_else(|| Value::Object(Map::new())));
                    }
                    None => out.push(item.clone()),
                }
            }
            (!out.is_empty()).then_some(Value::Array(out))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
    }
}

fn emptied(value: &Value) -> Value {
    if value.is_array() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) }
}

/// The set with every field the schema names on the way to a member added, so that emptied structures go with their last field.
pub(super) fn with_named(shape: Shape<'_>, set: &Set) -> Set {
    let mut out = Set { members: set.members.clone(), ..Set::default() };
    for (step, below) in &set.children {
        let inner = match step {
            Step::Field(name) => {
                if shape.names(name) {
                    out.members.insert(step.clone());
                }
                shape.field(name)
            }
            Step::Key(_) | Step::Value(_) | Step::Index(_) => shape.items(),
        };
        out.graft(step, with_named(inner, below));
    }
    out
}

/// A set written under an older schema, read under this one: what has become atomic since is owned whole.
pub(super) fn reconcile(shape: Shape<'_>, set: &Set) -> Set {
    let mut out = Set { members: set.members.clone(), ..Set::default() };
    for (step, below) in &set.children {
        let inner = match step {
            Step::Field(name) => shape.field(name),
            Step::Key(_) | Step::Value(_) | Step::Index(_) => shape.items(),
        };
        if !below.is_empty() && inner.is_declared_atomic() {
            out.members.insert(step.clone());
        } else {
            out.graft(step, reconcile(inner, below));
        }
    }
    out
}
