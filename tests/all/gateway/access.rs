//! Roles on the subresources of agents, decided by the embedded API server and enforced here: viewing is `get` on each view,
//! typing is `create` on `input`, in a terminal too.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};
use axum::routing::post;
use axum::{Extension, Json, Router};
use kube::api::{Api as Objects, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use regatta::apiserver::{ApiServer, Options, User};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::api::Api;
use super::streams::{Asked, TERMINAL, host};
use super::world::{Answer, World, ask, connect, in_time, refused_with};

const AGENT: &str = "/apis/regatta.dev/v1alpha1/namespaces/default/agents/a";

struct Fleet {
    world: World,
    server: ApiServer,
    asked: Asked,
    shown: Shown,
}

/// The uids that the host was asked the screens of, request after request.
type Shown = Arc<Mutex<Vec<Vec<Value>>>>;

async fn screens(State(shown): State<Shown>, Json(asked): Json<Value>) -> Json<Value> {
    let uids = asked["uids"].as_array().unwrap().clone();
    let screen = |uid: &Value| json!({"uid": uid, "lines": ["$"], "cols": 80, "rows": 24});
    let answer = json!({"screens": uids.iter().map(screen).collect::<Vec<_>>()});
    shown.lock().unwrap().push(uids);
    Json(answer)
}

impl Fleet {
    /// Agent `a` on a host that echoes.
    async fn new() -> Fleet {
        let home = tempfile::tempdir().unwrap();
        let options = Options { database: home.path().join("api.db"), crds: regatta::api::crds() };
        let server = ApiServer::open(options).await.unwrap();
        server.provide(regatta::api::access::roles()).await.unwrap();
        let world = World::before(home, Api::new(), server.router()).await;
        let fleet = Fleet { world, server, asked: Asked::default(), shown: Shown::default() };
        fleet.agent("a").await;
        let screens = Router::new().route("/screens", post(screens)).with_state(fleet.shown.clone());
        fleet.world.link("fermi", host(&fleet.asked).merge(screens)).await;
        fleet
    }

    /// One that has been placed.
    async fn agent(&self, name: &str) {
        let object = json!({"kind": "Agent", "metadata": {"name": name}, "spec": {"adapter": "shell"}});
        self.make("agents", "regatta.dev/v1alpha1", object).await;
        let kind = GroupVersionKind::gvk("regatta.dev", "v1alpha1", "Agent");
        let kind = ApiResource::from_gvk_with_plural(&kind, "agents");
        let client = self.server.client(User::admin());
        let agents: Objects<DynamicObject> = Objects::namespaced_with(client, "default", &kind);
        let status = Patch::Merge(json!({"status": {"hostName": "fermi"}}));
        agents.patch_status(name, &PatchParams::default(), &status).await.unwrap();
    }

    async fn make(&self, plural: &str, version: &str, mut object: Value) {
        object["apiVersion"] = version.into();
        let (group, version) = version.rsplit_once('/').unwrap();
        let kind = GroupVersionKind::gvk(group, version, object["kind"].as_str().unwrap());
        let kind = ApiResource::from_gvk_with_plural(&kind, plural);
        let client = self.server.client(User::admin());
        let objects: Objects<DynamicObject> = Objects::namespaced_with(client, "default", &kind);
        objects.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    /// What a user may do with subresources of agents in this namespace.
    async fn grant(&self, user: &str, rules: &[(&str, &str)]) {
        let rules: Vec<Value> = rules
            .iter()
            .map(|(verb, resource)| json!({"verbs": [verb], "apiGroups": ["regatta.dev"], "resources": [resource]}))
            .collect();
        let rbac = "rbac.authorization.k8s.io/v1";
        self.make("roles", rbac, json!({"kind": "Role", "metadata": {"name": user}, "rules": rules})).await;
        self.bind(user, "Role", user).await;
    }

    async fn bind(&self, user: &str, kind: &str, role: &str) {
        let binding = json!({"kind": "RoleBinding", "metadata": {"name": user}, "roleRef": {"kind": kind, "name": role},
            "subjects": [{"kind": "User", "name": user}]});
        self.make("rolebindings", "rbac.authorization.k8s.io/v1", binding).await;
    }

    /// The API port with its authenticator's word on who calls.
    async fn port(&self, user: &str) -> SocketAddr {
        let user = User::new(user, &["system:authenticated"]);
        let router = self.world.gateway.api_router().layer(Extension(user));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    async fn send(&self, user: &str, method: Method, path: &str, body: &'static str) -> Answer {
        let mut request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        request.extensions_mut().insert(User::new(user, &["system:authenticated"]));
        in_time(ask(&self.world.gateway.api_router(), request)).await
    }

    /// The role a terminal was opened with at the host; Err is the code of the refusal.
    async fn terminal(&self, user: &str) -> Result<String, u16> {
        let before = self.asked.lock().unwrap().len();
        let headers = [("sec-websocket-protocol", "regatta.terminal.v1")];
        match connect(self.port(user).await, TERMINAL, &headers).await {
            Ok(_) => {
                let asked = self.asked.lock().unwrap();
                assert_eq!(asked.len(), before + 1);
                Ok(asked[before].1["x-regatta-role"].to_str().unwrap().to_owned())
            }
            refused => {
                assert_eq!(self.asked.lock().unwrap().len(), before, "the host is not even asked");
                Err(refused_with(refused))
            }
        }
    }

    async fn types(&self, user: &str) -> bool {
        self.send(user, Method::POST, &format!("{AGENT}/input"), "{}").await.status == StatusCode::ACCEPTED
    }
}

#[tokio::test]
async fn each_subresource_of_an_agent_is_a_right_of_its_own() {
    let fleet = Fleet::new().await;
    fleet.grant("watcher", &[("get", "agents/terminal")]).await;
    fleet.grant("typist", &[("get", "agents/terminal"), ("create", "agents/input")]).await;
    fleet.grant("blind", &[("create", "agents/input")]).await;
    fleet.grant("reader", &[("get", "agents"), ("get", "agents/log"), ("create", "agents/terminal")]).await;
    fleet.grant("nobody", &[("get", "agents")]).await;
    for (user, terminal, types) in [
        ("watcher", Ok("view".to_string()), false),
        ("typist", Ok("type".to_string()), true),
        ("blind", Err(403), true),
        ("reader", Err(403), false),
        ("nobody", Err(403), false),
        ("stranger", Err(403), false),
    ] {
        assert_eq!(fleet.terminal(user).await, terminal, "{user}");
        assert_eq!(fleet.types(user).await, types, "{user}");
    }
    let refused = fleet.send("watcher", Method::GET, &format!("{AGENT}/log"), "").await;
    let status = refused.refused(403, "Forbidden");
    assert_eq!(
        status["message"],
        "agents.regatta.dev \"a\" is forbidden: User \"watcher\" cannot get resource \"agents/log\" in API group \
         \"regatta.dev\" in the namespace \"default\""
    );
    for path in ["files", "diff", "transcript", "cast"] {
        let answer = fleet.send("watcher", Method::GET, &format!("{AGENT}/{path}"), "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_usual_roles_view_and_edit_fit_agents() {
    let fleet = Fleet::new().await;
    fleet.bind("guest", "ClusterRole", "view").await;
    fleet.bind("member", "ClusterRole", "edit").await;
    assert_eq!(fleet.terminal("guest").await, Ok("view".into()));
    assert!(!fleet.types("guest").await);
    assert_eq!(fleet.terminal("member").await, Ok("type".into()));
    assert!(fleet.types("member").await);
    let agent = r#"{"apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "b"}, "spec": {"adapter": "shell"}}"#;
    let path = "/apis/regatta.dev/v1alpha1/namespaces/default/agents";
    assert_eq!(fleet.send("guest", Method::POST, path, agent).await.status, StatusCode::FORBIDDEN);
    assert_eq!(fleet.send("member", Method::POST, path, agent).await.status, StatusCode::CREATED);
    assert_eq!(
        fleet.send("member", Method::GET, "/api/v1/namespaces/default/secrets", "").await.status,
        StatusCode::OK
    );
    assert_eq!(
        fleet.send("guest", Method::GET, "/api/v1/namespaces/default/secrets", "").await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_page_sees_no_screens_of_agents_it_may_not_see() {
    let fleet = Fleet::new().await;
    fleet.agent("b").await;
    let rules = json!([{"verbs": ["get"], "apiGroups": ["regatta.dev"], "resources": ["agents/terminal"],
        "resourceNames": ["b"]}]);
    let role = json!({"kind": "Role", "metadata": {"name": "half"}, "rules": rules});
    fleet.make("roles", "rbac.authorization.k8s.io/v1", role).await;
    fleet.bind("half", "Role", "half").await;
    let mut page = connect(fleet.port("half").await, "/watch", &[]).await.unwrap();
    let wanted = json!([{"namespace": "default", "name": "a"}, {"namespace": "default", "name": "b"}]);
    page.say(json!({"type": "screens", "agents": wanted})).await;
    let heard = page.hear_of("screens").await;
    let names: Vec<&Value> = heard["screens"].as_array().unwrap().iter().map(|screen| &screen["name"]).collect();
    assert_eq!(names, ["b"]);
    assert!(fleet.shown.lock().unwrap().iter().all(|uids| uids.len() == 1), "the host is not asked for the other");
}
