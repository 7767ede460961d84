//! Who may do what, from the outside: roles, reviews, impersonation and tokens, in process and over TLS with kubectl.

// clippy knows test functions, but not that everything here is only called by them.
#![allow(clippy::unwrap_used)]

mod accounts;
mod answers;
mod roles;
mod whole;

use kube::Client;
use regatta::apiserver::User;
use serde_json::{Value, json};

use crate::apiserver::{Server, json_of};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Somebody who is logged in and nothing else.
fn user(name: &str) -> User {
    User::new(name, &["system:authenticated"])
}

fn as_user(server: &Server, name: &str) -> Client {
    server.server.client(user(name))
}

#[track_caller]
fn said(answer: &(u16, Value), code: u16, message: &str) {
    assert_eq!(answer.0, code, "{}", answer.1);
    assert_eq!(answer.1["message"], message);
}

/// Makes an object as the administrator.
async fn make(server: &Server, path: &str, object: Value) -> Value {
    let (code, made) = json_of(&server.client, "POST", path, object).await;
    assert_eq!(code, 201, "{made}");
    made
}

/// A ClusterRole of the same name as its binding to a user: everywhere, or in one namespace.
async fn grant(server: &Server, name: &str, user: &str, namespace: Option<&str>, rules: Value) {
    make(server, &format!("{RBAC}/clusterroles"), json!({"metadata": {"name": name}, "rules": rules})).await;
    let binding = json!({"metadata": {"name": name}, "roleRef": {"kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "User", "name": user}]});
    let path = match namespace {
        Some(namespace) => format!("{RBAC}/namespaces/{namespace}/rolebindings"),
        None => format!("{RBAC}/clusterrolebindings"),
    };
    make(server, &path, binding).await;
}

async fn get(client: &Client, path: &str) -> (u16, Value) {
    json_of(client, "GET", path, Value::Null).await
}
