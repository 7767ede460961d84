//! ClusterRoles with an aggregationRule: their rules are those of all roles that its selectors choose. Follows every change
//! of a ClusterRole, writing by server-side apply as upstream's controller does, and only what differs.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::GROUP;
use crate::apiserver::{
    Inner,
    install::system_options,
    object, patch,
    request::WriteOptions,
    select::Selection,
    status::Failure,
    storage::Stored,
    write::{Call, Part},
};

const MANAGER: &str = "clusterrole-aggregation-controller";
/// A round that failed is tried again after this long, besides with the next change.
const RETRY: std::time::Duration = std::time::Duration::from_secs(1);
/// Roles may gather roles that gather: as many rounds as that may be nested.
const ROUNDS: usize = 16;

/// Follows changes until the server stops.
pub async fn run(server: Weak<Inner>, stopping: CancellationToken) {
    let Some(mut changed) = server.upgrade().map(|inner| roles(&inner).subscribe()) else { return };
    loop {
        let Some(inner) = server.upgrade() else { return };
        changed.mark_unchanged();
        let failed = gather(&inner).await.inspect_err(|failure| {
            tracing::warn!(message = failure.message, "gathering the rules of ClusterRoles failed and is tried again");
        });
        drop(inner);
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY), if failed.is_err() => {}
            () = stopping.cancelled() => return,
        }
    }
}

fn roles(inner: &Inner) -> Arc<crate::apiserver::storage::Collection> {
    inner.store.collection(&format!("{GROUP}/clusterroles"))
}

/// Brings every gathering role up to date.
pub async fn gather(inner: &Arc<Inner>) -> Result<(), Failure> {
    for _ in 0..ROUNDS {
        let all = roles(inner).all();
        let due: Vec<(String, Vec<Value>)> = all.iter().filter_map(|stored| due(stored, &all)).collect();
        if due.is_empty() {
            return Ok(());
        }
        for (name, rules) in due {
            write(inner, &name, rules).await?;
        }
    }
    Ok(())
}

/// The rules a role should have, if it has others.
fn due(stored: &Stored, all: &[Arc<Stored>]) -> Option<(String, Vec<Value>)> {
    let role = stored.value();
    let selectors = object::at(&role, "aggregationRule.clusterRoleSelectors")?.as_array()?;
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        let Some(selection) = Selection::of_labels(selector) else { continue };
        // `all` is in the order of names.
        for other in all.iter().filter(|other| other.name != stored.name && selection.matches(other)) {
            for rule in other.value().get("rules").and_then(Value::as_array).into_iter().flatten() {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    let had = role.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    (had != rules && !stored.deleting).then(|| (stored.name.clone(), rules))
}

async fn write(inner: &Arc<Inner>, name: &str, rules: Vec<Value>) -> Result<(), Failure> {
    let Some(resource) = inner.registry.served().find(GROUP, "v1", "clusterroles") else { return Ok(()) };
    let config = json!({"apiVersion": format!("{GROUP}/v1"), "kind": "ClusterRole", "metadata": {"name": name},
        "rules": rules});
    let options = WriteOptions { manager: MANAGER.into(), force: true, ..system_options() };
    let call = Call { inner, resource, namespace: String::new(), options };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/apply-patch+yaml"));
    patch::patch(&call, name, Part::Main, &headers, &Bytes::from(config.to_string())).await.map(|_| ())
}
