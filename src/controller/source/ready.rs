//! Whether the objects of a Source are as their manifests say, by their own conditions. Reads only.

use std::collections::{BTreeMap, HashMap};

use kube::Client;
use kube::api::{DynamicObject, ListParams};
use serde_json::Value;

use super::kinds::Kinds;
use super::manifest::text;
use crate::api::conditions::READY;
use crate::api::source::InventoryItem;

/// How the objects of an inventory are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    pub waiting: Vec<String>,
    /// Somebody deleted or replaced one: it is to be applied again.
    pub missing: bool,
}

/// One list per kind and namespace, however many objects there are.
pub async fn readiness<'a>(
    client: &Client,
    kinds: &mut Kinds,
    inventory: impl Iterator<Item = &'a InventoryItem>,
) -> Result<Readiness, String> {
    let mut groups: BTreeMap<(&str, &str, Option<&str>), Vec<&InventoryItem>> = BTreeMap::new();
    for item in inventory {
        groups.entry((&item.api_version, &item.kind, item.namespace.as_deref())).or_default().push(item);
    }
    let mut readiness = Readiness::default();
    for ((api_version, kind_name, namespace), items) in groups {
        let kind = kinds.get(client, api_version, kind_name).await.map_err(|e| e.to_string())?;
        let list = kind.api(client, namespace).list(&ListParams::default()).await;
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
