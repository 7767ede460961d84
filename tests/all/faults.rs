//! What nobody should send to the API and what nobody should do to it: garbage of every kind, and kill -9 under load.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::apiserver::raw;
use crate::harness::Up;

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";
const AGENTS: &str = "/apis/regatta.dev/v1alpha1/namespaces/default/agents";

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const APPLY: &str = "application/apply-patch+yaml";

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// An alias that doubles with every line.
fn bomb() -> Vec<u8> {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        text += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(","));
    }
    text.into_bytes()
}

fn deep(times: usize, open: &str, inner: &str, close: &str) -> Vec<u8> {
    format!("{}{inner}{}", open.repeat(times), close.repeat(times)).into_bytes()
}

fn config(name: &str, data: Value) -> Vec<u8> {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}).to_string().into_bytes()
}

fn agent(spec: Value) -> Vec<u8> {
    let body =
        json!({"apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "bad"}, "spec": spec});
    body.to_string().into_bytes()
}

/// Method, path, content type, body, and the codes of which one has to come.
type Case = (&'static str, &'static str, String, &'static str, Vec<u8>, &'static [u16]);

fn cases() -> Vec<Case> {
    let post = |what, path: &str, kind, body, codes| -> Case { (what, "POST", path.to_owned(), kind, body, codes) };
    let patch = |what, path: String, kind, body, codes| -> Case { (what, "PATCH", path, kind, body, codes) };
    let mut garbage = b"k8s\0".to_vec();
    garbage.extend((0..4096u32).map(|i| (i * 7919 % 251) as u8));
    // A length that promises four gigabytes.
    let promise = [b"k8s\0\x0a\xff\xff\xff\xff\x0f".as_slice(), &[0; 16]].concat();
    let invalid =
        [b"{\"metadata\":{\"name\":\"bad\"},\"data\":{\"k\":\"".as_slice(), &[0xff, 0xfe, 0x80], b"\"}}"].concat();
    vec![
        post("nothing", CONFIGS, JSON, Vec::new(), &[400]),
        post("half of an object", CONFIGS, JSON, b"{\"metadata\":".to_vec(), &[400]),
        post("a list", CONFIGS, JSON, b"[]".to_vec(), &[400]),
        post("null", CONFIGS, JSON, b"null".to_vec(), &[400]),
        post(
            "another kind",
            CONFIGS,
            JSON,
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bad"}}).to_string().into_bytes(),
            &[400],
        ),
        post("invalid UTF-8", CONFIGS, JSON, invalid, &[400]),
        post("an unknown content type", CONFIGS, "text/plain", config("bad", json!({})), &[415]),
        post("a body beyond the limit", CONFIGS, JSON, config("bad", json!({"k": "x".repeat(4 << 20)})), &[413]),
        post("a tower of lists in JSON", AGENTS, JSON, deep(100_000, "[", "", "]"), &[400]),
        post("a tower of objects in JSON", AGENTS, JSON, deep(20_000, "{\"a\":", "1", "}"), &[400]),
        post("a tower in YAML", AGENTS, YAML, deep(10_000, "[", "", "]"), &[400]),
        post("a YAML bomb", AGENTS, YAML, bomb(), &[400]),
        post(
            "two YAML documents",
            CONFIGS,
            YAML,
            b"metadata: {name: bad}\n---\nmetadata: {name: worse}\n".to_vec(),
            &[400],
        ),
        post("protobuf garbage", CONFIGS, PROTOBUF, garbage.clone(), &[400]),
        post("protobuf that promises too much", CONFIGS, PROTOBUF, promise, &[400]),
        post("protobuf without its magic", CONFIGS, PROTOBUF, garbage[4..].to_vec(), &[400]),
        post("protobuf for a custom kind", AGENTS, PROTOBUF, garbage, &[400, 415]),
        post("a name that is a path", CONFIGS, JSON, config("../../etc/passwd", json!({})), &[422]),
        post("a name with a NUL", CONFIGS, JSON, config("a\0b", json!({})), &[422]),
        post("a name beyond its length", CONFIGS, JSON, config(&"a".repeat(300), json!({})), &[422]),
        post("a key that is a path", CONFIGS, JSON, config("bad", json!({"../k": "v"})), &[422]),
        post("a number where a string belongs", AGENTS, JSON, agent(json!({"adapter": 7})), &[400, 422]),
        post(
            "a prompt of two megabytes",
            AGENTS,
            JSON,
            agent(json!({"adapter": "shell", "prompt": {"text": "x".repeat(2 << 20)}})),
            &[422],
        ),
        post(
            "a huge number",
            AGENTS,
            JSON,
            agent(json!({"adapter": "shell", "terminal": {"cols": 1e300, "rows": 1}})),
            &[400, 422],
        ),
        post(
            "a long field selector",
            &format!("{CONFIGS}?fieldManager={}", "m".repeat(200)),
            JSON,
            config("bad", json!({})),
            &[422, 400],
        ),
        (
            "a list by a broken selector",
            "GET",
            format!("{CONFIGS}?labelSelector=%21%21%3D%3D"),
            JSON,
            Vec::new(),
            &[400],
        ),
        ("a list by an unknown field", "GET", format!("{CONFIGS}?fieldSelector=data.k%3Dv"), JSON, Vec::new(), &[400]),
        (
            "a list by a forged token",
            "GET",
            format!("{CONFIGS}?limit=1&continue=Zm9yZ2Vk"),
            JSON,
            Vec::new(),
            &[400, 410],
        ),
        ("a list at no version", "GET", format!("{CONFIGS}?resourceVersion=never"), JSON, Vec::new(), &[400]),
        ("a verb that is none", "BREW", CONFIGS.to_owned(), JSON, Vec::new(), &[405]),
        patch(
            "a patch that is no list",
            format!("{CONFIGS}/good"),
            "application/json-patch+json",
            b"{}".to_vec(),
            &[400],
        ),
        patch(
            "a patch of ten thousand and one operations",
            format!("{CONFIGS}/good"),
            "application/json-patch+json",
            operations(10_001),
            &[413],
        ),
        patch(
            "a patch that copies itself to the sky",
            format!("{CONFIGS}/good"),
            "application/json-patch+json",
            copies(40),
            &[413],
        ),
        patch(
            "a patch of a field that is not there",
            format!("{CONFIGS}/good"),
            "application/json-patch+json",
            br#"[{"op":"remove","path":"/data/none"}]"#.to_vec(),
            &[422],
        ),
        patch(
            "a merge patch that is a string",
            format!("{CONFIGS}/good"),
            "application/merge-patch+json",
            b"\"x\"".to_vec(),
            &[400],
        ),
        patch(
            "an apply without a manager",
            format!("{CONFIGS}/good"),
            APPLY,
            b"apiVersion: v1\nkind: ConfigMap\n".to_vec(),
            &[400, 422],
        ),
        patch("an applied bomb", format!("{CONFIGS}/good?fieldManager=me"), APPLY, bomb(), &[400]),
        patch(
            "an apply of another name",
            format!("{CONFIGS}/good?fieldManager=me"),
            APPLY,
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\n".to_vec(),
            &[400],
        ),
    ]
}

fn operations(count: usize) -> Vec<u8> {
    let operation = json!({"op": "add", "path": "/data/k", "value": "v"});
    Value::from(vec![operation; count]).to_string().into_bytes()
}

/// Doubles `data` with every operation: 2^40 copies at the end, if somebody let it.
fn copies(count: usize) -> Vec<u8> {
    let all: Vec<Value> =
        (0..count).map(|i| json!({"op": "copy", "from": "/data", "path": format!("/data/c{i}")})).collect();
    Value::from(all).to_string().into_bytes()
}

/// Resident memory, in MiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
fn bad_input_is_refused_with_a_status_stores_nothing_and_costs_no_memory() {
    let up = Up::start();
    runtime().block_on(async {
        let client = up.client().await;
        assert_eq!(
            raw(&client, "POST", CONFIGS, &[("content-type", JSON)], &config("good", json!({"k": "v"}))).await.0,
            201
        );
        let stored = names(&client).await;
        let mut wrong = Vec::new();
        let mut round = async || {
            for (what, method, path, kind, body, codes) in cases() {
                let (code, _, text) = raw(&client, method, &path, &[("content-type", kind)], &body).await;
                let status: Value = serde_json::from_str(&text).unwrap_or_default();
                let worded = status["kind"] == "Status"
                    && status["message"].as_str().is_some_and(|m| !m.is_empty() && m.len() < 20_000);
                if !codes.contains(&code) || !worded || status["code"] != code {
                    wrong.push(format!("{what}: {code} {}", text.chars().take(300).collect::<String>()));
                }
            }
        };
        round().await;
        let before = resident(up.pid());
        for _ in 0..3 {
            round().await;
        }
        let grown = resident(up.pid()).saturating_sub(before);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(grown < 64, "bad input left {grown} MiB behind");
        assert_eq!(names(&client).await, stored, "nothing of it is stored");
    });
}

async fn names(client: &Client) -> Vec<String> {
    let (_, _, configs) = raw(client, "GET", CONFIGS, &[], b"").await;
    let (_, _, agents) = raw(client, "GET", AGENTS, &[], b"").await;
    let lists = [configs, agents].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let items = lists.iter().flat_map(|list| list["items"].as_array().unwrap());
    items.map(|item| format!("{} {}", item["metadata"]["name"], item["metadata"]["resourceVersion"])).collect()
}

const WRITERS: usize = 500;

#[test]
fn every_write_acknowledged_under_five_hundred_writers_survives_a_kill() {
    let mut up = Up::start();
    let runtime = runtime();
    // What each writer was last told: the round that its object has at least reached.
    let acknowledged: Arc<Mutex<BTreeMap<usize, u64>>> = Arc::default();
    runtime.block_on(async {
        let client = up.client().await;
        let api: Api<ConfigMap> = Api::default_namespaced(client);
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let (api, acknowledged) = (api.clone(), acknowledged.clone());
            writers.spawn(async move {
                let mut object = written(writer, 1);
                loop {
                    let stored = match object.metadata.resource_version {
                        None => api.create(&PostParams::default(), &object).await,
                        Some(_) => api.replace(&format!("w{writer}"), &PostParams::default(), &object).await,
                    };
                    // Nobody answers any more: it was killed.
                    let Ok(stored) = stored else { return };
                    let round = round_of(&stored);
                    acknowledged.lock().unwrap().insert(writer, round);
                    object = written(writer, round + 1);
                    object.metadata.resource_version = stored.metadata.resource_version;
                }
            });
        }
        let deadline = tokio::time::Instant::now() + crate::harness::PATIENCE;
        while acknowledged.lock().unwrap().values().filter(|round| **round >= 2).count() < WRITERS {
            assert!(tokio::time::Instant::now() < deadline, "the writers get nowhere");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        up.kill9();
        writers.join_all().await;
    });
    up.start_again();
    let acknowledged = acknowledged.lock().unwrap().clone();
    runtime.block_on(async {
        let api: Api<ConfigMap> = Api::default_namespaced(up.client().await);
        let stored = api.list(&ListParams::default().labels("writer")).await.unwrap();
        assert_eq!(stored.items.len(), WRITERS);
        for object in stored {
            let writer: usize = object.metadata.name.as_ref().unwrap()[1..].parse().unwrap();
            let round = round_of(&object);
            assert!(
                round >= acknowledged[&writer],
                "writer {writer} was told {}, stored is {round}",
                acknowledged[&writer]
            );
            assert_eq!(object.data, written(writer, round).data, "an object is whole or not there");
        }
    });
}

fn written(writer: usize, round: u64) -> ConfigMap {
    let data = json!({"round": round.to_string(), "body": format!("{writer}/{round};").repeat(100)});
    let metadata = json!({"name": format!("w{writer}"), "labels": {"writer": "true"}});
    serde_json::from_value(json!({"metadata": metadata, "data": data})).unwrap()
}

fn round_of(object: &ConfigMap) -> u64 {
    object.data.as_ref().unwrap()["round"].parse().unwrap()
}
