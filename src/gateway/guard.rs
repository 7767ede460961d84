//! What every request passes before anything else sees it: Host, Origin, who asks, CSRF. Handlers behind it find a
//! `Caller` (and the `User` the API wants) in the request's extensions, and can trust both.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::sessions::Active;
use super::status::Failure;
use super::{Gateway, origin, routes, secret};
use crate::apiserver::User;

pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// Who asks, and until when what they open may stay open.
#[derive(Clone)]
pub struct Caller {
    pub user: User,
    /// The login session, on the web port.
    pub session: Option<Arc<Active>>,
    pub ended: CancellationToken,
}

/// The web port: cookies, so everything a browser could be tricked into is checked here.
pub async fn web(State(gateway): State<Gateway>, mut request: Request, next: Next) -> Response {
    let mut response = match check_web(&gateway, &mut request).await {
        Ok(()) => run(request, next).await,
        Err(failure) => {
            tracing::debug!(path = request.uri().path(), message = failure.message, "refused");
            failure.into_response()
        }
    };
    secure(response.headers_mut());
    response
}

/// The API port: its listener authenticated the caller, by certificate or token, and no browser sends those by itself.
pub async fn api(mut request: Request, next: Next) -> Response {
    strip(request.headers_mut());
    if let Some(user) = request.extensions().get::<User>().cloned() {
        request.extensions_mut().insert(Caller { user, session: None, ended: CancellationToken::new() });
    }
    run(request, next).await
}

async fn run(request: Request, next: Next) -> Response {
    let user = request.extensions().get::<Caller>().map(|caller| caller.user.name.as_str()).unwrap_or("-");
    let span = tracing::debug_span!("request", method = %request.method(), path = request.uri().path(), user);
    next.run(request).instrument(span).await
}

/// For every route that is not public.
pub async fn require_caller(request: Request, next: Next) -> Response {
    if request.extensions().get::<Caller>().is_none() {
        let how = "log in first: `regatta login` prints a link with a one-time code";
        return Failure::unauthorized(format!("cannot answer a request without credentials; {how}")).into_response();
    }
    next.run(request).await
}

/// The address the socket told; a header could be forged.
pub fn address(extensions: &Extensions) -> Option<std::net::IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip())
}

async fn check_web(gateway: &Gateway, request: &mut Request) -> Result<(), Failure> {
    strip(request.headers_mut());
    // A page acts as who is logged in. To be somebody else is for clients of the API port.
    remove(request.headers_mut(), "impersonate-");
    // On this port only a session vouches for anybody.
    request.extensions_mut().remove::<User>();
    let origins = &gateway.shared.origins;
    origins.check_host(request.uri(), request.headers())?;
    if request.uri().path() == routes::GIT_HOOK {
        // A forge's, which has neither a page nor a session: its own proof is all that counts.
        return Ok(());
    }
    let mutation = origin::is_mutation(request.method());
    if mutation || origin::is_upgrade(request.headers()) {
        origins.check_origin(request.uri(), request.headers())?;
    }
    let found = gateway.shared.sessions.find(request.headers(), Timestamp::now()).await;
    let found = found.map_err(|error| {
        tracing::error!(%error, "cannot tell who is logged in");
        Failure::internal("cannot tell who is logged in: the session store does not answer; the server's log says why")
    })?;
    let Some(session) = found else { return Ok(()) };
    // Logging in needs none: the code in the body is a better secret than the token would be.
    if mutation && request.uri().path() != routes::LOGIN {
        let token = request.headers().get(CSRF_HEADER).and_then(|token| token.to_str().ok()).unwrap_or_default();
        if !secret::equal(token, &session.csrf) {
            let how = "GET /auth/session tells the token";
            return Err(Failure::forbidden(format!("cannot accept a change without the right X-CSRF-Token; {how}")));
        }
    }
    let ended = session.ended.child_token();
    request.extensions_mut().insert(session.user.clone());
    request.extensions_mut().insert(Caller { user: session.user.clone(), session: Some(session), ended });
    Ok(())
}

/// These headers are ours to set, for a host to trust.
fn strip(headers: &mut HeaderMap) {
    remove(headers, "x-regatta-");
}

fn remove(headers: &mut HeaderMap, prefix: &str) {
    let named: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(prefix)).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

/// Scripts and styles only from our own files: the app's build makes xterm.js write its theme into a style sheet object
/// instead of a style element. Frames and forms to elsewhere are off; `connect-src` covers the WebSockets of this origin.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; \
    img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self'; manifest-src 'self'; \
    object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

fn secure(headers: &mut HeaderMap) {
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(self), payment=(), usb=()",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
