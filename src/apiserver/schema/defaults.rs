//! Defaulting. Upstream first drops nulls that are neither allowed nor have a default, then fills in what is missing (a null that is
//! not allowed counts as missing); defaults inside defaulted values apply as well.

use serde_json::Value;

use super::MAX_DEPTH;
use super::node::Node;

pub(super) fn apply(root: &Node, object: &mut Value) {
    drop_nulls(Some(root), object, true, 0);
    fill(root, object, true, 0);
}

fn forbids_null(node: &Node) -> bool {
    // Without a type null is a value like any other.
    !node.nullable
}

fn drop_nulls(node: Option<&Node>, value: &mut Value, resource: bool, depth: usize) {
    if depth == MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(fields) => fields.retain(|name, field| {
            if resource && name == "metadata" {
                return true;
            }
            let child = node.and_then(|node| node.child(name));
            if field.is_null() && child.is_some_and(|child| forbids_null(child) && child.default.is_none()) {
                return false;
            }
            drop_nulls(child, field, false, depth + 1);
            true
        }),
        Value::Array(items) => {
            let child = node.and_then(|node| node.items.as_deref());
            for item in items {
                drop_nulls(child, item, false, depth + 1);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fill(node: &Node, value: &mut Value, resource: bool, depth: usize) {
    if depth == MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, child) in &node.properties {
                let Some(default) = &child.default else { continue };
                let missing = match fields.get(name) {
                    None => true,
                    Some(field) => field.is_null() && forbids_null(child),
                };
                if missing {
                    fields.insert(name.clone(), default.clone());
                }
            }
            for (name, field) in fields {
                if resource && name == "metadata" {
                    continue;
                }
                if let Some(child) = node.child(name) {
                    fill_item(child, field, depth);
                }
            }
        }
        Value::Array(items) => {
            if let Some(child) = &node.items {
                for item in items {
                    fill_item(child, item, depth);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn fill_item(node: &Node, value: &mut Value, depth: usize) {
    if value.is_null()
        && forbids_null(node)
        && let Some(default) = &node.default
    {
        *value = default.clone();
    }
    fill(node, value, false, depth + 1);
}
