//! Laws over arbitrary values.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::compile;
use crate::apiserver::schema::Schema;

fn schema() -> Schema {
    compile(json!({"type": "object", "properties": {
        "a": {"type": "string", "default": "x"},
        "b": {"type": "object", "default": {}, "properties": {
            "a": {"type": "integer", "default": 1},
            "b": {"type": "array", "items": {"type": "object", "nullable": true, "properties": {"a": {"type": "string", "default": "y"}}}},
        }},
        "c": {"type": "object", "additionalProperties": {"type": "string", "default": "z"}},
        "d": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}},
    }}))
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..9i64).prop_map(Value::from),
        prop::sample::select(vec!["", "x", "ä"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name = prop::sample::select(vec!["a", "b", "c", "d", "metadata", "kind"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name, inner, 0..4).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect::<Map<_, _>>())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pruning_twice_is_pruning_once(value in values()) {
        let schema = schema();
        let mut once = value;
        schema.prune(&mut once, &mut Vec::new());
        let mut twice = once.clone();
        let mut report = Vec::new();
        schema.prune(&mut twice, &mut report);
        prop_assert_eq!(once, twice);
        prop_assert_eq!(report, Vec::<String>::new());
    }

    #[test]
    fn defaulting_twice_is_defaulting_once(value in values()) {
        let schema = schema();
        let mut once = value;
        schema.default(&mut once);
        let mut twice = once.clone();
        schema.default(&mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn a_value_is_never_worse_than_itself(value in values()) {
        prop_assert_eq!(schema().validate(&value, Some(&value), ""), Vec::new());
    }
}
