//! Who calls on the API's port: the holder of a client certificate, else of a bearer token; and whom that one impersonates.
//! Must not decide what anybody may do.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::tls::fingerprint;
use crate::apiserver::{ApiServer, User};

#[derive(Clone)]
pub struct Callers {
    certificates: Arc<[([u8; 32], User)]>,
    /// None over a cluster's API, whose tokens the cluster knows.
    embedded: Option<ApiServer>,
}

/// One connection's: what its certificate said counts for every request on it.
#[derive(Clone)]
pub struct Connection {
    callers: Callers,
    certified: Option<User>,
}

impl Callers {
    pub fn new(certificates: Vec<([u8; 32], User)>, embedded: Option<ApiServer>) -> Callers {
        Callers { certificates: certificates.into(), embedded }
    }

    pub fn connection(&self, certificate: Option<&CertificateDer<'_>>) -> Connection {
        let shown = certificate.map(fingerprint);
        let found = self.certificates.iter().find(|(print, _)| Some(*print) == shown);
        Connection { callers: self.clone(), certified: found.map(|(_, user)| user.clone()) }
    }
}

/// Puts the caller into the request, if there is one. The token goes no further.
pub async fn identify(State(connection): State<Connection>, mut request: Request, next: Next) -> Response {
    let Connection { callers, certified } = connection;
    request.extensions_mut().remove::<User>();
    let Some(api) = &callers.embedded else {
        if let Some(user) = certified {
            request.extensions_mut().insert(user);
        }
        return next.run(request).await;
    };
    let authorization = request.headers_mut().remove(header::AUTHORIZATION);
    let held = || {
        let token = bearer(authorization.as_ref()?.to_str().ok()?)?;
        let user = api.authenticate(token);
        if user.is_none() {
            tracing::debug!(path = request.uri().path(), "a bearer token was not accepted");
        }
        user
    };
    if let Some(caller) = certified.or_else(held) {
        match api.impersonate(caller, request.headers_mut()) {
            Ok(user) => drop(request.extensions_mut().insert(user)),
            Err(refused) => return refused,
        }
    }
    next.run(request).await
}

fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn only_bearer_tokens_are_read() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer(" bearer  abc "), Some("abc"));
        for other in ["", "Bearer", "Bearer ", "Basic abc", "abc"] {
            assert_eq!(bearer(other), None, "{other:?}");
        }
    }
}
