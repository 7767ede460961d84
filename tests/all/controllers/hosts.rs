use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use regatta::api::agent_status::{Exit, LogRange};
use regatta::api::conditions::{READY, Truth, Verdict};
use regatta::api::{AGENT_FINALIZER, Activity, Host, SYSTEM_NAMESPACE};
use serde_json::{from_value, json};

use super::world::{World, agent, condition, eventually, is, observe};

#[tokio::test(flavor = "multi_thread")]
async fn a_host_becomes_an_object_with_labels_and_a_lease() {
    let mut world = World::start().await;
    let _host = world.connect("fermi", vec![]).await;
    let hosts: Api<Host> = Api::all(world.client.clone());
    eventually("the host", async || is(&hosts.get_opt("fermi").await.unwrap()?, READY, "True")).await;
    let host = hosts.get("fermi").await.unwrap();
    assert_eq!(host.labels()["zone"], "dock");
    assert_eq!(host.status.unwrap().info.unwrap().cpus, 2);
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), SYSTEM_NAMESPACE);
    let lease = eventually("the lease", async || leases.get_opt("fermi").await.unwrap()).await;
    assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some("fermi"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_is_claimed_for_a_generation_only_when_the_host_acted_on_it() {
    let mut world = World::start().await;
    let host = world.connect("fermi", vec![]).await;
    world.apply_value(agent("a", json!({"command": ["true"]}))).await;
    eventually("ready", async || is(&world.agent("a").await, READY, "True")).await;

    host.hold(true);
    world.patch_agent("a", json!({"spec": {"command": ["false"]}})).await;
    let told = eventually("the change", async || host.wants("a").filter(|d| d.command == ["false"])).await;
    assert_eq!(told.generation, 2);
    assert_eq!(condition(&world.agent("a").await, READY), None, "Ready is still about generation 1");
    host.report(observe(&told)).await;
    eventually("ready at 2", async || is(&world.agent("a").await, READY, "True")).await;
    assert_eq!(world.agent("a").await.status.unwrap().observed_generation, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_new_writes_nothing() {
    let mut world = World::start().await;
    let host = world.connect("fermi", vec![]).await;
    world.apply_value(agent("a", json!({}))).await;
    eventually("ready", async || is(&world.agent("a").await, READY, "True")).await;
    let before = world.agent("a").await;
    let mut observed = observe(&host.wants("a").unwrap());
    host.report(observed.clone()).await;
    observed.log = Some(LogRange { first: 0, head: 1 });
    host.report(observed.clone()).await;
    // An edge after them shows that they were looked at.
    observed.activity = Activity::Idle;
    host.report(observed).await;
    let idle = async || (world.agent("a").await.status?.activity? == Activity::Idle).then_some(());
    eventually("idle", idle).await;
    let versions = |a: &regatta::api::Agent| a.resource_version().unwrap().parse::<u64>().unwrap();
    assert!(versions(&world.agent("a").await) > versions(&before));
    let writers: Vec<_> = before.managed_fields().iter().filter_map(|m| m.manager.clone()).collect();
    assert!(writers.contains(&"host/fermi".to_owned()) && writers.contains(&"placement".to_owned()), "{writers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_told_once_with_its_cause() {
    let mut world = World::start().await;
    let host = world.connect("fermi", vec![]).await;
    world.apply_value(agent("a", json!({}))).await;
    eventually("ready", async || is(&world.agent("a").await, READY, "True")).await;
    let mut observed = observe(&host.wants("a").unwrap());
    observed.activity = Activity::Failed;
    observed.verdicts = vec![Verdict::new(READY, Truth::False, "Failed", "exit code 3")];
    observed.exit = Some(Exit {
        epoch: 1,
        code: Some(3),
        signal: None,
        reason: "Exited".into(),
        time: from_value(json!("2026-01-01T00:00:00Z")).unwrap(),
    });
    host.report(observed.clone()).await;
    observed.message = "again".into();
    host.report(observed).await;
    let events: Api<Event> = Api::default_namespaced(world.client.clone());
    let reasons = async || {
        let list = events.list(&ListParams::default()).await.unwrap();
        let mut reasons: Vec<String> = list.items.into_iter().filter_map(|e| e.reason).collect();
        reasons.sort();
        Some(reasons).filter(|r| r.contains(&"Failed".to_owned()))
    };
    let reasons = eventually("the event", reasons).await;
    assert_eq!(reasons, ["Failed", "Scheduled", "Started", "WorktreeReady"]);
    eventually("stalled", async || is(&world.agent("a").await, "Stalled", "True")).await;
    assert_eq!(world.agent("a").await.status.unwrap().exit.unwrap().code, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_agent_goes_when_its_host_has_put_it_away() {
    let mut world = World::start().await;
    let host = world.connect("fermi", vec![]).await;
    world.apply_value(agent("a", json!({}))).await;
    eventually("ready", async || is(&world.agent("a").await, READY, "True")).await;
    let uid = world.agent("a").await.uid().unwrap();
    assert_eq!(world.agent("a").await.finalizers(), [AGENT_FINALIZER]);

    host.hold(true);
    world.agents().delete("a", &DeleteParams::default()).await.unwrap();
    let told = eventually("the wish", async || host.wants("a").filter(|d| d.deleting)).await;
    assert!(world.agents().get_opt("a").await.unwrap().is_some(), "it stays while the host works");
    host.report(observe(&told)).await;
    eventually("deletion", async || world.agents().get_opt("a").await.unwrap().is_none().then_some(())).await;
    eventually("being forgotten", async || host.forgotten.lock().unwrap().contains(&uid).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_host_and_its_change_too() {
    let mut world = World::start().await;
    let host = world.connect("fermi", vec![]).await;
    let from = json!({"secretKeyRef": {"name": "s", "key": "k"}});
    world.apply_value(agent("a", json!({"env": [{"name": "TOKEN", "valueFrom": from}]}))).await;
    let reason = async || (condition(&world.agent("a").await, READY)?.1 == "SecretNotUsable").then_some(());
    eventually("the reason", reason).await;
    eventually("stalled", async || is(&world.agent("a").await, "Stalled", "True")).await;
    for value in ["one", "two"] {
        let secret =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": value}});
        world.apply_value(secret).await;
        let has = async || host.wants("a")?.secret_env.first().is_some_and(|(_, v)| v == value).then_some(());
        eventually("the value", has).await;
    }
    eventually("ready", async || is(&world.agent("a").await, READY, "True")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_nobody_asked_for_is_reported_and_never_ended() {
    let mut world = World::start().await;
    let first = world.connect("fermi", vec![]).await;
    world.apply_value(agent("a", json!({}))).await;
    eventually("ready", async || is(&world.agent("a").await, READY, "True")).await;
    let mut stranger = observe(&first.wants("a").unwrap());
    (stranger.uid, stranger.name, stranger.desired_version) = ("0-stranger".into(), "ghost".into(), String::new());
    let stranger = stranger.sealed();

    // It dials again, with one more agent than anybody knows of; what it was told before comes with the welcome.
    let known = first.observed.lock().unwrap().values().cloned().collect::<Vec<_>>();
    let again = world.connect("fermi", [known, vec![stranger]].concat()).await;
    assert!(again.wants("a").is_some());
    let hosts: Api<Host> = Api::all(world.client.clone());
    let said = async || {
        let host = hosts.get("fermi").await.unwrap();
        let conditions = host.status?.conditions;
        conditions.into_iter().find(|c| c.type_ == "UnknownAgents").map(|c| c.message)
    };
    let message = eventually("the report", said).await;
    assert!(message.contains("default/ghost"), "{message}");
    assert!(again.forgotten.lock().unwrap().is_empty());
    let beat = again.heartbeat().await;
    assert!(!beat.desired_digest.is_empty(), "the new link is greeted");
}
