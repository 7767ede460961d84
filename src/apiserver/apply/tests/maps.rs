//! Maps: granular and atomic, declared and free-form.

use serde_json::json;

use super::World;

#[test]
fn keys_of_a_granular_map_have_owners_of_their_own() {
    let mut world = World::new();
    world.apply("a", json!({"labels": {"x": "1"}})).apply("b", json!({"labels": {"y": "2"}}));
    assert_eq!(world.spec()["labels"], json!({"x": "1", "y": "2"}));
    assert_eq!(world.applied("b"), json!({"f:spec": {"f:labels": {"f:y": {}}}}));
    world.apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec(), &json!({"labels": {"y": "2"}, "replicas": 1}));
}

#[test]
fn a_map_goes_with_its_last_key() {
    let mut world = World::new();
    world.apply("a", json!({"labels": {"x": "1"}, "replicas": 1})).apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec(), &json!({"replicas": 1}));
}

#[test]
fn an_empty_map_is_owned_and_kept() {
    let mut world = World::new();
    world.apply("a", json!({"labels": {}}));
    assert_eq!(world.spec(), &json!({"labels": {}}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:labels": {}}}));
}

#[test]
fn an_atomic_map_is_owned_and_replaced_as_one() {
    let mut world = World::new();
    world.apply("a", json!({"atomicMap": {"x": "1", "y": "2"}}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:atomicMap": {}}}));
    assert_eq!(world.conflicts("b", json!({"atomicMap": {"z": "3"}})), ["conflict with \"a\": .spec.atomicMap"]);
    world.force("b", json!({"atomicMap": {"z": "3"}}));
    assert_eq!(world.spec()["atomicMap"], json!({"z": "3"}));
}

#[test]
fn an_atomic_struct_is_replaced_as_one_by_its_owner() {
    let mut world = World::new();
    world.apply("a", json!({"atomicStruct": {"a": "1", "b": "2"}})).apply("a", json!({"atomicStruct": {"b": "3"}}));
    assert_eq!(world.spec()["atomicStruct"], json!({"b": "3"}));
}

#[test]
fn an_atomic_map_left_out_is_removed() {
    let mut world = World::new();
    world.apply("a", json!({"atomicMap": {"x": "1"}, "replicas": 1})).apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec(), &json!({"replicas": 1}));
}

#[test]
fn a_nested_struct_loses_one_field_and_keeps_the_others() {
    let mut world = World::new();
    world.apply("a", json!({"nested": {"a": "1", "inner": {"b": "2"}}}));
    world.apply("b", json!({"nested": {"inner": {"c": "3"}}}));
    world.apply("a", json!({"nested": {"a": "1"}}));
    assert_eq!(world.spec(), &json!({"nested": {"a": "1", "inner": {"c": "3"}}}));
}

#[test]
fn free_form_fields_are_merged_by_key_and_their_lists_replaced() {
    let mut world = World::new();
    world.apply("a", json!({"free": {"m": {"x": 1}, "l": [1, 2]}})).apply("b", json!({"free": {"m": {"y": 2}}}));
    assert_eq!(world.spec()["free"], json!({"m": {"x": 1, "y": 2}, "l": [1, 2]}));
    assert_eq!(world.conflicts("b", json!({"free": {"l": [3]}})), ["conflict with \"a\": .spec.free.l"]);
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:free": {"f:l": {}, "f:m": {".": {}, "f:x": {}}}}}));
}

#[test]
fn a_free_form_field_may_turn_from_a_scalar_into_a_map() {
    let mut world = World::new();
    world.apply("a", json!({"free": {"x": 1}})).apply("a", json!({"free": {"x": {"y": 1}}}));
    assert_eq!(world.spec()["free"], json!({"x": {"y": 1}}));
    world.apply("a", json!({"free": {"x": "s"}}));
    assert_eq!(world.spec()["free"], json!({"x": "s"}));
}

#[test]
fn a_set_written_when_a_map_was_granular_is_read_as_atomic() {
    let mut world = World::new();
    world.apply("a", json!({"atomicMap": {"x": "1"}}));
    let entry = &mut world.live.as_mut().unwrap()["metadata"]["managedFields"][0];
    entry["fieldsV1"] = json!({"f:spec": {"f:atomicMap": {"f:x": {}}}});
    world.apply("a", json!({"atomicMap": {"y": "1"}}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:atomicMap": {}}}));
}

#[test]
fn an_empty_spec_stays_however_often_it_is_applied() {
    type Step = (&'static str, fn(&mut World));
    let between: [Step; 9] = [
        ("nothing", |_| ()),
        ("a status", |world| {
            world.update_through("b", "status", |o| o["status"] = json!({"phase": "p"}));
        }),
        ("the applier's own status", |world| {
            let status = json!({"apiVersion": "t/v1", "kind": "T", "metadata": {"name": "x", "namespace": "default"},
                "status": {"phase": "p"}});
            world.live = Some(world.try_apply("a", "status", &status, true).unwrap());
        }),
        ("another's field", |world| {
            world.update("b", |o| o["spec"]["replicas"] = json!(1));
        }),
        ("another's field that came and went", |world| {
            world.update("b", |o| o["spec"]["replicas"] = json!(1)).update("b", |o| o["spec"] = json!({}));
        }),
        ("another's list without items", |world| {
            world.update("b", |o| o["spec"] = json!({"env": [], "set": []}));
        }),
        ("another applier's empty spec", |world| {
            world.apply("b", json!({}));
        }),
        ("another applier's field", |world| {
            world.apply("b", json!({"nested": {"inner": {}}}));
        }),
        ("a field of its own", |world| {
            world.apply("a", json!({"nested": {"inner": {"b": "1"}}}));
        }),
    ];
    for (what, between) in between {
        for untracked in [false, true] {
            let mut world = if untracked { World::untracked(json!({})) } else { World::new() };
            world.apply("a", json!({}));
            between(&mut world);
            world.apply("a", json!({}));
            assert!(world.spec().is_object(), "{what}: {}", world.object());
            assert_eq!(world.applied("a"), json!({"f:spec": {}}), "{what}");
            let before = world.object().clone();
            world.apply("a", json!({}));
            assert_eq!(world.object(), &before, "{what}");
        }
    }
}

#[test]
fn a_spec_whose_last_item_is_taken_out_of_its_list_stays() {
    for (before, after) in [
        (json!({"env": [{"name": "n"}]}), json!({"env": []})),
        (json!({"set": ["s"]}), json!({"set": []})),
        (json!({"env": [{"name": "n"}], "nested": {"a": "1"}}), json!({"set": []})),
    ] {
        let mut world = World::new();
        world.apply("a", before.clone()).apply("a", after.clone());
        assert_eq!(world.spec(), &after, "{before} to {after}");
        let once = world.object().clone();
        world.apply("a", after.clone());
        assert_eq!(world.object(), &once, "{before} to {after} again");
    }
}
