//! Applies what the files say, one object at a time, under the Source's own manager; deletes what they no longer say. Must not
//! decide what is deleted, nor to which Source an object belongs.

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, ValidationDirective};
use kube::core::Status;
use kube::{Client, ResourceExt};
use serde_json::json;

use super::kinds::Kinds;
use super::manifest::Resolved;
use super::registry::Registry;
use crate::api::source::{ConflictPolicy, Failure, InventoryItem};
use crate::plan::source::Key;

/// Applied at once: enough to keep a disk busy, few enough to leave the server to others.
const AT_ONCE: usize = 8;

/// Who applies.
#[derive(Clone, Copy)]
pub struct Applier<'a> {
    pub client: &'a Client,
    pub registry: &'a Registry,
    pub source: &'a str,
    pub conflict: ConflictPolicy,
}

/// What became of one object.
pub enum Outcome {
    Applied(InventoryItem),
    /// An object of the same name is still being deleted: try again soon.
    Ending(Key, Failure),
    /// The server did not take it.
    Refused(Key, Failure),
    /// Nobody knows whether the server took it.
    Unanswered(Failure),
}

pub fn manager(source: &str) -> String {
    format!("source/{source}")
}

impl Applier<'_> {
    pub async fn all(&self, resolved: &[Resolved<'_>]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(resolved.len());
        let mut running = FuturesOrdered::new();
        for one in resolved {
            if running.len() >= AT_ONCE {
                outcomes.extend(running.next().await);
            }
            running.push_back(self.one(one));
        }
        outcomes.extend(running.collect::<Vec<_>>().await);
        outcomes
    }

    async fn one(&self, resolved: &Resolved<'_>) -> Outcome {
        let Resolved { manifest, item, value: _, kind: _, key } = resolved;
        tracing::debug!(source = self.source, file = item.file, kind = item.kind, name = item.name, "apply");
        let force = self.conflict == ConflictPolicy::Force;
        let mut answer = self.patch(resolved, force).await;
        if let Err(kube::Error::Api(status)) = &answer
            && !force
            && self.is_only_with_the_past(status, key)
        {
            answer = self.patch(resolved, true).await;
        }
        match answer {
            Ok(live) if live.metadata.deletion_timestamp.is_some() => {
                let message = "is still being deleted; it is created anew when that is done (see its conditions)";
                let why = format!("{} {:?} {message}", item.kind, item.name);
                Outcome::Ending(key.clone(), manifest.failure("metadata.name", why))
            }
            Ok(live) => {
                self.succeed(resolved, &live).await;
                Outcome::Applied(InventoryItem { uid: live.uid().unwrap_or_default(), ..item.clone() })
            }
            Err(kube::Error::Api(status)) => {
                Outcome::Refused(key.clone(), manifest.failure(field(&status), status.message.clone()))
            }
            Err(error) => Outcome::Unanswered(manifest.failure("", format!("cannot apply: {error}"))),
        }
    }

    async fn patch(&self, resolved: &Resolved<'_>, force: bool) -> kube::Result<DynamicObject> {
        let params = PatchParams {
            dry_run: false,
            force,
            field_manager: Some(manager(self.source)),
            field_validation: Some(ValidationDirective::Strict),
        };
        let api = resolved.kind.api(self.client, resolved.item.namespace.as_deref());
        api.patch(&resolved.item.name, &params, &Patch::Apply(&resolved.value)).await
    }

    /// Whether everybody who is in the way is a Source that no longer has the object.
    fn is_only_with_the_past(&self, status: &Status, key: &Key) -> bool {
        let causes = status.details.as_ref().map_or(&[][..], |d| &d.causes);
        let mut managers = causes.iter().filter(|c| c.reason == "FieldManagerConflict").map(|c| {
            c.message.split_once("conflict with \"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
        });
        status.is_conflict()
            && causes.len() == managers.clone().count()
            && !causes.is_empty()
            && managers.all(|manager| self.is_past(manager, key))
    }

    fn is_past(&self, manager: &str, key: &Key) -> bool {
        let source = manager.strip_prefix("source/");
        source.is_some_and(|source| source != self.source && !self.registry.is_held_by(source, key))
    }

    /// Takes over from Sources that had this object before: what only they said of it goes.
    async fn succeed(&self, resolved: &Resolved<'_>, live: &DynamicObject) {
        let Resolved { manifest: _, item, value: _, kind, key } = resolved;
        let managers = live.managed_fields().iter().filter_map(|f| f.manager.as_deref());
        let mut past: Vec<&str> = managers.filter(|manager| self.is_past(manager, key)).collect();
        past.dedup();
        for manager in past {
            let nothing = json!({
                "apiVersion": item.api_version, "kind": item.kind,
                "metadata": {"name": item.name, "namespace": item.namespace, "uid": live.uid()},
            });
            let params = PatchParams::apply(manager).force();
            let api = kind.api(self.client, item.namespace.as_deref());
            match api.patch(&item.name, &params, &Patch::Apply(nothing)).await {
                Ok(_) => tracing::info!(source = self.source, from = manager, name = item.name, "took over"),
                // The next pass tries again.
                Err(error) => tracing::warn!(source = self.source, from = manager, %error, "cannot take over"),
            }
        }
    }
}

/// The field that a refusal is about.
fn field(status: &Status) -> &str {
    let causes = status.details.as_ref().map_or(&[][..], |d| &d.causes);
    let named = causes.iter().map(|c| c.field.as_str()).find(|f| !f.is_empty() && *f != "<nil>");
    named.or_else(|| unknown_field(&status.message)).unwrap_or_default().trim_start_matches('.')
}

/// The path in `strict decoding error: unknown field "spec.foo"`.
fn unknown_field(message: &str) -> Option<&str> {
    message.split_once("unknown field \"")?.1.split('"').next()
}

/// Deletes one object, if it is still the one that was applied. `Err` keeps it in the inventory.
pub async fn delete(client: &Client, kinds: &mut Kinds, source: &str, item: &InventoryItem) -> Result<(), String> {
    let cannot = |error: String| format!("cannot delete {} {:?}: {error}", item.kind, item.name);
    let kind = kinds.get(client, &item.api_version, &item.kind).await.map_err(|e| cannot(e.to_string()))?;
    let api = kind.api(client, item.namespace.as_deref());
    let uid = match item.uid.as_str() {
        // We ended before we heard whether it was applied: it is ours if it says so.
        "" => match api.get_opt(&item.name).await.map_err(|e| cannot(e.to_string()))? {
            Some(live) if is_ours(&live, source) => live.uid().unwrap_or_default(),
            Some(_) | None => return Ok(()),
        },
        uid => uid.to_owned(),
    };
    let preconditions = Preconditions { uid: Some(uid), resource_version: None };
    match api.delete(&item.name, &DeleteParams::background().preconditions(preconditions)).await {
        Ok(_) => Ok(()),
        // Gone, or somebody else's by now.
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Ok(()),
        Err(error) => Err(cannot(error.to_string())),
    }
}

fn is_ours(live: &DynamicObject, source: &str) -> bool {
    let manager = manager(source);
    live.managed_fields().iter().any(|f| f.manager.as_deref() == Some(&manager))
}
