//! Decisions as tables: roles and bindings in YAML, then who may do what.

use std::time::Instant;

use serde_json::{Value, json};

use super::*;
use crate::apiserver::storage::{Change, Expect, Write};

struct World {
    store: Store,
    authorizer: Authorizer,
    _home: tempfile::TempDir,
    _writer: tokio::task::JoinHandle<()>,
}

impl World {
    async fn new(objects: &str) -> World {
        let home = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(&home.path().join("api.db")).await.unwrap();
        let world = World { authorizer: Authorizer::new(&store), store, _home: home, _writer: writer };
        for document in objects.split("---") {
            world.put(serde_saphyr::from_str(document).unwrap()).await;
        }
        world
    }

    async fn put(&self, object: Value) {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_string();
        let collection = self.store.collection(&format!("{GROUP}/{}s", text("/kind").to_lowercase()));
        let key = format!("{}/{}", text("/metadata/namespace"), text("/metadata/name"));
        let before = collection.get(&key);
        let (expect, change) = match &before {
            Some(stored) => (Expect::Version(stored.version), Change::Modified),
            None => (Expect::Absent, Change::Added),
        };
        self.store.write(Write { collection, key, expect, object, change, namespace: None }).await.unwrap();
    }

    fn may(&self, user: &User, question: &str) -> bool {
        self.authorizer.decide(user, &ask(question)).allowed
    }
}

/// `verb group|resource|subresource|namespace|name`, or `verb /path`.
fn ask(text: &str) -> Ask<'_> {
    let (verb, what) = text.split_once(' ').unwrap();
    if what.starts_with('/') {
        return Ask { verb, what: What::Path(what) };
    }
    let parts: Vec<&str> = what.split('|').collect();
    let [group, resource, subresource, namespace, name] = parts[..] else { panic!("five parts: {what}") };
    Ask { verb, what: What::Resource(Place { group, resource, subresource, namespace, name }) }
}

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(|group| group.to_string()).collect(), ..User::default() }
}

const OBJECTS: &str = r#"
kind: ClusterRole
metadata: {name: reader}
rules:
- {verbs: [get, list], apiGroups: ["", regatta.dev], resources: [secrets, agents, agents/log, "*/scale"]}
- {verbs: [get], apiGroups: [""], resources: [configmaps], resourceNames: [one, two]}
- {verbs: [get], nonResourceURLs: [/metrics, /logs/*]}
---
kind: ClusterRole
metadata: {name: all}
rules: [{verbs: ["*"], apiGroups: ["*"], resources: ["*"]}]
---
kind: Role
metadata: {name: typist, namespace: a}
rules: [{verbs: [create], apiGroups: [regatta.dev], resources: [agents/input]}]
---
kind: ClusterRoleBinding
metadata: {name: readers}
roleRef: {kind: ClusterRole, name: reader}
subjects: [{kind: Group, name: team}, {kind: ServiceAccount, name: bot, namespace: a}, {kind: ServiceAccount, name: lost}]
---
kind: RoleBinding
metadata: {name: local, namespace: a}
roleRef: {kind: ClusterRole, name: reader}
subjects: [{kind: User, name: ada}, {kind: ServiceAccount, name: here}]
---
kind: RoleBinding
metadata: {name: typing, namespace: a}
roleRef: {kind: Role, name: typist}
subjects: [{kind: User, name: ada}]
---
kind: RoleBinding
metadata: {name: owner, namespace: b}
roleRef: {kind: ClusterRole, name: all}
subjects: [{kind: User, name: bob}]
---
kind: RoleBinding
metadata: {name: dangling, namespace: b}
roleRef: {kind: Role, name: gone}
subjects: [{kind: User, name: eve}]
"#;

#[tokio::test]
async fn decisions_are_upstreams() {
    let world = World::new(OBJECTS).await;
    let table = [
        (
            "team member",
            user("x", &["team"]),
            vec![
                (true, "get |secrets||a|s"),
                (true, "list |secrets|||"),
                (false, "watch |secrets|||"),
                (false, "get apps|secrets||a|s"),
                (true, "get regatta.dev|agents|log|a|x"),
                (false, "get regatta.dev|agents|terminal|a|x"),
                (false, "get regatta.dev|agents|status|a|x"),
                (true, "get regatta.dev|agentsets|scale|a|x"),
                (false, "get regatta.dev|agentsets||a|x"),
                (true, "get |configmaps||a|one"),
                (false, "get |configmaps||a|three"),
                (false, "list |configmaps||a|"),
                (true, "get /metrics"),
                (true, "get /logs/a/b"),
                (true, "get /logs/"),
                (false, "get /logs"),
                (false, "get /metrics/x"),
                (false, "post /metrics"),
            ],
        ),
        (
            "a user in one namespace",
            user("ada", &[]),
            vec![
                (true, "get |secrets||a|s"),
                (false, "get |secrets||b|s"),
                (false, "list |secrets|||"),
                (true, "create regatta.dev|agents|input|a|x"),
                (false, "create regatta.dev|agents|input|b|x"),
                (false, "create regatta.dev|agents||a|"),
                (false, "get /metrics"),
            ],
        ),
        (
            "everything in a namespace",
            user("bob", &[]),
            vec![
                (true, "delete x.y|zs|sub|b|n"),
                (true, "impersonate |serviceaccounts||b|n"),
                (false, "delete x.y|zs||a|n"),
                (false, "get |nodes|||"),
                (true, "get |namespaces||b|b"),
            ],
        ),
        ("a service account", user("system:serviceaccount:a:bot", &[]), vec![(true, "get |secrets||z|s")]),
        (
            "one of the binding's namespace",
            user("system:serviceaccount:a:here", &[]),
            vec![(true, "get |secrets||a|s"), (false, "get |secrets||z|s")],
        ),
        ("one without a namespace", user("system:serviceaccount::lost", &[]), vec![(false, "get |secrets||a|s")]),
        ("somebody called like a group", user("team", &[]), vec![(false, "get |secrets||a|s")]),
        ("a role that is not there", user("eve", &[]), vec![(false, "get |secrets||b|s")]),
        ("nobody", user("", &[]), vec![(false, "get |secrets||a|s"), (false, "get /metrics")]),
        ("a master", user("x", &[MASTERS]), vec![(true, "delete |anything||a|b"), (true, "post /x")]),
    ];
    for (who, user, questions) in table {
        for (expected, question) in questions {
            assert_eq!(world.may(&user, question), expected, "{who}: {question}");
        }
    }
}

#[tokio::test]
async fn reasons_name_the_binding_or_its_fault() {
    let world = World::new(OBJECTS).await;
    let reason = |user: &User, question: &str| world.authorizer.decide(user, &ask(question)).reason;
    assert_eq!(
        reason(&user("x", &["team"]), "get |secrets||a|s"),
        r#"RBAC: allowed by ClusterRoleBinding "readers" of ClusterRole "reader" to Group "team""#
    );
    assert_eq!(
        reason(&user("system:serviceaccount:a:here", &[]), "get |secrets||a|s"),
        r#"RBAC: allowed by RoleBinding "local/a" of ClusterRole "reader" to ServiceAccount "here/a""#
    );
    let eve = user("eve", &[]);
    let question = ask("get |secrets||b|s");
    let refused = world.authorizer.require(&eve, &question).unwrap_err();
    assert_eq!(
        refused.message,
        "secrets \"s\" is forbidden: User \"eve\" cannot get resource \"secrets\" in API group \"\" in the namespace \
         \"b\": RBAC: role.rbac.authorization.k8s.io \"gone\" not found"
    );
    assert_eq!(Value::Object(refused.details), json!({"name": "s", "kind": "secrets"}));
    let refused = world.authorizer.require(&user("<b>", &[]), &ask("list regatta.dev|hosts|||")).unwrap_err();
    assert_eq!(
        refused.message,
        "hosts.regatta.dev is forbidden: User \"&lt;b&gt;\" cannot list resource \"hosts\" in API group \"regatta.dev\" at the \
         cluster scope"
    );
    let refused = world.authorizer.require(&eve, &ask("get /metrics")).unwrap_err();
    assert_eq!(refused.message, "forbidden: User \"eve\" cannot get path \"/metrics\"");
}

#[tokio::test]
async fn a_change_counts_at_once() {
    let world = World::new(OBJECTS).await;
    let ada = user("ada", &[]);
    assert!(world.may(&ada, "create regatta.dev|agents|input|a|x"));
    world.put(json!({"kind": "Role", "metadata": {"name": "typist", "namespace": "a"}, "rules": null})).await;
    assert!(!world.may(&ada, "create regatta.dev|agents|input|a|x"));
    let role = json!({"kind": "Role", "metadata": {"name": "gone", "namespace": "b"},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"]}]});
    world.put(role).await;
    assert!(world.may(&user("eve", &[]), "get |secrets||b|s"), "a binding waits for its role");
}

#[tokio::test]
async fn rules_of_a_binding_are_listed_once() {
    let world = World::new(OBJECTS).await;
    let both = user("system:serviceaccount:a:bot", &["team"]);
    let (rules, trouble) = world.authorizer.rules(&both, "");
    assert_eq!((rules.len(), trouble), (3, None));
    let (rules, trouble) = world.authorizer.rules(&user("eve", &[]), "b");
    assert!(rules.is_empty() && trouble.unwrap().contains("\"gone\" not found"));
}

/// A request costs at most a few microseconds of deciding, however many bindings others have.
#[tokio::test]
async fn a_thousand_bindings_cost_a_request_nothing_to_speak_of() {
    let world = World::new(OBJECTS).await;
    let bindings = (0..1000).map(|i| {
        world.put(json!({"kind": "RoleBinding", "metadata": {"name": format!("b{i}"), "namespace": format!("n{}", i % 20)},
            "roleRef": {"kind": "ClusterRole", "name": "reader"},
            "subjects": [{"kind": "User", "name": format!("u{i}")}, {"kind": "Group", "name": format!("g{}", i % 50)}]}))
    });
    futures::future::join_all(bindings).await;
    let follow = Instant::now();
    assert!(world.may(&user("u7", &[]), "get |secrets||n7|s"));
    let follow = follow.elapsed();
    let many = user("u7", &["system:authenticated", "g7", "g8"]);
    let rounds = 10_000;
    let start = Instant::now();
    for _ in 0..rounds {
        assert!(world.may(&many, "get |secrets||n7|s"));
        assert!(!world.may(&many, "delete |secrets||n7|s"));
    }
    let each = start.elapsed() / (2 * rounds);
    println!("following 1000 new bindings took {follow:?}, a decision {each:?}");
    // Without optimisation and on a busy machine still far below what any request costs.
    assert!(each.as_micros() < 200, "{each:?}");
}
