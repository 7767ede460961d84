use kube::Api;
use kube::api::ListParams;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use regatta::api::conditions::READY;
use regatta::api::{AgentClass, Source, crds};

use super::world::{World, condition, eventually, is};

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
    // One of each kind, and the first fleet.
    assert_eq!(count, crds().len() + 1);
    for name in ["hands", "clock", "tests", "example-agent"] {
        eventually(name, async || is(&world.agent(name).await, READY, "True")).await;
    }
    let classes: Api<AgentClass> = Api::default_namespaced(world.client.clone());
    eventually("the class", async || is(&classes.get("example-class").await.unwrap(), READY, "True")).await;
    let sources: Api<Source> = Api::all(world.client.clone());
    // Its directory is not there: it says so, and nothing else happens.
    eventually("the source", async || is(&sources.get("example-source").await.unwrap(), READY, "False")).await;
    for crd in crds().into_iter().map(|crd| crd.spec) {
        if ["Repo", "Host", "AgentClass", "Agent", "Source"].contains(&crd.names.kind.as_str()) {
            continue;
        }
        let kind = GroupVersionKind::gvk("regatta.dev", "v1alpha1", &crd.names.kind);
        let api: Api<DynamicObject> =
            Api::all_with(world.client.clone(), &ApiResource::from_gvk_with_plural(&kind, &crd.names.plural));
        // Kept and not acted on: it says so, and what to use meanwhile.
        eventually(&crd.names.kind, async || {
            let objects = api.list(&ListParams::default()).await.unwrap().items;
            let said = condition(objects.first()?, READY)?;
            assert_eq!(said, ("False".to_owned(), "NotImplemented".to_owned()), "{}", crd.names.kind);
            Some(())
        })
        .await;
    }
}
