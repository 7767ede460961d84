//! What an HTTP request asks for, in the terms of roles. Works on the path as it was parsed for serving, so that what is
//! decided about is what is done.

use http::Method;

use super::{Ask, Place, What};
use crate::apiserver::{
    request::{Query, Target},
    select::Selection,
};

/// What a request asks for, held together with the texts it refers to.
pub struct Asked {
    verb: &'static str,
    /// A name that a field selector pins a list or watch to.
    pinned: Option<String>,
}

impl Asked {
    /// For a path that names a resource.
    pub fn of(method: &Method, target: &Target, query: &Query) -> Asked {
        let one = target.name.is_some();
        let verb = match method.as_str() {
            // What cannot be read as a boolean is refused later; until then it is the mightier of the two.
            "GET" | "HEAD" if query.flag("watch").unwrap_or(true) => "watch",
            "GET" | "HEAD" if one => "get",
            "GET" | "HEAD" => "list",
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if one => "delete",
            "DELETE" => "deletecollection",
            _ => "",
        };
        let pinned = (!one && matches!(verb, "list" | "watch"))
            .then(|| Selection::parse("", query.get("fieldSelector").unwrap_or_default()).ok())
            .flatten()
            .and_then(|selection| selection.name().map(str::to_string));
        Asked { verb, pinned }
    }

    pub fn ask<'a>(&'a self, target: &'a Target) -> Ask<'a> {
        let name = target.name.as_deref().or(self.pinned.as_deref()).unwrap_or_default();
        // A namespace is in itself, so that a role in it may speak of it.
        let own = (target.plural == "namespaces").then_some(target.name.as_deref()).flatten();
        Ask {
            verb: self.verb,
            what: What::Resource(Place {
                group: &target.group,
                resource: &target.plural,
                subresource: target.subresource.as_deref().unwrap_or_default(),
                namespace: target.namespace.as_deref().or(own).unwrap_or_default(),
                name,
            }),
        }
    }
}

/// A path that is no resource: the verb is the method in small letters.
pub fn path<'a>(method: &'a str, path: &'a str) -> Ask<'a> {
    Ask { verb: method, what: What::Path(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, uri: &str) -> String {
        let uri: http::Uri = uri.parse().unwrap();
        let (target, query) = (Target::parse(uri.path()).unwrap(), Query::of(&uri).unwrap());
        let asked = Asked::of(&method.parse().unwrap(), &target, &query);
        let Ask { verb, what: What::Resource(place) } = asked.ask(&target) else { panic!("it is a resource") };
        let Place { group, resource, subresource, namespace, name } = place;
        format!("{verb} {group}|{resource}|{subresource}|{namespace}|{name}")
    }

    #[test]
    fn verbs_and_places_are_upstreams() {
        let agents = "/apis/regatta.dev/v1alpha1/namespaces/a/agents";
        for (method, path, expected) in [
            ("GET", agents.to_string(), "list regatta.dev|agents||a|"),
            ("HEAD", agents.to_string(), "list regatta.dev|agents||a|"),
            ("GET", format!("{agents}?watch=true"), "watch regatta.dev|agents||a|"),
            ("GET", format!("{agents}?watch=maybe"), "watch regatta.dev|agents||a|"),
            ("GET", format!("{agents}?watch=0"), "list regatta.dev|agents||a|"),
            ("GET", format!("{agents}?fieldSelector=metadata.name%3Dx"), "list regatta.dev|agents||a|x"),
            ("GET", format!("{agents}?watch=1&fieldSelector=metadata.name%3Dx"), "watch regatta.dev|agents||a|x"),
            ("GET", format!("{agents}?fieldSelector=metadata.name!%3Dx"), "list regatta.dev|agents||a|"),
            ("GET", format!("{agents}/x"), "get regatta.dev|agents||a|x"),
            ("GET", format!("{agents}/x/status"), "get regatta.dev|agents|status|a|x"),
            ("POST", agents.to_string(), "create regatta.dev|agents||a|"),
            ("PUT", format!("{agents}/x"), "update regatta.dev|agents||a|x"),
            ("PATCH", format!("{agents}/x/scale"), "patch regatta.dev|agents|scale|a|x"),
            ("DELETE", format!("{agents}/x"), "delete regatta.dev|agents||a|x"),
            ("DELETE", agents.to_string(), "deletecollection regatta.dev|agents||a|"),
            ("DELETE", format!("{agents}?fieldSelector=metadata.name%3Dx"), "deletecollection regatta.dev|agents||a|"),
            ("GET", "/api/v1/secrets".into(), "list |secrets|||"),
            ("GET", "/api/v1/namespaces/a".into(), "get |namespaces||a|a"),
            ("PUT", "/api/v1/namespaces/a/finalize".into(), "update |namespaces|finalize|a|a"),
            ("GET", "/api/v1/namespaces/a%2Fb/secrets/c%2Fd".into(), "get |secrets||a/b|c/d"),
            ("OPTIONS", agents.to_string(), " regatta.dev|agents||a|"),
        ] {
            assert_eq!(asked(method, &path), expected, "{method} {path}");
        }
    }
}
