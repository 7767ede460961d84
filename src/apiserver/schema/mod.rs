//! The schema of one kind, compiled once and then applied to values: pruning, defaulting, validation, and (through `apply/`) what
//! belongs to whom. Pure: values in, values and errors out. It must not know storage, requests or the clock.
//!
//! A walk never goes deeper than [`MAX_DEPTH`]: storage refuses deeper objects, and the stack is not the user's to use up.

mod builtin;
mod cel;
mod defaults;
mod embedded;
mod format;
mod node;
mod path;
mod pattern;
mod program;
mod prune;
mod rule;
mod unique;
mod validate;
mod words;

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;

pub(in crate::apiserver) use node::{Additional, Kind, ListType, Node};
pub(in crate::apiserver) use words::{go_float, quote};

/// Deepest nesting that is walked; the JSON parser stops at 128 as well.
pub(in crate::apiserver) const MAX_DEPTH: usize = 128;

/// A compiled structural schema of one version of a kind.
#[derive(Debug)]
pub struct Schema {
    root: Arc<Node>,
    status_in_main: bool,
}

/// Why a schema was refused, and where in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct SchemaError {
    pub field: String,
    pub message: String,
}

impl SchemaError {
    fn new(field: impl Into<String>, message: impl Into<String>) -> SchemaError {
        SchemaError { field: field.into(), message: message.into() }
    }
}

/// One thing wrong with a value, as a cause of a `Status` carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The cause's type: `FieldValueInvalid`, `FieldValueRequired`, …
    pub reason: &'static str,
    pub field: String,
    pub message: String,
}

impl Schema {
    /// Compiles the schema of a CRD version, its rules included; refuses what is not structural.
    pub fn from_crd(props: &JSONSchemaProps) -> Result<Schema, SchemaError> {
        // A definition is checked first and served then: what was compiled last is asked for again.
        static LAST: Mutex<Option<(JSONSchemaProps, Arc<Node>)>> = Mutex::new(None);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let root = match &*last {
            Some((compiled, root)) if compiled == props => root.clone(),
            _ => Arc::new(node::compile_root(props)?),
        };
        *last = Some((props.clone(), root.clone()));
        Ok(Schema { root, status_in_main: false })
    }

    /// Everything preserved, nothing validated: maps granular, lists atomic, metadata as every kind has it.
    pub fn open() -> Schema {
        Schema { root: Arc::new(builtin::open()), status_in_main: false }
    }

    /// A kind the server itself knows: open, with the merge keys and atomic parts upstream declares for it.
    pub fn builtin(kind: &str) -> Schema {
        Schema { root: Arc::new(builtin::kind(kind)), status_in_main: false }
    }

    /// For a kind without a status subresource: writes to the object itself own its status, too.
    #[must_use]
    pub fn with_status_in_main(mut self) -> Schema {
        self.status_in_main = true;
        self
    }

    /// Removes fields the schema does not know and reports each (`unknown field "spec.foo"`), sorted.
    pub fn prune(&self, object: &mut Value, report: &mut Vec<String>) {
        prune::prune(&self.root, object, report);
    }

    /// Drops nulls that are not allowed to be, and fills in defaults.
    pub fn default(&self, object: &mut Value) {
        defaults::apply(&self.root, object);
    }

    /// Everything wrong with `object`. With `old`, errors in unchanged parts are passed over and transition rules are checked.
    pub fn validate(&self, object: &Value, old: Option<&Value>, root: &str) -> Vec<FieldError> {
        if too_deep(object) {
            return vec![words::invalid_omitted(root, &format!("nested deeper than {MAX_DEPTH} levels"))];
        }
        let mut errors = validate::object(&self.root, object, old, root);
        errors.extend(embedded::check(&self.root, object, root));
        if self.root.unique_below && old.is_none_or(|old| unique::check(&self.root, old, root).is_empty()) {
            errors.extend(unique::check(&self.root, object, root));
        }
        if self.root.rules_below {
            // Rules may rely on types, presence and sizes, so they are not run where those do not hold.
            let blocking = ["FieldValueRequired", "FieldValueTypeInvalid", "FieldValueTooLong", "FieldValueTooMany"];
            if errors.iter().any(|error| blocking.contains(&error.reason)) {
                errors.push(words::invalid(
                    root,
                    &Value::Null,
                    "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation",
                ));
            } else {
                errors.extend(cel::check(&self.root, object, old, root));
            }
        }
        errors
    }

    pub(in crate::apiserver) fn root(&self) -> &Node {
        &self.root
    }

    pub(in crate::apiserver) fn status_in_main(&self) -> bool {
        self.status_in_main
    }
}

/// The schema of `name` inside an object that is a resource itself (the root, or embedded): type and metadata are the server's.
pub(in crate::apiserver) fn resource_child<'s>(node: &'s Node, name: &str, resource: bool) -> Option<&'s Node> {
    match (resource, name) {
        (true, "metadata") => Some(builtin::object_meta()),
        (true, "apiVersion" | "kind") => Some(builtin::string()),
        _ => node.child(name),
    }
}

/// Whether a value nests deeper than [`MAX_DEPTH`].
pub(in crate::apiserver) fn too_deep(value: &Value) -> bool {
    fn deeper(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left == 0 || items.iter().any(|item| deeper(item, left - 1)),
            Value::Object(fields) => left == 0 || fields.values().any(|field| deeper(field, left - 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    deeper(value, MAX_DEPTH)
}

#[cfg(test)]
mod tests;
