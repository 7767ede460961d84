//! The kinds that are there without a CustomResourceDefinition, as one table, and what each adds to a write.
//! Their shapes are k8s-openapi's types: an object goes through its type once, which refuses wrong types and drops what the
//! type does not know.

mod validate;

use std::sync::Arc;

pub use self::validate::errors;

use base64::Engine;
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{ConfigMap, Event, Namespace, Secret, ServiceAccount},
        events::v1::Event as NewEvent,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    names::NameRule,
    object,
    resource::{Origin, Resource, Shape},
    schema::Schema,
    storage::Store,
    table::{self, Column},
};

pub struct Builtin {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub short_names: &'static [&'static str],
    pub namespaced: bool,
    pub names: NameRule,
    pub status: bool,
    pub generation: bool,
    pub updates_blindly: bool,
    pub selectable: &'static [&'static str],
    pub columns: fn() -> Vec<Column>,
    /// Through the kind's type and back.
    pub typed: fn(Value) -> Result<Value, serde_json::Error>,
}

const PLAIN: Builtin = Builtin {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    short_names: &[],
    namespaced: true,
    names: NameRule::Subdomain,
    status: false,
    generation: false,
    updates_blindly: true,
    selectable: &[],
    columns: table::age_only,
    typed: through::<Value>,
};
const RBAC: Builtin = Builtin { group: "rbac.authorization.k8s.io", names: NameRule::PathSegment, ..PLAIN };

pub static BUILTINS: &[Builtin] = &[
    Builtin {
        kind: "Namespace",
        plural: "namespaces",
        singular: "namespace",
        short_names: &["ns"],
        namespaced: false,
        names: NameRule::Label,
        status: true,
        selectable: &["status.phase"],
        columns: table::namespaces,
        typed: through::<Namespace>,
        ..PLAIN
    },
    Builtin {
        kind: "Secret",
        plural: "secrets",
        singular: "secret",
        selectable: &["type"],
        columns: table::secrets,
        typed: through::<Secret>,
        ..PLAIN
    },
    Builtin {
        kind: "ConfigMap",
        plural: "configmaps",
        singular: "configmap",
        short_names: &["cm"],
        columns: table::configmaps,
        typed: through::<ConfigMap>,
        ..PLAIN
    },
    Builtin {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        singular: "serviceaccount",
        short_names: &["sa"],
        columns: table::serviceaccounts,
        typed: through::<ServiceAccount>,
        ..PLAIN
    },
    Builtin {
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        selectable: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        columns: table::events,
        typed: through::<Event>,
        ..PLAIN
    },
    Builtin {
        group: "events.k8s.io",
        kind: "Event",
        plural: "events",
        singular: "event",
        short_names: &["ev"],
        selectable: &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        columns: table::events,
        typed: through::<NewEvent>,
        ..PLAIN
    },
    Builtin {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        singular: "lease",
        updates_blindly: false,
        columns: table::leases,
        typed: through::<Lease>,
        ..PLAIN
    },
    Builtin {
        group: "apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        singular: "customresourcedefinition",
        short_names: &["crd", "crds"],
        namespaced: false,
        status: true,
        generation: true,
        updates_blindly: false,
        columns: table::created_at,
        typed: through::<CustomResourceDefinition>,
        ..PLAIN
    },
    Builtin {
        kind: "Role",
        plural: "roles",
        singular: "role",
        columns: table::created_at,
        typed: through::<Role>,
        ..RBAC
    },
    Builtin {
        kind: "ClusterRole",
        plural: "clusterroles",
        singular: "clusterrole",
        namespaced: false,
        columns: table::created_at,
        typed: through::<ClusterRole>,
        ..RBAC
    },
    Builtin {
        kind: "RoleBinding",
        plural: "rolebindings",
        singular: "rolebinding",
        columns: table::bindings,
        typed: through::<RoleBinding>,
        ..RBAC
    },
    Builtin {
        kind: "ClusterRoleBinding",
        plural: "clusterrolebindings",
        singular: "clusterrolebinding",
        namespaced: false,
        columns: table::bindings,
        typed: through::<ClusterRoleBinding>,
        ..RBAC
    },
];

pub fn resources(store: &Store) -> Vec<Arc<Resource>> {
    BUILTINS.iter().map(|builtin| Arc::new(resource(store, builtin))).collect()
}

fn resource(store: &Store, builtin: &'static Builtin) -> Resource {
    let text = |list: &[&str]| list.iter().map(|s| s.to_string()).collect();
    let new_event = builtin.group == "events.k8s.io";
    let stored_group = if new_event { "" } else { builtin.group };
    let api_version =
        if stored_group.is_empty() { builtin.version.into() } else { format!("{stored_group}/{}", builtin.version) };
    Resource {
        group: builtin.group.into(),
        version: builtin.version.into(),
        kind: builtin.kind.into(),
        list_kind: format!("{}List", builtin.kind),
        plural: builtin.plural.into(),
        singular: builtin.singular.into(),
        short_names: text(builtin.short_names),
        categories: if builtin.group == "apiextensions.k8s.io" { text(&["api-extensions"]) } else { Vec::new() },
        namespaced: builtin.namespaced,
        collection: store.collection(&format!("{stored_group}/{}", builtin.plural)),
        stored_api_version: api_version,
        shape: if new_event { Shape::NewEvent } else { Shape::Stored },
        schema: Arc::new(Schema::builtin(builtin.kind)),
        json_schema: None,
        columns: (builtin.columns)(),
        selectable: text(builtin.selectable),
        status: builtin.status,
        scale: None,
        origin: Origin::Builtin(builtin),
        deprecation: None,
        retired: CancellationToken::new(),
    }
}

fn through<T: Serialize + DeserializeOwned>(value: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(value)?)
}

/// The object as its type knows it, and the paths of what the type does not.
pub fn through_type(builtin: &Builtin, value: Value) -> Result<(Value, Vec<String>), String> {
    let mut typed = (builtin.typed)(value.clone()).map_err(|error| format!("json: cannot unmarshal: {error}"))?;
    let mut unknown = Vec::new();
    compare("", &value, &typed, &mut unknown);
    // managedFields hold arbitrary keys; the type keeps them as they are.
    object::set(&mut typed, "apiVersion", value.get("apiVersion").cloned());
    object::set(&mut typed, "kind", value.get("kind").cloned());
    Ok((typed, unknown))
}

fn compare(path: &str, given: &Value, kept: &Value, unknown: &mut Vec<String>) {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match kept.get(key) {
                    Some(kept) => compare(&path, value, kept, unknown),
                    None if value.is_null() || is_empty(value) => {}
                    None => unknown.push(format!("unknown field \"{path}\"")),
                }
            }
        }
        (Value::Array(given), Value::Array(kept)) => {
            for (i, (given, kept)) in given.iter().zip(kept).enumerate() {
                compare(&format!("{path}[{i}]"), given, kept, unknown);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

/// What the kind fills in by itself.
pub fn prepare(builtin: &Builtin, object: &mut Value, before: Option<&Value>) {
    match builtin.kind {
        "Namespace" => {
            let name = object::name(object).to_string();
            if !object.get("metadata").is_some_and(|m| m["labels"].is_object()) {
                object::set_meta(object, "labels", json!({}));
            }
            object["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
            if before.is_none() {
                let given = object["spec"]["finalizers"].as_array().cloned().unwrap_or_default();
                let own = (!given.contains(&"kubernetes".into())).then(|| "kubernetes".into());
                object["spec"] = json!({"finalizers": given.into_iter().chain(own).collect::<Vec<Value>>()});
                object["status"] = json!({"phase": "Active"});
            } else if !object["spec"].is_object() {
                object["spec"] = json!({});
            }
        }
        "Secret" => {
            if object.get("type").and_then(Value::as_str).unwrap_or_default().is_empty() {
                object["type"] = "Opaque".into();
            }
            let plain = object.as_object_mut().and_then(|map| map.remove("stringData"));
            if let Some(Value::Object(plain)) = plain {
                if !object["data"].is_object() {
                    object["data"] = json!({});
                }
                for (key, text) in plain {
                    let encoded = base64::engine::general_purpose::STANDARD.encode(text.as_str().unwrap_or_default());
                    object["data"][key] = encoded.into();
                }
            }
        }
        "RoleBinding" | "ClusterRoleBinding" => {
            default_group(&mut object["roleRef"]);
            for subject in object.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten() {
                if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
                    default_group(subject);
                }
            }
        }
        _ => {}
    }
}

/// A role, user or group that does not say its API group is of this one.
fn default_group(reference: &mut Value) {
    if reference.is_object() && reference["apiGroup"].as_str().unwrap_or_default().is_empty() {
        reference["apiGroup"] = RBAC.group.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builtin(kind: &str) -> &'static Builtin {
        BUILTINS.iter().find(|b| b.kind == kind).unwrap()
    }

    #[test]
    fn unknown_fields_of_a_built_in_kind_are_dropped_and_named() {
        let given = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "oops": 1}, "data": {"k": "v"}, "x": {"y": 1}});
        let (kept, unknown) = through_type(builtin("ConfigMap"), given).unwrap();
        assert_eq!(kept["data"]["k"], "v");
        assert!(kept.get("x").is_none());
        assert_eq!(unknown, ["unknown field \"metadata.oops\"", "unknown field \"x\""]);
    }

    #[test]
    fn wrong_types_are_refused() {
        assert!(through_type(builtin("ConfigMap"), json!({"metadata": {}, "data": {"k": 1}})).is_err());
        assert!(through_type(builtin("Secret"), json!({"metadata": {}, "data": {"k": "%%%"}})).is_err());
    }

    #[test]
    fn plain_secret_values_become_data() {
        let mut secret = json!({"metadata": {"name": "a"}, "stringData": {"k": "v"}});
        prepare(builtin("Secret"), &mut secret, None);
        assert_eq!(secret, json!({"metadata": {"name": "a"}, "type": "Opaque", "data": {"k": "dg=="}}));
    }
}
