//! `regatta list`: who is doing what.

use clap::Args;
use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use serde_json::{Value, json};

use super::colour::Palette;
use super::failure::{DONE, Outcome, cannot};
use super::output::{Format, document, print, reference, say, without_managed_fields};
use super::server::{Global, Server};
use super::table::{Layout, since};
use crate::api::conditions::{READY, find};
use crate::api::{Agent, AgentStatus};

#[derive(Args, Debug)]
pub struct List {
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Agents of every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only agents with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
}

impl List {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let api: Api<Agent> = if self.all_namespaces { Api::all(server.client.clone()) } else { server.agents() };
        let params = ListParams { label_selector: self.selector.clone(), ..ListParams::default() };
        let mut agents = api.list(&params).await.map_err(|e| cannot("list agents", e))?.items;
        agents.sort_by_key(|a| (a.metadata.namespace.clone(), number(a)));
        match self.output {
            Some(format @ (Format::Json | Format::Yaml)) => print(document(format, &as_list(&agents)?)?)?,
            Some(Format::Name) => {
                let lines: Vec<String> = agents.iter().map(|a| reference("agent", name(a)) + "\n").collect();
                print(lines.concat())?;
            }
            wide @ (None | Some(Format::Wide)) => self.table(&agents, wide.is_some())?,
        }
        DONE
    }

    fn table(&self, agents: &[Agent], wide: bool) -> Result<(), super::failure::Failure> {
        if agents.is_empty() {
            say("no agents; start one with `regatta run shell`");
            return Ok(());
        }
        let mut header = vec!["#", "NAME", "REPO", "ADAPTER", "HOST", "ACTIVITY", "SINCE", "READY", "AGE"];
        if self.all_namespaces {
            header.insert(0, "NAMESPACE");
        }
        if wide {
            header.extend(["BRANCH", "CHANGES", "MESSAGE"]);
        }
        let header: Vec<String> = header.into_iter().map(String::from).collect();
        let now = Timestamp::now();
        let rows: Vec<Vec<String>> = agents.iter().map(|a| row(a, self.all_namespaces, wide, now)).collect();
        print(Layout::new(Palette::of_stdout()).text(Some(&header), &rows))
    }
}

fn row(agent: &Agent, with_namespace: bool, wide: bool, now: Timestamp) -> Vec<String> {
    let blank = AgentStatus::default();
    let status = agent.status.as_ref().unwrap_or(&blank);
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let ago = |time: Option<&k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>| {
        time.map(|t| since(t.0, now)).unwrap_or_default()
    };
    let mut cells = Vec::new();
    if with_namespace {
        cells.push(text(agent.metadata.namespace.as_deref()));
    }
    cells.extend([
        number(agent).map(|n| n.to_string()).unwrap_or_default(),
        name(agent).to_owned(),
        text(agent.spec.repo_ref.as_ref().map(|r| r.name.as_str())),
        text(status.effective.as_ref().map(|e| e.adapter.as_str()).or(agent.spec.adapter.as_deref())),
        text(status.host_name.as_deref()),
        status.activity.map(|a| format!("{a:?}")).unwrap_or_default(),
        ago(status.activity_since.as_ref()),
        text(find(&status.conditions, READY).map(|c| c.status.as_str())),
        ago(agent.metadata.creation_timestamp.as_ref()),
    ]);
    if wide {
        let worktree = status.worktree.as_ref();
        cells.extend([
            text(worktree.and_then(|w| w.branch.as_deref())),
            worktree.and_then(|w| w.changes).map(|c| c.files.to_string()).unwrap_or_default(),
            text(status.message.as_deref()),
        ]);
    }
    cells
}

fn name(agent: &Agent) -> &str {
    agent.metadata.name.as_deref().unwrap_or_default()
}

fn number(agent: &Agent) -> Option<i64> {
    agent.status.as_ref().and_then(|s| s.number)
}

fn as_list(agents: &[Agent]) -> Result<Value, super::failure::Failure> {
    let items = serde_json::to_value(agents).map_err(|e| cannot("write the agents", e))?;
    let version = format!("{}/{}", crate::api::GROUP, crate::api::VERSION);
    Ok(without_managed_fields(json!({"apiVersion": version, "kind": "AgentList", "items": items})))
}
