//! Reads a directory of manifests: which files there are, what objects they hold, what is wrong with them. Blocking; knows
//! nothing of the API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::api::source::Failure;
use crate::api::yaml::{self, Document, Place};

/// Far beyond any tree of manifests; a link to `/` ends here.
const MAX_FILES: usize = 5_000;
const MAX_DEPTH: usize = 16;

/// An object of a file.
pub struct Manifest {
    /// Relative to the Source's path.
    pub file: String,
    pub value: Value,
    document: std::sync::Arc<Document>,
    /// Where in the document it stands, for the items of a List.
    prefix: String,
}

impl Manifest {
    pub fn place(&self, field: &str) -> Place {
        let separator = if self.prefix.is_empty() || field.is_empty() { "" } else { "." };
        self.document.place(&format!("{}{separator}{field}", self.prefix))
    }

    pub fn failure(&self, field: &str, message: String) -> Failure {
        failure(&self.file, Some(self.place(field)), message)
    }
}

#[derive(Default)]
pub struct Scan {
    pub manifests: Vec<Manifest>,
    pub failures: Vec<Failure>,
    /// Why not everything that should be seen was seen. Whatever is missing then proves nothing.
    pub unclear: Option<String>,
    /// Files without a single byte: saved halfway, or meant to be deleted.
    pub empty: Vec<String>,
    /// Digest of all files.
    pub revision: String,
}

/// What a look at the directory costs little to compare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glance(BTreeMap<PathBuf, (u64, Option<SystemTime>)>, Option<String>);

pub fn glance(root: &Path) -> Glance {
    match files(root) {
        Ok(paths) => {
            let seen = paths.into_iter().map(|path| {
                let facts = path.metadata().map(|m| (m.len(), m.modified().ok())).unwrap_or_default();
                (path, facts)
            });
            Glance(seen.collect(), None)
        }
        Err(message) => Glance(BTreeMap::new(), Some(message)),
    }
}

pub fn scan(root: &Path) -> Scan {
    let paths = match files(root) {
        Ok(paths) => paths,
        Err(message) => {
            let failures = vec![failure("", None, message.clone())];
            return Scan { failures, unclear: Some(message), ..Scan::default() };
        }
    };
    let mut scan = Scan::default();
    let mut digest = Sha256::new();
    for path in paths {
        let file = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        match read(&path) {
            Ok(text) => {
                for part in [file.as_bytes(), text.as_bytes()] {
                    digest.update((part.len() as u64).to_be_bytes());
                    digest.update(part);
                }
                scan.take(&file, &text);
            }
            Err(message) => {
                scan.unclear = Some(format!("{file} cannot be read"));
                scan.failures.push(failure(&file, None, message));
            }
        }
    }
    scan.revision = digest.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect();
    scan
}

impl Scan {
    fn take(&mut self, file: &str, text: &str) {
        if text.trim().is_empty() {
            self.empty.push(file.to_owned());
            return;
        }
        match yaml::parse(text) {
            Ok(documents) => documents.into_iter().for_each(|d| self.take_document(file, std::sync::Arc::new(d))),
            Err(error) => {
                self.unclear = Some(format!("{file} cannot be parsed"));
                self.failures.push(failure(file, error.place, error.message));
            }
        }
    }

    fn take_document(&mut self, file: &str, document: std::sync::Arc<Document>) {
        let manifest = |value: Value, prefix: String| Manifest {
            file: file.to_owned(),
            value,
            document: document.clone(),
            prefix,
        };
        let items = document.value.get("items").and_then(Value::as_array);
        match (document.value.get("kind").and_then(Value::as_str), items) {
            (Some("List"), Some(items)) => {
                let items = items.iter().enumerate();
                self.manifests.extend(items.map(|(i, item)| manifest(item.clone(), format!("items[{i}]"))));
            }
            _ => self.manifests.push(manifest(document.value.clone(), String::new())),
        }
    }
}

/// Every manifest below the directory, in order of name. Hidden files and editors' leavings are none.
fn files(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    collect(root, 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("cannot read directory {}: {error}", directory.display());
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['.', '#']) || name.ends_with('~') {
            continue;
        }
        // Follows links, as a directory of links is a common way to choose; one that leads nowhere is skipped.
        let Ok(metadata) = path.metadata() else { continue };
        let is_manifest = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if metadata.is_dir() && depth < MAX_DEPTH {
            collect(&path, depth + 1, found)?;
        } else if metadata.is_file() && is_manifest {
            found.push(path);
        }
        if found.len() > MAX_FILES {
            return Err(format!("more than {MAX_FILES} manifests below {}; split the source", directory.display()));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let size = path.metadata().map_err(|e| format!("cannot read the file: {e}"))?.len();
    if size > yaml::MAX_FILE as u64 {
        return Err(format!("the file has {size} bytes, more than {}; split it", yaml::MAX_FILE));
    }
    let bytes = std::fs::read(path).map_err(|e| format!("cannot read the file: {e}"))?;
    String::from_utf8(bytes).map_err(|e| format!("the file is not UTF-8 text: {e}"))
}

pub fn failure(file: &str, place: Option<Place>, message: String) -> Failure {
    let number = |n: u64| i64::try_from(n).ok().filter(|n| *n > 0);
    Failure {
        file: file.to_owned(),
        line: place.and_then(|p| number(p.line)),
        column: place.and_then(|p| number(p.column)),
        message: crate::api::conditions::shorten(&message, 4000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        directory
    }

    #[test]
    fn manifests_are_found_and_editors_leavings_are_not() {
        let directory = directory(&[
            ("b.yaml", "kind: B"),
            ("team/a.yml", "kind: A"),
            (".b.yaml.swp", "x"),
            (".hidden.yaml", "x: ["),
            ("#b.yaml", "x: ["),
            ("b.yaml~", "x: ["),
            ("notes.txt", "x"),
            (".git/c.yaml", "x: ["),
        ]);
        let scan = scan(directory.path());
        let names: Vec<_> = scan.manifests.iter().map(|m| m.file.as_str()).collect();
        assert_eq!(names, ["b.yaml", "team/a.yml"]);
        assert!(scan.failures.is_empty() && scan.unclear.is_none());
    }

    #[test]
    fn a_broken_file_is_named_with_its_line_and_makes_the_scan_unclear() {
        let directory = directory(&[("a.yaml", "kind: A\n"), ("b.yaml", "kind: B\nspec: [1\n")]);
        let scan = scan(directory.path());
        assert_eq!(scan.manifests.len(), 1, "the other file still counts");
        assert_eq!(scan.failures[0].file, "b.yaml");
        assert!(scan.failures[0].line.is_some());
        assert!(scan.unclear.unwrap().contains("b.yaml"));
    }

    #[test]
    fn an_empty_file_and_a_vanished_directory_prove_nothing() {
        let directory = directory(&[("a.yaml", "")]);
        assert_eq!(scan(directory.path()).empty, ["a.yaml"]);
        let gone = scan(&directory.path().join("gone"));
        assert!(gone.unclear.is_some() && gone.manifests.is_empty());
    }

    #[test]
    fn items_of_a_list_are_manifests_of_their_own() {
        let directory = directory(&[("a.yaml", "kind: List\nitems:\n- kind: A\n- kind: B\n  spec:\n    x: 1\n")]);
        let scan = scan(directory.path());
        assert_eq!(scan.manifests[1].value["kind"], "B");
        assert_eq!(scan.manifests[1].place("spec.x").line, 6);
    }
}
