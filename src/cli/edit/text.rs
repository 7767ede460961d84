//! The text that is edited: which parts of an object are shown, comments above it, and reading it back.

use serde_json::{Map, Value};

use crate::api::yaml;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, document};

/// What the server keeps for itself, and nobody edits.
const KEPT: [&str; 7] =
    ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink"];

/// What of an object is edited.
pub fn visible(object: &Value) -> Value {
    let mut shown = object.as_object().cloned().unwrap_or_default();
    shown.remove("status");
    if let Some(Value::Object(meta)) = shown.get_mut("metadata") {
        meta.retain(|key, _| !KEPT.contains(&key.as_str()) && key != "deletionGracePeriodSeconds");
    }
    Value::Object(shown)
}

/// The live object with its edited parts replaced.
pub fn overlay(live: &Value, edited: &Value) -> Value {
    let (nothing, mut object) = (Map::new(), edited.as_object().cloned().unwrap_or_default());
    if let Some(status) = live.get("status") {
        object.insert("status".into(), status.clone());
    }
    let meta = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(meta) = meta {
        for (key, value) in live["metadata"].as_object().unwrap_or(&nothing) {
            if KEPT.contains(&key.as_str()) || key == "deletionGracePeriodSeconds" {
                meta.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(object)
}

pub fn yaml(value: &Value) -> Result<String, Failure> {
    document(Format::Yaml, value)
}

const MARK: &str = "#: ";

/// What the editor shows: what to do, what was wrong, and the object.
pub fn page(reference: &str, complaints: &[String], body: &str) -> String {
    let mut lines = vec![format!("{reference}: save and close to change it; unchanged or empty text changes nothing.")];
    if !complaints.is_empty() {
        lines = vec![format!("{reference} was not changed:")];
        lines.extend(complaints.iter().map(|line| format!("  {line}")));
        lines.push("Put it right and save; closing without a change gives up.".into());
    }
    let header: String = lines.iter().flat_map(|l| l.lines()).map(|line| format!("{MARK}{line}\n")).collect();
    header + body
}

/// The person's own text: our comments gone, theirs kept.
pub fn without_header(text: &str) -> &str {
    let mut rest = text;
    while rest.starts_with(MARK.trim_end()) {
        rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    rest
}

/// Whether there is nothing but comments: the way to say that one would rather not.
pub fn is_empty(text: &str) -> bool {
    text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
}

/// The object that was written; or what is wrong with it, in words.
pub fn read(body: &str, base: &Value) -> Result<Value, String> {
    let mut documents = yaml::parse(body).map_err(|error| error.to_string())?;
    let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
        return Err("one object is edited at a time; make others with `regatta apply -f`".into());
    };
    let edited = document.value;
    for field in ["/apiVersion", "/kind", "/metadata/name", "/metadata/namespace"] {
        if edited.pointer(field) != base.pointer(field) {
            let field = field.trim_start_matches('/').replace('/', ".");
            return Err(format!("{field} cannot be changed; make another object with `regatta apply -f`"));
        }
    }
    let kept = KEPT.iter().find(|key| edited["metadata"].get(**key).is_some());
    if let Some(key) = kept {
        return Err(format!("metadata.{key} is the server's own; leave it out"));
    }
    if edited.get("status").is_some() {
        return Err("status is written by those who observe; leave it out".into());
    }
    Ok(edited)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn object() -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "0755", "on": "yes", "many": "x\ny\n"},
               "metadata": {"name": "c", "namespace": "n", "uid": "u", "resourceVersion": "7", "labels": {"l": "1"}},
               "status": {"x": 1}})
    }

    #[test]
    fn only_what_can_be_edited_is_shown_and_the_rest_comes_back() {
        let shown = visible(&object());
        assert_eq!(shown["metadata"], json!({"name": "c", "namespace": "n", "labels": {"l": "1"}}));
        assert!(shown.get("status").is_none());
        assert_eq!(overlay(&object(), &shown), object());
    }

    #[test]
    fn a_page_reads_back_as_the_object_it_shows() {
        let shown = visible(&object());
        let text = page("configmap/c", &["data.a: wrong\nin two lines".into()], &yaml(&shown).unwrap());
        assert!(text.starts_with("#: configmap/c was not changed:\n#:   data.a: wrong\n#: in two lines\n"), "{text}");
        assert_eq!(read(without_header(&text), &shown), Ok(shown));
    }

    #[test]
    fn what_nobody_may_change_is_refused_in_words() {
        let base = visible(&object());
        let with = |pointer: &str, value: Value| {
            let mut edited = base.clone();
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            edited.pointer_mut(parent).unwrap()[key] = value;
            read(&yaml(&edited).unwrap(), &base).unwrap_err()
        };
        assert!(with("/metadata/name", json!("d")).starts_with("metadata.name cannot be changed"));
        assert!(with("/metadata/uid", json!("d")).contains("server's own"));
        assert!(with("/status", json!({})).starts_with("status"));
        assert!(read("a: [", &base).is_err() && read("", &base).is_err());
    }

    #[test]
    fn comments_alone_are_nothing() {
        assert!(is_empty("# a\n\n  # b\n") && is_empty(""));
        assert!(!is_empty("a: 1"));
        assert_eq!(without_header("#: ours\n# mine\na: 1\n"), "# mine\na: 1\n");
    }

    proptest! {
        /// What is shown and not touched must not be a change, whatever the text in it looks like to YAML.
        #[test]
        fn any_text_survives_the_editor(key in "[a-zA-Z0-9._~ -]{1,12}", text in "\\PC{0,40}|[yYnNoO0-9_.:eExX+-]{0,8}|( |\n|\t|#|:|-|x){0,12}") {
            let base = json!({"apiVersion": "v1", "kind": "C", "metadata": {"name": "c"}, "data": {key: text}});
            prop_assert_eq!(read(&yaml(&base).unwrap(), &base), Ok(base));
        }
    }
}
