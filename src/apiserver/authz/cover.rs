//! Whether rules that somebody has cover rules that somebody wants to give away, and what is missing, worded as upstream
//! words it.

use std::collections::BTreeSet;

use super::rules::{Rule, url_covers};

/// What of `wanted` nothing in `had` covers, in the smallest pieces.
pub fn missing(had: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    wanted.iter().flat_map(pieces).filter(|piece| !had.iter().any(|rule| covers(rule, piece))).collect()
}

/// One line for each missing thing, verbs of one resource together.
pub fn describe(missing: Vec<Rule>) -> Vec<String> {
    let mut compact: Vec<Rule> = Vec::new();
    for piece in missing {
        let same = |known: &&mut Rule| {
            known.non_resource_urls.is_empty()
                && piece.non_resource_urls.is_empty()
                && known.api_groups == piece.api_groups
                && known.resources == piece.resources
                && known.resource_names == piece.resource_names
        };
        match compact.iter_mut().find(same) {
            Some(known) => known.verbs.extend(piece.verbs),
            None => compact.push(piece),
        }
    }
    let lines: BTreeSet<String> = compact.iter().map(line).collect();
    lines.into_iter().collect()
}

/// One verb, one resource or path, at most one name each: such a piece is covered by one rule or by none.
fn pieces(rule: &Rule) -> Vec<Rule> {
    let one = |text: &String| vec![text.clone()];
    let mut pieces = Vec::new();
    for group in &rule.api_groups {
        for resource in &rule.resources {
            for verb in &rule.verbs {
                let piece =
                    Rule { api_groups: one(group), resources: one(resource), verbs: one(verb), ..Rule::default() };
                match rule.resource_names.as_slice() {
                    [] => pieces.push(piece),
                    names => pieces.extend(names.iter().map(|n| Rule { resource_names: one(n), ..piece.clone() })),
                }
            }
        }
    }
    for url in &rule.non_resource_urls {
        for verb in &rule.verbs {
            pieces.push(Rule { non_resource_urls: one(url), verbs: one(verb), ..Rule::default() });
        }
    }
    pieces
}

fn covers(rule: &Rule, piece: &Rule) -> bool {
    let all = |had: &[String], wanted: &[String]| {
        had.iter().any(|one| one == "*") || wanted.iter().all(|one| had.contains(one))
    };
    let resource = |wanted: &String| {
        let subresources = wanted.split_once('/').map(|(_, subresource)| format!("*/{subresource}"));
        rule.resources.iter().any(|had| had == "*" || had == wanted || Some(had) == subresources.as_ref())
    };
    let names = rule.resource_names.is_empty()
        || !piece.resource_names.is_empty() && piece.resource_names.iter().all(|n| rule.resource_names.contains(n));
    all(&rule.verbs, &piece.verbs)
        && all(&rule.api_groups, &piece.api_groups)
        && piece.resources.iter().all(resource)
        && piece.non_resource_urls.iter().all(|path| rule.non_resource_urls.iter().any(|url| url_covers(url, path)))
        && names
}

fn line(rule: &Rule) -> String {
    let Rule { api_groups, non_resource_urls, resource_names, resources, verbs } = rule;
    let parts = [
        ("APIGroups", api_groups),
        ("Resources", resources),
        ("NonResourceURLs", non_resource_urls),
        ("ResourceNames", resource_names),
        ("Verbs", verbs),
    ];
    let parts: Vec<String> = parts
        .iter()
        .filter(|(_, list)| !list.is_empty())
        .map(|(name, list)| format!("{name}:{}", quoted(list)))
        .collect();
    format!("{{{}}}", parts.join(", "))
}

/// A list as Go prints it: `["get" "list"]`.
pub fn quoted(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rules(value: serde_json::Value) -> Vec<Rule> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_is_missing_is_said_in_one_line_for_each_resource() {
        let had = rules(json!([
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a"]},
            {"verbs": ["get", "list"], "apiGroups": ["*"], "resources": ["*/scale"]},
            {"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]},
        ]));
        let wanted = rules(json!([
            {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["a", "b"]},
            {"verbs": ["get", "list", "delete"], "apiGroups": ["x.dev"], "resources": ["boats", "boats/scale"]},
            {"verbs": ["get"], "nonResourceURLs": ["/healthz/etcd", "/metrics"]},
        ]));
        assert_eq!(
            describe(missing(&had, &wanted)),
            [
                r#"{APIGroups:[""], Resources:["secrets"], ResourceNames:["b"], Verbs:["get"]}"#,
                r#"{APIGroups:["x.dev"], Resources:["boats"], Verbs:["get" "list" "delete"]}"#,
                r#"{APIGroups:["x.dev"], Resources:["boats/scale"], Verbs:["delete"]}"#,
                r#"{NonResourceURLs:["/metrics"], Verbs:["get"]}"#,
            ]
        );
    }

    #[test]
    fn everything_is_covered_by_everything_only() {
        let all = rules(json!([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
            {"verbs": ["*"], "nonResourceURLs": ["*"]}]));
        assert!(missing(&all, &all).is_empty());
        let much = rules(json!([{"verbs": ["get", "list"], "apiGroups": ["*"], "resources": ["*"]}]));
        assert!(missing(&all, &much).is_empty());
        assert_eq!(missing(&much, &all).len(), 2);
        let named = rules(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"],
            "resourceNames": ["a"]}]));
        let any = rules(json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]));
        assert!(!missing(&named, &any).is_empty(), "a name is less than every name");
    }
}
