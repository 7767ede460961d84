//! The embedded API server, in process through `kube::Client` and raw requests.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use http::Request;
use http_body_util::BodyExt;
use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{
        DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy, WatchEvent,
        WatchParams,
    },
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
    server_with(vec![boat_crd()]).await
}

pub async fn server_with(crds: Vec<CustomResourceDefinition>) -> Server {
    let home = tempfile::tempdir().unwrap();
    let server = ApiServer::open(Options { database: home.path().join("api.db"), crds }).await.unwrap();
    let client = server.client(User::admin());
    Server { server, client, home }
}

pub async fn open(home: &TempDir) -> ApiServer {
    ApiServer::open(Options { database: home.path().join("api.db"), crds: vec![boat_crd()] }).await.unwrap()
}

const BOATS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.sea.example}
spec:
  group: sea.example
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat, shortNames: [bt], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.oars, statusReplicasPath: .status.oars, labelSelectorPath: .status.selector}
    selectableFields: [{jsonPath: .spec.port}]
    additionalPrinterColumns:
    - {name: Port, type: string, jsonPath: .spec.port}
    - {name: Oars, type: integer, jsonPath: .spec.oars, priority: 1}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type=="Ready")].status'}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: A boat.
        properties:
          spec:
            type: object
            required: [port]
            properties:
              port: {type: string, maxLength: 20, description: Where the boat lies.}
              oars: {type: integer, minimum: 0, maximum: 8, default: 2}
              crew:
                type: array
                maxItems: 10
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string, maxLength: 20}, role: {type: string, maxLength: 20}}
          status:
            type: object
            properties:
              oars: {type: integer}
              selector: {type: string}
              conditions:
                type: array
                items:
                  type: object
                  required: [type, status]
                  properties: {type: {type: string}, status: {type: string}}
"#;

/// A definition with everything the server treats specially: status, scale, columns, selectable fields, defaults.
pub fn boat_crd() -> CustomResourceDefinition {
    let value: Value = serde_saphyr::from_str(BOATS).unwrap();
    serde_json::from_value(value).unwrap()
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

/// The lines of a watch until one of the given type.
async fn watch_until(client: &Client, path: &str, last: &str) -> Vec<Value> {
    let response = client.send(Request::get(path).body(Vec::new().into()).unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut stream = response.into_body().into_data_stream();
    let (mut text, mut lines) = (String::new(), Vec::new());
    while !lines.iter().any(|line: &Value| line["type"] == last) {
        let piece = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.expect("the watch went silent");
        let Some(piece) = piece else { break };
        text += std::str::from_utf8(&piece.unwrap()).unwrap();
        while let Some((line, rest)) = text.split_once('\n') {
            lines.push(serde_json::from_str(line).unwrap());
            text = rest.to_string();
        }
    }
    lines
}

#[tokio::test]
async fn pages_of_a_list_show_one_moment() {
    let s = server().await;
    let api: Api<ConfigMap> = Api::default_namespaced(s.client.clone());
    for name in ["a", "b", "c", "d", "e"] {
        api.create(&PostParams::default(), &config(name, "1")).await.unwrap();
    }
    let first = api.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    api.delete("d", &DeleteParams::default()).await.unwrap();
    api.create(&PostParams::default(), &config("cc", "1")).await.unwrap();
    api.patch("c", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    let token = first.metadata.continue_.unwrap();
    let rest = api.list(&ListParams::default().limit(10).continue_token(&token)).await.unwrap();
    let names: Vec<String> = rest.items.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["c", "d", "e"]);
    assert_eq!(rest.items[0].data.as_ref().unwrap()["k"], "1");
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    let exact =
        format!("{CONFIGS}?resourceVersion={}&resourceVersionMatch=Exact", first.metadata.resource_version.unwrap());
    assert_eq!(json_of(&s.client, "GET", &exact, Value::Null).await.1["items"].as_array().unwrap().len(), 5);
    let (code, future) =
        json_of(&s.client, "GET", &format!("{CONFIGS}?resourceVersion=9000000000000000"), Value::Null).await;
    assert_eq!((code, future["details"]["causes"][0]["reason"].as_str()), (504, Some("ResourceVersionTooLarge")));
}

#[tokio::test]
async fn selectors_choose_and_a_watch_turns_leaving_into_deletion() {
    let s = server().await;
    let api = boats(&s.client);
    api.create(&PostParams::default(), &boat("a", "ararat")).await.unwrap();
    api.create(&PostParams::default(), &boat("b", "joppa")).await.unwrap();
    let listed = api.list(&ListParams::default().fields("spec.port=joppa")).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    let refused = api.list(&ListParams::default().fields("spec.oars=1")).await.unwrap_err().to_string();
    assert!(refused.contains("field label not supported: spec.oars"), "{refused}");
    let version = listed.metadata.resource_version.unwrap();
    for port in ["ararat", "joppa"] {
        api.patch("b", &PatchParams::default(), &Patch::Merge(json!({"spec": {"port": port}}))).await.unwrap();
    }
    let path = format!(
        "/apis/sea.example/v1/boats?watch=true&fieldSelector=spec.port%3Djoppa&resourceVersion={version}&timeoutSeconds=5"
    );
    let lines = watch_until(&s.client, &path, "ADDED").await;
    let types: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["DELETED", "ADDED"]);
    assert_eq!(lines[0]["object"]["spec"]["port"], "joppa", "the object as the watcher knew it");
}

#[tokio::test]
async fn a_watch_that_is_too_old_is_told_so_in_the_stream() {
    let s = server().await;
    let lines = watch_until(&s.client, &format!("{CONFIGS}?watch=true&resourceVersion=5"), "ERROR").await;
    assert_eq!(
        (lines[0]["object"]["code"].as_u64(), lines[0]["object"]["reason"].as_str()),
        (Some(410), Some("Expired"))
    );
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() {
    let s = server().await;
    let api: Api<ConfigMap> = Api::default_namespaced(s.client.clone());
    api.create(&PostParams::default(), &config("a", "1")).await.unwrap();
    let path = format!(
        "{CONFIGS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&labelSelector=value"
    );
    let lines = watch_until(&s.client, &path, "BOOKMARK").await;
    assert_eq!(lines[0]["object"]["metadata"]["name"], "a");
    assert_eq!(lines[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let (code, _) =
        json_of(&s.client, "GET", &format!("{CONFIGS}?watch=true&sendInitialEvents=true"), Value::Null).await;
    assert_eq!(code, 422);
}

#[tokio::test]
async fn applying_the_same_again_changes_nothing_and_conflicts_name_the_manager() {
    let s = server().await;
    let api = boats(&s.client);
    let wanted =
        json!({"apiVersion": "sea.example/v1", "kind": "Boat", "spec": {"port": "ararat", "crew": [{"name": "noah"}]}});
    let noah = PatchParams::apply("noah");
    let first = api.patch("ark", &noah, &Patch::Apply(&wanted)).await.unwrap();
    let second = api.patch("ark", &noah, &Patch::Apply(&wanted)).await.unwrap();
    assert_eq!(first.resource_version(), second.resource_version());
    let other = json!({"apiVersion": "sea.example/v1", "kind": "Boat", "spec": {"port": "joppa"}});
    let refused = api.patch("ark", &PatchParams::apply("jonah"), &Patch::Apply(&other)).await.unwrap_err().to_string();
    assert!(
        refused.contains("conflict with \"noah\": .spec.port") || refused.contains("conflict with \"noah\" using"),
        "{refused}"
    );
    let taken = api.patch("ark", &PatchParams::apply("jonah").force(), &Patch::Apply(&other)).await.unwrap();
    assert_eq!(taken.data["spec"]["port"], "joppa");
    let status = json!({"apiVersion": "sea.example/v1", "kind": "Boat", "status": {"oars": 1}});
    let patched = api.patch_status("ark", &noah, &Patch::Apply(&status)).await.unwrap();
    assert_eq!((patched.metadata.generation, patched.data["spec"]["port"].as_str()), (Some(2), Some("joppa")));
    let again = api.patch_status("ark", &noah, &Patch::Apply(&status)).await.unwrap();
    assert_eq!(patched.resource_version(), again.resource_version());
}

#[tokio::test]
async fn unknown_fields_are_refused_warned_of_or_ignored_as_asked() {
    let s = server().await;
    let mut wrong = serde_json::to_value(boat("ark", "ararat")).unwrap();
    wrong["spec"]["sails"] = 3.into();
    let path = "/apis/sea.example/v1/namespaces/default/boats";
    let json_type = [("content-type", "application/json")];
    let body = wrong.to_string().into_bytes();
    let (code, _, text) = raw(&s.client, "POST", &format!("{path}?fieldValidation=Strict"), &json_type, &body).await;
    assert_eq!(code, 400);
    assert!(text.contains(r#"strict decoding error: unknown field \"spec.sails\""#), "{text}");
    let (code, headers, _) = raw(&s.client, "POST", &format!("{path}?dryRun=All"), &json_type, &body).await;
    assert_eq!((code, headers["warning"].to_str().unwrap()), (201, r#"299 - "unknown field \"spec.sails\"""#));
    let (code, headers, text) =
        raw(&s.client, "POST", &format!("{path}?fieldValidation=Ignore"), &json_type, &body).await;
    assert_eq!((code, headers.get("warning"), text.contains("sails")), (201, None, false));
    wrong["spec"]["oars"] = 9.into();
    wrong["metadata"]["name"] = "raft".into();
    let (code, status) = json_of(&s.client, "POST", path, wrong).await;
    assert_eq!(code, 422);
    assert_eq!(status["details"]["causes"][0]["field"], "spec.oars", "{status}");
}

#[tokio::test]
async fn finalizers_hold_an_object_and_count_one_generation() {
    let s = server().await;
    let api = boats(&s.client);
    let mut held = boat("ark", "ararat");
    held.metadata.finalizers = Some(vec!["sea.example/anchor".into()]);
    api.create(&PostParams::default(), &held).await.unwrap();
    for _ in 0..2 {
        let marked = api.delete("ark", &DeleteParams::default()).await.unwrap().left().unwrap();
        assert_eq!(marked.metadata.generation, Some(2));
        assert!(marked.metadata.deletion_timestamp.is_some());
    }
    let more = json!({"metadata": {"finalizers": ["sea.example/anchor", "sea.example/other"]}});
    let refused = api.patch("ark", &PatchParams::default(), &Patch::Merge(&more)).await.unwrap_err().to_string();
    assert!(refused.contains("no new finalizers can be added"), "{refused}");
    let none = json!({"metadata": {"finalizers": null}});
    api.patch("ark", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    assert!(api.get_opt("ark").await.unwrap().is_none());
}

#[tokio::test]
async fn dependents_go_with_their_owner_or_are_orphaned() {
    let s = server().await;
    let (owners, dependents) = (boats(&s.client), Api::<ConfigMap>::default_namespaced(s.client.clone()));
    for (name, policy) in [
        ("background", PropagationPolicy::Background),
        ("foreground", PropagationPolicy::Foreground),
        ("orphan", PropagationPolicy::Orphan),
    ] {
        let owner = owners.create(&PostParams::default(), &boat(name, "ararat")).await.unwrap();
        let mut dependent = config(name, "1");
        let reference = json!([{"apiVersion": "sea.example/v1", "kind": "Boat", "name": name, "uid": owner.uid(),
            "blockOwnerDeletion": true}]);
        dependent.metadata.owner_references = serde_json::from_value(reference).unwrap();
        dependents.create(&PostParams::default(), &dependent).await.unwrap();
        let params = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
        owners.delete(name, &params).await.unwrap();
        eventually("the owner's end", async || owners.get_opt(name).await.unwrap().is_none()).await;
        if name == "orphan" {
            eventually("the orphan's freedom", async || {
                dependents.get(name).await.unwrap().metadata.owner_references.is_none()
            })
            .await;
        } else {
            eventually("the dependent's end", async || dependents.get_opt(name).await.unwrap().is_none()).await;
        }
    }
}

#[tokio::test]
async fn a_namespace_empties_before_it_goes() {
    let s = server().await;
    let namespaces: Api<Namespace> = Api::all(s.client.clone());
    let namespace = |name: &str| serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    namespaces.create(&PostParams::default(), &namespace("harbour")).await.unwrap();
    let inside: Api<ConfigMap> = Api::namespaced(s.client.clone(), "harbour");
    let mut held = config("held", "1");
    held.metadata.finalizers = Some(vec!["sea.example/anchor".into()]);
    inside.create(&PostParams::default(), &held).await.unwrap();
    inside.create(&PostParams::default(), &config("free", "1")).await.unwrap();
    namespaces.delete("harbour", &DeleteParams::default()).await.unwrap();
    eventually("the free object's end", async || inside.get_opt("free").await.unwrap().is_none()).await;
    let refused = inside.create(&PostParams::default(), &config("late", "1")).await.unwrap_err().to_string();
    assert!(refused.contains("because it is being terminated"), "{refused}");
    assert!(namespaces.get_opt("harbour").await.unwrap().is_some(), "something is still in it");
    let none = json!({"metadata": {"finalizers": null}});
    inside.patch("held", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    eventually("the namespace's end", async || namespaces.get_opt("harbour").await.unwrap().is_none()).await;
    let missing = inside.create(&PostParams::default(), &config("late", "1")).await.unwrap_err().to_string();
    assert!(missing.contains("namespaces \"harbour\" not found"), "{missing}");
}

#[tokio::test]
async fn a_definition_is_served_while_it_exists() {
    let s = server().await;
    let crds: Api<CustomResourceDefinition> = Api::all(s.client.clone());
    let mut crd = serde_json::to_value(boat_crd()).unwrap();
    crd["metadata"]["name"] = "rafts.sea.example".into();
    crd["spec"]["names"] = json!({"plural": "rafts", "kind": "Raft"});
    crds.create(&PostParams::default(), &serde_json::from_value(crd).unwrap()).await.unwrap();
    let path = "/apis/sea.example/v1/namespaces/default/rafts";
    let raft = json!({"apiVersion": "sea.example/v1", "kind": "Raft", "metadata": {"generateName": "r-"}, "spec": {"port": "x"}});
    assert_eq!(json_of(&s.client, "POST", path, raft).await.0, 201);
    crds.delete("rafts.sea.example", &DeleteParams::default()).await.unwrap();
    eventually("the definition's end", async || crds.get_opt("rafts.sea.example").await.unwrap().is_none()).await;
    assert_eq!(json_of(&s.client, "GET", path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn an_event_is_one_object_in_two_shapes() {
    let s = server().await;
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
        "eventTime": "2036-01-01T00:00:00.000000Z", "reportingController": "c", "reportingInstance": "i", "action": "Act",
        "reason": "Because", "type": "Normal", "note": "text", "regarding": {"kind": "Boat", "name": "ark", "namespace": "default"}});
    let (code, _) = json_of(&s.client, "POST", "/apis/events.k8s.io/v1/namespaces/default/events", event).await;
    assert_eq!(code, 201);
    let path = "/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3Dark";
    let (_, core) = json_of(&s.client, "GET", path, Value::Null).await;
    assert_eq!(core["items"][0]["message"], "text", "{core}");
    let path = "/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector=regarding.name%3Dark";
    let (_, new) = json_of(&s.client, "GET", path, Value::Null).await;
    assert_eq!(new["items"][0]["note"], "text", "{new}");
}

#[tokio::test]
async fn scale_reads_and_writes_the_declared_paths() {
    let s = server().await;
    boats(&s.client).create(&PostParams::default(), &boat("ark", "ararat")).await.unwrap();
    let path = "/apis/sea.example/v1/namespaces/default/boats/ark/scale";
    let (_, mut scale) = json_of(&s.client, "GET", path, Value::Null).await;
    assert_eq!((scale["kind"].as_str(), scale["spec"]["replicas"].as_i64()), (Some("Scale"), Some(2)));
    scale["spec"]["replicas"] = 4.into();
    assert_eq!(json_of(&s.client, "PUT", path, scale).await.1["spec"]["replicas"], 4);
    let ark = boats(&s.client).get("ark").await.unwrap();
    assert_eq!((ark.data["spec"]["oars"].as_i64(), ark.metadata.generation), (Some(4), Some(2)));
}

#[tokio::test]
async fn bad_requests_are_refused_in_upstreams_words() {
    let s = server().await;
    let post = |body: &'static str, kind: &'static str| {
        let client = s.client.clone();
        async move { raw(&client, "POST", CONFIGS, &[("content-type", kind)], body.as_bytes()).await }
    };
    assert_eq!(post("{", "application/json").await.0, 400);
    assert_eq!(post("{}", "text/plain").await.0, 415);
    let (code, _, text) = post(r#"{"metadata":{"name":"A_b"}}"#, "application/json").await;
    assert_eq!(code, 422);
    assert!(text.contains("a lowercase RFC 1123 subdomain must consist of"), "{text}");
    assert_eq!(post("metadata: {name: yaml}\ndata: {k: v}", "application/yaml").await.0, 201);
    let large = vec![b' '; 4 << 20];
    assert_eq!(raw(&s.client, "POST", CONFIGS, &[("content-type", "application/json")], &large).await.0, 413);
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    boats(&s.client).create(&PostParams::default(), &boat("ark", "ararat")).await.unwrap();
    let path = "/apis/sea.example/v1/namespaces/default/boats/ark";
    assert_eq!(raw(&s.client, "PATCH", path, &strategic, b"{}").await.0, 415);
    assert_eq!(raw(&s.client, "PATCH", &format!("{CONFIGS}/yaml"), &strategic, b"{}").await.0, 200);
    assert_eq!(raw(&s.client, "GET", "/apis/none/v1/things", &[], b"").await.0, 404);
    let yaml = raw(&s.client, "GET", &format!("{CONFIGS}/yaml"), &[("accept", "application/yaml")], b"").await.2;
    assert!(yaml.contains("kind: ConfigMap"), "{yaml}");
    let nobody = s.server.router();
    let request = Request::get(CONFIGS).body(axum::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(nobody, request).await.unwrap();
    assert_eq!(response.status(), 401);
}

#[tokio::test]
async fn an_unchanged_discovery_document_has_no_content_type() {
    let s = server().await;
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let (code, headers, text) = raw(&s.client, "GET", "/apis", &[("accept", accept)], b"").await;
    assert_eq!(code, 200);
    assert_eq!(headers["content-type"], "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    assert!(text.contains("\"boats\""));
    let etag = headers["etag"].to_str().unwrap();
    let (code, headers, _) = raw(&s.client, "GET", "/apis", &[("accept", accept), ("if-none-match", etag)], b"").await;
    assert_eq!((code, headers.get("content-type")), (304, None));
}

#[tokio::test]
async fn a_restart_keeps_objects_and_lets_watches_resume() {
    let s = server().await;
    let api: Api<ConfigMap> = Api::default_namespaced(s.client.clone());
    let before = api.create(&PostParams::default(), &config("a", "1")).await.unwrap();
    api.patch("a", &PatchParams::default(), &Patch::Merge(json!({"data": {"k": "2"}}))).await.unwrap();
    s.server.shutdown().await;
    let after = open(&s.home).await;
    let client = after.client(User::admin());
    let api: Api<ConfigMap> = Api::default_namespaced(client.clone());
    assert_eq!(api.get("a").await.unwrap().data.unwrap()["k"], "2");
    let version = before.resource_version().unwrap();
    let path = format!("{CONFIGS}?watch=true&resourceVersion={version}&timeoutSeconds=5");
    let lines = watch_until(&client, &path, "MODIFIED").await;
    assert_eq!(lines.len(), 1);
    let made = api.create(&PostParams::default(), &config("b", "1")).await.unwrap();
    assert!(made.resource_version().unwrap().parse::<u64>().unwrap() > version.parse::<u64>().unwrap());
}

/// Names the database, in the process that is to be killed.
const TO_BE_KILLED: &str = "REGATTA_TEST_DATABASE";

/// The test starts itself as a process of its own, which writes until it is killed.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    if let Some(database) = std::env::var_os(TO_BE_KILLED) {
        let server = ApiServer::open(Options { database: database.into(), crds: Vec::new() }).await.unwrap();
        let api: Api<ConfigMap> = Api::default_namespaced(server.client(User::admin()));
        for i in 0.. {
            api.create(&PostParams::default(), &config(&format!("c{i}"), "1")).await.unwrap();
            println!("acknowledged {i}");
        }
    }
    let home = tempfile::tempdir().unwrap();
    let mut child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "apiserver::what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(TO_BE_KILLED, home.path().join("api.db"))
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: &str| line.split_once("acknowledged ").map(|(_, number)| number.parse::<u32>().unwrap());
    let mut acknowledged = 0;
    while acknowledged < 50 {
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap();
        acknowledged = number(&line).unwrap_or(acknowledged);
    }
    child.kill().await.unwrap();
    while let Some(line) = lines.next_line().await.unwrap() {
        acknowledged = number(&line).unwrap_or(acknowledged);
    }
    let server = open(&home).await;
    let api: Api<ConfigMap> = Api::default_namespaced(server.client(User::admin()));
    for i in 0..=acknowledged {
        api.get(&format!("c{i}")).await.unwrap();
    }
}

#[tokio::test]
async fn versions_of_a_kind_are_views_of_one_object() {
    let s = server().await;
    let crds: Api<CustomResourceDefinition> = Api::all(s.client.clone());
    let mut crd = serde_json::to_value(crds.get("boats.sea.example").await.unwrap()).unwrap();
    let mut second = crd["spec"]["versions"][0].clone();
    second["name"] = "v2".into();
    second["storage"] = false.into();
    crd["spec"]["versions"].as_array_mut().unwrap().push(second);
    crds.replace("boats.sea.example", &PostParams::default(), &serde_json::from_value(crd).unwrap()).await.unwrap();
    boats(&s.client).create(&PostParams::default(), &boat("ark", "ararat")).await.unwrap();
    let path = "/apis/sea.example/v2/namespaces/default/boats/ark";
    let (_, mut ark) = json_of(&s.client, "GET", path, Value::Null).await;
    assert_eq!(ark["apiVersion"], "sea.example/v2");
    ark["spec"]["port"] = "joppa".into();
    assert_eq!(json_of(&s.client, "PUT", path, ark).await.0, 200);
    let ark = boats(&s.client).get("ark").await.unwrap();
    assert_eq!(
        (ark.types.unwrap().api_version.as_str(), ark.data["spec"]["port"].as_str()),
        ("sea.example/v1", Some("joppa"))
    );
}

#[tokio::test]
async fn defaults_of_a_changed_schema_show_on_objects_that_are_there() {
    let s = server().await;
    let crds: Api<CustomResourceDefinition> = Api::all(s.client.clone());
    let made = boats(&s.client).create(&PostParams::default(), &boat("ark", "ararat")).await.unwrap();
    let mut crd = serde_json::to_value(crds.get("boats.sea.example").await.unwrap()).unwrap();
    let properties = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    crd.pointer_mut(properties).unwrap()["flag"] = json!({"type": "string", "default": "white"});
    let path = "/apis/sea.example/v1/boats?watch=true&timeoutSeconds=60";
    let watching = s.client.send(Request::get(path).body(Vec::new().into()).unwrap()).await.unwrap();
    crds.replace("boats.sea.example", &PostParams::default(), &serde_json::from_value(crd).unwrap()).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(5), watching.into_body().collect_bytes()).await;
    assert!(ended.is_ok(), "a watch of the old schema ends");
    let ark = boats(&s.client).get("ark").await.unwrap();
    assert_eq!((ark.data["spec"]["flag"].as_str(), ark.resource_version()), (Some("white"), made.resource_version()));
}

#[tokio::test]
async fn a_hundred_writers_of_one_object_all_get_through() {
    let s = server().await;
    let api: Api<ConfigMap> = Api::default_namespaced(s.client.clone());
    api.create(&PostParams::default(), &config("a", "1")).await.unwrap();
    let patches = (0..100).map(|i| {
        let api = api.clone();
        async move {
            let patch = json!({"data": {format!("k{i}"): "v"}});
            api.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await
        }
    });
    let done = futures::future::join_all(patches).await;
    let lost = done.iter().filter(|result| result.is_err()).count();
    let data = api.get("a").await.unwrap().data.unwrap();
    assert_eq!(data.len() - 1, 100 - lost, "what was acknowledged is there");
    assert_eq!(lost, 0);
}

#[tokio::test]
async fn the_products_own_kinds_are_installed_once() {
    let home = tempfile::tempdir().unwrap();
    let mut versions = Vec::new();
    for _ in 0..2 {
        let options = Options { database: home.path().join("api.db"), crds: regatta::api::crds() };
        let server = ApiServer::open(options).await.unwrap();
        let client = server.client(User::system("test"));
        let crds: Api<CustomResourceDefinition> = Api::all(client.clone());
        let listed = crds.list(&ListParams::default()).await.unwrap();
        versions.push(listed.items.iter().map(|crd| (crd.name_any(), crd.resource_version())).collect::<Vec<_>>());
        let shell = json!({"apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"generateName": "shell-"},
            "spec": {"adapter": "shell"}});
        let path = "/apis/regatta.dev/v1alpha1/namespaces/default/agents";
        let (code, made) = json_of(&client, "POST", path, shell).await;
        assert_eq!(code, 201, "{made}");
        server.shutdown().await;
    }
    assert!(!versions[0].is_empty());
    assert_eq!(versions[0], versions[1], "a second start changes nothing");
}
