//! Embedded resources name their type. The root's own type and name are the business of whoever accepts the request.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::node::Node;
use super::path::FieldPath;
use super::{FieldError, MAX_DEPTH, words};

static KIND: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("^[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?$").expect("a constant pattern compiles"));

pub(super) fn check(root: &Node, object: &Value, prefix: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    walk(root, object, &mut FieldPath::new(prefix), 0, &mut errors);
    errors
}

fn walk(node: &Node, value: &Value, path: &mut FieldPath, depth: usize, errors: &mut Vec<FieldError>) {
    if depth == MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(fields) => {
            if node.embedded {
                type_of(value, path, errors);
            }
            for (name, field) in fields {
                let Some(child) = node.child(name) else { continue };
                let mark = if node.properties.contains_key(name) { path.field(name) } else { path.key(name) };
                walk(child, field, path, depth + 1, errors);
                path.back(mark);
            }
        }
        Value::Array(items) => {
            let Some(child) = &node.items else { return };
            for (i, item) in items.iter().enumerate() {
                let mark = path.index(i);
                walk(child, item, path, depth + 1, errors);
                path.back(mark);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn type_of(value: &Value, path: &mut FieldPath, errors: &mut Vec<FieldError>) {
    for name in ["apiVersion", "kind"] {
        let mark = path.field(name);
        let at = path.as_str();
        match value.get(name) {
            None => errors.push(words::required(at, "")),
            Some(Value::String(text)) if text.is_empty() => {
                errors.push(words::invalid(at, &Value::String(String::new()), "must not be empty"));
            }
            Some(found @ Value::String(text)) if name == "apiVersion" && text.matches('/').count() > 1 => {
                errors.push(words::invalid(at, found, &format!("unexpected GroupVersion string: {text}")));
            }
            Some(found @ Value::String(text)) if name == "kind" && (text.len() > 63 || !KIND.is_match(text)) => {
                errors.push(words::invalid(
                    at,
                    found,
                    "may have mixed case, but should otherwise match: a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
                ));
            }
            Some(Value::String(_)) => {}
            Some(other) => errors.push(words::invalid(at, other, "must be a string")),
        }
        path.back(mark);
    }
}
