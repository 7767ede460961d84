//! Roles as they are enforced, and questions about them, which must agree.

use kube::Client;
use serde_json::{Value, json};

use super::{RBAC, as_user, get, grant, make, said};
use crate::apiserver::{eventually, json_of, open, raw, server};
use regatta::apiserver::User;

const CONFIGS: &str = "/api/v1/namespaces/default/configmaps";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1";

async fn can_i(client: &Client, attributes: Value) -> Value {
    let review = json!({"spec": {"resourceAttributes": attributes}});
    let (code, answer) = json_of(client, "POST", &format!("{REVIEWS}/selfsubjectaccessreviews"), review).await;
    assert_eq!(code, 201, "{answer}");
    answer["status"].clone()
}

#[tokio::test]
async fn without_a_binding_there_is_discovery_and_nothing_else() {
    let s = server().await;
    let ada = as_user(&s, "ada");
    let refused = get(&ada, CONFIGS).await;
    said(
        &refused,
        403,
        "configmaps is forbidden: User \"ada\" cannot list resource \"configmaps\" in API group \"\" in the namespace \
         \"default\"",
    );
    assert_eq!(refused.1["details"], json!({"kind": "configmaps"}));
    assert_eq!(refused.1["reason"], "Forbidden");
    said(
        &get(&ada, "/apis/sea.example/v1/namespaces/default/boats/ark/status").await,
        403,
        "boats.sea.example \"ark\" is forbidden: User \"ada\" cannot get resource \"boats/status\" in API group \
         \"sea.example\" in the namespace \"default\"",
    );
    said(
        &get(&ada, "/apis/no.such/v1/things").await,
        403,
        "things.no.such is forbidden: User \"ada\" cannot list resource \"things\" in API group \"no.such\" at the \
         cluster scope",
    );
    for path in ["/api", "/apis", "/api/v1", "/apis/sea.example/v1", "/openapi/v3", "/version", "/apis/sea.example"] {
        assert_eq!(get(&ada, path).await.0, 200, "{path}");
    }
    let stranger = s.server.client(User::new("stranger", &[]));
    let refused = get(&stranger, "/apis").await;
    said(&refused, 403, "forbidden: User \"stranger\" cannot get path \"/apis\"");
    assert_eq!(refused.1["details"], json!({}));
}

/// For each of many requests: whether it is refused, and what the review of it says.
#[tokio::test]
async fn a_review_and_the_deed_agree() {
    let s = server().await;
    make(&s, "/api/v1/namespaces", json!({"metadata": {"name": "sea"}})).await;
    let rules = json!([
        {"verbs": ["get", "watch", "create", "patch"], "apiGroups": ["", "sea.example"], "resources": ["configmaps", "boats", "boats/scale"]},
        {"verbs": ["delete"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["mine"]},
        {"verbs": ["list"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["mine"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["namespaces"]},
    ]);
    grant(&s, "sailor", "ada", Some("sea"), rules).await;
    let ada = as_user(&s, "ada");
    let (mut allowed, mut asked) = (0, 0);
    for namespace in ["sea", "default", ""] {
        for (group, plural) in [("", "configmaps"), ("", "secrets"), ("sea.example", "boats"), ("", "namespaces")] {
            let base = if group.is_empty() { "/api/v1".into() } else { format!("/apis/{group}/v1") };
            let scope = match (namespace, plural) {
                ("", _) | (_, "namespaces") => String::new(),
                (namespace, _) => format!("/namespaces/{namespace}"),
            };
            for (verb, method, name, suffix) in [
                ("list", "GET", "", ""),
                ("list", "GET", "mine", "?fieldSelector=metadata.name%3Dmine"),
                ("watch", "GET", "", "?watch=true&timeoutSeconds=1"),
                ("create", "POST", "", ""),
                ("deletecollection", "DELETE", "", "?dryRun=All"),
                ("get", "GET", "mine", "/mine"),
                ("update", "PUT", "mine", "/mine"),
                ("patch", "PATCH", "mine", "/mine"),
                ("delete", "DELETE", "mine", "/mine"),
                ("delete", "DELETE", "other", "/other"),
                ("get", "GET", "mine", "/mine/scale"),
                ("get", "GET", "mine", "/mine/status"),
            ] {
                let sub = suffix.strip_prefix("/mine/").unwrap_or_default();
                let path = format!("{base}{scope}/{plural}{suffix}");
                let path = if plural == "namespaces" { path.replace("/mine", "/sea") } else { path };
                let body = if matches!(method, "GET" | "DELETE") { Vec::new() } else { b"{}".to_vec() };
                let (code, _, text) = raw(&ada, method, &path, &[("content-type", "application/json")], &body).await;
                // A namespace is asked about in itself.
                let inside = match (plural, name) {
                    ("namespaces", "") => "",
                    ("namespaces", _) if suffix.starts_with('/') => "sea",
                    ("namespaces", _) => "",
                    _ => namespace,
                };
                let name = if plural == "namespaces" && suffix.starts_with('/') { "sea" } else { name };
                // The name that is not there in this table is not there in the path either.
                if plural == "namespaces" && suffix == "/other" {
                    continue;
                }
                let status = can_i(
                    &ada,
                    json!({"verb": verb, "group": group, "resource": plural, "subresource": sub,
                    "namespace": inside, "name": name}),
                )
                .await;
                asked += 1;
                allowed += usize::from(status["allowed"] == true);
                assert_eq!(code != 403, status["allowed"] == true, "{method} {path}: {code} {text} {status}");
            }
        }
    }
    assert!(asked > 100 && allowed > 10 && allowed < asked / 2, "{allowed} of {asked}");
}

#[tokio::test]
async fn nobody_gives_away_what_they_do_not_have() {
    let s = server().await;
    let own = json!([
        {"verbs": ["*"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings", "clusterroles"]},
        {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]},
    ]);
    // `*` on roles would include escalate and bind: those are taken out.
    let verbs = json!(["get", "list", "watch", "create", "update", "patch", "delete"]);
    let mut own = own;
    own[0]["verbs"] = verbs;
    grant(&s, "manager", "ada", None, own).await;
    let ada = as_user(&s, "ada");
    let roles = format!("{RBAC}/namespaces/default/roles");
    let role = |name: &str, verbs: &[&str], resources: &[&str]| json!({"metadata": {"name": name}, "rules": [{"verbs": verbs, "apiGroups": [""], "resources": resources}]});
    let refused = json_of(&ada, "POST", &roles, role("r", &["get", "delete"], &["configmaps", "secrets"])).await;
    said(
        &refused,
        403,
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"ada\" (groups=[\"system:authenticated\"]) is attempting \
         to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"configmaps\"], Verbs:[\"delete\"]}\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"delete\"]}",
    );
    let (code, made) = json_of(&ada, "POST", &roles, role("r", &["get"], &["configmaps"])).await;
    assert_eq!(code, 201, "{made}");
    let merge = [("content-type", "application/merge-patch+json")];
    let more = role("r", &["get", "list"], &["configmaps"]).to_string();
    assert_eq!(raw(&ada, "PATCH", &format!("{roles}/r"), &merge, more.as_bytes()).await.0, 403);
    let apply = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
        "rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]});
    let path = format!("{roles}/r?fieldManager=x&force=true");
    let headers = [("content-type", "application/apply-patch+yaml")];
    assert_eq!(raw(&ada, "PATCH", &path, &headers, apply.to_string().as_bytes()).await.0, 403);
    let labels = br#"{"metadata": {"finalizers": ["a.b/c"]}}"#;
    let (code, _, text) = raw(&ada, "PATCH", &format!("{roles}/r"), &merge, labels).await;
    assert_eq!(code, 200, "what the collector changes is nobody's gain: {text}");
    assert_eq!(
        raw(&ada, "PATCH", &format!("{roles}/r"), &merge, br#"{"metadata": {"finalizers": null}}"#).await.0,
        200
    );

    let gather = json!({"metadata": {"name": "g"}, "rules": [],
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}});
    let refused = json_of(&ada, "POST", &format!("{RBAC}/clusterroles"), gather).await;
    let why = "clusterroles.rbac.authorization.k8s.io \"g\" is forbidden: must have cluster-admin privileges to use the \
               aggregationRule";
    said(&refused, 403, why);

    let bindings = format!("{RBAC}/namespaces/default/rolebindings");
    let binding = |name: &str, kind: &str, role: &str| {
        json!({"metadata": {"name": name}, "roleRef": {"kind": kind, "name": role},
            "subjects": [{"kind": "User", "name": "ada"}]})
    };
    let refused = json_of(&ada, "POST", &bindings, binding("b", "ClusterRole", "cluster-admin")).await;
    assert_eq!(refused.0, 403);
    let message = refused.1["message"].as_str().unwrap();
    assert!(
        message.contains(
            "{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], Verbs:[\"*\"]}"
        )
    );
    let missing = json_of(&ada, "POST", &bindings, binding("b", "Role", "none")).await;
    said(&missing, 404, "roles.rbac.authorization.k8s.io \"none\" not found");
    assert_eq!(json_of(&ada, "POST", &bindings, binding("b", "Role", "r")).await.0, 201, "what she has herself");

    grant(
        &s,
        "binder",
        "ada",
        None,
        json!([{"verbs": ["bind"], "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["clusterroles"], "resourceNames": ["view"]}]),
    )
    .await;
    assert_eq!(json_of(&ada, "POST", &bindings, binding("c", "ClusterRole", "view")).await.0, 201);
    assert_eq!(json_of(&ada, "POST", &bindings, binding("d", "ClusterRole", "edit")).await.0, 403);
    grant(
        &s,
        "escalator",
        "ada",
        None,
        json!([{"verbs": ["escalate"], "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles"]}]),
    )
    .await;
    assert_eq!(json_of(&ada, "POST", &roles, role("all", &["*"], &["*"])).await.0, 201);
}

#[tokio::test]
async fn a_bindings_role_stays_what_it_was() {
    let s = server().await;
    let path = format!("{RBAC}/namespaces/default/rolebindings");
    let made = make(
        &s,
        &path,
        json!({"metadata": {"name": "b"}, "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "g"}, {"kind": "ServiceAccount", "name": "a", "namespace": "default"}]}),
    )
    .await;
    assert_eq!(made["roleRef"]["apiGroup"], "rbac.authorization.k8s.io", "left out, it is this group");
    assert_eq!(made["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(made["subjects"][1].get("apiGroup"), None);
    let mut other = made.clone();
    other["roleRef"]["name"] = "edit".into();
    let (code, refused) = json_of(&s.client, "PUT", &format!("{path}/b"), other).await;
    assert_eq!(code, 422);
    assert!(
        refused["message"].as_str().unwrap().contains("roleRef: Invalid value: ")
            && refused["message"].as_str().unwrap().ends_with("cannot change roleRef"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_apply_that_creates_needs_the_right_to_create() {
    let s = server().await;
    grant(
        &s,
        "patcher",
        "ada",
        None,
        json!([{"verbs": ["patch", "get"], "apiGroups": [""], "resources": ["configmaps"]}]),
    )
    .await;
    let ada = as_user(&s, "ada");
    let headers = [("content-type", "application/apply-patch+yaml")];
    let body = br#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}}"#;
    let path = format!("{CONFIGS}/a?fieldManager=x");
    let (code, _, text) = raw(&ada, "PATCH", &path, &headers, body).await;
    assert_eq!(code, 403, "{text}");
    assert!(text.contains("cannot create resource"), "{text}");
    make(&s, CONFIGS, json!({"metadata": {"name": "a"}})).await;
    assert_eq!(raw(&ada, "PATCH", &path, &headers, body).await.0, 200);
}

#[tokio::test]
async fn the_usual_roles_gather_what_is_labelled_for_them() {
    let s = server().await;
    let role = format!("{RBAC}/clusterroles/admin");
    let rules = async |path: &str| get(&s.client, path).await.1["rules"].to_string();
    assert!(rules(&role).await.contains("rolebindings") && rules(&role).await.contains("configmaps"));
    make(
        &s,
        &format!("{RBAC}/clusterroles"),
        json!({"metadata": {"name": "boats-view",
        "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"verbs": ["get"], "apiGroups": ["sea.example"], "resources": ["boats"]}]}),
    )
    .await;
    for name in ["view", "edit", "admin"] {
        let path = format!("{RBAC}/clusterroles/{name}");
        eventually(&format!("{name} gathers the new role"), async || rules(&path).await.contains("sea.example")).await;
    }
    let view = get(&s.client, &format!("{RBAC}/clusterroles/view")).await.1;
    let managers = view["metadata"]["managedFields"].as_array().unwrap();
    assert!(managers.iter().any(|entry| entry["manager"] == "clusterrole-aggregation-controller"), "{managers:?}");
    json_of(&s.client, "DELETE", &format!("{RBAC}/clusterroles/boats-view"), Value::Null).await;
    eventually("admin loses it again", async || !rules(&role).await.contains("sea.example")).await;
}

#[tokio::test]
async fn a_restart_leaves_roles_alone_and_completes_what_is_missing() {
    let s = server().await;
    let versions = async |client: &Client| {
        let (_, list) = get(client, &format!("{RBAC}/clusterroles")).await;
        let items = list["items"].as_array().unwrap().clone();
        let of = |object: &Value| (object["metadata"]["name"].clone(), object["metadata"]["resourceVersion"].clone());
        items.iter().map(of).collect::<Vec<_>>()
    };
    let before = versions(&s.client).await;
    assert!(before.iter().any(|(name, _)| name == "cluster-admin"));
    s.server.shutdown().await;
    let again = open(&s.home).await;
    let client = again.client(User::admin());
    assert_eq!(versions(&client).await, before);
    let basic = format!("{RBAC}/clusterroles/system:basic-user");
    let patch = async |path: &str, patch: Value| {
        let headers = [("content-type", "application/merge-patch+json")];
        assert_eq!(raw(&client, "PATCH", path, &headers, patch.to_string().as_bytes()).await.0, 200);
    };
    patch(&basic, json!({"rules": []})).await;
    let discovery = format!("{RBAC}/clusterroles/system:discovery");
    patch(
        &discovery,
        json!({"rules": [], "metadata": {"annotations":
        {"rbac.authorization.kubernetes.io/autoupdate": "false"}}}),
    )
    .await;
    json_of(&client, "DELETE", &format!("{RBAC}/clusterrolebindings/system:basic-user"), Value::Null).await;
    again.shutdown().await;
    let third = open(&s.home).await;
    let client = third.client(User::admin());
    assert_eq!(get(&client, &basic).await.1["rules"].as_array().unwrap().len(), 2);
    assert!(
        get(&client, &discovery).await.1["rules"].as_array().is_none_or(Vec::is_empty),
        "it is the administrator's"
    );
    assert_eq!(get(&client, &format!("{RBAC}/clusterrolebindings/system:basic-user")).await.0, 200);
}

#[tokio::test]
async fn reviews_say_what_somebody_else_may_do() {
    let s = server().await;
    grant(
        &s,
        "reader",
        "ada",
        Some("default"),
        json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]),
    )
    .await;
    let ask = async |path: &str, spec: Value| {
        json_of(&s.client, "POST", &format!("{REVIEWS}/{path}"), json!({"spec": spec})).await
    };
    let secrets = |namespace: &str| json!({"verb": "get", "resource": "secrets", "namespace": namespace});
    let (code, answer) =
        ask("subjectaccessreviews", json!({"user": "ada", "resourceAttributes": secrets("default")})).await;
    assert_eq!(code, 201);
    assert_eq!(
        answer["status"],
        json!({"allowed": true, "reason": "RBAC: allowed by RoleBinding \"reader/default\" of ClusterRole \"reader\" to User \"ada\""})
    );
    let (_, answer) = ask("subjectaccessreviews", json!({"user": "ada", "resourceAttributes": secrets("other")})).await;
    assert_eq!(answer["status"], json!({"allowed": false}));
    let masters = json!({"groups": ["system:masters"], "nonResourceAttributes": {"verb": "get", "path": "/x"}});
    assert_eq!(ask("subjectaccessreviews", masters).await.1["status"], json!({"allowed": true}));
    let local = "namespaces/default/localsubjectaccessreviews";
    let (_, answer) = ask(local, json!({"user": "ada", "resourceAttributes": secrets("default")})).await;
    assert_eq!(answer["status"]["allowed"], true);
    let refused = ask(local, json!({"user": "ada", "resourceAttributes": secrets("other")})).await;
    said(
        &refused,
        422,
        "LocalSubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.resourceAttributes.namespace: Invalid value: \
         \"other\": must match metadata.namespace",
    );
    let refused = ask("subjectaccessreviews", json!({"resourceAttributes": secrets("other")})).await;
    said(
        &refused,
        422,
        "SubjectAccessReview.authorization.k8s.io \"\" is invalid: spec.user: Invalid value: \"\": at least one of user or \
         group must be specified",
    );
    assert_eq!(ask("selfsubjectaccessreviews", json!({})).await.0, 422);
    assert_eq!(ask("selfsubjectrulesreviews", json!({})).await.0, 400);

    let ada = as_user(&s, "ada");
    let rules = json!({"spec": {"namespace": "default"}});
    let (_, answer) = json_of(&ada, "POST", &format!("{REVIEWS}/selfsubjectrulesreviews"), rules).await;
    let status = &answer["status"];
    assert!(
        status["resourceRules"]
            .as_array()
            .unwrap()
            .contains(&json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}))
    );
    assert_eq!(
        (&status["incomplete"], status["nonResourceRules"].as_array().unwrap().is_empty()),
        (&json!(false), false)
    );
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let (_, answer) = json_of(&ada, "POST", whoami, json!({})).await;
    assert_eq!(answer["status"]["userInfo"], json!({"username": "ada", "groups": ["system:authenticated"]}));
    let path = format!("{REVIEWS}/subjectaccessreviews");
    assert_eq!(json_of(&ada, "POST", &path, json!({})).await.0, 403, "asking about others is a right of its own");
}

#[tokio::test]
async fn impersonation_is_a_right_for_each_thing_taken_on() {
    let s = server().await;
    grant(
        &s,
        "actor",
        "ada",
        None,
        json!([
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"], "resourceNames": ["bob"]},
            {"verbs": ["impersonate"], "apiGroups": [""], "resources": ["groups"], "resourceNames": ["team"]},
            {"verbs": ["impersonate"], "apiGroups": ["authentication.k8s.io"], "resources": ["userextras/scopes"]},
        ]),
    )
    .await;
    let ada = as_user(&s, "ada");
    let whoami = async |client: &Client, headers: &[(&str, &str)]| {
        let all = [headers, &[("content-type", "application/json")]].concat();
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let (code, _, text) = raw(client, "POST", path, &all, b"{}").await;
        let answer: Value = serde_json::from_str(&text).unwrap();
        (code, if code == 201 { answer["status"]["userInfo"].clone() } else { answer["message"].clone() })
    };
    assert_eq!(
        whoami(&ada, &[("impersonate-user", "bob")]).await.1,
        json!({"username": "bob", "groups": ["system:authenticated"]})
    );
    let all = [("impersonate-user", "bob"), ("impersonate-group", "team"), ("impersonate-extra-scopes", "view")];
    assert_eq!(
        whoami(&ada, &all).await.1,
        json!({"username": "bob", "groups": ["team", "system:authenticated"], "extra": {"scopes": ["view"]}})
    );
    for (headers, message) in [
        (
            vec![("impersonate-user", "admin")],
            "users \"admin\" is forbidden: User \"ada\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope",
        ),
        (
            vec![("impersonate-user", "bob"), ("impersonate-group", "system:masters")],
            "groups \"system:masters\" is forbidden: User \"ada\" cannot impersonate resource \"groups\" in API group \"\" at the cluster scope",
        ),
        (
            vec![("impersonate-user", "system:serviceaccount:default:default")],
            "serviceaccounts \"default\" is forbidden: User \"ada\" cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"default\"",
        ),
        (
            vec![("impersonate-user", "bob"), ("impersonate-uid", "7")],
            "uids.authentication.k8s.io \"7\" is forbidden: User \"ada\" cannot impersonate resource \"uids\" in API group \"authentication.k8s.io\" at the cluster scope",
        ),
    ] {
        assert_eq!(whoami(&ada, &headers).await, (403, message.into()));
    }
    assert_eq!(whoami(&ada, &[("impersonate-group", "team")]).await.0, 400);
    let account = [("impersonate-user", "system:serviceaccount:default:x")];
    assert_eq!(
        whoami(&s.client, &account).await.1,
        json!({"username": "system:serviceaccount:default:x",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]})
    );
    // Who impersonates has the other's rights, not the own ones besides.
    assert_eq!(raw(&s.client, "GET", CONFIGS, &[("impersonate-user", "bob")], b"").await.0, 403);
}
