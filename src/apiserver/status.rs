//! The API's answers to what cannot be done: `Status` bodies worded as Kubernetes words them, because kubectl prints them
//! as they are and clients branch on their reasons. Decides nothing itself.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use super::schema::FieldError;

/// A refusal or failure that the caller is told about.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
    pub details: Map<String, Value>,
    /// Shows `details` even when there are none, as upstream does where it knows only the code.
    pub bare: bool,
    /// Only an expired list carries one: where an inconsistent continuation may go on.
    pub continue_token: Option<String>,
}

/// What a failure is about, as upstream words it: `agents.regatta.dev "a"` or `Agent.regatta.dev "a"`.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub group: &'a str,
    pub plural: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
}

impl Subject<'_> {
    fn resource(&self) -> String {
        qualified(self.plural, self.group)
    }

    fn details(&self) -> Map<String, Value> {
        let mut details = Map::new();
        if !self.name.is_empty() {
            details.insert("name".into(), self.name.into());
        }
        if !self.group.is_empty() {
            details.insert("group".into(), self.group.into());
        }
        details.insert("kind".into(), self.plural.into());
        details
    }
}

fn qualified(word: &str, group: &str) -> String {
    if group.is_empty() { word.to_string() } else { format!("{word}.{group}") }
}

impl Failure {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Failure {
        Failure { code, reason, message: message.into(), details: Map::new(), bare: false, continue_token: None }
    }

    fn about(mut self, details: Map<String, Value>) -> Failure {
        self.details = details;
        self
    }

    fn bare(self) -> Failure {
        Failure { bare: true, ..self }
    }

    /// A patch that does not fit the object. Upstream keeps the reason to itself.
    pub fn unfitting_patch() -> Failure {
        Failure::new(422, "Invalid", "the server rejected our request due to an error in our request").bare()
    }

    pub fn bad_request(message: impl Into<String>) -> Failure {
        Failure::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Failure {
        Failure::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn no_such_path() -> Failure {
        Failure::new(404, "NotFound", "the server could not find the requested resource").bare()
    }

    pub fn not_found(subject: Subject<'_>) -> Failure {
        Failure::new(404, "NotFound", format!("{} \"{}\" not found", subject.resource(), subject.name))
            .about(subject.details())
    }

    pub fn already_exists(subject: Subject<'_>) -> Failure {
        Failure::new(409, "AlreadyExists", format!("{} \"{}\" already exists", subject.resource(), subject.name))
            .about(subject.details())
    }

    pub fn conflict(subject: Subject<'_>, why: impl std::fmt::Display) -> Failure {
        let message = format!("Operation cannot be fulfilled on {} \"{}\": {why}", subject.resource(), subject.name);
        Failure::new(409, "Conflict", message).about(subject.details())
    }

    pub fn stale(subject: Subject<'_>) -> Failure {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Failure::conflict(subject, why)
    }

    pub fn forbidden(subject: Subject<'_>, why: impl std::fmt::Display) -> Failure {
        let message = format!("{} \"{}\" is forbidden: {why}", subject.resource(), subject.name);
        Failure::new(403, "Forbidden", message).about(subject.details())
    }

    pub fn method_not_allowed() -> Failure {
        Failure::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource").bare()
    }

    pub fn not_acceptable() -> Failure {
        let message = "only the following media types are accepted: application/json, application/yaml";
        Failure::new(406, "NotAcceptable", message)
    }

    pub fn unsupported_media_type(accepted: &str) -> Failure {
        let message =
            format!("the body of the request was in an unknown format - accepted media types include: {accepted}");
        Failure::new(415, "UnsupportedMediaType", message)
    }

    pub fn too_large(limit: usize) -> Failure {
        Failure::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {limit}"))
    }

    pub fn too_old(asked: u64, oldest: u64) -> Failure {
        Failure::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    pub fn continue_expired(token: String) -> Failure {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start \
             a new list without the continue parameter, or use the continue token in this response to retrieve the \
             remainder of the results. Continuing with the provided token results in an inconsistent list - objects \
             that were created, modified, or deleted between the time the first chunk was returned and now may show \
             up in the list.";
        Failure { continue_token: Some(token), ..Failure::new(410, "Expired", message) }
    }

    pub fn too_new(asked: u64, current: u64) -> Failure {
        let mut failure =
            Failure::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {current}"));
        failure.details.insert(
            "causes".into(),
            json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]),
        );
        failure.details.insert("retryAfterSeconds".into(), 1.into());
        failure
    }

    pub fn internal(message: impl std::fmt::Display) -> Failure {
        Failure::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    pub fn shutting_down() -> Failure {
        Failure::new(503, "ServiceUnavailable", "the API server is shutting down; try again in a moment")
    }

    /// 422: the object itself is wrong.
    pub fn invalid(subject: Subject<'_>, errors: &[FieldError]) -> Failure {
        let texts: Vec<String> = errors.iter().map(|e| format!("{}: {}", e.field, e.message)).collect();
        let list = match texts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{}\" is invalid: {list}", qualified(subject.kind, subject.group), subject.name);
        let causes: Vec<Value> =
            errors.iter().map(|e| json!({"reason": e.reason, "message": e.message, "field": e.field})).collect();
        let mut details = subject.details();
        details.insert("kind".into(), subject.kind.into());
        details.insert("causes".into(), causes.into());
        Failure::new(422, "Invalid", message).about(details)
    }

    /// The `Status` object.
    pub fn body(&self) -> Value {
        let mut metadata = Map::new();
        if let Some(token) = &self.continue_token {
            metadata.insert("continue".into(), token.clone().into());
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        // Upstream's refusals have details even when there is nothing to say in them.
        if self.bare || !self.details.is_empty() || self.reason == "Forbidden" {
            status["details"] = Value::Object(self.details.clone());
        }
        status
    }
}

/// One entry of a 422.
pub fn field_error(reason: &'static str, field: impl Into<String>, message: impl Into<String>) -> FieldError {
    FieldError { reason, field: field.into(), message: message.into() }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (code, self.body().to_string()).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.code == 503 || self.code == 504 {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
