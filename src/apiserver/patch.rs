//! The four kinds of PATCH, as ways to make a new object of the current one; `write` does the rest.

use http::HeaderMap;
use json_patch::PatchOperation;
use serde_json::{Map, Value, json};

use super::{
    apply, body, object,
    request::{Validation, invalid_options},
    resource::Origin,
    status::{Failure, field_error},
    write::{Call, Done, Ownership, Part},
};

/// Upstream's bound.
const OPERATIONS: usize = 10_000;

pub async fn patch(
    call: &Call<'_>,
    name: &str,
    part: Part,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Done, Failure> {
    let builtin = matches!(call.resource.origin, Origin::Builtin(_));
    if call.options.force_given && body::media_type(headers) != "application/apply-patch+yaml" {
        let message = "Forbidden: may not be specified for non-apply patch";
        return Err(invalid_options("PatchOptions", &[field_error("FieldValueForbidden", "force", message)]));
    }
    match body::media_type(headers).as_str() {
        "application/json-patch+json" => {
            let operations = match body::json_as(bytes, "error decoding patch")? {
                Value::Array(operations) => operations,
                other => return Err(mismatch(&other, "[]handlers.jsonPatchOp")),
            };
            if operations.len() > OPERATIONS {
                let message =
                    format!("The allowed maximum operations in a JSON patch is {OPERATIONS}, got {}", operations.len());
                return Err(Failure::new(413, "RequestEntityTooLarge", message));
            }
            // An operation that does not exist is found when it is applied.
            let operations: Result<Vec<PatchOperation>, _> =
                operations.into_iter().map(serde_json::from_value).collect();
            call.update(name, part, Ownership::Update, |current| match &operations {
                Ok(operations) => json_patch(current, operations),
                Err(_) => Err(Failure::unfitting_patch()),
            })
            .await
        }
        "application/merge-patch+json" => {
            let change = map(body::json_as(bytes, "error decoding patch")?)?;
            call.update(name, part, Ownership::Update, |current| {
                let mut object = current.clone();
                json_patch::merge(&mut object, &change);
                Ok(object)
            })
            .await
        }
        "application/strategic-merge-patch+json" if builtin && part != Part::Scale => {
            let change = map(body::json(bytes)?)?;
            call.update(name, part, Ownership::Update, |current| {
                let mut object = current.clone();
                strategic(&mut object, &change, "")?;
                Ok(object)
            })
            .await
        }
        "application/apply-patch+yaml" => apply_patch(call, name, part, bytes).await,
        _ => {
            let strategic = if builtin { ", application/strategic-merge-patch+json" } else { "" };
            Err(Failure::unsupported_media_type(&format!(
                "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml{strategic}"
            )))
        }
    }
}

fn map(value: Value) -> Result<Value, Failure> {
    if value.is_object() { Ok(value) } else { Err(mismatch(&value, "map[string]interface {}")) }
}

/// A patch of the wrong type, as upstream's decoder words it.
fn mismatch(found: &Value, wanted: &str) -> Failure {
    let found = match found {
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "bool",
        Value::Null => "null",
    };
    Failure::bad_request(format!("error decoding patch: json: cannot unmarshal {found} into Go value of type {wanted}"))
}

/// Copies that copy their own result double with every operation: what they may add in all, as upstream bounds it.
const MOST_COPIED: usize = 3 * 1024 * 1024;

fn json_patch(current: &Value, operations: &[PatchOperation]) -> Result<Value, Failure> {
    let mut object = current.clone();
    let mut copied = 0;
    for operation in operations {
        if let PatchOperation::Copy(copy) = operation
            && let Some(source) = object.pointer(copy.from.as_str())
        {
            copied += source.to_string().len();
            if copied > MOST_COPIED {
                let message = format!(
                    "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MOST_COPIED}"
                );
                return Err(Failure::new(413, "RequestEntityTooLarge", message));
            }
        }
        // Upstream lets a test for null pass where there is nothing; kube's finalizers are made with that.
        if let PatchOperation::Test(test) = operation
            && test.value.is_null()
            && object.pointer(test.path.as_str()).is_none()
        {
            continue;
        }
        // Upstream's library replaces a member that is not there, too.
        let added = match operation {
            PatchOperation::Replace(replace) if object.pointer(replace.path.as_str()).is_none() => {
                let (path, value) = (replace.path.clone(), replace.value.clone());
                Some(PatchOperation::Add(json_patch::AddOperation { path, value }))
            }
            _ => None,
        };
        let operation = added.as_ref().unwrap_or(operation);
        json_patch::patch(&mut object, std::slice::from_ref(operation)).map_err(|_| Failure::unfitting_patch())?;
    }
    Ok(object)
}

async fn apply_patch(call: &Call<'_>, name: &str, part: Part, bytes: &[u8]) -> Result<Done, Failure> {
    if !call.options.manager_given {
        let message = "Required value: is required for apply patch";
        return Err(invalid_options("PatchOptions", &[field_error("FieldValueRequired", "fieldManager", message)]));
    }
    let mut config = body::yaml(bytes)?;
    if !config.is_object() {
        return Err(Failure::bad_request("error decoding YAML: the body must be an object"));
    }
    if object::meta(&config, "managedFields").is_some_and(|managers| !managers.is_null()) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let resource = &call.resource;
    for (field, expected) in [("apiVersion", resource.api_version()), ("kind", resource.kind.clone())] {
        let given = config.get(field).and_then(Value::as_str).unwrap_or_default();
        if part != Part::Scale && given != expected {
            return Err(Failure::bad_request(format!(
                "Incorrect {field} specified: {given:?}, expected {expected:?}: an apply must name the type of the URL"
            )));
        }
    }
    let given = object::name(&config);
    if !given.is_empty() && given != name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    object::set_meta(&mut config, "name", name);
    if resource.namespaced {
        let given = object::namespace(&config);
        if !given.is_empty() && given != call.namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        object::set_meta(&mut config, "namespace", call.namespace.clone());
    }
    let warnings = restrict(call, &mut config, part)?;
    let mut done = loop {
        let exists = resource.collection.get(&object::key(&call.namespace, name)).is_some();
        let done = if exists {
            call.update(name, part, Ownership::Applied, |live| merged(call, Some(live), &config, part)).await
        } else if part == Part::Main {
            if !object::uid(&config).is_empty() {
                let uid = object::uid(&config);
                let why =
                    format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found");
                return Err(Failure::conflict(resource.subject(name), why));
            }
            call.may_create(name)?;
            call.create(merged(call, None, &config, part)?, Ownership::Applied).await
        } else {
            return Err(Failure::not_found(resource.subject(name)));
        };
        match done {
            // Made or removed between the look and the write: look again.
            Err(failure) if failure.reason == "AlreadyExists" && !exists => continue,
            Err(failure) if failure.reason == "NotFound" && exists && part == Part::Main => continue,
            done => break done?,
        }
    };
    done.warnings.extend(warnings);
    Ok(done)
}

/// Unknown fields go, and so does what this part of the object does not take.
fn restrict(call: &Call<'_>, config: &mut Value, part: Part) -> Result<Vec<String>, Failure> {
    let mut unknown = Vec::new();
    match call.resource.origin {
        Origin::Custom if part != Part::Scale => call.resource.schema.prune(config, &mut unknown),
        // A built-in's result goes through its type afterwards, which finds them too.
        Origin::Builtin(_) | Origin::Custom => {}
    }
    match part {
        Part::Main if call.resource.status => object::set(config, "status", None),
        Part::Status => {
            if let Some(map) = config.as_object_mut() {
                map.retain(|key, _| matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status"));
            }
            let metadata = object::meta_mut(config);
            metadata.retain(|key, _| matches!(key.as_str(), "name" | "namespace" | "uid" | "resourceVersion"));
        }
        Part::Main | Part::Scale | Part::Finalize => {}
    }
    match call.options.validation {
        Validation::Strict if !unknown.is_empty() => Err(Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {}",
            unknown.join(", "),
            kind = call.resource.kind,
            version = call.resource.version,
        ))),
        Validation::Warn => Ok(unknown),
        Validation::Strict | Validation::Ignore => Ok(Vec::new()),
    }
}

fn merged(call: &Call<'_>, live: Option<&Value>, config: &Value, part: Part) -> Result<Value, Failure> {
    let (api_version, now) = (call.resource.api_version(), object::now());
    if part == Part::Scale {
        let mut scale = live.cloned().unwrap_or_default();
        json_patch::merge(&mut scale, config);
        return Ok(scale);
    }
    let mut config = config.clone();
    let pinned = object::meta_str(&config, "resourceVersion").to_string();
    let name = object::name(&config).to_string();
    if let Some(live) = live
        && !pinned.is_empty()
        && pinned != object::meta_str(live, "resourceVersion")
    {
        return Err(Failure::stale(call.resource.subject(&name)));
    }
    object::unset_meta(&mut config, "resourceVersion");
    let manager = call.manager(&api_version, &now, part);
    apply::apply(&call.resource.schema, live, &config, manager, call.options.force).map_err(|error| match &error {
        apply::ApplyError::Conflict { conflicts } => conflict(error.to_string(), conflicts),
        apply::ApplyError::Invalid(why) => Failure::bad_request(format!("failed to apply {name:?}: {why}")),
    })
}

fn conflict(message: String, conflicts: &[apply::Conflict]) -> Failure {
    let mut failure = Failure::new(409, "Conflict", message);
    let cause = |conflict: &apply::Conflict| json!({"reason": "FieldManagerConflict", "message": conflict.message(), "field": conflict.field});
    failure.details.insert("causes".into(), conflicts.iter().map(cause).collect());
    failure
}

/// Lists that merge by key, or as sets (no key), in the built-in kinds; all others are replaced.
const MERGED_LISTS: &[(&str, Option<&str>)] = &[
    ("metadata.finalizers", None),
    ("metadata.ownerReferences", Some("uid")),
    ("secrets", Some("name")),
    ("imagePullSecrets", Some("name")),
    ("status.conditions", Some("type")),
];

/// Strategic merge: a merge patch whose lists may merge, with `$patch`, `$deleteFromPrimitiveList` and `$retainKeys`.
fn strategic(target: &mut Value, change: &Value, path: &str) -> Result<(), Failure> {
    let Value::Object(change) = change else {
        *target = change.clone();
        return Ok(());
    };
    match change.get("$patch").and_then(Value::as_str) {
        Some("delete") => {
            *target = Value::Object(Map::new());
            return Ok(());
        }
        Some("replace") => {
            let plain = change.iter().filter(|(key, _)| !key.starts_with('$'));
            *target = Value::Object(plain.map(|(key, value)| (key.clone(), value.clone())).collect());
            return Ok(());
        }
        Some("merge") | None => {}
        Some(other) => return Err(Failure::bad_request(format!("unknown patch type found in $patch: {other:?}"))),
    }
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let map = target.as_object_mut().expect("made an object just above");
    if let Some(keys) = change.get("$retainKeys").and_then(Value::as_array) {
        map.retain(|key, _| keys.iter().any(|kept| kept == key));
    }
    for (key, value) in change {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Some(gone)) = (map.get_mut(list), value.as_array()) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if key.starts_with('$') {
            continue;
        }
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let merged = MERGED_LISTS.iter().find(|(known, _)| *known == path).map(|(_, merge_key)| *merge_key);
        match (value, merged) {
            (Value::Null, _) => {
                map.remove(key);
            }
            (Value::Object(_), _) => strategic(map.entry(key.clone()).or_insert(Value::Null), value, &path)?,
            (Value::Array(items), Some(merge_key)) => {
                let list = map.entry(key.clone()).or_insert_with(|| Value::Array(Vec::new()));
                merge_list(list, items, merge_key, &path)?;
            }
            _ => {
                map.insert(key.clone(), value.clone());
            }
        }
    }
    Ok(())
}

fn merge_list(list: &mut Value, items: &[Value], merge_key: Option<&str>, path: &str) -> Result<(), Failure> {
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    let list = list.as_array_mut().expect("made an array just above");
    if items.iter().any(|item| item.get("$patch") == Some(&Value::from("replace"))) {
        *list = items.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
        return Ok(());
    }
    for item in items {
        let Some(merge_key) = merge_key else {
            if !list.contains(item) {
                list.push(item.clone());
            }
            continue;
        };
        let id = item.get(merge_key).ok_or_else(|| {
            Failure::bad_request(format!("map in list {path} does not contain declared merge key: {merge_key}"))
        })?;
        let place = list.iter().position(|old| old.get(merge_key) == Some(id));
        match (item.get("$patch").and_then(Value::as_str), place) {
            (Some("delete"), Some(place)) => drop(list.remove(place)),
            (Some("delete"), None) => {}
            (_, Some(place)) => strategic(&mut list[place], item, path)?,
            (_, None) => list.push(item.clone()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_for_null_passes_where_nothing_is() {
        let operations: Vec<PatchOperation> = serde_json::from_value(json!([
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["a/b"]},
        ]))
        .unwrap();
        let patched = json_patch(&json!({"metadata": {}}), &operations).unwrap();
        assert_eq!(patched["metadata"]["finalizers"], json!(["a/b"]));
        assert_eq!(json_patch(&patched, &operations).unwrap_err().code, 422);
    }

    #[test]
    fn copies_that_double_are_stopped() {
        let copies: Vec<Value> =
            (0..60).map(|i| json!({"op": "copy", "from": "/data", "path": format!("/data/c{i}")})).collect();
        let operations: Vec<PatchOperation> = serde_json::from_value(Value::from(copies)).unwrap();
        assert_eq!(json_patch(&json!({"data": {"k": "v"}}), &operations).unwrap_err().code, 413);
        assert!(json_patch(&json!({"data": {"k": "v"}}), &operations[..10]).is_ok());
    }

    #[test]
    fn strategic_patches_merge_known_lists_and_replace_others() {
        let mut object = json!({"metadata": {"finalizers": ["a"], "ownerReferences": [{"uid": "1", "name": "x"}],
            "labels": {"k": "v"}}, "rules": [1]});
        let change = json!({"metadata": {"finalizers": ["b"], "ownerReferences": [{"uid": "1", "name": "y"}, {"uid": "2"}],
            "labels": {"k": null, "n": "1"}}, "rules": [2]});
        strategic(&mut object, &change, "").unwrap();
        assert_eq!(
            object,
            json!({"metadata": {"finalizers": ["a", "b"], "ownerReferences": [{"uid": "1", "name": "y"}, {"uid": "2"}],
                "labels": {"n": "1"}}, "rules": [2]})
        );
        let change = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"],
            "ownerReferences": [{"$patch": "delete", "uid": "1"}]}});
        strategic(&mut object, &change, "").unwrap();
        assert_eq!(object["metadata"]["finalizers"], json!(["b"]));
        assert_eq!(object["metadata"]["ownerReferences"], json!([{"uid": "2"}]));
    }
}
