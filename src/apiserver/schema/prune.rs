//! Pruning: what the schema does not know is removed and reported. It must not change anything the schema knows.

use serde_json::Value;

use super::node::{Additional, Node};
use super::path::FieldPath;
use super::{MAX_DEPTH, resource_child, words};

pub(super) fn prune(root: &Node, object: &mut Value, report: &mut Vec<String>) {
    let mut walk = Walk { path: FieldPath::default(), unknown: Vec::new(), depth: 0 };
    walk.value(root, object, true);
    walk.unknown.sort();
    report.extend(walk.unknown.into_iter().map(|path| format!("unknown field {}", words::quote(&path))));
}

struct Walk {
    path: FieldPath,
    unknown: Vec<String>,
    depth: usize,
}

impl Walk {
    fn value(&mut self, node: &Node, value: &mut Value, resource: bool) {
        if self.depth == MAX_DEPTH {
            return;
        }
        self.depth += 1;
        match value {
            Value::Object(fields) => fields.retain(|name, field| {
                let mark = self.path.field(name);
                let keep = match resource_child(node, name, resource || node.embedded) {
                    Some(child) => {
                        self.value(child, field, false);
                        true
                    }
                    None if node.preserve || matches!(node.additional, Additional::Anything) => true,
                    None => {
                        self.unknown.push(self.path.as_str().to_owned());
                        false
                    }
                };
                self.path.back(mark);
                keep
            }),
            Value::Array(items) => {
                if let Some(child) = &node.items {
                    for (i, item) in items.iter_mut().enumerate() {
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
}
