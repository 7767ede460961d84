//! What a request asks for: its path and query, parsed once. Knows the grammar of Kubernetes' URLs, not what is served.

use std::sync::Arc;

use http::{HeaderMap, Method, Uri, header};

use super::{
    User,
    schema::FieldError,
    select::Selection,
    status::{Failure, Subject, field_error},
};

/// Upstream's bound on the name of a field manager.
const MANAGER_LENGTH: usize = 128;

/// The resource a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub group: String,
    pub version: String,
    pub plural: String,
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl Target {
    /// Parses `/api/v1/…` or `/apis/group/version/…` with at least a resource in it.
    pub fn parse(path: &str) -> Option<Target> {
        let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect::<Option<_>>()?;
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match words.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, plural, rest) = match rest {
            ["namespaces"] => (None, "namespaces", &rest[1..]),
            ["namespaces", _] => (None, "namespaces", &rest[1..]),
            ["namespaces", _, "status" | "finalize"] => (None, "namespaces", &rest[1..]),
            ["namespaces", namespace, plural, rest @ ..] => (Some(*namespace), *plural, rest),
            [plural, rest @ ..] => (None, *plural, rest),
            [] => return None,
        };
        let (name, subresource) = match rest {
            [] => (None, None),
            [name] => (Some(*name), None),
            [name, subresource] => (Some(*name), Some(*subresource)),
            _ => return None,
        };
        Some(Target {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            namespace: namespace.map(Into::into),
            name: name.map(Into::into),
            subresource: subresource.map(Into::into),
        })
    }
}

/// Percent-decoded, if it is well formed.
pub fn decode(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_string());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The query, as pairs.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(uri: &Uri) -> Result<Query, Failure> {
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|pairs| Query(pairs.0))
            .map_err(|error| Failure::bad_request(format!("the query string cannot be read: {error}")))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name) {
            None | Some("false" | "0" | "False" | "f") => Ok(false),
            Some("true" | "1" | "True" | "t") => Ok(true),
            Some(other) => Err(Failure::bad_request(format!("invalid value {other:?} for {name}: not a boolean"))),
        }
    }

    /// A count; zero and less mean that there is none, as upstream reads them.
    pub fn number(&self, name: &str) -> Result<Option<u64>, Failure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number: i64 = text.parse().map_err(|_| {
            let text = super::schema::quote(text);
            Failure::bad_request(format!("strconv.ParseInt: parsing {text}: invalid syntax"))
        })?;
        Ok(u64::try_from(number).ok())
    }
}

/// Which version a read may or must be at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The newest: all there is here is the newest.
    Newest,
    /// Anything: `resourceVersion=0`.
    Any,
    NotOlderThan(u64),
    Exact(u64),
}

#[derive(Clone, Debug)]
pub struct ListOptions {
    pub selection: Selection,
    pub limit: Option<u64>,
    pub continue_token: Option<String>,
    pub at: At,
}

#[derive(Clone, Debug)]
pub struct WatchOptions {
    pub selection: Selection,
    /// None: from the beginning, with what exists as ADDED.
    pub from: Option<u64>,
    /// End the initial state with a marked bookmark.
    pub initial_events: Option<bool>,
    pub bookmarks: bool,
    pub timeout_seconds: Option<u64>,
}

fn version_of(query: &Query, name: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = query.get(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        let text = super::schema::quote(text);
        let why = format!("strconv.ParseUint: parsing {text}: invalid syntax");
        Failure::bad_request(format!("invalid resource version: {name}: Invalid value: {text}: {why}"))
    })
}

fn selection(query: &Query) -> Result<Selection, Failure> {
    Selection::parse(query.get("labelSelector").unwrap_or_default(), query.get("fieldSelector").unwrap_or_default())
}

fn match_error(reason: &'static str, message: &str) -> FieldError {
    field_error(reason, "resourceVersionMatch", message)
}

fn forbidden_match(message: &str) -> FieldError {
    match_error("FieldValueForbidden", &format!("Forbidden: {message}"))
}

fn unknown_match(given: &str, supported: &str) -> FieldError {
    let given = super::schema::quote(given);
    match_error("FieldValueNotSupported", &format!("Unsupported value: {given}: supported values: {supported}"))
}

pub fn list_options(query: &Query) -> Result<ListOptions, Failure> {
    let continue_token = query.get("continue").map(str::to_string);
    let rule = query.get("resourceVersionMatch");
    let limit = query.number("limit")?.filter(|limit| *limit > 0);
    let mut errors = Vec::new();
    if let Some(rule) = rule {
        if query.get("resourceVersion").is_none() {
            errors.push(forbidden_match("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if continue_token.is_some() {
            errors.push(forbidden_match("resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(rule, "Exact" | "NotOlderThan") {
            errors.push(unknown_match(rule, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if rule == "Exact" && query.get("resourceVersion") == Some("0") {
            errors.push(forbidden_match("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    if query.get("sendInitialEvents").is_some() {
        let message = "Forbidden: sendInitialEvents is forbidden for list";
        errors.push(field_error("FieldValueForbidden", "sendInitialEvents", message));
    }
    if !errors.is_empty() {
        return Err(invalid_options("ListOptions", &errors));
    }
    let version = version_of(query, "resourceVersion")?;
    if continue_token.is_some() && version.is_some_and(|version| version > 0) {
        return Err(Failure::bad_request("specifying resource version is not allowed when using continue"));
    }
    let at = match (rule, version) {
        (None, None) => At::Newest,
        (_, Some(0)) => At::Any,
        (Some("Exact"), Some(version)) => At::Exact(version),
        // Upstream's legacy rule: with a limit the version is exact, without it a minimum.
        (None, Some(version)) if limit.is_some() => At::Exact(version),
        (_, Some(version)) => At::NotOlderThan(version),
        (Some(_), None) => At::Newest,
    };
    Ok(ListOptions { selection: selection(query)?, limit, continue_token, at })
}

pub fn watch_options(query: &Query) -> Result<WatchOptions, Failure> {
    let initial_events = match query.get("sendInitialEvents") {
        None => None,
        Some(_) => Some(query.flag("sendInitialEvents")?),
    };
    let rule = query.get("resourceVersionMatch");
    let mut errors = Vec::new();
    if initial_events.is_some() && rule != Some("NotOlderThan") {
        errors.push(forbidden_match("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    }
    if let Some(rule) = rule {
        if initial_events.is_none() {
            let message = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(forbidden_match(message));
        }
        if rule != "NotOlderThan" {
            errors.push(unknown_match(rule, "\"NotOlderThan\""));
        }
        if query.get("continue").is_some() {
            errors.push(forbidden_match("resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    if !errors.is_empty() {
        return Err(invalid_options("ListOptions", &errors));
    }
    Ok(WatchOptions {
        selection: selection(query)?,
        from: version_of(query, "resourceVersion")?.filter(|version| *version > 0),
        initial_events,
        bookmarks: query.flag("allowWatchBookmarks")?,
        timeout_seconds: query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validation {
    Strict,
    Warn,
    Ignore,
}

/// Options of every write.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    pub dry_run: bool,
    pub validation: Validation,
    pub manager: String,
    pub manager_given: bool,
    pub force: bool,
    /// Whose rights bound what is given away by the write. None: the server's own.
    pub by: Option<Arc<User>>,
    /// Keys that the body gives twice, in the words of a strict decoder.
    pub duplicates: Vec<String>,
    /// Only an apply may say anything about force.
    pub force_given: bool,
}

/// The options' kind, which a refusal names: each method has its own.
fn options_kind(method: &Method) -> &'static str {
    match method.as_str() {
        "PUT" => "UpdateOptions",
        "PATCH" => "PatchOptions",
        "DELETE" => "DeleteOptions",
        _ => "CreateOptions",
    }
}

/// 422 for options of a request.
pub fn invalid_options(kind: &str, errors: &[FieldError]) -> Failure {
    Failure::invalid(Subject { group: "meta.k8s.io", plural: kind, kind, name: "" }, errors)
}

/// What is wrong with the values of `dryRun`, if anything.
pub fn dry_run_error(values: &[&str]) -> Option<FieldError> {
    let wrong = values.iter().any(|value| *value != "All");
    wrong.then(|| {
        let message = format!("Unsupported value: {}: supported values: \"All\"", serde_json::json!(values));
        field_error("FieldValueNotSupported", "dryRun", message)
    })
}

pub fn write_options(query: &Query, method: &Method, headers: &HeaderMap) -> Result<WriteOptions, Failure> {
    let mut errors = Vec::new();
    let given = query.get("fieldManager");
    if given.is_some_and(|name| name.len() > MANAGER_LENGTH) {
        let message = format!("Too long: may not be more than {MANAGER_LENGTH} bytes");
        errors.push(field_error("FieldValueTooLong", "fieldManager", message));
    }
    if let Some(name) = given
        && let Some((place, wrong)) = name.char_indices().find(|(_, c)| c.is_control())
    {
        let message = format!(
            "Invalid value: {}: invalid character U+{:04X} (at position {place})",
            super::schema::quote(name),
            u32::from(wrong)
        );
        errors.push(field_error("FieldValueInvalid", "fieldManager", message));
    }
    let asked: Vec<&str> = query.all("dryRun").filter(|value| !value.is_empty()).collect();
    // A deletion's own options say more about it.
    if method != Method::DELETE {
        errors.extend(dry_run_error(&asked));
    }
    let validation = match query.get("fieldValidation") {
        Some("Strict") => Validation::Strict,
        None | Some("Warn") => Validation::Warn,
        Some("Ignore") => Validation::Ignore,
        Some(other) => {
            let message = format!(
                "Unsupported value: {}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
                super::schema::quote(other)
            );
            errors.push(field_error("FieldValueNotSupported", "fieldValidation", message));
            Validation::Warn
        }
    };
    if !errors.is_empty() && method != Method::GET {
        return Err(invalid_options(options_kind(method), &errors));
    }
    // Upstream's rule for a manager that does not say its name: the program's, from the user agent.
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let program = agent.and_then(|agent| agent.split('/').next()).filter(|name| !name.is_empty()).unwrap_or("unknown");
    Ok(WriteOptions {
        dry_run: !asked.is_empty(),
        validation,
        manager: given.unwrap_or(program).chars().take(MANAGER_LENGTH).collect(),
        manager_given: given.is_some(),
        force: query.flag("force")?,
        by: None,
        duplicates: Vec::new(),
        force_given: query.get("force").is_some(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = (String, Option<String>, Option<String>, Option<String>);

    fn parse(path: &str) -> Option<Parts> {
        Target::parse(path).map(|t| (t.plural, t.namespace, t.name, t.subresource))
    }

    #[test]
    fn paths_name_resources() {
        let s = |text: &str| Some(text.to_string());
        assert_eq!(parse("/api/v1/namespaces"), Some(("namespaces".into(), None, None, None)));
        assert_eq!(parse("/api/v1/namespaces/a"), Some(("namespaces".into(), None, s("a"), None)));
        assert_eq!(parse("/api/v1/namespaces/a/status"), Some(("namespaces".into(), None, s("a"), s("status"))));
        assert_eq!(parse("/api/v1/namespaces/a/secrets"), Some(("secrets".into(), s("a"), None, None)));
        assert_eq!(
            parse("/apis/regatta.dev/v1alpha1/namespaces/a/agents/b/status"),
            Some(("agents".into(), s("a"), s("b"), s("status")))
        );
        assert_eq!(parse("/apis/g/v1/hosts/a%3Ab"), Some(("hosts".into(), None, s("a:b"), None)));
        assert_eq!(parse("/apis/g/v1"), None);
        assert_eq!(parse("/api/v1/pods/a/b/c"), None);
    }
}
