//! The house's own rules, checked: licences, duplicate dependencies, layers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use crate::harness::ok;

/// Licences that go with Apache-2.0. An expression passes when one of its alternatives consists of these only.
const LICENCES: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "CC0-1.0",
    "Unicode-3.0",
    "Unlicense",
    "0BSD",
    "BSL-1.0",
    "CDLA-Permissive-2.0",
];

fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    serde_json::from_str(&ok(output)).unwrap()
}

fn allowed(expression: &str) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    // "A AND B OR C" in crates' metadata means (A AND B) OR C, or A AND (B OR C): demand that it holds both ways.
    let every_alternative_of =
        |part: &str| part.split(" OR ").any(|a| a.split(" AND ").all(|l| LICENCES.contains(&l.trim())));
    let conjunction =
        |text: &str| text.split(" AND ").all(|part| part.split(" OR ").any(|l| LICENCES.contains(&l.trim())));
    every_alternative_of(&expression) && conjunction(&expression)
}

#[test]
fn every_dependency_has_a_licence_that_goes_with_ours() {
    let metadata = metadata();
    let refused: Vec<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| !allowed(p["license"].as_str().unwrap_or("none")))
        .map(|p| format!("{} {}: {}", p["name"], p["version"], p["license"]))
        .collect();
    assert!(refused.is_empty(), "licences to look at: {refused:#?}");
}

#[test]
fn no_dependency_is_built_twice_unless_the_reason_is_listed() {
    // Each is forced by two dependencies that have not met yet; drop the line when they have.
    let known: BTreeSet<&str> = include_str!("../duplicates.txt")
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
        .map(|l| l.split_whitespace().next().unwrap())
        .collect();
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--duplicates",
            "--edges",
            "normal",
            "--depth",
            "0",
            "--prefix",
            "none",
            "--locked",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in ok(output).lines().filter(|l| !l.is_empty()) {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        versions.entry(name).or_default().insert(version);
    }
    versions.retain(|_, v| v.len() > 1);
    let found: BTreeSet<&str> = versions.keys().map(String::as_str).collect();
    let new: Vec<_> = found.difference(&known).collect();
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(
        new.is_empty(),
        "newly built twice: {new:?} {versions:#?}; align the versions or list them with the reason"
    );
    assert!(gone.is_empty(), "no longer built twice, drop from tests/duplicates.txt: {gone:?}");
}

/// The order of `src/lib.rs`: a module may use only those before it.
const LAYERS: &[&str] = &[
    "wire",
    "api",
    "plan",
    "adapter",
    "apiserver",
    "db",
    "link",
    "controller",
    "gateway",
    "host",
    "shim",
    "run",
    "cli",
];

/// Modules that stand beside each other although the list puts one first.
const STRANGERS: &[(&str, &[&str])] = &[
    ("host", &["apiserver", "db", "reconcile", "controller", "gateway"]),
    ("controller", &["db", "apiserver", "link"]),
    ("gateway", &["controller"]),
    ("shim", &["api", "plan", "adapter", "apiserver", "db", "link", "controller", "gateway", "host"]),
];

#[test]
fn a_module_uses_only_those_above_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    for (place, module) in LAYERS.iter().enumerate() {
        let strangers = STRANGERS.iter().find(|(m, _)| m == module).map_or(&[][..], |(_, s)| s);
        for file in rust_files(&src.join(module)) {
            if file.file_stem().is_some_and(|name| name == "tests")
                || file.components().any(|c| c.as_os_str() == "tests")
            {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let product: String = text
                .split("#[cfg(test)]")
                .next()
                .unwrap()
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            for (other_place, other) in LAYERS.iter().enumerate() {
                let forbidden = other_place > place || strangers.contains(other);
                if forbidden && other != module && product.contains(&format!("crate::{other}")) {
                    broken.push(format!("{} uses {other}", file.strip_prefix(&src).unwrap().display()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "against the layers of ARCHITECTURE.md: {broken:#?}");
}

fn rust_files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files
}
