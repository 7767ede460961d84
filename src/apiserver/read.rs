//! GET of one object and of lists: consistent pages, resource version rules, selectors. Reads memory only.

use std::sync::Arc;

use axum::response::Response;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Inner, object,
    reply::{self, Form},
    request::{At, ListOptions},
    resource::Resource,
    status::Failure,
    storage::{Read, Stored},
};

/// Where a list goes on. `version` 0: at whatever is there then, since the first page's state is gone.
#[derive(Serialize, Deserialize)]
struct Continue {
    version: u64,
    after: String,
}

impl Continue {
    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a number and a string always encode"))
    }

    fn decode(token: &str) -> Result<Continue, Failure> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
            Failure::bad_request("continue key is not valid: it must come from this server's last answer")
        })
    }
}

pub fn get(
    inner: &Inner,
    resource: &Resource,
    namespace: &str,
    name: &str,
    form: Form,
    version: Option<u64>,
) -> Result<Response, Failure> {
    if let Some(asked) = version {
        check_not_future(inner, asked)?;
    }
    let stored = find(resource, namespace, name)?;
    Ok(reply::stored(StatusCode::OK, form, resource, &stored))
}

pub fn find(resource: &Resource, namespace: &str, name: &str) -> Result<Arc<Stored>, Failure> {
    let found = resource.collection.get(&object::key(namespace, name));
    found.ok_or_else(|| Failure::not_found(resource.subject(name)))
}

/// A version that this server has not reached yet comes from elsewhere, or from before a restored backup.
pub fn check_not_future(inner: &Inner, asked: u64) -> Result<(), Failure> {
    let current = inner.store.current();
    if asked > current { Err(Failure::too_new(asked, current)) } else { Ok(()) }
}

pub fn list(
    inner: &Inner,
    resource: &Arc<Resource>,
    namespace: Option<&str>,
    options: &ListOptions,
    form: Form,
) -> Result<Response, Failure> {
    let selection = resource.select(&options.selection)?;
    let token = options.continue_token.as_deref().map(Continue::decode).transpose()?;
    let read = snapshot(inner, resource, namespace, options.at, token.as_ref())?;
    let mut objects = read.objects;
    if let Some(token) = &token {
        let key = |stored: &Stored| object::key(&stored.namespace, &stored.name);
        objects.drain(..objects.partition_point(|stored| key(stored) <= token.after));
    }
    if !selection.is_everything() {
        objects.retain(|stored| selection.matches(stored));
    }
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), read.version.to_string().into());
    let limit = options.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if objects.len() > limit {
        let remaining = objects.len() - limit;
        objects.truncate(limit);
        let last = objects.last().expect("a limit is at least one");
        let after = object::key(&last.namespace, &last.name);
        metadata.insert("continue".into(), Continue { version: read.version, after }.encode().into());
        // Upstream leaves it out where a selector makes it a guess; ours would be exact, but clients rely on the rule.
        if selection.is_everything() {
            metadata.insert("remainingItemCount".into(), remaining.into());
        }
    }
    Ok(reply::list(form, resource, objects, Value::Object(metadata)))
}

fn snapshot(
    inner: &Inner,
    resource: &Resource,
    namespace: Option<&str>,
    at: At,
    token: Option<&Continue>,
) -> Result<Read, Failure> {
    let current = inner.store.current();
    let collection = &resource.collection;
    if let Some(token) = token {
        if token.version == 0 {
            return Ok(collection.read(namespace, current));
        }
        let expired = || Failure::continue_expired(Continue { version: 0, after: token.after.clone() }.encode());
        if inner.store.in_gap(token.version) || token.version > current {
            return Err(expired());
        }
        return collection.read_at(namespace, token.version).map_err(|_| expired());
    }
    match at {
        At::Newest | At::Any => Ok(collection.read(namespace, current)),
        At::NotOlderThan(version) => {
            check_not_future(inner, version)?;
            Ok(collection.read(namespace, current))
        }
        At::Exact(version) => {
            check_not_future(inner, version)?;
            if inner.store.in_gap(version) {
                return Err(Failure::too_old(version, current));
            }
            collection.read_at(namespace, version).map_err(|oldest| Failure::too_old(version, oldest))
        }
    }
}
