//! Which names, labels, finalizers and owners an object may carry, with upstream's words for what is wrong.

use serde_json::Value;

use super::{object, schema::FieldError, status::field_error};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const ANNOTATION_BYTES: usize = 256 * 1024;

/// What a kind's names must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRule {
    Subdomain,
    Label,
    PathSegment,
}

impl NameRule {
    pub fn error(self, name: &str) -> Option<String> {
        match self {
            NameRule::Subdomain if name.len() > 253 => Some("must be no more than 253 characters".into()),
            NameRule::Subdomain => (!name.split('.').all(is_label)).then(|| SUBDOMAIN.to_string()),
            NameRule::Label if name.len() > 63 => Some("must be no more than 63 characters".into()),
            NameRule::Label => (!is_label(name)).then(|| LABEL.to_string()),
            NameRule::PathSegment => match name {
                "." | ".." => Some(format!("may not be '{name}'")),
                name => name.chars().find(|c| matches!(c, '/' | '%')).map(|c| format!("may not contain '{c}'")),
            },
        }
    }
}

fn is_label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_name_part(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let edge = |c: Option<&u8>| c.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.iter().copied().all(inner) && edge(bytes.first()) && edge(bytes.last())
}

pub fn label_key_error(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    match prefix {
        Some("") => return Some("prefix part must be non-empty".into()),
        Some(prefix) => {
            if let Some(why) = NameRule::Subdomain.error(prefix) {
                return Some(format!("prefix part {why}"));
            }
        }
        None => {}
    }
    if name.is_empty() {
        return Some(format!("name part must be non-empty; {QUALIFIED}"));
    }
    if name.len() > 63 {
        return Some("name part must be no more than 63 characters".into());
    }
    (!is_name_part(name)).then(|| QUALIFIED.to_string())
}

pub fn label_value_error(value: &str) -> Option<String> {
    if value.len() > 63 {
        return Some("must be no more than 63 characters".into());
    }
    (!value.is_empty() && !is_name_part(value)).then(|| LABEL_VALUE.to_string())
}

/// What is wrong with an object's metadata, apart from what only an update can tell.
pub fn metadata_errors(object: &Value, rule: NameRule) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut invalid = |field: &str, value: &str, why: String| {
        errors.push(field_error(
            "FieldValueInvalid",
            format!("metadata.{field}"),
            format!("Invalid value: {value:?}: {why}"),
        ));
    };
    let name = object::name(object);
    if name.is_empty() {
        errors.push(field_error(
            "FieldValueRequired",
            "metadata.name",
            "Required value: name or generateName is required",
        ));
        return errors;
    }
    if let Some(why) = rule.error(name) {
        invalid("name", name, why);
    }
    let namespace = object::namespace(object);
    if !namespace.is_empty()
        && let Some(why) = NameRule::Label.error(namespace)
    {
        invalid("namespace", namespace, why);
    }
    if let Some(labels) = object::meta(object, "labels").and_then(Value::as_object) {
        for (key, value) in labels {
            if let Some(why) = label_key_error(key) {
                invalid("labels", key, why);
            }
            if let Some(why) = value.as_str().and_then(label_value_error) {
                invalid("labels", value.as_str().unwrap_or_default(), why);
            }
        }
    }
    if let Some(annotations) = object::meta(object, "annotations").and_then(Value::as_object) {
        let size: usize = annotations.iter().map(|(k, v)| k.len() + v.as_str().map_or(0, str::len)).sum();
        for key in annotations.keys() {
            if let Some(why) = label_key_error(&key.to_lowercase()) {
                invalid("annotations", key, why);
            }
        }
        if size > ANNOTATION_BYTES {
            errors.push(field_error(
                "FieldValueTooLong",
                "metadata.annotations",
                format!("Too long: may not be more than {ANNOTATION_BYTES} bytes"),
            ));
        }
    }
    errors.extend(reference_errors(object));
    errors
}

fn reference_errors(object: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for finalizer in object::finalizers(object) {
        if let Some(why) = label_key_error(&finalizer) {
            let message = format!("Invalid value: {finalizer:?}: {why}");
            errors.push(field_error("FieldValueInvalid", "metadata.finalizers", message));
        }
    }
    let owners = object::meta(object, "ownerReferences").and_then(Value::as_array);
    let mut controllers = 0;
    for (i, owner) in owners.into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
                let path = format!("metadata.ownerReferences[{i}].{field}");
                errors.push(field_error(
                    "FieldValueInvalid",
                    path,
                    format!("Invalid value: \"\": {field} must not be empty"),
                ));
            }
        }
        controllers += usize::from(owner.get("controller") == Some(&Value::Bool(true)));
    }
    if controllers > 1 {
        let message = "Invalid value: only one reference can have Controller set to true";
        errors.push(field_error("FieldValueInvalid", "metadata.ownerReferences", message));
    }
    errors
}

/// Metadata whose JSON types are wrong cannot even be looked at: upstream refuses to decode it.
pub fn shape_error(object: &Value) -> Option<String> {
    let metadata = match object.get("metadata") {
        None | Some(Value::Null) => return None,
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return Some("json: cannot unmarshal metadata into Go value of type v1.ObjectMeta".into()),
    };
    let wrong = |field: &str, wanted: &str| {
        Some(format!("json: cannot unmarshal into Go struct field ObjectMeta.metadata.{field} of type {wanted}"))
    };
    for field in [
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "selfLink",
        "creationTimestamp",
        "deletionTimestamp",
    ] {
        if metadata.get(field).is_some_and(|v| !v.is_string() && !v.is_null()) {
            return wrong(field, "string");
        }
    }
    for field in ["labels", "annotations"] {
        match metadata.get(field) {
            None | Some(Value::Null) => {}
            Some(Value::Object(map)) if map.values().all(|v| v.is_string()) => {}
            Some(_) => return wrong(field, "map[string]string"),
        }
    }
    let list = |field: &str, ok: fn(&Value) -> bool| match metadata.get(field) {
        None | Some(Value::Null) => true,
        Some(Value::Array(items)) => items.iter().all(ok),
        Some(_) => false,
    };
    if !list("finalizers", Value::is_string) {
        return wrong("finalizers", "[]string");
    }
    if !list("ownerReferences", Value::is_object) {
        return wrong("ownerReferences", "[]v1.OwnerReference");
    }
    if !list("managedFields", Value::is_object) {
        return wrong("managedFields", "[]v1.ManagedFieldsEntry");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_follow_the_kinds_rule() {
        assert!(NameRule::Subdomain.error("a.b-c.d").is_none());
        assert!(NameRule::Subdomain.error("A").is_some());
        assert!(NameRule::Label.error("a.b").is_some());
        assert!(NameRule::PathSegment.error("system:node").is_none());
        assert!(NameRule::PathSegment.error("..").is_some());
    }

    #[test]
    fn wrong_metadata_is_named_by_field() {
        let object =
            json!({"metadata": {"name": "a", "labels": {"ok": "bad value!"}, "ownerReferences": [{"uid": "u"}]}});
        let fields: Vec<String> = metadata_errors(&object, NameRule::Subdomain).into_iter().map(|e| e.field).collect();
        assert_eq!(fields[0], "metadata.labels");
        assert!(fields.contains(&"metadata.ownerReferences[0].kind".to_string()));
    }

    #[test]
    fn metadata_of_the_wrong_shape_is_not_decoded() {
        assert!(shape_error(&json!({"metadata": {"labels": {"a": 1}}})).is_some());
        assert!(shape_error(&json!({"metadata": {"labels": null}})).is_none());
    }
}
