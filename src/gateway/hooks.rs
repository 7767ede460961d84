//! `POST /hooks/git`: a forge says that a repository has changed. Whoever proves to know a Source's webhook secret makes the
//! Sources of that repository look now. Owns how forges prove it; must not read anything else of what they say, and decides
//! nothing: looking is all that follows.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::guard::address;
use super::status::Failure;
use super::{Gateway, secret};
use crate::api::{SYSTEM_NAMESPACE, Source};
use crate::plan::webhook;

/// What a large push of many commits makes; forges stop at 25 MB, and then the period finds it.
const MAX_BODY: usize = 5 << 20;

/// How long a forge may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks a Source for a pass now.
const REQUESTED: &str = "regatta.dev/requested-at";

/// GitHub's way, which Gitea has as well; GitLab sends the secret itself.
const SIGNATURES: [HeaderName; 3] = [
    HeaderName::from_static("x-hub-signature-256"),
    HeaderName::from_static("x-gitea-signature"),
    HeaderName::from_static("x-forgejo-signature"),
];
const TOKEN: HeaderName = HeaderName::from_static("x-gitlab-token");

pub async fn git(State(gateway): State<Gateway>, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let address = address(&parts.extensions);
    if let Err(wait) = gateway.hook_failures().check(address, Instant::now()) {
        let seconds = wait.as_secs() as u32 + 1;
        let message = format!("cannot take the webhook: too many without the right secret; try again in {seconds} s");
        return Err(Failure::too_many_requests(message, seconds));
    }
    let Some(proof) = Proof::of(&parts.headers) else {
        gateway.hook_failures().failed(address, Instant::now());
        let how = "send X-Hub-Signature-256, X-Gitea-Signature or X-Gitlab-Token";
        return Err(Failure::unauthorized(format!("cannot take a webhook without proof of its secret: {how}")));
    };
    // Each holds a whole body in memory, for somebody who has proved nothing yet.
    let Ok(_turn) = gateway.shared.hooks.try_acquire() else {
        return Err(Failure::too_many_requests("cannot take the webhook: others are being read; try again", 1));
    };
    let body = read(body).await?;
    let sources = with_secrets(&gateway.shared.client).await?;
    let proved: Vec<&(Source, String)> = sources.iter().filter(|(_, secret)| proof.is_good(secret, &body)).collect();
    if proved.is_empty() {
        gateway.hook_failures().failed(address, Instant::now());
        let how = "its secret must be the `token` of the Secret that spec.git.webhookSecretRef of a Source names";
        return Err(Failure::unauthorized(format!("cannot take the webhook: {how}")));
    }
    let body: Value = serde_json::from_slice(&body)
        .map_err(|_| Failure::bad_request("cannot read the webhook: its body is no JSON; choose application/json"))?;
    let repositories = webhook::mentioned(&body);
    let mut asked = 0;
    for (source, _) in proved {
        let url = source.spec.git.as_ref().and_then(|git| webhook::repository(&git.url));
        if url.is_some_and(|url| repositories.contains(&url)) {
            ask(&gateway.shared.client, source).await?;
            asked += 1;
        }
    }
    tracing::info!(asked, "webhook of a forge");
    Ok((StatusCode::ACCEPTED, Json(json!({ "sources": asked }))).into_response())
}

async fn read(body: Body) -> Result<bytes::Bytes, Failure> {
    match tokio::time::timeout(PATIENCE, to_bytes(body, MAX_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Failure::too_large(format!("cannot read the webhook: more than {MAX_BODY} bytes"))),
        Err(_) => Err(Failure::timeout("cannot read the webhook: its body did not come in time")),
    }
}

/// Every Source that has a webhook secret, with it.
async fn with_secrets(client: &Client) -> Result<Vec<(Source, String)>, Failure> {
    let cannot = |error: kube::Error| {
        tracing::warn!(%error, "cannot look up the secrets of webhooks");
        Failure::unavailable("cannot take the webhook: the API does not answer", 1)
    };
    let sources = Api::<Source>::all(client.clone()).list(&Default::default()).await.map_err(cannot)?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let mut found = Vec::new();
    for source in sources {
        let Some(name) = source.spec.git.as_ref().and_then(|git| git.webhook_secret_ref.as_ref()) else { continue };
        let secret = secrets.get_opt(&name.name).await.map_err(cannot)?;
        let token = secret.and_then(|s| String::from_utf8(s.data?.remove("token")?.0).ok());
        match token.map(|t| t.trim_end_matches(['\r', '\n']).to_owned()).filter(|t| !t.is_empty()) {
            Some(token) => found.push((source, token)),
            None => tracing::warn!(
                source = source.name_any(),
                secret = name.name,
                "no webhook is taken for this source: the secret, or `token` in it, is not there"
            ),
        }
    }
    Ok(found)
}

async fn ask(client: &Client, source: &Source) -> Result<(), Failure> {
    let now = Timestamp::now().to_string();
    let patch = json!({"metadata": {"annotations": {REQUESTED: now}}});
    let params = PatchParams { field_manager: Some("gateway".into()), ..PatchParams::default() };
    let name = source.name_any();
    match Api::<Source>::all(client.clone()).patch_metadata(&name, &params, &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => {
            tracing::warn!(source = name, %error, "cannot ask a source to look");
            Err(Failure::unavailable("cannot ask the source to look: the API does not answer", 1))
        }
    }
}

/// What a forge shows to prove that it knows the secret.
enum Proof {
    /// The body's HMAC-SHA256.
    Signature(Vec<u8>),
    Token(String),
}

impl Proof {
    fn of(headers: &HeaderMap) -> Option<Proof> {
        if let Some(token) = headers.get(TOKEN) {
            return Some(Proof::Token(token.to_str().ok()?.to_owned()));
        }
        let shown = SIGNATURES.iter().find_map(|name| headers.get(name))?.to_str().ok()?;
        let digits = shown.strip_prefix("sha256=").unwrap_or(shown);
        (digits.len() == 64).then(|| unhex(digits)).flatten().map(Proof::Signature)
    }

    /// Takes the same time however near a guess comes.
    fn is_good(&self, secret: &str, body: &[u8]) -> bool {
        match self {
            Proof::Token(token) => secret::equal(token, secret),
            Proof::Signature(shown) => {
                let right = hmac(secret.as_bytes(), body);
                shown.len() == right.len() && shown.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
            }
        }
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok());
    digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}

/// RFC 2104 over SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut padded = [0; BLOCK];
    match key.len() > BLOCK {
        true => padded[..32].copy_from_slice(&Sha256::digest(key)),
        false => padded[..key.len()].copy_from_slice(key),
    }
    let inner = Sha256::new().chain_update(padded.map(|b| b ^ 0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded.map(|b| b ^ 0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let long = [0xaa; 131];
        let cases: [(&[u8], &[u8], &str); 3] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &long,
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ];
        for (key, text, expected) in cases {
            assert_eq!(hex(&hmac(key, text)), expected);
        }
    }

    #[test]
    fn each_forge_s_proof_is_read_and_nothing_else_is_one() {
        let proof = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
            Proof::of(&headers).is_some_and(|proof| proof.is_good("s3cret", b"{}"))
        };
        let right = hex(&hmac(b"s3cret", b"{}"));
        assert!(proof("x-hub-signature-256", &format!("sha256={right}")));
        assert!(proof("x-gitea-signature", &right));
        assert!(proof("x-gitlab-token", "s3cret"));
        let other = hex(&hmac(b"other", b"{}"));
        for wrong in ["", "sha256=", &right[..62], &other, "s3cret", &"é".repeat(32), &"+f".repeat(32)] {
            assert!(!proof("x-hub-signature-256", wrong), "{wrong}");
        }
        for wrong in ["", "s3cre", "s3cret ", &right] {
            assert!(!proof("x-gitlab-token", wrong), "{wrong}");
        }
        assert!(!proof("x-hub-signature", &format!("sha1={right}")));
    }
}
