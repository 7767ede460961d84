//! How answers are given whoever asks: compressed where that was asked for, and strict about what was sent.

use kube::Client;
use serde_json::{Value, json};

use super::make;
use crate::apiserver::{raw, server};

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";
const BOATS: &str = "/apis/sea.example/v1/namespaces/default/boats";

/// Code, whether it was compressed, and how long the body was.
async fn size(client: &Client, path: &str, accept: &str) -> (u16, bool, usize) {
    let request = http::Request::get(path).header("accept-encoding", accept);
    let response = client.send(request.body(Vec::new().into()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = http_body_util::BodyExt::collect(body).await.unwrap().to_bytes();
    let packed = parts.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip");
    assert_eq!(packed, body.starts_with(&[0x1f, 0x8b]));
    (parts.status.as_u16(), packed, body.len())
}

#[tokio::test]
async fn large_answers_are_compressed_for_who_asks() {
    let s = server().await;
    for i in 0..20 {
        make(&s, CONFIGS, json!({"metadata": {"name": format!("c{i}")}, "data": {"k": "regatta ".repeat(2000)}})).await;
    }
    let (code, packed, plain) = size(&s.client, CONFIGS, "identity").await;
    assert!(code == 200 && !packed && plain > 300_000);
    let (code, packed, small) = size(&s.client, CONFIGS, "gzip").await;
    assert!(code == 200 && packed && small < plain / 10, "{small} of {plain}");
    assert!(!size(&s.client, &format!("{CONFIGS}/c1"), "gzip").await.1, "a small one is not worth it");
    let watch = format!("{CONFIGS}?watch=true&timeoutSeconds=1");
    assert!(!size(&s.client, &watch, "gzip").await.1, "a watch must not wait for more");
}

#[tokio::test]
async fn what_is_sent_twice_or_unknown_is_told_as_strictly_as_asked() {
    let s = server().await;
    let post = async |path: &str, validation: &str, body: &str| {
        let path = format!("{path}?dryRun=All{validation}");
        let (code, headers, text) =
            raw(&s.client, "POST", &path, &[("content-type", "application/json")], body.as_bytes()).await;
        let warnings: Vec<String> =
            headers.get_all("warning").iter().map(|warning| warning.to_str().unwrap().to_owned()).collect();
        (code, serde_json::from_str::<Value>(&text).unwrap(), warnings)
    };
    let config = r#"{"metadata": {"name": "a", "name": "b"}, "data": {"k": "1", "k": "2"}, "oops": 1}"#;
    let (code, refused, _) = post(CONFIGS, "&fieldValidation=Strict", config).await;
    assert_eq!(code, 400);
    assert_eq!(
        refused["message"],
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \
         \"metadata.name\", duplicate field \"data.k\", unknown field \"oops\""
    );
    let (code, made, warnings) = post(CONFIGS, "", config).await;
    assert_eq!((code, &made["data"]["k"], &made["metadata"]["name"]), (201, &json!("2"), &json!("b")));
    assert_eq!(
        warnings,
        [
            r#"299 - "duplicate field \"metadata.name\"""#,
            r#"299 - "duplicate field \"data.k\"""#,
            r#"299 - "unknown field \"oops\"""#
        ]
    );
    let (code, _, warnings) = post(CONFIGS, "&fieldValidation=Ignore", config).await;
    assert_eq!((code, warnings.len()), (201, 0));
    let boat = r#"{"apiVersion": "sea.example/v1", "kind": "Boat", "metadata": {"name": "a"}, "spec": {"port": "x", "port": "y"}}"#;
    let (code, refused, _) = post(BOATS, "&fieldValidation=Strict", boat).await;
    assert_eq!(code, 400);
    assert!(refused["message"].as_str().unwrap().ends_with("strict decoding error: duplicate field \"spec.port\""));
}

#[tokio::test]
async fn versions_from_before_a_restored_backup_are_too_old() {
    let s = server().await;
    make(&s, CONFIGS, json!({"metadata": {"name": "kept"}})).await;
    s.server.shutdown().await;
    let backup = s.home.path().join("backup.db");
    std::fs::copy(s.home.path().join("api.db"), &backup).unwrap();
    let after = crate::apiserver::open(&s.home).await;
    let client = after.client(regatta::apiserver::User::admin());
    let lost = crate::apiserver::json_of(&client, "POST", CONFIGS, json!({"metadata": {"name": "lost"}})).await.1;
    after.shutdown().await;
    std::fs::copy(&backup, s.home.path().join("api.db")).unwrap();
    let restored = crate::apiserver::open(&s.home).await;
    let client = restored.client(regatta::apiserver::User::admin());
    let version = lost["metadata"]["resourceVersion"].as_str().unwrap();
    let (code, _, text) =
        raw(&client, "GET", &format!("{CONFIGS}?watch=true&resourceVersion={version}&timeoutSeconds=5"), &[], b"")
            .await;
    let event: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((code, &event["type"], &event["object"]["code"]), (200, &json!("ERROR"), &json!(410)), "{text}");
    let (code, _, _) =
        raw(&client, "GET", &format!("{CONFIGS}?resourceVersion={version}&resourceVersionMatch=Exact"), &[], b"").await;
    assert_eq!(code, 410);
    let (_, _, text) = raw(&client, "GET", CONFIGS, &[], b"").await;
    let list: Value = serde_json::from_str(&text).unwrap();
    let now: u64 = list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    assert!(now > version.parse().unwrap(), "no version is handed out twice");
    assert_eq!(list["items"].as_array().unwrap().iter().filter(|item| item["metadata"]["name"] == "lost").count(), 0);
}
