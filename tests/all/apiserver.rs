//! The embedded API server, in process through `kube::Client` and raw requests.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::Request;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, Secret},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    core::{ApiResource, GroupVersionKind},
};
use regatta::apiserver::{ApiServer, Options, User};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Server {
    pub server: ApiServer,
    pub client: Client,
    pub home: TempDir,
}

pub async fn server() -> Server {
    let home = tempfile::tempdir().unwrap();
    let server = open(&home).await;
    let client = server.client(User::admin());
    Server { server, client, home }
}

pub async fn open(home: &TempDir) -> ApiServer {
    ApiServer::open(Options { database: home.path().join("api.db"), crds: vec![boat_crd()] }).await.unwrap()
}

/// A definition with everything the server treats specially: status, scale, columns, selectable fields, defaults.
pub fn boat_crd() -> CustomResourceDefinition {
    serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "boats.sea.example"},
        "spec": {"group": "sea.example", "scope": "Namespaced",
            "names": {"plural": "boats", "singular": "boat", "kind": "Boat", "shortNames": ["bt"], "categories": ["all"]},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.oars", "statusReplicasPath": ".status.oars",
                    "labelSelectorPath": ".status.selector"}},
                "selectableFields": [{"jsonPath": ".spec.port"}],
                "additionalPrinterColumns": [
                    {"name": "Port", "type": "string", "jsonPath": ".spec.port"},
                    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["port"], "properties": {
                        "port": {"type": "string", "maxLength": 20, "description": "Where the boat lies."},
                        "oars": {"type": "integer", "minimum": 0, "maximum": 8, "default": 2},
                        "crew": {"type": "array", "maxItems": 10, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                            "items": {"type": "object", "required": ["name"], "properties": {
                                "name": {"type": "string", "maxLength": 20}, "role": {"type": "string", "maxLength": 20}}}}}},
                    "status": {"type": "object", "properties": {
                        "oars": {"type": "integer"}, "selector": {"type": "string"},
                        "conditions": {"type": "array", "items": {"type": "object", "required": ["type", "status"], "properties": {
                            "type": {"type": "string"}, "status": {"type": "string"}}}}}}}}}}]}}))
    .unwrap()
}

pub fn boats(client: &Client) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("sea.example", "v1", "Boat"), "boats");
    Api::namespaced_with(client.clone(), "default", &kind)
}

pub fn boat(name: &str, port: &str) -> DynamicObject {
    serde_json::from_value(json!({"apiVersion": "sea.example/v1", "kind": "Boat", "metadata": {"name": name},
        "spec": {"port": port}}))
    .unwrap()
}

fn config(name: &str, value: &str) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"value": value}}, "data": {"k": value}}))
        .unwrap()
}

/// A raw request: code, headers that matter, body.
pub async fn raw(
    client: &Client,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (u16, http::HeaderMap, String) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = client.send(request.body(body.to_vec().into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect_bytes().await.unwrap();
    (parts.status.as_u16(), parts.headers, String::from_utf8(bytes.to_vec()).unwrap())
}

pub async fn json_of(client: &Client, method: &str, path: &str, body: Value) -> (u16, Value) {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    let (code, _, text) = raw(client, method, path, &[("content-type", "application/json")], &body).await;
    (code, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Waits until a condition holds, with a deadline.
pub async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test]
async fn an_object_lives_from_creation_to_deletion() {
    let s = server().await;
    let api = boats(&s.client);
    let made = api.create(&PostParams::default(), &boat("ark", "ararat")).await.unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    assert_eq!(made.data["spec"]["oars"], 2, "defaults are filled in");
    let again = api.create(&PostParams::default(), &boat("ark", "x")).await.unwrap_err().to_string();
    assert!(again.contains("boats.sea.example \"ark\" already exists"), "{again}");

    let mut changed = made.clone();
    changed.data["spec"]["port"] = "joppa".into();
    let changed = api.replace("ark", &PostParams::default(), &changed).await.unwrap();
    assert_eq!(changed.metadata.generation, Some(2));
    let stale = api.replace("ark", &PostParams::default(), &made).await.unwrap_err().to_string();
    assert!(stale.contains("the object has been modified"), "{stale}");

    let status = json!({"status": {"oars": 1}});
    let patched = api.patch_status("ark", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_eq!((patched.metadata.generation, patched.data["status"]["oars"].clone()), (Some(2), json!(1)));
    assert_eq!(patched.data["spec"]["port"], "joppa");

    api.delete("ark", &DeleteParams::default()).await.unwrap();
    let gone = api.get("ark").await.unwrap_err().to_string();
    assert!(gone.contains("boats.sea.example \"ark\" not found"), "{gone}");
}

#[tokio::test]
async fn a_watch_tells_every_change_in_order() {
    let s = server().await;
    let api: Api<ConfigMap> = Api::default_namespaced(s.client.clone());
    api.create(&PostParams::default(), &config("a", "1")).await.unwrap();
    let mut events = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let mut next =
        async || tokio::time::timeout(Duration::from_secs(5), events.try_next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(next().await, WatchEvent::Added(c) if c.name_any() == "a"), "what exists comes first");
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    assert!(matches!(next().await, WatchEvent::Modified(c) if c.data.as_ref().unwrap()["k"] == "2"));
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    let last = api.get("a").await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();
    match next().await {
        WatchEvent::Deleted(gone) => assert_ne!(gone.resource_version(), last.resource_version()),
        other => panic!("a write that changes nothing is no event, but there was {other:?}"),
    }
}
