//! Cases as text. A file holds many, each a headline `=== what must be the same` and steps, one a line:
//!
//! ```text
//! POST @cm {metadata: {name: a}, data: {k: v}}      a request; @cm is the namespace's ConfigMaps; the body is YAML
//! PATCH:merge @cm/a {data: {k: w}}                  variants choose content type and Accept (see `VARIANTS`)
//! a = GET @cm/a                                     remembered: ${a.metadata.uid} stands for a part of it
//! POST @cm !{"kind": "\xff"                         a raw body, with escapes and ${repeat 10 x}
//! UNTIL 404 @cm/a    UNTIL has Text @cm/a    UNTIL no Text @cm/a
//! WATCH w @cm?watch=true&timeoutSeconds=3           opens a watch (WATCH:as-table …); EVENTS w reads it to its end
//! file a.yaml                                       the lines after it that begin with |
//! $ kubectl get cm                                  a shell line, in a folder of its own
//! ```
//! `$NS` is a namespace of the case's own. A line that begins with white space continues the one before it.

use std::{path::Path, sync::Arc};

use crate::pair::ROOT;

#[derive(Debug)]
pub struct Case {
    pub name: String,
    /// The oldest kubectl (its minor version) that can do this.
    pub since: Option<u32>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug)]
pub enum Step {
    Request(Line),
    Until { what: Until, path: String },
    Watch { id: String, line: Line },
    Events { id: String },
    File { name: String, text: String },
    Shell(String),
}

#[derive(Clone, Debug)]
pub enum Until {
    Code(u16),
    Has(String),
    Lacks(String),
}

#[derive(Clone, Debug)]
pub struct Line {
    /// What the answer is remembered as.
    pub name: Option<String>,
    pub method: String,
    pub variants: Vec<String>,
    pub path: String,
    pub body: String,
}

/// Header by variant: (variant, content type, accept).
pub const VARIANTS: &[(&str, &str, &str)] = &[
    ("merge", "application/merge-patch+json", ""),
    ("json", "application/json-patch+json", ""),
    ("strategic", "application/strategic-merge-patch+json", ""),
    ("apply", "application/apply-patch+yaml", ""),
    ("yaml", "application/yaml", ""),
    ("text", "text/plain", ""),
    ("form", "application/x-www-form-urlencoded", ""),
    ("protobuf", "application/vnd.kubernetes.protobuf", ""),
    ("untyped", "", ""),
    ("as-table", "", "application/json;as=Table;v=v1;g=meta.k8s.io"),
    ("as-partial", "", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"),
    ("as-partial-list", "", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"),
    ("as-yaml", "", "application/yaml"),
    ("as-html", "", "text/html"),
    ("as-v2", "", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"),
];

/// (alias, path, apiVersion, kind)
pub const ALIASES: &[(&str, &str, &str, &str)] = &[
    ("@cm", "/api/v1/namespaces/$NS/configmaps", "v1", "ConfigMap"),
    ("@secret", "/api/v1/namespaces/$NS/secrets", "v1", "Secret"),
    ("@sa", "/api/v1/namespaces/$NS/serviceaccounts", "v1", "ServiceAccount"),
    ("@event", "/api/v1/namespaces/$NS/events", "v1", "Event"),
    ("@newevent", "/apis/events.k8s.io/v1/namespaces/$NS/events", "events.k8s.io/v1", "Event"),
    ("@lease", "/apis/coordination.k8s.io/v1/namespaces/$NS/leases", "coordination.k8s.io/v1", "Lease"),
    ("@role", "/apis/rbac.authorization.k8s.io/v1/namespaces/$NS/roles", "rbac.authorization.k8s.io/v1", "Role"),
    ("@ns", "/api/v1/namespaces", "v1", "Namespace"),
    (
        "@crd",
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
    ),
    ("@thing", "/apis/compare.example/v1/namespaces/$NS/things", "compare.example/v1", "Thing"),
];

/// The cases of a folder beside this file, by file and in their order.
pub fn load(folder: &str) -> Vec<Arc<Case>> {
    let folder = Path::new(ROOT).join("tests/cluster").join(folder);
    let mut paths: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut cases = Vec::new();
    for path in paths {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        cases.extend(parse(&stem, &text).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two cases of {} have one name", folder.display());
    cases.into_iter().map(Arc::new).collect()
}

fn parse(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let wrong = |why: &str| format!("line {}: {why}: {line}", number + 1);
        if let Some(name) = line.strip_prefix("=== ") {
            let (name, since) = match name.split_once(" (since 1.") {
                Some((name, minor)) => {
                    let minor = minor.trim_end_matches(')').parse().map_err(|_| wrong("not a minor version"))?;
                    (name, Some(minor))
                }
                None => (name, None),
            };
            cases.push(Case { name: format!("{file}: {name}"), since, steps: Vec::new() });
            continue;
        }
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let steps = &mut cases.last_mut().ok_or_else(|| wrong("a step before the first headline"))?.steps;
        if let Some(content) = line.strip_prefix('|') {
            let Some(Step::File { text, .. }) = steps.last_mut() else { return Err(wrong("no file to add to")) };
            text.push_str(content.strip_prefix(' ').unwrap_or(content));
            text.push('\n');
        } else if line.starts_with(char::is_whitespace) {
            match steps.last_mut() {
                Some(Step::Request(request) | Step::Watch { line: request, .. }) => {
                    request.body.push('\n');
                    request.body.push_str(line);
                }
                Some(Step::Shell(shell)) => {
                    shell.push('\n');
                    shell.push_str(line.trim());
                }
                _ => return Err(wrong("nothing to continue")),
            }
        } else {
            steps.push(step(line).ok_or_else(|| wrong("not a step"))?);
        }
    }
    Ok(cases)
}

fn step(line: &str) -> Option<Step> {
    if let Some(shell) = line.strip_prefix("$ ") {
        return Some(Step::Shell(shell.to_string()));
    }
    let (word, rest) = line.split_once(' ')?;
    Some(match word {
        "file" => Step::File { name: rest.trim().to_string(), text: String::new() },
        "EVENTS" => Step::Events { id: rest.trim().to_string() },
        _ if word == "WATCH" || word.starts_with("WATCH:") => {
            let (id, path) = rest.split_once(' ')?;
            let variants = word.trim_start_matches("WATCH");
            Step::Watch { id: id.to_string(), line: request(&format!("GET{variants} {path}"))? }
        }
        "UNTIL" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            match words.as_slice() {
                ["has", text, path] => Step::Until { what: Until::Has(text.to_string()), path: path.to_string() },
                ["no", text, path] => Step::Until { what: Until::Lacks(text.to_string()), path: path.to_string() },
                [code, path] => Step::Until { what: Until::Code(code.parse().ok()?), path: path.to_string() },
                _ => return None,
            }
        }
        _ => Step::Request(request(line)?),
    })
}

fn request(line: &str) -> Option<Line> {
    let (first, rest) = line.split_once(' ')?;
    let (name, verb, rest) = match rest.strip_prefix("= ") {
        Some(rest) => {
            let (verb, rest) = rest.split_once(' ')?;
            (Some(first.to_string()), verb, rest)
        }
        None => (None, first, rest),
    };
    let mut words = verb.split(':');
    let method = words.next()?.to_string();
    let variants: Vec<String> = words.map(str::to_string).collect();
    let known = |variant: &String| VARIANTS.iter().any(|(name, ..)| name == variant);
    if !method.bytes().all(|b| b.is_ascii_uppercase()) || !variants.iter().all(known) {
        return None;
    }
    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
    Some(Line { name, method, variants, path: path.to_string(), body: body.to_string() })
}
