//! One served resource (a kind in one version): what discovery tells about it, how its objects are checked, stored and
//! shown. Built from a table for the built-in kinds (`builtin`) and from CustomResourceDefinitions for all others (`crd`).

use std::sync::Arc;

use bytes::Bytes;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{
    builtin::Builtin,
    events,
    names::NameRule,
    object,
    schema::Schema,
    select::Selection,
    status::{Failure, Subject},
    storage::{Collection, Stored},
    table::Column,
};

pub struct Resource {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub list_kind: String,
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub namespaced: bool,
    pub collection: Arc<Collection>,
    /// The version objects are stored in; this resource's own version otherwise only changes the label.
    pub stored_api_version: String,
    pub shape: Shape,
    pub schema: Arc<Schema>,
    pub json_schema: Option<JSONSchemaProps>,
    pub columns: Vec<Column>,
    /// Paths that field selectors may name, beside metadata.name and metadata.namespace.
    pub selectable: Vec<String>,
    /// Status is written through its own subresource.
    pub status: bool,
    pub scale: Option<Scale>,
    pub origin: Origin,
    pub deprecation: Option<String>,
    /// Cancelled when the definition changes or goes: watches end, and clients look anew.
    pub retired: CancellationToken,
}

/// How an object of this resource relates to its stored form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Stored,
    /// events.k8s.io shows core events with other field names.
    NewEvent,
}

#[derive(Clone, Debug)]
pub struct Scale {
    pub spec: String,
    pub status: String,
    pub selector: Option<String>,
}

#[derive(Clone, Copy)]
pub enum Origin {
    Builtin(&'static Builtin),
    Custom,
}

impl Resource {
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    pub fn subject<'a>(&'a self, name: &'a str) -> Subject<'a> {
        Subject { group: &self.group, plural: &self.plural, kind: &self.kind, name }
    }

    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    pub fn is_custom(&self) -> bool {
        matches!(self.origin, Origin::Custom)
    }

    pub fn name_rule(&self) -> NameRule {
        match self.origin {
            Origin::Builtin(builtin) => builtin.names,
            Origin::Custom => NameRule::Subdomain,
        }
    }

    /// Whether writes count a generation.
    pub fn has_generation(&self) -> bool {
        match self.origin {
            Origin::Builtin(builtin) => builtin.generation,
            Origin::Custom => true,
        }
    }

    /// Whether a PUT may leave the resource version out.
    pub fn updates_blindly(&self) -> bool {
        match self.origin {
            Origin::Builtin(builtin) => builtin.updates_blindly,
            Origin::Custom => false,
        }
    }

    /// The object's JSON in this version.
    pub fn render(&self, stored: &Stored) -> Bytes {
        let api_version = self.api_version();
        if self.shape == Shape::Stored {
            let prefix = format!("{{\"apiVersion\":\"{api_version}\",");
            if stored.bytes.starts_with(prefix.as_bytes()) {
                return stored.bytes.clone();
            }
        }
        object::encode(&self.value(stored))
    }

    /// The object in this version.
    pub fn value(&self, stored: &Stored) -> Value {
        self.present(stored.value())
    }

    /// From the stored form into this version's.
    pub fn present(&self, mut value: Value) -> Value {
        if self.shape == Shape::NewEvent {
            events::to_new(&mut value);
        }
        object::set(&mut value, "apiVersion", Some(self.api_version().into()));
        value
    }

    /// From this version's form into the stored one.
    pub fn store(&self, mut value: Value) -> Value {
        if self.shape == Shape::NewEvent {
            events::to_core(&mut value);
        }
        object::set(&mut value, "apiVersion", Some(self.stored_api_version.clone().into()));
        object::set(&mut value, "kind", Some(self.kind.clone().into()));
        value
    }

    /// The selection in terms of the stored form, or a refusal of a field that cannot be selected by.
    pub fn select(&self, selection: &Selection) -> Result<Selection, Failure> {
        let mut selection = selection.clone();
        for term in &mut selection.fields {
            let path = term.path.trim_start_matches('.').to_string();
            let metadata = path == "metadata.name" || (self.namespaced && path == "metadata.namespace");
            if !metadata && !self.selectable.contains(&path) {
                // Upstream has one text for kinds with selectable fields of their own, and one for all other built-in ones.
                let message = if self.is_custom() || !self.selectable.is_empty() {
                    format!("field label not supported: {}", term.path)
                } else {
                    let known = "only \"metadata.name\", \"metadata.namespace\"";
                    format!("{:?} is not a known field selector: {known}", term.path)
                };
                return Err(Failure::bad_request(message));
            }
            term.path = if self.shape == Shape::NewEvent { events::core_field(&path) } else { path };
        }
        Ok(selection)
    }
}
