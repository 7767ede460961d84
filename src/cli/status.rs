//! `regatta status`: everything that is known of one agent, on one page; without a name, how the fleet is.

use std::collections::BTreeMap;

use clap::Args;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::api::ListParams;
use serde_json::json;

use super::failure::{DONE, Outcome, cannot};
use super::names;
use super::output::{Format, document, print, reference, without_managed_fields};
use super::server::{Global, Server};
use super::table::{labelled, since};
use crate::api::agent_status::{Exit, Worktree};
use crate::api::conditions::{DIRTY_WORKTREE, READY, STALLED, find};
use crate::api::{Activity, Agent, AgentStatus};

#[derive(Args, Debug)]
pub struct Status {
    /// The agent: its name, an unambiguous beginning of it, or its number
    name: Option<String>,
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

impl Status {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let Some(name) = &self.name else { return fleet(&server, self.output).await };
        let agent = names::agent(&server, name).await?;
        match self.output {
            Some(format @ (Format::Json | Format::Yaml)) => {
                let object = serde_json::to_value(&agent).map_err(|e| cannot("write the agent", e))?;
                print(document(format, &without_managed_fields(object))?)?;
            }
            Some(Format::Name) => {
                print(reference("agent", agent.metadata.name.as_deref().unwrap_or_default()) + "\n")?;
            }
            Some(Format::Wide) | None => print(page(&agent, Timestamp::now()))?,
        }
        DONE
    }
}

async fn fleet(server: &Server, output: Option<Format>) -> Outcome {
    let agents = server.agents().list(&ListParams::default()).await.map_err(|e| cannot("list agents", e))?.items;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for agent in &agents {
        let activity = agent.status.as_ref().and_then(|s| s.activity).unwrap_or_default();
        *counts.entry(format!("{activity:?}")).or_default() += 1;
    }
    let running = server.running()?;
    let web = running.as_ref().map(|r| r.web.clone());
    if let Some(format @ (Format::Json | Format::Yaml)) = output {
        let value = json!({
            "api": server.url, "web": web, "pid": running.as_ref().map(|r| r.pid),
            "version": running.as_ref().map(|r| r.version.clone()), "namespace": server.namespace,
            "kubeconfig": server.target.shown_files(), "agents": agents.len(), "activities": counts,
        });
        print(document(format, &value)?)?;
        return DONE;
    }
    let mut lines = vec![("api", server.url.clone())];
    lines.extend(web.map(|web| ("web", format!("{web} (`regatta login` prints a link to log in)"))));
    lines.extend(running.map(|r| ("server", format!("version {}, process {}", r.version, r.pid))));
    lines.push(("namespace", server.namespace.clone()));
    let words: Vec<String> = counts.iter().map(|(activity, n)| format!("{n} {activity}")).collect();
    let by = if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) };
    lines.push(("agents", format!("{}{by}", agents.len())));
    print(labelled(&lines))?;
    DONE
}

/// The page of one agent.
fn page(agent: &Agent, now: Timestamp) -> String {
    let blank = AgentStatus::default();
    let status = agent.status.as_ref().unwrap_or(&blank);
    let meta = &agent.metadata;
    let number = status.number.map(|n| format!(" (#{n})")).unwrap_or_default();
    let mut lines = vec![("agent", format!("{}{number}", meta.name.as_deref().unwrap_or_default()))];
    lines.push(("activity", activity_line(status, now)));
    lines.extend(status.message.clone().filter(|m| !m.is_empty()).map(|m| ("says", m)));
    lines.extend(find(&status.conditions, READY).map(|c| ("ready", condition_line(c, now))));
    let adapter = status.effective.as_ref().map(|e| e.adapter.clone()).or_else(|| agent.spec.adapter.clone());
    lines.extend(adapter.map(|a| ("adapter", a)));
    lines.extend(agent.spec.prompt.as_ref().and_then(|p| p.text.clone()).map(|t| ("prompt", t)));
    lines.extend(status.host_name.clone().map(|h| ("host", h)));
    lines.extend(agent.spec.repo_ref.as_ref().map(|r| ("repo", r.name.clone())));
    lines.extend(agent.spec.directory.clone().map(|d| ("directory", d)));
    if let Some(worktree) = &status.worktree {
        lines.push(("worktree", worktree.path.clone()));
        lines.extend(worktree.branch.clone().map(|b| ("branch", format!("{b}{}", worktree_line(worktree)))));
    }
    lines.extend(status.session.as_ref().map(|s| {
        let pid = s.pid.map(|p| format!(", process {p}")).unwrap_or_default();
        ("session", format!("{} (start {}{pid})", s.tmux, s.epoch))
    }));
    lines.extend(status.restarts.filter(|n| *n > 0).map(|n| ("restarts", n.to_string())));
    lines.extend(status.log.as_ref().map(|l| ("log", format!("bytes {} to {}", l.first, l.head))));
    lines.extend(status.exit.as_ref().map(|e| ("exit", format!("{} ({} ago)", exit_text(e), since(e.time.0, now)))));
    lines.extend(meta.creation_timestamp.as_ref().map(|t| ("age", since(t.0, now))));
    let others = status.conditions.iter().filter(|c| c.type_ != READY);
    lines.extend(others.map(|c| ("condition", format!("{}: {}", c.type_, condition_line(c, now)))));
    lines.extend(way_out(agent, status).map(|w| ("way out", w)));
    labelled(&lines)
}

fn activity_line(status: &AgentStatus, now: Timestamp) -> String {
    let activity = status.activity.map_or_else(|| "not known yet".to_owned(), |a| format!("{a:?}"));
    let ago = status.activity_since.as_ref().map(|Time(t)| format!(" for {}", since(*t, now))).unwrap_or_default();
    let source = status.activity_source.as_deref().filter(|s| !s.is_empty());
    format!("{activity}{ago}{}", source.map(|s| format!(" (from {s})")).unwrap_or_default())
}

fn condition_line(condition: &Condition, now: Timestamp) -> String {
    let mut line = condition.status.clone();
    if !condition.reason.is_empty() {
        line.push_str(&format!(" ({})", condition.reason));
    }
    if !condition.message.is_empty() {
        line.push_str(&format!(": {}", condition.message));
    }
    line + &format!(" [{}]", since(condition.last_transition_time.0, now))
}

fn worktree_line(worktree: &Worktree) -> String {
    let mut facts = Vec::new();
    facts.extend(worktree.ahead.filter(|n| *n > 0).map(|n| format!("{n} ahead")));
    facts.extend(worktree.behind.filter(|n| *n > 0).map(|n| format!("{n} behind")));
    facts.extend(
        worktree
            .changes
            .filter(|c| c.files > 0)
            .map(|c| format!("{} files uncommitted, +{} −{}", c.files, c.added, c.removed)),
    );
    if worktree.pushed == Some(false) {
        facts.push("not pushed".into());
    }
    if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) }
}

/// How an epoch ended, in words.
pub fn exit_text(exit: &Exit) -> String {
    match (&exit.signal, exit.code) {
        (Some(signal), _) => format!("ended by {signal}"),
        (None, Some(0)) => "finished".into(),
        (None, Some(code)) => format!("failed with exit code {code}"),
        (None, None) => format!("ended: {}", exit.reason),
    }
}

/// What can be done about a state that asks for it.
pub fn way_out(agent: &Agent, status: &AgentStatus) -> Option<String> {
    let name = agent.metadata.name.as_deref().unwrap_or_default();
    if agent.metadata.deletion_timestamp.is_some() && find(&status.conditions, DIRTY_WORKTREE).is_some() {
        return Some(format!(
            "commit and push the work; or `regatta delete {name} --worktree keep`; or `--worktree discard` \
             (it stays in a rescue ref)"
        ));
    }
    let stalled = find(&status.conditions, STALLED).is_some_and(|c| c.status == "True");
    if stalled && status.activity != Some(Activity::Failed) {
        return Some(format!("change the spec: `regatta get agent {name} -o yaml`, then `regatta apply -f`"));
    }
    match status.activity? {
        Activity::NeedsInput => Some(format!("`regatta attach {name}` or `regatta send {name} …`")),
        Activity::Failed => Some(format!(
            "`regatta logs {name} --tail 40` shows why; `regatta stop {name}` and `start {name}` try again"
        )),
        Activity::Stopped => Some(format!("`regatta start {name}` goes on")),
        Activity::Starting
        | Activity::Working
        | Activity::Idle
        | Activity::RateLimited
        | Activity::Finished
        | Activity::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_what_it_does_since_when_and_the_way_out() {
        let agent: Agent = serde_json::from_value(json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent",
            "metadata": {"name": "fix-auth", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"adapter": "shell", "prompt": {"text": "be\u{1b}[31m good"}},
            "status": {
                "number": 3, "activity": "Stopped", "activitySince": "2026-01-01T00:01:00Z", "activitySource": "exit",
                "worktree": {"path": "/w", "branch": "agent/fix-auth", "ahead": 2, "pushed": false},
                "exit": {"epoch": 1, "signal": "SIGTERM", "reason": "Stopped", "time": "2026-01-01T00:01:00Z"},
                "conditions": [{"type": "Ready", "status": "True", "reason": "Stopped", "message": "",
                                "lastTransitionTime": "2026-01-01T00:01:00Z"}]}}))
        .unwrap();
        let page = page(&agent, "2026-01-01T00:02:00Z".parse().unwrap());
        for line in [
            "agent     fix-auth (#3)",
            "activity  Stopped for 60s (from exit)",
            "ready     True (Stopped) [60s]",
            "branch    agent/fix-auth (2 ahead, not pushed)",
            "exit      ended by SIGTERM (60s ago)",
            "prompt    be [31m good",
            "way out   `regatta start fix-auth` goes on",
        ] {
            assert!(page.lines().any(|l| l.trim_end() == line), "{line:?} in\n{page}");
        }
    }
}
