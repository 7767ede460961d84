//! Behaviour of schemas, by table and by conversation: `structure` (types, limits, pruning, defaults), `rules` (CEL), `properties`.

mod properties;
mod rules;
mod structure;

use serde_json::{Value, json};

use super::{FieldError, Schema};

/// A schema whose `spec` has these properties.
pub(super) fn spec(properties: Value) -> Schema {
    compile(json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}))
}

pub(super) fn compile(props: Value) -> Schema {
    try_compile(props).unwrap()
}

pub(super) fn try_compile(props: Value) -> Result<Schema, super::SchemaError> {
    Schema::from_crd(&serde_json::from_value(props).unwrap())
}

pub(super) fn object(spec: Value) -> Value {
    json!({"apiVersion": "t/v1", "kind": "T", "metadata": {"name": "x"}, "spec": spec})
}

/// `field: message`, one line for each error.
pub(super) fn lines(errors: &[FieldError]) -> Vec<String> {
    errors.iter().map(|error| format!("{}: {}", error.field, error.message)).collect()
}

pub(super) fn errors(schema: &Schema, spec: Value) -> Vec<String> {
    lines(&schema.validate(&object(spec), None, ""))
}

pub(super) fn update_errors(schema: &Schema, old: Value, new: Value) -> Vec<String> {
    lines(&schema.validate(&object(new), Some(&object(old)), ""))
}
