//! Manifests as people write them: files, directories and stdin into objects that know the line they came from.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use std::rc::Rc;

use serde_json::Value;

use super::failure::{Failure, cannot};
use crate::api::yaml::{self, Document};

/// An object, and where it was read.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub file: String,
    pub object: Value,
    document: Rc<Document>,
    /// Where in the document the object begins: nothing, or `items[3]` of a List.
    within: String,
}

impl Manifest {
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty())
    }

    /// The line where the object begins.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.document.place(&self.within).line)
    }

    /// Where the field is that a message of the server names, such as `spec.env[0].name`.
    pub fn place_of(&self, field: &str) -> String {
        let path = if self.within.is_empty() { field.to_owned() } else { format!("{}.{field}", self.within) };
        format!("{}:{}", self.file, self.document.place(&path).line)
    }
}

/// Every object of the given files, directories (their *.yaml, *.yml and *.json, by name) and `-`.
pub fn read_all(sources: &[PathBuf]) -> Result<Vec<Manifest>, Failure> {
    let mut manifests = Vec::new();
    for source in sources {
        if source.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).map_err(|e| cannot("read manifests from stdin", e))?;
            manifests.extend(parse("stdin", &text)?);
            continue;
        }
        for file in files(source)? {
            let text = fs::read_to_string(&file).map_err(|e| cannot(format_args!("read {}", file.display()), e))?;
            manifests.extend(parse(&file.display().to_string(), &text)?);
        }
    }
    Ok(manifests)
}

fn files(source: &Path) -> Result<Vec<PathBuf>, Failure> {
    let attempt = || format!("read {}", source.display());
    if !fs::metadata(source).map_err(|e| cannot(attempt(), e))?.is_dir() {
        return Ok(vec![source.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(source).map_err(|e| cannot(attempt(), e))? {
        let path = entry.map_err(|e| cannot(attempt(), e))?.path();
        let known = path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "yaml" | "yml" | "json"));
        if known && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(cannot(attempt(), "there is no .yaml, .yml or .json file in that directory"));
    }
    Ok(files)
}

/// The objects of one text, Lists taken apart. Errors carry file and line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Manifest>, Failure> {
    let documents = yaml::parse(text).map_err(|error| {
        let place = error.place.unwrap_or_default();
        Failure::failed(format!("{file}:{}:{}: {error}", place.line, place.column))
    })?;
    let mut manifests = Vec::new();
    for document in documents.into_iter().map(Rc::new) {
        let manifest = |object: &Value, within: String| Manifest {
            file: file.to_owned(),
            object: object.clone(),
            document: document.clone(),
            within,
        };
        let is_list = document.value["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        match document.value.get("items").and_then(Value::as_array) {
            Some(items) if is_list => {
                manifests.extend(items.iter().enumerate().map(|(n, item)| manifest(item, format!("items[{n}]"))));
            }
            _ => manifests.push(manifest(&document.value, String::new())),
        }
    }
    for manifest in &manifests {
        let missing = [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
            .into_iter()
            .find(|(pointer, _)| manifest.text(pointer).is_none());
        if let Some((_, field)) = missing {
            return Err(Failure::failed(format!("{}: the object has no {field}", manifest.place())));
        }
    }
    Ok(manifests)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "# a fleet\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n\nkind: Agent\napiVersion: x/v1\nmetadata: {name: b}\n";

    #[test]
    fn every_document_knows_its_line() {
        let manifests = parse("fleet.yaml", TWO).unwrap();
        let places: Vec<String> = manifests.iter().map(Manifest::place).collect();
        assert_eq!(places, ["fleet.yaml:3", "fleet.yaml:8"]);
    }

    #[test]
    fn an_error_names_file_line_and_column_of_the_whole_file() {
        let failure = parse("f.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\nkind: [\n").unwrap_err();
        assert!(failure.message.starts_with("f.yaml:5:") || failure.message.starts_with("f.yaml:6:"), "{failure:?}");
        let failure = parse("f.yaml", "---\nkind: A\nmetadata: {name: a}\n").unwrap_err();
        assert_eq!(failure.message, "f.yaml:2: the object has no apiVersion");
    }

    #[test]
    fn lists_are_taken_apart_and_empty_documents_are_nothing() {
        let list = "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Secret, metadata: {name: a}}\n- {apiVersion: v1, kind: Secret, metadata: {name: b}}\n";
        assert_eq!(parse("l", list).unwrap().len(), 2);
        assert!(parse("l", "---\n# nothing\n---\n").unwrap().is_empty());
    }

    #[test]
    fn a_field_that_the_server_names_is_found_in_the_file() {
        let text = "---\napiVersion: v1\nkind: A\nmetadata:\n  name: a\nspec:\n  nope: 1\n  env:\n  - name: x\n";
        let manifest = &parse("f.yaml", text).unwrap()[0];
        assert_eq!(manifest.place_of("spec.nope"), "f.yaml:7");
        assert_eq!(manifest.place_of("spec.env[0].name"), "f.yaml:9");
    }

    #[test]
    fn json_is_yaml_too() {
        let text = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}"#;
        assert_eq!(parse("s.json", text).unwrap()[0].text("/metadata/name"), Some("a"));
    }
}
