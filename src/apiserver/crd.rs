//! From a CustomResourceDefinition to served resources: what it must say, the conditions it gets, and one `Resource` for
//! each served version. Writes nothing.

use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    object,
    resource::{Origin, Resource, Scale, Shape},
    schema::{FieldError, Schema},
    status::field_error,
    storage::Store,
    table::Column,
};

/// What keeps a definition's objects until they are deleted one by one.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

pub fn parse(object: &Value) -> Result<CustomResourceDefinition, String> {
    serde_json::from_value(object.clone()).map_err(|error| error.to_string())
}

/// Fills in the names that may be left out.
pub fn default(object: &mut Value) {
    let Some(names) = object.pointer_mut("/spec/names").and_then(Value::as_object_mut) else { return };
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_string();
    let missing = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().is_empty();
    if missing(names.get("singular")) {
        names.insert("singular".into(), kind.to_lowercase().into());
    }
    if missing(names.get("listKind")) {
        names.insert("listKind".into(), format!("{kind}List").into());
    }
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    }
}

pub fn errors(object: &Value, before: Option<&Value>) -> Vec<FieldError> {
    let crd = match parse(object) {
        Ok(crd) => crd,
        Err(error) => return vec![field_error("FieldValueInvalid", "spec", format!("Invalid value: {error}"))],
    };
    let mut errors = Vec::new();
    let mut wrong =
        |reason: &'static str, field: &str, message: String| errors.push(field_error(reason, field, message));
    let (spec, name) = (&crd.spec, object::name(object));
    let expected = format!("{}.{}", spec.names.plural, spec.group);
    if name != expected {
        let message = format!("Invalid value: {name:?}: must be spec.names.plural+\".\"+spec.group");
        wrong("FieldValueInvalid", "metadata.name", message);
    }
    if !spec.group.contains('.') {
        let message = format!("Invalid value: {:?}: should be a domain with at least one dot", spec.group);
        wrong("FieldValueInvalid", "spec.group", message);
    }
    if !matches!(spec.scope.as_str(), "Namespaced" | "Cluster") {
        let message = format!("Unsupported value: {:?}: supported values: \"Cluster\", \"Namespaced\"", spec.scope);
        wrong("FieldValueNotSupported", "spec.scope", message);
    }
    if spec.versions.iter().filter(|version| version.storage).count() != 1 {
        let message = "Invalid value: must have exactly one version marked as storage version".to_string();
        wrong("FieldValueInvalid", "spec.versions", message);
    }
    if spec.conversion.as_ref().is_some_and(|conversion| conversion.strategy != "None") {
        let message = "Unsupported value: \"Webhook\": supported values: \"None\"".to_string();
        wrong("FieldValueNotSupported", "spec.conversion.strategy", message);
    }
    let names: BTreeSet<&str> = spec.versions.iter().map(|version| version.name.as_str()).collect();
    if names.len() != spec.versions.len() {
        wrong("FieldValueInvalid", "spec.versions", "Invalid value: must contain unique version names".into());
    }
    if let Some(before) = before {
        for path in ["spec.group", "spec.scope", "spec.names.kind", "spec.names.plural"] {
            let (old, new) = (object::at(before, path), object::at(object, path));
            if old != new {
                let value = new.unwrap_or(&Value::Null);
                wrong("FieldValueInvalid", path, format!("Invalid value: {value}: field is immutable"));
            }
        }
    }
    // What is served already was checked when it came.
    let same = before.is_some_and(|before| before.get("spec") == object.get("spec"));
    for (i, version) in spec.versions.iter().enumerate().filter(|_| !same) {
        let path = format!("spec.versions[{i}].schema.openAPIV3Schema");
        match version.schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref()) {
            None => errors.push(field_error("FieldValueRequired", path, "Required value: schemas are required")),
            Some(schema) => {
                if let Err(error) = Schema::from_crd(schema) {
                    let field = if error.field.is_empty() { path } else { format!("{path}.{}", error.field) };
                    errors.push(field_error("FieldValueInvalid", field, error.message));
                }
            }
        }
    }
    errors
}

/// The status a definition gets when it is written: accepted names, conditions, stored versions. `taken` says which of its
/// names another definition of the group holds already.
pub fn accept(object: &mut Value, taken: &[String], now: &str) {
    let names = object::at(object, "spec.names").cloned().unwrap_or_default();
    let established = object::at(object, "status.conditions")
        .and_then(Value::as_array)
        .is_some_and(|conditions| conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True"));
    let mut set = |kind: &str, status: &str, reason: &str, message: &str| {
        set_condition(object, json!({"type": kind, "status": status, "reason": reason, "message": message}), now);
    };
    if taken.is_empty() {
        set("NamesAccepted", "True", "NoConflicts", "no conflicts found");
        if !established {
            set("Established", "True", "InitialNamesAccepted", "the initial names have been accepted");
        }
        object::put_at(object, "status.acceptedNames", names);
    } else {
        let message =
            format!("{} is already in use", taken.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", "));
        set("NamesAccepted", "False", "NamesConflict", &message);
        if !established {
            set("Established", "False", "NotAccepted", "not all names are accepted");
            object::put_at(object, "status.acceptedNames", json!({"plural": "", "kind": ""}));
        }
    }
    let storage = object::at(object, "spec.versions")
        .and_then(Value::as_array)
        .and_then(|versions| versions.iter().find(|version| version["storage"] == true))
        .map(|version| version["name"].clone())
        .unwrap_or_default();
    let mut stored = object::at(object, "status.storedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
    if !stored.contains(&storage) {
        stored.push(storage);
    }
    object::put_at(object, "status.storedVersions", stored.into());
    let finalizers = object::finalizers(object);
    if !finalizers.iter().any(|finalizer| finalizer == CLEANUP) && !object::is_deleting(object) {
        object::set_finalizers(object, finalizers.into_iter().chain([CLEANUP.to_string()]).collect());
    }
}

/// Sets one condition, keeping the time of its last change where nothing changed.
pub fn set_condition(object: &mut Value, mut condition: Value, now: &str) {
    let mut conditions = object::at(object, "status.conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    condition["lastTransitionTime"] = now.into();
    match conditions.iter_mut().find(|old| old["type"] == condition["type"]) {
        Some(old) => {
            if old["status"] == condition["status"] {
                condition["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
    object::put_at(object, "status.conditions", conditions.into());
}

pub fn is_established(object: &Value) -> bool {
    let conditions = object::at(object, "status.conditions").and_then(Value::as_array);
    conditions.is_some_and(|list| list.iter().any(|c| c["type"] == "Established" && c["status"] == "True"))
}

/// The names a definition claims within its group.
pub fn claimed(object: &Value) -> Vec<String> {
    let names = object::at(object, "spec.names").cloned().unwrap_or_default();
    let one = ["plural", "singular", "kind", "listKind"].iter().filter_map(|field| names[*field].as_str());
    let short = names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
    one.chain(short).map(str::to_string).collect::<BTreeSet<_>>().into_iter().collect()
}

/// One resource for each served version, newest first as Kubernetes ranks versions.
pub fn resources(store: &Store, object: &Value) -> Result<Vec<Arc<Resource>>, String> {
    let crd = parse(object)?;
    let (spec, mut resources) = (crd.spec, Vec::new());
    let storage = spec.versions.iter().find(|version| version.storage).map(|version| version.name.clone());
    let storage = storage.ok_or("it names no storage version")?;
    for version in spec.versions.into_iter().filter(|version| version.served) {
        let json_schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
        let schema = match &json_schema {
            Some(schema) => Schema::from_crd(schema).map_err(|error| error.to_string())?,
            None => Schema::open(),
        };
        let subresources = version.subresources;
        let status = subresources.as_ref().is_some_and(|subresources| subresources.status.is_some());
        let schema = if status { schema } else { schema.with_status_in_main() };
        let scale = subresources.as_ref().and_then(|subresources| subresources.scale.as_ref());
        let columns = version.additional_printer_columns.unwrap_or_default();
        let deprecated = version.deprecated.unwrap_or(false).then(|| {
            let warning = version.deprecation_warning.clone();
            warning.unwrap_or_else(|| format!("{}/{} {} is deprecated", spec.group, version.name, spec.names.kind))
        });
        resources.push(Arc::new(Resource {
            group: spec.group.clone(),
            version: version.name.clone(),
            kind: spec.names.kind.clone(),
            list_kind: spec.names.list_kind.clone().unwrap_or_else(|| format!("{}List", spec.names.kind)),
            plural: spec.names.plural.clone(),
            singular: spec.names.singular.clone().unwrap_or_else(|| spec.names.kind.to_lowercase()),
            short_names: spec.names.short_names.clone().unwrap_or_default(),
            categories: spec.names.categories.clone().unwrap_or_default(),
            namespaced: spec.scope == "Namespaced",
            collection: store.collection(&format!("{}/{}", spec.group, spec.names.plural)),
            stored_api_version: format!("{}/{storage}", spec.group),
            shape: Shape::Stored,
            schema: Arc::new(schema),
            json_schema,
            columns: Column::custom(columns)?,
            selectable: version
                .selectable_fields
                .unwrap_or_default()
                .into_iter()
                .map(|field| field.json_path.trim_start_matches('.').to_string())
                .collect(),
            status,
            scale: scale.map(|scale| Scale {
                spec: scale.spec_replicas_path.clone(),
                status: scale.status_replicas_path.clone(),
                selector: scale.label_selector_path.clone(),
            }),
            origin: Origin::Custom,
            deprecation: deprecated,
            retired: CancellationToken::new(),
        }));
    }
    resources.sort_by_key(|resource| std::cmp::Reverse(rank(&resource.version)));
    Ok(resources)
}

/// Kubernetes' order of versions: v2 over v1 over v2beta1 over v1beta2 over v1alpha1 over anything else.
fn rank(version: &str) -> (u8, u64, u64) {
    let digits = |text: &str| text.parse::<u64>().ok();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    for (word, stage) in [("alpha", 1), ("beta", 2)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return digits(major).zip(digits(minor)).map_or((0, 0, 0), |(major, minor)| (stage, major, minor));
        }
    }
    digits(rest).map_or((0, 0, 0), |major| (3, major, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_rank_as_upstream_ranks_them() {
        let mut versions = ["v1alpha1", "foo", "v2", "v1beta2", "v10", "v1"];
        versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta2", "v1alpha1", "foo"]);
    }

    #[test]
    fn an_accepted_definition_is_established_once() {
        let mut crd = json!({"metadata": {"name": "as.x.y"}, "spec": {"names": {"plural": "as", "kind": "A"},
            "versions": [{"name": "v1", "storage": true}]}});
        accept(&mut crd, &[], "2026-01-01T00:00:00Z");
        let first = crd.clone();
        accept(&mut crd, &[], "2026-01-02T00:00:00Z");
        assert_eq!(crd, first);
        assert!(is_established(&crd));
        assert_eq!(crd["status"]["storedVersions"], json!(["v1"]));
    }
}
