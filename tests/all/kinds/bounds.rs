//! For every bound in every definition an object that breaks it, and the server's word that it does, at that field.

use regatta::api::crds;
use serde_json::{Value, json};

use super::Kinds;

struct Breach {
    field: String,
    spec: Value,
    /// Any of these values there must be refused; a pattern says no to at least one.
    why: &'static str,
}

/// Wraps a value into the spec that has it at this place.
type Wrap<'a> = &'a dyn Fn(Value) -> Value;

fn breaches(schema: &Value, field: &str, wrap: Wrap<'_>, out: &mut Vec<Vec<Breach>>) {
    let mut breach = |why: &'static str, values: Vec<Value>| {
        out.push(values.into_iter().map(|v| Breach { field: field.to_owned(), spec: wrap(v), why }).collect());
    };
    let number = |key: &str| schema[key].as_f64().map(|n| n as i64);
    if let Some(max) = number("maxLength") {
        breach("maxLength", vec![json!("1".repeat(max as usize + 1))]);
    }
    if let Some(min) = number("minLength").filter(|min| *min > 0) {
        breach("minLength", vec![json!("1".repeat(min as usize - 1))]);
    }
    if schema["pattern"].is_string() {
        let odd = ["\u{0}", "\u{1}", " ", "", "-", "/", "ä", "x"];
        breach("pattern", odd.iter().map(|text| json!(text.repeat(number("minLength").unwrap_or(1).max(1) as usize))).collect());
    }
    if schema["enum"].is_array() {
        breach("enum", vec![json!("Nonsense")]);
    }
    if let Some(min) = number("minimum") {
        breach("minimum", vec![json!(min - 1)]);
    }
    if let Some(max) = number("maximum") {
        breach("maximum", vec![json!(max + 1)]);
    }
    if schema["type"] == "boolean" {
        breach("type", vec![json!("yes")]);
    }
    if let Some(max) = number("maxProperties").filter(|_| schema["additionalProperties"].is_object()) {
        let many: serde_json::Map<String, Value> = (0..=max).map(|i| (format!("k{i}"), json!("v"))).collect();
        breach("maxProperties", vec![Value::Object(many)]);
    }
    if schema["items"].is_object() {
        if let Some(max) = number("maxItems") {
            let item = if schema["items"]["type"] == "object" { json!({}) } else { json!("v") };
            breach("maxItems", vec![Value::Array(vec![item; max as usize + 1])]);
        }
        if number("minItems").is_some_and(|min| min > 0) {
            breach("minItems", vec![json!([])]);
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

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_every_kind_is_enforced_at_its_field() {
    let kinds = Kinds::start().await;
    let mut count = 0;
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        let definition = serde_json::to_value(&crd).unwrap();
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut all = Vec::new();
        breaches(schema, "spec", &|spec| spec, &mut all);
        for alternatives in all {
            let mut refused = false;
            let (mut at, mut said) = (String::new(), String::new());
            for Breach { field, spec, why } in alternatives {
                at = format!("{kind} {field} {why}");
                let object = json!({"apiVersion": "regatta.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec});
                let answer = kinds.create(&object, true).await;
                assert!([200, 422].contains(&answer.code), "{at}: {} {}", answer.code, answer.message);
                refused |= answer.causes.iter().any(|(at, _)| *at == field);
                said = format!("{:?}", answer.causes);
                if refused {
                    break;
                }
            }
            assert!(refused, "{at} is not enforced: {said}");
            count += 1;
        }
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
