//! Manifests as kubectl reads them: several documents in a file, scalars by YAML 1.1 (`yes`, `on`, `0755`), merge keys,
//! JSON values out. Keeps where each field stands, so that an error can name its line. No I/O.
//!
//! The parser decides structure; scalars are resolved here from their own text, in one place.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

/// What one file may hold: far above any fleet, far below what would hurt.
pub const MAX_FILE: usize = 4 << 20;

/// One document: its value, and where each field of it stands.
#[derive(Debug)]
pub struct Document {
    pub value: Value,
    pub start: Place,
    /// By path, as in `spec.env[1].name`.
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

/// Why a file is no YAML, and where.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub place: Option<Place>,
    /// With the lines around the place.
    pub message: String,
    /// In one line, without the text of the file.
    pub reason: String,
}

impl Error {
    fn new(place: Option<Place>, message: String) -> Error {
        Error { place, reason: message.clone(), message }
    }
}

impl Document {
    /// Where a field stands, or the nearest thing above it that is written down.
    pub fn place(&self, path: &str) -> Place {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return *place;
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return self.start,
            }
        }
    }
}

/// Every document that is not empty.
pub fn parse(text: &str) -> Result<Vec<Document>, Error> {
    if text.len() > MAX_FILE {
        return Err(Error::new(None, format!("the file is larger than {MAX_FILE} bytes; split it")));
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: true,
    };
    let nodes: Vec<Spanned<Node>> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let reason = error.without_snippet().to_string();
        let mut reason = reason.lines().next().unwrap_or_default().to_owned();
        if reason.starts_with("budget breached") {
            reason = format!("the file is too large or too deep once its aliases are written out: {reason}");
        }
        Error { place: error.location().map(place_of), message: error.render(), reason }
    })?;
    nodes.into_iter().filter(|node| !matches!(node.value, Node::Null)).map(|node| document(text, node)).collect()
}

fn document(text: &str, node: Spanned<Node>) -> Result<Document, Error> {
    let start = place_of(node.referenced);
    let mut places = BTreeMap::new();
    let value = value(text, node, String::new(), &mut places)?;
    Ok(Document { value, start, places })
}

/// What the parser found, before scalars mean anything.
#[derive(Debug)]
enum Node {
    Null,
    Scalar(Value),
    List(Vec<Spanned<Node>>),
    Map(Vec<(Spanned<Node>, Spanned<Node>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

fn value(text: &str, node: Spanned<Node>, path: String, places: &mut BTreeMap<String, Place>) -> Result<Value, Error> {
    let place = place_of(node.referenced);
    places.entry(path.clone()).or_insert(place);
    match node.value {
        Node::Null | Node::Scalar(_) => scalar(text, &node.value, node.defined)
            .map_err(|message| Error::new(Some(place), format!("{path}: {message}"))),
        Node::List(list) => {
            let items = list.into_iter().enumerate();
            items
                .map(|(i, item)| value(text, item, format!("{path}[{i}]"), places))
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        Node::Map(entries) => {
            let mut map = Map::new();
            for (key, item) in entries {
                let place = place_of(key.referenced);
                let refused = |message: String| Error::new(Some(place), message);
                let name = match scalar(text, &key.value, key.defined).map_err(refused)? {
                    Value::String(name) => name,
                    // As JSON has no other keys, kubectl writes them out.
                    key @ (Value::Bool(_) | Value::Number(_)) => key.to_string(),
                    Value::Null => "null".to_owned(),
                    Value::Array(_) | Value::Object(_) => {
                        return Err(refused("a key must be a plain word, not a list or a map".into()));
                    }
                };
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                places.insert(below.clone(), place);
                let item = value(text, item, below, places)?;
                if map.insert(name.clone(), item).is_some() {
                    return Err(refused(format!("the key {name:?} is there twice")));
                }
            }
            Ok(Value::Object(map))
        }
    }
}

/// What YAML takes for blank; other spaces of Unicode are text.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The meaning of a scalar. Quoted, block and tagged ones are what the parser says; a plain one is looked up by its text.
fn scalar(text: &str, parsed: &Node, defined: Location) -> Result<Value, String> {
    let parsed = match parsed {
        Node::Null => &Value::Null,
        Node::Scalar(value) => value,
        Node::List(_) | Node::Map(_) => return Ok(Value::Array(Vec::new())),
    };
    let Some(source) = slice(text, defined).filter(|_| !is_tagged(text, defined)) else {
        return Ok(parsed.clone());
    };
    match source.chars().next() {
        Some('"' | '\'' | '|' | '>' | '!' | '&' | '*') => Ok(parsed.clone()),
        _ => match parsed {
            // A plain scalar over several lines is folded by the parser; it can only be text.
            Value::String(folded) if source.contains('\n') => Ok(Value::String(folded.clone())),
            // Of a block scalar with nothing but line ends, the parser names a place without its `|`.
            Value::String(ends) if source.trim_matches(BLANKS).is_empty() && !ends.is_empty() => {
                Ok(Value::String(ends.clone()))
            }
            _ => plain(source.trim_matches(BLANKS)),
        },
    }
}

fn slice(text: &str, location: Location) -> Option<&str> {
    let (start, len) = (location.span().byte_offset()?, location.span().byte_len()?);
    let start = usize::try_from(start).ok()?;
    text.get(start..start.checked_add(usize::try_from(len).ok()?)?)
}

/// Whether the word before the scalar is a tag: then its type is said, not guessed.
fn is_tagged(text: &str, location: Location) -> bool {
    let start = location.span().byte_offset().and_then(|at| usize::try_from(at).ok());
    let before = start.and_then(|at| text.get(..at)).unwrap_or_default();
    before.split_whitespace().next_back().is_some_and(|word| word.starts_with('!'))
}

/// A plain scalar as YAML 1.1 resolves it in Go, which is what kubectl does.
pub fn plain(text: &str) -> Result<Value, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Value::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf" | "-.Inf"
        | "-.INF" => return Err(format!("{text} is no number that JSON can hold; quote it if it is meant as text")),
        _ => match number(text) {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    })
}

fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let bare = text.replace('_', "");
    let (negative, digits) = match bare.as_bytes().first()? {
        b'-' => (true, &bare[1..]),
        b'+' => (false, &bare[1..]),
        _ => (false, bare.as_str()),
    };
    if let Some(magnitude) = integer(digits) {
        return match negative {
            false => Some(Number::from(magnitude)),
            true => match 0i64.checked_sub_unsigned(magnitude) {
                Some(number) => Some(Number::from(number)),
                None => float(&bare),
            },
        };
    }
    float(&bare)
}

/// As Go's ParseInt with base 0: `0x`, `0b`, `0o` and a leading zero for octal.
fn integer(digits: &str) -> Option<u64> {
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` would take a second sign.
    if digits.starts_with(['+', '-']) { None } else { u64::from_str_radix(digits, radix).ok() }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn float(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let right = digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['-', '+']).unwrap_or(e);
            !e.is_empty() && digits(e)
        });
    if !right {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // A float without a fraction reaches the server as an integer: JSON has one kind of number.
    if value.fract() == 0.0 && value.abs() < 1e15 { Some(Number::from(value as i64)) } else { Number::from_f64(value) }
}

fn place_of(location: Location) -> Place {
    Place { line: location.line(), column: location.column() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(text: &str) -> Value {
        parse(text).unwrap().remove(0).value
    }

    #[test]
    fn scalars_read_as_kubectl_reads_them() {
        let table = [
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("on", json!(true)),
            ("y", json!(true)),
            ("0755", json!(493)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("0b11", json!(3)),
            ("1_000", json!(1000)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("08", json!(8)),
            ("1.5", json!(1.5)),
            (".5", json!(0.5)),
            ("1e3", json!(1000)),
            ("18446744073709551615", json!(18446744073709551615u64)),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("2026-01-02", json!("2026-01-02")),
            ("1.2.3", json!("1.2.3")),
            ("12:30", json!("12:30")),
            ("10s", json!("10s")),
            ("\"yes\"", json!("yes")),
            ("'0755'", json!("0755")),
            ("!!str 0755", json!("0755")),
            ("nope", json!("nope")),
            ("- yes", json!([true])),
            ("|\n  yes", json!("yes\n")),
            ("two\n  lines", json!("two lines")),
            ("|+\n", json!("\n")),
            ("\u{2000}x", json!("\u{2000}x")),
        ];
        for (text, expected) in table {
            let text = if text.starts_with("- ") { format!("v:\n{text}\n") } else { format!("v: {text}\n") };
            assert_eq!(one(&text)["v"], expected, "{text}");
        }
    }

    #[test]
    fn keys_are_text_whatever_they_look_like() {
        assert_eq!(one("yes: 1\n8080: a\n\"on\": b\n"), json!({"true": 1, "8080": "a", "on": "b"}));
    }

    #[test]
    fn anchors_and_merge_keys_are_resolved() {
        let text = "base: &b {mode: 0755, run: yes}\ncopy: *b\nmore:\n  <<: *b\n  run: 'no'\n";
        let value = one(text);
        assert_eq!(value["copy"], json!({"mode": 493, "run": true}));
        assert_eq!(value["more"], json!({"mode": 493, "run": "no"}));
    }

    #[test]
    fn empty_documents_are_none() {
        assert_eq!(parse("").unwrap().len(), 0);
        assert_eq!(parse("# a note\n---\n---\na: 1\n---\n").unwrap().len(), 1);
    }

    #[test]
    fn a_field_is_found_by_its_path() {
        let documents = parse("a: 1\n---\nspec:\n  env:\n    - name: A\n    - name: B\n      value: 5\n").unwrap();
        let place = |path: &str| documents[1].place(path);
        assert_eq!(place("spec.env[1].value"), Place { line: 7, column: 7 });
        assert_eq!(place("spec.env[1].valueFrom.x").line, 6, "the nearest above");
        assert_eq!(place("metadata.name"), documents[1].start);
    }

    #[test]
    fn an_error_names_line_and_column_and_shows_the_text() {
        let error = parse("a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.place.unwrap().line >= 2, "{error:?}");
        assert!(error.message.contains('|'), "{}", error.message);
        assert!(parse("a: 1\na: 2\n").is_err(), "a key twice");
        assert!(parse("a: .inf\n").is_err());
    }

    #[test]
    fn bombs_are_refused() {
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, of) in ('b'..='k').zip('a'..='j') {
            bomb.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", ")));
        }
        assert!(parse(&bomb).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("a: {}", "x".repeat(MAX_FILE))).is_err());
    }
}
