//! Several Sources, and what happens to the objects of one that goes.

use std::time::{Duration, Instant};

use kube::Api;
use regatta::api::Source;
use regatta::api::conditions::READY;
use serde_json::json;

use super::super::world::{World, eventually, is, write};
use super::{make, named, nothing_goes, one_agent};

#[tokio::test(flavor = "multi_thread")]
async fn two_sources_that_claim_one_object_say_so_and_do_not_fight() {
    let world = World::start().await;
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(first.path(), "a.yaml", &one_agent("a", "run: Stopped"));
    write(second.path(), "a.yaml", &one_agent("a", "run: Running"));
    make(&world, "first", json!({"path": first.path(), "conflict": "Force", "period": "1s"})).await;
    eventually("the agent", async || world.agents().get_opt("a").await.unwrap()).await;
    eventually("ready", async || is(&named(&world, "first").await, READY, "True")).await;
    make(&world, "second", json!({"path": second.path(), "conflict": "Force", "period": "1s"})).await;
    let failure = async || named(&world, "second").await.status?.failures.into_iter().next();
    let told = eventually("the other one's claim", failure).await;
    assert!(told.message.contains("source \"first\""), "{told:?}");

    let generation = world.agent("a").await.metadata.generation;
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        assert_eq!(world.agent("a").await.metadata.generation, generation, "they fight");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is(&named(&world, "first").await, READY, "True").is_some());

    // The manifest moves: the object goes along, and is neither deleted nor made anew.
    let uid = world.agent("a").await.metadata.uid;
    std::fs::remove_file(first.path().join("a.yaml")).unwrap();
    eventually("ready", async || is(&named(&world, "second").await, READY, "True")).await;
    let moved = async || (json!(world.agent("a").await)["spec"]["run"] == "Running").then_some(());
    eventually("the other value", moved).await;
    nothing_goes(&world, 1).await;
    let agent = world.agent("a").await;
    assert_eq!(agent.metadata.uid, uid);
    let managers = agent.metadata.managed_fields.unwrap_or_default();
    assert!(!managers.iter().any(|m| m.manager.as_deref() == Some("source/first")), "{managers:?}");
    assert!(named(&world, "first").await.status.unwrap().inventory.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_deleted_source_stay_and_can_be_taken_over() {
    let world = World::start().await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a.yaml", &one_agent("a", "run: Stopped"));
    make(&world, "old", json!({"path": directory.path()})).await;
    eventually("ready", async || is(&named(&world, "old").await, READY, "True")).await;
    let uid = world.agent("a").await.metadata.uid;
    let sources: Api<Source> = Api::all(world.client.clone());
    sources.delete("old", &Default::default()).await.unwrap();
    write(directory.path(), "a.yaml", &one_agent("a", "run: Running"));
    nothing_goes(&world, 1).await;
    assert_eq!(json!(world.agent("a").await)["spec"]["run"], "Stopped", "nobody follows the file any more");

    make(&world, "new", json!({"path": directory.path()})).await;
    let taken = async || (json!(world.agent("a").await)["spec"]["run"] == "Running").then_some(());
    eventually("the new one's value, although the old one set another", taken).await;
    assert_eq!(world.agent("a").await.metadata.uid, uid);
}
