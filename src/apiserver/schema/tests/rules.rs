//! CEL rules: what they see, transition rules, ratcheting, messages, refusals at compile time, and the budget.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{compile, errors, lines, object, spec, try_compile, update_errors};
use crate::apiserver::schema::Schema;

/// `spec` with these properties and one rule.
fn ruled(properties: Value, rule: Value) -> Schema {
    compile(ruled_props(properties, rule))
}

fn ruled_props(properties: Value, rule: Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": properties, "x-kubernetes-validations": [rule]}}})
}

fn refusal(properties: Value, rule: Value) -> String {
    try_compile(ruled_props(properties, rule)).map(|_| ()).unwrap_err().to_string()
}

fn fields() -> Value {
    json!({
        "min": {"type": "integer"}, "max": {"type": "integer"}, "name": {"type": "string"},
        "items": {"type": "array", "maxItems": 100, "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "size": {"x-kubernetes-int-or-string": true},
        "when": {"type": "string", "format": "date-time"},
        "for-all": {"type": "string"}, "namespace": {"type": "string"},
        "ratio": {"type": "number"},
    })
}

#[test]
fn a_failed_rule_says_its_message_or_itself() {
    let schema = ruled(fields(), json!({"rule": "self.min <= self.max", "message": "min must not exceed max"}));
    assert_eq!(errors(&schema, json!({"min": 1, "max": 2})), Vec::<String>::new());
    assert_eq!(errors(&schema, json!({"min": 3, "max": 2})), ["spec: Invalid value: min must not exceed max"]);
    let plain = ruled(fields(), json!({"rule": "self.min > 0"}));
    assert_eq!(errors(&plain, json!({"min": 0})), ["spec: Invalid value: failed rule: self.min > 0"]);
}

#[test]
fn a_rule_on_a_scalar_shows_the_value() {
    let schema = spec(
        json!({"n": {"type": "integer", "x-kubernetes-validations": [{"rule": "self % 2 == 0", "message": "must be even"}]}}),
    );
    assert_eq!(errors(&schema, json!({"n": 3})), ["spec.n: Invalid value: 3: must be even"]);
}

#[test]
fn rules_see_values_in_their_types() {
    let rules = [
        ("has(self.name) && self.name.startsWith('a')", json!({"name": "abc"}), true),
        ("!has(self.name)", json!({}), true),
        ("self.items.all(i, i.n > 0)", json!({"items": [{"n": 1}, {"n": 2}]}), true),
        ("self.items.exists(i, i.n == 5)", json!({"items": [{"n": 1}]}), false),
        ("self.items.map(i, i.n).sum() == 3", json!({"items": [{"n": 1}, {"n": 2}]}), true),
        ("self.items.filter(i, i.n > 1).size() == 1", json!({"items": [{"n": 1}, {"n": 2}]}), true),
        ("self.labels.all(k, k.size() < 4)", json!({"labels": {"a-b": "x"}}), true),
        ("'a-b' in self.labels", json!({"labels": {"a-b": "x"}}), true),
        ("self.labels['a-b'] == 'x'", json!({"labels": {"a-b": "x"}}), true),
        ("self.when > timestamp('2025-01-01T00:00:00Z')", json!({"when": "2026-01-01T00:00:00Z"}), true),
        ("self.for__dash__all == self.__namespace__", json!({"for-all": "x", "namespace": "x"}), true),
        ("self.name.matches('^[a-z]+$')", json!({"name": "abc"}), true),
        ("self.name.matches('^[a-z]+$')", json!({"name": "ab1"}), false),
        ("self.ratio < 1.5", json!({"ratio": 1}), true),
        ("self.name.find('[0-9]+') == '12'", json!({"name": "a12"}), true),
        ("sets.contains(['a', 'b'], [self.name])", json!({"name": "a"}), true),
        ("quantity(self.name).isLessThan(quantity('1Gi'))", json!({"name": "500Mi"}), true),
        ("dyn(self.size) == 5", json!({"size": 5}), true),
        ("isURL(self.name) && url(self.name).getScheme() == 'https'", json!({"name": "https://a.b"}), true),
    ];
    for (rule, value, holds) in rules {
        let found = errors(&ruled(fields(), json!({"rule": rule, "message": "no"})), value);
        let expected: &[&str] = if holds { &[] } else { &["spec: Invalid value: no"] };
        assert_eq!(found, expected, "{rule}");
    }
}

#[test]
fn transition_rules_run_on_updates_only() {
    let schema = ruled(fields(), json!({"rule": "self.name == oldSelf.name", "message": "name is immutable"}));
    assert_eq!(errors(&schema, json!({"name": "a"})), Vec::<String>::new());
    assert_eq!(update_errors(&schema, json!({"name": "a"}), json!({"name": "a", "min": 1})), Vec::<String>::new());
    assert_eq!(
        update_errors(&schema, json!({"name": "a"}), json!({"name": "b"})),
        ["spec: Invalid value: name is immutable"]
    );
}

#[test]
fn a_write_once_field_is_guarded_at_its_parent() {
    let schema = ruled(
        fields(),
        json!({"rule": "!has(oldSelf.name) || (has(self.name) && self.name == oldSelf.name)", "message": "write-once"}),
    );
    assert_eq!(update_errors(&schema, json!({}), json!({"name": "a"})), Vec::<String>::new());
    assert_eq!(update_errors(&schema, json!({"name": "a"}), json!({})), ["spec: Invalid value: write-once"]);
}

#[test]
fn items_of_a_list_map_are_compared_with_their_former_selves() {
    let item = json!({"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer"}},
        "x-kubernetes-validations": [{"rule": "self.v >= oldSelf.v", "message": "must not shrink"}]});
    let schema = spec(
        json!({"l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item}}),
    );
    let old = json!({"l": [{"k": "a", "v": 5}, {"k": "b", "v": 1}]});
    assert_eq!(
        update_errors(&schema, old.clone(), json!({"l": [{"k": "b", "v": 2}, {"k": "a", "v": 5}, {"k": "c", "v": 0}]})),
        Vec::<String>::new()
    );
    assert_eq!(
        update_errors(&schema, old, json!({"l": [{"k": "b", "v": 0}]})),
        ["spec.l[0]: Invalid value: must not shrink"]
    );
}

#[test]
fn an_optional_old_self_lets_a_rule_run_on_creation() {
    let schema = spec(json!({"n": {"type": "integer", "x-kubernetes-validations": [
        {"rule": "!oldSelf.hasValue() || oldSelf.value() <= self", "optionalOldSelf": true, "message": "must grow"}]}}));
    assert_eq!(errors(&schema, json!({"n": 1})), Vec::<String>::new());
    assert_eq!(update_errors(&schema, json!({"n": 2}), json!({"n": 1})), ["spec.n: Invalid value: 1: must grow"]);
    assert_eq!(update_errors(&schema, json!({"n": 2}), json!({"n": 3})), Vec::<String>::new());
}

#[test]
fn an_unchanged_value_may_go_on_breaking_a_rule_but_not_a_transition_rule() {
    let schema = spec(
        json!({"a": {"type": "object", "properties": {"n": {"type": "integer"}}, "x-kubernetes-validations": [{"rule": "self.n > 5", "message": "too small"}]}, "b": {"type": "string"}}),
    );
    assert_eq!(update_errors(&schema, json!({"a": {"n": 1}}), json!({"a": {"n": 1}, "b": "x"})), Vec::<String>::new());
    assert_eq!(
        update_errors(&schema, json!({"a": {"n": 1}}), json!({"a": {"n": 2}})),
        ["spec.a: Invalid value: too small"]
    );
    let transition = ruled(fields(), json!({"rule": "self.min > oldSelf.min", "message": "must grow"}));
    assert_eq!(update_errors(&transition, json!({"min": 1}), json!({"min": 1})), ["spec: Invalid value: must grow"]);
}

#[test]
fn messages_reasons_and_field_paths_are_the_rules_own() {
    let rule = |more: Value| {
        let mut rule = json!({"rule": "self.min > 0", "message": "fixed"});
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ruled(fields(), rule)
    };
    let found = |schema: &Schema| {
        let error = schema.validate(&object(json!({"min": 0, "labels": {"a.b": "1"}})), None, "").remove(0);
        format!("{} {}: {}", error.reason, error.field, error.message)
    };
    assert_eq!(
        found(&rule(json!({"messageExpression": "'min is ' + string(self.min)"}))),
        "FieldValueInvalid spec: Invalid value: min is 0"
    );
    assert_eq!(
        found(&rule(json!({"messageExpression": "self.labels['nope']"}))),
        "FieldValueInvalid spec: Invalid value: fixed"
    );
    assert_eq!(found(&rule(json!({"messageExpression": "'  '"}))), "FieldValueInvalid spec: Invalid value: fixed");
    assert_eq!(found(&rule(json!({"reason": "FieldValueForbidden"}))), "FieldValueForbidden spec: Forbidden: fixed");
    assert_eq!(
        found(&rule(json!({"reason": "FieldValueRequired", "fieldPath": ".max"}))),
        "FieldValueRequired spec.max: Required value: fixed"
    );
    assert_eq!(
        found(&rule(json!({"fieldPath": ".labels['a.b']"}))),
        "FieldValueInvalid spec.labels[a.b]: Invalid value: fixed"
    );
}

#[test]
fn rules_at_the_root_see_the_objects_name() {
    let schema = compile(
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "x-kubernetes-validations": [{"rule": "self.metadata.name == 'x' && self.kind == 'T' && self.spec.n > 0"}]}),
    );
    assert_eq!(errors(&schema, json!({"n": 1})), Vec::<String>::new());
    assert_eq!(errors(&schema, json!({"n": 0})).len(), 1);
}

#[test]
fn rules_are_not_run_on_values_of_the_wrong_type() {
    let schema = ruled(fields(), json!({"rule": "self.min > 0"}));
    let found = errors(&schema, json!({"min": "x"}));
    assert_eq!(found.len(), 2);
    assert!(found[1].starts_with("<nil>: Invalid value: null: some validation rules were not checked"));
}

#[test]
fn a_rule_that_fails_to_evaluate_says_why() {
    let schema = ruled(fields(), json!({"rule": "self.min > 0", "message": "m"}));
    assert_eq!(errors(&schema, json!({})), ["spec: Invalid value: \"object\": no such key: min evaluating rule: m"]);
}

#[test]
fn rules_that_cannot_work_are_refused_with_the_schema() {
    let cases = [
        (json!({"rule": "self.nope > 0"}), "rule: compilation failed: undefined field 'nope'"),
        (json!({"rule": "self.items.all(i, i.nope > 0)"}), "rule: compilation failed: undefined field 'nope'"),
        (json!({"rule": "other > 0"}), "rule: compilation failed: undeclared reference to 'other'"),
        (json!({"rule": "self.name.frobnicate()"}), "rule: compilation failed: undeclared reference to 'frobnicate'"),
        (json!({"rule": "self.min >"}), "rule: compilation failed"),
        (json!({"rule": " "}), "rule: rule is not specified"),
        (json!({"rule": "true", "fieldPath": ".nope"}), "fieldPath: fieldPath must be a valid path"),
        (json!({"rule": "true", "reason": "Because"}), "reason: Unsupported value"),
        (
            json!({"rule": "true", "messageExpression": "self.nope"}),
            "messageExpression: messageExpression compilation failed",
        ),
        (json!({"rule": "true\n&& true"}), "message: message must be specified if rule contains line breaks"),
        (json!({"rule": "self.min > 0", "optionalOldSelf": true}), "optionalOldSelf: may not be set"),
        (json!({"rule": "Foo{a: 1} == self"}), "rule: compilation failed"),
    ];
    for (rule, expected) in cases {
        let found = refusal(fields(), rule.clone());
        let expected = format!("openAPIV3Schema.properties[spec].x-kubernetes-validations[0].{expected}");
        assert!(found.starts_with(&expected), "{rule}: {found}");
    }
}

#[test]
fn a_transition_rule_below_an_uncorrelatable_list_is_refused() {
    let props = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "integer",
        "x-kubernetes-validations": [{"rule": "self == oldSelf"}]}}}}}});
    assert!(try_compile(props).map(|_| ()).unwrap_err().to_string().contains("uncorrelatable"));
}

#[test]
fn long_and_deep_expressions_are_refused_or_run_without_using_up_the_stack() {
    for (count, refused) in [(15, false), (45, false), (2000, true)] {
        let repeat = |text: &str| text.repeat(count);
        for rule in [
            format!("{}true{}", repeat("("), repeat(")")),
            format!("self.min{} > 0", repeat(" + 1")),
            format!("self.name{} == 'x'", repeat(".trim()")),
            format!("{}[]{} != []", repeat("["), repeat("]")),
        ] {
            let found = try_compile(ruled_props(fields(), json!({"rule": rule, "message": "m"})));
            match found {
                Ok(schema) => {
                    assert_eq!(errors(&schema, json!({"min": 1, "name": "x"})), Vec::<String>::new(), "{rule}")
                }
                Err(error) => assert!(refused, "{error}"),
            }
        }
    }
    for rule in ["true ? true : ".repeat(150) + "true", "self.min > 0 || ".repeat(2000) + "true"] {
        assert!(refusal(fields(), json!({"rule": rule})).contains("compilation failed"));
    }
}

#[test]
fn an_endless_evaluation_ends_over_budget() {
    let list = json!({"type": "array", "items": {"type": "integer"}});
    for rule in [
        "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))",
        "self.l.map(a, self.l.map(b, self.l.map(c, a))).size() >= 0",
        "lists.range(100000000).size() > 0",
        "lists.range(1000).map(a, lists.range(1000)).flatten().distinct().size() > 0",
        "self.s.replace('', self.s).replace('', self.s).replace('', self.s).size() > 0",
    ] {
        let schema = ruled(json!({"l": list, "s": {"type": "string"}}), json!({"rule": rule, "message": "m"}));
        let value = json!({"l": (0..300).collect::<Vec<i32>>(), "s": "x".repeat(2000)});
        let started = Instant::now();
        let found = errors(&schema, value);
        assert_eq!(found.len(), 1, "{rule}: {found:?}");
        assert!(found[0].contains("cost limit exceeded"), "{rule}: {found:?}");
        assert!(started.elapsed() < Duration::from_secs(60), "{rule}: {:?}", started.elapsed());
    }
}

#[test]
fn a_budget_used_up_by_one_rule_stops_the_others() {
    let expensive = json!({"rule": "self.l.all(a, self.l.all(b, self.l.all(c, a + b + c >= 0)))", "message": "m"});
    let schema = compile(
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"l": {"type": "array", "items": {"type": "integer"}}},
        "x-kubernetes-validations": [expensive, {"rule": "false", "message": "never reached"}]}}}),
    );
    let found = lines(&schema.validate(&object(json!({"l": (0..300).collect::<Vec<i32>>()})), None, ""));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn uniqueness_over_a_hundred_items_is_affordable() {
    let schema = ruled(fields(), json!({"rule": "self.items.all(a, self.items.exists_one(b, a.n == b.n))"}));
    let items: Vec<Value> = (0..100).map(|n| json!({"n": n})).collect();
    assert_eq!(errors(&schema, json!({"items": items})), Vec::<String>::new());
}
