//! The components of a document: schemas of CRDs as written, of built-in kinds as their Rust types have them, and of what all share.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use k8s_openapi::api::{coordination, core, events, rbac};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Served;

pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
pub(super) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
pub(super) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(super) const DELETE_OPTIONS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(super) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// Generated once: the types do not change while the program runs.
static BUILT_IN: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let mut generator = SchemaSettings::openapi3().into_generator();
    fn need<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) {
        generator.subschema_for::<T>();
    }
    need::<meta::v1::ObjectMeta>(&mut generator);
    need::<meta::v1::ListMeta>(&mut generator);
    need::<meta::v1::Status>(&mut generator);
    need::<meta::v1::DeleteOptions>(&mut generator);
    need::<core::v1::Namespace>(&mut generator);
    need::<core::v1::Secret>(&mut generator);
    need::<core::v1::ConfigMap>(&mut generator);
    need::<core::v1::ServiceAccount>(&mut generator);
    need::<core::v1::Event>(&mut generator);
    need::<events::v1::Event>(&mut generator);
    need::<coordination::v1::Lease>(&mut generator);
    need::<rbac::v1::Role>(&mut generator);
    need::<rbac::v1::RoleBinding>(&mut generator);
    need::<rbac::v1::ClusterRole>(&mut generator);
    need::<rbac::v1::ClusterRoleBinding>(&mut generator);
    need::<apiextensions::v1::CustomResourceDefinition>(&mut generator);
    generator.take_definitions(true).into_iter().collect()
});

pub(super) fn shared() -> Map<String, Value> {
    let mut out = BUILT_IN.clone();
    out.insert(
        PATCH.to_owned(),
        json!({"type": "object", "description": "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body."}),
    );
    out
}

fn built_in_name(one: &Served<'_>) -> Option<String> {
    let package = match one.group {
        "" => "io.k8s.api.core",
        "events.k8s.io" => "io.k8s.api.events",
        "coordination.k8s.io" => "io.k8s.api.coordination",
        "rbac.authorization.k8s.io" => "io.k8s.api.rbac",
        "apiextensions.k8s.io" => "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
        _ => return None,
    };
    Some(format!("{package}.{}.{}", one.version, one.kind)).filter(|name| BUILT_IN.contains_key(name))
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Adds the kind and its list, and returns the kind's component name.
pub(super) fn add(one: &Served<'_>, components: &mut Map<String, Value>) -> String {
    let built_in = if one.schema.is_none() { built_in_name(one) } else { None };
    let name = built_in.unwrap_or_else(|| {
        let group: Vec<&str> = one.group.split('.').rev().collect();
        format!("{}.{}.{}", group.join("."), one.version, one.kind)
    });
    let mut schema = match (one.schema, components.get(&name)) {
        // A schema that was read from JSON can be written as JSON.
        (Some(props), _) => serde_json::to_value(props).unwrap_or_else(|_| json!({"type": "object"})),
        (None, Some(known)) => known.clone(),
        (None, None) => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([one.identity()]));
        if one.schema.is_some() || !BUILT_IN.contains_key(&name) {
            let properties = schema.entry("properties").or_insert_with(|| json!({}));
            if let Value::Object(properties) = properties {
                type_meta(properties);
                properties.insert(
                    "metadata".to_owned(),
                    json!({
                        "description": "Standard object's metadata.",
                        "allOf": [reference(OBJECT_META)],
                        "default": {},
                    }),
                );
            }
        }
    }
    let mut list = json!({
        "type": "object",
        "description": format!("{}List is a list of {}", one.kind, one.kind),
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "description": format!("List of {}.", one.plural), "items": {"allOf": [reference(&name)], "default": {}}},
            "metadata": {"description": "Standard list metadata.", "allOf": [reference(LIST_META)], "default": {}},
        },
        "x-kubernetes-group-version-kind": [
            {"group": one.group, "version": one.version, "kind": format!("{}List", one.kind)},
        ],
    });
    if let Some(Value::Object(properties)) = list.get_mut("properties") {
        type_meta(properties);
    }
    components.insert(format!("{name}List"), list);
    components.insert(name.clone(), schema);
    name
}

fn type_meta(properties: &mut Map<String, Value>) {
    properties.insert("apiVersion".to_owned(), json!({
        "type": "string",
        "description": "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources",
    }));
    properties.insert("kind".to_owned(), json!({
        "type": "string",
        "description": "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds",
    }));
}

/// Only what a document's kinds refer to: the documents stay small, and change only when their own kinds do.
pub(super) fn reachable(components: &Map<String, Value>, members: &[&Served<'_>]) -> Map<String, Value> {
    let own = |schema: &Value| {
        let identities = schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array);
        identities.into_iter().flatten().any(|identity| {
            members.iter().any(|one| identity["group"] == one.group && identity["version"] == one.version)
        })
    };
    let roots = components.iter().filter(|(_, schema)| own(schema)).map(|(name, _)| name.as_str());
    let mut todo: Vec<&str> = roots.chain([STATUS, DELETE_OPTIONS, PATCH, OBJECT_META, LIST_META]).collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = todo.pop() {
        let Some((name, schema)) = components.get_key_value(name) else { continue };
        if seen.insert(name.as_str()) {
            references(schema, &mut todo);
        }
    }
    components
        .iter()
        .filter(|(name, _)| seen.contains(name.as_str()))
        .map(|(name, schema)| (name.clone(), schema.clone()))
        .collect()
}

fn references<'v>(schema: &'v Value, out: &mut Vec<&'v str>) {
    match schema {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(target) if name == "$ref" => out.extend(target.strip_prefix("#/components/schemas/")),
                    other => references(other, out),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
