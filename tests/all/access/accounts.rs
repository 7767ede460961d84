//! ServiceAccounts and their tokens, and the namespaces they live in.

use base64::{Engine, engine::general_purpose::STANDARD};
use kube::Client;
use regatta::apiserver::User;
use serde_json::{Value, json};

use super::{RBAC, get, grant, make, said};
use crate::apiserver::{Server, eventually, json_of, open, raw, server};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

async fn request(server: &Server, account: &str, spec: Value) -> (u16, Value) {
    json_of(&server.client, "POST", &format!("{ACCOUNTS}/{account}/token"), json!({"spec": spec})).await
}

async fn token(server: &Server, account: &str, spec: Value) -> String {
    let (code, answer) = request(server, account, spec).await;
    assert_eq!(code, 201, "{answer}");
    answer["status"]["token"].as_str().unwrap().to_owned()
}

async fn account(server: &Server, name: &str) -> Value {
    make(server, ACCOUNTS, json!({"metadata": {"name": name}})).await
}

async fn delete(client: &Client, path: &str) -> u16 {
    json_of(client, "DELETE", path, Value::Null).await.0
}

#[tokio::test]
async fn a_token_is_its_account_until_that_is_gone() {
    let s = server().await;
    let made = account(&s, "bot").await;
    let (code, answer) = request(&s, "bot", json!({"expirationSeconds": 600})).await;
    assert_eq!(code, 201, "{answer}");
    assert_eq!((&answer["kind"], &answer["metadata"]["uid"]), (&json!("TokenRequest"), &made["metadata"]["uid"]));
    assert_eq!(answer["spec"]["expirationSeconds"], 600);
    let text = answer["status"]["token"].as_str().unwrap();
    let user = s.server.authenticate(text).unwrap();
    assert_eq!(user.name, "system:serviceaccount:default:bot");
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]);
    assert_eq!(made["metadata"]["uid"], user.uid.as_str());
    assert!(user.extra["authentication.kubernetes.io/credential-id"][0].starts_with("JTI="));
    for wrong in ["", "x", &text[..text.len() - 1], &text.to_uppercase(), &format!("{text}a")] {
        assert_eq!(s.server.authenticate(wrong), None);
    }

    s.server.shutdown().await;
    let on_disk = |name: &str| std::fs::read(s.home.path().join(name)).unwrap_or_default();
    let found = ["api.db", "api.db-wal"]
        .iter()
        .any(|name| on_disk(name).windows(text.len()).any(|window| window == text.as_bytes()));
    assert!(!found, "only the hash is kept");
    let again = open(&s.home).await;
    let client = again.client(User::admin());
    assert_eq!(again.authenticate(text), Some(user), "a restart keeps it");
    assert_eq!(delete(&client, &format!("{ACCOUNTS}/bot")).await, 200);
    assert_eq!(again.authenticate(text), None);
    json_of(&client, "POST", ACCOUNTS, json!({"metadata": {"name": "bot"}})).await;
    assert_eq!(again.authenticate(text), None, "a new account of that name is somebody else");
}

#[tokio::test]
async fn what_may_be_asked_for_is_bounded() {
    let s = server().await;
    let made = account(&s, "bot").await;
    said(
        &request(&s, "bot", json!({"expirationSeconds": 60})).await,
        422,
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a \
         duration less than 10 minutes",
    );
    assert_eq!(request(&s, "bot", json!({"expirationSeconds": 1_u64 << 33})).await.0, 422);
    let path = format!("{ACCOUNTS}/bot/token");
    let long = json!({"spec": {"expirationSeconds": 1_u64 << 32}}).to_string();
    let (code, headers, text) =
        raw(&s.client, "POST", &path, &[("content-type", "application/json")], long.as_bytes()).await;
    assert_eq!((code, headers["warning"].to_str().unwrap().contains("shortened")), (201, true), "{text}");
    assert_eq!(request(&s, "nobody", json!({})).await.0, 404);
    assert_eq!(get(&s.client, &path).await.0, 405);
    let other = json!({"metadata": {"uid": "another"}, "spec": {}});
    assert_eq!(json_of(&s.client, "POST", &path, other).await.0, 409);
    let same = json!({"metadata": {"uid": made["metadata"]["uid"]}, "spec": {}});
    assert_eq!(json_of(&s.client, "POST", &path, same).await.0, 201);

    let foreign = token(&s, "bot", json!({"audiences": ["vault"]})).await;
    assert_eq!(s.server.authenticate(&foreign), None, "a token for somebody else is none for this API");
    let review = async |token: &str, audiences: Value| {
        let body = json!({"spec": {"token": token, "audiences": audiences}});
        json_of(&s.client, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", body).await.1["status"].clone()
    };
    let status = review(&foreign, json!(["vault", "x"])).await;
    assert_eq!((&status["authenticated"], &status["audiences"]), (&json!(true), &json!(["vault"])));
    assert_eq!(status["user"]["username"], "system:serviceaccount:default:bot");
    assert_eq!(review(&foreign, Value::Null).await, json!({"user": {}, "error": "invalid bearer token"}));
    assert_eq!(review("nonsense", Value::Null).await, json!({"user": {}, "error": "invalid bearer token"}));
}

#[tokio::test]
async fn a_bound_token_dies_with_what_it_is_bound_to() {
    let s = server().await;
    account(&s, "bot").await;
    let boats = "/apis/sea.example/v1/namespaces/default/boats";
    make(
        &s,
        boats,
        json!({"apiVersion": "sea.example/v1", "kind": "Boat", "metadata": {"name": "ark"}, "spec": {"port": "x"}}),
    )
    .await;
    let bound = |name: &str| json!({"boundObjectRef": {"apiVersion": "sea.example/v1", "kind": "Boat", "name": name}});
    let text = token(&s, "bot", bound("ark")).await;
    assert!(s.server.authenticate(&text).is_some());
    assert_eq!(request(&s, "bot", bound("none")).await.0, 404);
    assert_eq!(request(&s, "bot", json!({"boundObjectRef": {"kind": "Pod", "name": "p"}})).await.0, 400);
    assert_eq!(delete(&s.client, &format!("{boats}/ark")).await, 200);
    assert_eq!(s.server.authenticate(&text), None);
}

#[tokio::test]
async fn a_secret_gets_the_servers_token_and_no_other() {
    let s = server().await;
    s.server.set_authority("the authority");
    let made = account(&s, "bot").await;
    let secret = |name: &str, account: &str, token: &str| {
        json!({"metadata": {"name": name, "annotations": {"kubernetes.io/service-account.name": account}},
            "type": "kubernetes.io/service-account-token", "data": {"token": STANDARD.encode(token)}})
    };
    let stored = make(&s, SECRETS, secret("bot-token", "bot", "chosen")).await;
    let read = |object: &Value, key: &str| {
        String::from_utf8(STANDARD.decode(object["data"][key].as_str().unwrap()).unwrap()).unwrap()
    };
    let text = read(&stored, "token");
    assert_ne!(text, "chosen");
    assert_eq!((read(&stored, "namespace").as_str(), read(&stored, "ca.crt").as_str()), ("default", "the authority"));
    assert_eq!(stored["metadata"]["annotations"]["kubernetes.io/service-account.uid"], made["metadata"]["uid"]);
    assert_eq!(s.server.authenticate("chosen"), None);
    assert_eq!(s.server.authenticate(&text).unwrap().name, "system:serviceaccount:default:bot");

    let patch = async |patch: Value| {
        let headers = [("content-type", "application/merge-patch+json")];
        let path = format!("{SECRETS}/bot-token");
        let (code, _, text) = raw(&s.client, "PATCH", &path, &headers, patch.to_string().as_bytes()).await;
        assert_eq!(code, 200, "{text}");
        read(&serde_json::from_str(&text).unwrap(), "token")
    };
    assert_eq!(patch(json!({"data": {"token": STANDARD.encode("chosen")}})).await, text, "it is not to be chosen");
    assert_eq!(s.server.authenticate("chosen"), None);
    let fresh = patch(json!({"data": {"token": null}})).await;
    assert_ne!(fresh, text, "taken out, there is a new one");
    assert_eq!(s.server.authenticate(&text), None);
    assert!(s.server.authenticate(&fresh).is_some());

    let plain = json!({"metadata": {"name": "plain"}, "data": {"token": STANDARD.encode("plain")}});
    make(&s, SECRETS, plain).await;
    assert_eq!(s.server.authenticate("plain"), None);
    make(&s, SECRETS, secret("nobodys", "nobody", "chosen")).await;
    assert_eq!(s.server.authenticate("chosen"), None);
    eventually("a Secret of no account goes", async || get(&s.client, &format!("{SECRETS}/nobodys")).await.0 == 404)
        .await;
    assert_eq!(delete(&s.client, &format!("{ACCOUNTS}/bot")).await, 200);
    assert_eq!(s.server.authenticate(&fresh), None);
    eventually("and so does that of one that went", async || {
        get(&s.client, &format!("{SECRETS}/bot-token")).await.0 == 404
    })
    .await;
}

#[tokio::test]
async fn a_token_does_what_its_account_may_and_no_more() {
    let s = server().await;
    account(&s, "bot").await;
    grant(
        &s,
        "reader",
        "nobody",
        None,
        json!([{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]}]),
    )
    .await;
    make(
        &s,
        &format!("{RBAC}/namespaces/default/rolebindings"),
        json!({"metadata": {"name": "bot"},
        "roleRef": {"kind": "ClusterRole", "name": "reader"}, "subjects": [{"kind": "ServiceAccount", "name": "bot"}]}),
    )
    .await;
    let text = token(&s, "bot", json!({})).await;
    let bot = s.server.client(s.server.authenticate(&text).unwrap());
    assert_eq!(get(&bot, "/api/v1/namespaces/default/configmaps").await.0, 200);
    for path in [
        "/api/v1/configmaps",
        "/api/v1/namespaces/kube-system/configmaps",
        "/api/v1/namespaces/default/secrets",
        "/api/v1/namespaces/default/serviceaccounts/bot",
        "/apis/internal/v1/tokens",
    ] {
        assert_eq!(get(&bot, path).await.0, 403, "{path}");
    }
    let minted = json_of(&bot, "POST", &format!("{ACCOUNTS}/bot/token"), json!({})).await;
    said(
        &minted,
        403,
        "serviceaccounts \"bot\" is forbidden: User \"system:serviceaccount:default:bot\" cannot create resource \
         \"serviceaccounts/token\" in API group \"\" in the namespace \"default\"",
    );
    assert_eq!(get(&s.client, "/apis/internal/v1/tokens").await.0, 404, "no path leads to what is kept of tokens");
}

#[tokio::test]
async fn every_namespace_has_its_account_and_some_stay_for_ever() {
    let s = server().await;
    for namespace in ["default", "kube-system", "regatta-system"] {
        assert_eq!(get(&s.client, &format!("/api/v1/namespaces/{namespace}/serviceaccounts/default")).await.0, 200);
        let path = format!("/api/v1/namespaces/{namespace}");
        let refused = json_of(&s.client, "DELETE", &path, Value::Null).await;
        said(&refused, 403, &format!("namespaces \"{namespace}\" is forbidden: this namespace may not be deleted"));
    }
    make(&s, "/api/v1/namespaces", json!({"metadata": {"name": "sea"}})).await;
    let path = "/api/v1/namespaces/sea/serviceaccounts/default";
    eventually("a new namespace has one", async || get(&s.client, path).await.0 == 200).await;
    let first = get(&s.client, path).await.1["metadata"]["uid"].clone();
    assert_eq!(delete(&s.client, path).await, 200);
    eventually("it comes back", async || {
        let (code, account) = get(&s.client, path).await;
        code == 200 && account["metadata"]["uid"] != first
    })
    .await;
}

#[tokio::test]
async fn a_namespace_goes_contents_first_and_takes_nothing_in_meanwhile() {
    let s = server().await;
    make(&s, "/api/v1/namespaces", json!({"metadata": {"name": "sea"}, "spec": {"finalizers": ["example.com/mine"]}}))
        .await;
    let namespace = get(&s.client, "/api/v1/namespaces/sea").await.1;
    assert_eq!(namespace["spec"]["finalizers"], json!(["example.com/mine", "kubernetes"]));
    let configs = "/api/v1/namespaces/sea/configmaps";
    make(&s, configs, json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}})).await;
    make(&s, configs, json!({"metadata": {"name": "free"}})).await;
    let (code, marked) = json_of(&s.client, "DELETE", "/api/v1/namespaces/sea", Value::Null).await;
    assert_eq!((code, &marked["status"]["phase"]), (200, &json!("Terminating")));
    let refused = json_of(&s.client, "POST", configs, json!({"metadata": {"name": "late"}})).await;
    said(
        &refused,
        403,
        "configmaps \"late\" is forbidden: unable to create new content in namespace sea because it is being terminated",
    );
    assert_eq!(
        refused.1["details"]["causes"],
        json!([{"reason": "NamespaceTerminating", "message": "namespace sea is being terminated", "field": "metadata.namespace"}])
    );
    eventually("what nothing holds is gone", async || get(&s.client, &format!("{configs}/free")).await.0 == 404).await;
    assert_eq!(get(&s.client, &format!("{configs}/held")).await.0, 200);
    let release = [("content-type", "application/merge-patch+json")];
    raw(&s.client, "PATCH", &format!("{configs}/held"), &release, br#"{"metadata": {"finalizers": null}}"#).await;
    eventually("the rest follows", async || get(&s.client, &format!("{configs}/held")).await.0 == 404).await;
    eventually("only the foreign finalizer is left", async || {
        let namespace = get(&s.client, "/api/v1/namespaces/sea").await.1;
        namespace["spec"]["finalizers"] == json!(["example.com/mine"])
    })
    .await;
    let mut namespace = get(&s.client, "/api/v1/namespaces/sea").await.1;
    namespace["spec"]["finalizers"] = json!([]);
    assert_eq!(json_of(&s.client, "PUT", "/api/v1/namespaces/sea/finalize", namespace).await.0, 200);
    eventually("the namespace is gone", async || get(&s.client, "/api/v1/namespaces/sea").await.0 == 404).await;
}
