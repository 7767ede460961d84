//! What objects the files of a Source hold, and what is wrong with them. Knows nothing of where the files came from, nor of
//! the API.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::tree::{File, Tree};
use crate::api::conditions::shorten;
use crate::api::source::Failure;
use crate::api::yaml::{self, Document, Place};

/// The inventory is part of the status, and a status has to fit into one request.
const MAX_OBJECTS: usize = 5_000;

/// Lists in lists; kubectl flattens them as well.
const MAX_LISTS: usize = 8;

/// A failure goes into the status; a hundred of them have to fit.
const MAX_MESSAGE: usize = 1_500;
const MAX_SNIPPET: usize = 500;
const MAX_LINE: usize = 120;

/// An object of a file.
#[derive(Clone)]
pub struct Manifest {
    pub file: Arc<Text>,
    pub value: Value,
    document: Arc<Document>,
    /// Where in the document it stands, for the items of a List.
    prefix: String,
}

/// A file that could be read.
pub struct Text {
    pub name: String,
    text: String,
    /// A Secret's lines must not be shown anywhere.
    secret: bool,
}

impl Manifest {
    pub fn failure(&self, field: &str, message: String) -> Failure {
        let separator = if self.prefix.is_empty() || field.is_empty() { "" } else { "." };
        let place = self.document.place(&format!("{}{separator}{field}", self.prefix));
        self.file.failure(Some(place), message)
    }
}

#[derive(Default)]
pub struct Scan {
    pub manifests: Vec<Manifest>,
    pub failures: Vec<Failure>,
    /// Why not everything that should be seen was seen. Whatever is missing then proves nothing.
    pub unclear: Option<String>,
    /// Files without a single word: saved halfway, or meant to be deleted.
    pub empty: Vec<String>,
    /// Digest of all files.
    pub revision: String,
}

pub fn scan(tree: Tree) -> Scan {
    let Tree { files, unclear, oddities } = tree;
    let mut scan = Scan::default();
    // The file that is to blame says more than that something is missing.
    if let Some(why) = unclear.clone().filter(|_| oddities.is_empty()) {
        scan.failures.push(failure("", None, why));
    }
    scan.failures.extend(oddities.into_iter().map(|(name, why)| failure(&name, None, why)));
    scan.unclear = unclear;
    let mut digest = Sha256::new();
    for File { name, content } in files {
        match content {
            Ok(bytes) => {
                for part in [name.as_bytes(), &bytes] {
                    digest.update((part.len() as u64).to_be_bytes());
                    digest.update(part);
                }
                scan.take(name, bytes);
            }
            Err(message) => {
                scan.unclear = Some(format!("{name} cannot be read"));
                scan.failures.push(failure(&name, None, message));
            }
        }
    }
    if scan.manifests.len() > MAX_OBJECTS {
        let message = format!("there are more than {MAX_OBJECTS} objects; split the source");
        scan.manifests.truncate(MAX_OBJECTS);
        scan.failures.push(failure("", None, message.clone()));
        scan.unclear = Some(message);
    }
    scan.revision = digest.finalize()[..8].iter().map(|b| format!("{b:02x}")).collect();
    scan
}

impl Scan {
    fn take(&mut self, name: String, bytes: Vec<u8>) {
        let text = match text(bytes) {
            Ok(text) => text,
            Err((place, message)) => {
                self.unclear = Some(format!("{name} is not UTF-8 text"));
                self.failures.push(failure(&name, place, message));
                return;
            }
        };
        if text.trim().is_empty() {
            self.empty.push(name);
            return;
        }
        let secret = text.lines().any(names_secret);
        let file = Arc::new(Text { name, text, secret });
        match yaml::parse(&file.text) {
            Ok(documents) => {
                for document in documents {
                    let document = Arc::new(document);
                    let whole = Manifest {
                        file: file.clone(),
                        value: document.value.clone(),
                        document: document.clone(),
                        prefix: String::new(),
                    };
                    self.flatten(whole, MAX_LISTS);
                }
            }
            Err(error) => {
                self.unclear = Some(format!("{} cannot be parsed", file.name));
                // What the parser quotes may be a secret, too.
                let why = if file.secret { "this is no YAML".to_owned() } else { error.reason };
                self.failures.push(file.failure(error.place, why));
            }
        }
    }

    /// A List stands for its items.
    fn flatten(&mut self, manifest: Manifest, lists: usize) {
        let field = |name: &str| manifest.value.get(name).and_then(Value::as_str).unwrap_or_default();
        let items = manifest.value.get("items").and_then(Value::as_array);
        let (Some(of), Some(items)) = (field("kind").strip_suffix("List"), items) else {
            return self.manifests.push(manifest);
        };
        if lists == 0 {
            self.failures.push(manifest.failure("items", format!("lists are nested more than {MAX_LISTS} deep")));
            self.unclear = Some(format!("{} nests lists too deep", manifest.file.name));
            return;
        }
        let api_version = field("apiVersion");
        for (index, item) in items.iter().enumerate() {
            let mut value = item.clone();
            // The items of a typed list need not say what they are.
            if !of.is_empty()
                && let Some(object) = value.as_object_mut()
                && !object.contains_key("kind")
                && !object.contains_key("apiVersion")
            {
                object.insert("kind".into(), of.into());
                object.insert("apiVersion".into(), api_version.into());
            }
            let separator = if manifest.prefix.is_empty() { "" } else { "." };
            let prefix = format!("{}{separator}items[{index}]", manifest.prefix);
            self.flatten(Manifest { value, prefix, ..manifest.clone() }, lists - 1);
        }
    }
}

impl Text {
    fn failure(&self, place: Option<Place>, message: String) -> Failure {
        let mut failure = failure(&self.name, place, message);
        if !self.secret {
            failure.snippet = place.and_then(|place| snippet(&self.text, place));
        }
        failure
    }
}

/// The text of a file, without the mark that some editors begin it with.
fn text(bytes: Vec<u8>) -> Result<String, (Option<Place>, String)> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err((None, "the file is UTF-16 text; save it as UTF-8".into()));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let line = before.matches('\n').count() as u64 + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
        (Some(Place { line, column }), "the file is not UTF-8 text from here on; save it as UTF-8".to_owned())
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Whether a line says `kind: Secret`, in whatever way YAML allows.
fn names_secret(line: &str) -> bool {
    line.split("kind").skip(1).any(|rest| {
        let value = rest.trim_start_matches(['"', '\'', ' ', '\t', ':']);
        value.starts_with("Secret")
    })
}

/// The line, the one before and the one after, with a mark under the column.
fn snippet(text: &str, place: Place) -> Option<String> {
    let at = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let first = at.saturating_sub(1);
    let mut shown = String::new();
    for (index, line) in text.lines().enumerate().skip(first).take(at - first + 2) {
        let line: String = line.chars().take(MAX_LINE).map(|c| if c.is_control() { ' ' } else { c }).collect();
        let arrow = if index == at { '>' } else { ' ' };
        shown.push_str(format!("{arrow} {:>4} | {line}", index + 1).trim_end());
        shown.push('\n');
        let column = usize::try_from(place.column).unwrap_or(usize::MAX);
        if index == at && (1..=MAX_LINE).contains(&column) {
            shown.push_str(&format!("       | {}^\n", " ".repeat(column - 1)));
        }
    }
    let shown = shown.trim_end();
    (!shown.is_empty()).then(|| shorten(shown, MAX_SNIPPET))
}

pub fn failure(file: &str, place: Option<Place>, message: String) -> Failure {
    let number = |n: u64| i64::try_from(n).ok().filter(|n| *n > 0);
    Failure {
        file: file.to_owned(),
        line: place.and_then(|p| number(p.line)),
        column: place.and_then(|p| number(p.column)),
        message: shorten(&message, MAX_MESSAGE),
        snippet: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(files: &[(&str, &[u8])]) -> Scan {
        let file = |(name, bytes): &(&str, &[u8])| File { name: (*name).into(), content: Ok(bytes.to_vec()) };
        scan(Tree { files: files.iter().map(file).collect(), ..Tree::default() })
    }

    #[test]
    fn a_broken_file_is_named_with_its_line_and_text_and_makes_the_scan_unclear() {
        let scan = scanned(&[("a.yaml", b"kind: A\n"), ("b.yaml", b"kind: B\nspec: [1\nname: x\n")]);
        assert_eq!(scan.manifests.len(), 1, "the other file still counts");
        let failure = &scan.failures[0];
        assert_eq!(failure.file, "b.yaml");
        assert!(failure.line.is_some() && failure.column.is_some());
        assert!(failure.snippet.as_ref().unwrap().contains("spec: [1"), "{failure:?}");
        assert!(!failure.message.contains('\n'), "{failure:?}");
        assert!(scan.unclear.unwrap().contains("b.yaml"));
    }

    #[test]
    fn one_bad_document_holds_back_its_whole_file_and_no_other() {
        let scan = scanned(&[("a.yaml", b"kind: A\n---\nspec: [1\n---\nkind: C\n"), ("b.yaml", b"kind: B\n")]);
        let kinds: Vec<_> = scan.manifests.iter().map(|m| &m.value["kind"]).collect();
        assert_eq!(kinds, ["B"]);
        assert_eq!(scan.failures.len(), 1);
    }

    #[test]
    fn nothing_of_a_secret_is_shown() {
        for kind in ["kind: Secret", "\"kind\": \"Secret\"", "kind:  'Secret'", "{kind: Secret, x: 1}"] {
            let text = format!("{kind}\nstringData:\n  password: [hunter2\nx: y\n");
            let failure = scanned(&[("a.yaml", text.as_bytes())]).failures.remove(0);
            assert!(!format!("{failure:?}").contains("hunter2"), "{kind}: {failure:?}");
        }
        let kept = scanned(&[("a.yaml", b"kind: Secret\nmetadata: {name: x}\nstringData: {password: hunter2}\n")]);
        let failure = kept.manifests[0].failure("stringData", "bad".into());
        assert_eq!((failure.line, failure.snippet), (Some(3), None));
    }

    #[test]
    fn an_empty_file_and_what_cannot_be_seen_prove_nothing() {
        assert_eq!(scanned(&[("a.yaml", b" \n")]).empty, ["a.yaml"]);
        let gone = scan(Tree::unclear("cannot read directory".into()));
        assert!(gone.unclear.is_some() && gone.manifests.is_empty() && gone.failures.len() == 1);
        let unread = File { name: "a.yaml".into(), content: Err("cannot read the file".into()) };
        assert!(scan(Tree { files: vec![unread], ..Tree::default() }).unclear.is_some());
    }

    #[test]
    fn items_of_lists_are_manifests_of_their_own() {
        let scan = scanned(&[("a.yaml", b"kind: List\nitems:\n- kind: A\n- kind: B\n  spec:\n    x: 1\n")]);
        assert_eq!(scan.manifests[1].value["kind"], "B");
        assert_eq!(scan.manifests[1].failure("spec.x", String::new()).line, Some(6));
        let typed = scanned(&[("a.yaml", b"kind: ConfigMapList\napiVersion: v1\nitems: [{metadata: {name: a}}]\n")]);
        assert_eq!(typed.manifests[0].value["kind"], "ConfigMap");
        assert_eq!(typed.manifests[0].value["apiVersion"], "v1");
        let nested = scanned(&[("a.yaml", b"kind: List\nitems: [{kind: List, items: [{kind: A}, {kind: B}]}]\n")]);
        assert_eq!(nested.manifests.len(), 2);
        let deep = format!("{}{}", "{kind: List, items: [".repeat(20), "]}".repeat(20));
        assert!(scanned(&[("a.yaml", deep.as_bytes())]).unclear.is_some());
    }

    #[test]
    fn whatever_an_editor_does_to_a_text_file_it_is_read_or_refused_with_words() {
        let windows = scanned(&[("a.yaml", b"\xef\xbb\xbfkind: A\r\nspec:\r\n  on: yes\r\n  text: two words\r\n")]);
        assert!(windows.failures.is_empty(), "{:?}", windows.failures);
        assert_eq!(
            windows.manifests[0].value,
            serde_json::json!({"kind": "A", "spec": {"true": true, "text": "two words"}})
        );
        let latin = scanned(&[("a.yaml", b"kind: A\nname: caf\xe9\n")]);
        assert_eq!((latin.failures[0].line, latin.failures[0].column), (Some(2), Some(10)));
        assert!(latin.unclear.is_some());
        assert!(scanned(&[("a.yaml", b"\xff\xfek\x00")]).failures[0].message.contains("UTF-16"));
        let control = scanned(&[("a.yaml", b"kind: A\nx: \x1b[2J [\n")]);
        assert!(!format!("{:?}", control.failures).contains('\u{1b}'));
    }

    #[test]
    fn too_many_objects_are_refused_without_deleting_any() {
        let text = "kind: A\n---\n".repeat(600);
        let names: Vec<String> = (0..10).map(|i| format!("{i}.yaml")).collect();
        let files: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), text.as_bytes())).collect();
        let scan = scanned(&files);
        assert_eq!(scan.manifests.len(), MAX_OBJECTS);
        assert!(scan.unclear.unwrap().contains("split the source"));
    }
}
