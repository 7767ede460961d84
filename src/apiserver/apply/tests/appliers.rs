//! Appliers among themselves: sharing, conflicts, force, and what leaving a field out means.

use serde_json::{Value, json};

use super::{World, with_spec};

#[test]
fn the_first_apply_creates_the_object_and_owns_what_it_named() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "nested": {"a": "x"}}));
    assert_eq!(world.spec(), &json!({"replicas": 1, "nested": {"a": "x"}}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:replicas": {}, "f:nested": {"f:a": {}}}}));
    assert_eq!(world.owners(), "Apply a");
}

#[test]
fn the_entry_says_who_how_when_and_in_which_version() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    let entry = world.entry("Apply", "a");
    assert_eq!(entry["apiVersion"], "t/v1");
    assert_eq!(entry["fieldsType"], "FieldsV1");
    assert_eq!(entry["time"], "2026-01-01T00:00:01Z");
    assert_eq!(entry.get("subresource"), None);
}

#[test]
fn names_and_what_the_server_writes_are_owned_by_nobody() {
    let mut world = World::new();
    let mut config = with_spec(json!({"replicas": 1}));
    config["metadata"]["labels"] = json!({"l": "1"});
    config["metadata"]["uid"] = json!("u");
    config["metadata"]["resourceVersion"] = json!("7");
    config["metadata"]["creationTimestamp"] = json!(null);
    world.live = Some(world.try_apply("a", "", &config, false).unwrap());
    assert_eq!(world.applied("a"), json!({"f:metadata": {"f:labels": {"f:l": {}}}, "f:spec": {"f:replicas": {}}}));
}

#[test]
fn applying_the_same_again_changes_nothing_at_all() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "set": ["x"], "env": [{"name": "n", "value": "v"}], "labels": {}}));
    let before = world.object().clone();
    world.apply("a", json!({"replicas": 1, "set": ["x"], "env": [{"name": "n", "value": "v"}], "labels": {}}));
    assert_eq!(world.object(), &before);
}

#[test]
fn a_changed_value_moves_the_time() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).apply("a", json!({"replicas": 2}));
    assert_eq!(world.entry("Apply", "a")["time"], "2026-01-01T00:00:02Z");
}

#[test]
fn two_appliers_of_one_value_own_it_together() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).apply("b", json!({"replicas": 1}));
    assert_eq!(world.applied("a"), world.applied("b"));
    assert_eq!(world.owners(), "Apply a, Apply b");
}

#[test]
fn a_different_value_is_a_conflict_that_names_owner_and_path() {
    let mut world = World::new();
    world.apply("a", json!({"nested": {"inner": {"b": "1"}}}));
    let conflicts = world.conflicts("b", json!({"nested": {"inner": {"b": "2"}}}));
    assert_eq!(conflicts, ["conflict with \"a\": .spec.nested.inner.b"]);
}

#[test]
fn a_conflict_leaves_nothing_behind() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    let before = world.object().clone();
    world.conflicts("b", json!({"replicas": 2, "name": "n"}));
    assert_eq!(world.object(), &before);
}

#[test]
fn force_takes_the_field_and_the_loser_vanishes_when_it_has_no_other() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).force("b", json!({"replicas": 2}));
    assert_eq!(world.spec()["replicas"], 2);
    assert_eq!(world.owners(), "Apply b");
}

#[test]
fn force_takes_only_what_differs() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "name": "n"})).force("b", json!({"replicas": 2, "name": "n"}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:name": {}}}));
    assert_eq!(world.applied("b"), json!({"f:spec": {"f:name": {}, "f:replicas": {}}}));
}

#[test]
fn force_without_a_conflict_is_an_ordinary_apply() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).force("b", json!({"name": "n"}));
    assert_eq!(world.spec(), &json!({"replicas": 1, "name": "n"}));
}

#[test]
fn what_only_the_applier_owned_goes_when_it_is_left_out() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "name": "n"})).apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec(), &json!({"replicas": 1}));
}

#[test]
fn what_another_applier_owns_too_stays_when_one_leaves_it_out() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "name": "n"})).apply("b", json!({"name": "n"}));
    world.apply("a", json!({"replicas": 1}));
    assert_eq!(world.spec(), &json!({"replicas": 1, "name": "n"}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn the_last_of_two_owners_to_leave_a_field_out_removes_it() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "name": "n"})).apply("b", json!({"name": "n", "size": 1}));
    world.apply("a", json!({"replicas": 1})).apply("b", json!({"size": 1}));
    assert_eq!(world.spec(), &json!({"replicas": 1, "size": 1}));
}

#[test]
fn an_owner_may_change_a_value_again_after_the_other_let_go() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).apply("b", json!({"replicas": 1, "name": "n"}));
    world.conflicts("a", json!({"replicas": 2}));
    world.apply("b", json!({"name": "n"})).apply("a", json!({"replicas": 2}));
    assert_eq!(world.spec(), &json!({"replicas": 2, "name": "n"}));
}

#[test]
fn an_applier_that_names_nothing_vanishes() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).apply("b", json!({"name": "n"})).apply("b", json!(null));
    assert_eq!(world.owners(), "Apply a, Apply b");
    let config = json!({"apiVersion": "t/v1", "kind": "T", "metadata": {"name": "x"}});
    world.live = Some(world.try_apply("b", "", &config, false).unwrap());
    assert_eq!(world.owners(), "Apply a");
    assert_eq!(world.spec(), &json!({"replicas": 1}));
}

#[test]
fn an_integer_and_a_float_of_the_same_value_are_told_apart_only_by_their_spelling() {
    let mut world = World::new();
    world.apply("a", json!({"size": 1}));
    assert_eq!(world.conflicts("b", json!({"size": "1"})), ["conflict with \"a\": .spec.size"]);
}

#[test]
fn undeclared_fields_and_wrong_types_are_bad_requests() {
    let mut world = World::new();
    assert_eq!(
        world.invalid(json!({"nope": 1})),
        "failed to create typed patch object (default/x; t/v1, Kind=T): .spec.nope: field not declared in schema"
    );
    assert!(
        world
            .invalid(json!({"replicas": "x"}))
            .ends_with(".spec.replicas: expected numeric (int or float), got string")
    );
    assert!(world.invalid(json!({"list": {}})).ends_with(".spec.list: expected list, got map"));
    assert!(world.invalid(json!({"nope": 1, "set": [{}]})).contains("errors:\n  .spec.nope: field not declared"));
}

#[test]
fn a_configuration_may_not_carry_managed_fields() {
    let mut world = World::new();
    let mut config = with_spec(json!({}));
    config["metadata"]["managedFields"] = json!([]);
    let error = world.try_apply("a", "", &config, false).unwrap_err();
    assert_eq!(error.to_string(), "metadata.managedFields must be nil");
}

#[test]
fn a_configuration_of_another_version_is_refused() {
    let mut world = World::new();
    let mut config = with_spec(json!({}));
    config["apiVersion"] = json!("t/v2");
    let error = world.try_apply("a", "", &config, false).unwrap_err().to_string();
    assert_eq!(error, "Incorrect version specified in apply patch. Specified patch version: t/v2, expected: t/v1");
}

#[test]
fn a_very_deep_configuration_is_refused_without_using_up_the_stack() {
    let mut world = World::new();
    let deep = (0..1000).fold(json!({}), |below, _| Value::Object([("a".to_owned(), below)].into_iter().collect()));
    assert!(world.invalid(json!({"free": deep})).contains("nested too deeply"));
}
