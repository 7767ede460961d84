//! Server-side apply under random sequences of writes: after every write, answer, object, owners and conflicts must be the
//! same on both sides. What differs is cut down to the least that still does, printed, and kept in `vectors/`, which every
//! later run tries first. `SEED=n` starts elsewhere, `SEQUENCES=n` does more or fewer.

use std::{path::Path, sync::Arc};

use futures::StreamExt;
use http::Method;
use serde_json::{Map, Value, json};

use crate::{
    compare::Verdict,
    generate::{self, Kind, Op, Sequence, Verb},
    http::{Answer, Ask},
    normal::{self, Normal},
    pair::{Pair, ROOT, Side},
};

const SEQUENCES: u64 = 5_000;
const AT_ONCE: usize = 16;
/// More differences than this have the same few causes.
const ENOUGH: usize = 12;
const NAMESPACE: &str = "apply-sequences";

pub async fn compare(pair: &Arc<Pair>) {
    for side in [&pair.real, &pair.ours] {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        side.json(Method::POST, "/api/v1/namespaces", Some(&namespace)).await;
    }
    let number = |name: &str, default| std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"));
    let (seed, count) = (number("SEED", 1), number("SEQUENCES", SEQUENCES));
    let mut sequences = kept();
    let vectors = sequences.len();
    sequences.extend((seed..seed + count).map(|seed| (format!("seed {seed}"), generate::sequence(seed))));
    let mut failed: Vec<(String, Sequence)> = Vec::new();
    let mut running = futures::stream::iter(sequences.into_iter().enumerate())
        .map(|(index, (name, sequence))| async move {
            let verdict = both(pair, &format!("s{index}"), &sequence).await;
            (name, sequence, verdict.hunks.is_empty())
        })
        .buffer_unordered(AT_ONCE);
    let mut tried = 0;
    while let Some((name, sequence, same)) = running.next().await {
        tried += 1;
        if !same {
            failed.push((name, sequence));
            if failed.len() == ENOUGH {
                break;
            }
        }
    }
    drop(running);
    println!("apply: {tried} sequences ({vectors} kept ones first), {} differ", failed.len());
    let mut shown = Vec::new();
    for (index, (name, sequence)) in failed.iter().enumerate() {
        let (least, verdict) = shrink(pair, &format!("m{index}"), sequence).await;
        if shown.contains(&least) {
            continue;
        }
        println!("✗ {name}, cut down to:");
        for op in &least.ops {
            println!("    {:?} by {}: {}", op.verb, op.manager, op.content);
        }
        for hunk in verdict.hunks {
            println!("    {}\n        {}", hunk.step, hunk.lines.join("\n        "));
        }
        keep(&least);
        shown.push(least);
    }
    assert!(failed.is_empty(), "{} sequences of writes end differently (see above)", failed.len());
}

fn folder() -> std::path::PathBuf {
    Path::new(ROOT).join("tests/cluster/vectors")
}

fn kept() -> Vec<(String, Sequence)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let sequence = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{:?}: {error}", entry.path()));
        found.push((entry.file_name().to_string_lossy().into_owned(), sequence));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn keep(sequence: &Sequence) {
    let text = serde_json::to_string_pretty(sequence).expect("a sequence is JSON");
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let path = folder().join(format!("{sum:016x}.json"));
    std::fs::write(&path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

async fn both(pair: &Pair, name: &str, sequence: &Sequence) -> Verdict {
    let (real, ours) = tokio::join!(run(&pair.real, name, sequence), run(&pair.ours, name, sequence));
    Verdict::new(name.into(), &real, &ours)
}

/// The transcript of a sequence against one side.
async fn run(side: &Side, name: &str, sequence: &Sequence) -> Vec<String> {
    let mut normal = Normal::default();
    let mut lines = Vec::new();
    let path = path(sequence.kind, name);
    for (index, op) in sequence.ops.iter().enumerate() {
        lines.push(format!("{}{index}: {:?} by {}", crate::compare::STEP, op.verb, op.manager));
        let answer = write(side, sequence.kind, name, &path, op).await;
        lines.push(answer.code.to_string());
        lines.extend(normal::lines(&normal.json(&answer.json().unwrap_or_else(|| answer.text().into()))));
    }
    let free = json!({"metadata": {"finalizers": null}});
    let mut ask = Ask::json(Method::PATCH, &path, Some(&free));
    ask.content_type = Some("application/merge-patch+json".into());
    side.ask(ask).await;
    side.ask(Ask::json(Method::DELETE, &path, None)).await;
    lines
}

fn path(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Thing => format!("/apis/compare.example/v1/namespaces/{NAMESPACE}/things/{name}"),
        Kind::ConfigMap => format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"),
    }
}

async fn write(side: &Side, kind: Kind, name: &str, path: &str, op: &Op) -> Answer {
    let manager = &op.manager;
    let mut body = op.content.clone();
    if !body["metadata"].is_object() {
        body["metadata"] = json!({});
    }
    let (subresource, query, method, content_type) = match op.verb {
        Verb::Apply => ("", "", Method::PATCH, "application/apply-patch+yaml"),
        Verb::ForceApply => ("", "&force=true", Method::PATCH, "application/apply-patch+yaml"),
        Verb::ApplyStatus => ("/status", "", Method::PATCH, "application/apply-patch+yaml"),
        Verb::Replace => ("", "", Method::PUT, "application/json"),
        Verb::Merge => ("", "", Method::PATCH, "application/merge-patch+json"),
        Verb::MergeStatus => ("/status", "", Method::PATCH, "application/merge-patch+json"),
    };
    if !matches!(op.verb, Verb::Merge | Verb::MergeStatus) {
        let (api_version, kind) = match kind {
            Kind::Thing => ("compare.example/v1", "Thing"),
            Kind::ConfigMap => ("v1", "ConfigMap"),
        };
        body["apiVersion"] = api_version.into();
        body["kind"] = kind.into();
        body["metadata"]["name"] = name.into();
    }
    if op.verb == Verb::Replace {
        let live = side.ask(Ask::json(Method::GET, path, None)).await;
        if let Some(live) = live.json().filter(|_| live.code == 200) {
            replace_content(&live, &mut body);
        }
    }
    let mut ask = Ask::json(method, &format!("{path}{subresource}?fieldManager={manager}{query}"), Some(&body));
    ask.content_type = Some(content_type.into());
    side.ask(ask).await
}

/// The live metadata under the new labels, annotations and finalizers.
fn replace_content(live: &Value, body: &mut Value) {
    let mut metadata = live["metadata"].as_object().cloned().unwrap_or_default();
    for part in ["labels", "annotations", "finalizers"] {
        match body["metadata"].get(part) {
            Some(value) => metadata.insert(part.into(), value.clone()),
            None => metadata.remove(part),
        };
    }
    body["metadata"] = Value::Object(metadata);
}

/// Takes away writes, then parts of them, as long as the two still differ.
async fn shrink(pair: &Pair, name: &str, sequence: &Sequence) -> (Sequence, Verdict) {
    let mut least = sequence.clone();
    let mut verdict = both(pair, &format!("{name}-0"), &least).await;
    let mut tries = 0;
    'again: while tries < 300 {
        for candidate in smaller(&least) {
            tries += 1;
            let tried = both(pair, &format!("{name}-{tries}"), &candidate).await;
            if !tried.hunks.is_empty() {
                (least, verdict) = (candidate, tried);
                continue 'again;
            }
        }
        break;
    }
    (least, verdict)
}

fn smaller(sequence: &Sequence) -> Vec<Sequence> {
    let mut out = Vec::new();
    for index in (0..sequence.ops.len()).rev() {
        let mut less = sequence.clone();
        less.ops.remove(index);
        out.push(less);
    }
    for (index, op) in sequence.ops.iter().enumerate() {
        for content in parts_away(&op.content) {
            let mut less = sequence.clone();
            less.ops[index].content = content;
            out.push(less);
        }
    }
    out
}

/// Every value with one member less somewhere, outermost first.
fn parts_away(value: &Value) -> Vec<Value> {
    let mut out = Vec::new();
    match value {
        Value::Object(map) => {
            for key in map.keys() {
                let mut less: Map<String, Value> = map.clone();
                less.remove(key);
                out.push(Value::Object(less));
            }
            for (key, inner) in map {
                for inner in parts_away(inner) {
                    let mut less = map.clone();
                    less.insert(key.clone(), inner);
                    out.push(Value::Object(less));
                }
            }
        }
        Value::Array(list) => {
            for index in 0..list.len() {
                let mut less = list.clone();
                less.remove(index);
                out.push(Value::Array(less));
            }
            for (index, inner) in list.iter().enumerate() {
                for inner in parts_away(inner) {
                    let mut less = list.clone();
                    less[index] = inner;
                    out.push(Value::Array(less));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    out
}
