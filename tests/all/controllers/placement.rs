use std::collections::BTreeSet;

use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt};
use regatta::api::{Agent, Repo};
use serde_json::json;

use super::world::{World, agent, condition, eventually, is};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_host_waits_with_a_reason_and_goes_when_deleted() {
    let world = World::start().await;
    world.apply_value(agent("lonely", json!({}))).await;
    let said = eventually("a verdict", async || condition(&world.agent("lonely").await, "Scheduled")).await;
    assert_eq!(said, ("False".to_owned(), "NoHostReady".to_owned()));
    let waiting = world.agent("lonely").await;
    assert_eq!(condition(&waiting, "Ready").unwrap().1, "NoHostReady");
    assert_eq!(waiting.status.unwrap().number, Some(1));
    world.agents().delete("lonely", &DeleteParams::default()).await.unwrap();
    eventually("deletion", async || world.agents().get_opt("lonely").await.unwrap().is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_comes_takes_the_waiting_ones_and_numbers_are_never_reused() {
    let mut world = World::start().await;
    for name in ["a", "b", "c"] {
        world.apply_value(agent(name, json!({}))).await;
    }
    let _host = world.connect("fermi", vec![]).await;
    for name in ["a", "b", "c"] {
        eventually("ready", async || is(&world.agent(name).await, "Ready", "True")).await;
    }
    let number = async |name: &str| world.agent(name).await.status.unwrap().number.unwrap();
    let numbers = BTreeSet::from([number("a").await, number("b").await, number("c").await]);
    assert_eq!(numbers, BTreeSet::from([1, 2, 3]));
    world.agents().delete("c", &DeleteParams::default()).await.unwrap();
    eventually("deletion", async || world.agents().get_opt("c").await.unwrap().is_none().then_some(())).await;
    world.apply_value(agent("c", json!({}))).await;
    eventually("ready again", async || is(&world.agent("c").await, "Ready", "True")).await;
    assert_eq!(number("c").await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_agents_are_placed_within_seconds_and_counted_in_few_writes() {
    const COUNT: usize = 1000;
    let mut world = World::start().await;
    let host = world.connect("fermi", vec![]).await;
    host.hold(true);
    let began = std::time::Instant::now();
    let names: Vec<String> = (0..COUNT).map(|i| format!("a{i}")).collect();
    futures::future::join_all(names.iter().map(|name| world.apply_value(agent(name, json!({}))))).await;
    let created = began.elapsed();
    let placed = async || {
        let list = world.agents().list(&ListParams::default()).await.unwrap().items;
        (list.iter().filter(|a| a.status.as_ref().is_some_and(|s| s.host_name.is_some())).count() == COUNT)
            .then_some(list)
    };
    let list: Vec<Agent> = eventually("all placed", placed).await;
    println!("{COUNT} agents: created in {created:?}, placed in {:?}", began.elapsed());
    let numbers: BTreeSet<i64> = list.iter().filter_map(|a| a.status.as_ref()?.number).collect();
    assert_eq!(numbers.len(), COUNT, "each has a number of its own");
    eventually("all told", async || (host.desired.lock().unwrap().len() == COUNT).then_some(())).await;
    println!("{COUNT} agents: host told in {:?}", began.elapsed());
    let hosts: Api<regatta::api::Host> = Api::all(world.client.clone());
    let counted = async || (hosts.get("fermi").await.unwrap().status?.agents? == COUNT as i32).then_some(());
    eventually("the host's count", counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repo_stays_while_agents_use_it() {
    let mut world = World::start().await;
    let _host = world.connect("fermi", vec![]).await;
    world.apply("{apiVersion: regatta.dev/v1alpha1, kind: Repo, metadata: {name: r}, spec: {path: /srv/r}}").await;
    world.apply_value(agent("a", json!({"repoRef": {"name": "r"}}))).await;
    let repos: Api<Repo> = Api::default_namespaced(world.client.clone());
    eventually("the clone", async || is(&repos.get("r").await.unwrap(), "Fetched", "True")).await;
    let status = repos.get("r").await.unwrap().status.unwrap();
    assert_eq!((status.default_branch.as_deref(), status.location.as_deref()), (Some("main"), Some("/srv/r")));
    assert_eq!(status.mirrors[0].host, "fermi");
    eventually("the count", async || (repos.get("r").await.unwrap().status?.agents? == 1).then_some(())).await;

    repos.delete("r", &DeleteParams::default()).await.unwrap();
    let remains = async || (condition(&repos.get("r").await.unwrap(), "Ready")?.1 == "WorktreesRemain").then_some(());
    eventually("the reason", remains).await;
    assert!(repos.get("r").await.unwrap().finalizers().len() == 1);
    world.agents().delete("a", &DeleteParams::default()).await.unwrap();
    eventually("deletion", async || repos.get_opt("r").await.unwrap().is_none().then_some(())).await;
}
