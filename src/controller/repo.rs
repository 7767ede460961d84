//! Repo status (but for `mirrors`, which each host's link writes), and the finalizer that keeps a Repo while agents use it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::{Client, ResourceExt};

use super::Stores;
use super::placement::{host_of, repo_of};
use super::rounds::{Pace, Round};
use crate::api::conditions::{FETCHED, READY, RECONCILING, STALLED, Truth, Verdict, shorten};
use crate::api::repo::Mirror;
use crate::api::{Agent, REPO_FINALIZER, Repo, RepoStatus};
use crate::plan::status::to_seconds;
use crate::plan::unsupported;
use crate::reconcile::watched::Key;
use crate::reconcile::write;

const MANAGER: &str = "repo";

/// How many agents a message names before it only counts them.
const NAMED_AGENTS: usize = 5;

pub async fn run(client: Client, stores: Stores) {
    let mut pace = Pace::new(stores.agents.changes(), stores.repos.changes());
    stores.ready().await;
    loop {
        let outcome = round(&client, &stores).await;
        pace.after(outcome).await;
    }
}

async fn round(client: &Client, stores: &Stores) -> Round {
    let mut users: HashMap<Key, Vec<Arc<Agent>>> = HashMap::new();
    for agent in stores.agents.all() {
        if let Some(repo) = repo_of(&agent) {
            users.entry(repo).or_default().push(agent);
        }
    }
    let mut outcome = Round::Settled;
    for repo in stores.repos.all() {
        let agents = users.get(&Key::of(&*repo)).map_or(&[][..], Vec::as_slice);
        if let Err(error) = reconcile(client, &repo, agents).await
            && !write::outdated(&error)
        {
            tracing::warn!(repo = repo.name_any(), %error, "cannot reconcile a repo");
            outcome = Round::Unfinished;
        }
    }
    outcome
}

async fn reconcile(client: &Client, repo: &Repo, agents: &[Arc<Agent>]) -> kube::Result<()> {
    let api = write::api_of(client, repo);
    let held = repo.finalizers().iter().any(|f| f == REPO_FINALIZER);
    let deleting = repo.metadata.deletion_timestamp.is_some();
    if deleting && agents.is_empty() {
        return if held { write::remove_finalizer(&api, repo, REPO_FINALIZER).await } else { Ok(()) };
    }
    if !deleting && !held {
        write::add_finalizer(&api, repo, REPO_FINALIZER).await?;
    }
    let status = status(repo, agents, Timestamp::now());
    let same = repo.status.as_ref().is_some_and(|s| RepoStatus { mirrors: Vec::new(), ..s.clone() } == status);
    if !same {
        write::status(&api, repo, MANAGER, &status).await?;
    }
    Ok(())
}

fn status(repo: &Repo, agents: &[Arc<Agent>], now: Timestamp) -> RepoStatus {
    let empty = RepoStatus::default();
    let before = repo.status.as_ref().unwrap_or(&empty);
    let generation = repo.metadata.generation;
    let mut conditions = verdicts(repo, &before.mirrors, agents);
    conditions.extend(unsupported::verdict(&unsupported::repo(&repo.spec)));
    RepoStatus {
        observed_generation: generation,
        location: repo.spec.url.clone().or_else(|| repo.spec.path.clone()),
        default_branch: repo
            .spec
            .default_branch
            .clone()
            .or_else(|| before.mirrors.iter().find_map(|m| m.default_branch.clone())),
        agents: Some(i32::try_from(agents.len()).unwrap_or(i32::MAX)),
        web_url: None,
        mirrors: Vec::new(),
        conditions: conditions.iter().map(|v| v.over(&before.conditions, generation, &to_seconds(now))).collect(),
    }
}

fn verdicts(repo: &Repo, mirrors: &[Mirror], agents: &[Arc<Agent>]) -> Vec<Verdict> {
    let is = |kind, status, reason, message: String| Verdict::new(kind, status, reason, message);
    if repo.metadata.deletion_timestamp.is_some() {
        let names: Vec<String> = agents.iter().take(NAMED_AGENTS).map(|a| a.name_any()).collect();
        let more = agents.len().saturating_sub(NAMED_AGENTS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let message = format!(
            "worktrees of this repo are still used by {}{more}; delete those agents, and the repo goes",
            names.join(", ")
        );
        return vec![
            is(READY, Truth::False, "WorktreesRemain", message.clone()),
            is(STALLED, Truth::True, "WorktreesRemain", message),
        ];
    }
    if let Some((mirror, why)) = mirrors.iter().find_map(|m| Some((m, m.error.as_deref()?))) {
        let message = shorten(&format!("host {:?}: {why}", mirror.host), 1500);
        return vec![
            is(FETCHED, Truth::False, "FetchFailed", message.clone()),
            is(READY, Truth::False, "FetchFailed", message.clone()),
            is(STALLED, Truth::True, "FetchFailed", message),
        ];
    }
    let hosts: Vec<&str> = mirrors.iter().map(|m| m.host.as_str()).collect();
    if !hosts.is_empty() {
        let message = format!("on {}", hosts.join(", "));
        return vec![is(FETCHED, Truth::True, "Fetched", message.clone()), is(READY, Truth::True, "Fetched", message)];
    }
    let worked_on = agents.iter().any(|a| a.status.as_ref().is_some_and(|s| s.worktree.is_some()));
    match agents.iter().find_map(|a| host_of(a)) {
        Some(host) if !worked_on => {
            let message = format!("host {host:?} is making its clone");
            vec![is(READY, Truth::False, "Cloning", message.clone()), is(RECONCILING, Truth::True, "Cloning", message)]
        }
        _ => vec![is(READY, Truth::True, "Accepted", "the first agent on a host makes the clone there".into())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::{find, is_true};
    use serde_json::{Value, from_value, json};

    fn repo(metadata: Value, mirrors: Value) -> Repo {
        let mut whole = json!({"name": "r", "namespace": "default", "generation": 1});
        whole.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        from_value(json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Repo", "metadata": whole,
            "spec": {"path": "/srv/r"}, "status": {"mirrors": mirrors},
        }))
        .unwrap()
    }

    fn agent(status: Value) -> Arc<Agent> {
        Arc::new(
            from_value(json!({
                "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent",
                "metadata": {"name": "a", "namespace": "default"},
                "spec": {"repoRef": {"name": "r"}}, "status": status,
            }))
            .unwrap(),
        )
    }

    fn ready(status: &RepoStatus) -> (String, String) {
        let condition = find(&status.conditions, READY).unwrap();
        (condition.status.clone(), condition.reason.clone())
    }

    #[test]
    fn ready_follows_the_clones() {
        let said = |mirrors: Value, agents: &[Arc<Agent>]| {
            ready(&status(&repo(json!({}), mirrors), agents, Timestamp::UNIX_EPOCH))
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(said(json!([]), &[]), pair("True", "Accepted"));
        assert_eq!(said(json!([]), &[agent(json!({"hostName": "fermi"}))]), pair("False", "Cloning"));
        assert_eq!(said(json!([{"host": "fermi"}]), &[]), pair("True", "Fetched"));
        let broken = json!([{"host": "a"}, {"host": "fermi", "error": "no route to host"}]);
        assert_eq!(said(broken, &[]), pair("False", "FetchFailed"));
    }

    #[test]
    fn the_branch_of_a_clone_stands_where_the_spec_names_none() {
        let mirrors = json!([{"host": "fermi", "defaultBranch": "trunk"}]);
        let status = status(&repo(json!({}), mirrors), &[], Timestamp::UNIX_EPOCH);
        assert_eq!(status.default_branch.as_deref(), Some("trunk"));
        assert_eq!(status.location.as_deref(), Some("/srv/r"));
    }

    #[test]
    fn a_repo_in_deletion_says_who_still_works_on_it() {
        let deleting = repo(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}), json!([]));
        let status = status(&deleting, &[agent(json!({}))], Timestamp::UNIX_EPOCH);
        assert!(is_true(&status.conditions, STALLED));
        assert_eq!(ready(&status).1, "WorktreesRemain");
        assert!(find(&status.conditions, READY).unwrap().message.contains("used by a;"));
    }
}
