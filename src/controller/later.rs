//! Kinds whose controllers come later: each object is told so, instead of waiting for somebody who is not there. Counts and
//! words that follow from the spec alone are written as well, so that columns show them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::task::JoinSet;

use crate::api::conditions::{NOT_IMPLEMENTED, READY, STALLED, Truth, Verdict};
use crate::api::share_grant::{Subject, Target};
use crate::api::{
    Account, Adapter, AgentSet, Approval, ApprovalPolicy, Board, Channel, NotificationPolicy, Schedule, ShareGrant,
    Skill, Task, Team, Workspace,
};
use crate::plan::status::to_seconds;
use crate::reconcile::watched::Watched;
use crate::reconcile::write::{self, Object};

const MANAGER: &str = "later";

/// After a round in which a write failed.
const RETRY: Duration = Duration::from_secs(5);

/// A kind that this version keeps and does not act on.
trait Later: Object + Serialize {
    /// What does not happen, and what to use meanwhile.
    const WORDS: &'static str;

    /// Fields of the status that follow from the spec alone.
    fn facts(&self) -> Value {
        json!({})
    }
}

impl Later for Adapter {
    const WORDS: &'static str =
        "this version launches by the adapters that come with it, shell and command; use one of them in spec.adapter";
    fn facts(&self) -> Value {
        json!({"command": self.spec.launch.argv.first()})
    }
}

impl Later for AgentSet {
    const WORDS: &'static str = "this version makes no agents from an AgentSet; apply each Agent, or use `regatta run`";
}

impl Later for Approval {
    const WORDS: &'static str =
        "this version carries no decision to an agent; answer in its terminal, by `regatta attach` or on its page";
}

impl Later for ApprovalPolicy {
    const WORDS: &'static str = "this version answers nothing by itself; every question waits in its agent's terminal";
    fn facts(&self) -> Value {
        json!({"rules": self.spec.rules.len()})
    }
}

impl Later for Task {
    const WORDS: &'static str =
        "this version gives tasks to nobody; claims hold, and the words can go into an Agent's spec.prompt.text";
}

impl Later for Board {
    const WORDS: &'static str = "this version numbers and dispatches no tasks; list them by `kubectl get tasks`";
    fn facts(&self) -> Value {
        json!({"columns": self.spec.columns.len()})
    }
}

impl Later for Schedule {
    const WORDS: &'static str =
        "this version starts nothing by the clock; use cron or a systemd timer with `regatta run`";
}

impl Later for Account {
    const WORDS: &'static str =
        "this version knows no limits and no budgets; log in on the host, or by spec.env of the agents";
}

impl Later for Skill {
    const WORDS: &'static str =
        "this version hands no skills to agents; put the words into spec.prompt.text, or a file into the repository";
    fn facts(&self) -> Value {
        json!({"targets": (!self.spec.targets.is_empty()).then(|| self.spec.targets.join(","))})
    }
}

impl Later for Channel {
    const WORDS: &'static str = "this version carries no messages; use `regatta send` to write to an agent";
    fn facts(&self) -> Value {
        json!({"members": self.spec.members.len()})
    }
}

impl Later for NotificationPolicy {
    const WORDS: &'static str = "this version notifies nobody; watch `kubectl get agents -w` or the page";
    fn facts(&self) -> Value {
        json!({"routes": self.spec.routes.len()})
    }
}

impl Later for Team {
    const WORDS: &'static str = "this version gives a Team's members no rights; use Roles and RoleBindings";
    fn facts(&self) -> Value {
        json!({"members": self.spec.members.len(), "namespaces": self.spec.namespaces.len()})
    }
}

impl Later for ShareGrant {
    const WORDS: &'static str =
        "this version gives no rights by a ShareGrant; use a Role with resourceNames and a RoleBinding";
    fn facts(&self) -> Value {
        json!({"subject": subject(&self.spec.subject), "target": target(&self.spec.target)})
    }
}

impl Later for Workspace {
    const WORDS: &'static str = "this version's page draws no saved arrangements; open agents side by side in windows";
    fn facts(&self) -> Value {
        json!({"tiles": self.spec.tiles.len()})
    }
}

/// Runs one loop a kind until the task is ended.
pub async fn run(client: Client) {
    let mut tasks = JoinSet::new();
    let anywhere = &client;
    follow::<AgentSet>(anywhere, write::api_of, &mut tasks);
    follow::<Approval>(anywhere, write::api_of, &mut tasks);
    follow::<ApprovalPolicy>(anywhere, write::api_of, &mut tasks);
    follow::<Task>(anywhere, write::api_of, &mut tasks);
    follow::<Board>(anywhere, write::api_of, &mut tasks);
    follow::<Schedule>(anywhere, write::api_of, &mut tasks);
    follow::<Account>(anywhere, write::api_of, &mut tasks);
    follow::<Skill>(anywhere, write::api_of, &mut tasks);
    follow::<Channel>(anywhere, write::api_of, &mut tasks);
    follow::<NotificationPolicy>(anywhere, write::api_of, &mut tasks);
    follow::<ShareGrant>(anywhere, write::api_of, &mut tasks);
    follow::<Workspace>(anywhere, write::api_of, &mut tasks);
    follow::<Adapter>(anywhere, |client, _| Api::all(client.clone()), &mut tasks);
    follow::<Team>(anywhere, |client, _| Api::all(client.clone()), &mut tasks);
    // They loop for ever: one that ends has panicked, and the controllers end with it.
    if let Some(Err(error)) = tasks.join_next().await {
        std::panic::resume_unwind(error.into_panic());
    }
}

fn follow<K: Later>(client: &Client, api_of: fn(&Client, &K) -> Api<K>, tasks: &mut JoinSet<()>) {
    let objects: Watched<K> = Watched::start(client.clone(), tasks);
    let client = client.clone();
    tasks.spawn(async move {
        let mut changes = objects.changes();
        objects.ready().await;
        loop {
            let settled = round(&client, api_of, objects.all()).await;
            let waiting = async {
                // Lagging is a change as well; the mirror behind the channel lives as long as this loop.
                while let Err(RecvError::Closed) = changes.recv().await {
                    std::future::pending::<()>().await;
                }
            };
            if settled {
                waiting.await;
            } else {
                drop(tokio::time::timeout(RETRY, waiting).await);
            }
            while !matches!(changes.try_recv(), Err(TryRecvError::Empty | TryRecvError::Closed)) {}
        }
    });
}

/// Whether every object has been told.
async fn round<K: Later>(client: &Client, api_of: fn(&Client, &K) -> Api<K>, objects: Vec<Arc<K>>) -> bool {
    let mut settled = true;
    for object in objects {
        let Some(status) = status(&*object, Timestamp::now()) else { continue };
        let written = write::status(&api_of(client, &object), &*object, MANAGER, &status).await;
        if let Err(error) = written.map(|_| ())
            && !write::outdated(&error)
        {
            tracing::warn!(kind = %K::kind(&()), name = object.name_any(), %error, "cannot say that a kind comes later");
            settled = false;
        }
    }
    settled
}

/// The status to write; nothing when the object says it already.
fn status<K: Later>(object: &K, now: Timestamp) -> Option<Value> {
    let whole = serde_json::to_value(object).expect("an object that came as JSON is JSON again");
    let before: Vec<Condition> = serde_json::from_value(whole["status"]["conditions"].clone()).unwrap_or_default();
    let generation = object.meta().generation;
    let message = format!("{} is kept and not acted on: {}", K::kind(&()), K::WORDS);
    let conditions = [(READY, Truth::False), (STALLED, Truth::True)]
        .map(|(kind, truth)| Verdict::new(kind, truth, NOT_IMPLEMENTED, &message))
        .map(|verdict| verdict.over(&before, generation, &to_seconds(now)));
    let mut status: Map<String, Value> = match object.facts() {
        Value::Object(facts) => facts.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    };
    status.insert("observedGeneration".into(), json!(generation));
    status.insert("conditions".into(), json!(conditions));
    let said = status.iter().all(|(name, value)| whole["status"][name] == *value);
    (!said).then_some(Value::Object(status))
}

fn subject(subject: &Subject) -> Option<String> {
    let Subject { user, group, team_ref } = subject;
    let named = |kind: &str, name: &str| format!("{kind}/{name}");
    user.as_deref()
        .map(|name| named("user", name))
        .or_else(|| group.as_deref().map(|name| named("group", name)))
        .or_else(|| team_ref.as_ref().map(|team| named("team", &team.name)))
}

fn target(target: &Target) -> Option<String> {
    let Target { agent_ref, repo_ref, board_ref, channel_ref, workspace_ref } = target;
    let all = [
        ("agent", agent_ref),
        ("repo", repo_ref),
        ("board", board_ref),
        ("channel", channel_ref),
        ("workspace", workspace_ref),
    ];
    all.into_iter().find_map(|(kind, name)| Some(format!("{kind}/{}", name.as_ref()?.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::from_value;

    fn board(generation: i64, status: Value) -> Board {
        from_value(json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Board",
            "metadata": {"name": "b", "namespace": "default", "generation": generation},
            "spec": {"key": "PROJ", "columns": [{"name": "Open"}, {"name": "Done", "terminal": true}]},
            "status": status,
        }))
        .unwrap()
    }

    #[test]
    fn an_object_is_told_once_a_generation_with_what_to_use_meanwhile() {
        let now = Timestamp::UNIX_EPOCH;
        let told = status(&board(1, json!({})), now).unwrap();
        assert_eq!(told["columns"], 2);
        assert_eq!(told["observedGeneration"], 1);
        let ready = &told["conditions"][0];
        assert_eq!(
            (&ready["type"], &ready["status"], &ready["reason"]),
            (&json!("Ready"), &json!("False"), &json!("NotImplemented"))
        );
        assert!(ready["message"].as_str().unwrap().contains("kubectl get tasks"));
        assert_eq!(status(&board(1, told.clone()), now), None);
        assert!(status(&board(2, told), now).is_some());
    }

    #[test]
    fn what_others_wrote_into_the_status_is_no_reason_to_write() {
        let now = Timestamp::UNIX_EPOCH;
        let mut told = status(&board(1, json!({})), now).unwrap();
        told["open"] = json!(3);
        assert_eq!(status(&board(1, told), now), None);
    }

    #[test]
    fn a_grant_says_whom_and_what_in_words() {
        let spec =
            json!({"subject": {"teamRef": {"name": "core"}}, "target": {"agentRef": {"name": "a"}}, "access": "View"});
        let grant: ShareGrant = from_value(json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "ShareGrant", "metadata": {"name": "g"}, "spec": spec,
        }))
        .unwrap();
        assert_eq!(grant.facts(), json!({"subject": "team/core", "target": "agent/a"}));
        assert_eq!(grant.spec.expires_after, "720h");
    }
}
