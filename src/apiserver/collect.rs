//! The collector works behind deletions: dependents of owners that are gone, foreground and orphan deletion, the contents of
//! namespaces and of definitions on their way out. It acts through the same calls as a client, and only on what the
//! storage's chores name, so an idle server does nothing.
//!
//! Every chore may be done twice or late: each looks at what is there now.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    Inner, crd,
    delete::{self, DeleteOptions, FOREGROUND, ORPHAN, Propagation},
    expire,
    install::system_options,
    object,
    resource::Resource,
    status::Failure,
    storage::{Chore, Stored},
    write::{Call, Ownership, Part},
};

/// A chore that failed comes back after this long; the reason is logged.
const RETRY: Duration = Duration::from_secs(1);

pub async fn run(server: Weak<Inner>, stopping: CancellationToken) {
    let mut expiry = tokio::time::interval(expire::PERIOD);
    expiry.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let Some(store) = server.upgrade().map(|inner| inner.store.clone()) else { return };
        let chores = tokio::select! {
            chores = store.chores() => chores,
            () = stopping.cancelled() => return,
            _ = expiry.tick() => Vec::new(),
        };
        let Some(inner) = server.upgrade() else { return };
        if chores.is_empty()
            && let Err(failure) = expire_events(&inner).await
        {
            tracing::warn!(message = failure.message, "removing old events failed and is tried again later");
        }
        let mut failed = Vec::new();
        for chore in chores {
            if stopping.is_cancelled() {
                return;
            }
            if let Err(failure) = work(&inner, &chore).await {
                tracing::warn!(?chore, message = failure.message, "cleaning up failed and is tried again");
                failed.push(chore);
            }
        }
        if !failed.is_empty() {
            let store = inner.store.clone();
            drop(inner);
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = stopping.cancelled() => return,
            }
            failed.into_iter().for_each(|chore| store.add_chore(chore));
        }
    }
}

async fn expire_events(inner: &Arc<Inner>) -> Result<(), Failure> {
    let Some(resource) = inner.registry.served().find("", "v1", "events") else { return Ok(()) };
    let now = jiff::Timestamp::now();
    let old: Vec<_> =
        resource.collection.all().into_iter().filter(|stored| expire::is_expired(&stored.value(), now)).collect();
    delete::delete_all(&call(inner, &resource, ""), &old, &DeleteOptions::default()).await
}

async fn work(inner: &Arc<Inner>, chore: &Chore) -> Result<(), Failure> {
    match chore {
        Chore::OwnerGone(uid) => {
            for (collection, key) in inner.store.dependents(uid) {
                check_owners(inner, &collection, &key, Some(uid)).await?;
            }
            Ok(())
        }
        Chore::DependentLeft { namespace, api_version, kind, name } => {
            let Some(resource) = inner.registry.served().find_kind(api_version, kind) else { return Ok(()) };
            let namespace = if resource.namespaced { namespace.as_str() } else { "" };
            match resource.collection.get(&object::key(namespace, name)) {
                Some(stored) if stored.deleting => look(inner, &resource, &stored).await,
                _ => Ok(()),
            }
        }
        Chore::Look { collection, key } => {
            let Some(resource) = inner.registry.served().of_collection(collection) else { return Ok(()) };
            let Some(stored) = resource.collection.get(key) else { return Ok(()) };
            if stored.deleting {
                look(inner, &resource, &stored).await?;
            }
            check_owners(inner, collection, key, None).await
        }
        Chore::Left(namespace) => {
            check_definitions(inner).await?;
            let Some(resource) = inner.registry.served().find("", "v1", "namespaces") else { return Ok(()) };
            match resource.collection.get(&object::key("", namespace)) {
                Some(stored) if stored.deleting => empty_namespace(inner, &resource, &stored).await,
                _ => Ok(()),
            }
        }
    }
}

fn call<'a>(inner: &'a Arc<Inner>, resource: &Arc<Resource>, namespace: &str) -> Call<'a> {
    Call { inner, resource: resource.clone(), namespace: namespace.into(), options: system_options() }
}

/// What vanished meanwhile needs no more work, and what changed meanwhile has a chore of its own.
fn gone_is_fine<T>(result: Result<T, Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.code != 404 && failure.code != 409 => Err(failure),
        _ => Ok(()),
    }
}

/// An object that is marked for deletion: what of its going is the collector's part.
async fn look(inner: &Arc<Inner>, resource: &Arc<Resource>, stored: &Arc<Stored>) -> Result<(), Failure> {
    if resource.is("", "Namespace") {
        return empty_namespace(inner, resource, stored).await;
    }
    if resource.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        return empty_definition(inner, resource, stored).await;
    }
    let finalizers = object::finalizers(&stored.value());
    if finalizers.iter().any(|finalizer| finalizer == ORPHAN) {
        for (collection, key) in inner.store.dependents(&stored.uid) {
            disown(inner, &collection, &key, |owner| owner["uid"] == *stored.uid).await?;
        }
        return drop_finalizer(inner, resource, stored, ORPHAN).await;
    }
    if finalizers.iter().any(|finalizer| finalizer == FOREGROUND) {
        let mut blocked = false;
        for (collection, key) in inner.store.dependents(&stored.uid) {
            let Some(resource) = inner.registry.served().of_collection(&collection) else { continue };
            let Some(dependent) = resource.collection.get(&key) else { continue };
            blocked |= owners(&dependent)
                .iter()
                .any(|owner| owner["uid"] == *stored.uid && owner["blockOwnerDeletion"] == true);
            check_owners(inner, &collection, &key, None).await?;
        }
        // Dependents that were deleted just now bring this object back as a chore of their own.
        if !blocked || inner.store.dependents(&stored.uid).is_empty() {
            return drop_finalizer(inner, resource, stored, FOREGROUND).await;
        }
    }
    Ok(())
}

async fn drop_finalizer(
    inner: &Arc<Inner>,
    resource: &Arc<Resource>,
    stored: &Stored,
    finalizer: &str,
) -> Result<(), Failure> {
    let call = call(inner, resource, &stored.namespace);
    let without = |current: &Value| {
        let mut object = current.clone();
        let mut finalizers = object::finalizers(current);
        finalizers.retain(|known| known != finalizer);
        object::set_finalizers(&mut object, finalizers);
        Ok(object)
    };
    gone_is_fine(call.update(&stored.name, Part::Main, Ownership::Update, without).await)
}

fn owners(stored: &Stored) -> Vec<Value> {
    object::meta(&stored.value(), "ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Alive,
    /// Deleted in the foreground: it waits for its dependents.
    Waiting,
    Gone,
}

/// Whether the owner a reference names is there. A kind that is not served cannot be judged, so it counts as alive.
fn owner(inner: &Inner, dependent: &Stored, reference: &Value) -> Owner {
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let Some(resource) = inner.registry.served().find_kind(text("apiVersion"), text("kind")) else {
        return Owner::Alive;
    };
    let namespace = if resource.namespaced { dependent.namespace.as_str() } else { "" };
    match resource.collection.get(&object::key(namespace, text("name"))) {
        Some(found) if found.uid == text("uid") => {
            let waits = || object::finalizers(&found.value()).iter().any(|finalizer| finalizer == FOREGROUND);
            if found.deleting && waits() { Owner::Waiting } else { Owner::Alive }
        }
        _ => Owner::Gone,
    }
}

/// Deletes an object none of whose owners is left; forgets owners that are gone where another is left. `gone` is known to
/// be gone, even if its kind is served no more.
async fn check_owners(inner: &Arc<Inner>, collection: &str, key: &str, gone: Option<&str>) -> Result<(), Failure> {
    let Some(resource) = inner.registry.served().of_collection(collection) else { return Ok(()) };
    let Some(stored) = resource.collection.get(key) else { return Ok(()) };
    let references = owners(&stored);
    if references.is_empty() || stored.deleting {
        return Ok(());
    }
    let state = |reference: &Value| match gone {
        Some(uid) if reference["uid"] == uid => Owner::Gone,
        _ => owner(inner, &stored, reference),
    };
    let states: Vec<Owner> = references.iter().map(state).collect();
    if states.iter().all(|state| *state == Owner::Alive) {
        return Ok(());
    }
    if states.contains(&Owner::Alive) {
        let uids: Vec<&Value> =
            references.iter().zip(&states).filter(|(_, s)| **s != Owner::Alive).map(|(r, _)| &r["uid"]).collect();
        return disown(inner, collection, key, |owner| uids.contains(&&owner["uid"])).await;
    }
    // Behind an owner that waits, dependents of this one go first too.
    let waiting = states.contains(&Owner::Waiting) && !inner.store.dependents(&stored.uid).is_empty();
    let finalizers = object::finalizers(&stored.value());
    let propagation = match () {
        () if waiting => Some(Propagation::Foreground),
        () if finalizers.iter().any(|finalizer| finalizer == ORPHAN || finalizer == FOREGROUND) => None,
        () => Some(Propagation::Background),
    };
    let options = DeleteOptions {
        propagation,
        uid: Some(stored.uid.clone()),
        version: Some(stored.version.to_string()),
        dry_run: false,
    };
    let done = delete::delete(&call(inner, &resource, &stored.namespace), &stored.name, &options).await;
    if matches!(&done, Err(failure) if failure.code == 409) {
        // Changed meanwhile: judge it anew.
        inner.store.add_chore(Chore::Look { collection: collection.into(), key: key.into() });
    }
    gone_is_fine(done)
}

/// Removes owner references from one object.
async fn disown(
    inner: &Arc<Inner>,
    collection: &str,
    key: &str,
    is_gone: impl Fn(&Value) -> bool,
) -> Result<(), Failure> {
    let Some(resource) = inner.registry.served().of_collection(collection) else { return Ok(()) };
    let Some(stored) = resource.collection.get(key) else { return Ok(()) };
    let without = |current: &Value| {
        let mut object = current.clone();
        let owners = object::meta(current, "ownerReferences").and_then(Value::as_array).cloned().unwrap_or_default();
        let left: Vec<Value> = owners.into_iter().filter(|owner| !is_gone(owner)).collect();
        if left.is_empty() {
            object::unset_meta(&mut object, "ownerReferences");
        } else {
            object::set_meta(&mut object, "ownerReferences", left);
        }
        Ok(object)
    };
    let call = call(inner, &resource, &stored.namespace);
    gone_is_fine(call.update(&stored.name, Part::Main, Ownership::Update, without).await)
}

/// Deletes what is in a namespace; when nothing is left, lets the namespace go.
async fn empty_namespace(inner: &Arc<Inner>, resource: &Arc<Resource>, stored: &Stored) -> Result<(), Failure> {
    let mut left: Vec<(String, usize)> = Vec::new();
    for inside in inner.registry.served().distinct().into_iter().filter(|inside| inside.namespaced) {
        let content = inside.collection.read(Some(&stored.name), inner.store.current()).objects;
        let unmarked: Vec<_> = content.into_iter().filter(|object| !object.deleting).collect();
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        delete::delete_all(&call(inner, &inside, &stored.name), &unmarked, &options).await?;
        let remaining = inside.collection.read(Some(&stored.name), inner.store.current()).objects.len();
        if remaining > 0 {
            left.push((inside.subject("").plural.to_string(), remaining));
        }
    }
    let call = call(inner, resource, "");
    if left.is_empty() {
        // Our part is done; whoever holds another finalizer does theirs.
        let release = |current: &Value| {
            let mut object = current.clone();
            let mut finalizers = object::at(current, "spec.finalizers").and_then(Value::as_array).cloned();
            if let Some(list) = &mut finalizers {
                list.retain(|finalizer| finalizer != "kubernetes");
            }
            object::put_at(&mut object, "spec.finalizers", finalizers.unwrap_or_default().into());
            Ok(object)
        };
        return gone_is_fine(call.update(&stored.name, Part::Finalize, Ownership::Update, release).await);
    }
    let list: Vec<String> =
        left.iter().map(|(plural, count)| format!("{plural}. has {count} resource instances")).collect();
    let condition = json!({"type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain",
        "message": format!("Some resources are remaining: {}", list.join(", "))});
    let tell = |current: &Value| {
        let mut object = current.clone();
        crd::set_condition(&mut object, condition.clone(), &object::now());
        Ok(object)
    };
    gone_is_fine(call.update(&stored.name, Part::Status, Ownership::Update, tell).await)
}

/// Objects that went may have been a definition's last.
async fn check_definitions(inner: &Arc<Inner>) -> Result<(), Failure> {
    let served = inner.registry.served();
    let Some(resource) = served.find("apiextensions.k8s.io", "v1", "customresourcedefinitions") else { return Ok(()) };
    for stored in resource.collection.all().into_iter().filter(|stored| stored.deleting) {
        empty_definition(inner, &resource, &stored).await?;
    }
    Ok(())
}

/// Deletes a definition's objects; when none is left, lets the definition go.
async fn empty_definition(inner: &Arc<Inner>, resource: &Arc<Resource>, stored: &Stored) -> Result<(), Failure> {
    let value = stored.value();
    if !object::finalizers(&value).iter().any(|finalizer| finalizer == crd::CLEANUP) {
        return Ok(());
    }
    let text = |path: &str| object::at(&value, path).and_then(Value::as_str).unwrap_or_default().to_string();
    let id = format!("{}/{}", text("spec.group"), text("spec.names.plural"));
    // A definition that never got its names has no objects.
    if crd::is_established(&value)
        && let Some(inside) = inner.registry.served().of_collection(&id)
    {
        let unmarked: Vec<_> = inside.collection.all().into_iter().filter(|object| !object.deleting).collect();
        let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        delete::delete_all(&call(inner, &inside, ""), &unmarked, &options).await?;
        if !inside.collection.is_empty() {
            return Ok(());
        }
    }
    drop_finalizer(inner, resource, stored, crd::CLEANUP).await
}
