//! A controller as other people write them with kube-rs: a kind of their own, `finalizer()`, a Recorder, owned objects,
//! status by server-side apply; against `regatta up` over TLS, which dies under it.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Event as CoreEvent};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::runtime::finalizer::{self, Event as Wish, finalizer};
use kube::runtime::{wait, watcher};
use kube::{Api, Client, CustomResource, CustomResourceExt, Resource, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::harness::{PATIENCE, Up};

const FINALIZER: &str = "others.example/buoy";
const MANAGER: &str = "buoy-controller";

#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(group = "others.example", version = "v1", kind = "Buoy", namespaced, status = "BuoyStatus")]
pub struct BuoySpec {
    light: String,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BuoyStatus {
    shows: String,
    observed_generation: i64,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error("{0}")]
    Finalizer(#[from] Box<finalizer::Error<Error>>),
}

/// What the reconciler has, and what it did.
struct World {
    client: Client,
    recorder: Recorder,
    cleaned: Mutex<BTreeMap<String, usize>>,
}

async fn reconcile(buoy: Arc<Buoy>, world: Arc<World>) -> Result<Action, Error> {
    let api: Api<Buoy> = Api::namespaced(world.client.clone(), &buoy.namespace().unwrap());
    let done = finalizer(&api, FINALIZER, buoy, |wish| async {
        match wish {
            Wish::Apply(buoy) => ensure(&api, &buoy, &world).await,
            Wish::Cleanup(buoy) => {
                *world.cleaned.lock().unwrap().entry(buoy.name_any()).or_default() += 1;
                Ok(Action::await_change())
            }
        }
    })
    .await;
    done.map_err(|e| Box::new(e).into())
}

async fn ensure(api: &Api<Buoy>, buoy: &Buoy, world: &World) -> Result<Action, Error> {
    let name = buoy.name_any();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), &buoy.namespace().unwrap());
    let owner = buoy.controller_owner_ref(&()).unwrap();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": format!("chart-of-{name}"), "ownerReferences": [owner]},
        "data": {"light": buoy.spec.light}});
    let mine = PatchParams::apply(MANAGER).force();
    maps.patch(&format!("chart-of-{name}"), &mine, &Patch::Apply(map)).await?;
    let seen = buoy.status.clone().unwrap_or_default();
    if seen.shows != buoy.spec.light {
        let lit = Event {
            type_: EventType::Normal,
            reason: "Lit".into(),
            note: Some(format!("{name} has a light")),
            action: "Light".into(),
            secondary: None,
        };
        world.recorder.publish(&lit, &buoy.object_ref(&())).await?;
    }
    let status = json!({"apiVersion": Buoy::api_version(&()), "kind": Buoy::kind(&()),
        "status": {"shows": buoy.spec.light, "observedGeneration": buoy.metadata.generation}});
    api.patch_status(&name, &mine, &Patch::Apply(status)).await?;
    Ok(Action::await_change())
}

/// Asks until the answer is there, or fails with what was last seen.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(seen) if Instant::now() > deadline => panic!("{what}: not within {PATIENCE:?}; last seen: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// Until the status is about the spec as it is now.
async fn settled(api: &Api<Buoy>, name: &str, light: &str) -> Buoy {
    until(&format!("{name} shows {light}"), async || {
        let buoy = api.get(name).await.map_err(|e| e.to_string())?;
        let wanted =
            BuoyStatus { shows: light.into(), observed_generation: buoy.metadata.generation.unwrap_or_default() };
        if buoy.status.as_ref() == Some(&wanted) { Ok(buoy) } else { Err(format!("{buoy:?}")) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_of_other_people_works_and_survives_a_killed_server() {
    let mut up = Up::start();
    let client = up.client().await;
    let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
    crds.create(&PostParams::default(), &Buoy::crd()).await.unwrap();
    let established = wait::conditions::is_crd_established();
    let name = Buoy::crd().name_any();
    tokio::time::timeout(PATIENCE, wait::await_condition(crds, &name, established)).await.unwrap().unwrap();

    let api: Api<Buoy> = Api::namespaced(client.clone(), "default");
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let reporter = Reporter { controller: "others.example/buoys".into(), instance: Some("test".into()) };
    let world = Arc::new(World {
        client: client.clone(),
        recorder: Recorder::new(client.clone(), reporter),
        cleaned: Mutex::default(),
    });
    let running = Controller::new(api.clone(), watcher::Config::default())
        .owns(maps.clone(), watcher::Config::default())
        .run(reconcile, |_, _, _| Action::requeue(Duration::from_millis(200)), world.clone())
        .for_each(|_| ready(()));
    let running = tokio::spawn(running);

    // The finalizer is added by a JSON patch that tests for an absent key; the status by an apply of its subresource.
    for name in ["north", "south", "west"] {
        let buoy = Buoy::new(name, BuoySpec { light: "red".into() });
        api.create(&PostParams::default(), &buoy).await.unwrap();
    }
    for name in ["north", "south", "west"] {
        let buoy = settled(&api, name, "red").await;
        assert_eq!(buoy.finalizers(), [FINALIZER]);
        assert_eq!(buoy.metadata.generation, Some(1), "neither finalizer nor status make a generation");
        let chart = maps.get(&format!("chart-of-{name}")).await.unwrap();
        assert_eq!(chart.owner_references()[0].uid, buoy.uid().unwrap());
    }

    // The same status again writes nothing: no loop feeds itself.
    let before = settled(&api, "north", "red").await;
    let status = json!({"apiVersion": Buoy::api_version(&()), "kind": Buoy::kind(&()), "status": before.status});
    let again = api.patch_status("north", &PatchParams::apply(MANAGER).force(), &Patch::Apply(status)).await.unwrap();
    assert_eq!(again.resource_version(), before.resource_version());

    // What it owns and loses comes back.
    maps.delete("chart-of-south", &DeleteParams::default()).await.unwrap();
    until("the chart is drawn again", async || maps.get("chart-of-south").await.map_err(|e| e.to_string())).await;

    let green = json!({"spec": {"light": "green"}});
    api.patch("north", &PatchParams::default(), &Patch::Merge(&green)).await.unwrap();
    settled(&api, "north", "green").await;
    let events: Api<CoreEvent> = Api::namespaced(client.clone(), "default");
    let about = ListParams::default().fields("involvedObject.name=north,reason=Lit");
    until("one Event, counted at least twice", async || {
        let found = events.list(&about).await.map_err(|e| e.to_string())?.items;
        let [one] = found.as_slice() else { return Err(format!("{found:?}")) };
        let times = one.series.as_ref().and_then(|s| s.count);
        // More often where a cache was behind: the reconciler may see an older status once more.
        if times >= Some(2) { Ok(()) } else { Err(format!("{one:?}")) }
    })
    .await;

    up.kill9();
    up.start_again();
    api.patch("south", &PatchParams::default(), &Patch::Merge(&green)).await.unwrap();
    settled(&api, "south", "green").await;
    assert_eq!(maps.get("chart-of-south").await.unwrap().data.unwrap()["light"], "green");
    api.create(&PostParams::default(), &Buoy::new("east", BuoySpec { light: "white".into() })).await.unwrap();
    settled(&api, "east", "white").await;

    for name in ["north", "south", "east", "west"] {
        api.delete(name, &DeleteParams::default()).await.unwrap();
    }
    until("all are gone, and what they owned", async || {
        let buoys = api.list(&ListParams::default()).await.map_err(|e| e.to_string())?.items;
        let charts = maps.list(&ListParams::default()).await.map_err(|e| e.to_string())?.items;
        let charts: Vec<String> =
            charts.iter().map(ResourceExt::name_any).filter(|name| name.starts_with("chart-of-")).collect();
        if buoys.is_empty() && charts.is_empty() { Ok(()) } else { Err(format!("{buoys:?} {charts:?}")) }
    })
    .await;
    let cleaned = world.cleaned.lock().unwrap().clone();
    let once = ["east", "north", "south", "west"].map(|name| (name.to_owned(), 1));
    assert_eq!(cleaned, BTreeMap::from(once), "each is cleaned up once");
    running.abort();
}
