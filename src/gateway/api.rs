//! The Kubernetes API as the gateway sees it: a router that wants to know the user. Passes requests on, and asks it
//! whether somebody may do something. Must not decide anything about resources itself.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Extension, Request, State};
use axum::http::{Extensions, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::Gateway;
use super::agents::AgentName;
use super::guard::{CSRF_HEADER, Caller};
use super::status::Failure;
use crate::apiserver::User;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// A review or a short error.
const MAX_ANSWER: usize = 1 << 20;

/// `/api`, `/apis`, `/openapi`, `/version`: answered by the API itself, as the caller.
pub async fn pass(State(gateway): State<Gateway>, Extension(caller): Extension<Caller>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    for name in [header::COOKIE, header::AUTHORIZATION, CSRF_HEADER] {
        parts.headers.remove(name);
    }
    // A clean slate: what our own router left there (path parameters above all) would confuse the next one.
    let mut extensions = Extensions::new();
    if let Some(upgrade) = parts.extensions.remove::<OnUpgrade>() {
        extensions.insert(upgrade);
    }
    if let Some(address) = parts.extensions.remove::<ConnectInfo<SocketAddr>>() {
        extensions.insert(address);
    }
    parts.extensions = extensions;
    call(&gateway.shared.api, caller.user, Request::from_parts(parts, body)).await
}

/// One request in process.
pub async fn call(api: &Router, user: User, mut request: Request) -> Response {
    request.extensions_mut().insert(user);
    match api.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// One GET in process.
pub async fn get(api: &Router, user: User, path: &str) -> Result<Response, Failure> {
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::ACCEPT, "application/json")
        .body(Body::empty())
        .map_err(|error| Failure::bad_request(format!("cannot read {path:?}: {error}")))?;
    Ok(call(api, user, request).await)
}

/// Whether the caller may use a subresource of an Agent. RBAC is decided in one place, and that is the API.
pub async fn may(
    gateway: &Gateway,
    user: &User,
    verb: &str,
    subresource: &str,
    agent: &AgentName,
) -> Result<bool, Failure> {
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": {
            "group": crate::api::GROUP,
            "version": crate::api::VERSION,
            "resource": "agents",
            "subresource": subresource,
            "verb": verb,
            "namespace": agent.namespace,
            "name": agent.name,
        }},
    });
    let request = Request::builder()
        .method(Method::POST)
        .uri(REVIEWS)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::ACCEPT, "application/json")
        .body(Body::from(review.to_string()))
        .expect("a request of constant parts is valid");
    let response = call(&gateway.shared.api, user.clone(), request).await;
    let status = response.status();
    let answer = to_bytes(response.into_body(), MAX_ANSWER).await.ok();
    let answer: Option<Value> = answer.and_then(|body| serde_json::from_slice(&body).ok());
    let allowed = answer.as_ref().and_then(|answer| answer.pointer("/status/allowed")?.as_bool());
    match allowed {
        Some(allowed) if status.is_success() => Ok(allowed),
        // Who may not even ask may not do it either.
        _ if status == StatusCode::FORBIDDEN => Ok(false),
        // Fails closed: without an answer nobody gets in.
        Some(_) | None => {
            tracing::error!(%status, "the API did not answer an access review");
            Err(Failure::internal(format!("cannot tell whether you may {verb} agents/{subresource}: HTTP {status}")))
        }
    }
}

/// Refuses in Kubernetes' own words.
pub fn denied(user: &User, verb: &str, subresource: &str, agent: &AgentName) -> Failure {
    let AgentName { namespace, name } = agent;
    Failure::forbidden(format!(
        "agents.regatta.dev \"{name}\" is forbidden: User {:?} cannot {verb} resource \"agents/{subresource}\" in API \
         group \"regatta.dev\" in the namespace \"{namespace}\"",
        user.name
    ))
}

/// `/healthz`: this process answers.
pub async fn healthz() -> &'static str {
    "ok"
}

/// `/readyz`: logins, the API and the agents' places can be asked for.
pub async fn readyz(State(gateway): State<Gateway>) -> Response {
    if !gateway.shared.index.is_ready() {
        return Failure::unavailable("not ready: the list of Agents has not been read yet", 1).into_response();
    }
    match get(&gateway.shared.api, User::system("gateway"), "/version").await {
        Ok(response) if response.status() == StatusCode::OK => "ok".into_response(),
        Ok(response) => {
            Failure::unavailable(format!("not ready: the API answers HTTP {}", response.status()), 1).into_response()
        }
        Err(failure) => failure.into_response(),
    }
}
