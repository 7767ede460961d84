//! Small truths about an object held as JSON: reading and writing its metadata, encoding it, new names, uids and times.
//! Knows no kind.

use bytes::Bytes;
use serde_json::{Map, Value};

/// Entries at the front of every encoded object, in this order, so that a reader can replace `apiVersion` without parsing.
const LEADING: [&str; 3] = ["apiVersion", "kind", "metadata"];

pub fn meta<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get("metadata")?.get(field)
}

pub fn meta_str<'a>(object: &'a Value, field: &str) -> &'a str {
    meta(object, field).and_then(Value::as_str).unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    meta_str(object, "name")
}

pub fn namespace(object: &Value) -> &str {
    meta_str(object, "namespace")
}

pub fn uid(object: &Value) -> &str {
    meta_str(object, "uid")
}

pub fn is_deleting(object: &Value) -> bool {
    meta(object, "deletionTimestamp").is_some_and(|t| !t.is_null())
}

pub fn finalizers(object: &Value) -> Vec<String> {
    let list = meta(object, "finalizers").and_then(Value::as_array);
    list.map(|l| l.iter().filter_map(|f| f.as_str().map(str::to_string)).collect()).unwrap_or_default()
}

pub fn set_finalizers(object: &mut Value, finalizers: Vec<String>) {
    if finalizers.is_empty() { unset_meta(object, "finalizers") } else { set_meta(object, "finalizers", finalizers) }
}

/// The metadata map, made when it is missing or not a map.
pub fn meta_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    if !object["metadata"].is_object() {
        object["metadata"] = Value::Object(Map::new());
    }
    object["metadata"].as_object_mut().expect("made an object just above")
}

pub fn set_meta(object: &mut Value, field: &str, value: impl Into<Value>) {
    meta_mut(object).insert(field.to_string(), value.into());
}

pub fn unset_meta(object: &mut Value, field: &str) {
    meta_mut(object).remove(field);
}

/// Sets or removes one top-level entry.
pub fn set(object: &mut Value, field: &str, value: Option<Value>) {
    let Some(map) = object.as_object_mut() else { return };
    match value {
        Some(value) => map.insert(field.to_string(), value),
        None => map.remove(field),
    };
}

/// Follows a dotted path such as `spec.replicas` (a leading dot is fine).
pub fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(object, |value, key| value.get(key))
}

/// Writes at a dotted path, making maps on the way.
pub fn put_at(object: &mut Value, path: &str, value: Value) {
    let mut here = object;
    for key in path.trim_start_matches('.').split('.') {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        here = &mut here[key];
    }
    *here = value;
}

/// JSON with `apiVersion`, `kind` and `metadata` first.
pub fn encode(object: &Value) -> Bytes {
    let mut out = Vec::with_capacity(512);
    let Value::Object(map) = object else {
        serde_json::to_writer(&mut out, object).expect("a JSON value always encodes");
        return out.into();
    };
    out.push(b'{');
    let leading = LEADING.iter().filter_map(|key| map.get_key_value(*key));
    let rest = map.iter().filter(|(key, _)| !LEADING.contains(&key.as_str()));
    for (i, (key, value)) in leading.chain(rest).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, key).expect("a JSON value always encodes");
        out.push(b':');
        serde_json::to_writer(&mut out, value).expect("a JSON value always encodes");
    }
    out.push(b'}');
    out.into()
}

/// The key of an object within its collection; sorts as upstream's lists do.
pub fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A random (version 4) UUID.
pub fn new_uid() -> String {
    let mut b = random::<16>();
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    let hex: String = b.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A name for `generateName`: five letters that spell no words, behind the prefix cut to fit 63.
pub fn generate_name(prefix: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let prefix: String = prefix.chars().take(58).collect();
    let suffix: String =
        random::<5>().iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect();
    prefix + &suffix
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random source is always there once booted");
    bytes
}

/// Drops the empty lists and maps that Kubernetes' types leave out: in metadata, and the content of built-in kinds.
pub fn drop_empty(object: &mut Value, builtin: bool) {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let optional = ["labels", "annotations", "finalizers", "ownerReferences"];
        metadata.retain(|key, value| !(optional.contains(&key.as_str()) && empty(value)));
    }
    if let Some(map) = object.as_object_mut().filter(|_| builtin) {
        let optional = ["data", "binaryData", "stringData", "secrets", "imagePullSecrets", "subjects"];
        map.retain(|key, value| !(optional.contains(&key.as_str()) && empty(value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_encoded_object_begins_with_its_type() {
        let text = encode(&json!({"aggregationRule": 1, "kind": "K", "metadata": {}, "apiVersion": "v1"}));
        assert_eq!(text, r#"{"apiVersion":"v1","kind":"K","metadata":{},"aggregationRule":1}"#);
    }

    #[test]
    fn what_is_empty_is_left_out_as_the_types_do() {
        let mut object = json!({"metadata": {"name": "a", "labels": {}, "finalizers": []}, "data": {}, "spec": {}});
        drop_empty(&mut object, false);
        assert_eq!(object, json!({"metadata": {"name": "a"}, "data": {}, "spec": {}}));
        drop_empty(&mut object, true);
        assert_eq!(object, json!({"metadata": {"name": "a"}, "spec": {}}));
    }

    #[test]
    fn a_written_path_makes_its_maps() {
        let mut object = json!({"spec": 3});
        put_at(&mut object, ".spec.a.b", json!(1));
        assert_eq!(at(&object, ".spec.a.b"), Some(&json!(1)));
    }

    #[test]
    fn generated_names_keep_the_limit_of_a_label() {
        assert_eq!(generate_name(&"a".repeat(200)).len(), 63);
        assert_ne!(new_uid(), new_uid());
    }
}
