//! What clients look for in the documents.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

use super::*;

fn props() -> JSONSchemaProps {
    let schema = json!({
        "type": "object",
        "description": "A widget.",
        "required": ["spec"],
        "properties": {"spec": {"type": "object", "description": "What is wanted.", "properties": {
            "size": {"type": "integer", "description": "How big."},
            "env": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}},
        }}},
    });
    serde_json::from_value(schema).unwrap()
}

fn served(schema: &JSONSchemaProps) -> Vec<Served<'_>> {
    let core = |kind, plural, namespaced| Served {
        group: "",
        version: "v1",
        kind,
        plural,
        namespaced,
        schema: None,
        subresources: &[],
    };
    vec![
        core("Namespace", "namespaces", false),
        core("Secret", "secrets", true),
        core("Event", "events", true),
        Served { group: "events.k8s.io", ..core("Event", "events", true) },
        Served { group: "coordination.k8s.io", ..core("Lease", "leases", true) },
        Served { group: "rbac.authorization.k8s.io", ..core("ClusterRole", "clusterroles", false) },
        Served {
            group: "apiextensions.k8s.io",
            ..core("CustomResourceDefinition", "customresourcedefinitions", false)
        },
        Served {
            group: "example.com",
            version: "v1alpha1",
            kind: "Widget",
            plural: "widgets",
            namespaced: true,
            schema: Some(schema),
            subresources: &["status"],
        },
    ]
}

#[test]
fn the_index_names_every_group_version_with_a_hash() {
    let props = props();
    let index = v3_index(&served(&props));
    let paths = index["paths"].as_object().unwrap();
    let expected: BTreeSet<&str> = [
        "api/v1",
        "apis/apiextensions.k8s.io/v1",
        "apis/coordination.k8s.io/v1",
        "apis/events.k8s.io/v1",
        "apis/example.com/v1alpha1",
        "apis/rbac.authorization.k8s.io/v1",
    ]
    .into();
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    let url = paths["apis/example.com/v1alpha1"]["serverRelativeURL"].as_str().unwrap();
    let hash = url.strip_prefix("/openapi/v3/apis/example.com/v1alpha1?hash=").unwrap();
    assert_eq!(hash, super::hash(&v3("example.com/v1alpha1", &served(&props))));
    assert_eq!(hash.len(), 64);
}

#[test]
fn a_changed_schema_changes_the_hash_of_its_own_document_only() {
    let before = props();
    let mut after = props();
    after.description = Some("Another widget.".to_owned());
    let (before, after) = (v3_index(&served(&before)), v3_index(&served(&after)));
    assert_ne!(before["paths"]["apis/example.com/v1alpha1"], after["paths"]["apis/example.com/v1alpha1"]);
    assert_eq!(before["paths"]["api/v1"], after["paths"]["api/v1"]);
}

#[test]
fn every_patch_lists_field_validation_with_its_kind() {
    let props = props();
    for version in ["v1", "example.com/v1alpha1", "apis/events.k8s.io/v1"] {
        let document = v3(version, &served(&props));
        let patches: Vec<&Value> =
            document["paths"].as_object().unwrap().values().filter_map(|path| path.get("patch")).collect();
        assert!(!patches.is_empty(), "{version}");
        for patch in patches {
            let parameters = patch["parameters"].as_array().unwrap();
            assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"), "{version}");
            assert!(patch["x-kubernetes-group-version-kind"]["kind"].is_string());
            assert_eq!(patch["x-kubernetes-action"], "patch");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                out.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, out));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, out)),
            _ => {}
        }
    }
    let props = props();
    for path in v3_index(&served(&props))["paths"].as_object().unwrap().keys() {
        let document = v3(path, &served(&props));
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{path}: {reference}");
        }
    }
}

#[test]
fn a_custom_kind_is_explained_with_its_descriptions_and_metadata() {
    let props = props();
    let document = v3("example.com/v1alpha1", &served(&props));
    let widget = &document["components"]["schemas"]["com.example.v1alpha1.Widget"];
    assert_eq!(
        widget["x-kubernetes-group-version-kind"],
        json!([{"group": "example.com", "version": "v1alpha1", "kind": "Widget"}])
    );
    assert_eq!(widget["properties"]["spec"]["properties"]["size"]["description"], "How big.");
    assert_eq!(
        widget["properties"]["metadata"]["allOf"][0]["$ref"],
        format!("#/components/schemas/{}", schemas::OBJECT_META)
    );
    assert!(widget["properties"]["apiVersion"]["description"].is_string());
    let meta = &document["components"]["schemas"][schemas::OBJECT_META];
    assert!(meta["properties"]["labels"].is_object());
}

#[test]
fn built_in_kinds_have_their_real_schemas() {
    let props = props();
    let document = v3("v1", &served(&props));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas["io.k8s.api.core.v1.Secret"]["properties"]["stringData"].is_object());
    assert!(schemas["io.k8s.api.core.v1.Namespace"]["properties"]["status"].is_object());
    assert!(!schemas.contains_key("io.k8s.api.coordination.v1.Lease"));
    assert!(schemas.contains_key("io.k8s.api.core.v1.SecretList"));
    let lease = v3("coordination.k8s.io/v1", &served(&props));
    assert!(lease["components"]["schemas"]["io.k8s.api.coordination.v1.Lease"].is_object());
}

#[test]
fn paths_follow_the_scope() {
    let props = props();
    let core = v3("v1", &served(&props));
    let paths = core["paths"].as_object().unwrap();
    for path in [
        "/api/v1/namespaces",
        "/api/v1/namespaces/{name}",
        "/api/v1/namespaces/{namespace}/secrets/{name}",
        "/api/v1/secrets",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    let widgets = v3("example.com/v1alpha1", &served(&props));
    assert!(widgets["paths"].get("/apis/example.com/v1alpha1/namespaces/{namespace}/widgets/{name}/status").is_some());
}

#[test]
fn version_two_is_a_document_without_paths() {
    assert_eq!(v2_protobuf(), b"\x0a\x032.0\x12\x0d\x0a\x07Regatta\x12\x02v1\x42\x00");
}
