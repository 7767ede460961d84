//! A cluster's API server in the place of the embedded one: finding it, checking that it has what is needed, passing callers'
//! requests on in their names, and knowing them by their tokens. Installs nothing.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::api::{GROUP, SYSTEM_NAMESPACE, VERSION, crds};
use crate::apiserver::User;

/// Above what an API server takes.
const MAX_BODY: usize = 8 << 20;

/// A review holds for this long: a token that is taken back works no longer than that.
const REVIEW: Duration = Duration::from_secs(10);

/// Reviews remembered at once; the oldest go first.
const MAX_REVIEWS: usize = 1_000;

/// What a caller may not decide about the connection to the cluster, nor about who asks there.
const OURS: [HeaderName; 9] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::COOKIE,
    header::TE,
    header::EXPECT,
];

/// The client that the flag, `KUBECONFIG`, `~/.kube/config` or the pod's own account give.
pub async fn client(kubeconfig: Option<&Path>) -> Result<Client> {
    let config = match kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path).with_context(|| format!("cannot read {}", path.display()))?;
            let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
            config.with_context(|| format!("cannot use {}", path.display()))?
        }
        None => Config::infer().await.context(
            "cannot find a cluster: there is no KUBECONFIG, no ~/.kube/config and no service account of a pod; \
             pass --kubeconfig FILE",
        )?,
    };
    let url = config.cluster_url.clone();
    Client::try_from(config).with_context(|| format!("cannot reach the cluster at {url}"))
}

/// Fails with the way out when the cluster lacks what is needed.
pub async fn check(client: &Client, namespace: &str) -> Result<()> {
    let served = match client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(list) => list.resources.into_iter().map(|r| r.name).collect(),
        Err(kube::Error::Api(status)) if status.is_not_found() => Vec::new(),
        Err(error) => return Err(error).context("cannot ask the cluster which kinds it has"),
    };
    let missing: Vec<String> = crds()
        .into_iter()
        .filter(|crd| !served.contains(&crd.spec.names.plural))
        .map(|crd| format!("{}.{GROUP}", crd.spec.names.plural))
        .collect();
    if !missing.is_empty() {
        bail!(
            "the cluster lacks these CustomResourceDefinitions: {}; install them with \
             `regatta crd | kubectl apply --server-side -f -`",
            missing.join(", ")
        );
    }
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for name in [SYSTEM_NAMESPACE, namespace] {
        match namespaces.get_opt(name).await {
            Ok(Some(_)) => {}
            Ok(None) => bail!("the cluster lacks namespace {name}; create it with `kubectl create namespace {name}`"),
            // Whoever may not look may still work in it; the work itself says what is forbidden.
            Err(kube::Error::Api(status)) if status.code == 403 => {
                tracing::warn!(namespace = name, "may not look whether the namespace is there");
            }
            Err(error) => return Err(error).with_context(|| format!("cannot look for namespace {name}")),
        }
    }
    Ok(())
}

/// The cluster's API as a router that wants to know the user, as the embedded one is: each request goes on in the name of its
/// caller, so that the cluster decides what is allowed.
pub fn router(client: Client) -> Router {
    Router::new().fallback(pass).with_state(client)
}

async fn pass(State(client): State<Client>, request: Request) -> Response {
    let Some(user) = request.extensions().get::<User>().cloned() else {
        return failure(StatusCode::UNAUTHORIZED, "Unauthorized", "cannot answer a request without credentials");
    };
    let (mut parts, body) = request.into_parts();
    if parts.headers.keys().any(|name| name.as_str().starts_with("impersonate-")) {
        let message = "cannot impersonate through the gateway: ask the cluster's own API server";
        return failure(StatusCode::FORBIDDEN, "Forbidden", message);
    }
    for name in OURS {
        parts.headers.remove(name);
    }
    if let Err(name) = impersonate(&mut parts.headers, &user) {
        let message = format!("cannot ask the cluster in the name of {name:?}: that is no text for a header");
        return failure(StatusCode::FORBIDDEN, "Forbidden", &message);
    }
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let message = format!("cannot pass the request on: its body is larger than {MAX_BODY} bytes");
        return failure(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message);
    };
    let mut onward = http::Request::new(kube::client::Body::from(body));
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = parts.uri;
    *onward.headers_mut() = parts.headers;
    match client.send(onward).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            tracing::warn!(%error, "the cluster's API server does not answer");
            let message = format!("cannot reach the cluster's API server: {error}");
            failure(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", &message)
        }
    }
}

/// Our own components act as what the cluster knows this process as.
fn impersonate(headers: &mut http::HeaderMap, user: &User) -> std::result::Result<(), String> {
    let masters = "system:masters".to_owned();
    if user.name.starts_with("system:regatta:") && user.groups == [masters] {
        return Ok(());
    }
    let value = |text: &String| HeaderValue::from_str(text).map_err(|_| text.clone());
    headers.insert(HeaderName::from_static("impersonate-user"), value(&user.name)?);
    for group in &user.groups {
        headers.append(HeaderName::from_static("impersonate-group"), value(group)?);
    }
    Ok(())
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code.as_u16(),
    });
    (code, axum::Json(status)).into_response()
}

/// Knows callers by their bearer tokens, which the cluster reviews.
#[derive(Clone)]
pub struct Tokens {
    api: Api<TokenReview>,
    /// By the token's hash.
    reviews: Arc<Mutex<Reviews>>,
}

/// When each was asked for, and what came of it.
type Reviews = HashMap<[u8; 32], (Instant, Option<User>)>;

impl Tokens {
    pub fn new(client: &Client) -> Tokens {
        Tokens { api: Api::all(client.clone()), reviews: Arc::default() }
    }

    /// Nobody, when the cluster does not know the token or does not answer.
    pub async fn user(&self, token: &str) -> Option<User> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = self.reviews.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some((at, user)) = known
            && at.elapsed() < REVIEW
        {
            return user;
        }
        let review = TokenReview {
            spec: TokenReviewSpec { token: token.to_owned(), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let status = match self.api.create(&PostParams::default(), &review).await {
            Ok(review) => review.status.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "the cluster does not review tokens");
                return None;
            }
        };
        let user = status
            .user
            .filter(|_| status.authenticated == Some(true))
            // Name and groups are what roles speak of.
            .map(|user| User {
                name: user.username.unwrap_or_default(),
                groups: user.groups.unwrap_or_default(),
                ..User::default()
            });
        let user = user.filter(|user| !user.name.is_empty());
        let mut reviews = self.reviews.lock().unwrap_or_else(PoisonError::into_inner);
        if reviews.len() >= MAX_REVIEWS {
            reviews.retain(|_, (at, _)| at.elapsed() < REVIEW);
        }
        if reviews.len() < MAX_REVIEWS {
            reviews.insert(hash, (Instant::now(), user.clone()));
        }
        user
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_s_name_and_groups_go_along_and_our_own_parts_are_themselves() {
        let mut headers = http::HeaderMap::new();
        impersonate(&mut headers, &User::new("ada", &["crew", "system:masters"])).unwrap();
        assert_eq!(headers["impersonate-user"], "ada");
        assert_eq!(headers.get_all("impersonate-group").iter().count(), 2);
        let mut none = http::HeaderMap::new();
        impersonate(&mut none, &User::system("gateway")).unwrap();
        assert!(none.is_empty());
        let sly = User::new("a\r\nImpersonate-Group: system:masters", &[]);
        assert!(impersonate(&mut none, &sly).is_err());
    }
}
