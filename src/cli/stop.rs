//! `regatta stop` and `regatta start`: whether agents should be running. Stopping is polite; everything is kept.

use std::time::Duration;

use clap::Args;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apply::MANAGER;
use super::failure::{DONE, Failure, Outcome, cannot};
use super::names;
use super::output::print;
use super::server::{Global, Server};
use super::until::{Seen, Waiting, until};
use super::wait::{is_over, seconds};
use crate::api::agent::Run;

#[derive(Args, Debug)]
pub struct Stop {
    #[command(flatten)]
    change: Change,
}

#[derive(Args, Debug)]
pub struct Start {
    #[command(flatten)]
    change: Change,
}

#[derive(Args, Debug)]
struct Change {
    /// Agents: names, unambiguous beginnings, or numbers
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// Return at once
    #[arg(long)]
    no_wait: bool,
    /// Give up waiting after this long and exit with 4
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = seconds)]
    timeout: Duration,
}

impl Stop {
    pub async fn run(self, global: &Global) -> Outcome {
        self.change.run(global, Run::Stopped).await
    }
}

impl Start {
    pub async fn run(self, global: &Global) -> Outcome {
        self.change.run(global, Run::Running).await
    }
}

impl Change {
    async fn run(&self, global: &Global, wanted: Run) -> Outcome {
        let server = Server::reach(global).await?;
        let mut agents = Vec::new();
        for word in &self.names {
            agents.push(names::agent(&server, word).await?);
        }
        let patch = Patch::Merge(json!({"spec": {"run": wanted}}));
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let verb = match wanted {
            Run::Stopped => "stop",
            Run::Running => "start",
        };
        let mut changed = Vec::new();
        for agent in agents {
            let name = agent.metadata.name.unwrap_or_default();
            let attempt = format!("{verb} agent {name:?}");
            let after = server.agents().patch(&name, &params, &patch).await.map_err(|e| cannot(attempt, e))?;
            changed.push((name, after.metadata.generation.unwrap_or_default()));
        }
        for (name, generation) in changed {
            if !self.no_wait {
                self.wait(&server, &name, generation, wanted).await?;
            }
            let done = match wanted {
                Run::Stopped => "stopped",
                Run::Running => "started",
            };
            print(format_args!("agent/{name} {done}\n"))?;
        }
        DONE
    }

    async fn wait(&self, server: &Server, name: &str, generation: i64, wanted: Run) -> Result<(), Failure> {
        let waiting = Waiting {
            client: &server.client,
            path: server.agent_path("", "").trim_end_matches('/').to_owned(),
            name,
            deadline: Some(Instant::now() + self.timeout),
            what: format!("agent/{name} to be {wanted:?}"),
        };
        until(&waiting, |seen| match seen {
            Seen::Gone => Some(Err(Failure::failed(format!("agent/{name} was deleted meanwhile")))),
            Seen::Object(object) => is_there(object, generation, wanted).then_some(Ok(())),
        })
        .await?
    }
}

/// Whether the host has seen the change and acted on it.
fn is_there(object: &Value, generation: i64, wanted: Run) -> bool {
    let status = &object["status"];
    let seen = status["observedGeneration"].as_i64().is_some_and(|seen| seen >= generation);
    let ready = status["conditions"].as_array().into_iter().flatten();
    let ready = ready.filter(|c| c["type"] == "Ready").any(|c| c["status"] == "True");
    seen && match wanted {
        Run::Stopped => is_over(object),
        // A command that ended again at once was started all the same.
        Run::Running => ready || matches!(status["activity"].as_str(), Some("Finished" | "Failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_about_the_spec_before_is_none() {
        let object = |seen: i64, activity: &str| json!({"status": {"observedGeneration": seen, "activity": activity}});
        assert!(!is_there(&object(1, "Stopped"), 2, Run::Stopped));
        assert!(is_there(&object(2, "Stopped"), 2, Run::Stopped));
        assert!(!is_there(&object(2, "Working"), 2, Run::Stopped));
        assert!(!is_there(&object(2, "Stopped"), 2, Run::Running));
    }
}
