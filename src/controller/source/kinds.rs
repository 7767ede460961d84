//! Which resource a kind is, asked of the server once and remembered. A kind that it does not know is asked again: its
//! definition may just have been applied.

use std::collections::HashMap;

use kube::Client;
use kube::api::{ApiResource, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};

#[derive(Clone)]
pub struct Kind {
    pub resource: ApiResource,
    pub namespaced: bool,
}

#[derive(Default)]
pub struct Kinds {
    known: HashMap<(String, String), Kind>,
}

impl Kinds {
    pub async fn get(&mut self, client: &Client, api_version: &str, kind: &str) -> Result<Kind, String> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        match pinned_kind(client, &GroupVersionKind::gvk(group, version, kind)).await {
            Ok((resource, capabilities)) => {
                let kind = Kind { resource, namespaced: capabilities.scope == Scope::Namespaced };
                self.known.insert(key, kind.clone());
                Ok(kind)
            }
            Err(kube::Error::Discovery(_)) => Err(unknown(api_version, kind)),
            Err(kube::Error::Api(status)) if status.is_not_found() => Err(unknown(api_version, kind)),
            Err(error) => Err(format!("cannot ask the server about kind {kind:?}: {error}")),
        }
    }
}

fn unknown(api_version: &str, kind: &str) -> String {
    format!(
        "no matches for kind {kind:?} in version {api_version:?}; `kubectl api-resources` lists those that there are"
    )
}
