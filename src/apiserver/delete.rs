//! Deletion: at once where nothing waits, otherwise a mark that finalizers, the collector and namespaces work off.

use std::sync::Arc;

use futures::TryStreamExt;
use http::StatusCode;
use serde_json::{Value, json};

use super::{
    object, read,
    request::{Query, dry_run_error, invalid_options},
    schema::quote,
    status::{Failure, Subject, field_error},
    storage::{Change, Expect, Stored, WriteError},
    write::{Call, Done, Outcome, is_finished},
};

pub const ORPHAN: &str = "orphan";
pub const FOREGROUND: &str = "foregroundDeletion";

/// Namespaces that are always there.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

const ATTEMPTS: usize = 64;
/// Deletions of a collection under way at once: well within the writer's queue.
const AT_ONCE: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub propagation: Option<Propagation>,
    pub uid: Option<String>,
    pub version: Option<String>,
    pub dry_run: bool,
}

impl DeleteOptions {
    /// From the body (DeleteOptions) where there is one, otherwise from the query.
    pub fn parse(body: Option<&Value>, query: &Query) -> Result<DeleteOptions, Failure> {
        let (policy, orphan, asked) = match body {
            Some(body) => {
                let kind = body.get("kind").and_then(Value::as_str).unwrap_or("DeleteOptions");
                if kind != "DeleteOptions" {
                    let message = format!("the body of a deletion must be DeleteOptions, not {kind}");
                    return Err(Failure::bad_request(message));
                }
                let listed = body.get("dryRun").and_then(Value::as_array).into_iter().flatten();
                let orphan = body.get("orphanDependents").and_then(Value::as_bool);
                (text(body.get("propagationPolicy")), orphan, listed.filter_map(Value::as_str).collect::<Vec<_>>())
            }
            None => {
                let orphan = match query.get("orphanDependents") {
                    Some(_) => Some(query.flag("orphanDependents")?),
                    None => None,
                };
                (query.get("propagationPolicy").map(str::to_string), orphan, query.all("dryRun").collect())
            }
        };
        let asked: Vec<&str> = asked.into_iter().filter(|value| !value.is_empty()).collect();
        let mut errors = Vec::new();
        if let (Some(policy), Some(_)) = (&policy, orphan) {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            let message = format!("Invalid value: {}: {why}", quote(policy));
            errors.push(field_error("FieldValueInvalid", "propagationPolicy", message));
        }
        let propagation = match (policy.as_deref(), orphan) {
            (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), _) => Some(Propagation::Foreground),
            (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
            (None, None) => None,
            (Some(other), _) => {
                let supported = "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
                let message = format!("Unsupported value: {}: {supported}", quote(other));
                errors.push(field_error("FieldValueNotSupported", "propagationPolicy", message));
                None
            }
        };
        errors.extend(dry_run_error(&asked));
        if !errors.is_empty() {
            return Err(invalid_options("DeleteOptions", &errors));
        }
        let precondition = |path: &str| text(body.and_then(|body| object::at(body, path)));
        Ok(DeleteOptions {
            propagation,
            uid: precondition("preconditions.uid"),
            version: precondition("preconditions.resourceVersion"),
            dry_run: !asked.is_empty(),
        })
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_string)
}

/// Deletes one object, or marks it.
pub async fn delete(call: &Call<'_>, name: &str, options: &DeleteOptions) -> Result<Done, Failure> {
    let resource = &call.resource;
    if resource.is("", "Namespace") && IMMORTAL.contains(&name) {
        return Err(Failure::forbidden(resource.subject(name), "this namespace may not be deleted"));
    }
    let _definitions = call.lock_definitions().await;
    for _ in 0..ATTEMPTS {
        let current = read::find(resource, &call.namespace, name)?;
        check_preconditions(call, &current, options)?;
        let before = resource.value(&current);
        let after = marked(call, &before, options.propagation);
        let unchanged = after == before;
        let finished = is_finished(&after);
        if options.dry_run || (unchanged && !finished) {
            let object = if finished { Outcome::Shown(success(call, &current)) } else { Outcome::Shown(after) };
            return Ok(Done { code: StatusCode::OK, object, warnings: Vec::new() });
        }
        let change = if finished { Change::Deleted } else { Change::Modified };
        let key = object::key(&call.namespace, name);
        match call.commit(key, Expect::Version(current.version), after, change).await {
            Ok(stored) => {
                let object = if finished { Outcome::Shown(success(call, &stored)) } else { Outcome::Stored(stored) };
                return Ok(Done { code: StatusCode::OK, object, warnings: Vec::new() });
            }
            // With a version asked for, the next round's check says so.
            Err(WriteError::Stale) => {}
            Err(error) => return Err(call.refused(error, name)),
        }
    }
    Err(Failure::stale(resource.subject(name)))
}

fn check_preconditions(call: &Call<'_>, current: &Stored, options: &DeleteOptions) -> Result<(), Failure> {
    let subject = call.resource.subject(&current.name);
    // Upstream names the kind here, not the resource.
    let subject = Subject { plural: subject.kind, ..subject };
    if let Some(uid) = &options.uid
        && *uid != current.uid
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            current.uid
        );
        return Err(Failure::conflict(subject, why));
    }
    if let Some(version) = &options.version
        && *version != current.version.to_string()
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            current.version
        );
        return Err(Failure::conflict(subject, why));
    }
    Ok(())
}

/// The object as deletion leaves it. The mark is made once, and counts one generation.
fn marked(call: &Call<'_>, before: &Value, propagation: Option<Propagation>) -> Value {
    let mut after = before.clone();
    let mut finalizers = object::finalizers(before);
    if let Some(propagation) = propagation {
        let wanted = match propagation {
            Propagation::Background => None,
            Propagation::Foreground => Some(FOREGROUND),
            Propagation::Orphan => Some(ORPHAN),
        };
        finalizers.retain(|finalizer| (finalizer != ORPHAN && finalizer != FOREGROUND) || Some(&**finalizer) == wanted);
        if let Some(wanted) = wanted.filter(|wanted| !finalizers.iter().any(|finalizer| finalizer == wanted)) {
            finalizers.push(wanted.to_string());
        }
        if finalizers != object::finalizers(before) {
            object::set_finalizers(&mut after, finalizers);
        }
    }
    if !object::is_deleting(before) {
        object::set_meta(&mut after, "deletionTimestamp", object::now());
        object::set_meta(&mut after, "deletionGracePeriodSeconds", 0);
        if call.resource.has_generation() && !is_finished(&after) {
            let generation = object::meta(before, "generation").and_then(Value::as_u64).unwrap_or(0);
            object::set_meta(&mut after, "generation", generation + 1);
        }
        if call.resource.is("", "Namespace") {
            object::put_at(&mut after, "status.phase", "Terminating".into());
        }
    }
    after
}

fn success(call: &Call<'_>, stored: &Stored) -> Value {
    let resource = &call.resource;
    let mut details = json!({"name": stored.name, "kind": resource.plural, "uid": stored.uid});
    if !resource.group.is_empty() {
        details["group"] = resource.group.clone().into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

/// Deletes every given object, many at a time so that they share syncs; one that is gone already is fine.
pub async fn delete_all(call: &Call<'_>, objects: &[Arc<Stored>], options: &DeleteOptions) -> Result<(), Failure> {
    futures::stream::iter(objects.iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, async |stored: &Arc<Stored>| {
            let one = Call {
                inner: call.inner,
                resource: call.resource.clone(),
                namespace: stored.namespace.clone(),
                options: call.options.clone(),
            };
            let options = DeleteOptions { uid: Some(stored.uid.clone()), ..options.clone() };
            match delete(&one, &stored.name, &options).await {
                // Another object by that name now, or none: this one is gone.
                Err(failure) if failure.code != 404 && failure.code != 409 => Err(failure),
                _ => Ok(()),
            }
        })
        .await
}
