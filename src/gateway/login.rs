//! `/auth/*`: a one-time code becomes a session; the session can be asked for and ended.

use std::time::Instant;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use super::Gateway;
use super::auth_log::{Attempt, Outcome};
use super::guard::{Caller, address};
use super::origin::Origins;
use super::sessions::{LoginCodes, set_cookie, tokens};
use super::status::Failure;

/// A login's body is a code.
const MAX_BODY: usize = 4096;

#[derive(Deserialize)]
struct Login {
    code: String,
}

/// `POST /auth/code`: the one thing a stranger may try.
pub async fn code(State(gateway): State<Gateway>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let address = address(&parts.extensions);
    let agent = parts.headers.get(header::USER_AGENT);
    let agent = agent.map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    let shown = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
    let record = |outcome, user: Option<&str>| {
        let attempt = Attempt { outcome, method: "code", address: &shown, user, agent: &agent };
        gateway.shared.auth_log.record(Timestamp::now(), &attempt).map_err(|error| {
            // A login that leaves no trace is not let in.
            tracing::error!(%error, "cannot write the auth log");
            Failure::internal("cannot log in: the auth log cannot be written; the server's log says why")
        })
    };
    if let Err(wait) = gateway.failures().check(address, Instant::now()) {
        record(Outcome::RateLimited, None)?;
        let seconds = wait.as_secs() as u32 + 1;
        let message = format!("cannot log in: too many wrong codes from this address; try again in {seconds} s");
        return Err(Failure::too_many_requests(message, seconds));
    }
    let body =
        to_bytes(body, MAX_BODY).await.map_err(|_| Failure::too_large("cannot log in: the body is too large"))?;
    let Login { code } = serde_json::from_slice(&body)
        .map_err(|_| Failure::bad_request("cannot log in: the body must be JSON like {\"code\": \"…\"}"))?;
    let Some(user) = gateway.shared.codes.redeem(&code, Instant::now()) else {
        gateway.failures().failed(address, Instant::now());
        record(Outcome::Failure, None)?;
        let how = "`regatta login` prints a fresh one";
        return Err(Failure::unauthorized(format!("cannot log in: the code is wrong, used or too old; {how}")));
    };
    record(Outcome::Success, Some(&user.name))?;
    let (token, session) =
        gateway.shared.sessions.start(user, Timestamp::now()).await.map_err(|error| store(&error))?;
    let cookie = set_cookie(Some(&token), Origins::is_secure(&parts.headers));
    let body = json!({ "user": session.user.name, "groups": session.user.groups, "csrf": session.csrf });
    Ok(([(header::SET_COOKIE, cookie), no_store()], Json(body)).into_response())
}

/// `GET /auth/session`: who am I, and which token do my changes need. Also renews the cookie's age.
pub async fn session(Extension(caller): Extension<Caller>, headers: HeaderMap) -> Response {
    let Caller { user, session, ended: _ } = caller;
    let csrf = session.as_ref().map(|session| session.csrf.as_str());
    let body = Json(json!({ "user": user.name, "groups": user.groups, "csrf": csrf }));
    let mut response = ([no_store()], body).into_response();
    if let Some(session) = session
        && let Some(token) = tokens(&headers).find(|token| session.has_token(token))
    {
        let secure = Origins::is_secure(&headers);
        response.headers_mut().insert(header::SET_COOKIE, set_cookie(Some(token), secure));
    }
    response
}

/// `POST /auth/logout`: ends the session and everything it has open.
pub async fn logout(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some(session) = &caller.session {
        gateway.shared.sessions.end(session).await.map_err(|error| store(&error))?;
    }
    let cookie = set_cookie(None, Origins::is_secure(&headers));
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie), no_store()]).into_response())
}

/// `POST /auth/codes`: a fresh code for another browser of the same person (`regatta login`, a phone).
pub async fn codes(State(gateway): State<Gateway>, Extension(caller): Extension<Caller>) -> Result<Response, Failure> {
    if !caller.user.groups.iter().any(|group| group == "system:masters") {
        return Err(Failure::forbidden("cannot make a login code: only administrators may"));
    }
    let code = gateway.shared.codes.issue(caller.user, Instant::now());
    let body = json!({ "code": code, "expiresInSeconds": LoginCodes::lifetime().as_secs() });
    Ok((StatusCode::CREATED, [no_store()], Json(body)).into_response())
}

fn no_store() -> (header::HeaderName, header::HeaderValue) {
    (header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"))
}

fn store(error: &crate::db::Error) -> Failure {
    tracing::error!(%error, "the session store failed");
    Failure::internal("cannot change the login session: the session store does not answer; the server's log says why")
}
