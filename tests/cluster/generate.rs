//! Random sequences of writes to one object by several managers, from a seed: the values are few, so that managers meet.

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Thing,
    ConfigMap,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verb {
    Apply,
    ForceApply,
    ApplyStatus,
    /// GET, the content replaced, PUT.
    Replace,
    Merge,
    MergeStatus,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Op {
    pub manager: String,
    pub verb: Verb,
    /// All of the object but its type and name.
    pub content: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    pub kind: Kind,
    pub ops: Vec<Op>,
}

const WORDS: [&str; 4] = ["a", "b", "c", "d"];

pub fn sequence(seed: u64) -> Sequence {
    let mut random = Rng::with_seed(seed);
    let kind = if random.u8(..100) < 80 { Kind::Thing } else { Kind::ConfigMap };
    let ops = (0..random.usize(2..8)).map(|_| op(&mut random, kind)).collect();
    Sequence { kind, ops }
}

fn op(random: &mut Rng, kind: Kind) -> Op {
    let verb = match random.u8(..100) {
        0..=54 => Verb::Apply,
        55..=69 => Verb::ForceApply,
        70..=79 => Verb::Replace,
        80..=91 => Verb::Merge,
        _ if kind == Kind::ConfigMap => Verb::Apply,
        92..=95 => Verb::ApplyStatus,
        _ => Verb::MergeStatus,
    };
    let merge = matches!(verb, Verb::Merge | Verb::MergeStatus);
    let content = match (kind, verb) {
        (_, Verb::ApplyStatus | Verb::MergeStatus) => json!({"status": status(random)}),
        (Kind::ConfigMap, _) => config(random, merge),
        (Kind::Thing, _) => thing(random, merge),
    };
    Op { manager: random.choice(["red", "green", "blue"]).expect("three").to_string(), verb, content }
}

fn word(random: &mut Rng) -> Value {
    random.choice(WORDS).expect("some words").into()
}

/// Some of the words as keys; a merge patch sometimes takes one away.
fn map(random: &mut Rng, merge: bool, mut value: impl FnMut(&mut Rng) -> Value) -> Value {
    let mut out = Map::new();
    for key in WORDS {
        match random.u8(..100) {
            0..=34 => out.insert(key.into(), value(random)),
            35..=49 if merge => out.insert(key.into(), Value::Null),
            _ => None,
        };
    }
    Value::Object(out)
}

fn some_words(random: &mut Rng) -> Vec<Value> {
    let mut words: Vec<Value> = WORDS.iter().filter(|_| random.bool()).map(|word| Value::from(*word)).collect();
    random.shuffle(&mut words);
    words
}

fn metadata(random: &mut Rng, merge: bool) -> Value {
    let mut metadata = Map::new();
    for part in ["labels", "annotations"] {
        if random.u8(..100) < 20 {
            metadata.insert(part.into(), map(random, merge, word));
        }
    }
    if random.u8(..100) < 5 {
        metadata
            .insert("finalizers".into(), json!([format!("compare.example/{}", random.choice(WORDS).expect("some"))]));
    }
    Value::Object(metadata)
}

fn config(random: &mut Rng, merge: bool) -> Value {
    let mut out = json!({"metadata": metadata(random, merge)});
    if random.u8(..100) < 85 {
        out["data"] = map(random, merge, word);
    }
    if random.u8(..100) < 20 {
        out["binaryData"] = map(random, merge, |random| if random.bool() { "YQ==".into() } else { "Yg==".into() });
    }
    out
}

fn status(random: &mut Rng) -> Value {
    let mut out = Map::new();
    if random.bool() {
        out.insert("message".into(), word(random));
    }
    if random.bool() {
        let types: Vec<&str> = ["Ready", "Done"].into_iter().filter(|_| random.bool()).collect();
        let state = |random: &mut Rng| if random.bool() { "True" } else { "False" };
        let list: Vec<Value> =
            types.iter().map(|kind| json!({"type": kind, "status": state(random), "reason": word(random)})).collect();
        out.insert("conditions".into(), list.into());
    }
    Value::Object(out)
}

fn thing(random: &mut Rng, merge: bool) -> Value {
    let mut spec = Map::new();
    let fields = [
        "title", "count", "size", "note", "ports", "steps", "tags", "args", "plain", "labels", "frozen", "limits",
        "box", "sealed", "extra",
    ];
    for field in fields {
        if random.u8(..100) < 22 {
            let value = if merge && random.u8(..100) < 25 { Value::Null } else { field_value(random, field, merge) };
            spec.insert(field.into(), value);
        }
    }
    let mut out = json!({"metadata": metadata(random, merge)});
    if random.u8(..100) < 93 {
        out["spec"] = Value::Object(spec);
    }
    out
}

fn field_value(random: &mut Rng, field: &str, merge: bool) -> Value {
    match field {
        "title" => word(random),
        "count" => random.u8(..3).into(),
        "size" => {
            if random.bool() {
                word(random)
            } else {
                random.u8(..3).into()
            }
        }
        "note" => {
            if random.u8(..100) < 30 {
                Value::Null
            } else {
                word(random)
            }
        }
        "ports" => ports(random),
        "steps" => steps(random),
        "tags" | "args" => some_words(random).into(),
        "plain" => (0..random.u8(..3)).map(|_| json!({"a": word(random), "b": random.u8(..2)})).collect(),
        "limits" => map(random, merge, |random| {
            let mut limits = Map::new();
            if random.bool() {
                limits.insert("low".into(), random.u8(..3).into());
            }
            if random.bool() {
                limits.insert("high".into(), random.u8(..3).into());
            }
            Value::Object(limits)
        }),
        "box" => {
            let mut value = map(random, false, word);
            let map = value.as_object_mut().expect("a map");
            map.retain(|key, _| key == "a" || key == "b");
            if random.bool() {
                map.insert(
                    "inner".into(),
                    if random.bool() { json!({"x": random.u8(..2)}) } else { json!({"y": word(random)}) },
                );
            }
            value
        }
        "sealed" => json!({"a": word(random), "b": word(random)}),
        "extra" => json!({"k": map(random, merge, word), "l": some_words(random)}),
        _ => map(random, merge, word),
    }
}

fn ports(random: &mut Rng) -> Value {
    let mut keys: Vec<(u8, Option<&str>)> = Vec::new();
    for port in [80, 81, 82] {
        match random.u8(..100) {
            0..=29 => keys.push((port, None)),
            30..=44 => keys.push((port, Some("UDP"))),
            45..=54 => keys.extend([(port, Some("TCP")), (port, Some("UDP"))]),
            _ => {}
        }
    }
    random.shuffle(&mut keys);
    keys.into_iter()
        .map(|(port, protocol)| {
            let mut entry = json!({"port": port});
            if let Some(protocol) = protocol {
                entry["protocol"] = protocol.into();
            }
            if random.bool() {
                entry["name"] = word(random);
            }
            if random.u8(..100) < 30 {
                entry["tags"] = some_words(random).into();
            }
            entry
        })
        .collect()
}

fn steps(random: &mut Rng) -> Value {
    some_words(random)
        .into_iter()
        .map(|name| {
            let mut step = json!({"name": name});
            if random.bool() {
                step["run"] = word(random);
            }
            if random.u8(..100) < 40 {
                let env = some_words(random).into_iter().map(|name| json!({"name": name, "value": word(random)}));
                step["env"] = env.collect();
            }
            step
        })
        .collect()
}
