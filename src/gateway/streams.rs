//! An Agent's terminal, log and input: passed to the host that has it, over the host's link. Bytes are moved, never
//! parsed; the host enforces the role that is handed to it in a header.

use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::agents::{AgentName, Place};
use super::api::{denied, may};
use super::guard::Caller;
use super::links::Connection;
use super::status::Failure;
use super::{Gateway, origin};
use crate::link::{self, Link};

/// Until a host has to begin its answer. Sending input waits until the agent took it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// After one side of a terminal has ended: how long the other may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// Two of yamux's frames: a flood moves in big pieces, an idle viewer costs little.
const DOWN_BUFFER: usize = 32 * 1024;

/// People type little at a time.
const UP_BUFFER: usize = 4 * 1024;

const ROLE: HeaderName = HeaderName::from_static("x-regatta-role");
const USER: HeaderName = HeaderName::from_static("x-regatta-user");

/// What a request may tell a host; cookies and tokens stay here.
const TO_HOST: [HeaderName; 10] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::RANGE,
    header::IF_NONE_MATCH,
    header::USER_AGENT,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_VERSION,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
];

/// What an answer may tell a browser: a host must not be able to set cookies here.
const FROM_HOST: [HeaderName; 12] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
    header::CACHE_CONTROL,
    header::ETAG,
    header::RETRY_AFTER,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_EXTENSIONS,
    HeaderName::from_static("x-regatta-first"),
    HeaderName::from_static("x-regatta-head"),
];

/// `GET …/agents/{name}/terminal`, a WebSocket.
pub async fn terminal(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    agent: AgentName,
    request: Request,
) -> Result<Response, Failure> {
    if !origin::is_upgrade(request.headers()) {
        return Err(Failure::bad_request(
            "cannot open a terminal by a plain request: it is a WebSocket with subprotocol regatta.terminal.v1",
        ));
    }
    require(&gateway, &caller, "get", "terminal", &agent).await?;
    let role = match may(&gateway, &caller.user, "create", "input", &agent).await? {
        true => "type",
        false => "view",
    };
    proxy(&gateway, &caller, &agent, "terminal", Some(role), request).await
}

/// `GET …/agents/{name}/log`
pub async fn log(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    agent: AgentName,
    request: Request,
) -> Result<Response, Failure> {
    require(&gateway, &caller, "get", "log", &agent).await?;
    proxy(&gateway, &caller, &agent, "log", None, request).await
}

/// `POST …/agents/{name}/input`
pub async fn input(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    agent: AgentName,
    request: Request,
) -> Result<Response, Failure> {
    require(&gateway, &caller, "create", "input", &agent).await?;
    proxy(&gateway, &caller, &agent, "input", Some("type"), request).await
}

async fn require(
    gateway: &Gateway,
    caller: &Caller,
    verb: &str,
    subresource: &str,
    agent: &AgentName,
) -> Result<(), Failure> {
    match may(gateway, &caller.user, verb, subresource, agent).await? {
        true => Ok(()),
        false => Err(denied(&caller.user, verb, subresource, agent)),
    }
}

async fn proxy(
    gateway: &Gateway,
    caller: &Caller,
    agent: &AgentName,
    subresource: &str,
    role: Option<&'static str>,
    mut request: Request,
) -> Result<Response, Failure> {
    let place = gateway.shared.index.place(agent).await?;
    let link = link_to(gateway, agent, &place)?;
    let browser = request.extensions_mut().remove::<OnUpgrade>().filter(|_| origin::is_upgrade(request.headers()));
    let onward = onward(request, &place, subresource, caller, role, browser.is_some())?;
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, link.request(onward));
    let mut answer = match answer.await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error @ (link::Error::Closed { .. } | link::Error::Busy { .. }))) => {
            return Err(Failure::unavailable(format!("cannot reach agent {agent}: {error}"), 1));
        }
        Ok(Err(error)) => return Err(Failure::bad_gateway(format!("cannot reach agent {agent}: {error}"))),
        Err(_) => {
            let seconds = ANSWER_TIMEOUT.as_secs();
            let message = format!("cannot reach agent {agent}: host {:?} did not answer in {seconds} s", place.host);
            return Err(Failure::timeout(message));
        }
    };
    let mut response = match (answer.status(), browser) {
        (StatusCode::SWITCHING_PROTOCOLS, Some(browser)) => {
            let host = hyper::upgrade::on(&mut answer);
            let (ended, stop) = (caller.ended.clone(), gateway.shared.stop.clone());
            gateway.shared.tasks.spawn(async move {
                tokio::select! {
                    () = splice(browser, host) => {}
                    () = ended.cancelled() => {}
                    () = stop.cancelled() => {}
                }
            });
            switching()
        }
        (StatusCode::SWITCHING_PROTOCOLS, None) => {
            return Err(Failure::bad_gateway(format!(
                "cannot reach agent {agent}: the host switched protocols unasked"
            )));
        }
        (status, _) => {
            let (ended, stop) = (caller.ended.clone(), gateway.shared.stop.clone());
            let body = until(std::mem::take(answer.body_mut()), async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = stop.cancelled() => {}
                }
            });
            (status, body).into_response()
        }
    };
    response.headers_mut().extend(chosen(answer.headers(), &FROM_HOST));
    Ok(response)
}

fn link_to(gateway: &Gateway, agent: &AgentName, place: &Place) -> Result<Link, Failure> {
    let host = &place.host;
    let since = match gateway.shared.links.connection(host) {
        Connection::Up(link) => return Ok(link),
        Connection::Down { since } => format!("has not been connected since {since:.0}"),
        Connection::NeverSeen => {
            format!("has not connected since this gateway started at {:.0}", gateway.shared.started)
        }
    };
    Err(Failure::unavailable(
        format!("cannot reach agent {agent}: its host \"{host}\" {since}; the agent itself goes on there"),
        5,
    ))
}

/// The request as the host gets it.
fn onward(
    request: Request,
    place: &Place,
    subresource: &str,
    caller: &Caller,
    role: Option<&'static str>,
    upgrade: bool,
) -> Result<Request, Failure> {
    let query = request.uri().query().map_or_else(String::new, |query| format!("?{query}"));
    let uri = format!("/agents/{}/{subresource}{query}", place.uid);
    let uri = Uri::try_from(uri).map_err(|error| Failure::bad_request(format!("cannot pass the query on: {error}")))?;
    let mut headers: HeaderMap = chosen(request.headers(), &TO_HOST).collect();
    if upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    if let Some(role) = role {
        headers.insert(ROLE, HeaderValue::from_static(role));
    }
    let user = caller.user.name.escape_default().to_string();
    headers.insert(USER, HeaderValue::try_from(user).expect("escaped text is printable ASCII"));
    let method = if upgrade { Method::GET } else { request.method().clone() };
    let mut onward = Request::new(request.into_body());
    *onward.method_mut() = method;
    *onward.uri_mut() = uri;
    *onward.headers_mut() = headers;
    Ok(onward)
}

fn chosen<'a>(headers: &'a HeaderMap, names: &'a [HeaderName]) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'a {
    names.iter().flat_map(|name| headers.get_all(name).iter().map(|value| (name.clone(), value.clone())))
}

fn switching() -> Response {
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// A body that breaks off when the caller's session ends: a followed log must not outlive a logout.
fn until(body: Body, end: impl Future<Output = ()> + Send + 'static) -> Body {
    let mut data = body.into_data_stream();
    let mut end = Box::pin(end);
    Body::from_stream(futures::stream::poll_fn(move |cx| {
        if end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other("the session has ended")))));
        }
        data.poll_next_unpin(cx)
    }))
}

/// Moves bytes both ways until one side ends.
async fn splice(browser: OnUpgrade, host: OnUpgrade) {
    let (browser, host) = match tokio::try_join!(browser, host) {
        Ok(sides) => sides,
        Err(error) => {
            tracing::debug!(%error, "a terminal was given up before it began");
            return;
        }
    };
    let (from_browser, to_browser) = tokio::io::split(TokioIo::new(browser));
    let (from_host, to_host) = tokio::io::split(TokioIo::new(host));
    let mut down = std::pin::pin!(pump::<DOWN_BUFFER, _, _>(from_host, to_browser));
    let mut up = std::pin::pin!(pump::<UP_BUFFER, _, _>(from_browser, to_host));
    // Whichever ends first, the other gets a moment for its close frame; a peer that vanished without a word must not
    // keep the rest open.
    tokio::select! {
        () = &mut down => drop(tokio::time::timeout(GOODBYE, up).await),
        () = &mut up => drop(tokio::time::timeout(GOODBYE, down).await),
    }
}

async fn pump<const SIZE: usize, R, W>(mut from: ReadHalf<R>, mut to: WriteHalf<W>)
where
    R: AsyncRead,
    W: AsyncWrite,
{
    let mut buffer = vec![0; SIZE];
    // An error here is a peer that went away, which is how terminals end.
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..length]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
    drop(to.shutdown().await);
}
