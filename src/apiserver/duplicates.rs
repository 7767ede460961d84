//! JSON that also tells which keys it gives twice: serde keeps the last and says nothing, but a strict client wants to know.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// So many are told; whoever sends more has been told enough, and looking through them must not take long.
const TOLD: usize = 64;

/// The document, and `duplicate field "spec.a"` for each key that came again.
pub fn parse(text: &[u8]) -> Result<(Value, Vec<String>), serde_json::Error> {
    let mut seen = Seen::default();
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Node(&mut seen).deserialize(&mut reader)?;
    reader.end()?;
    Ok((value, seen.duplicates))
}

#[derive(Default)]
struct Seen {
    /// Where we are, as it would be written: `spec.crew[1].name`.
    path: String,
    duplicates: Vec<String>,
}

struct Node<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let Node(seen) = self;
        let (length, mut list) = (seen.path.len(), Vec::new());
        loop {
            seen.path.push_str(&format!("[{}]", list.len()));
            let item = items.next_element_seed(Node(seen))?;
            seen.path.truncate(length);
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let Node(seen) = self;
        let (length, mut map) = (seen.path.len(), Map::new());
        while let Some(key) = entries.next_key::<String>()? {
            if length > 0 {
                seen.path.push('.');
            }
            seen.path.push_str(&key);
            if map.contains_key(&key) && seen.duplicates.len() < TOLD {
                let duplicate = format!("duplicate field {:?}", seen.path);
                if !seen.duplicates.contains(&duplicate) {
                    seen.duplicates.push(duplicate);
                }
            }
            let value = entries.next_value_seed(Node(seen))?;
            seen.path.truncate(length);
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_given_twice_are_named_and_the_last_counts() {
        let (value, duplicates) =
            parse(br#"{"a": 1, "b": [{"c": 1, "c": {"d": 0, "d": 1}}, {"c": 2}], "a": null, "a": 2}"#).unwrap();
        assert_eq!(value, json!({"a": 2, "b": [{"c": {"d": 1}}, {"c": 2}]}));
        assert_eq!(duplicates, ["duplicate field \"b[0].c\"", "duplicate field \"b[0].c.d\"", "duplicate field \"a\""]);
    }

    #[test]
    fn a_flood_of_them_is_cut_short() {
        let many: Vec<String> = (0..50_000).map(|i| format!("\"{0}\":1,\"{0}\":2", i)).collect();
        let (value, duplicates) = parse(format!("{{{}}}", many.join(",")).as_bytes()).unwrap();
        assert_eq!((value.as_object().unwrap().len(), duplicates.len()), (50_000, TOLD));
    }

    #[test]
    fn everything_else_is_as_serde_reads_it() {
        for text in ["null", "-3", "18446744073709551615", "1.5e3", r#""\u00e9\n""#, r#"{"a":[true,{}]}"#] {
            let (value, duplicates) = parse(text.as_bytes()).unwrap();
            assert_eq!(value, serde_json::from_str::<Value>(text).unwrap());
            assert!(duplicates.is_empty());
        }
        for text in ["", "{", "{} x", "[1,]", "\"\u{1}\"", &"[".repeat(5000), "{\"a\" 1}"] {
            assert_eq!(parse(text.as_bytes()).is_err(), serde_json::from_str::<Value>(text).is_err(), "{text:.20}");
        }
        assert!(parse(b"{\"a\": \"\xff\"}").is_err());
    }
}
