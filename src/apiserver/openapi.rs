//! OpenAPI documents of what is served: version 3 per group and version, as `kubectl explain` and client-side checks read them, and a
//! nearly empty version 2 for clients that insist on one. Pure; the caller caches and serves.

mod schemas;

use std::collections::BTreeMap;
use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// One served kind.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub plural: &'a str,
    pub namespaced: bool,
    /// A CRD's schema; without one the kind is built in, or open.
    pub schema: Option<&'a JSONSchemaProps>,
    /// `status`, `scale`, …
    pub subresources: &'a [&'a str],
}

impl Served<'_> {
    /// The path of the group and version, as the index names it: `api/v1`, `apis/regatta.dev/v1alpha1`.
    fn group_version_path(&self) -> String {
        if self.group.is_empty() {
            format!("api/{}", self.version)
        } else {
            format!("apis/{}/{}", self.group, self.version)
        }
    }

    fn collection_path(&self) -> String {
        let scope = if self.namespaced { "/namespaces/{namespace}" } else { "" };
        format!("/{}{scope}/{}", self.group_version_path(), self.plural)
    }

    fn identity(&self) -> Value {
        json!({"group": self.group, "version": self.version, "kind": self.kind})
    }
}

/// The index: every group and version with the address of its document. The hash in it changes exactly when the document does.
pub fn v3_index(served: &[Served<'_>]) -> Value {
    let mut paths = Map::new();
    for (path, document) in documents(served) {
        let hash = hash(&document);
        paths.insert(path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}")}));
    }
    json!({"paths": paths})
}

/// The document of one group and version (`v1`, `regatta.dev/v1alpha1`, or as the index names it).
pub fn v3(group_version: &str, served: &[Served<'_>]) -> Value {
    let path = match group_version.split_once('/') {
        Some(("api" | "apis", _)) => group_version.to_owned(),
        Some(_) => format!("apis/{group_version}"),
        None => format!("api/{group_version}"),
    };
    let members: Vec<&Served<'_>> = served.iter().filter(|one| one.group_version_path() == path).collect();
    document(&members)
}

/// The hash of a document, as the index quotes it and an ETag may.
pub fn hash(document: &Value) -> String {
    let mut out = String::with_capacity(64);
    for byte in Sha256::digest(document.to_string()) {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02X}");
    }
    out
}

/// OpenAPI v2 with a title and no paths, in protobuf. Clients from before v3 only need it to be there and to parse.
pub fn v2_protobuf() -> Vec<u8> {
    fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
        // Wire type 2, and lengths below 128 are one byte; everything written here is shorter.
        out.push((number << 3) | 2);
        out.push(bytes.len() as u8);
        out.extend_from_slice(bytes);
    }
    let mut info = Vec::new();
    field(1, b"Regatta", &mut info);
    field(2, b"v1", &mut info);
    let mut document = Vec::new();
    field(1, b"2.0", &mut document);
    field(2, &info, &mut document);
    field(8, &[], &mut document);
    document
}

fn documents(served: &[Served<'_>]) -> BTreeMap<String, Value> {
    let mut by_path: BTreeMap<String, Vec<&Served<'_>>> = BTreeMap::new();
    for one in served {
        by_path.entry(one.group_version_path()).or_default().push(one);
    }
    by_path.into_iter().map(|(path, members)| (path, document(&members))).collect()
}

fn document(members: &[&Served<'_>]) -> Value {
    let mut paths = Map::new();
    let mut components = schemas::shared();
    for one in members {
        let name = schemas::add(one, &mut components);
        add_paths(one, &name, &mut paths);
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Regatta", "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {
            "schemas": schemas::reachable(&components, members),
            "securitySchemes": {"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization"}},
        },
    })
}

fn query(name: &str, kind: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": kind, "uniqueItems": true}})
}

/// The parameters of writes. kubectl looks for `fieldValidation` among those of PATCH, and falls back to v2 without it.
fn write_parameters(force: bool) -> Vec<Value> {
    let mut out = vec![
        query(
            "dryRun",
            "string",
            "When present, indicates that modifications should not be persisted. Valid values are: All.",
        ),
        query("fieldManager", "string", "The name of the actor that is making these changes."),
        query("fieldValidation", "string", "What to do with unknown or duplicate fields: Ignore, Warn or Strict."),
    ];
    if force {
        out.push(query("force", "boolean", "Take over fields other managers own; apply patches only."));
    }
    out
}

fn list_parameters() -> Vec<Value> {
    vec![
        query("allowWatchBookmarks", "boolean", "Requests watch events with type BOOKMARK."),
        query("continue", "string", "Where a list in pieces goes on."),
        query("fieldSelector", "string", "Restricts the list by fields."),
        query("labelSelector", "string", "Restricts the list by labels."),
        query("limit", "integer", "The maximum number of items to return."),
        query("resourceVersion", "string", "Sets a constraint on what versions may be served."),
        query("resourceVersionMatch", "string", "How resourceVersion is applied to lists."),
        query("sendInitialEvents", "boolean", "Begin a watch with the existing objects."),
        query("timeoutSeconds", "integer", "Timeout for the list or watch call."),
        query("watch", "boolean", "Watch for changes and return them as a stream."),
    ]
}

fn add_paths(one: &Served<'_>, component: &str, paths: &mut Map<String, Value>) {
    let content = |name: &str| {
        let schema = json!({"schema": {"$ref": format!("#/components/schemas/{name}")}});
        json!({"application/json": schema, "application/yaml": schema})
    };
    let body = || json!({"required": true, "content": content(component)});
    let operation = |action: &str, verb: &str, suffix: &str, answer: &str, parameters: Vec<Value>| {
        let group = if one.group.is_empty() { "core" } else { one.group };
        let scope = if one.namespaced { "Namespaced" } else { "" };
        let id = format!("{verb}{}{}{scope}{}{suffix}", capital(group), capital(one.version), one.kind);
        json!({
            "operationId": id,
            "tags": [format!("{}_{}", group.replace(['.', '-'], "_"), one.version)],
            "parameters": parameters,
            "responses": {
                "200": {"description": "OK", "content": content(answer)},
                "401": {"description": "Unauthorized"},
            },
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": one.identity(),
        })
    };
    let with_body = |mut operation: Value, body: Value| {
        operation["requestBody"] = body;
        operation
    };
    // Strategic merge patches are accepted on built-in kinds but not listed: kubectl would then compute them from this document,
    // which has no merge keys, instead of from its own types.
    let patch_body = || {
        let patch = json!({"schema": {"$ref": format!("#/components/schemas/{}", schemas::PATCH)}});
        let kinds = ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
        json!({"required": true, "content": kinds.iter().map(|kind| ((*kind).to_owned(), patch.clone())).collect::<Map<_, _>>()})
    };
    let delete_body = || json!({"content": content(schemas::DELETE_OPTIONS)});
    let namespace = json!({"name": "namespace", "in": "path", "required": true, "description": "object name and auth scope, such as for teams and projects", "schema": {"type": "string", "uniqueItems": true}});
    let name = json!({"name": "name", "in": "path", "required": true, "description": format!("name of the {}", one.kind), "schema": {"type": "string", "uniqueItems": true}});
    let scope: Vec<Value> = one.namespaced.then_some(namespace).into_iter().collect();
    let named: Vec<Value> = std::iter::once(name).chain(scope.iter().cloned()).collect();
    let list = format!("{component}List");

    let collection = one.collection_path();
    paths.insert(collection.clone(), json!({
        "parameters": scope,
        "get": operation("list", "list", "", &list, list_parameters()),
        "post": with_body(operation("post", "create", "", component, write_parameters(false)), body()),
        "delete": with_body(operation("deletecollection", "delete", "Collection", schemas::STATUS, list_parameters()), delete_body()),
    }));
    paths.insert(format!("{collection}/{{name}}"), json!({
        "parameters": named,
        "get": operation("get", "read", "", component, Vec::new()),
        "put": with_body(operation("put", "replace", "", component, write_parameters(false)), body()),
        "patch": with_body(operation("patch", "patch", "", component, write_parameters(true)), patch_body()),
        "delete": with_body(operation("delete", "delete", "", schemas::STATUS, write_parameters(false)), delete_body()),
    }));
    if one.namespaced {
        let everywhere = format!("/{}/{}", one.group_version_path(), one.plural);
        paths.insert(
            everywhere,
            json!({
                "get": operation("list", "list", "ForAllNamespaces", &list, list_parameters()),
            }),
        );
    }
    for subresource in one.subresources {
        let suffix = capital(subresource);
        paths.insert(format!("{collection}/{{name}}/{subresource}"), json!({
            "parameters": named,
            "get": operation("get", "read", &suffix, component, Vec::new()),
            "put": with_body(operation("put", "replace", &suffix, component, write_parameters(false)), body()),
            "patch": with_body(operation("patch", "patch", &suffix, component, write_parameters(true)), patch_body()),
        }));
    }
}

/// `regatta.dev` → `RegattaDev`, for operation ids.
fn capital(text: &str) -> String {
    text.split(['.', '-'])
        .map(|word| {
            let mut chars = word.chars();
            chars.next().map(|first| first.to_uppercase().chain(chars).collect::<String>()).unwrap_or_default()
        })
        .collect()
}

#[cfg(test)]
mod tests;
