//! The real server over TLS with stock kubectl: tokens, `--as`, `auth can-i`, and nothing for whoever shows no credential.

use std::process::{Command, Output};

use kube::config::{KubeConfigOptions, Kubeconfig};
use regatta::gateway::routes::{Access, Method, Ports, ROUTES};
use serde_json::{Value, json};

use crate::harness::{Up, ok, until};

/// A kubeconfig with the server and its authority, and this token in place of the certificate.
fn kubeconfig(up: &Up, token: Option<&str>) -> Kubeconfig {
    let mut config = Kubeconfig::read_from(up.kubeconfig()).unwrap();
    let user = match token {
        Some(token) => json!({"token": token}),
        None => json!({}),
    };
    config.auth_infos[0].auth_info = Some(serde_json::from_value(user).unwrap());
    config
}

async fn client(up: &Up, token: Option<&str>) -> kube::Client {
    let config = kube::Config::from_custom_kubeconfig(kubeconfig(up, token), &KubeConfigOptions::default()).await;
    kube::Client::try_from(config.unwrap()).unwrap()
}

/// kubectl with a token and no certificate.
fn kubectl(up: &Up, token: &str, args: &[&str]) -> Output {
    let path = up.home.path().join("token.kubeconfig");
    let text = serde_json::to_string(&kubeconfig(up, Some(token))).unwrap();
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new("kubectl");
    command.args(args).env("HOME", up.home.path()).env("KUBECONFIG", path).output().unwrap()
}

fn failed(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A token for an account, as any client gets one.
async fn token(up: &Up, namespace: &str, account: &str) -> String {
    let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
    let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}).to_string();
    let request = http::Request::post(path).header("content-type", "application/json").body(body.into_bytes()).unwrap();
    let answer: Value = up.client().await.request(request).await.unwrap();
    answer["status"]["token"].as_str().unwrap().to_owned()
}

async fn code(client: &kube::Client, method: &str, path: &str, body: &str) -> u16 {
    let request = http::Request::builder().method(method).uri(path).header("content-type", "application/json");
    client.send(request.body(body.as_bytes().to_vec().into()).unwrap()).await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_all_that_kubectl_needs_and_reaches_as_far_as_its_bindings() {
    let up = Up::start();
    ok(up.kubectl(&["create", "namespace", "fleet"]));
    ok(up.kubectl(&["create", "serviceaccount", "bot", "-n", "fleet"]));
    ok(up.kubectl(&[
        "create",
        "rolebinding",
        "bot",
        "-n",
        "fleet",
        "--clusterrole=view",
        "--serviceaccount=fleet:bot",
    ]));
    let text = token(&up, "fleet", "bot").await;

    assert_eq!(ok(kubectl(&up, &text, &["auth", "can-i", "list", "agents", "-n", "fleet"])).trim(), "yes");
    let no = kubectl(&up, &text, &["auth", "can-i", "create", "agents", "-n", "fleet"]);
    assert_eq!(String::from_utf8_lossy(&no.stdout).trim(), "no");
    ok(kubectl(&up, &text, &["get", "agents", "-n", "fleet"]));
    let refused = failed(&kubectl(&up, &text, &["get", "secrets", "-n", "fleet"]));
    assert!(refused.contains("Error from server (Forbidden): secrets is forbidden: User \"system:serviceaccount:fleet:bot\" cannot list resource \"secrets\" in API group \"\" in the namespace \"fleet\""), "{refused}");
    failed(&kubectl(&up, &text, &["get", "agents", "-n", "default"]));
    let list = ok(kubectl(&up, &text, &["auth", "can-i", "--list", "-n", "fleet"]));
    for part in
        ["agents.regatta.dev/terminal", "selfsubjectaccessreviews.authorization.k8s.io", "/healthz", "configmaps"]
    {
        assert!(list.contains(part), "{part} is not in:\n{list}");
    }
    assert!(!list.contains("secrets") && !list.contains("agents.regatta.dev/input"), "{list}");

    // The administrator sees what the account sees.
    let who = "--as=system:serviceaccount:fleet:bot";
    assert_eq!(ok(up.kubectl(&["auth", "can-i", "get", "agents/log", "-n", "fleet", who])).trim(), "yes");
    let no = up.kubectl(&["auth", "can-i", "get", "secrets", "-n", "fleet", who]);
    assert_eq!(String::from_utf8_lossy(&no.stdout).trim(), "no");
    failed(&up.kubectl(&["get", "secrets", "-n", "fleet", who]));
    let refused = failed(&kubectl(&up, &text, &["get", "agents", "-n", "fleet", "--as=admin"]));
    assert!(refused.contains("cannot impersonate resource \"users\""), "{refused}");

    ok(up.kubectl(&["delete", "serviceaccount", "bot", "-n", "fleet"]));
    let refused = failed(&kubectl(&up, &text, &["get", "agents", "-n", "fleet"]));
    assert!(refused.contains("Unauthorized") || refused.contains("must be logged in"), "{refused}");

    let log = std::fs::read_to_string(up.home.path().join("stderr")).unwrap();
    let events = ok(up.kubectl(&["get", "events,configmaps,serviceaccounts", "-A", "-o", "json"]));
    let processes = ok(Command::new("ps").args(["axww", "-o", "args"]).output().unwrap());
    for (place, found) in [("the log", log), ("objects", events), ("ps", processes)] {
        assert!(!found.contains(&text), "the token is in {place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_credential_or_with_a_wrong_one_the_port_says_nothing() {
    let up = Up::start();
    for shown in [None, Some("regatta_sa_wrong"), Some("x y")] {
        let client = client(&up, shown).await;
        let mut walked = 0;
        for route in ROUTES.iter().filter(|route| route.ports == Ports::Both && route.access == Access::Caller) {
            let path =
                route.path.replace("{namespace}", "default").replace("{name}", "a").replace("{*rest}", "v1/secrets");
            let methods: &[&str] = match route.method {
                Method::Get => &["GET"],
                Method::Post => &["POST"],
                Method::Any => &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            };
            for method in methods {
                walked += 1;
                assert_eq!(code(&client, method, &path, "").await, 401, "{method} {path} with {shown:?}");
            }
        }
        assert!(walked > 30, "{walked}");
        for path in
            ["/api/v1/namespaces/default/serviceaccounts/default/token", "/apis/authentication.k8s.io/v1/tokenreviews"]
        {
            assert_eq!(code(&client, "POST", path, "{}").await, 401, "{path}");
        }
    }
}

/// An agent that anybody can be asked about: a plain shell.
#[tokio::test(flavor = "multi_thread")]
async fn a_viewers_token_reads_an_agents_log_and_cannot_type() {
    let up = Up::start();
    let manifest = "apiVersion: regatta.dev/v1alpha1\nkind: Agent\nmetadata: {name: a}\nspec: {adapter: shell}\n";
    let file = up.home.path().join("a.yaml");
    std::fs::write(&file, manifest).unwrap();
    ok(up.kubectl(&["apply", "-f", file.to_str().unwrap()]));
    until("the agent is ready", || {
        let ready = up.kubectl(&["wait", "agent/a", "--for=condition=Ready", "--timeout=1s"]);
        if ready.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ready.stderr).into_owned()) }
    });
    for (account, role) in [("viewer", Some("view")), ("typist", Some("edit")), ("stranger", None)] {
        ok(up.kubectl(&["create", "serviceaccount", account]));
        if let Some(role) = role {
            let (role, account_of) = (format!("--clusterrole={role}"), format!("--serviceaccount=default:{account}"));
            ok(up.kubectl(&["create", "rolebinding", account, &role, &account_of]));
        }
    }
    let agent = "/apis/regatta.dev/v1alpha1/namespaces/default/agents/a";
    let input = r#"{"mode": "line", "data": "echo typed"}"#;
    for (account, log, typed) in [("viewer", 200, 403), ("typist", 200, 202), ("stranger", 403, 403)] {
        let client = client(&up, Some(&token(&up, "default", account).await)).await;
        assert_eq!(code(&client, "GET", &format!("{agent}/log?tail=1"), "").await, log, "{account}");
        assert_eq!(code(&client, "POST", &format!("{agent}/input"), input).await, typed, "{account}");
        assert_eq!(code(&client, "GET", "/api/v1/namespaces/kube-system/secrets", "").await, 403, "{account}");
        let mint = "/api/v1/namespaces/kube-system/serviceaccounts/default/token";
        assert_eq!(code(&client, "POST", mint, "{}").await, 403, "{account} mints no tokens elsewhere");
    }
}
