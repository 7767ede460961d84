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
