//! What holds of every definition, whoever adds a field: bounds, words, list types, and the columns people know.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

use crate::api::crds;

/// Calls `see` with the path and schema of everything in a definition.
fn walk(schema: &Value, path: &str, see: &mut impl FnMut(&str, &Value)) {
    see(path, schema);
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("{path}.{name}"), see);
    }
    for (key, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[key].is_object() {
            walk(&schema[key], &format!("{path}{sign}"), see);
        }
    }
}

fn every_schema(mut see: impl FnMut(&str, &Value)) {
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).unwrap();
        let schema = &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for half in ["spec", "status"] {
            walk(&schema["properties"][half], &format!("{kind}.{half}"), &mut see);
        }
    }
}

/// Every place where `wrong` has something to say.
fn complaints(wrong: impl Fn(&str, &Value) -> Option<&'static str>) -> Vec<String> {
    let mut all = Vec::new();
    every_schema(|path, schema| all.extend(wrong(path, schema).map(|why| format!("{path}: {why}"))));
    all
}

#[test]
fn every_string_list_map_and_number_is_bounded() {
    let found = complaints(|path, schema| {
        let has = |key: &str| !schema[key].is_null();
        // What Kubernetes itself counts.
        let counted = path.ends_with("observedGeneration");
        match schema["type"].as_str() {
            Some("string") => (!has("maxLength") && !has("enum") && schema["format"] != "date-time")
                .then_some("a string without maxLength or enum"),
            Some("array") => (!has("maxItems")).then_some("a list without maxItems"),
            Some("integer") => (!counted && !has("minimum")).then_some("a number without minimum"),
            Some("number") => Some("a float"),
            Some("boolean") => None,
            Some("object") => {
                (has("additionalProperties") && !has("maxProperties")).then_some("a map without maxProperties")
            }
            _ => (!has("maxLength")).then_some("neither a type nor a bound"),
        }
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_list_says_how_its_items_are_told_apart_and_every_field_what_it_means() {
    let found = complaints(|path, schema| {
        // The Source's status is the one that still lacks words and list types.
        if path.starts_with("Source.status") {
            return None;
        }
        if schema["type"] == "array" && schema["x-kubernetes-list-type"].is_null() {
            return Some("a list without list type");
        }
        let named = !path.ends_with("[]") && !path.ends_with("{}") && !path.ends_with(".status");
        (named && schema["description"].as_str().is_none_or(str::is_empty)).then_some("a field without words")
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn nothing_is_nullable_and_every_format_is_one_that_kubernetes_knows() {
    let found = complaints(|_, schema| {
        if !schema["nullable"].is_null() {
            return Some("nullable");
        }
        let format = schema["format"].as_str().unwrap_or("int32");
        (!["int32", "int64", "date-time"].contains(&format)).then_some("a format unknown to Kubernetes")
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_rule_tells_the_user_what_to_do_and_none_binds_a_template_to_its_past() {
    let found = complaints(|path, schema| {
        schema["x-kubernetes-validations"].as_array().into_iter().flatten().find_map(|rule| {
            let in_template =
                path.contains(".template.") || path.contains(".agent.spec") || path.contains(".task.spec");
            if in_template && rule["rule"].as_str().unwrap().contains("oldSelf") {
                return Some("a transition rule in a template");
            }
            rule["message"].as_str().is_none_or(|m| m.len() < 15).then_some("a rule without a message")
        })
    });
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn every_kind_has_conditions_a_status_subresource_and_the_category() {
    for crd in crds() {
        let kind = &crd.spec.names.kind;
        assert_eq!(crd.spec.names.categories.as_deref(), Some(&["regatta".to_owned()][..]), "{kind}");
        let version = &crd.spec.versions[0];
        assert!(version.subresources.as_ref().is_some_and(|s| s.status.is_some()), "{kind}");
        let whole = serde_json::to_value(version).unwrap();
        let status = &whole["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
        assert_eq!(status["conditions"]["x-kubernetes-list-map-keys"][0], "type", "{kind}");
        assert_eq!(status["observedGeneration"]["type"], "integer", "{kind}");
    }
}

fn columns(crd: &CustomResourceDefinition) -> String {
    let columns = crd.spec.versions[0].additional_printer_columns.iter().flatten();
    let words = columns.map(|c| if c.priority == Some(1) { format!("{} (wide)", c.name) } else { c.name.clone() });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn kinds_have_the_names_scopes_and_columns_that_people_know() {
    let expected = [
        ("Repo", "rp", "Namespaced", "URL Branch Agents Ready Age"),
        ("Host", "hst", "Cluster", "Ready Agents Max Version Age"),
        ("Adapter", "adp", "Cluster", "Command Valid Hosts Age"),
        ("AgentClass", "ac", "Namespaced", "Adapter Agents Age"),
        ("Agent", "ag", "Namespaced", "Repo Adapter Host Activity Approvals Branch (wide) Changes (wide) Ready Age"),
        ("AgentSet", "ags", "Namespaced", "Desired Ready Waiting Done Age"),
        ("Approval", "apr", "Namespaced", "Agent Kind Tool Summary Decision Age"),
        ("ApprovalPolicy", "ap", "Namespaced", "Rules Allowed Denied Asked Age"),
        ("Task", "tk", "Namespaced", "Key Title Column Priority Claim Age"),
        ("Board", "bd", "Namespaced", "Key Columns Open Age"),
        ("Schedule", "sch", "Namespaced", "Cron Suspend Last Next Age"),
        ("Account", "acct", "Namespaced", "Provider Limited Resets Agents Age"),
        ("Source", "src", "Cluster", "Path Revision Applied Failed Ready"),
        ("Skill", "sk", "Namespaced", "Targets Age"),
        ("Channel", "chn", "Namespaced", "Topic Members Age"),
        ("NotificationPolicy", "np", "Namespaced", "Routes Age"),
        ("Team", "tm", "Cluster", "Members Namespaces Ready Age"),
        ("ShareGrant", "sg", "Namespaced", "Subject Target Access Expires Age"),
        ("Workspace", "wsp", "Namespaced", "Title Tiles Age"),
    ];
    let found: Vec<_> = crds()
        .iter()
        .map(|crd| {
            let names = &crd.spec.names;
            (
                names.kind.clone(),
                names.short_names.clone().unwrap_or_default().join(","),
                crd.spec.scope.clone(),
                columns(crd),
            )
        })
        .collect();
    let expected = expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
    assert_eq!(found, expected);
}

/// kubectl's client-side apply keeps the whole object in an annotation, and annotations have a limit together.
#[test]
fn a_definition_fits_into_the_annotation_of_kubectl_apply() {
    for crd in crds() {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 200_000, "{} takes {size} bytes", crd.spec.names.kind);
    }
}
