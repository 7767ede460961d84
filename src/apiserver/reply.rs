//! Answers: which form a client wants (JSON, YAML, Table, metadata only), and objects and lists in that form. A plain list
//! is put together from the encoded objects as they are, in pieces, so that no answer is held whole.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{object, request::Query, resource::Resource, status::Failure, storage::Stored, table};

/// Pieces of a list's body: large enough to be few, small enough to keep memory flat.
const PIECE: usize = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Json,
    Yaml,
    Table {
        include: Include,
    },
    /// PartialObjectMetadata
    Metadata,
}

/// What a table's rows carry beside their cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    None,
    Metadata,
    Object,
}

/// The first form of the Accept header that can be served.
pub fn negotiate(headers: &HeaderMap, query: &Query) -> Result<Form, Failure> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
        let parameter = |name: &str| parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let meta = parameter("g") == Some("meta.k8s.io") && matches!(parameter("v"), Some("v1" | "v1beta1"));
        match (media, parameter("as")) {
            ("application/json" | "*/*" | "application/*" | "", None) => return Ok(Form::Json),
            ("application/yaml", None) => return Ok(Form::Yaml),
            ("application/json", Some("Table")) if meta => {
                let include = match query.get("includeObject") {
                    None | Some("Metadata") => Include::Metadata,
                    Some("None") => Include::None,
                    Some("Object") => Include::Object,
                    Some(other) => {
                        let why = "must be 'Metadata', 'Object', 'None', or empty";
                        let message = format!(
                            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: {why}"
                        );
                        return Err(Failure::bad_request(message));
                    }
                };
                return Ok(Form::Table { include });
            }
            ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList")) if meta => {
                return Ok(Form::Metadata);
            }
            _ => {}
        }
    }
    Err(Failure::not_acceptable())
}

fn json_response(code: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = (code, body.into()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Any JSON document in the wanted form; documents that are no objects of a resource are never tables.
pub fn document(code: StatusCode, form: Form, value: &Value) -> Response {
    match form {
        Form::Yaml => yaml(code, value),
        Form::Json | Form::Table { .. } | Form::Metadata => json_response(code, value.to_string()),
    }
}

fn yaml(code: StatusCode, value: &Value) -> Response {
    match serde_saphyr::to_string(value) {
        Ok(text) => {
            let mut response = (code, text).into_response();
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
            response
        }
        Err(error) => Failure::internal(format!("the answer cannot be written as YAML: {error}")).into_response(),
    }
}

/// One stored object.
pub fn stored(code: StatusCode, form: Form, resource: &Resource, stored: &Stored) -> Response {
    match form {
        Form::Json => json_response(code, resource.render(stored)),
        _ => value(code, form, resource, &resource.value(stored)),
    }
}

/// One object that is at hand as JSON.
pub fn value(code: StatusCode, form: Form, resource: &Resource, value: &Value) -> Response {
    match form {
        Form::Json => json_response(code, object::encode(value)),
        Form::Yaml => yaml(code, value),
        Form::Metadata => json_response(code, partial(value).to_string()),
        Form::Table { include } => {
            let metadata = json!({"resourceVersion": object::meta_str(value, "resourceVersion")});
            json_response(
                code,
                table::table(resource, std::slice::from_ref(value), include, metadata, true).to_string(),
            )
        }
    }
}

/// Only type and metadata of an object.
pub fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// A list with its metadata.
pub fn list(form: Form, resource: &Arc<Resource>, objects: Vec<Arc<Stored>>, metadata: Value) -> Response {
    let ok = StatusCode::OK;
    match form {
        Form::Json => {
            let kind = Value::from(resource.list_kind.clone());
            let head = format!(
                "{{\"kind\":{kind},\"apiVersion\":\"{}\",\"metadata\":{metadata},\"items\":[",
                resource.api_version()
            );
            json_response(ok, Body::from_stream(pieces(head, resource.clone(), objects)))
        }
        Form::Yaml => {
            let items: Vec<Value> = objects.iter().map(|stored| resource.value(stored)).collect();
            let list = json!({"kind": resource.list_kind, "apiVersion": resource.api_version(),
                "metadata": metadata, "items": items});
            yaml(ok, &list)
        }
        Form::Metadata => {
            let items: Vec<Value> = objects.iter().map(|stored| partial(&resource.value(stored))).collect();
            let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata, "items": items});
            json_response(ok, list.to_string())
        }
        Form::Table { include } => {
            let values: Vec<Value> = objects.iter().map(|stored| resource.value(stored)).collect();
            json_response(ok, table::table(resource, &values, include, metadata, true).to_string())
        }
    }
}

fn pieces(
    head: String,
    resource: Arc<Resource>,
    objects: Vec<Arc<Stored>>,
) -> impl futures::Stream<Item = Result<Bytes, Infallible>> + Send {
    let start = (Some(head), objects.into_iter().enumerate());
    futures::stream::unfold(Some(start), move |state| {
        let resource = resource.clone();
        async move {
            let (head, mut objects) = state?;
            let mut piece = BytesMut::with_capacity(PIECE + 4096);
            piece.extend_from_slice(head.unwrap_or_default().as_bytes());
            while piece.len() < PIECE {
                let Some((i, stored)) = objects.next() else {
                    piece.extend_from_slice(b"]}");
                    return Some((Ok(piece.freeze()), None));
                };
                if i > 0 {
                    piece.extend_from_slice(b",");
                }
                piece.extend_from_slice(&resource.render(&stored));
            }
            Some((Ok(piece.freeze()), Some((None, objects))))
        }
    })
}

/// Adds what a client should be told beside the answer.
pub fn warn(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{clean}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: &str) -> Result<Form, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        negotiate(&headers, &Query::default()).map_err(|failure| failure.code)
    }

    #[test]
    fn the_first_form_that_can_be_served_wins() {
        assert_eq!(form("application/vnd.kubernetes.protobuf,application/json"), Ok(Form::Json));
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(form(table), Ok(Form::Table { include: Include::Metadata }));
        assert_eq!(form("application/json;as=Other;v=v1;g=meta.k8s.io,application/yaml"), Ok(Form::Yaml));
        assert_eq!(form("application/vnd.kubernetes.protobuf"), Err(406));
        assert_eq!(form("text/html,*/*;q=0.8"), Ok(Form::Json));
    }
}
