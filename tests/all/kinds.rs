//! Every kind against the embedded server: what its schema refuses, where it says so, and in which words. Bounds are
//! derived from the definitions themselves; each rule has a case in `kinds/rules.rs`, and one without is found out.

mod bounds;
mod rules;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::Request;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Client;
use regatta::api::crds;
use regatta::apiserver::{ApiServer, Options, User};
use serde_json::{Value, json};

pub struct Kinds {
    pub client: Client,
    _server: ApiServer,
    _home: tempfile::TempDir,
}

/// What the server said to a write.
pub struct Answer {
    pub code: u64,
    /// Field and message of each cause.
    pub causes: Vec<(String, String)>,
    pub message: String,
}

impl Kinds {
    pub async fn start() -> Kinds {
        let home = tempfile::tempdir().unwrap();
        let options = Options { database: home.path().join("api.db"), crds: CRDS.clone() };
        let server = ApiServer::open(options).await.unwrap();
        Kinds { client: server.client(User::admin()), _server: server, _home: home }
    }

    /// Creates the object; for nothing but the answer, or to stay.
    pub async fn create(&self, object: &Value, dry_run: bool) -> Answer {
        let path = format!("{}?fieldValidation=Strict{}", collection(object), if dry_run { "&dryRun=All" } else { "" });
        self.send(Request::post(path).header("content-type", "application/json"), object).await
    }

    /// As if the object were changed so; nothing is.
    pub async fn change(&self, object: &Value, patch: &Value) -> Answer {
        let name = object["metadata"]["name"].as_str().unwrap();
        let path = format!("{}/{name}?fieldValidation=Strict&dryRun=All", collection(object));
        self.send(Request::patch(path).header("content-type", "application/merge-patch+json"), patch).await
    }

    async fn send(&self, request: http::request::Builder, body: &Value) -> Answer {
        let request = request.body(body.to_string().into_bytes()).unwrap();
        match self.client.request::<Value>(request).await {
            Ok(_) => Answer { code: 200, causes: Vec::new(), message: String::new() },
            Err(kube::Error::Api(status)) => {
                let causes = status.details.iter().flat_map(|d| &d.causes);
                Answer {
                    code: status.code.into(),
                    causes: causes.map(|c| (c.field.clone(), c.message.clone())).collect(),
                    message: status.message.clone(),
                }
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Making the definitions takes longer than a request.
static CRDS: LazyLock<Vec<CustomResourceDefinition>> = LazyLock::new(crds);

fn collection(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap();
    let crd = CRDS.iter().find(|c| c.spec.names.kind == kind).unwrap();
    let place = if crd.spec.scope == "Namespaced" { "namespaces/default/" } else { "" };
    format!("/apis/regatta.dev/v1alpha1/{place}{}", crd.spec.names.plural)
}

/// The example of each kind, which is valid.
pub fn examples() -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/manifests/examples");
    let mut examples = BTreeMap::new();
    for crd in CRDS.iter() {
        let file = format!("{folder}/{}.yaml", crd.spec.names.singular.as_deref().unwrap());
        let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}; every kind has an example"));
        let document = regatta::api::yaml::parse(&text).unwrap().remove(0);
        assert_eq!(document.value["kind"], crd.spec.names.kind, "{file}");
        examples.insert(crd.spec.names.kind.clone(), document.value);
    }
    examples
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_is_valid_and_every_kind_is_served_with_its_table() {
    let kinds = Kinds::start().await;
    for (kind, example) in examples() {
        let answer = kinds.create(&example, false).await;
        assert_eq!(answer.code, 200, "{kind}: {}", answer.message);
        let request = Request::get(collection(&example))
            .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())
            .unwrap();
        let table: Value = kinds.client.request(request).await.unwrap();
        let crd = CRDS.iter().find(|c| c.spec.names.kind == kind).unwrap();
        let expected = crd.spec.versions[0].additional_printer_columns.as_ref().unwrap().len() + 1;
        assert_eq!(table["columnDefinitions"].as_array().unwrap().len(), expected, "{kind}");
        assert_eq!(table["rows"].as_array().unwrap().len(), 1, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_people_select_by_can_be_selected_by() {
    let kinds = Kinds::start().await;
    let examples = examples();
    for (kind, selector) in [
        ("Agent", "spec.adapter=command"),
        ("Approval", "spec.agentRef.name=example-agent,spec.kind=Permission"),
        ("Task", "spec.column=Open,spec.boardRef.name=example-board,spec.repoRef.name=example-repo"),
    ] {
        let example = &examples[kind];
        assert_eq!(kinds.create(example, false).await.code, 200);
        let count = async |selector: &str| {
            let path = format!("{}?fieldSelector={}", collection(example), selector.replace('=', "%3D"));
            let list: Value = kinds.client.request(Request::get(path).body(Vec::new()).unwrap()).await.unwrap();
            list["items"].as_array().unwrap().len()
        };
        assert_eq!(count(selector).await, 1, "{kind} {selector}");
        assert_eq!(count(&format!("{selector}x")).await, 0, "{kind} {selector}x");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_set_is_scaled_by_its_subresource() {
    let kinds = Kinds::start().await;
    let mut set = examples()["AgentSet"].clone();
    json_patch::merge(&mut set, &json!({"spec": {"fanOut": null, "replicas": 2}}));
    assert_eq!(kinds.create(&set, false).await.code, 200);
    let path = format!("{}/example-set/scale", collection(&set));
    let body = json!({"spec": {"replicas": 5}}).to_string().into_bytes();
    let request = Request::patch(&path).header("content-type", "application/merge-patch+json").body(body).unwrap();
    let scale: Value = kinds.client.request(request).await.unwrap();
    assert_eq!(scale["spec"]["replicas"], 5);
    let set: Value =
        kinds.client.request(Request::get(path.trim_end_matches("/scale")).body(Vec::new()).unwrap()).await.unwrap();
    assert_eq!(set["spec"]["replicas"], 5);
}
