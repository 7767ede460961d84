//! Lists: atomic, sets, and maps by one or several keys, defaults and repetitions included.

use serde_json::{Value, json};

use super::World;

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[test]
fn an_atomic_list_is_owned_and_replaced_as_one() {
    let mut world = World::new();
    world.apply("a", json!({"list": ["x", "y"]}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:list": {}}}));
    assert_eq!(world.conflicts("b", json!({"list": ["x"]})), ["conflict with \"a\": .spec.list"]);
    world.apply("a", json!({"list": ["z"]}));
    assert_eq!(world.spec()["list"], json!(["z"]));
}

#[test]
fn an_atomic_list_may_repeat_items() {
    let mut world = World::new();
    world.apply("a", json!({"list": ["x", "x"]}));
    assert_eq!(world.spec()["list"], json!(["x", "x"]));
}

#[test]
fn items_of_a_set_have_owners_of_their_own() {
    let mut world = World::new();
    world.apply("a", json!({"set": ["x", "y"]})).apply("b", json!({"set": ["y", "z"]}));
    assert_eq!(world.spec()["set"], json!(["x", "y", "z"]));
    assert_eq!(world.applied("b"), json!({"f:spec": {"f:set": {"v:\"y\"": {}, "v:\"z\"": {}}}}));
}

#[test]
fn an_item_of_a_set_goes_when_its_only_owner_leaves_it_out() {
    let mut world = World::new();
    world.apply("a", json!({"set": ["x", "y"]})).apply("b", json!({"set": ["z"]})).apply("a", json!({"set": ["y"]}));
    assert_eq!(world.spec()["set"], json!(["y", "z"]));
}

#[test]
fn an_item_of_a_set_that_two_own_stays_when_one_leaves_it_out() {
    let mut world = World::new();
    world.apply("a", json!({"set": ["x"]})).apply("b", json!({"set": ["x", "y"]})).apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec()["set"], json!(["x", "y"]));
}

#[test]
fn a_set_in_the_configuration_may_not_repeat_an_item() {
    let error = World::new().invalid(json!({"set": ["x", "x"]}));
    assert!(error.ends_with(".spec.set: duplicate entries for key [=\"x\"]"), "{error}");
}

#[test]
fn items_of_a_list_map_are_merged_by_key() {
    let mut world = World::new();
    world.apply("a", json!({"env": [{"name": "n", "value": "1"}]}));
    world.apply("b", json!({"env": [{"name": "n", "from": {"key": "k"}}]}));
    assert_eq!(world.spec()["env"], json!([{"name": "n", "value": "1", "from": {"key": "k"}}]));
    let expected = json!({"f:spec": {"f:env": {"k:{\"name\":\"n\"}": {".": {}, "f:name": {}, "f:value": {}}}}});
    assert_eq!(world.applied("a"), expected);
}

#[test]
fn a_conflict_inside_an_item_names_the_item_by_key() {
    let mut world = World::new();
    world.apply("a", json!({"env": [{"name": "n", "value": "1"}]}));
    let conflicts = world.conflicts("b", json!({"env": [{"name": "n", "value": "2"}]}));
    assert_eq!(conflicts, ["conflict with \"a\": .spec.env[name=\"n\"].value"]);
}

#[test]
fn a_left_out_item_goes_whole_when_nobody_else_owns_it() {
    let mut world = World::new();
    world.apply("a", json!({"env": [{"name": "n", "value": "1"}, {"name": "m"}]}));
    world.apply("a", json!({"env": [{"name": "m"}]}));
    assert_eq!(world.spec()["env"], json!([{"name": "m"}]));
}

#[test]
fn a_left_out_item_that_another_owns_keeps_the_others_fields_only() {
    let mut world = World::new();
    world.apply("a", json!({"env": [{"name": "n", "value": "1"}]}));
    world.apply("b", json!({"env": [{"name": "n", "from": {"key": "k"}}]}));
    world.apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec(), &json!({"replicas": 1, "env": [{"name": "n", "from": {"key": "k"}}]}));
}

#[test]
fn a_missing_key_field_counts_as_its_default() {
    let mut world = World::new();
    world.apply("a", json!({"ports": [{"port": 80, "protocol": "TCP", "name": "x"}]}));
    let conflicts = world.conflicts("b", json!({"ports": [{"port": 80, "name": "y"}]}));
    assert_eq!(conflicts, ["conflict with \"a\": .spec.ports[port=80,protocol=\"TCP\"].name"]);
    world.apply("b", json!({"ports": [{"port": 80, "protocol": "UDP"}]}));
    assert_eq!(world.spec()["ports"].as_array().unwrap().len(), 2);
    assert!(world.applied("a").pointer("/f:spec/f:ports/k:{\"port\":80,\"protocol\":\"TCP\"}").is_some());
}

#[test]
fn an_item_without_any_key_is_a_bad_request() {
    let error = World::new().invalid(json!({"env": [{"value": "1"}]}));
    assert!(error.contains("omits all key fields [\"name\"]"), "{error}");
}

#[test]
fn a_list_map_in_the_configuration_may_not_repeat_a_key() {
    let error = World::new().invalid(json!({"env": [{"name": "n"}, {"name": "n", "value": "1"}]}));
    assert!(error.ends_with(".spec.env: duplicate entries for key [name=\"n\"]"), "{error}");
}

#[test]
fn the_configuration_decides_the_order_of_its_items() {
    let mut world = World::new();
    world.apply("a", json!({"env": [{"name": "1"}, {"name": "2"}, {"name": "3"}]}));
    world.apply("a", json!({"env": [{"name": "3"}, {"name": "1"}, {"name": "2"}]}));
    assert_eq!(names(&world.spec()["env"]), ["3", "1", "2"]);
}

#[test]
fn items_of_others_stay_between_the_configurations() {
    let mut world = World::new();
    world.apply("a", json!({"env": [{"name": "1"}, {"name": "2"}]})).apply("b", json!({"env": [{"name": "3"}]}));
    world.apply("a", json!({"env": [{"name": "0"}, {"name": "1"}, {"name": "2"}]}));
    assert_eq!(names(&world.spec()["env"]), ["0", "1", "2", "3"]);
}

#[test]
fn a_list_goes_with_its_last_item() {
    let mut world = World::new();
    world.apply("a", json!({"env": [{"name": "n"}], "set": ["x"], "replicas": 1})).apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec(), &json!({"replicas": 1}));
}

#[test]
fn an_empty_list_map_is_kept_as_written() {
    let mut world = World::new();
    world.apply("a", json!({"env": [], "replicas": 1}));
    assert_eq!(world.spec(), &json!({"env": [], "replicas": 1}));
}

#[test]
fn repeated_live_items_are_replaced_by_the_configurations_one() {
    let mut world = World::untracked(json!({"env": [{"name": "n", "value": "1"}, {"name": "n", "value": "2"}]}));
    world.force("a", json!({"env": [{"name": "n", "value": "3"}]}));
    assert_eq!(world.spec()["env"], json!([{"name": "n", "value": "3"}]));
}

#[test]
fn repeated_live_items_that_nobody_touches_stay() {
    let mut world = World::untracked(json!({"set": ["x", "x"]}));
    world.apply("a", json!({"set": ["y"]}));
    assert_eq!(world.spec()["set"], json!(["x", "x", "y"]));
}

#[test]
fn finalizers_are_a_set_and_owners_are_found_by_uid() {
    let mut world = World::new();
    let config = |metadata: Value| json!({"apiVersion": "t/v1", "kind": "T", "metadata": metadata});
    let one = config(
        json!({"name": "x", "finalizers": ["a"], "ownerReferences": [{"uid": "1", "name": "o", "kind": "K", "apiVersion": "v1"}]}),
    );
    world.live = Some(world.try_apply("a", "", &one, false).unwrap());
    let two = config(
        json!({"name": "x", "finalizers": ["b"], "ownerReferences": [{"uid": "2", "name": "p", "kind": "K", "apiVersion": "v1"}]}),
    );
    world.live = Some(world.try_apply("b", "", &two, false).unwrap());
    assert_eq!(world.object()["metadata"]["finalizers"], json!(["a", "b"]));
    assert_eq!(world.object()["metadata"]["ownerReferences"].as_array().unwrap().len(), 2);
    let expected =
        json!({"f:metadata": {"f:finalizers": {"v:\"a\"": {}}, "f:ownerReferences": {"k:{\"uid\":\"1\"}": {}}}});
    assert_eq!(world.applied("a"), expected);
}
