//! Label and field selectors: parsed once, asked for every object. Which fields a resource allows is the resource's word.

use serde_json::Value;

use super::{object, status::Failure, storage::Stored};

#[derive(Clone, Debug, Default)]
pub struct Selection {
    labels: Vec<Requirement>,
    pub fields: Vec<FieldTerm>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    pub path: String,
    pub value: String,
    pub equal: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Missing,
    Above(i64),
    Below(i64),
}

impl Selection {
    pub fn parse(labels: &str, fields: &str) -> Result<Selection, Failure> {
        Ok(Selection { labels: parse_labels(labels)?, fields: parse_fields(fields)? })
    }

    /// From a `LabelSelector` object. None for an operator nobody knows: it selects nothing.
    pub fn of_labels(selector: &Value) -> Option<Selection> {
        let texts = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|one| one.as_str().map(str::to_string)).collect()
        };
        let mut labels = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            let value = value.as_str().unwrap_or_default().to_string();
            labels.push(Requirement { key: key.clone(), test: Test::In(vec![value]) });
        }
        for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
            let test = match expression["operator"].as_str()? {
                "In" => Test::In(texts(&expression["values"])),
                "NotIn" => Test::NotIn(texts(&expression["values"])),
                "Exists" => Test::Exists,
                "DoesNotExist" => Test::Missing,
                _ => return None,
            };
            labels.push(Requirement { key: expression["key"].as_str()?.to_string(), test });
        }
        Some(Selection { labels, fields: Vec::new() })
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// The one name that can match, if the selection says so: `kubectl get -w NAME` asks like this.
    pub fn name(&self) -> Option<&str> {
        self.fields.iter().find(|term| term.equal && term.path == "metadata.name").map(|term| term.value.as_str())
    }

    pub fn matches(&self, stored: &Stored) -> bool {
        self.labels.iter().all(|requirement| requirement.holds(stored.label(&requirement.key)))
            && self.fields_match(stored)
    }

    fn fields_match(&self, stored: &Stored) -> bool {
        let mut parsed: Option<Value> = None;
        self.fields.iter().all(|term| {
            let equal = match term.path.as_str() {
                "metadata.name" => stored.name == term.value,
                "metadata.namespace" => stored.namespace == term.value,
                path => {
                    let value = parsed.get_or_insert_with(|| stored.value());
                    field_text(value, path) == term.value
                }
            };
            equal == term.equal
        })
    }
}

fn field_text(object: &Value, path: &str) -> String {
    // The core shape calls the reporter of an old event its source.
    let value = match path {
        "source" => object::at(object, "source.component")
            .filter(|component| component.as_str().is_some_and(|text| !text.is_empty()))
            .or_else(|| object.get("reportingComponent")),
        path => object::at(object, path),
    };
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Requirement {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|text| text.parse::<i64>().ok());
        match &self.test {
            Test::In(values) => value.is_some_and(|value| values.iter().any(|v| v == value)),
            Test::NotIn(values) => value.is_none_or(|value| values.iter().all(|v| v != value)),
            Test::Exists => value.is_some(),
            Test::Missing => value.is_none(),
            Test::Above(bound) => number().is_some_and(|number| number > *bound),
            Test::Below(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

/// Splits at commas outside of parentheses.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut depth, mut start, mut terms) = (0, 0, Vec::new());
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                terms.push(&text[start..i]);
                start = i + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn parse_labels(text: &str) -> Result<Vec<Requirement>, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(Vec::new());
    }
    split_terms(text).into_iter().map(|term| parse_label(term.trim())).collect()
}

fn parse_label(term: &str) -> Result<Requirement, Failure> {
    let wrong = |why: String| Failure::bad_request(format!("unable to parse requirement: {why}"));
    let checked = |key: &str, test: Test| {
        let key = key.trim();
        if let Some(why) = super::names::label_key_error(key) {
            return Err(wrong(format!("<nil>: Invalid value: {key:?}: {why}")));
        }
        let values: &[String] = match &test {
            Test::In(values) | Test::NotIn(values) => values,
            Test::Exists | Test::Missing | Test::Above(_) | Test::Below(_) => &[],
        };
        for value in values {
            if let Some(why) = super::names::label_value_error(value) {
                return Err(wrong(format!("values[0][{key}]: Invalid value: {value:?}: {why}")));
            }
        }
        Ok(Requirement { key: key.to_string(), test })
    };
    let one = |value: &str| vec![value.trim().to_string()];
    if let Some(key) = term.strip_prefix('!') {
        return checked(key, Test::Missing);
    }
    if let Some((head, list)) = term.split_once('(') {
        let list = list.strip_suffix(')').ok_or_else(|| wrong(format!("found {term:?}, expected: ',' or ')'")))?;
        let values = list.split(',').map(|value| value.trim().to_string()).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(key), Some("in"), None) => checked(key, Test::In(values)),
            (Some(key), Some("notin"), None) => checked(key, Test::NotIn(values)),
            _ => Err(wrong(format!("found {head:?}, expected: in, notin, =, ==, !=, gt, lt"))),
        };
    }
    if let Some((key, value)) = term.split_once("!=") {
        return checked(key, Test::NotIn(one(value)));
    }
    if let Some((key, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        return checked(key, Test::In(one(value)));
    }
    for (sign, make) in [(">", Test::Above as fn(i64) -> Test), ("<", Test::Below as fn(i64) -> Test)] {
        if let Some((key, value)) = term.split_once(sign) {
            let bound = value.trim().parse().map_err(|_| {
                wrong(format!(
                    "values[0][{}]: Invalid value: {:?}: for 'Gt', 'Lt' operators, the value must be an integer",
                    key.trim(),
                    value.trim()
                ))
            })?;
            return checked(key, make(bound));
        }
    }
    checked(term, Test::Exists)
}

fn parse_fields(text: &str) -> Result<Vec<FieldTerm>, Failure> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        let last = terms.last_mut().expect("begins with one");
        match c {
            _ if escaped => {
                last.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            ',' => terms.push(String::new()),
            _ => last.push(c),
        }
    }
    terms.iter().filter(|term| !term.trim().is_empty()).map(|term| parse_field(term)).collect()
}

fn parse_field(term: &str) -> Result<FieldTerm, Failure> {
    let (path, value, equal) = if let Some((path, value)) = term.split_once("!=") {
        (path, value, false)
    } else if let Some((path, value)) = term.split_once("==").or_else(|| term.split_once('=')) {
        (path, value, true)
    } else {
        return Err(Failure::bad_request(format!("invalid selector: '{term}'; can't understand '{term}'")));
    };
    Ok(FieldTerm { path: path.trim().to_string(), value: value.trim().to_string(), equal })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selects(labels: &str, fields: &str) -> bool {
        let object = json!({"metadata": {"name": "a", "namespace": "n", "labels": {"app": "web", "n": "3"}},
            "spec": {"host": "fermi", "n": 2}});
        Selection::parse(labels, fields).unwrap().matches(&Stored::new(&object, 1))
    }

    #[test]
    fn label_selectors_select_as_upstream_says() {
        for (labels, expected) in [
            ("", true),
            ("app=web", true),
            ("app==db", false),
            ("app!=db", true),
            ("other!=x", true),
            ("app in (db, web),n", true),
            ("app notin (web)", false),
            ("!app", false),
            ("!other", true),
            ("n>2", true),
            ("n<3", false),
        ] {
            assert_eq!(selects(labels, ""), expected, "{labels}");
        }
        assert!(Selection::parse("a b c", "").is_err());
        assert!(Selection::parse("app in web)", "").is_err());
    }

    #[test]
    fn field_selectors_compare_text() {
        assert!(selects("", "metadata.name=a,spec.host=fermi"));
        assert!(selects("", "spec.n=2"));
        assert!(selects("", "spec.missing="));
        assert!(!selects("", "metadata.namespace!=n"));
        assert!(Selection::parse("", "nonsense").is_err());
    }
}
