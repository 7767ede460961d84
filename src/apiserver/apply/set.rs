//! Sets of fields, and their wire form FieldsV1. A set is a tree: members are the fields in it, children lead to members below.
//! It knows nothing of schemas or values beyond what names a list item.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Number, Value};

use crate::apiserver::schema::{go_float, quote};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    /// A list item by its key fields: compact JSON with sorted names.
    Key(String),
    /// A set item by its value: compact JSON.
    Value(String),
    Index(usize),
}

pub(super) type Path = Vec<Step>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub members: BTreeSet<Step>,
    pub children: BTreeMap<Step, Set>,
}

/// Numbers that are equal must be spelled alike: 1.0 names the item 1.
pub(super) fn canonical(value: &Value) -> String {
    fn plain(value: &Value) -> Value {
        match value {
            Value::Number(number) => match number.as_f64() {
                Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9.0e15 => {
                    Value::Number(Number::from(float as i64))
                }
                _ => value.clone(),
            },
            Value::Array(items) => items.iter().map(plain).collect(),
            Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), plain(field))).collect(),
            Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
        }
    }
    plain(value).to_string()
}

impl Step {
    pub fn field(name: &str) -> Step {
        Step::Field(name.to_owned())
    }

    fn encode(&self) -> String {
        match self {
            Step::Field(name) => format!("f:{name}"),
            Step::Key(json) => format!("k:{json}"),
            Step::Value(json) => format!("v:{json}"),
            Step::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Option<Step> {
        let (kind, rest) = text.split_once(':')?;
        let json = || serde_json::from_str::<Value>(rest).ok();
        match kind {
            "f" => Some(Step::Field(rest.to_owned())),
            "k" => json().filter(Value::is_object).map(|value| Step::Key(canonical(&value))),
            "v" => json().map(|value| Step::Value(canonical(&value))),
            "i" => rest.parse().ok().map(Step::Index),
            _ => None,
        }
    }
}

/// A path as conflicts print it: `.spec.ports[name="http"].port`.
pub(super) fn print(path: &[Step]) -> String {
    let value = |value: &Value| match value {
        Value::String(text) => quote(text),
        Value::Number(number) if number.is_f64() => go_float(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    };
    path.iter()
        .map(|step| match step {
            Step::Field(name) => format!(".{name}"),
            Step::Key(json) => {
                let fields: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
                let fields: Vec<String> =
                    fields.iter().map(|(name, field)| format!("{name}={}", value(field))).collect();
                format!("[{}]", fields.join(","))
            }
            Step::Value(json) => format!("[={json}]"),
            Step::Index(index) => format!("[{index}]"),
        })
        .collect()
}

impl Set {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Set::is_empty)
    }

    pub fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Adds what lies below one step, without leaving empty branches.
    pub fn graft(&mut self, step: &Step, below: Set) {
        if !below.is_empty() {
            self.children.insert(step.clone(), below);
        }
    }

    pub fn union(&self, other: &Set) -> Set {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (step, theirs) in &other.children {
            let ours = out.children.entry(step.clone()).or_default();
            *ours = ours.union(theirs);
        }
        out
    }

    pub fn intersection(&self, other: &Set) -> Set {
        let mut out = Set { members: self.members.intersection(&other.members).cloned().collect(), ..Set::default() };
        for (step, ours) in &self.children {
            if let Some(theirs) = other.children.get(step) {
                out.graft(step, ours.intersection(theirs));
            }
        }
        out
    }

    /// What is in this set and not in the other; a parent leaving does not take its children along.
    pub fn difference(&self, other: &Set) -> Set {
        let mut out = Set { members: self.members.difference(&other.members).cloned().collect(), ..Set::default() };
        for (step, ours) in &self.children {
            out.graft(
                step,
                match other.children.get(step) {
                    Some(theirs) => ours.difference(theirs),
                    None => ours.clone(),
                },
            );
        }
        out
    }

    pub fn paths(&self) -> Vec<Path> {
        fn collect(set: &Set, prefix: &mut Path, out: &mut Vec<Path>) {
            for member in &set.members {
                prefix.push(member.clone());
                out.push(prefix.clone());
                prefix.pop();
            }
            for (step, child) in &set.children {
                prefix.push(step.clone());
                collect(child, prefix, out);
                prefix.pop();
            }
        }
        let mut out = Vec::new();
        collect(self, &mut Vec::new(), &mut out);
        out
    }

    /// The FieldsV1 tree. A member that also has children carries "." to say so.
    pub fn encode(&self) -> Value {
        let mut out = Map::new();
        for member in &self.members {
            out.insert(member.encode(), Value::Object(Map::new()));
        }
        for (step, child) in &self.children {
            let mut below = child.encode();
            if let (true, Value::Object(fields)) = (self.members.contains(step), &mut below) {
                fields.insert(".".to_owned(), Value::Object(Map::new()));
            }
            out.insert(step.encode(), below);
        }
        Value::Object(out)
    }

    /// Reads a FieldsV1 tree; `None` when it is not one.
    pub fn decode(fields: &Value) -> Option<Set> {
        let mut out = Set::default();
        for (text, below) in fields.as_object()? {
            if text == "." {
                continue;
            }
            let step = Step::decode(text)?;
            let entries = below.as_object()?;
            // Without children, or with the mark, the field itself is in the set.
            if entries.is_empty() || entries.contains_key(".") {
                out.members.insert(step.clone());
            }
            out.graft(&step, Set::decode(below)?);
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_wire_form_survives_a_round_trip() {
        let wire = json!({
            "f:metadata": {"f:labels": {".": {}, "f:a": {}}, "f:finalizers": {".": {}, "v:\"x\"": {}}},
            "f:spec": {"f:ports": {"k:{\"name\":\"http\",\"port\":80}": {".": {}, "f:name": {}, "f:port": {}}}},
            "i:0": {},
        });
        assert_eq!(Set::decode(&wire).unwrap().encode(), wire);
    }

    #[test]
    fn key_fields_are_told_apart_by_meaning_not_spelling() {
        let one = Set::decode(&json!({"k:{\"b\":1.0, \"a\":\"x\"}": {}})).unwrap();
        let other = Set::decode(&json!({"k:{\"a\":\"x\",\"b\":1}": {}})).unwrap();
        assert_eq!(one, other);
    }

    #[test]
    fn what_is_not_fields_v1_is_refused() {
        for wrong in [json!([]), json!({"spec": {}}), json!({"f:a": 1}), json!({"k:[": {}}), json!({"i:x": {}})] {
            assert_eq!(Set::decode(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn removing_a_parent_keeps_its_children() {
        let both = Set::decode(&json!({"f:a": {".": {}, "f:b": {}}})).unwrap();
        let parent = Set::decode(&json!({"f:a": {}})).unwrap();
        assert_eq!(both.difference(&parent).encode(), json!({"f:a": {"f:b": {}}}));
    }

    #[test]
    fn paths_print_as_conflicts_show_them() {
        let set = Set::decode(&json!({"f:a": {"k:{\"name\":\"x\",\"n\":1}": {"f:v": {}}, "v:\"s\"": {}}})).unwrap();
        let printed: Vec<String> = set.paths().iter().map(|path| print(path)).collect();
        assert_eq!(printed, [r#".a[="s"]"#, r#".a[n=1,name="x"].v"#]);
    }
}
