//! Makes two transcripts comparable: what must differ between two servers (uids, versions, times, ports, generated names)
//! becomes a placeholder numbered in order of appearance, so that equal stays equal and different stays different.

use std::{collections::HashMap, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::{Map, Value};

/// What one side of one case has shown so far.
#[derive(Default)]
pub struct Normal {
    seen: HashMap<(&'static str, String), usize>,
    counts: HashMap<&'static str, usize>,
}

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern")
}

static UID: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"));
static TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b(\d{4}-\d\d-\d\d)T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"));
static LONG_TIME: LazyLock<Regex> =
    LazyLock::new(|| regex(r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"));
static DIFF_TIME: LazyLock<Regex> = LazyLock::new(|| regex(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}"));
static SERVER: LazyLock<Regex> = LazyLock::new(|| regex(r"\b127\.0\.0\.1:\d+"));
static GENERATED: LazyLock<Regex> = LazyLock::new(|| regex(r"\bgen-[a-z0-9]{5}\b"));
static TOO_OLD: LazyLock<Regex> = LazyLock::new(|| regex(r"(resource version: \d+ \()\d+(\))"));
static RECORD: LazyLock<Regex> = LazyLock::new(|| regex(r"(ResourceVersion in record \()\d+(\))"));
static CURRENT: LazyLock<Regex> = LazyLock::new(|| regex(r"(current: )\d+"));
static VERSION: LazyLock<Regex> = LazyLock::new(|| regex(r#"(resourceVersion"?: *"?)(\d+)"#));
static AGE: LazyLock<Regex> = LazyLock::new(|| regex(r"^(\d+[smh])+$"));
static AGE_WORD: LazyLock<Regex> = LazyLock::new(|| regex(r"(^|\s|over )(\d+m)?\d+s(\s|\)|$)"));
static GAPS: LazyLock<Regex> = LazyLock::new(|| regex(r"(\S)(  +|\t+ *)"));
static TEMPORARY: LazyLock<Regex> = LazyLock::new(|| regex(r"(LIVE|MERGED|kubectl-edit|edit)-[0-9a-z]+"));
static FOLDER: LazyLock<Regex> = LazyLock::new(|| regex(r"/tmp/(compare-)[A-Za-z0-9]+"));

impl Normal {
    fn number(&mut self, kind: &'static str, text: &str) -> String {
        let next = self.counts.get(kind).copied().unwrap_or(0) + 1;
        let number = *self.seen.entry((kind, text.to_string())).or_insert(next);
        if number == next {
            self.counts.insert(kind, next);
        }
        format!("<{kind}-{number}>")
    }

    /// Any text.
    pub fn text(&mut self, text: &str) -> String {
        let text = UID.replace_all(text, |found: &Captures<'_>| self.number("uid", &found[0])).into_owned();
        let text =
            GENERATED.replace_all(&text, |found: &Captures<'_>| self.number("generated", &found[0])).into_owned();
        let text = TIME.replace_all(&text, time).into_owned();
        let text = LONG_TIME.replace_all(&text, "<time>");
        let text = DIFF_TIME.replace_all(&text, "<time>");
        let text = SERVER.replace_all(&text, "<server>");
        let text = TOO_OLD.replace_all(&text, "$1<rv>$2");
        let text = RECORD.replace_all(&text, "$1<rv>$2");
        let text = CURRENT.replace_all(&text, "$1<rv>");
        FOLDER.replace_all(&text, "/tmp/$1").into_owned()
    }

    /// What a program printed for people: columns and ages too.
    pub fn printed(&mut self, text: &str) -> String {
        let text = self.text(text);
        let text = VERSION
            .replace_all(&text, |found: &Captures<'_>| format!("{}{}", &found[1], self.number("rv", &found[2])))
            .into_owned();
        let text = TEMPORARY.replace_all(&text, "$1-<n>");
        // Ages may stand side by side, and a match takes the space between them.
        let text = AGE_WORD.replace_all(&text, "$1<age>$3");
        let text = AGE_WORD.replace_all(&text, "$1<age>$3");
        GAPS.replace_all(&text, "$1  ").into_owned()
    }

    pub fn json(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(list) => Value::Array(list.iter().map(|value| self.json(value)).collect()),
            Value::Object(map) => Value::Object(self.object(map)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn object(&mut self, map: &Map<String, Value>) -> Map<String, Value> {
        let many = map.contains_key("items") || map.contains_key("rows") || map.get("type") == Some(&"BOOKMARK".into());
        let mut keys: Vec<&String> = map.keys().collect();
        keys.sort_unstable();
        let mut out = Map::new();
        for key in keys {
            let value = &map[key];
            let plain = match (key.as_str(), value) {
                ("resourceVersion", Value::String(text)) if text.parse::<u64>().is_ok_and(|number| number > 9) => {
                    Value::String(self.number("rv", text))
                }
                ("continue", Value::String(text)) if !text.is_empty() => Value::String("<continue>".into()),
                // A list's version is the server's, and other writers move it.
                ("metadata", Value::Object(metadata)) if many => Value::Object(self.object(&without_version(metadata))),
                ("object", Value::Object(object)) if many => {
                    let mut object = object.clone();
                    if let Some(Value::Object(metadata)) = object.get("metadata") {
                        let metadata = without_version(metadata);
                        object.insert("metadata".into(), Value::Object(metadata));
                    }
                    Value::Object(self.object(&object))
                }
                ("cells", Value::Array(cells)) => Value::Array(cells.iter().map(|cell| self.cell(cell)).collect()),
                ("managedFields", Value::Array(list)) => self.managers(list),
                // An annotation that holds a whole object.
                _ => self.json(value),
            };
            // Keys of managedFields hold uids.
            out.insert(self.text(key), plain);
        }
        out
    }

    fn cell(&mut self, cell: &Value) -> Value {
        match cell {
            Value::String(text) if AGE.is_match(text) => Value::String("<age>".into()),
            other => self.json(other),
        }
    }

    /// Sorted without their times: upstream sorts by whole seconds, which depends on when a case runs.
    fn managers(&mut self, list: &[Value]) -> Value {
        let mut list: Vec<Value> = list.iter().map(|manager| self.json(manager)).collect();
        let key =
            |value: &Value| ["manager", "operation", "subresource", "apiVersion"].map(|key| value[key].to_string());
        list.sort_by_key(key);
        Value::Array(list)
    }
}

fn without_version(metadata: &Map<String, Value>) -> Map<String, Value> {
    let mut metadata = metadata.clone();
    if let Some(version) = metadata.get_mut("resourceVersion")
        && version.as_str().is_some_and(|text| !text.is_empty())
    {
        *version = "<list>".into();
    }
    metadata
}

/// A time of this run; one that a case wrote itself stays.
fn time(found: &Captures<'_>) -> String {
    let now = jiff::Timestamp::now();
    let day = |hours: i64| (now + jiff::SignedDuration::from_hours(hours)).strftime("%Y-%m-%d").to_string();
    if ![day(-24), day(0), day(24)].contains(&found[1].to_string()) {
        return found[0].to_string();
    }
    let digits = found.get(2).map_or(0, |fraction| fraction.len() - 1);
    if digits == 0 { "<time>".into() } else { format!("<time.{digits}>") }
}

/// A document as lines, with sorted keys.
pub fn lines(value: &Value) -> Vec<String> {
    let text = serde_json::to_string_pretty(value).expect("a value is JSON");
    text.lines().map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_stay_equal_and_different_ones_different() {
        let mut normal = Normal::default();
        let seen = normal.json(&json!([
            {"metadata": {"uid": "11111111-1111-1111-1111-111111111111", "resourceVersion": "100"}},
            {"metadata": {"uid": "22222222-2222-2222-2222-222222222222", "resourceVersion": "100"}},
            {"metadata": {"uid": "11111111-1111-1111-1111-111111111111", "resourceVersion": "101"}},
        ]));
        let expected = json!([
            {"metadata": {"uid": "<uid-1>", "resourceVersion": "<rv-1>"}},
            {"metadata": {"uid": "<uid-2>", "resourceVersion": "<rv-1>"}},
            {"metadata": {"uid": "<uid-1>", "resourceVersion": "<rv-2>"}},
        ]);
        assert_eq!(seen, expected);
    }

    #[test]
    fn times_of_the_run_go_and_those_a_case_wrote_stay() {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        assert_eq!(Normal::default().text(&format!("{now} 2020-01-01T00:00:00Z")), "<time> 2020-01-01T00:00:00Z");
    }

    #[test]
    fn ages_and_column_widths_do_not_matter() {
        assert_eq!(Normal::default().printed("a     3s\nab   1m2s   7s"), "a  <age>\nab  <age>  <age>");
    }
}
