//! Types, limits, formats, combinations, uniqueness, ratcheting, pruning, defaulting, and what schemas are refused.

use serde_json::{Value, json};

use super::{compile, errors, lines, object, spec, try_compile, update_errors};
use crate::apiserver::schema::Schema;

/// One property `v`, values for it, and the one error each gives (none: empty).
fn table(property: Value, cases: &[(Value, &str)]) {
    let schema = spec(json!({"v": property}));
    for (value, expected) in cases {
        let found = errors(&schema, json!({"v": value}));
        let expected: Vec<&str> = if expected.is_empty() { vec![] } else { vec![*expected] };
        assert_eq!(found, expected, "{value}");
    }
}

#[test]
fn types_are_checked_and_named() {
    let wrong = |found: &str, expected: &str| {
        format!("spec.v: Invalid value: \"{found}\": spec.v in body must be of type {expected}: \"{found}\"")
    };
    table(
        json!({"type": "string"}),
        &[(json!("a"), ""), (json!(1), &wrong("integer", "string")), (json!(null), &wrong("null", "string"))],
    );
    table(
        json!({"type": "integer"}),
        &[
            (json!(1), ""),
            (json!(1.0), ""),
            (json!(1.5), &wrong("number", "integer")),
            (json!("1"), &wrong("string", "integer")),
        ],
    );
    table(json!({"type": "number"}), &[(json!(1), ""), (json!(1.5), ""), (json!(true), &wrong("boolean", "number"))]);
    table(json!({"type": "boolean"}), &[(json!(true), ""), (json!("true"), &wrong("string", "boolean"))]);
    table(json!({"type": "object"}), &[(json!({}), ""), (json!([]), &wrong("array", "object"))]);
    table(
        json!({"type": "array", "items": {"type": "string"}}),
        &[(json!([]), ""), (json!({}), &wrong("object", "array"))],
    );
}

#[test]
fn a_nullable_field_may_be_null_and_an_int_or_string_either() {
    table(json!({"type": "string", "nullable": true}), &[(json!(null), ""), (json!("a"), "")]);
    table(
        json!({"x-kubernetes-int-or-string": true}),
        &[
            (json!(1), ""),
            (json!("50%"), ""),
            (
                json!(true),
                "spec.v: Invalid value: \"boolean\": spec.v in body must be of type integer,string: \"boolean\"",
            ),
        ],
    );
}

#[test]
fn numbers_are_bounded() {
    table(
        json!({"type": "integer", "minimum": 1, "maximum": 5, "multipleOf": 1}),
        &[
            (json!(1), ""),
            (json!(5), ""),
            (json!(0), "spec.v: Invalid value: 0: spec.v in body should be greater than or equal to 1"),
            (json!(6), "spec.v: Invalid value: 6: spec.v in body should be less than or equal to 5"),
        ],
    );
    table(
        json!({"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 1, "exclusiveMaximum": true}),
        &[
            (json!(0.5), ""),
            (json!(0), "spec.v: Invalid value: 0: spec.v in body should be greater than 0"),
            (json!(1), "spec.v: Invalid value: 1: spec.v in body should be less than 1"),
        ],
    );
    table(
        json!({"type": "integer", "multipleOf": 3}),
        &[(json!(9), ""), (json!(10), "spec.v: Invalid value: 10: spec.v in body should be a multiple of 3")],
    );
    table(
        json!({"type": "integer", "format": "int32"}),
        &[
            (json!(2147483647), ""),
            (
                json!(2147483648u64),
                "<nil>: Invalid value: \"\": Checked value must be of type integer with format int32 in spec.v",
            ),
        ],
    );
}

#[test]
fn big_integers_are_compared_exactly() {
    table(
        json!({"type": "integer", "maximum": 9007199254740992i64}),
        &[
            (json!(9007199254740992i64), ""),
            (
                json!(9007199254740993i64),
                "spec.v: Invalid value: 9007199254740993: spec.v in body should be less than or equal to 9007199254740992",
            ),
        ],
    );
}

#[test]
fn strings_are_measured_in_characters_and_matched() {
    table(
        json!({"type": "string", "minLength": 2, "maxLength": 3}),
        &[
            (json!("äöü"), ""),
            (json!("a"), "spec.v: Invalid value: \"a\": spec.v in body should be at least 2 chars long"),
            (json!("abcd"), "spec.v: Too long: may not be more than 3 bytes"),
        ],
    );
    table(
        json!({"type": "string", "pattern": "^a$"}),
        &[(json!("a"), ""), (json!("x"), "spec.v: Invalid value: \"x\": spec.v in body should match '^a$'")],
    );
    table(
        json!({"type": "string", "format": "date-time"}),
        &[
            (json!("2026-01-01T00:00:00Z"), ""),
            (json!("soon"), "spec.v: Invalid value: \"soon\": spec.v in body must be of type date-time: \"soon\""),
        ],
    );
}

#[test]
fn enums_name_what_is_supported() {
    table(
        json!({"type": "string", "enum": ["A", "B"]}),
        &[(json!("A"), ""), (json!("C"), "spec.v: Unsupported value: \"C\": supported values: \"A\", \"B\"")],
    );
    table(
        json!({"type": "integer", "enum": [1, 2]}),
        &[(json!(2), ""), (json!(3), "spec.v: Unsupported value: 3: supported values: \"1\", \"2\"")],
    );
}

#[test]
fn lists_and_maps_are_counted() {
    table(
        json!({"type": "array", "minItems": 1, "maxItems": 2, "items": {"type": "integer"}}),
        &[
            (json!([1]), ""),
            (json!([]), "spec.v: Invalid value: 0: spec.v in body should have at least 1 items"),
            (json!([1, 2, 3]), "spec.v: Too many: 3: must have at most 2 items"),
        ],
    );
    table(
        json!({"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "string"}}),
        &[
            (json!({"a": "1"}), ""),
            (json!({}), "spec.v: Invalid value: 0: spec.v in body should have at least 1 properties"),
            (json!({"a": "1", "b": "2"}), "spec.v: Too many: 2: must have at most 1 item"),
        ],
    );
}

#[test]
fn missing_fields_are_required_where_they_belong() {
    let schema = compile(
        json!({"type": "object", "required": ["spec"], "properties": {"spec": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}}}),
    );
    assert_eq!(lines(&schema.validate(&object(json!({})), None, "")), ["spec.a: Required value"]);
    assert_eq!(lines(&schema.validate(&json!({"metadata": {}}), None, "")), ["spec: Required value"]);
}

#[test]
fn paths_lead_through_lists_and_maps() {
    let schema = spec(json!({
        "l": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "integer"}},
    }));
    let found = errors(&schema, json!({"l": [{"n": 1}, {"n": "x"}], "m": {"k": "x"}}));
    assert!(found[0].starts_with("spec.l[1].n: "), "{found:?}");
    assert!(found[1].starts_with("spec.m.k: "), "{found:?}");
}

#[test]
fn reasons_are_those_of_status_causes() {
    let schema = spec(
        json!({"a": {"type": "string", "enum": ["x"]}, "b": {"type": "integer"}, "c": {"type": "string", "maxLength": 1}}),
    );
    let found = schema.validate(&object(json!({"a": "y", "b": "z", "c": "long"})), None, "");
    let reasons: Vec<&str> = found.iter().map(|error| error.reason).collect();
    assert_eq!(reasons, ["FieldValueNotSupported", "FieldValueTypeInvalid", "FieldValueTooLong"]);
}

#[test]
fn combinations_of_schemas_hold() {
    let schema = spec(json!({
        "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "any": {"type": "string", "anyOf": [{"pattern": "^a"}, {"pattern": "^b"}]},
        "all": {"type": "integer", "allOf": [{"minimum": 1}, {"maximum": 3}]},
        "not": {"type": "string", "not": {"enum": ["x"]}},
        "size": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
    }));
    assert_eq!(
        errors(&schema, json!({"one": {"a": "1"}, "any": "bb", "all": 2, "not": "y", "size": 1})),
        Vec::<String>::new()
    );
    let none = errors(&schema, json!({"one": {}}));
    assert_eq!(
        none[0],
        "<nil>: Invalid value: \"\": \"spec.one\" must validate one and only one schema (oneOf). Found none valid"
    );
    let both = errors(&schema, json!({"one": {"a": "1", "b": "2"}}));
    assert_eq!(
        both,
        [
            "<nil>: Invalid value: \"\": \"spec.one\" must validate one and only one schema (oneOf). Found 2 valid alternatives"
        ]
    );
    assert!(errors(&schema, json!({"any": "c"}))[0].contains("must validate at least one schema (anyOf)"));
    let all = errors(&schema, json!({"all": 4}));
    assert_eq!(all[0], "spec.all: Invalid value: 4: spec.all in body should be less than or equal to 3");
    assert!(all[1].contains("must validate all the schemas (allOf)"));
    assert!(errors(&schema, json!({"not": "x"}))[0].contains("must not validate the schema (not)"));
    assert_eq!(errors(&schema, json!({"size": "1"})), Vec::<String>::new());
}

#[test]
fn sets_and_list_maps_hold_no_item_twice() {
    let schema = spec(json!({
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}}},
    }));
    let found = errors(&schema, json!({"set": ["a", "b", "a", "a"], "map": [{"k": "x"}, {"k": "x"}]}));
    assert_eq!(found, ["spec.map[1]: Duplicate value: {\"k\":\"x\"}", "spec.set[2]: Duplicate value: \"a\""]);
    let old = json!({"set": ["a", "a"]});
    assert_eq!(update_errors(&schema, old, json!({"set": ["b", "b"]})), Vec::<String>::new());
}

#[test]
fn unchanged_values_that_were_invalid_already_pass() {
    let schema = spec(json!({"a": {"type": "string", "maxLength": 1}, "b": {"type": "integer", "maximum": 1},
        "l": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {"type": "object", "required": ["k"],
            "properties": {"k": {"type": "string"}, "v": {"type": "integer", "maximum": 1}}}}}));
    assert_eq!(
        update_errors(&schema, json!({"a": "long", "b": 0}), json!({"a": "long", "b": 1})),
        Vec::<String>::new()
    );
    assert_eq!(
        update_errors(&schema, json!({"a": "long"}), json!({"a": "longer"})),
        ["spec.a: Too long: may not be more than 1 byte"]
    );
    let old = json!({"l": [{"k": "x", "v": 9}]});
    assert_eq!(
        update_errors(&schema, old.clone(), json!({"l": [{"k": "y", "v": 1}, {"k": "x", "v": 9}]})),
        Vec::<String>::new()
    );
    assert_eq!(update_errors(&schema, old, json!({"l": [{"k": "y", "v": 9}]})).len(), 1);
}

#[test]
fn metadata_is_typed_by_the_server_in_any_schema() {
    let schema = spec(json!({}));
    let found = lines(&schema.validate(&json!({"metadata": {"labels": {"a": 1}}}), None, ""));
    assert_eq!(
        found,
        [
            "metadata.labels.a: Invalid value: \"integer\": metadata.labels.a in body must be of type string: \"integer\""
        ]
    );
}

#[test]
fn an_embedded_resource_names_its_type() {
    let schema = spec(
        json!({"t": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true}}),
    );
    assert_eq!(errors(&schema, json!({"t": {}})), ["spec.t.apiVersion: Required value", "spec.t.kind: Required value"]);
    assert_eq!(errors(&schema, json!({"t": {"apiVersion": "v1", "kind": "X", "any": 1}})), Vec::<String>::new());
}

#[test]
fn unknown_fields_are_removed_and_reported_with_their_paths() {
    let schema = spec(json!({
        "a": {"type": "string"},
        "l": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "string"}}}},
        "m": {"type": "object", "additionalProperties": {"type": "object", "properties": {"x": {"type": "string"}}}},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "object", "properties": {"x": {"type": "string"}}}}},
    }));
    let mut value = object(json!({"a": "1", "foo": 1, "l": [{"n": "1", "q": 1}], "m": {"k": {"x": "1", "y": 1}},
        "free": {"any": {"z": 1}, "known": {"x": "1", "y": 1}}}));
    value["extra"] = json!(1);
    value["metadata"]["wrong"] = json!(1);
    let mut report = Vec::new();
    schema.prune(&mut value, &mut report);
    assert_eq!(
        report,
        [
            "unknown field \"extra\"",
            "unknown field \"metadata.wrong\"",
            "unknown field \"spec.foo\"",
            "unknown field \"spec.free.known.y\"",
            "unknown field \"spec.l[0].q\"",
            "unknown field \"spec.m.k.y\"",
        ]
    );
    assert_eq!(
        value,
        object(
            json!({"a": "1", "l": [{"n": "1"}], "m": {"k": {"x": "1"}}, "free": {"any": {"z": 1}, "known": {"x": "1"}}})
        )
    );
}

#[test]
fn built_in_kinds_keep_everything() {
    let mut value =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}, "more": [1]});
    let before = value.clone();
    let mut report = Vec::new();
    let schema = Schema::builtin("ConfigMap");
    schema.prune(&mut value, &mut report);
    schema.default(&mut value);
    assert_eq!((value, report.len()), (before.clone(), 0));
    assert_eq!(lines(&schema.validate(&before, None, "")), Vec::<String>::new());
}

#[test]
fn defaults_fill_in_what_is_missing_at_every_level() {
    let schema = spec(json!({
        "a": {"type": "string", "default": "x"},
        "n": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 7}}},
        "m": {"type": "object", "properties": {"c": {"type": "integer", "default": 8}}},
        "l": {"type": "array", "items": {"type": "object", "properties": {"d": {"type": "boolean", "default": true}}}},
    }));
    let mut value = object(json!({"l": [{}, {"d": false}]}));
    schema.default(&mut value);
    assert_eq!(value["spec"], json!({"a": "x", "n": {"b": 7}, "l": [{"d": true}, {"d": false}]}));
}

#[test]
fn a_null_is_kept_defaulted_or_dropped_as_the_schema_says() {
    let schema = spec(json!({
        "kept": {"type": "string", "nullable": true, "default": "x"},
        "filled": {"type": "string", "default": "x"},
        "dropped": {"type": "string"},
        "map": {"type": "object", "additionalProperties": {"type": "string", "default": "y"}},
    }));
    let mut value = object(json!({"kept": null, "filled": null, "dropped": null, "map": {"k": null}}));
    schema.default(&mut value);
    assert_eq!(value["spec"], json!({"kept": null, "filled": "x", "map": {"k": "y"}}));
}

#[test]
fn what_is_not_structural_is_refused_with_its_place() {
    let cases = [
        (json!({"type": "string"}), "openAPIV3Schema.type: must be object at the root"),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            "openAPIV3Schema.properties[a].type: must not be empty for specified object fields",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array"}}}),
            "openAPIV3Schema.properties[a].items: must be specified",
        ),
        (json!({"type": "object", "$ref": "#/x"}), "openAPIV3Schema.$ref: is forbidden in a structural schema"),
        (
            json!({"type": "object", "anyOf": [{"type": "object"}]}),
            "openAPIV3Schema.anyOf[0].type: must be empty to be structural",
        ),
        (
            json!({"type": "object", "allOf": [{"properties": {"a": {"default": 1}}}]}),
            "openAPIV3Schema.allOf[0].properties[a].default: must be undefined to be structural",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}),
            "openAPIV3Schema.properties[a].default: must validate: Invalid value: \"string\":  in body must be of type integer: \"string\"",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map"}}}),
            "openAPIV3Schema.properties[a].x-kubernetes-list-map-keys: must not be empty if x-kubernetes-list-type is map",
        ),
    ];
    for (props, expected) in cases {
        assert_eq!(try_compile(props).map(|_| ()).unwrap_err().to_string(), expected);
    }
    let bad =
        try_compile(json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}})).unwrap_err();
    assert!(bad.to_string().starts_with("openAPIV3Schema.properties[a].pattern: must be a valid regular expression"));
}

#[test]
fn very_deep_values_are_refused_without_using_up_the_stack() {
    let schema = compile(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true,
        "properties": {"spec": {"type": "object", "additionalProperties": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}));
    let mut deep =
        (0..1000).fold(json!({}), |below, _| Value::Object([("spec".to_owned(), below)].into_iter().collect()));
    schema.default(&mut deep);
    schema.prune(&mut deep, &mut Vec::new());
    assert!(lines(&schema.validate(&deep, None, "")).iter().any(|line| line.contains("nested deeper than 128 levels")));
}

#[test]
fn the_projects_own_crd_schemas_of_common_shape_compile() {
    let conditions = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"], "maxItems": 32,
        "items": {"type": "object", "required": ["type", "status"], "properties": {
            "type": {"type": "string"}, "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "lastTransitionTime": {"type": "string", "format": "date-time"}, "observedGeneration": {"type": "integer", "format": "int64"}}}});
    let schema = compile(
        json!({"type": "object", "properties": {"status": {"type": "object", "nullable": true, "properties": {"conditions": conditions}}}}),
    );
    let value = json!({"status": {"conditions": [{"type": "Ready", "status": "Maybe"}]}});
    assert_eq!(
        lines(&schema.validate(&value, None, "")),
        [
            "status.conditions[0].status: Unsupported value: \"Maybe\": supported values: \"True\", \"False\", \"Unknown\""
        ]
    );
}

#[test]
fn every_kind_of_the_project_compiles_with_its_rules() {
    for crd in crate::api::crds() {
        for version in crd.spec.versions {
            let props = version.schema.and_then(|schema| schema.open_api_v3_schema).unwrap();
            if let Err(error) = Schema::from_crd(&props) {
                panic!("{} {}: {error}", crd.spec.names.kind, version.name);
            }
        }
    }
}
