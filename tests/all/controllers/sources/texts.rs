//! What may stand in a file: everything that kubectl takes, with the same meaning; everything else is refused with words.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use regatta::api::conditions::READY;
use serde_json::{Value, json};

use super::super::world::{World, eventually, is, write};
use super::{agents, make, named, nothing_goes, settles, source};
use crate::harness::{Up, ok};

#[test]
fn every_trap_of_yaml_gives_the_object_that_kubectl_makes_of_it() {
    let up = Up::start();
    let scalars = [
        "yes",
        "Yes",
        "on",
        "off",
        "Off",
        "y",
        "n",
        "true",
        "0755",
        "0o17",
        "0x1F",
        "0b11",
        "1_000",
        "+7",
        "-7",
        "08",
        "1.5",
        ".5",
        "1e3",
        "1e-3",
        "~",
        "null",
        "2026-01-02",
        "12:30",
        "1:30:00",
        "10s",
        "\"yes\"",
        "'0755'",
        "!!str 0755",
        "nope",
        "1.2.3",
        "=",
        "<<x",
        "1.0",
        "100000000000000000000",
        "0.1",
        "|\n    yes\n    no",
        ">\n    a\n    b",
        "\"a\\nb\"",
        "two\n    lines",
        "[yes, 0755, ~]",
        "{on: off, 1: 2}",
        "\u{e4}\u{1f680}",
    ];
    let mut text = String::from("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: traps}\ndata:\n");
    for (index, scalar) in scalars.iter().enumerate() {
        text.push_str(&format!("  k{index}: {scalar}\n"));
    }
    text.push_str(
        "  yes: key\n  8080: port\n  base: &b {mode: 0755, run: yes}\n  copy: *b\n  more:\n    <<: *b\n    run: 'no'\n",
    );
    for (name, text) in [("unix", text.clone()), ("windows", text.replace('\n', "\r\n"))] {
        let file = up.home.path().join(format!("{name}.yaml"));
        std::fs::write(&file, &text).unwrap();
        let file = file.to_str().unwrap();
        let said = ok(up.kubectl(&["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", file]));
        let mut theirs: Value = serde_json::from_str(&said).unwrap();
        let mut ours = regatta::api::yaml::parse(&text).unwrap().remove(0).value;
        for object in [&mut theirs, &mut ours] {
            let metadata = object["metadata"].as_object_mut().unwrap();
            metadata.retain(|key, _| key == "name");
        }
        let (theirs, ours) = (theirs["data"].as_object().unwrap(), ours["data"].as_object().unwrap());
        let differ: Vec<_> = theirs
            .iter()
            .filter(|(key, value)| ours.get(*key) != Some(value))
            .map(|(key, value)| {
                let written = key.strip_prefix('k').and_then(|i| scalars.get(i.parse::<usize>().ok()?));
                format!("{key} ({written:?}): kubectl {value}, ours {:?}", ours.get(key))
            })
            .collect();
        assert!(differ.is_empty(), "{name}: {differ:#?}");
        assert_eq!(theirs.len(), ours.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_and_its_objects_may_stand_side_by_side_in_any_order() {
    let world = World::start().await;
    let directory = tempfile::tempdir().unwrap();
    let boat = "apiVersion: sea.example/v1\nkind: Boat\nmetadata: {name: ark}\nspec: {oars: 4}\n";
    let definition = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: boats.sea.example}\n\
        spec:\n  group: sea.example\n  scope: Namespaced\n  names: {plural: boats, singular: boat, kind: Boat}\n  versions:\n  \
        - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, \
        properties: {oars: {type: integer}}}}}}}\n";
    write(directory.path(), "a-boat.yaml", boat);
    write(directory.path(), "b-harbour.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: harbour}\n");
    write(directory.path(), "c-definition.yaml", definition);
    let list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: one}\n- apiVersion: v1\n  \
        kind: ConfigMap\n  metadata: {name: two, namespace: default}\n";
    write(directory.path(), "d-list.yaml", list);
    make(&world, "fleet", json!({"path": directory.path(), "namespace": "harbour"})).await;
    eventually("all of it", async || is(&named(&world, "fleet").await, READY, "True")).await;
    let status = named(&world, "fleet").await.status.unwrap();
    assert_eq!((status.applied, status.failures), (Some(5), vec![]));
    let maps = |namespace: &str| Api::<ConfigMap>::namespaced(world.client.clone(), namespace);
    maps("harbour").get("one").await.unwrap();
    maps("default").get("two").await.unwrap();
    let ark = http::Request::get("/apis/sea.example/v1/namespaces/harbour/boats/ark").body(vec![]).unwrap();
    assert_eq!(world.client.request::<Value>(ark).await.unwrap()["spec"]["oars"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_is_refused_with_words_and_harms_nothing_else() {
    let world = World::start().await;
    source(&world).await;
    write(&world.manifests(), "good.yaml", &agents(2));
    settles(&world, 2).await;
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, of) in ('b'..='k').zip('a'..='j') {
        bomb.push_str(&format!("{name}: &{name} [{}]\n", vec![format!("*{of}"); 10].join(", ")));
    }
    let generated = "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: x-}\n";
    let huge =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {{a: {}}}\n", "x".repeat(10 << 20));
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("bomb.yaml", bomb.into_bytes(), "alias"),
        ("deep.yaml", "[".repeat(100_000).into_bytes(), ""),
        ("huge.yaml", huge.into_bytes(), "split it"),
        ("latin.yaml", b"kind: A\nx: caf\xe9\n".to_vec(), "UTF-8"),
        ("generated.yaml", generated.into(), "metadata.name instead"),
        (
            "unknown.yaml",
            b"apiVersion: no.example/v1\nkind: Nothing\nmetadata: {name: x}\n".to_vec(),
            "no matches for kind",
        ),
        ("nameless.yaml", b"apiVersion: v1\nkind: ConfigMap\n".to_vec(), "metadata.name is missing"),
        ("scalar.yaml", b"just words\n".to_vec(), "a manifest is a map"),
    ];
    for (file, bytes, _) in &cases {
        std::fs::write(world.manifests().join(file), bytes).unwrap();
    }
    let all = async || Some(source(&world).await.status?.failures).filter(|f| f.len() == cases.len());
    let failures = eventually("all failures", all).await;
    for (file, _, words) in &cases {
        let failure = failures.iter().find(|f| f.file == *file).unwrap_or_else(|| panic!("{file}: {failures:#?}"));
        assert!(failure.message.contains(words), "{file}: {failure:?}");
        assert!(failure.message.len() < 2_000 && !failure.message.contains('\n'), "{failure:?}");
    }
    nothing_goes(&world, 2).await;
    assert!(serde_json::to_vec(&source(&world).await).unwrap().len() < 100_000);
}
