//! Which resource a kind is, asked of the server once and remembered. A kind that it does not know is asked again: its
//! definition may just have been applied.

use std::collections::HashMap;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Error};

#[derive(Clone)]
pub struct Kind {
    pub resource: ApiResource,
    pub namespaced: bool,
}

impl Kind {
    pub fn api(&self, client: &Client, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &self.resource),
            None => Api::all_with(client.clone(), &self.resource),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    #[error("{0}; `kubectl api-resources` lists those that there are")]
    Kind(String),
    #[error("cannot ask the server about kind {kind:?}: {error}")]
    Server { kind: String, error: Error },
}

#[derive(Default)]
pub struct Kinds {
    known: HashMap<(String, String), Kind>,
}

impl Kinds {
    pub async fn get(&mut self, client: &Client, api_version: &str, kind: &str) -> Result<Kind, Unknown> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let unknown = || Unknown::Kind(format!("no matches for kind {kind:?} in version {api_version:?}"));
        match pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await {
            Ok((resource, capabilities)) => {
                let kind = Kind { resource, namespaced: capabilities.scope == Scope::Namespaced };
                self.known.insert(key, kind.clone());
                Ok(kind)
            }
            Err(Error::Discovery(_)) => Err(unknown()),
            Err(Error::Api(status)) if status.is_not_found() => Err(unknown()),
            Err(error) => Err(Unknown::Server { kind: kind.into(), error }),
        }
    }
}
