use kube::Api;
use regatta::api::conditions::{READY, STALLED, UNSUPPORTED, find};
use regatta::api::{Board, Repo};
use serde_json::json;

use super::world::{World, agent, condition, eventually, is};

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_version_does_not_act_on_is_said_on_the_object_and_never_ignored() {
    let mut world = World::start().await;
    let host = world.connect("fermi", vec![]).await;

    // It runs without, and says without what.
    world.apply_value(agent("noted", json!({"adapter": "shell", "hibernateAfter": "1h", "quietAfter": "5m"}))).await;
    eventually("said", async || is(&world.agent("noted").await, UNSUPPORTED, "True")).await;
    let noted = world.agent("noted").await;
    assert_eq!(condition(&noted, READY), Some(pair("True", "Running")));
    let conditions = &noted.status.as_ref().unwrap().conditions;
    let message = &find(conditions, UNSUPPORTED).unwrap().message;
    assert!(message.contains("spec.quietAfter, spec.hibernateAfter"), "{message}");

    // The wish goes, and the condition with it.
    world.patch_agent("noted", json!({"spec": {"hibernateAfter": null, "quietAfter": null}})).await;
    eventually("gone", async || {
        let noted = world.agent("noted").await;
        is(&noted, READY, "True").filter(|()| condition(&noted, UNSUPPORTED).is_none())
    })
    .await;

    // Without, it would not be what was asked for: it is not started.
    world.apply_value(agent("refused", json!({"adapter": "shell", "isolation": {"mode": "Sandbox"}}))).await;
    eventually("refused", async || is(&world.agent("refused").await, STALLED, "True")).await;
    let refused = world.agent("refused").await;
    assert_eq!(condition(&refused, READY), Some(pair("False", "NotImplemented")));
    let why = host.wants("refused").and_then(|desired| desired.blocked).unwrap().message;
    assert!(why.contains("spec.isolation (use mode None)"), "{why}");

    let spec = json!({"path": "/srv/r", "worktree": {"setup": ["make deps"]}});
    world
        .apply_value(
            json!({"apiVersion": "regatta.dev/v1alpha1", "kind": "Repo", "metadata": {"name": "r"}, "spec": spec}),
        )
        .await;
    let repos: Api<Repo> = Api::default_namespaced(world.client.clone());
    eventually("the repo", async || is(&repos.get("r").await.unwrap(), UNSUPPORTED, "True")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_without_a_controller_is_told_again_when_its_spec_changes() {
    let world = World::start().await;
    let board = |columns: serde_json::Value| {
        json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Board", "metadata": {"name": "b"},
            "spec": {"key": "PROJ", "columns": columns},
        })
    };
    let boards: Api<Board> = Api::default_namespaced(world.client.clone());
    let count = async || boards.get("b").await.unwrap().status.and_then(|status| status.columns);
    world.apply_value(board(json!([{"name": "Open"}, {"name": "Done", "terminal": true}]))).await;
    eventually("told", async || is(&boards.get("b").await.unwrap(), READY, "False")).await;
    assert_eq!(count().await, Some(2));
    world.apply_value(board(json!([{"name": "Open"}, {"name": "Doing"}, {"name": "Done", "terminal": true}]))).await;
    eventually("told again", async || is(&boards.get("b").await.unwrap(), READY, "False")).await;
    assert_eq!(count().await, Some(3));
}
