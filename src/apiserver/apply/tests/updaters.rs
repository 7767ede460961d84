//! Creates, updates and patches beside appliers; subresources; the upgrade from client-side apply; resets and the cap.

use serde_json::{Value, json};

use super::{World, with_spec};
use crate::apiserver::apply::{Manager, track_update};
use crate::apiserver::schema::Schema;

#[test]
fn a_create_owns_everything_it_set() {
    let mut world = World::new();
    world.update("creator", |object| object["spec"] = json!({"replicas": 1, "set": ["x"]}));
    let expected = json!({"f:spec": {".": {}, "f:replicas": {}, "f:set": {".": {}, "v:\"x\"": {}}}});
    assert_eq!(world.updated("creator"), expected);
}

#[test]
fn an_update_owns_only_what_it_changed() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "name": "n"}));
    world.update("editor", |object| object["spec"]["replicas"] = json!(2));
    assert_eq!(world.updated("editor"), json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:name": {}}}));
}

#[test]
fn an_update_that_changes_nothing_leaves_no_trace() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    let before = world.object().clone();
    world.update("editor", |_| {});
    assert_eq!(world.object(), &before);
}

#[test]
fn apply_and_update_of_one_manager_are_two_entries() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).update("a", |object| object["spec"]["name"] = json!("n"));
    assert_eq!(world.owners(), "Apply a, Update a");
}

#[test]
fn an_applier_conflicts_with_an_updater_and_the_conflict_names_its_version() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1})).update("editor", |object| object["spec"]["replicas"] = json!(2));
    assert_eq!(world.conflicts("a", json!({"replicas": 1})), ["conflict with \"editor\" using t/v1: .spec.replicas"]);
}

#[test]
fn an_applier_that_agrees_with_an_updater_shares_the_field() {
    let mut world = World::new();
    world.update("editor", |object| object["spec"]["replicas"] = json!(2)).apply("a", json!({"replicas": 2}));
    assert_eq!(world.owners(), "Apply a, Update editor");
}

#[test]
fn ownership_goes_from_update_to_apply_by_force() {
    let mut world = World::new();
    world.update("editor", |object| object["spec"] = json!({"replicas": 2}));
    world.force("a", json!({"replicas": 3}));
    assert_eq!(world.updated("editor"), json!({"f:spec": {}}));
    world.apply("a", json!({"replicas": 4}));
    assert_eq!(world.spec()["replicas"], 4);
}

#[test]
fn a_field_an_updater_set_survives_the_appliers_leaving_it_out() {
    let mut world = World::new();
    world
        .apply("a", json!({"replicas": 1, "name": "n"}))
        .update("editor", |object| object["spec"]["replicas"] = json!(2));
    world.apply("a", json!({"name": "n"}));
    assert_eq!(world.spec(), &json!({"replicas": 2, "name": "n"}));
}

#[test]
fn a_removed_field_is_nobodys() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1, "name": "n"}));
    world.update("editor", |object| {
        object["spec"].as_object_mut().unwrap().remove("name");
    });
    assert_eq!(world.owners(), "Apply a");
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn an_updater_with_nothing_left_vanishes() {
    let mut world = World::new();
    world.apply("a", json!({"name": "n"})).update("editor", |object| object["spec"]["replicas"] = json!(2));
    world.update("other", |object| object["spec"]["replicas"] = json!(3));
    assert_eq!(world.owners(), "Apply a, Update other");
}

#[test]
fn an_updater_adds_to_what_it_owned() {
    let mut world = World::new();
    world.apply("a", json!({"size": 1})).update("editor", |object| object["spec"]["replicas"] = json!(2));
    world.update("editor", |object| object["spec"]["name"] = json!("n"));
    assert_eq!(world.updated("editor"), json!({"f:spec": {"f:name": {}, "f:replicas": {}}}));
    assert_eq!(world.entry("Update", "editor")["time"], "2026-01-01T00:00:03Z");
}

#[test]
fn a_status_write_owns_status_only() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    world.update_through("controller", "status", |object| {
        object["status"] = json!({"phase": "Up"});
        object["spec"]["replicas"] = json!(9);
        object["metadata"]["labels"] = json!({"l": "1"});
    });
    let entry = world.entry("Update", "controller");
    assert_eq!(entry["subresource"], "status");
    assert_eq!(entry["fieldsV1"], json!({"f:status": {".": {}, "f:phase": {}}}));
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn a_write_to_the_object_never_owns_status() {
    let mut world = World::new();
    world.update("creator", |object| object["status"] = json!({"phase": "Up"}));
    assert_eq!(world.updated("creator"), json!({"f:spec": {}}));
}

#[test]
fn a_kind_without_a_status_subresource_has_its_status_owned_like_the_rest() {
    let mut world = World::new();
    world.schema = super::schema().with_status_in_main();
    world.update("creator", |object| object["status"] = json!({"phase": "Up"}));
    assert_eq!(world.updated("creator"), json!({"f:spec": {}, "f:status": {".": {}, "f:phase": {}}}));
}

#[test]
fn appliers_of_conditions_share_the_list_by_type() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    for (name, kind) in [("one", "Ready"), ("two", "Synced")] {
        let config = json!({"apiVersion": "t/v1", "kind": "T", "metadata": {"name": "x"}, "status": {"conditions": [{"type": kind, "status": "True"}]}});
        world.live = Some(world.try_apply(name, "status", &config, true).unwrap());
    }
    assert_eq!(world.object()["status"]["conditions"].as_array().unwrap().len(), 2);
    assert_eq!(world.owners(), "Apply a, Apply one/status, Apply two/status");
    let config = json!({"apiVersion": "t/v1", "kind": "T", "metadata": {"name": "x"}, "status": {"phase": "Up"}});
    world.live = Some(world.try_apply("one", "status", &config, true).unwrap());
    assert_eq!(world.object()["status"], json!({"phase": "Up", "conditions": [{"type": "Synced", "status": "True"}]}));
}

#[test]
fn a_status_apply_takes_nothing_but_status_from_its_configuration() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    let mut config = with_spec(json!({"replicas": 7}));
    config["status"] = json!({"phase": "Up"});
    world.live = Some(world.try_apply("s", "status", &config, false).unwrap());
    assert_eq!(world.spec()["replicas"], 1);
    assert_eq!(world.applied("s"), json!({"f:status": {"f:phase": {}}}));
}

#[test]
fn an_apply_to_the_object_takes_no_status_from_its_configuration() {
    let mut world = World::new();
    let mut config = with_spec(json!({"replicas": 1}));
    config["status"] = json!({"phase": "Up"});
    world.live = Some(world.try_apply("a", "", &config, false).unwrap());
    assert_eq!(world.object().get("status"), None);
    assert_eq!(world.applied("a"), json!({"f:spec": {"f:replicas": {}}}));
}

#[test]
fn one_manager_has_an_entry_for_each_subresource() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    world.update("m", |object| object["spec"]["name"] = json!("n"));
    world.update_through("m", "status", |object| object["status"] = json!({"phase": "Up"}));
    assert_eq!(world.owners(), "Apply a, Update m, Update m/status");
}

#[test]
fn an_untracked_object_stays_untracked_until_somebody_applies_it() {
    let mut world = World::untracked(json!({"replicas": 1}));
    world.update("editor", |object| object["spec"]["replicas"] = json!(2));
    assert_eq!(world.owners(), "");
    assert_eq!(
        world.conflicts("a", json!({"replicas": 3})),
        ["conflict with \"before-first-apply\" using t/v1: .spec.replicas"]
    );
    world.apply("a", json!({"replicas": 2}));
    assert_eq!(world.owners(), "Apply a, Update before-first-apply");
}

#[test]
fn an_empty_list_of_managed_fields_resets_them() {
    for reset in [json!([]), json!([{}])] {
        let mut world = World::new();
        world.apply("a", json!({"replicas": 1}));
        world.update("editor", |object| object["metadata"]["managedFields"] = reset);
        assert_eq!(world.object()["metadata"].get("managedFields"), None);
        assert_eq!(world.spec(), &json!({"replicas": 1}));
    }
}

#[test]
fn leaving_managed_fields_out_does_not_delete_them() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    world.update("editor", |object| {
        object["metadata"].as_object_mut().unwrap().remove("managedFields");
    });
    assert_eq!(world.owners(), "Apply a");
}

#[test]
fn unreadable_managed_fields_in_an_update_are_replaced_by_the_live_ones() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    world.update("editor", |object| object["metadata"]["managedFields"] = json!([{"operation": "Nope"}]));
    assert_eq!(world.owners(), "Apply a");
}

#[test]
fn a_client_may_hand_an_entry_to_another_operation() {
    // What `kubectl` and client-go do to migrate from update to apply.
    let mut world = World::new();
    world.update("m", |object| object["spec"] = json!({"replicas": 1}));
    world.update("migrator", |object| object["metadata"]["managedFields"][0]["operation"] = json!("Apply"));
    assert_eq!(world.owners(), "Apply m");
    world.apply("m", json!({"name": "n"}));
    assert_eq!(world.spec(), &json!({"name": "n"}));
}

#[test]
fn the_status_of_managed_fields_cannot_be_set_through_a_subresource() {
    let mut world = World::new();
    world.apply("a", json!({"replicas": 1}));
    world.update_through("c", "status", |object| object["metadata"]["managedFields"] = json!([]));
    assert_eq!(world.owners(), "Apply a");
}

#[test]
fn the_oldest_updaters_become_one_beyond_ten() {
    let mut world = World::new();
    world.apply("a", json!({"name": "n"}));
    for i in 0..14 {
        world.update(&format!("u{i:02}"), |object| object["spec"]["labels"][format!("k{i:02}")] = json!("v"));
    }
    let owners = world.owners();
    assert_eq!(owners.matches("Update").count(), 10, "{owners}");
    assert!(owners.contains("Update ancient-changes") && owners.contains("Update u13"), "{owners}");
    assert!(world.updated("ancient-changes")["f:spec"]["f:labels"].get("f:k00").is_some());
}

#[test]
fn kubectl_takes_over_what_it_applied_on_the_client_side() {
    let mut world = World::new();
    let last = with_spec(json!({"replicas": 1}));
    world.update("kubectl-client-side-apply", |object| {
        object["spec"] = json!({"replicas": 1});
        object["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": last.to_string()});
    });
    let config = with_spec(json!({"replicas": 2}));
    assert!(world.try_apply("other", "", &config, false).is_err());
    world.live = Some(world.try_apply("kubectl", "", &config, false).unwrap());
    assert_eq!(world.spec()["replicas"], 2);
    let annotation = &world.object()["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    let kept: Value = serde_json::from_str(annotation.as_str().unwrap()).unwrap();
    assert_eq!(kept, config);
}

#[test]
fn kubectl_does_not_take_over_what_somebody_else_changed_since() {
    let mut world = World::new();
    let last = with_spec(json!({"replicas": 1}));
    world.update("kubectl-client-side-apply", |object| {
        object["spec"] = json!({"replicas": 1});
        object["metadata"]["annotations"] =
            json!({"kubectl.kubernetes.io/last-applied-configuration": last.to_string()});
    });
    world.update("editor", |object| object["spec"]["replicas"] = json!(5));
    let conflicts = world.conflicts("kubectl", json!({"replicas": 2}));
    assert_eq!(conflicts, ["conflict with \"editor\" using t/v1: .spec.replicas"]);
}

#[test]
fn the_data_of_a_config_map_is_owned_by_key() {
    let schema = Schema::builtin("ConfigMap");
    let manager =
        Manager { name: "kubectl-client-side-apply", api_version: "v1", subresource: "", now: "2026-01-01T00:00:00Z" };
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"key": "1"}});
    track_update(&schema, None, &mut object, manager);
    let mut config = object.clone();
    config["metadata"] = json!({"name": "c"});
    config["data"]["key"] = json!("2");
    let applier = Manager { name: "a", ..manager };
    let error = super::super::apply(&schema, Some(&object), &config, applier, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.key"
    );
}

#[test]
fn an_open_kind_merges_maps_and_replaces_lists() {
    let schema = Schema::open();
    let manager = |name| Manager { name, api_version: "v1", subresource: "", now: "2026-01-01T00:00:00Z" };
    let config = |data: Value| json!({"apiVersion": "v1", "kind": "Any", "metadata": {"name": "c"}, "data": data});
    let live =
        super::super::apply(&schema, None, &config(json!({"a": {"x": 1}, "l": [1]})), manager("a"), false).unwrap();
    let live = super::super::apply(&schema, Some(&live), &config(json!({"a": {"y": 2}})), manager("b"), false).unwrap();
    assert_eq!(live["data"], json!({"a": {"x": 1, "y": 2}, "l": [1]}));
}
