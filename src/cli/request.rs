//! Requests that kube's typed API does not cover: raw bodies, Tables, watches and WebSockets, over the same TLS
//! connection and with the same credentials. Knows paths and HTTP, not what the answers mean.

use futures::{AsyncBufReadExt, Stream, StreamExt, TryStreamExt};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::core::Status;
use serde_json::Value;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub const JSON: &str = "application/json";
pub const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/// A connection to an agent's terminal.
pub type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

/// GETs a path; an answer that is an error comes back as one.
pub async fn open(client: &kube::Client, path: &str, accept: &str) -> Result<Response<Body>, kube::Error> {
    let request = Request::get(path).header(header::ACCEPT, accept).body(Body::empty());
    checked(client.send(request.map_err(kube::Error::HttpError)?).await?).await
}

/// GETs a JSON value.
pub async fn get(client: &kube::Client, path: &str, accept: &str) -> Result<Value, kube::Error> {
    value(open(client, path, accept).await?).await
}

/// POSTs a JSON value; the answer may be empty.
pub async fn post(client: &kube::Client, path: &str, body: &Value) -> Result<Value, kube::Error> {
    send(client, Method::POST, path, JSON, body).await
}

/// PATCHes with the given patch type.
pub async fn patch(client: &kube::Client, path: &str, kind: &str, body: &Value) -> Result<Value, kube::Error> {
    send(client, Method::PATCH, path, kind, body).await
}

/// Sends a JSON value by any method.
pub async fn send(
    client: &kube::Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: &Value,
) -> Result<Value, kube::Error> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, JSON)
        .body(Body::from(body.to_string().into_bytes()))
        .map_err(kube::Error::HttpError)?;
    value(checked(client.send(request).await?).await?).await
}

async fn value(response: Response<Body>) -> Result<Value, kube::Error> {
    let bytes = response.into_body().collect_bytes().await?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(kube::Error::SerdeError)
}

/// A response that is not an error, or its Status.
async fn checked(response: Response<Body>) -> Result<Response<Body>, kube::Error> {
    let code = response.status();
    if !code.is_client_error() && !code.is_server_error() {
        return Ok(response);
    }
    let bytes = response.into_body().collect_bytes().await?;
    let status =
        serde_json::from_slice::<Status>(&bytes).ok().filter(|s| !s.message.is_empty() || !s.reason.is_empty());
    let status = status.unwrap_or_else(|| {
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim();
        let message = if text.is_empty() { format!("the server answered {code}") } else { text.to_owned() };
        Status::failure(&message, "")
    });
    Err(kube::Error::Api(status.with_code(code.as_u16()).boxed()))
}

/// The body of a response as it comes.
pub fn chunks(response: Response<Body>) -> impl Stream<Item = Result<bytes::Bytes, kube::Error>> + Unpin {
    Box::pin(response.into_body().into_data_stream())
}

/// A watch's events, one JSON object a line.
pub fn events(response: Response<Body>) -> impl Stream<Item = Result<Value, kube::Error>> + Unpin {
    let lines = chunks(response).map_err(std::io::Error::other).into_async_read().lines();
    Box::pin(lines.map(|line| {
        let line = line.map_err(kube::Error::ReadEvents)?;
        serde_json::from_str(&line).map_err(kube::Error::SerdeError)
    }))
}

/// Opens a WebSocket with the given subprotocol. The Client speaks HTTP/1.1 only, so the connection can be taken over.
pub async fn websocket(client: &kube::Client, path: &str, protocol: &str) -> Result<Socket, kube::Error> {
    let key = generate_key();
    let request = Request::get(path)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key)
        .header(header::SEC_WEBSOCKET_PROTOCOL, protocol)
        .body(Body::empty())
        .map_err(kube::Error::HttpError)?;
    let response = checked(client.send(request).await?).await?;
    let given = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    if response.status() != StatusCode::SWITCHING_PROTOCOLS
        || given(header::SEC_WEBSOCKET_ACCEPT) != Some(derive_accept_key(key.as_bytes()).as_str())
        || given(header::SEC_WEBSOCKET_PROTOCOL) != Some(protocol)
    {
        let why = format!("the server answered {} instead of a {protocol} WebSocket", response.status());
        return Err(kube::Error::Service(why.into()));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(kube::Error::HyperError)?;
    let config = WebSocketConfig::default().max_message_size(Some(64 << 20)).max_frame_size(Some(64 << 20));
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config)).await)
}

/// Text for a query string or a path segment.
pub fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// A query string from what is set, with its question mark; empty when nothing is.
pub fn query(pairs: &[(&str, Option<String>)]) -> String {
    let set: Vec<String> =
        pairs.iter().filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={}", encoded(v)))).collect();
    if set.is_empty() { String::new() } else { format!("?{}", set.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_carries_what_is_set_and_escapes_it() {
        let text = query(&[("a", Some("x y&z".into())), ("b", None), ("c", Some("metadata.name=ä".into()))]);
        assert_eq!(text, "?a=x%20y%26z&c=metadata.name%3D%C3%A4");
        assert_eq!(query(&[("b", None)]), "");
    }
}
