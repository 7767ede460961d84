//! Short numbers of agents: counted per namespace in one ConfigMap, by compare-and-set, so that no number is ever given
//! twice, also not when its agent is long gone.

use std::collections::BTreeMap;
use std::ops::Range;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

use crate::api::SYSTEM_NAMESPACE;

const NAME: &str = "regatta-counter";

/// Conflicts come from other replicas; more than this many in a row and the next round tries again.
const ATTEMPTS: usize = 16;

pub struct Numbers {
    api: Api<ConfigMap>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot count agents in configmap {SYSTEM_NAMESPACE}/{NAME}: {0}")]
    Api(#[from] kube::Error),
    #[error("cannot count agents in configmap {SYSTEM_NAMESPACE}/{NAME}: it changed {ATTEMPTS} times meanwhile")]
    Contended,
    #[error(
        "cannot count agents: key {namespace:?} of configmap {SYSTEM_NAMESPACE}/{NAME} is {value:?}; set it to the highest number given"
    )]
    NotANumber { namespace: String, value: String },
}

impl Numbers {
    pub fn new(client: &Client) -> Numbers {
        Numbers { api: Api::namespaced(client.clone(), SYSTEM_NAMESPACE) }
    }

    /// Takes `count` numbers in `namespace`, all above `seen`, which a lost counter must not give again.
    pub async fn take(&self, namespace: &str, count: usize, seen: i64) -> Result<Range<i64>, Error> {
        for _ in 0..ATTEMPTS {
            let (mut counter, exists) = match self.api.get_opt(NAME).await? {
                Some(counter) => (counter, true),
                None => (empty(), false),
            };
            let data = counter.data.get_or_insert_default();
            let last = match data.get(namespace) {
                None => 0,
                Some(value) => value
                    .parse::<i64>()
                    .map_err(|_| Error::NotANumber { namespace: namespace.to_owned(), value: value.clone() })?,
            };
            let first = last.max(seen) + 1;
            let end = first + count as i64;
            data.insert(namespace.to_owned(), (end - 1).to_string());
            let written = match exists {
                // The resourceVersion inside makes this a compare-and-set.
                true => self.api.replace(NAME, &PostParams::default(), &counter).await,
                false => self.api.create(&PostParams::default(), &counter).await,
            };
            match written {
                Ok(_) => return Ok(first..end),
                Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Contended)
    }
}

fn empty() -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(NAME.into()),
            namespace: Some(SYSTEM_NAMESPACE.into()),
            ..Default::default()
        },
        data: Some(BTreeMap::new()),
        ..Default::default()
    }
}
