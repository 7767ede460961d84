//! One link's life as the host sees it: hello, then what changes, and every five seconds the question whether both sides
//! agree. Owns no agent; a link that ends changes nothing for any.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;
use tokio::time::MissedTickBehavior;

use super::Host;
use crate::api::link::{Heartbeat, Hello, Observed, Welcome};
use crate::link::{self, Link};

const HEARTBEAT: Duration = Duration::from_secs(5);

/// An answer that takes longer than this means that the link is no use.
const PATIENCE: Duration = Duration::from_secs(30);

/// Observed records under way at once; more would only queue at the other side.
const UNDER_WAY: usize = 8;

/// Ten thousand agents' records; anything larger is no answer of ours.
const LARGEST_ANSWER: usize = 256 << 20;

#[derive(Debug, Error)]
pub enum Error {
    #[error("cannot {doing}: {source}")]
    Link { doing: &'static str, source: link::Error },
    #[error("cannot {doing}: the control plane did not answer within {} s", PATIENCE.as_secs())]
    Silent { doing: &'static str },
    #[error("cannot {doing}: the control plane answered {status}: {text}")]
    Refused { doing: &'static str, status: StatusCode, text: String },
    #[error("cannot {doing}: the control plane's answer is not understood: {why}")]
    Malformed { doing: &'static str, why: String },
}

/// Talks until the link ends.
pub async fn run(host: &Host, link: &Link) -> Result<(), Error> {
    hello(host, link).await?;
    let mut beat = tokio::time::interval(HEARTBEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();
    let mut busy: BTreeSet<String> = BTreeSet::new();
    // Records cross each other on the way, so one difference means nothing; one that is still there at the next beat does.
    let mut differed = false;
    loop {
        while busy.len() < UNDER_WAY
            && let Some(observed) = host.board().take_unsent(&busy)
        {
            busy.insert(observed.uid.clone());
            under_way.push(say(link, observed));
        }
        tokio::select! {
            () = link.closed() => return Ok(()),
            Some(said) = under_way.next(), if !under_way.is_empty() => {
                let (uid, outcome): (String, Result<(), Error>) = said;
                busy.remove(&uid);
                match outcome {
                    Ok(()) => {}
                    // One record that is not taken is no reason to drop the link; the digests will differ.
                    Err(error @ Error::Refused { .. }) => tracing::warn!(uid, %error, "a report was refused"),
                    Err(error) => return Err(error),
                }
            }
            () = host.board().changed() => {}
            _ = beat.tick() => {
                let settled = busy.is_empty() && host.board().is_said();
                let differs = heartbeat(host, link).await? && settled;
                if differs && differed {
                    tracing::info!("host and control plane differ; saying everything again");
                    hello(host, link).await?;
                }
                differed = differs && !differed;
            }
        }
    }
}

async fn hello(host: &Host, link: &Link) -> Result<(), Error> {
    let hello = Hello { host: host.info().clone(), observed: host.board().all() };
    let welcome: Welcome = ask(link, Method::POST, "/hello", &hello, "say hello").await?;
    host.want_all(welcome.desired);
    Ok(())
}

/// Whether the two sides differ.
async fn heartbeat(host: &Host, link: &Link) -> Result<bool, Error> {
    let mine = Heartbeat { desired_digest: host.desired_digest(), observed_digest: host.board().digest() };
    let theirs: Heartbeat = ask(link, Method::POST, "/heartbeat", &mine, "send a heartbeat").await?;
    Ok(theirs != mine)
}

async fn say(link: &Link, observed: Observed) -> (String, Result<(), Error>) {
    let path = format!("/observed/{}", observed.uid);
    let outcome = send(link, Method::PUT, &path, &observed, "report an agent").await;
    (observed.uid, outcome.map(drop))
}

async fn ask<T: DeserializeOwned>(
    link: &Link,
    method: Method,
    path: &str,
    body: &impl Serialize,
    doing: &'static str,
) -> Result<T, Error> {
    let bytes = send(link, method, path, body, doing).await?;
    serde_json::from_slice(&bytes).map_err(|error| Error::Malformed { doing, why: error.to_string() })
}

async fn send(
    link: &Link,
    method: Method,
    path: &str,
    body: &impl Serialize,
    doing: &'static str,
) -> Result<bytes::Bytes, Error> {
    let malformed = |why: String| Error::Malformed { doing, why };
    let body = serde_json::to_vec(body).map_err(|error| malformed(error.to_string()))?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
        .map_err(|error| malformed(error.to_string()))?;
    let exchange = async {
        let response = link.request(request).await.map_err(|source| Error::Link { doing, source })?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
        let bytes = body.map_err(|error| malformed(error.to_string()))?.to_bytes();
        if status.is_success() {
            return Ok(bytes);
        }
        let text = crate::api::conditions::shorten(&String::from_utf8_lossy(&bytes), 500);
        Err(Error::Refused { doing, status, text })
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or(Err(Error::Silent { doing }))
}
