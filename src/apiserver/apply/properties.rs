//! Laws of apply over arbitrary configurations.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::tests::World;

fn configurations() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["x", "y", "z"]);
    let labels = prop::collection::btree_map(word.clone(), word.clone(), 0..3);
    let set = prop::collection::btree_set(word.clone(), 0..3);
    let env = prop::collection::btree_map(word.clone(), prop::option::of(word.clone()), 0..3);
    let ports = prop::collection::btree_set((1..4u8, prop::bool::ANY), 0..3);
    (
        prop::option::of(1..3i64),
        prop::option::of(labels),
        prop::option::of(set),
        prop::option::of(env),
        prop::option::of(ports),
        prop::option::of(prop::collection::vec(word.clone(), 0..3)),
        prop::option::of(word),
    )
        .prop_map(|(replicas, labels, set, env, ports, list, nested)| {
            let mut spec = Map::new();
            let mut put = |name: &str, value: Option<Value>| value.map(|value| spec.insert(name.to_owned(), value));
            put("replicas", replicas.map(Value::from));
            put("atomicMap", labels.clone().map(|labels| json!(labels)));
            put("labels", labels.map(|labels| json!(labels)));
            put("set", set.map(|set| json!(set)));
            put(
                "env",
                env.map(|env| {
                    let item = |(name, value): (&str, Option<&str>)| match value {
                        Some(value) => json!({"name": name, "value": value}),
                        None => json!({"name": name}),
                    };
                    env.into_iter().map(item).collect()
                }),
            );
            put(
                "ports",
                ports.map(|ports| {
                    let item = |(port, udp)| json!({"port": port, "protocol": if udp { "UDP" } else { "TCP" }});
                    ports.into_iter().map(item).collect()
                }),
            );
            put("list", list.map(|list| json!(list)));
            put("nested", nested.map(|word| json!({"a": word, "inner": {"b": word}})));
            Value::Object(spec)
        })
}

/// Specs made mostly of empty containers.
fn sparse() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec!["x", "y"]);
    let leaf = prop_oneof![Just(json!({})), word.clone().prop_map(|word| json!({"b": word}))];
    let nested = prop_oneof![
        Just(json!({})),
        leaf.clone().prop_map(|inner| json!({"inner": inner})),
        word.clone().prop_map(|word| json!({"a": word})),
    ];
    let env = prop_oneof![
        Just(json!([])),
        Just(json!([{"name": "n"}])),
        Just(json!([{"name": "n", "from": {}}])),
        Just(json!([{"name": "n", "from": {"key": "k"}}, {"name": "m", "value": "v"}])),
    ];
    let labels = prop_oneof![Just(json!({})), word.prop_map(|word| json!({word: "1"}))];
    let free = prop_oneof![Just(json!({})), leaf.prop_map(|leaf| json!({"deep": leaf, "list": []}))];
    let optional = |strategy: BoxedStrategy<Value>| prop::option::weighted(0.3, strategy);
    let set = prop_oneof![Just(json!([])), Just(json!(["s"]))];
    (
        optional(nested.boxed()),
        optional(env.boxed()),
        optional(labels.clone().boxed()),
        optional(labels.boxed()),
        optional(free.boxed()),
        optional(set.boxed()),
    )
        .prop_map(|(nested, env, labels, atomic, free, set)| {
            let fields = [
                ("nested", nested),
                ("env", env),
                ("labels", labels),
                ("atomicMap", atomic),
                ("free", free),
                ("set", set),
            ];
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
}

/// Whether every field of `part` is in `whole`; an item of a list may stand anywhere.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        (whole, part) => whole == part,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn applying_twice_is_applying_once(first in configurations(), second in configurations()) {
        let mut world = World::new();
        world.force("a", first).force("b", second.clone());
        let once = world.object().clone();
        world.force("b", second);
        prop_assert_eq!(world.object(), &once);
    }

    #[test]
    fn what_was_applied_is_there(live in configurations(), config in configurations()) {
        let mut world = World::new();
        world.force("a", live).force("b", config.clone());
        for (name, value) in config.as_object().unwrap() {
            let found = &world.spec()[name];
            match (value, found) {
                (Value::Object(wanted), Value::Object(found)) => {
                    prop_assert!(wanted.iter().all(|(key, value)| found.contains_key(key) && (value.is_object() || found[key] == *value)));
                }
                (Value::Array(wanted), Value::Array(found)) => prop_assert!(found.len() >= wanted.len()),
                (wanted, found) => prop_assert_eq!(wanted, found),
            }
        }
    }

    /// Containers without content are the delicate part, so here are many of them, a spec without anything included.
    #[test]
    fn whatever_was_before_every_field_applied_is_there_and_stays(
        writes in prop::collection::vec((0..4u8, sparse()), 1..6),
        config in sparse(),
    ) {
        let mut world = World::new();
        for (who, spec) in writes {
            match who {
                0 => world.force("a", spec),
                1 => world.force("b", spec),
                2 => world.update("c", |object| object["spec"] = spec),
                _ => world.update_through("a", "status", |object| object["status"] = json!({"phase": spec.to_string()})),
            };
        }
        world.force("b", config.clone());
        prop_assert!(contains(world.spec(), &config), "{} lacks some of {config}", world.object());
        let once = world.object().clone();
        world.force("b", config);
        prop_assert_eq!(world.object(), &once);
    }

    #[test]
    fn coming_and_going_leaves_the_rest_as_it_was(base in configurations(), guest in configurations()) {
        let mut world = World::new();
        world.force("a", base);
        let before = world.spec().clone();
        let Ok(with_guest) = world.try_apply("b", "", &super::tests::with_spec(guest), false) else {
            // They disagree: nothing happens at all.
            return Ok(());
        };
        world.live = Some(with_guest);
        let gone = json!({"apiVersion": "t/v1", "kind": "T", "metadata": {"name": "x", "namespace": "default"}});
        world.live = Some(world.try_apply("b", "", &gone, false).unwrap());
        // A spec in which nobody owned anything goes with the guest.
        let empty = json!({});
        let after = world.object().get("spec").unwrap_or(&empty);
        prop_assert_eq!(without_empties(after), without_empties(&before));
        prop_assert!(!world.owners().contains("Apply b"), "{}", world.owners());
    }
}

/// Order in sets and list maps may differ after a visit, and so may empty containers, which nobody owns the inside of.
fn without_empties(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(name, field)| (name.clone(), without_empties(field)));
            Value::Object(
                kept.filter(|(_, field)| {
                    !field.as_object().is_some_and(Map::is_empty) && !field.as_array().is_some_and(Vec::is_empty)
                })
                .collect(),
            )
        }
        Value::Array(items) if items.iter().all(Value::is_object) => {
            let mut items: Vec<Value> = items.iter().map(without_empties).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        other => other.clone(),
    }
}
