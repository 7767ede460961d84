//! For every bound in every definition an object that breaks it, and the server's word that it does, at that field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{CRDS, Kinds};

/// A value that must be refused where it stands.
struct Breach {
    kind: &'static str,
    field: String,
    spec: Value,
}

/// Wraps a value into the spec that has it at this place.
type Wrap<'a> = &'a dyn Fn(Value) -> Value;

/// Characters that patterns say no to; each pattern to at least one of them.
const ODD: [&str; 8] = ["\u{0}", "\u{1}", " ", "", "-", "/", "ä", "x"];

fn breaches(schema: &Value, field: &str, wrap: Wrap<'_>, out: &mut Vec<Breach>) {
    let mut breach =
        |kind: &'static str, value: Value| out.push(Breach { kind, field: field.to_owned(), spec: wrap(value) });
    let number = |key: &str| schema[key].as_f64().map(|n| n as i64);
    if let Some(max) = number("maxLength") {
        breach("maxLength", json!("1".repeat(max as usize + 1)));
    }
    if let Some(min) = number("minLength").filter(|min| *min > 0) {
        breach("minLength", json!("1".repeat(min as usize - 1)));
    }
    if schema["pattern"].is_string() {
        let least = number("minLength").unwrap_or(1).max(1) as usize;
        for text in ODD {
            breach(text, json!(text.repeat(least)));
        }
    }
    if schema["enum"].is_array() {
        breach("enum", json!("Nonsense"));
    }
    if let Some(min) = number("minimum") {
        breach("minimum", json!(min - 1));
    }
    if let Some(max) = number("maximum") {
        breach("maximum", json!(max + 1));
    }
    if schema["type"] == "boolean" {
        breach("type", json!("yes"));
    }
    if let Some(max) = number("maxProperties").filter(|_| schema["additionalProperties"].is_object()) {
        let many: serde_json::Map<String, Value> = (0..=max).map(|i| (format!("k{i}"), json!("v"))).collect();
        breach("maxProperties", Value::Object(many));
    }
    if schema["items"].is_object() {
        if let Some(max) = number("maxItems") {
            let item = if schema["items"]["type"] == "object" { json!({}) } else { json!("v") };
            breach("maxItems", Value::Array(vec![item; max as usize + 1]));
        }
        if number("minItems").is_some_and(|min| min > 0) {
            breach("minItems", json!([]));
        }
        breaches(&schema["items"], &format!("{field}[0]"), &|v| wrap(json!([v])), out);
    }
    if schema["additionalProperties"].is_object() {
        breaches(&schema["additionalProperties"], &format!("{field}.k"), &|v| wrap(json!({"k": v})), out);
    }
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        breaches(child, &format!("{field}.{name}"), &|v| wrap(json!({name: v})), out);
    }
}

/// One spec with the values of both.
fn merge(into: &mut Value, other: Value) {
    match (into, other) {
        (Value::Object(fields), Value::Object(others)) => {
            for (name, value) in others {
                merge(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (Value::Array(items), Value::Array(others)) => {
            for (i, value) in others.into_iter().enumerate() {
                match items.get_mut(i) {
                    Some(item) => merge(item, value),
                    None => items.push(value),
                }
            }
        }
        (into, other) => *into = other,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_every_kind_is_enforced_at_its_field() {
    let kinds = Kinds::start().await;
    let mut count = 0;
    for crd in CRDS.iter() {
        let kind = &crd.spec.names.kind;
        let definition = serde_json::to_value(crd).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut all = Vec::new();
        breaches(schema, "spec", &|spec| spec, &mut all);
        // All that break the same bound go into one object: the server names each.
        let mut of_bound: BTreeMap<&str, (Value, Vec<String>)> = BTreeMap::new();
        for Breach { kind, field, spec } in all {
            let (whole, fields) = of_bound.entry(kind).or_default();
            merge(whole, spec);
            fields.push(field);
        }
        let mut patterns: BTreeMap<String, bool> = BTreeMap::new();
        for (bound, (spec, fields)) in of_bound {
            let object =
                json!({"apiVersion": "regatta.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec});
            let answer = kinds.create(&object, true).await;
            assert!([200, 422].contains(&answer.code), "{kind} {bound}: {} {}", answer.code, answer.message);
            let refused: BTreeSet<&str> = answer.causes.iter().map(|(field, _)| field.as_str()).collect();
            for field in fields {
                let is_refused = refused.contains(field.as_str());
                if ODD.contains(&bound) {
                    *patterns.entry(field).or_default() |= is_refused;
                } else {
                    assert!(is_refused, "{kind} {field}: {bound} is not enforced: {:?}", answer.causes);
                    count += 1;
                }
            }
        }
        let open: Vec<&String> = patterns.iter().filter(|(_, refused)| !**refused).map(|(field, _)| field).collect();
        assert!(open.is_empty(), "{kind}: patterns that refuse nothing: {open:?}");
        count += patterns.len();
    }
    // That so many are found shows that the walk finds them.
    assert!(count > 900, "only {count} bounds");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_strings_integers_or_booleans() {
    let kinds = Kinds::start().await;
    for (value, fits) in [
        (json!("opus"), true),
        (json!(7), true),
        (json!(true), true),
        (json!(0.5), false),
        (json!([]), false),
        (json!(["a"]), false),
        (json!({}), false),
        (json!({"a": 1}), false),
        (json!("x".repeat(4097)), false),
    ] {
        let object = json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "x"},
            "spec": {"options": {"model": value}},
        });
        let answer = kinds.create(&object, true).await;
        assert_eq!(answer.code == 200, fits, "{value}: {}", answer.message);
        assert!(fits || answer.causes.iter().any(|(field, _)| field == "spec.options.model"), "{:?}", answer.causes);
    }
}
