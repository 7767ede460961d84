//! Sources: from files, and from commits, to objects, with real files and real git.

mod claims;
mod git;
mod habits;
mod texts;

use std::time::{Duration, Instant};

use kube::Api;
use regatta::api::Source;
use regatta::api::conditions::{CONVERGED, PRUNE_BLOCKED, READY, find};

use super::world::{World, eventually, is, write};

const FLEET: &str = include_str!("../../../manifests/examples/first-fleet.yaml");

fn agents(count: usize) -> String {
    (0..count)
        .map(|i| {
            format!(
                "---\napiVersion: regatta.dev/v1alpha1\nkind: Agent\nmetadata: {{name: a{i}}}\nspec: {{run: Running}}\n"
            )
        })
        .collect()
}

async fn source(world: &World) -> Source {
    named(world, "manifests").await
}

async fn named(world: &World, name: &str) -> Source {
    let sources: Api<Source> = Api::all(world.client.clone());
    eventually(name, async || sources.get_opt(name).await.unwrap()).await
}

/// A Source of this name and spec.
async fn make(world: &World, name: &str, spec: serde_json::Value) {
    let source = serde_json::json!({
        "apiVersion": "regatta.dev/v1alpha1", "kind": "Source", "metadata": {"name": name}, "spec": spec,
    });
    world.apply_value(source).await;
}

fn one_agent(name: &str, spec: &str) -> String {
    format!("---\napiVersion: regatta.dev/v1alpha1\nkind: Agent\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n")
}

/// The number of objects in the inventory, once a pass has said so.
async fn settles(world: &World, count: usize) {
    let applied =
        |source: Source| source.status.map_or(0, |s| s.inventory.iter().filter(|i| !i.uid.is_empty()).count());
    let has = async || (applied(source(world).await) == count).then_some(());
    eventually(&format!("an inventory of {count}"), has).await;
}

/// Waits for longer than an absence must last, watching that nothing goes.
async fn nothing_goes(world: &World, count: usize) {
    let until = Instant::now() + Duration::from_millis(4500);
    while Instant::now() < until {
        let list = world.agents().list(&Default::default()).await.unwrap().items;
        let alive = list.iter().filter(|a| a.metadata.deletion_timestamp.is_none()).count();
        assert_eq!(alive, count, "an agent went");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_the_manifests_directory_becomes_a_fleet_and_its_deletion_ends_it() {
    let mut world = World::start().await;
    let _host = world.connect("fermi", vec![]).await;
    source(&world).await;
    write(&world.manifests(), "fleet.yaml", FLEET);
    for name in ["hands", "clock", "tests"] {
        let ready = async || is(&world.agents().get_opt(name).await.unwrap()?, READY, "True");
        eventually(name, ready).await;
    }
    eventually("convergence", async || is(&source(&world).await, CONVERGED, "True")).await;
    let status = source(&world).await.status.unwrap();
    assert_eq!((status.applied, status.failed, status.inventory.len()), (Some(4), Some(0), 4));

    std::fs::remove_file(world.manifests().join("fleet.yaml")).unwrap();
    let gone = async || world.agents().list(&Default::default()).await.unwrap().items.is_empty().then_some(());
    eventually("the end of the fleet", gone).await;
    settles(&world, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_is_told_with_its_line_within_a_second_and_the_rest_goes_on() {
    let world = World::start().await;
    source(&world).await;
    let bad =
        "apiVersion: regatta.dev/v1alpha1\nkind: Agent\nmetadata: {name: bad}\nspec:\n  adapter: shell\n  brnch: x\n";
    write(&world.manifests(), "bad.yaml", bad);
    let wrote = Instant::now();
    let failure = async || source(&world).await.status?.failures.into_iter().next();
    let told = eventually("the failure", failure).await;
    println!("failure told after {:?}", wrote.elapsed());
    assert_eq!((told.file.as_str(), told.line), ("bad.yaml", Some(6)), "{told:?}");
    assert!(told.message.contains("spec.brnch"), "{}", told.message);
    assert!(told.snippet.as_deref().is_some_and(|s| s.contains(">    6 |   brnch: x")), "{told:?}");

    write(&world.manifests(), "broken.yaml", "a: [1\nb: 2\n");
    write(&world.manifests(), "good.yaml", &agents(1));
    eventually("the good one", async || world.agents().get_opt("a0").await.unwrap()).await;
    let both = async || Some(source(&world).await.status?.failures).filter(|f| f.len() == 2);
    let failures = eventually("both failures", both).await;
    assert!(failures.iter().any(|f| f.file == "broken.yaml" && f.line.is_some()), "{failures:?}");
    eventually("not ready", async || is(&source(&world).await, READY, "False")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_habit_of_an_editor_deletes_anything() {
    let world = World::start().await;
    source(&world).await;
    let (directory, file) = (world.manifests(), "fleet.yaml");
    write(&directory, file, &agents(2));
    settles(&world, 2).await;
    // Truncate, a moment, write.
    write(&directory, file, "");
    tokio::time::sleep(Duration::from_millis(400)).await;
    write(&directory, file, &agents(2));
    // Write aside, rename over.
    write(&directory, ".fleet.yaml.swp", &agents(2));
    std::fs::rename(directory.join(".fleet.yaml.swp"), directory.join(file)).unwrap();
    // Unlink, a moment, create.
    std::fs::remove_file(directory.join(file)).unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    write(&directory, file, &agents(2));
    nothing_goes(&world, 2).await;
    // Left empty, left broken, and the whole directory away: nothing of it says that the agents should go.
    write(&directory, file, "");
    nothing_goes(&world, 2).await;
    std::fs::rename(&directory, world.home.path().join("elsewhere")).unwrap();
    nothing_goes(&world, 2).await;
    eventually("the reason", async || find(&source(&world).await.status?.conditions, PRUNE_BLOCKED).cloned()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_half_of_many_is_held_until_somebody_says_that_it_is_meant() {
    let world = World::start().await;
    source(&world).await;
    write(&world.manifests(), "fleet.yaml", &agents(6));
    settles(&world, 6).await;
    write(&world.manifests(), "fleet.yaml", &agents(2));
    let blocked = async || find(&source(&world).await.status?.conditions, PRUNE_BLOCKED).cloned();
    let condition = eventually("the guard", blocked).await;
    assert!(condition.message.contains("4 of 6"), "{}", condition.message);
    nothing_goes(&world, 6).await;

    let revision = source(&world).await.status.unwrap().revision.unwrap();
    let sources: Api<Source> = Api::all(world.client.clone());
    let allow = serde_json::json!({"metadata": {"annotations": {"regatta.dev/allow-prune": revision}}});
    sources.patch("manifests", &Default::default(), &kube::api::Patch::Merge(allow)).await.unwrap();
    settles(&world, 2).await;
    assert_eq!(world.agents().list(&Default::default()).await.unwrap().items.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_delete_comes_back() {
    let world = World::start().await;
    source(&world).await;
    write(&world.manifests(), "fleet.yaml", &agents(1));
    settles(&world, 1).await;
    world.agents().delete("a0", &Default::default()).await.unwrap();
    let old = source(&world).await.status.unwrap().inventory[0].uid.clone();
    let anew = async || world.agents().get_opt("a0").await.unwrap().filter(|a| a.metadata.uid.as_ref() != Some(&old));
    eventually("the agent again", anew).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_made_while_nobody_looked_converge_at_the_start() {
    let mut world = World::start().await;
    source(&world).await;
    write(&world.manifests(), "a.yaml", &agents(3));
    write(&world.manifests(), "b.yaml", &one_agent("b", "run: Running"));
    settles(&world, 4).await;
    world.stop_controllers().await;
    write(&world.manifests(), "a.yaml", &agents(2));
    write(&world.manifests(), "b.yaml", &one_agent("b", "run: Stopped"));
    write(&world.manifests(), "c.yaml", &one_agent("c", "run: Running"));
    world.start_controllers();
    let there = async || {
        let mut names: Vec<_> = world.agents().list(&Default::default()).await.unwrap().items;
        names.sort_by_key(|a| a.metadata.name.clone());
        let names: Vec<_> = names.iter().filter_map(|a| a.metadata.name.clone()).collect();
        (names == ["a0", "a1", "b", "c"]).then_some(())
    };
    eventually("what the files say", there).await;
    let stopped = async || {
        let agent = serde_json::json!(world.agent("b").await);
        (agent["spec"]["run"] == "Stopped").then_some(())
    };
    eventually("the changed agent", stopped).await;
    settles(&world, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_because_of_a_file_with_an_error() {
    let world = World::start().await;
    source(&world).await;
    write(&world.manifests(), "fleet.yaml", &agents(2));
    settles(&world, 2).await;
    // The second is gone from the file, but the first is wrong now: the same slip of the keyboard, as like as not.
    write(&world.manifests(), "fleet.yaml", &one_agent("a0", "brnch: x"));
    let blocked = async || find(&source(&world).await.status?.conditions, PRUNE_BLOCKED).cloned();
    assert!(eventually("the guard", blocked).await.message.contains("correct fleet.yaml first"));
    nothing_goes(&world, 2).await;
    write(&world.manifests(), "fleet.yaml", &one_agent("a0", "run: Running"));
    settles(&world, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prune_what_goes_from_the_files_stays() {
    let world = World::start().await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "fleet.yaml", &agents(2));
    make(&world, "keeper", serde_json::json!({"path": directory.path(), "prune": "Disabled"})).await;
    let has = async |count: usize| {
        eventually("the inventory", async || {
            (named(&world, "keeper").await.status?.inventory.len() == count).then_some(())
        })
        .await;
    };
    has(2).await;
    write(directory.path(), "fleet.yaml", &agents(1));
    has(1).await;
    nothing_goes(&world, 2).await;
    eventually("ready", async || is(&named(&world, "keeper").await, READY, "True")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_reported_with_its_owner_or_forced() {
    let world = World::start().await;
    world.apply(&one_agent("a", "run: Stopped")).await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a.yaml", &one_agent("a", "run: Running"));
    make(&world, "polite", serde_json::json!({"path": directory.path()})).await;
    let failure = async || named(&world, "polite").await.status?.failures.into_iter().next();
    let told = eventually("the conflict", failure).await;
    assert!(told.message.contains("conflict with \"test\"") && told.message.contains("spec.run"), "{told:?}");
    assert_eq!(serde_json::json!(world.agent("a").await)["spec"]["run"], "Stopped");
    make(&world, "polite", serde_json::json!({"path": directory.path(), "conflict": "Force"})).await;
    let forced = async || (serde_json::json!(world.agent("a").await)["spec"]["run"] == "Running").then_some(());
    eventually("the manifest's value", forced).await;
    let managers: Vec<_> = world.agent("a").await.metadata.managed_fields.unwrap_or_default();
    assert!(managers.iter().any(|m| m.manager.as_deref() == Some("source/polite")), "{managers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_changed_is_undone_after_the_period() {
    let world = World::start().await;
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a.yaml", &one_agent("a", "run: Stopped"));
    make(&world, "strict", serde_json::json!({"path": directory.path(), "conflict": "Force", "period": "1s"})).await;
    eventually("the agent", async || world.agents().get_opt("a").await.unwrap()).await;
    world.patch_agent("a", serde_json::json!({"spec": {"run": "Running"}})).await;
    let undone = async || (serde_json::json!(world.agent("a").await)["spec"]["run"] == "Stopped").then_some(());
    eventually("the manifest's value again", undone).await;
}
