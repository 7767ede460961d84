//! Schema fragments that several kinds share: what schemars cannot say with attributes.

use schemars::{Schema, SchemaGenerator, json_schema};

/// `conditions`: a list-map by type, as every client that waits for one expects.
pub fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>();
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// `options`: a bounded map of what an adapter offers; a value is a string, an integer or a boolean. Which, the adapter
/// says when it reads them: a validation rule cannot look into values without a declared type.
pub fn options(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"x-kubernetes-preserve-unknown-fields": true},
    })
}
