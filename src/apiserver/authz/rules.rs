//! One rule of a role, and whether it allows a request. Values in, a bool out.

use serde::{Deserialize, Serialize};

use super::{Ask, Place, What};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api_groups: Vec<String>,
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty")]
    pub non_resource_urls: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resource_names: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    pub verbs: Vec<String>,
}

impl Rule {
    pub fn allows(&self, ask: &Ask<'_>) -> bool {
        if !has_or_all(&self.verbs, ask.verb) {
            return false;
        }
        match &ask.what {
            What::Path(path) => self.non_resource_urls.iter().any(|url| url_covers(url, path)),
            What::Resource(place) => self.allows_place(place),
        }
    }

    fn allows_place(&self, place: &Place<'_>) -> bool {
        has_or_all(&self.api_groups, place.group)
            && self.resources.iter().any(|resource| resource_matches(resource, place))
            && (self.resource_names.is_empty() || self.resource_names.iter().any(|name| name == place.name))
    }
}

fn has_or_all(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == "*" || one == wanted)
}

/// `*`, `agents`, `agents/log` or `*/scale`. A resource says nothing about its subresources.
fn resource_matches(rule: &str, place: &Place<'_>) -> bool {
    if rule == "*" {
        return true;
    }
    match rule.split_once('/') {
        None => place.subresource.is_empty() && rule == place.resource,
        Some((resource, subresource)) => {
            !place.subresource.is_empty()
                && subresource == place.subresource
                && (resource == "*" || resource == place.resource)
        }
    }
}

/// A trailing `*` stands for anything; anywhere else it is a character.
pub fn url_covers(rule: &str, path: &str) -> bool {
    rule == path || rule.ends_with('*') && path.starts_with(rule.trim_end_matches('*'))
}
