//! Which kinds the server has, asked of the server: kinds are data. Resolves what people write: `agents`, `ag`,
//! `agent`, `Agent`, `agents.regatta.dev`, a category.

use kube::Client;
use kube::core::discovery::v2::{APIGroupDiscoveryList, APIResourceDiscovery};

use super::failure::{Exit, Failure, cannot};

/// One kind of object, and where the server keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub plural: String,
    pub singular: String,
    pub short_names: Vec<String>,
    pub categories: Vec<String>,
    pub scope: Scope,
    pub verbs: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Namespaced,
}

pub struct Kinds(Vec<Kind>);

impl Kind {
    pub fn is_agent(&self) -> bool {
        self.group == crate::api::GROUP && self.plural == "agents"
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The collection; of every namespace when none is given.
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api" } else { "/apis" };
        let within = match (self.scope, namespace) {
            (Scope::Namespaced, Some(namespace)) => format!("/namespaces/{}", super::request::encoded(namespace)),
            (Scope::Namespaced, None) | (Scope::Cluster, _) => String::new(),
        };
        format!("{root}/{}{within}/{}", self.api_version(), self.plural)
    }

    fn answers_to(&self, word: &str) -> bool {
        let same = |name: &str| !name.is_empty() && name.eq_ignore_ascii_case(word);
        same(&self.plural) || same(&self.singular) || same(&self.kind) || self.short_names.iter().any(|s| same(s))
    }
}

impl Kinds {
    pub async fn discover(client: &Client) -> Result<Kinds, Failure> {
        let (core, groups) =
            futures::try_join!(client.list_core_api_versions_aggregated(), client.list_api_groups_aggregated())
                .map_err(|e| cannot("ask the server which kinds it has", e))?;
        Ok(Kinds([core, groups].into_iter().flat_map(flatten).collect()))
    }

    /// The kinds that a word, or several separated by commas, stand for.
    pub fn named(&self, words: &str) -> Result<Vec<&Kind>, Failure> {
        let mut found: Vec<&Kind> = Vec::new();
        for word in words.split(',') {
            let kinds = self.lookup(word);
            if kinds.is_empty() {
                // Events have two groups, and one name.
                let listable = self.all().filter(|k| k.group != "events.k8s.io");
                let known = listable.map(|k| k.plural.as_str()).collect::<Vec<_>>().join(", ");
                return Err(Failure::new(Exit::NotFound, format!("the server has no kind {word:?}; it has: {known}")));
            }
            found.extend(kinds.into_iter().filter(|k| !found.contains(k)).collect::<Vec<_>>());
        }
        Ok(found)
    }

    /// The one kind that a word stands for.
    pub fn one(&self, word: &str) -> Result<&Kind, Failure> {
        match self.named(word)?.as_slice() {
            [kind] => Ok(kind),
            kinds => {
                let all: Vec<&str> = kinds.iter().map(|k| k.plural.as_str()).collect();
                Err(Failure::usage(format!("{word:?} means several kinds here: {}", all.join(", "))))
            }
        }
    }

    /// Our own kind, which most verbs are about.
    pub fn agents(&self) -> Result<&Kind, Failure> {
        self.0.iter().find(|k| k.is_agent()).ok_or_else(|| {
            let why = "this server has no Agents; `regatta crd | kubectl apply -f -` brings Regatta's kinds";
            Failure::new(Exit::NotFound, why)
        })
    }

    /// Every kind that can be listed.
    pub fn all(&self) -> impl Iterator<Item = &Kind> {
        self.0.iter().filter(|k| k.verbs.iter().any(|v| v == "list"))
    }

    /// The kind of a manifest.
    pub fn of_type(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.0.iter().find(|k| k.kind == kind && k.api_version() == api_version)
    }

    fn lookup(&self, word: &str) -> Vec<&Kind> {
        if let Some(kind) = self.0.iter().find(|k| k.answers_to(word)) {
            return vec![kind];
        }
        if let Some((name, group)) = word.split_once('.')
            && let Some(kind) = self.0.iter().find(|k| k.answers_to(name) && k.group == group)
        {
            return vec![kind];
        }
        let listable = |k: &&Kind| k.verbs.iter().any(|v| v == "list");
        self.0.iter().filter(|k| k.categories.iter().any(|c| c == word)).filter(listable).collect()
    }
}

/// The preferred version of every group comes first in its list; a kind is taken from the first that has it.
fn flatten(list: APIGroupDiscoveryList) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = Vec::new();
    for group in list.items {
        let name = group.metadata.and_then(|m| m.name).unwrap_or_default();
        for version in group.versions {
            let version_name = version.version.unwrap_or_default();
            kinds.extend(version.resources.into_iter().filter_map(|r| kind_of(&name, &version_name, r)));
        }
    }
    kinds
}

fn kind_of(group: &str, version: &str, resource: APIResourceDiscovery) -> Option<Kind> {
    let APIResourceDiscovery {
        resource,
        response_kind,
        scope,
        singular_resource,
        verbs,
        short_names,
        categories,
        subresources: _,
    } = resource;
    let kind = response_kind?;
    let filled = |text: Option<String>, other: &str| text.filter(|t| !t.is_empty()).unwrap_or_else(|| other.to_owned());
    Some(Kind {
        group: filled(kind.group, group),
        version: filled(kind.version, version),
        singular: filled(singular_resource, &kind.kind.clone().unwrap_or_default().to_ascii_lowercase()),
        kind: kind.kind?,
        plural: resource?,
        short_names,
        categories,
        scope: if scope.as_deref() == Some("Cluster") { Scope::Cluster } else { Scope::Namespaced },
        verbs,
    })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use serde_json::json;

    pub fn kinds() -> Kinds {
        let resource = |plural: &str, kind: &str, short: &str, scope: &str, category: &[&str]| {
            json!({"resource": plural, "responseKind": {"group": "", "version": "", "kind": kind}, "scope": scope,
                   "singularResource": kind.to_lowercase(), "verbs": ["get", "list"], "shortNames": [short],
                   "categories": category})
        };
        let list = |group: &str, version: &str, resources: Vec<serde_json::Value>| json!({"items": [{"metadata": {"name": group}, "versions": [{"version": version, "resources": resources}]}]});
        let core = list("", "v1", vec![resource("secrets", "Secret", "sec", "Namespaced", &[])]);
        let ours = list(
            "regatta.dev",
            "v1alpha1",
            vec![
                resource("agents", "Agent", "ag", "Namespaced", &["regatta"]),
                resource("hosts", "Host", "hst", "Cluster", &["regatta"]),
            ],
        );
        Kinds([core, ours].into_iter().flat_map(|l| flatten(serde_json::from_value(l).unwrap())).collect())
    }

    #[test]
    fn a_kind_answers_to_every_name_that_people_use() {
        let kinds = kinds();
        for word in ["agents", "agent", "Agent", "ag", "agents.regatta.dev", "AGENTS"] {
            assert_eq!(kinds.one(word).unwrap().plural, "agents", "{word}");
        }
        let both: Vec<_> = kinds.named("regatta").unwrap().iter().map(|k| k.plural.clone()).collect();
        assert_eq!(both, ["agents", "hosts"]);
        assert_eq!(kinds.named("ag,secrets,agents").unwrap().len(), 2);
    }

    #[test]
    fn an_unknown_kind_is_not_found_and_the_known_ones_are_named() {
        let failure = kinds().named("boats").unwrap_err();
        assert_eq!(failure.exit, Exit::NotFound);
        assert!(failure.message.contains("secrets, agents, hosts"), "{}", failure.message);
    }

    #[test]
    fn paths_follow_group_and_scope() {
        let kinds = kinds();
        assert_eq!(kinds.one("secrets").unwrap().path(Some("n")), "/api/v1/namespaces/n/secrets");
        assert_eq!(kinds.one("agents").unwrap().path(None), "/apis/regatta.dev/v1alpha1/agents");
        assert_eq!(kinds.one("hosts").unwrap().path(Some("n")), "/apis/regatta.dev/v1alpha1/hosts");
        assert!(kinds.of_type("regatta.dev/v1alpha1", "Agent").is_some());
    }
}
