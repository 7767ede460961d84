//! Lists that are sets or maps hold no item twice. Each repeated item is reported once, at its second appearance, as upstream does.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::node::{ListType, Node};
use super::path::FieldPath;
use super::{FieldError, MAX_DEPTH, resource_child, words};

pub(super) fn check(root: &Node, object: &Value, prefix: &str) -> Vec<FieldError> {
    let mut walk = Walk { path: FieldPath::new(prefix), errors: Vec::new(), depth: 0 };
    walk.value(root, object, true);
    walk.errors
}

struct Walk {
    path: FieldPath,
    errors: Vec<FieldError>,
    depth: usize,
}

impl Walk {
    fn value(&mut self, node: &Node, value: &Value, resource: bool) {
        let metadata = resource || node.embedded;
        if self.depth == MAX_DEPTH || !(node.unique_below || metadata) {
            return;
        }
        self.depth += 1;
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let Some(child) = resource_child(node, name, metadata) else { continue };
                    let named = node.properties.contains_key(name) || metadata;
                    let mark = if named { self.path.field(name) } else { self.path.key(name) };
                    self.value(child, field, false);
                    self.path.back(mark);
                }
            }
            Value::Array(items) => {
                match &node.list {
                    ListType::Atomic => {}
                    ListType::Set => self.repeated(items),
                    ListType::Map(keys) => self.list_map(keys, items),
                }
                if let Some(child) = &node.items {
                    for (i, item) in items.iter().enumerate() {
                        let mark = self.path.index(i);
                        self.value(child, item, false);
                        self.path.back(mark);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        self.depth -= 1;
    }

    fn list_map(&mut self, keys: &[String], items: &[Value]) {
        if let Some((i, item)) = items.iter().enumerate().find(|(_, item)| !item.is_object() && !item.is_null()) {
            let mark = self.path.index(i);
            self.errors.push(words::invalid(
                self.path.as_str(),
                item,
                "must be an object for an array of list-type map",
            ));
            self.path.back(mark);
            return;
        }
        let key_of = |item: &Value| {
            let fields = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
            Value::Object(fields.collect::<Map<String, Value>>())
        };
        let found: Vec<Value> = items.iter().map(key_of).collect();
        self.repeated(&found);
    }

    fn repeated(&mut self, items: &[Value]) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (i, item) in items.iter().enumerate() {
            let times = seen.entry(item.to_string()).or_default();
            *times += 1;
            if *times == 2 {
                let mark = self.path.index(i);
                self.errors.push(words::duplicate(self.path.as_str(), Some(item)));
                self.path.back(mark);
            }
        }
    }
}
