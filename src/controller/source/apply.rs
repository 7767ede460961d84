//! One pass over a Source: apply what the files say, delete what they no longer say, look whether all of it is Ready.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions, ValidationDirective};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::kinds::{Kind, Kinds};
use super::scan::{Manifest, Scan};
use crate::api::SourceSpec;
use crate::api::conditions::READY;
use crate::api::source::{ConflictPolicy, Failure, InventoryItem};
use crate::plan::source::{Key, rank};

/// A manifest with everything needed to apply it.
struct Resolved<'a> {
    manifest: &'a Manifest,
    item: InventoryItem,
    value: Value,
    kind: Kind,
}

/// What a pass came to.
#[derive(Default)]
pub struct Applied {
    pub items: Vec<InventoryItem>,
    pub failures: Vec<Failure>,
    /// Every object that the files name, applied or not.
    pub present: BTreeSet<Key>,
    /// Something could not even be identified: what is missing then proves nothing.
    pub unidentified: Option<String>,
    /// An object of the same name is still being deleted: try again soon.
    pub ending: bool,
}

pub async fn apply(client: &Client, kinds: &mut Kinds, name: &str, spec: &SourceSpec, scan: &Scan) -> Applied {
    let mut applied = Applied { failures: scan.failures.clone(), ..Applied::default() };
    let mut order: Vec<&Manifest> = scan.manifests.iter().collect();
    order.sort_by_key(|m| rank(text(&m.value, "apiVersion"), text(&m.value, "kind")));
    let mut owner: HashMap<Key, String> = HashMap::new();
    for manifest in order {
        let resolved = match resolve(client, kinds, spec, manifest).await {
            Ok(resolved) => resolved,
            Err(failure) => {
                applied.unidentified = Some(format!("{} names an object that is not understood", manifest.file));
                applied.failures.push(failure);
                continue;
            }
        };
        let key = Key::of(&resolved.item);
        if let Some(file) = owner.get(&key) {
            let message = format!("{} {:?} is already defined in {file}; keep one of the two", key.kind, key.name);
            applied.failures.push(manifest.failure("metadata.name", message));
            continue;
        }
        owner.insert(key.clone(), manifest.file.clone());
        applied.present.insert(key);
        match apply_one(client, name, spec.conflict, &resolved).await {
            Ok(live) if live.metadata.deletion_timestamp.is_some() => {
                applied.ending = true;
                let message = "is still being deleted; it is created anew when that is done (see its conditions)";
                applied.failures.push(manifest.failure("metadata.name", format!("{} {message}", resolved.item.name)));
            }
            Ok(live) => {
                applied.items.push(InventoryItem { uid: live.uid().unwrap_or_default(), ..resolved.item });
            }
            Err(error) => applied.failures.push(refused(manifest, &error)),
        }
    }
    applied
}

async fn resolve<'a>(
    client: &Client,
    kinds: &mut Kinds,
    spec: &SourceSpec,
    manifest: &'a Manifest,
) -> Result<Resolved<'a>, Failure> {
    let mut value = manifest.value.clone();
    if !value.is_object() {
        return Err(manifest.failure("", "a manifest is a map with apiVersion, kind and metadata".into()));
    }
    let (api_version, kind_name) = (text(&value, "apiVersion").to_owned(), text(&value, "kind").to_owned());
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (field, written) in [("apiVersion", &api_version), ("kind", &kind_name), ("metadata.name", &name)] {
        if written.is_empty() {
            return Err(manifest.failure(field, format!("{field} is missing; every manifest needs it")));
        }
    }
    let kind = kinds.get(client, &api_version, &kind_name).await.map_err(|m| manifest.failure("kind", m))?;
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
    let item = InventoryItem {
        api_version,
        kind: kind_name,
        namespace,
        name,
        uid: String::new(),
        file: manifest.file.clone(),
    };
    Ok(Resolved { manifest, item, value, kind })
}

async fn apply_one(
    client: &Client,
    source: &str,
    conflict: ConflictPolicy,
    resolved: &Resolved<'_>,
) -> kube::Result<DynamicObject> {
    let params = PatchParams {
        dry_run: false,
        force: conflict == ConflictPolicy::Force,
        field_manager: Some(format!("source/{source}")),
        field_validation: Some(ValidationDirective::Strict),
    };
    tracing::debug!(
        source,
        file = resolved.manifest.file,
        kind = resolved.item.kind,
        name = resolved.item.name,
        "apply"
    );
    let api = api(client, &resolved.kind, resolved.item.namespace.as_deref());
    api.patch(&resolved.item.name, &params, &Patch::Apply(&resolved.value)).await
}

/// A refusal, with the line of the field that it is about.
fn refused(manifest: &Manifest, error: &kube::Error) -> Failure {
    match error {
        kube::Error::Api(status) => {
            let causes = status.details.as_ref().map_or(&[][..], |d| &d.causes);
            let field = causes.iter().map(|c| c.field.as_str()).find(|f| !f.is_empty() && *f != "<nil>");
            let field = field.or_else(|| unknown_field(&status.message)).unwrap_or_default().trim_start_matches('.');
            manifest.failure(field, status.message.clone())
        }
        other => manifest.failure("", format!("cannot apply: {other}")),
    }
}

/// The path in `strict decoding error: unknown field "spec.foo"`.
fn unknown_field(message: &str) -> Option<&str> {
    message.split_once("unknown field \"")?.1.split('"').next()
}

/// Deletes one object, if it is still the one that was applied. `Err` keeps it in the inventory.
pub async fn delete(client: &Client, kinds: &mut Kinds, item: &InventoryItem) -> Result<(), String> {
    let kind = kinds.get(client, &item.api_version, &item.kind).await?;
    let preconditions = Preconditions { uid: Some(item.uid.clone()), resource_version: None };
    let params = DeleteParams::background().preconditions(preconditions);
    match api(client, &kind, item.namespace.as_deref()).delete(&item.name, &params).await {
        Ok(_) => Ok(()),
        // Gone, or somebody else's by now.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(format!("cannot delete {} {:?}: {error}", item.kind, item.name)),
    }
}

/// How the objects of an inventory are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    pub waiting: Vec<String>,
    /// Somebody deleted or replaced one: it is to be applied again.
    pub missing: bool,
}

/// One list per kind and namespace, however many objects there are.
pub async fn readiness(client: &Client, kinds: &mut Kinds, inventory: &[InventoryItem]) -> Result<Readiness, String> {
    let mut groups: BTreeMap<(&str, &str, Option<&str>), Vec<&InventoryItem>> = BTreeMap::new();
    for item in inventory {
        groups.entry((&item.api_version, &item.kind, item.namespace.as_deref())).or_default().push(item);
    }
    let mut readiness = Readiness::default();
    for ((api_version, kind_name, namespace), items) in groups {
        let kind = kinds.get(client, api_version, kind_name).await?;
        let list = api(client, &kind, namespace).list(&ListParams::default()).await;
        let list = list.map_err(|e| format!("cannot list {kind_name}: {e}"))?;
        let live: HashMap<&str, &DynamicObject> =
            list.items.iter().filter_map(|o| Some((o.metadata.uid.as_deref()?, o))).collect();
        for item in items {
            match live.get(item.uid.as_str()) {
                None => {
                    readiness.missing = true;
                    readiness.waiting.push(format!("{} {} is missing", item.kind, item.name));
                }
                Some(object) => {
                    if let Some(why) = unready(object, api_version, kind_name) {
                        readiness.waiting.push(format!("{} {}: {why}", item.kind, item.name));
                    }
                }
            }
        }
    }
    Ok(readiness)
}

/// Why an object is not Ready at its own generation; kinds without conditions are as they should be.
fn unready(object: &DynamicObject, api_version: &str, kind: &str) -> Option<String> {
    let status = object.data.get("status");
    let conditions = status.and_then(|s| s.get("conditions")).and_then(Value::as_array);
    let ready = conditions.and_then(|c| c.iter().find(|c| text(c, "type") == READY));
    // A Host is declared before it connects, and a Source may be this one: neither is waited for.
    let is_ours = api_version.split('/').next() == Some(crate::api::GROUP);
    if is_ours && ["Host", "Source"].contains(&kind) {
        return None;
    }
    let Some(ready) = ready else {
        return is_ours.then(|| "nothing is known yet".to_owned());
    };
    let of_condition = ready.get("observedGeneration").and_then(Value::as_i64);
    let observed = of_condition.or_else(|| status?.get("observedGeneration")?.as_i64());
    if observed.is_some_and(|g| g < object.metadata.generation.unwrap_or_default()) {
        return Some("its last change is not acted on yet".into());
    }
    (text(ready, "status") != "True").then(|| format!("{} {}", text(ready, "reason"), text(ready, "message")))
}

fn api(client: &Client, kind: &Kind, namespace: Option<&str>) -> Api<DynamicObject> {
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &kind.resource),
        None => Api::all_with(client.clone(), &kind.resource),
    }
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}
