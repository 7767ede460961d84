//! Three states of an object into one: what was shown, what the person made of it, what is there now. Values in, values
//! out. Maps are merged key by key; lists and everything else only as a whole.

use serde_json::{Map, Value};

/// A field that both sides changed, differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub field: String,
    /// What is there now, on one line.
    pub theirs: String,
}

/// The edited state with everybody else's changes in it; where both changed the same, the person's.
pub fn merge(base: &Value, edited: &Value, live: &Value) -> (Value, Vec<Conflict>) {
    let mut conflicts = Vec::new();
    let merged = value(Some(base), Some(edited), Some(live), "", &mut conflicts);
    (merged.unwrap_or(Value::Null), conflicts)
}

fn value(
    base: Option<&Value>,
    edited: Option<&Value>,
    live: Option<&Value>,
    path: &str,
    conflicts: &mut Vec<Conflict>,
) -> Option<Value> {
    if edited == base || edited == live {
        return live.cloned();
    }
    if live == base {
        return edited.cloned();
    }
    if let (Some(Value::Object(edited)), Some(Value::Object(live))) = (edited, live) {
        let nothing = Map::new();
        let base = base.and_then(Value::as_object).unwrap_or(&nothing);
        let keys = live.keys().chain(edited.keys().filter(|key| !live.contains_key(*key)));
        let entries = keys.filter_map(|key| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            Some((key.clone(), value(base.get(key), edited.get(key), live.get(key), &path, conflicts)?))
        });
        return Some(Value::Object(entries.collect()));
    }
    let theirs = live.map_or_else(|| "(removed)".to_owned(), Value::to_string);
    conflicts.push(Conflict { field: path.to_owned(), theirs });
    edited.cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_of_different_fields_come_together() {
        let base = json!({"spec": {"a": 1, "b": 1, "gone": 1}, "metadata": {"labels": {"x": "1"}}});
        let edited = json!({"spec": {"a": 2, "b": 1}, "metadata": {"labels": {"x": "1", "mine": "1"}}});
        let live = json!({"spec": {"a": 1, "b": 2, "gone": 1}, "metadata": {"labels": {"x": "1", "theirs": "1"}}});
        let (merged, conflicts) = merge(&base, &edited, &live);
        assert_eq!(conflicts, []);
        let expected =
            json!({"spec": {"a": 2, "b": 2}, "metadata": {"labels": {"x": "1", "mine": "1", "theirs": "1"}}});
        assert_eq!(merged, expected);
    }

    #[test]
    fn the_same_field_changed_by_both_is_a_conflict_and_keeps_mine() {
        let spec = |list: Value| json!({"spec": {"list": list}});
        let (merged, conflicts) = merge(&spec(json!([1])), &spec(json!([1, 2])), &spec(json!([3])));
        assert_eq!(conflicts, [Conflict { field: "spec.list".into(), theirs: "[3]".into() }]);
        assert_eq!(merged, spec(json!([1, 2])));
        let (_, conflicts) = merge(&json!({"a": 1}), &json!({"a": 2}), &json!({}));
        assert_eq!(conflicts[0].theirs, "(removed)");
    }

    #[test]
    fn both_changing_it_alike_is_none() {
        let (merged, conflicts) = merge(&json!({"a": 1}), &json!({"a": 2}), &json!({"a": 2}));
        assert_eq!((merged, conflicts.len()), (json!({"a": 2}), 0));
    }
}
