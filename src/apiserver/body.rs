//! Request bodies into JSON: size, content type, JSON, YAML and protobuf. Knows no kind beyond what protobuf needs.

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{duplicates, protobuf, status::Failure};

/// Upstream's limit for a request.
pub const LIMIT: usize = 3 * 1024 * 1024;
/// An object nested deeper than this is nobody's manifest.
const YAML_DEPTH: usize = 100;

pub const ACCEPTED: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

/// So much of a body that is too large is read and forgotten: a client that is still sending does not listen for the answer.
const PATIENCE: usize = 16 * LIMIT;

/// The whole body, or 413.
pub async fn collect(mut body: Body) -> Result<Bytes, Failure> {
    let mut kept = BytesMut::new();
    let mut size = 0;
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failure::bad_request(format!("the request's body could not be read: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        size += data.len();
        if size <= LIMIT {
            kept.extend_from_slice(&data);
        } else if size > PATIENCE {
            break;
        } else {
            kept = BytesMut::new();
        }
    }
    if size > LIMIT { Err(Failure::too_large(LIMIT)) } else { Ok(kept.freeze()) }
}

/// The media type without parameters; empty when there is none.
pub fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The object in a body of any accepted type.
pub fn object(headers: &HeaderMap, body: &[u8]) -> Result<Value, Failure> {
    object_strictly(headers, body).map(|(object, _)| object)
}

/// The object, and what is given twice in it, in a strict decoder's words. YAML that gives a key twice is refused anyway.
pub fn object_strictly(headers: &HeaderMap, body: &[u8]) -> Result<(Value, Vec<String>), Failure> {
    let mut duplicates = Vec::new();
    let value = match media_type(headers).as_str() {
        "" | "application/json" | "*/*" => {
            let (value, found) = duplicates::parse(body).map_err(|error| unreadable(&error))?;
            duplicates = found;
            value
        }
        "application/yaml" | "text/yaml" | "application/x-yaml" => yaml(body)?,
        protobuf::MEDIA_TYPE => protobuf::decode(body)
            .map_err(|error| Failure::bad_request(format!("the protobuf body cannot be decoded: {error}")))?,
        _ => return Err(Failure::unsupported_media_type(ACCEPTED)),
    };
    if !value.is_object() {
        return Err(Failure::bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value: the body must be an object",
        ));
    }
    Ok((value, duplicates))
}

pub fn json(body: &[u8]) -> Result<Value, Failure> {
    json_as(body, "couldn't get version/kind; json parse error")
}

/// JSON, with what a refusal of it begins with.
pub fn json_as(body: &[u8], attempted: &str) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|error| Failure::bad_request(format!("{attempted}: {error}")))
}

fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
}

/// YAML, or JSON where it is that: clients send both under the YAML types.
pub fn yaml(body: &[u8]) -> Result<Value, Failure> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
        && let Ok(value) = serde_json::from_slice(body)
    {
        return Ok(value);
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_documents: 1,
            max_depth: YAML_DEPTH,
            max_aliases: 1000,
        },
    };
    let wrong = |error: String| Failure::bad_request(format!("error converting YAML to JSON: {error}"));
    let text = std::str::from_utf8(body).map_err(|error| wrong(error.to_string()))?;
    serde_saphyr::from_str_with_options(text, options).map_err(|error| wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_bodies_may_be_json_too() {
        assert_eq!(yaml(b" {\"a\": 1}").unwrap()["a"], 1);
        assert_eq!(yaml(b"a:\n  - b: true\n").unwrap()["a"][0]["b"], true);
        assert_eq!(yaml(b"a: [").unwrap_err().code, 400);
    }

    #[test]
    fn bombs_and_towers_are_refused() {
        let tower = "[".repeat(5000);
        assert_eq!(json(tower.as_bytes()).unwrap_err().code, 400);
        assert_eq!(yaml(format!("a: {tower}").as_bytes()).unwrap_err().code, 400);
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for i in 1..9 {
            let refs = vec![format!("*a{}", i - 1); 9].join(",");
            bomb += &format!("a{i}: &a{i} [{refs}]\n");
        }
        assert_eq!(yaml(bomb.as_bytes()).unwrap_err().code, 400);
    }
}
