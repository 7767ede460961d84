//! ServiceAccounts by themselves: every namespace has one called `default`, and what belongs to an account that is gone
//! (its tokens, its Secrets) goes. Woken by changes; every round looks at what is there, so one missed is caught up with.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{
    Inner,
    delete::{self, DeleteOptions},
    install::system_options,
    object,
    status::Failure,
    write::{Call, Ownership},
};

pub const DEFAULT: &str = "default";
/// Expired tokens are refused at once; this is when they are forgotten.
const TIDY: Duration = Duration::from_secs(600);
const RETRY: Duration = Duration::from_secs(1);

pub async fn run(server: Weak<Inner>, stopping: CancellationToken) {
    let Some(inner) = server.upgrade() else { return };
    let changes = |id: &str| inner.store.collection(id).subscribe();
    let (mut namespaces, mut accounts, mut secrets) =
        (changes("/namespaces"), changes("/serviceaccounts"), changes("/secrets"));
    drop(inner);
    let mut tidy = tokio::time::interval(TIDY);
    tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some(inner) = server.upgrade() else { return };
        for changed in [&mut namespaces, &mut accounts, &mut secrets] {
            changed.mark_unchanged();
        }
        let fine = round(&inner).await;
        drop(inner);
        tokio::select! {
            changed = namespaces.changed() => if changed.is_err() { return },
            changed = accounts.changed() => if changed.is_err() { return },
            changed = secrets.changed() => if changed.is_err() { return },
            _ = tidy.tick() => {}
            () = tokio::time::sleep(RETRY), if !fine => {}
            () = stopping.cancelled() => return,
        }
    }
}

async fn round(inner: &Arc<Inner>) -> bool {
    let made = ensure(inner).await;
    let removed = remove_secrets(inner).await;
    for failure in [&made, &removed].into_iter().filter_map(|done| done.as_ref().err()) {
        tracing::warn!(message = failure.message, "keeping ServiceAccounts in order failed and is tried again");
    }
    made.is_ok() && removed.is_ok() && inner.tokens.purge(inner).await
}

/// The account `default` in every namespace that stays.
pub async fn ensure(inner: &Arc<Inner>) -> Result<(), Failure> {
    let served = inner.registry.served();
    let Some(accounts) = served.find("", "v1", "serviceaccounts") else { return Ok(()) };
    for namespace in inner.store.collection("/namespaces").all() {
        let there = accounts.collection.get(&object::key(&namespace.name, DEFAULT)).is_some();
        if there || namespace.deleting {
            continue;
        }
        let object = json!({"metadata": {"name": DEFAULT, "namespace": namespace.name}});
        let call =
            Call { inner, resource: accounts.clone(), namespace: namespace.name.clone(), options: system_options() };
        match call.create(object, Ownership::Update).await {
            // There already, or the namespace is on its way out by now.
            Err(failure) if !matches!(failure.code, 403 | 404 | 409) => return Err(failure),
            _ => {}
        }
    }
    Ok(())
}

async fn remove_secrets(inner: &Arc<Inner>) -> Result<(), Failure> {
    let orphaned = inner.tokens.orphaned();
    let Some(secrets) = inner.registry.served().find("", "v1", "secrets").filter(|_| !orphaned.is_empty()) else {
        return Ok(());
    };
    let call = Call { inner, resource: secrets, namespace: String::new(), options: system_options() };
    delete::delete_all(&call, &orphaned, &DeleteOptions::default()).await
}
