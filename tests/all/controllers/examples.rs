use kube::Api;
use regatta::api::conditions::READY;
use regatta::api::{AgentClass, Source};

use super::world::{World, eventually, is};

#[tokio::test(flavor = "multi_thread")]
async fn every_example_can_be_applied_as_it_is_and_becomes_ready() {
    let mut world = World::start().await;
    let _host = world.connect("fermi", vec![]).await;
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        world.apply(&std::fs::read_to_string(&path).unwrap()).await;
        count += 1;
    }
    assert_eq!(count, 6);
    for name in ["hands", "clock", "tests", "example-agent"] {
        eventually(name, async || is(&world.agent(name).await, READY, "True")).await;
    }
    let classes: Api<AgentClass> = Api::default_namespaced(world.client.clone());
    eventually("the class", async || is(&classes.get("example-class").await.unwrap(), READY, "True")).await;
    let sources: Api<Source> = Api::all(world.client.clone());
    // Its directory is not there: it says so, and nothing else happens.
    eventually("the source", async || is(&sources.get("example-source").await.unwrap(), READY, "False")).await;
}
