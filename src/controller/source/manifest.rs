//! From what a file says to an object that can be applied: which kind it is, what it is called, and what of it is not for
//! us to send. Changes nothing at the server.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::kinds::{Kind, Kinds, Unknown};
use super::scan::Manifest;
use crate::api::SourceSpec;
use crate::api::source::{Failure, InventoryItem};
use crate::plan::source::Key;

/// A definition that was just applied is served a moment later.
const ESTABLISH: Duration = Duration::from_secs(5);
const ESTABLISH_LOOK: Duration = Duration::from_millis(100);

/// A manifest with everything needed to apply it.
pub struct Resolved<'a> {
    pub manifest: &'a Manifest,
    pub item: InventoryItem,
    pub value: Value,
    pub kind: Kind,
    pub key: Key,
}

/// Group and kind that definitions among the manifests make.
pub fn defined<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> BTreeSet<(String, String)> {
    manifests
        .filter(|m| text(&m.value, "kind") == "CustomResourceDefinition")
        .filter_map(|m| {
            let of = |path: &str| m.value.pointer(path).and_then(Value::as_str).map(str::to_owned);
            Some((of("/spec/group")?, of("/spec/names/kind")?))
        })
        .collect()
}

pub async fn resolve<'a>(
    client: &Client,
    kinds: &mut Kinds,
    spec: &SourceSpec,
    defined: &BTreeSet<(String, String)>,
    manifest: &'a Manifest,
) -> Result<Resolved<'a>, Failure> {
    let mut value = manifest.value.clone();
    if !value.is_object() {
        return Err(manifest.failure("", "a manifest is a map with apiVersion, kind and metadata".into()));
    }
    let (api_version, kind_name) = (text(&value, "apiVersion").to_owned(), text(&value, "kind").to_owned());
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if name.is_empty() && value.pointer("/metadata/generateName").is_some() {
        let why = "metadata.generateName would make another object at every pass; write metadata.name instead";
        return Err(manifest.failure("metadata.generateName", why.into()));
    }
    for (field, written) in [("apiVersion", &api_version), ("kind", &kind_name), ("metadata.name", &name)] {
        if written.is_empty() {
            return Err(manifest.failure(field, format!("{field} is missing; every manifest needs it")));
        }
    }
    let kind = find(client, kinds, &api_version, &kind_name, defined).await;
    let kind = kind.map_err(|message| manifest.failure("kind", message))?;
    let named = value.pointer("/metadata/namespace").and_then(Value::as_str).map(str::to_owned);
    let namespace =
        kind.namespaced.then(|| named.or_else(|| spec.namespace.clone()).unwrap_or_else(|| "default".into()));
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        match &namespace {
            Some(namespace) => drop(metadata.insert("namespace".into(), json!(namespace))),
            None => drop(metadata.remove("namespace")),
        }
        // A file made by `kubectl get -o yaml` carries these; applied, they would be refused or conflict for ever.
        for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"] {
            metadata.remove(field);
        }
    }
    if let Some(object) = value.as_object_mut() {
        object.remove("status");
    }
    let file = manifest.file.name.clone();
    let item = InventoryItem { api_version, kind: kind_name, namespace, name, uid: String::new(), file };
    Ok(Resolved { manifest, key: Key::of(&item), item, value, kind })
}

async fn find(
    client: &Client,
    kinds: &mut Kinds,
    api_version: &str,
    kind: &str,
    defined: &BTreeSet<(String, String)>,
) -> Result<Kind, String> {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let deadline = Instant::now() + ESTABLISH;
    loop {
        match kinds.get(client, api_version, kind).await {
            Ok(found) => return Ok(found),
            Err(Unknown::Kind(_)) if defined.contains(&(group.into(), kind.into())) && Instant::now() < deadline => {
                tokio::time::sleep(ESTABLISH_LOOK).await;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
