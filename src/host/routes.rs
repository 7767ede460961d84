//! What the control plane may call: what it wants of each agent, and the agents' terminals.

use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use axum::{Json, Router};

use super::{Host, files, session};
use crate::api::link::Desired;

/// A set of ten thousand agents with long prompts; the link has authenticated whoever sends it.
const LARGEST_SET: usize = 256 << 20;

pub fn router(host: Host) -> Router {
    let terminals = host.clone();
    Router::new()
        .route("/desired", put(put_all))
        .route("/desired/{uid}", put(put_one).delete(delete_one))
        .layer(DefaultBodyLimit::max(LARGEST_SET))
        .with_state(host)
        .merge(session::routes(move |uid: &str| terminals.terminal(uid)))
}

async fn put_all(State(host): State<Host>, Json(desired): Json<Vec<Desired>>) -> Response {
    match desired.iter().find(|desired| !files::is_uid(&desired.uid)) {
        Some(odd) => not_a_uid(&odd.uid),
        None => {
            host.want_all(desired);
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

async fn put_one(State(host): State<Host>, Path(uid): Path<String>, Json(desired): Json<Desired>) -> Response {
    if uid != desired.uid || !files::is_uid(&uid) {
        return not_a_uid(&uid);
    }
    host.want(desired);
    StatusCode::NO_CONTENT.into_response()
}

async fn delete_one(State(host): State<Host>, Path(uid): Path<String>) -> Response {
    host.forget(&uid);
    StatusCode::NO_CONTENT.into_response()
}

fn not_a_uid(uid: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{uid:?} is not the uid of an agent in this request")).into_response()
}
