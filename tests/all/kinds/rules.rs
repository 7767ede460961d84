//! For every rule in the definitions an object that breaks it. A case is the kind's example, changed; the server must refuse
//! it at this field, in these words.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{CRDS, Kinds, examples};

struct Case {
    kind: &'static str,
    /// A merge patch over the spec of the kind's example.
    change: Value,
    field: &'static str,
    says: &'static str,
}

fn case(kind: &'static str, change: Value, field: &'static str, says: &'static str) -> Case {
    Case { kind, change, field, says }
}

fn repeated(key: &str, from: Value, n: usize) -> Value {
    json!({key: vec![from; n]})
}

fn on_creation() -> Vec<Case> {
    let repo = json!({"name": "r"});
    let tab = |tab: Value| json!({"tiles": [{"id": "a", "tabs": [tab]}]});
    let heal = |rule: Value| json!({"healing": [{"name": "h", "when": {"idleFor": "1h"}, "do": [rule]}]});
    vec![
        case(
            "Source",
            json!({"path": "/x", "git": {"url": "https://example.com/x.git"}}),
            "spec",
            "set exactly one of spec.path",
        ),
        case(
            "Source",
            json!({"path": null, "git": {"url": "example.com/x"}}),
            "spec.git.url",
            "a URL begins with https://",
        ),
        case(
            "Source",
            json!({"path": null, "git": {"url": "https://me:word@example.com/x.git"}}),
            "spec.git.url",
            "must not carry credentials",
        ),
        case(
            "Source",
            json!({"path": null, "git": {"url": "https://example.com/x.git", "dir": "a/../.."}}),
            "spec.git.dir",
            "dir must stay inside the repository",
        ),
        case("Agent", json!({"repoRef": repo, "directory": "/x"}), "spec", "not both"),
        case("Agent", json!({"branch": "b"}), "spec", "need spec.repoRef"),
        case("Agent", json!({"worktree": {"mode": "Own"}}), "spec", "spec.worktree needs spec.repoRef"),
        case(
            "Agent",
            json!({"prompt": {"taskRef": repo}, "forkFrom": {"agent": "a"}}),
            "spec",
            "spec.prompt.taskRef or spec.forkFrom",
        ),
        case(
            "Agent",
            json!({"repoRef": repo, "worktree": {"mode": "Shared"}}),
            "spec.worktree",
            "mode Shared needs agentRef",
        ),
        case("Agent", json!({"prompt": {}}), "spec.prompt", "exactly one of text, configMapRef and taskRef"),
        case("Agent", json!({"prompt": {"text": "x", "taskRef": repo}}), "spec.prompt", "exactly one of text"),
        case(
            "Agent",
            json!({"env": [{"name": "A", "value": "x", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
            "spec.env[0]",
            "set value or valueFrom, not both",
        ),
        case(
            "Agent",
            json!({"env": [{"name": "REGATTA_HOME", "value": "x"}]}),
            "spec.env[0]",
            "are set by Regatta itself",
        ),
        case(
            "Agent",
            json!({"host": {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}}),
            "spec.host.selector.matchExpressions[0]",
            "operators In and NotIn need values",
        ),
        case(
            "Agent",
            json!({"isolation": {"mode": "Sandbox", "image": "x"}}),
            "spec.isolation",
            "image is for mode Container or Pod",
        ),
        case("Agent", json!({"isolation": {"mode": "Pod"}}), "spec.isolation", "needs an image"),
        case(
            "Agent",
            json!({"isolation": {"mode": "None", "network": "None"}}),
            "spec.isolation",
            "need a mode other than None",
        ),
        case(
            "Agent",
            json!({"healing": [{"name": "h", "when": {}, "do": [{"action": "Notify"}]}]}),
            "spec.healing[0].when",
            "at least one of activity",
        ),
        case("Agent", heal(json!({"action": "Send"})), "spec.healing[0].do[0]", "action Send needs text"),
        case("Agent", heal(json!({"action": "Keys"})), "spec.healing[0].do[0]", "action Keys needs keys"),
        case(
            "Agent",
            heal(json!({"action": "Notify", "replayPrompt": true})),
            "spec.healing[0].do[0]",
            "replayPrompt needs action Restart",
        ),
        case("Repo", json!({"path": "/x"}), "spec", "exactly one of spec.url"),
        case("Repo", json!({"url": null}), "spec", "exactly one of spec.url"),
        case("Repo", json!({"initialize": true}), "spec", "spec.initialize needs spec.path"),
        case(
            "Repo",
            json!({"url": null, "path": "/x", "partialClone": "Blobless"}),
            "spec",
            "spec.partialClone needs spec.url",
        ),
        case("Repo", json!({"url": "https://me:secret@x.example/r"}), "spec.url", "must not carry a password"),
        case(
            "Repo",
            json!({"worktree": {"branchTemplate": "agents"}}),
            "spec.worktree.branchTemplate",
            "must contain {name}",
        ),
        case("Adapter", json!({"stop": [{"waitMs": 1}]}), "spec.stop[0]", "exactly one of signal, send and keys"),
        case(
            "Adapter",
            json!({"launch": {"options": [{"name": "n", "type": "Integer", "values": ["1"], "argv": ["-n"]}]}}),
            "spec.launch.options[0]",
            "values are for options of type String",
        ),
        case("Adapter", json!({"approve": {"keys": null}}), "spec.approve", "channel Keys needs keys"),
        case("Adapter", json!({"interrupt": {}}), "spec.interrupt", "exactly one of keys and call"),
        case("Adapter", json!({"limits": [{"id": "l"}]}), "spec.limits[0]", "set event"),
        case("AgentSet", json!({"replicas": 2}), "spec", "not both"),
        case(
            "AgentSet",
            json!({"template": {"spec": {"prompt": {"text": "x"}}}}),
            "spec",
            "spec.fanOut.prompts gives each agent its prompt",
        ),
        case(
            "AgentSet",
            json!({"fanOut": {"prompts": null, "repos": [repo]}, "template": {"spec": {"directory": "/x"}}}),
            "spec",
            "spec.fanOut.repos gives each agent its Repo",
        ),
        case(
            "AgentSet",
            json!({"fanOut": {"prompts": null, "taskSelector": {}}, "template": {"spec": {"prompt": {"text": "x"}}}}),
            "spec",
            "spec.fanOut.taskSelector gives each agent its task",
        ),
        case(
            "AgentSet",
            json!({"fanOut": {"repos": [repo]}}),
            "spec.fanOut",
            "exactly one of prompts, repos and taskSelector",
        ),
        case(
            "AgentSet",
            json!({"updateStrategy": {"type": "OnDelete"}}),
            "spec.updateStrategy",
            "maxUnavailable needs type RollingUpdate",
        ),
        case("Approval", json!({"decision": {"option": "maybe"}}), "spec", "must be the id of one of spec.options"),
        case("Approval", json!({"options": null}), "spec", "spec.options is needed"),
        case("Approval", json!({"decision": {"message": "x"}}), "spec.decision", "a decision needs option"),
        case(
            "Approval",
            json!({"decision": {"answers": [{"question": "q"}]}}),
            "spec.decision.answers[0]",
            "an answer needs labels or text",
        ),
        case(
            "ApprovalPolicy",
            json!({"rules": [{"name": "r", "when": "true", "then": "Answer"}]}),
            "spec.rules[0]",
            "then Answer needs answer",
        ),
        case(
            "ApprovalPolicy",
            json!({"rules": [{"name": "r", "when": "true", "then": "Answer", "answer": {}}]}),
            "spec.rules[0].answer",
            "exactly one of option",
        ),
        case("Task", json!({"boardRef": null}), "spec", "spec.column needs spec.boardRef"),
        case("Task", json!({"dependsOn": [{"name": "example-task"}]}), "<nil>", "must not name the Task itself"),
        case(
            "Board",
            json!({"columns": [{"name": "Open"}, {"name": "Doing"}]}),
            "spec",
            "one column must have terminal: true",
        ),
        case(
            "Board",
            json!({"columns": [{"name": "Open", "terminal": true}, {"name": "D", "terminal": true}]}),
            "spec",
            "one column must not be terminal",
        ),
        case(
            "Board",
            json!({"dispatch": {"column": "Nowhere"}}),
            "spec",
            "spec.dispatch.column must be one of spec.columns",
        ),
        case("Schedule", json!({"agent": null}), "spec", "exactly one of spec.agent, spec.task and spec.message"),
        case(
            "Schedule",
            json!({"agent": null, "message": {"text": "x"}}),
            "spec.message",
            "exactly one of agentRef and channelRef",
        ),
        case("Account", json!({"secretRef": repo}), "spec", "exactly one of spec.secretRef"),
        case("Account", json!({"resume": "Off"}), "spec", "spec.dailyBudget needs spec.resume: Capped"),
        case("Account", json!({"dailyBudget": null}), "spec", "spec.resume: Capped needs spec.dailyBudget"),
        case("Account", json!({"budget": {"maxCost": null}}), "spec.budget", "set maxCost, maxTokens or both"),
        case("Skill", json!({"repoRef": repo, "path": "x"}), "spec", "exactly one of spec.content"),
        case("Skill", json!({"path": "x"}), "spec", "spec.repoRef and spec.path go together"),
        case(
            "Channel",
            json!({"members": [{"name": "m"}]}),
            "spec.members[0]",
            "exactly one of agentRef, agentSelector and user",
        ),
        case(
            "NotificationPolicy",
            json!({"routes": [{"name": "p", "type": "WebPush"}]}),
            "spec",
            "spec.escalateAfter needs a route with escalation: true",
        ),
        case(
            "NotificationPolicy",
            json!({"routes": [{"name": "p", "type": "WebPush", "escalation": true}]}),
            "spec",
            "one route must not be for escalation",
        ),
        case(
            "NotificationPolicy",
            json!({"escalateAfter": null, "routes": [{"name": "p", "type": "Slack"}]}),
            "spec.routes[0]",
            "this type needs secretRef",
        ),
        case(
            "NotificationPolicy",
            json!({"escalateAfter": null, "routes": [{"name": "p", "type": "Slack", "secretRef": repo, "users": ["ada"]}]}),
            "spec.routes[0]",
            "users are for type WebPush",
        ),
        case(
            "NotificationPolicy",
            json!({"quietHours": {"to": "22:00"}}),
            "spec.quietHours",
            "from and to must differ",
        ),
        case(
            "Team",
            json!({"members": [{"kind": "User", "name": "ada", "role": "Admin"}]}),
            "spec",
            "one member must have role Owner",
        ),
        case(
            "ShareGrant",
            json!({"subject": {"group": "g"}}),
            "spec.subject",
            "exactly one of user, group and teamRef",
        ),
        case("ShareGrant", json!({"target": {"repoRef": repo}}), "spec.target", "exactly one of agentRef, repoRef"),
        case(
            "Workspace",
            json!({"tiles": [{"id": "a", "split": "Row"}, {"id": "b", "split": "Row"}]}),
            "spec",
            "exactly one tile is the outermost",
        ),
        case(
            "Workspace",
            json!({"tiles": [{"id": "a", "split": "Row"}, {"id": "b", "parent": "c", "split": "Row"}]}),
            "spec",
            "every tile's parent must be the id of a tile with split",
        ),
        case(
            "Workspace",
            json!({"tiles": [{"id": "a", "split": "Row"}]}),
            "spec",
            "must be the parent of at least one other tile",
        ),
        case("Workspace", json!({"tiles": [{"id": "a"}]}), "spec.tiles[0]", "either split (others are inside) or tabs"),
        case(
            "Workspace",
            json!({"tiles": [{"id": "a", "parent": "a", "split": "Row"}]}),
            "spec.tiles[0]",
            "a tile cannot be inside itself",
        ),
        case("Workspace", tab(json!({"view": "Board"})), "spec.tiles[0].tabs[0]", "view Board needs boardRef"),
        case("Workspace", tab(json!({"view": "Chat"})), "spec.tiles[0].tabs[0]", "this view needs agentRef"),
        case(
            "Workspace",
            tab(json!({"view": "Chat", "agentRef": repo, "path": "x"})),
            "spec.tiles[0].tabs[0]",
            "path is for views Files and Diff",
        ),
        // Not rules of ours, but of what a list is.
        case("Agent", repeated("env", json!({"name": "A", "value": "x"}), 2), "spec.env[1]", "Duplicate value"),
        case("Team", json!({"namespaces": ["a", "a"]}), "spec.namespaces[1]", "Duplicate value"),
        case("Agent", json!({"log": {"maxBytes": "lots"}}), "spec.log.maxBytes", "should match"),
        case("Agent", json!({"hibernateAfter": "soon"}), "spec.hibernateAfter", "should match"),
        case("Account", json!({"budget": {"maxCost": "1e3"}}), "spec.budget.maxCost", "should match"),
        case("Skill", json!({"content": null, "repoRef": repo, "path": "../x"}), "spec.path", "should match"),
    ]
}

/// What may not change once it is there: the change before, and the one that is refused.
fn on_change() -> Vec<(Value, Case)> {
    let repo = |name: &str| json!({"repoRef": {"name": name}});
    let decided = json!({"decision": {"option": "deny", "by": "ada"}});
    vec![
        (repo("a"), case("Agent", repo("b"), "spec", "spec.repoRef cannot change")),
        (repo("a"), case("Agent", json!({"repoRef": null}), "spec", "spec.repoRef cannot change")),
        (json!({"directory": "/a"}), case("Agent", json!({"directory": "/b"}), "spec", "spec.directory cannot change")),
        (json!({}), case("Agent", json!({"adapter": "shell", "command": null}), "spec", "spec.adapter cannot change")),
        (
            json!({"forkFrom": {"agent": "a"}}),
            case("Agent", json!({"forkFrom": {"agent": "b"}}), "spec", "spec.forkFrom cannot change"),
        ),
        (json!({"url": null, "path": "/a"}), case("Repo", json!({"path": "/b"}), "spec", "spec.path cannot change")),
        (
            json!({"selector": {}}),
            case("AgentSet", json!({"selector": {"matchLabels": {"a": "b"}}}), "spec", "spec.selector cannot change"),
        ),
        (
            decided.clone(),
            case(
                "Approval",
                json!({"decision": {"option": "allow-once"}}),
                "spec",
                "already answered by ada with deny",
            ),
        ),
        (decided, case("Approval", json!({"decision": null}), "spec", "already answered by ada")),
        (
            json!({}),
            case(
                "Approval",
                json!({"kind": "Plan"}),
                "spec",
                "spec.agentRef, spec.kind and spec.summary are what was asked",
            ),
        ),
        (json!({}), case("Approval", json!({"tool": null}), "spec", "spec.tool is what was asked")),
        (json!({}), case("Approval", json!({"input": "{}"}), "spec", "spec.input is what was asked")),
        (
            json!({}),
            case(
                "Approval",
                json!({"options": [{"id": "x", "label": "x", "effect": "Allow"}]}),
                "spec",
                "spec.options are what was offered",
            ),
        ),
        (
            json!({"claim": {"holder": "ada"}}),
            case("Task", json!({"claim": {"holder": "grace"}}), "spec", "already claimed by ada"),
        ),
        (json!({}), case("Board", json!({"key": "OTHER"}), "spec", "spec.key cannot change")),
        (json!({}), case("ShareGrant", json!({"subject": {"user": "eve"}}), "spec", "spec.subject cannot change")),
        (
            json!({}),
            case("ShareGrant", json!({"target": {"agentRef": {"name": "other"}}}), "spec", "spec.target cannot change"),
        ),
    ]
}

fn changed(kind: &str, change: &Value) -> Value {
    let mut object = examples().remove(kind).unwrap();
    json_patch::merge(&mut object, &json!({"spec": change}));
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_refuses_what_breaks_it_at_its_field_and_says_what_to_do() {
    let kinds = Kinds::start().await;
    let mut said = BTreeSet::new();
    let mut check = |case: &Case, answer: &super::Answer| {
        let Case { kind, change, field, says } = case;
        assert_eq!(answer.code, 422, "{kind} {change}: {}", answer.message);
        let found = answer.causes.iter().any(|(at, message)| at == field && message.contains(says));
        assert!(found, "{kind} {change}: not {field:?} {says:?} but {:?}", answer.causes);
        said.extend(answer.causes.iter().map(|(_, message)| message.clone()));
    };
    for case in on_creation() {
        check(&case, &kinds.create(&changed(case.kind, &case.change), true).await);
    }
    for (i, (before, case)) in on_change().into_iter().enumerate() {
        let mut object = changed(case.kind, &before);
        object["metadata"]["name"] = json!(format!("case-{i}"));
        let made = kinds.create(&object, false).await;
        assert_eq!(made.code, 200, "{} {before}: {}", case.kind, made.message);
        check(&case, &kinds.change(&object, &json!({"spec": case.change})).await);
    }
    let without: Vec<String> = rules().into_iter().filter(|rule| !said.iter().any(|s| s.contains(rule))).collect();
    assert!(without.is_empty(), "rules without a case here: {without:#?}");
}

/// The message of every rule, or the beginning of what it says where that is computed.
fn rules() -> BTreeSet<String> {
    fn walk(schema: &Value, out: &mut BTreeSet<String>) {
        for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
            let computed = rule["messageExpression"].as_str().and_then(|text| text.split('\'').nth(1));
            out.insert(computed.or(rule["message"].as_str()).unwrap().to_owned());
        }
        for child in schema["properties"].as_object().into_iter().flat_map(|p| p.values()) {
            walk(child, out);
        }
        for key in ["items", "additionalProperties"] {
            if schema[key].is_object() {
                walk(&schema[key], out);
            }
        }
    }
    let mut out = BTreeSet::new();
    for crd in CRDS.iter() {
        let value = serde_json::to_value(crd).unwrap();
        walk(&value["spec"]["versions"][0]["schema"]["openAPIV3Schema"], &mut out);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_bound_in_an_object_may_change_in_a_template() {
    let kinds = Kinds::start().await;
    let mut set = changed("AgentSet", &json!({"template": {"spec": {"repoRef": {"name": "a"}}}}));
    set["metadata"]["name"] = json!("free");
    assert_eq!(kinds.create(&set, false).await.code, 200);
    let answer = kinds
        .change(&set, &json!({"spec": {"template": {"spec": {"adapter": "command", "repoRef": {"name": "b"}}}}}))
        .await;
    assert_eq!(answer.code, 200, "{}", answer.message);
}
