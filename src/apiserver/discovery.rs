//! What is served, told to clients: legacy and aggregated discovery, OpenAPI, the version. Documents are made once for each
//! set of served resources and carry an ETag of their content.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    openapi,
    registry::Served,
    resource::Resource,
    review::{REVIEWS, Review},
    status::Failure,
};

/// The Kubernetes version whose behaviour is followed.
const VERSION: (&str, &str, &str) = ("1", "36", "v1.36.0");
const OPENAPI_V2: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// A document with its tag.
#[derive(Clone)]
struct Document {
    bytes: Bytes,
    etag: HeaderValue,
}

impl Document {
    fn new(bytes: impl Into<Bytes>) -> Document {
        let bytes = bytes.into();
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02X}")).collect();
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("hex is a fine header");
        Document { bytes, etag }
    }

    fn json(value: &Value) -> Document {
        Document::new(value.to_string())
    }

    fn answer(&self, headers: &HeaderMap, content_type: &'static str) -> Response {
        let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == self.etag);
        let mut response = match known {
            // No content type here: kubectl would take it for its cached document's and misread that.
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => {
                let mut response = self.bytes.clone().into_response();
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
                response
            }
        };
        response.headers_mut().insert(header::ETAG, self.etag.clone());
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        response
    }
}

/// Documents of one set of resources. OpenAPI is made when first asked for.
pub struct Documents {
    plain: BTreeMap<String, Document>,
    aggregated: BTreeMap<(&'static str, &'static str), Document>,
    openapi: OnceLock<BTreeMap<String, Document>>,
}

impl Documents {
    pub fn new(resources: &[Arc<Resource>]) -> Documents {
        let groups = groups(resources);
        let mut plain = BTreeMap::new();
        let address = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": ""}]);
        let core = json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address});
        plain.insert("/api".into(), Document::json(&core));
        let named: Vec<Value> = groups.iter().filter(|group| !group.name.is_empty()).map(Group::legacy).collect();
        let list = json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": named});
        plain.insert("/apis".into(), Document::json(&list));
        for group in &groups {
            if !group.name.is_empty() {
                let mut one = group.legacy();
                one["kind"] = "APIGroup".into();
                one["apiVersion"] = "v1".into();
                plain.insert(format!("/apis/{}", group.name), Document::json(&one));
            }
            for version in &group.versions {
                let path = group_version_path(&group.name, &version.name);
                plain.insert(path, Document::json(&version.legacy(&group.name)));
            }
        }
        let mut aggregated = BTreeMap::new();
        for version in ["v2", "v2beta1"] {
            for path in ["/api", "/apis"] {
                let items: Vec<Value> = groups
                    .iter()
                    .filter(|group| group.name.is_empty() == (path == "/api"))
                    .map(Group::aggregated)
                    .collect();
                let list = json!({"kind": "APIGroupDiscoveryList",
                    "apiVersion": format!("apidiscovery.k8s.io/{version}"), "metadata": {}, "items": items});
                aggregated.insert((path, version), Document::json(&list));
            }
        }
        Documents { plain, aggregated, openapi: OnceLock::new() }
    }

    fn openapi(&self, resources: &[Arc<Resource>]) -> &BTreeMap<String, Document> {
        self.openapi.get_or_init(|| {
            // Those of other verbs than an object's are not described.
            let described = |resource: &Arc<Resource>| -> Vec<&str> {
                subresources(resource).into_iter().filter(|name| *name != "token").collect()
            };
            let subresources: Vec<Vec<&str>> = resources.iter().map(described).collect();
            let served: Vec<openapi::Served<'_>> = resources
                .iter()
                .zip(&subresources)
                .map(|(resource, subresources)| openapi::Served {
                    group: &resource.group,
                    version: &resource.version,
                    kind: &resource.kind,
                    plural: &resource.plural,
                    namespaced: resource.namespaced,
                    schema: resource.json_schema.as_ref(),
                    subresources,
                })
                .collect();
            let mut documents = BTreeMap::new();
            documents.insert("/openapi/v3".into(), Document::json(&openapi::v3_index(&served)));
            let paths = resources.iter().map(|r| group_version_path(&r.group, &r.version));
            for path in paths.collect::<std::collections::BTreeSet<_>>() {
                let name = path.trim_start_matches('/');
                documents.insert(format!("/openapi/v3/{name}"), Document::json(&openapi::v3(name, &served)));
            }
            documents
        })
    }
}

fn group_version_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") }
}

fn subresources(resource: &Resource) -> Vec<&'static str> {
    let mut names = Vec::new();
    if resource.status {
        names.push("status");
    }
    if resource.scale.is_some() {
        names.push("scale");
    }
    if resource.is("", "ServiceAccount") {
        names.push("token");
    }
    names
}

/// The answer, if the path is one of discovery's.
pub fn answer(served: &Served, path: &str, method: &Method, headers: &HeaderMap) -> Result<Option<Response>, Failure> {
    let path = path.trim_end_matches('/');
    let found = find(served, path, headers)?;
    if found.is_some() && !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Failure::method_not_allowed());
    }
    Ok(found)
}

fn find(served: &Served, path: &str, headers: &HeaderMap) -> Result<Option<Response>, Failure> {
    let documents = &served.documents;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if path == "/version" {
        return Ok(Some(Document::json(&version()).answer(headers, "application/json")));
    }
    if path == "/openapi/v2" {
        if !accept.contains("proto-openapi.spec.v2") {
            let message = "only the OpenAPI v2 protobuf form is served; the complete description is under /openapi/v3";
            return Err(Failure::new(406, "NotAcceptable", message));
        }
        return Ok(Some(Document::new(openapi::v2_protobuf()).answer(headers, OPENAPI_V2)));
    }
    if path.starts_with("/openapi/v3") {
        let document = documents.openapi(&served.resources).get(path).ok_or_else(Failure::no_such_path)?;
        return Ok(Some(document.answer(headers, "application/json")));
    }
    for range in accept.split(',') {
        let wants = |text: &str| range.contains(text);
        if !wants("as=APIGroupDiscoveryList") || !wants("g=apidiscovery.k8s.io") {
            if wants("application/json") || wants("*/*") {
                break;
            }
            continue;
        }
        let (version, content_type) = if wants("v=v2beta1") {
            ("v2beta1", "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
        } else if wants("v=v2") {
            ("v2", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
        } else {
            continue;
        };
        let found = documents.aggregated.iter().find(|((known, v), _)| *known == path && *v == version);
        if let Some((_, document)) = found {
            return Ok(Some(document.answer(headers, content_type)));
        }
    }
    Ok(documents.plain.get(path).map(|document| document.answer(headers, "application/json")))
}

fn version() -> Value {
    let (major, minor, git) = VERSION;
    json!({"major": major, "minor": minor, "gitVersion": format!("{git}+regatta.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH)})
}

struct Group {
    name: String,
    versions: Vec<GroupVersion>,
}

struct GroupVersion {
    name: String,
    resources: Vec<Entry>,
}

/// A resource as discovery lists it: served ones, and questions that are only posted.
struct Entry {
    plural: String,
    singular: String,
    kind: String,
    namespaced: bool,
    short_names: Vec<String>,
    categories: Vec<String>,
    verbs: &'static [&'static str],
    subresources: Vec<&'static str>,
}

const VERBS: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const NAMESPACE_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const SUBRESOURCE_VERBS: &[&str] = &["get", "patch", "update"];

/// Group and kind of a subresource that is of another kind than its resource.
fn foreign(subresource: &str) -> Option<(&'static str, &'static str)> {
    match subresource {
        "scale" => Some(("autoscaling", "Scale")),
        "token" => Some(("authentication.k8s.io", "TokenRequest")),
        _ => None,
    }
}

fn subresource_verbs(subresource: &str) -> &'static [&'static str] {
    if subresource == "token" { &["create"] } else { SUBRESOURCE_VERBS }
}

fn groups(resources: &[Arc<Resource>]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut add = |group: &str, version: &str, entry: Entry| {
        let at = groups.iter().position(|known| known.name == group).unwrap_or_else(|| {
            groups.push(Group { name: group.into(), versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        match versions.iter_mut().find(|known| known.name == version) {
            Some(known) => known.resources.push(entry),
            None => versions.push(GroupVersion { name: version.into(), resources: vec![entry] }),
        }
    };
    for resource in resources {
        add(
            &resource.group,
            &resource.version,
            Entry {
                plural: resource.plural.clone(),
                singular: resource.singular.clone(),
                kind: resource.kind.clone(),
                namespaced: resource.namespaced,
                short_names: resource.short_names.clone(),
                categories: resource.categories.clone(),
                verbs: if resource.is("", "Namespace") { NAMESPACE_VERBS } else { VERBS },
                subresources: subresources(resource),
            },
        );
    }
    for Review { group, plural, name, namespaced, kind: _ } in REVIEWS {
        add(
            group,
            "v1",
            Entry {
                plural: plural.to_string(),
                singular: name.to_lowercase(),
                kind: name.to_string(),
                namespaced,
                short_names: Vec::new(),
                categories: Vec::new(),
                verbs: &["create"],
                subresources: Vec::new(),
            },
        );
    }
    groups
}

impl Group {
    fn legacy(&self) -> Value {
        let version =
            |v: &GroupVersion| json!({"groupVersion": format!("{}/{}", self.name, v.name), "version": v.name});
        let versions: Vec<Value> = self.versions.iter().map(version).collect();
        json!({"name": self.name, "versions": versions, "preferredVersion": versions[0]})
    }

    fn aggregated(&self) -> Value {
        let versions: Vec<Value> = self
            .versions
            .iter()
            .map(|version| {
                let resources: Vec<Value> =
                    version.resources.iter().map(|entry| entry.aggregated(&self.name, &version.name)).collect();
                json!({"version": version.name, "resources": resources, "freshness": "Current"})
            })
            .collect();
        json!({"metadata": {"name": self.name, "creationTimestamp": null}, "versions": versions})
    }
}

impl GroupVersion {
    fn legacy(&self, group: &str) -> Value {
        let mut resources = Vec::new();
        for entry in &self.resources {
            let mut one = json!({"name": entry.plural, "singularName": entry.singular, "namespaced": entry.namespaced,
                "kind": entry.kind, "verbs": entry.verbs});
            if !entry.short_names.is_empty() {
                one["shortNames"] = json!(entry.short_names);
            }
            if !entry.categories.is_empty() {
                one["categories"] = json!(entry.categories);
            }
            resources.push(one);
            for subresource in &entry.subresources {
                let mut one = json!({"name": format!("{}/{subresource}", entry.plural), "singularName": "",
                    "namespaced": entry.namespaced, "kind": entry.kind, "verbs": SUBRESOURCE_VERBS});
                if let Some((group, kind)) = foreign(subresource) {
                    one["kind"] = kind.into();
                    one["group"] = group.into();
                    one["version"] = "v1".into();
                }
                one["verbs"] = json!(subresource_verbs(subresource));
                resources.push(one);
            }
        }
        let group_version = if group.is_empty() { self.name.clone() } else { format!("{group}/{}", self.name) };
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
    }
}

impl Entry {
    fn aggregated(&self, group: &str, version: &str) -> Value {
        let kind = json!({"group": group, "version": version, "kind": self.kind});
        let mut one = json!({"resource": self.plural, "responseKind": kind, "singularResource": self.singular,
            "scope": if self.namespaced { "Namespaced" } else { "Cluster" }, "verbs": self.verbs});
        if !self.short_names.is_empty() {
            one["shortNames"] = json!(self.short_names);
        }
        if !self.categories.is_empty() {
            one["categories"] = json!(self.categories);
        }
        if !self.subresources.is_empty() {
            let subresource = |name: &&str| {
                let response = match foreign(name) {
                    Some((group, kind)) => json!({"group": group, "version": "v1", "kind": kind}),
                    None => kind.clone(),
                };
                json!({"subresource": name, "responseKind": response, "verbs": subresource_verbs(name)})
            };
            one["subresources"] = self.subresources.iter().map(subresource).collect();
        }
        one
    }
}
