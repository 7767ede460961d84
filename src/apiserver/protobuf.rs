//! Protobuf bodies of built-in kinds into JSON. client-go's typed clients and kubectl from 1.32 on send them and do not fall
//! back; answering JSON is fine with them. Tables say which field number is which JSON field; unknown numbers are skipped,
//! as protobuf wants it.

mod definition;
mod kinds;

use self::kinds::{DELETE_OPTIONS, KINDS};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// Schemas nest; deeper than this is nobody's.
const DEPTH: usize = 64;

type Fields = &'static [Field];
type Field = (u32, &'static str, Is);

#[derive(Clone, Copy)]
enum Is {
    Text,
    Number,
    /// A double.
    Float,
    Flag,
    /// A flag that JSON leaves out when it is not set.
    Truth,
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
    Jsons,
    /// map<string, message>
    Map(Fields),
    /// A message (1) or a list of them (2).
    OneOrMany(Fields),
    /// A message (2) or a flag (1).
    OneOrFlag(Fields),
    /// A message (1) or a list of texts (2), by key.
    OneOrTexts(Fields),
}

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
        let value = value(*is, item, object.remove(*name), depth).map_err(|why| format!("{name}: {why}"))?;
        // Go's marshaller writes empty strings and flags that JSON leaves out.
        let unset = |value: &Value| match is {
            Is::Text => value.as_str() == Some(""),
            Is::Truth => value == &Value::Bool(false),
            _ => false,
        };
        if let Some(value) = value.filter(|value| !unset(value)) {
            object.insert((*name).to_string(), value);
        }
    }
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
        (Is::Text, Item::Bytes(bytes)) => text(bytes)?.into(),
        (Is::Number, Item::Number(number)) => (number as i64).into(),
        (Is::Float, Item::Fixed(bits)) => float(f64::from_bits(bits))?,
        (Is::Flag | Is::Truth, Item::Number(number)) => (number != 0).into(),
        (Is::Message(fields), Item::Bytes(bytes)) => Value::Object(message(fields, bytes, depth)?),
        (Is::Texts, Item::Bytes(bytes)) => list(before, text(bytes)?.into()),
        (Is::Messages(fields), Item::Bytes(bytes)) => list(before, Value::Object(message(fields, bytes, depth)?)),
        (Is::TextMap | Is::ByteMap | Is::Lists | Is::Map(_) | Is::OneOrTexts(_), Item::Bytes(bytes)) => {
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
                Is::ByteMap => STANDARD.encode(entry).into(),
                Is::Lists => either(&[(1, "", Is::Texts)], entry, depth)?,
                Is::Map(fields) => Value::Object(message(fields, entry, depth)?),
                Is::OneOrTexts(fields) => either(&[(2, "", Is::Texts), (1, "", Is::Message(fields))], entry, depth)?,
                _ => text(entry)?.into(),
            };
            map.insert(key, entry);
            map.into()
        }
        (Is::OneOrMany(fields), Item::Bytes(bytes)) => {
            either(&[(1, "", Is::Message(fields)), (2, "", Is::Messages(fields))], bytes, depth)?
        }
        (Is::OneOrFlag(fields), Item::Bytes(bytes)) => {
            either(&[(1, "", Is::Flag), (2, "", Is::Message(fields))], bytes, depth)?
        }
        (Is::Time | Is::MicroTime, Item::Bytes(bytes)) => return time(is, bytes),
        (Is::Json, Item::Bytes(bytes)) => json(bytes)?,
        (Is::Jsons, Item::Bytes(bytes)) => list(before, json(bytes)?),
        _ => return Err("it has another wire type than its field".into()),
    };
    Ok(Some(value))
}

/// The last of several alternatives that is there: a message wins over the flag before it.
fn either(alternatives: &[(u32, &str, Is)], bytes: &[u8], depth: usize) -> Result<Value, String> {
    let depth = depth.checked_sub(1).ok_or("it nests too deeply")?;
    let mut found: Option<Value> = None;
    for field in Wire(bytes) {
        let (number, item) = field?;
        let Some((_, _, is)) = alternatives.iter().find(|(known, _, _)| *known == number) else { continue };
        found = value(*is, item, found.take(), depth)?;
    }
    Ok(found.unwrap_or_default())
}

fn json(bytes: &[u8]) -> Result<Value, String> {
    let raw = Wire(bytes).find_map(|field| match field {
        Ok((1, Item::Bytes(raw))) => Some(raw),
        _ => None,
    });
    serde_json::from_slice(raw.unwrap_or(b"{}")).map_err(|error| error.to_string())
}

/// Whole numbers as JSON writes them: without a point.
fn float(number: f64) -> Result<Value, String> {
    if number.fract() == 0.0 && number.abs() < 9e15 {
        return Ok((number as i64).into());
    }
    serde_json::Number::from_f64(number).map(Value::Number).ok_or_else(|| "a number is not finite".into())
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
    let format = if matches!(is, Is::MicroTime) { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
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
    /// Eight bytes: a double.
    Fixed(u64),
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
            1 => {
                let bytes = self.take(8)?.try_into().expect("eight bytes were taken");
                Item::Fixed(u64::from_le_bytes(bytes))
            }
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
    fn a_definition_becomes_json_with_its_schema() {
        let key = |key: &[u8], value: &[u8]| [bytes(1, key), bytes(2, value)].concat();
        let long = |number: u32, content: &[u8]| {
            let tag = number << 3 | 2;
            let tag = if tag < 128 { vec![tag as u8] } else { vec![(tag & 0x7f) as u8 | 0x80, (tag >> 7) as u8] };
            let length = vec![(content.len() & 0x7f) as u8 | 0x80, (content.len() >> 7) as u8];
            [tag, length, content.to_vec()].concat()
        };
        let leaf = [bytes(5, b"string"), bytes(8, &bytes(1, b"\"\"")), vec![10 << 3, 0]].concat();
        let number = [
            bytes(5, b"number"),
            vec![9 << 3 | 1],
            1.5f64.to_le_bytes().to_vec(),
            vec![11 << 3 | 1],
            2f64.to_le_bytes().to_vec(),
        ]
        .concat();
        let list = [bytes(5, b"array"), long(24, &bytes(1, &leaf)), long(42, b"set")].concat();
        let map = [bytes(5, b"object"), long(30, &[vec![1 << 3, 1], bytes(2, &leaf)].concat())].concat();
        let open = [bytes(5, b"object"), long(30, &[1 << 3, 1]), vec![0xb0, 2, 1]].concat();
        let properties: Vec<u8> = [("n", &number), ("l", &list), ("m", &map), ("o", &open)]
            .iter()
            .flat_map(|(name, schema)| long(29, &key(name.as_bytes(), schema)))
            .collect();
        let schema = [bytes(5, b"object"), properties].concat();
        let version = [
            bytes(1, b"v1"),
            vec![2 << 3, 1, 3 << 3, 1],
            long(4, &long(1, &schema)),
            bytes(5, &bytes(1, b"")),
            vec![7 << 3, 0],
        ]
        .concat();
        let spec = [bytes(1, b"sea.example"), bytes(4, b"Namespaced"), long(7, &version)].concat();
        let object = decode(
            &[
                MAGIC,
                &bytes(1, &[bytes(1, b"apiextensions.k8s.io/v1"), bytes(2, b"CustomResourceDefinition")].concat()),
                &long(2, &long(2, &spec)),
            ]
            .concat(),
        )
        .unwrap();
        assert_eq!(
            object["spec"],
            json!({"group": "sea.example", "scope": "Namespaced", "versions": [{"name": "v1", "served": true,
            "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {"type": "object",
            "properties": {
                "n": {"type": "number", "maximum": 1.5, "minimum": 2},
                "l": {"type": "array", "items": {"type": "string", "default": ""}, "x-kubernetes-list-type": "set"},
                "m": {"type": "object", "additionalProperties": {"type": "string", "default": ""}},
                "o": {"type": "object", "additionalProperties": true, "x-kubernetes-preserve-unknown-fields": true},
            }}}}]})
        );
    }

    #[test]
    fn nonsense_is_refused_without_harm() {
        assert!(decode(b"").is_err());
        assert!(decode(b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").is_err());
        assert!(decode(&envelope("x/v1", "Custom", b"")).is_err());
        assert!(decode(&envelope("v1", "Secret", &[0x0a, 0xff])).is_err());
    }
}
