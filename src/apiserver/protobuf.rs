//! Protobuf bodies of built-in kinds into JSON. client-go's typed clients and kubectl from 1.32 on send them and do not fall
//! back; answering JSON is fine with them. Tables say which field number is which JSON field; unknown numbers are skipped,
//! as protobuf wants it.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// No message of the tables nests deeper.
const DEPTH: usize = 16;

type Fields = &'static [(u32, &'static str, Is)];

#[derive(Clone, Copy)]
enum Is {
    Text,
    Number,
    Flag,
    Message(Fields),
    Texts,
    Messages(Fields),
    /// map<string, string>
    TextMap,
    /// map<string, bytes>, which JSON writes in base64.
    ByteMap,
    /// map<string, ExtraValue>: lists of texts.
    Lists,
    /// Seconds and nanoseconds; JSON shows whole seconds.
    Time,
    /// JSON shows microseconds.
    MicroTime,
    /// FieldsV1: JSON within.
    Json,
}
use Is::{ByteMap, Flag, Json, Lists, Message, Messages, MicroTime, Number, Text, TextMap, Texts, Time};

const OWNER: Fields = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
];
const MANAGER: Fields = &[
    (1, "manager", Text),
    (2, "operation", Text),
    (3, "apiVersion", Text),
    (4, "time", Time),
    (6, "fieldsType", Text),
    (7, "fieldsV1", Json),
    (8, "subresource", Text),
];
const META: Is = Message(&[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (4, "selfLink", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Number),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Number),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Messages(OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Messages(MANAGER)),
]);
const REFERENCE: Fields = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];
const SOURCE: Fields = &[(1, "component", Text), (2, "host", Text)];
const SERIES: Fields = &[(1, "count", Number), (2, "lastObservedTime", MicroTime)];
const CONDITION: Fields = &[
    (1, "type", Text),
    (2, "status", Text),
    (4, "lastTransitionTime", Time),
    (5, "reason", Text),
    (6, "message", Text),
];
const RULE: Fields = &[
    (1, "verbs", Texts),
    (2, "apiGroups", Texts),
    (3, "resources", Texts),
    (4, "resourceNames", Texts),
    (5, "nonResourceURLs", Texts),
];
const ROLE: Fields = &[(1, "metadata", META), (2, "rules", Messages(RULE))];
const BINDING: Fields = &[
    (1, "metadata", META),
    (2, "subjects", Messages(&[(1, "kind", Text), (2, "apiGroup", Text), (3, "name", Text), (4, "namespace", Text)])),
    (3, "roleRef", Message(&[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)])),
];
const REQUIREMENT: Fields = &[(1, "key", Text), (2, "operator", Text), (3, "values", Texts)];
const SELECTOR: Fields = &[(1, "matchLabels", TextMap), (2, "matchExpressions", Messages(REQUIREMENT))];
const EXTRA: Is = Lists;
const SUBJECT_ACCESS: Fields = &[
    (1, "metadata", META),
    (
        2,
        "spec",
        Message(&[
            (1, "resourceAttributes", Message(ATTRIBUTES)),
            (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
            (3, "user", Text),
            (4, "groups", Texts),
            (5, "extra", EXTRA),
            (6, "uid", Text),
        ]),
    ),
];
const ATTRIBUTES: Fields = &[
    (1, "namespace", Text),
    (2, "verb", Text),
    (3, "group", Text),
    (4, "version", Text),
    (5, "resource", Text),
    (6, "subresource", Text),
    (7, "name", Text),
];

/// (group, kind) → fields. Kinds of `meta` may come under any group.
const KINDS: &[(&str, &str, Fields)] = &[
    (
        "",
        "Namespace",
        &[
            (1, "metadata", META),
            (2, "spec", Message(&[(1, "finalizers", Texts)])),
            (3, "status", Message(&[(1, "phase", Text), (2, "conditions", Messages(CONDITION))])),
        ],
    ),
    (
        "",
        "Secret",
        &[
            (1, "metadata", META),
            (2, "data", ByteMap),
            (3, "type", Text),
            (4, "stringData", TextMap),
            (5, "immutable", Flag),
        ],
    ),
    (
        "",
        "ConfigMap",
        &[(1, "metadata", META), (2, "data", TextMap), (3, "binaryData", ByteMap), (4, "immutable", Flag)],
    ),
    (
        "",
        "ServiceAccount",
        &[
            (1, "metadata", META),
            (2, "secrets", Messages(REFERENCE)),
            (3, "imagePullSecrets", Messages(&[(1, "name", Text)])),
            (4, "automountServiceAccountToken", Flag),
        ],
    ),
    (
        "",
        "Event",
        &[
            (1, "metadata", META),
            (2, "involvedObject", Message(REFERENCE)),
            (3, "reason", Text),
            (4, "message", Text),
            (5, "source", Message(SOURCE)),
            (6, "firstTimestamp", Time),
            (7, "lastTimestamp", Time),
            (8, "count", Number),
            (9, "type", Text),
            (10, "eventTime", MicroTime),
            (11, "series", Message(SERIES)),
            (12, "action", Text),
            (13, "related", Message(REFERENCE)),
            (14, "reportingComponent", Text),
            (15, "reportingInstance", Text),
        ],
    ),
    (
        "events.k8s.io",
        "Event",
        &[
            (1, "metadata", META),
            (2, "eventTime", MicroTime),
            (3, "series", Message(SERIES)),
            (4, "reportingController", Text),
            (5, "reportingInstance", Text),
            (6, "action", Text),
            (7, "reason", Text),
            (8, "regarding", Message(REFERENCE)),
            (9, "related", Message(REFERENCE)),
            (10, "note", Text),
            (11, "type", Text),
            (12, "deprecatedSource", Message(SOURCE)),
            (13, "deprecatedFirstTimestamp", Time),
            (14, "deprecatedLastTimestamp", Time),
            (15, "deprecatedCount", Number),
        ],
    ),
    (
        "coordination.k8s.io",
        "Lease",
        &[
            (1, "metadata", META),
            (
                2,
                "spec",
                Message(&[
                    (1, "holderIdentity", Text),
                    (2, "leaseDurationSeconds", Number),
                    (3, "acquireTime", MicroTime),
                    (4, "renewTime", MicroTime),
                    (5, "leaseTransitions", Number),
                    (6, "strategy", Text),
                    (7, "preferredHolder", Text),
                ]),
            ),
        ],
    ),
    ("rbac.authorization.k8s.io", "Role", ROLE),
    (
        "rbac.authorization.k8s.io",
        "ClusterRole",
        &[
            (1, "metadata", META),
            (2, "rules", Messages(RULE)),
            (3, "aggregationRule", Message(&[(1, "clusterRoleSelectors", Messages(SELECTOR))])),
        ],
    ),
    ("rbac.authorization.k8s.io", "RoleBinding", BINDING),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", BINDING),
    (
        "authorization.k8s.io",
        "SelfSubjectAccessReview",
        &[
            (1, "metadata", META),
            (
                2,
                "spec",
                Message(&[
                    (1, "resourceAttributes", Message(ATTRIBUTES)),
                    (2, "nonResourceAttributes", Message(&[(1, "path", Text), (2, "verb", Text)])),
                ]),
            ),
        ],
    ),
    (
        "authorization.k8s.io",
        "SelfSubjectRulesReview",
        &[(1, "metadata", META), (2, "spec", Message(&[(1, "namespace", Text)]))],
    ),
    ("authorization.k8s.io", "SubjectAccessReview", SUBJECT_ACCESS),
    ("authorization.k8s.io", "LocalSubjectAccessReview", SUBJECT_ACCESS),
    ("authentication.k8s.io", "SelfSubjectReview", &[(1, "metadata", META)]),
    (
        "authentication.k8s.io",
        "TokenReview",
        &[(1, "metadata", META), (2, "spec", Message(&[(1, "token", Text), (2, "audiences", Texts)]))],
    ),
    (
        "authentication.k8s.io",
        "TokenRequest",
        &[
            (1, "metadata", META),
            (
                2,
                "spec",
                Message(&[
                    (1, "audiences", Texts),
                    (
                        3,
                        "boundObjectRef",
                        Message(&[(1, "kind", Text), (2, "apiVersion", Text), (3, "name", Text), (4, "uid", Text)]),
                    ),
                    (4, "expirationSeconds", Number),
                ]),
            ),
        ],
    ),
];
const DELETE_OPTIONS: Fields = &[
    (1, "gracePeriodSeconds", Number),
    (2, "preconditions", Message(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

/// The object in an enveloped body.
pub fn decode(body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(MAGIC).ok_or("it does not begin with the envelope's four bytes")?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Wire(envelope) {
        match field? {
            (1, Item::Bytes(type_meta)) => {
                for field in Wire(type_meta) {
                    match field? {
                        (1, Item::Bytes(text)) => api_version = self::text(text)?,
                        (2, Item::Bytes(text)) => kind = self::text(text)?,
                        _ => {}
                    }
                }
            }
            (2, Item::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let fields = match kind.as_str() {
        "DeleteOptions" => DELETE_OPTIONS,
        kind => KINDS
            .iter()
            .find(|(known_group, known_kind, _)| *known_group == group && *known_kind == kind)
            .map(|(_, _, fields)| *fields)
            .ok_or_else(|| format!("{kind:?} of {api_version:?} has no protobuf form here; send JSON"))?,
    };
    let mut object = message(fields, raw, DEPTH)?;
    object.insert("apiVersion".into(), api_version.into());
    object.insert("kind".into(), kind.into());
    Ok(Value::Object(object))
}

fn message(fields: Fields, bytes: &[u8], depth: usize) -> Result<Map<String, Value>, String> {
    let depth = depth.checked_sub(1).ok_or("it nests too deeply")?;
    let mut object = Map::new();
    for field in Wire(bytes) {
        let (number, item) = field?;
        let Some((_, name, is)) = fields.iter().find(|(known, _, _)| *known == number) else { continue };
        if let Some(value) = value(*is, item, object.remove(*name), depth).map_err(|why| format!("{name}: {why}"))? {
            object.insert((*name).to_string(), value);
        }
    }
    // Go's marshaller writes empty strings that JSON leaves out.
    object.retain(|_, value| value.as_str() != Some(""));
    Ok(object)
}

fn value(is: Is, item: Item<'_>, before: Option<Value>, depth: usize) -> Result<Option<Value>, String> {
    let list = |before: Option<Value>, item: Value| match before {
        Some(Value::Array(mut items)) => {
            items.push(item);
            Value::Array(items)
        }
        _ => Value::Array(vec![item]),
    };
    let value = match (is, item) {
        (Text, Item::Bytes(bytes)) => text(bytes)?.into(),
        (Number, Item::Number(number)) => (number as i64).into(),
        (Flag, Item::Number(number)) => (number != 0).into(),
        (Message(fields), Item::Bytes(bytes)) => Value::Object(message(fields, bytes, depth)?),
        (Texts, Item::Bytes(bytes)) => list(before, text(bytes)?.into()),
        (Messages(fields), Item::Bytes(bytes)) => list(before, Value::Object(message(fields, bytes, depth)?)),
        (TextMap | ByteMap | Lists, Item::Bytes(bytes)) => {
            let mut map = before.and_then(|value| value.as_object().cloned()).unwrap_or_default();
            let (mut key, mut entry) = (String::new(), &[][..]);
            for field in Wire(bytes) {
                match field? {
                    (1, Item::Bytes(bytes)) => key = text(bytes)?,
                    (2, Item::Bytes(bytes)) => entry = bytes,
                    _ => {}
                }
            }
            let entry: Value = match is {
                ByteMap => STANDARD.encode(entry).into(),
                Lists => message(&[(1, "items", Texts)], entry, depth)?.remove("items").unwrap_or_default(),
                _ => text(entry)?.into(),
            };
            map.insert(key, entry);
            map.into()
        }
        (Time | MicroTime, Item::Bytes(bytes)) => return time(is, bytes),
        (Json, Item::Bytes(bytes)) => {
            let raw = Wire(bytes).find_map(|field| match field {
                Ok((1, Item::Bytes(raw))) => Some(raw),
                _ => None,
            });
            serde_json::from_slice(raw.unwrap_or(b"{}")).map_err(|error| error.to_string())?
        }
        _ => return Err("it has another wire type than its field".into()),
    };
    Ok(Some(value))
}

/// None for Go's zero time, which an unset pointer-less field is sent as.
fn time(is: Is, bytes: &[u8]) -> Result<Option<Value>, String> {
    let (mut seconds, mut nanos) = (None, 0);
    for field in Wire(bytes) {
        match field? {
            (1, Item::Number(number)) => seconds = Some(number as i64),
            (2, Item::Number(number)) => nanos = number as i32,
            _ => {}
        }
    }
    let Some(seconds) = seconds.filter(|seconds| *seconds > -62_135_596_800) else { return Ok(None) };
    let time = jiff::Timestamp::new(seconds, nanos).map_err(|error| error.to_string())?;
    let format = if matches!(is, MicroTime) { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(Some(time.strftime(format).to_string().into()))
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a string is not UTF-8".into())
}

/// One field's content.
#[derive(Clone, Copy)]
enum Item<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Skipped,
}

/// The fields of a message, in order.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn varint(&mut self) -> Result<u64, String> {
        let mut number = 0u64;
        for shift in (0..70).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or("it ends within a number")?;
            self.0 = rest;
            number |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
            if first & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err("a number is too long".into())
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let count = usize::try_from(count).map_err(|_| "a length is too large")?;
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it ends within a field")?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u32, Item<'a>), String> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_| "a field number is too large")?;
        let item = match tag & 7 {
            0 => Item::Number(self.varint()?),
            1 => self.take(8).map(|_| Item::Skipped)?,
            2 => {
                let length = self.varint()?;
                Item::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Item::Skipped)?,
            other => return Err(format!("wire type {other} is unknown")),
        };
        Ok((number, item))
    }
}

impl<'a> Iterator for Wire<'a> {
    type Item = Result<(u32, Item<'a>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, content.len() as u8][..], content].concat()
    }

    fn envelope(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let type_meta = [bytes(1, api_version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC, &bytes(1, &type_meta), &bytes(2, raw)].concat()
    }

    #[test]
    fn a_secret_becomes_json() {
        let entry = [bytes(1, b"user"), bytes(2, b"\x00\xff")].concat();
        let meta = [bytes(1, b"creds"), bytes(3, b""), bytes(8, &[]), bytes(14, b"a/b"), bytes(14, b"c/d")].concat();
        let raw = [bytes(1, &meta), bytes(2, &entry), bytes(3, b"Opaque"), vec![5 << 3, 1]].concat();
        let object = decode(&envelope("v1", "Secret", &raw)).unwrap();
        assert_eq!(
            object,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "creds", "finalizers": ["a/b", "c/d"]},
                "data": {"user": "AP8="}, "type": "Opaque", "immutable": true})
        );
    }

    #[test]
    fn times_keep_their_precision() {
        let time = [vec![1 << 3], vec![0x80, 0x94, 0xeb, 0xdc, 0x03], vec![2 << 3, 0xe8, 0x07]].concat();
        let raw = bytes(2, &bytes(4, &time));
        let object = decode(&envelope("coordination.k8s.io/v1", "Lease", &raw)).unwrap();
        assert_eq!(object["spec"]["renewTime"], "2001-09-09T01:46:40.000001Z");
    }

    #[test]
    fn nonsense_is_refused_without_harm() {
        assert!(decode(b"").is_err());
        assert!(decode(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
        assert!(decode(&envelope("x/v1", "Custom", b"")).is_err());
        assert!(decode(&envelope("v1", "Secret", &[0x0a, 0xff])).is_err());
    }
}
