//! An API server with Agents only: lists, watches, forgets history on demand, and refuses what a test wants refused.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Json, Router};
use regatta::apiserver::User;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

#[derive(Clone)]
pub struct Api {
    state: Arc<Mutex<Store>>,
    head: watch::Sender<u64>,
}

#[derive(Default)]
struct Store {
    agents: Vec<Value>,
    events: Vec<(u64, &'static str, Value)>,
    oldest: u64,
    /// "verb subresource" that nobody may do.
    denied: Vec<String>,
    watches: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Params {
    watch: Option<String>,
    resource_version: Option<String>,
}

impl Api {
    pub fn new() -> Api {
        Api { state: Arc::default(), head: watch::Sender::new(1) }
    }

    pub fn router(&self) -> Router {
        const NAMESPACED: &str = "/apis/regatta.dev/v1alpha1/namespaces/{namespace}/agents/{name}";
        Router::new()
            .route("/version", get(|| async { Json(json!({"gitVersion": "v1"})) }))
            .route("/api/v1/whoami", any(whoami))
            .route("/apis/regatta.dev/v1alpha1/agents", get(agents))
            .route(NAMESPACED, get(agent))
            .route(&format!("{NAMESPACED}/status"), any(|Path((_, name)): Path<(String, String)>| async move { name }))
            .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(review))
            .with_state(self.clone())
    }

    /// Adds or changes an agent.
    pub fn put(&self, name: &str, uid: &str, host: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        let version = *self.head.borrow() + 1;
        let object = json!({
            "apiVersion": "regatta.dev/v1alpha1",
            "kind": "Agent",
            "metadata": {"namespace": "default", "name": name, "uid": uid, "resourceVersion": version.to_string()},
            "status": {"hostName": host},
        });
        let known = state.agents.iter().position(|agent| agent["metadata"]["name"] == name);
        let event = match known {
            Some(at) => {
                state.agents[at] = object.clone();
                "MODIFIED"
            }
            None => {
                state.agents.push(object.clone());
                "ADDED"
            }
        };
        state.events.push((version, event, object));
        drop(state);
        self.head.send_replace(version);
    }

    pub fn head(&self) -> String {
        self.head.borrow().to_string()
    }

    /// Everything up to now is too old to be watched from.
    pub fn forget(&self) {
        let mut state = self.state.lock().unwrap();
        state.oldest = *self.head.borrow();
        state.events.clear();
    }

    pub fn deny(&self, what: &str) {
        self.state.lock().unwrap().denied.push(what.into());
    }

    /// The resourceVersions from which watches were started.
    pub fn watches(&self) -> Vec<String> {
        self.state.lock().unwrap().watches.clone()
    }
}

async fn whoami(Extension(user): Extension<User>, headers: HeaderMap, body: Bytes) -> Response {
    let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.sort();
    Json(json!({"user": user.name, "groups": user.groups, "headers": names, "body": body.len()})).into_response()
}

async fn agent(State(api): State<Api>, Path((_, name)): Path<(String, String)>) -> Response {
    let state = api.state.lock().unwrap();
    match state.agents.iter().find(|agent| agent["metadata"]["name"] == name) {
        Some(agent) => Json(agent.clone()).into_response(),
        None => status(404, "NotFound"),
    }
}

async fn agents(State(api): State<Api>, Query(params): Query<Params>) -> Response {
    if params.watch.is_none() {
        let state = api.state.lock().unwrap();
        let list = json!({"kind": "AgentList", "apiVersion": "regatta.dev/v1alpha1",
            "metadata": {"resourceVersion": api.head()}, "items": state.agents});
        return Json(list).into_response();
    }
    let from = params.resource_version.unwrap_or_default();
    api.state.lock().unwrap().watches.push(from.clone());
    let Ok(mut from) = from.parse::<u64>() else { return status(400, "BadRequest") };
    if from < api.state.lock().unwrap().oldest {
        return status(410, "Expired");
    }
    let (lines, body) = tokio::sync::mpsc::channel::<Result<String, Infallible>>(4);
    tokio::spawn(async move {
        let mut head = api.head.subscribe();
        loop {
            let news: Vec<_> =
                api.state.lock().unwrap().events.iter().filter(|event| event.0 > from).cloned().collect();
            for (version, event, object) in news {
                from = version;
                let line = format!("{}\n", json!({"type": event, "object": object}));
                if lines.send(Ok(line)).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                changed = head.changed() => if changed.is_err() { return },
                () = lines.closed() => return,
            }
        }
    });
    let body = futures::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
    Body::from_stream(body).into_response()
}

async fn review(State(api): State<Api>, Json(review): Json<Value>) -> Response {
    let wanted = &review["spec"]["resourceAttributes"];
    let what = format!("{} {}", wanted["verb"].as_str().unwrap(), wanted["subresource"].as_str().unwrap());
    let allowed = !api.state.lock().unwrap().denied.contains(&what);
    (StatusCode::CREATED, Json(json!({"status": {"allowed": allowed}}))).into_response()
}

fn status(code: u16, reason: &str) -> Response {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "message": format!("it is {reason}")});
    (StatusCode::from_u16(code).unwrap(), Json(status)).into_response()
}
