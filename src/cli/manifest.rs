//! Manifests as people write them: files, directories and stdin into objects that know the line they came from.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::failure::{Failure, cannot};

/// An object, and where it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub file: String,
    pub line: usize,
    pub object: Value,
}

impl Manifest {
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.object.pointer(pointer).and_then(Value::as_str).filter(|t| !t.is_empty())
    }

    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
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
    let mut manifests = Vec::new();
    for (line, document) in documents(text) {
        let object: Value = read(document).map_err(|e| {
            let (at, column) = e.location().map_or((1, 1), |l| (l.line() as usize, l.column()));
            let why = e.without_snippet().to_string();
            Failure::failed(format!("{file}:{}:{column}: {why}", line + at.max(1) - 1))
        })?;
        if object.is_null() {
            continue;
        }
        let line = line + document.lines().position(is_content).unwrap_or(0);
        let manifest = Manifest { file: file.to_owned(), line, object };
        let is_list = manifest.text("/kind").is_some_and(|k| k.ends_with("List"));
        match manifest.object.get("items").and_then(Value::as_array) {
            Some(items) if is_list => {
                manifests.extend(items.iter().map(|item| Manifest { object: item.clone(), ..manifest.clone() }));
            }
            _ => manifests.push(manifest),
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

/// Scalars as kubectl reads them: `0644` is octal, `yes` and `on` are true.
fn read(document: &str) -> Result<Value, serde_saphyr::Error> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(document, options)
}

/// The documents of a YAML text with the line (from 1) that each begins at. A `---` in the first column always ends one.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut start_line, mut at) = (0, 1, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|r| r.is_empty() || r.starts_with([' ', '\t', '\r', '\n'])) {
            documents.push((start_line, &text[start..at]));
            (start, start_line) = (at + 3, index + 1);
        }
        at += line.len();
    }
    documents.push((start_line, &text[start..]));
    documents.retain(|(_, document)| document.lines().any(is_content));
    documents
}

fn is_content(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && !line.starts_with('%')
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
        assert_eq!(parse("l", "---\n# nothing\n---\n").unwrap(), []);
    }

    #[test]
    fn json_is_yaml_too() {
        let text = r#"{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}"#;
        assert_eq!(parse("s.json", text).unwrap()[0].text("/metadata/name"), Some("a"));
    }
}
