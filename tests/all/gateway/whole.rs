//! The gateway before the embedded API server: what a page does from login to a live terminal.

use axum::http::{Method, Request, StatusCode, header};
use regatta::apiserver::{ApiServer, Options};
use serde_json::json;

use super::api::Api;
use super::streams::{Asked, TERMINAL, host};
use super::world::{World, in_time};

const AGENTS: &str = "/apis/regatta.dev/v1alpha1/namespaces/default/agents";

#[tokio::test]
async fn from_login_to_a_live_terminal_and_back_after_an_outage() {
    let home = tempfile::tempdir().unwrap();
    let options = Options { database: home.path().join("api.db"), crds: regatta::api::crds() };
    let server = ApiServer::open(options).await.unwrap();
    let world = World::before(home, Api::new(), server.router()).await;
    let login = world.login().await;
    in_time(async { while world.send(Request::get("/readyz"), "").await.status != StatusCode::OK {} }).await;

    let mut page = world.open("/watch", &login).await;
    page.say(json!({"type": "subscribe", "id": "agents", "path": "/apis/regatta.dev/v1alpha1/agents"})).await;
    let list = page.hear_of("list").await;
    assert_eq!(list["items"], json!([]));

    let agent = json!({
        "apiVersion": "regatta.dev/v1alpha1",
        "kind": "Agent",
        "metadata": {"name": "a"},
        "spec": {"adapter": "shell"},
    });
    let request = world.change(Method::POST, AGENTS, &login).header(header::CONTENT_TYPE, "application/json");
    let answer = world.send(request, agent.to_string()).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
    let uid = answer.json()["metadata"]["uid"].as_str().unwrap().to_owned();
    let added = page.hear_of("event").await;
    assert_eq!((&added["event"], &added["object"]["metadata"]["uid"]), (&json!("ADDED"), &json!(uid)));
    let version = added["object"]["metadata"]["resourceVersion"].clone();
    drop(page);

    let asked = Asked::default();
    world.link("fermi", host(&asked)).await;
    world.get(&format!("{AGENTS}/a/log"), &login).await.refused(409, "Conflict");
    let status = json!({"status": {"hostName": "fermi"}});
    let request = world
        .change(Method::PATCH, &format!("{AGENTS}/a/status"), &login)
        .header(header::CONTENT_TYPE, "application/merge-patch+json");
    let answer = world.send(request, status.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());

    let mut terminal = world.open(TERMINAL, &login).await;
    terminal.send(b"ls\r").await;
    assert_eq!(&terminal.next().await.unwrap().into_data()[..], b"ls\r");
    assert_eq!(asked.lock().unwrap()[0].0, format!("/agents/{uid}/terminal"));
    assert_eq!(asked.lock().unwrap()[0].1["x-regatta-role"], "type");

    let mut page = world.open("/watch", &login).await;
    let subscribe = json!({"type": "subscribe", "id": "agents", "path": "/apis/regatta.dev/v1alpha1/agents",
        "resourceVersion": version});
    page.say(subscribe).await;
    let missed = page.hear().await;
    assert_eq!((&missed["event"], &missed["object"]["status"]["hostName"]), (&json!("MODIFIED"), &json!("fermi")));

    let refused = world.get(&format!("{AGENTS}/nobody"), &login).await;
    refused.refused(404, "NotFound");
    world.gateway.shutdown().await;
    assert!(terminal.next().await.is_none());
    server.shutdown().await;
}
