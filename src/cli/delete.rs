//! `regatta delete`: objects go, and with them what they had; work that is nowhere else stays, and is named.

use std::time::Duration;

use clap::{Args, ValueEnum};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apply::MANAGER;
use super::failure::{DONE, Exit, Failure, Outcome, cannot};
use super::kinds::Kinds;
use super::names;
use super::output::{print, reference};
use super::request::{self, JSON, encoded, query};
use super::server::{Global, Server};
use super::until::{Seen, Waiting, until};
use super::wait::seconds;
use crate::api::conditions::{DIRTY_WORKTREE, STALLED};

#[derive(Args, Debug)]
pub struct Delete {
    /// Agents by name, unambiguous beginning or number; other objects as KIND/NAME
    #[arg(required = true, value_name = "NAME|KIND/NAME")]
    names: Vec<String>,
    /// What becomes of an agent's worktree [default: as its spec says: removed when nothing in it would be lost]
    #[arg(long, value_enum)]
    worktree: Option<Fate>,
    /// Return at once
    #[arg(long)]
    no_wait: bool,
    /// Give up waiting after this long and exit with 4
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = seconds)]
    timeout: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Fate {
    /// The directory stays
    Keep,
    /// Removed, after everything in it was committed to a rescue ref
    Discard,
}

/// Why a Repo stays: agents still work on it.
const WORKTREES_REMAIN: &str = "WorktreesRemain";

/// An object to delete, found.
struct Target {
    path: String,
    name: String,
    reference: String,
    uid: String,
    is_agent: bool,
}

impl Delete {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let kinds = Kinds::discover(&server.client).await?;
        let mut targets = Vec::new();
        for word in &self.names {
            targets.push(find(&server, &kinds, word).await?);
        }
        for target in &targets {
            self.delete(&server, target).await?;
        }
        for target in &targets {
            if !self.no_wait {
                self.wait(&server, target).await?;
            }
            print(format_args!("{} deleted\n", target.reference))?;
        }
        DONE
    }

    async fn delete(&self, server: &Server, target: &Target) -> Result<(), Failure> {
        let attempt = || format!("delete {}", target.reference);
        let path = format!("{}/{}", target.path, encoded(&target.name));
        if let (true, Some(fate)) = (target.is_agent, self.worktree) {
            let fate = match fate {
                Fate::Keep => "Keep",
                Fate::Discard => "Discard",
            };
            let options = query(&[("fieldManager", Some(MANAGER.into()))]);
            let patch = json!({"spec": {"onDelete": {"worktree": fate}}});
            request::patch(&server.client, &format!("{path}{options}"), "application/merge-patch+json", &patch)
                .await
                .map_err(|e| cannot(attempt(), e))?;
        }
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": target.uid}});
        match request::send(&server.client, Method::DELETE, &path, JSON, &options).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(cannot(attempt(), error)),
        }
    }

    /// Until it is gone, or until it says why it cannot go.
    async fn wait(&self, server: &Server, target: &Target) -> Result<(), Failure> {
        let waiting = Waiting {
            client: &server.client,
            path: target.path.clone(),
            name: &target.name,
            deadline: Some(Instant::now() + self.timeout),
            what: format!("{} to be gone", target.reference),
        };
        until(&waiting, |seen| match seen {
            Seen::Object(object) if object["metadata"]["uid"] == target.uid.as_str() => held_back(object)
                .map(|why| Err(Failure::new(Exit::Failed, format!("{} stays: {why}", target.reference)))),
            Seen::Object(_) | Seen::Gone => Some(Ok(())),
        })
        .await?
    }
}

async fn find(server: &Server, kinds: &Kinds, word: &str) -> Result<Target, Failure> {
    let (kind, word) = word.split_once('/').unwrap_or(("agents", word));
    let kind = kinds.one(kind)?;
    let name = names::object(server, kind, word).await?;
    let path = kind.path(Some(&server.namespace));
    let reference = reference(&kind.singular, &name);
    let object = request::get(&server.client, &format!("{path}/{}", encoded(&name)), JSON)
        .await
        .map_err(|e| cannot(format_args!("delete {reference}"), e))?;
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    Ok(Target { path, name, reference, uid, is_agent: kind.is_agent() })
}

/// Conditions under which a deletion waits for a person: what would be lost, and the ways out.
fn held_back(object: &Value) -> Option<String> {
    if object["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let conditions = object["status"]["conditions"].as_array()?;
    // Stalled says many things, for instance that the command failed before; of those only this one keeps the object.
    let blocks = |c: &&Value| {
        c["status"] == "True"
            && (c["type"] == DIRTY_WORKTREE || c["type"] == STALLED && c["reason"] == WORKTREES_REMAIN)
    };
    let condition = conditions.iter().find(blocks)?;
    Some(condition["message"].as_str().filter(|m| !m.is_empty()).unwrap_or("its worktree holds work").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_deletion_that_waits_for_a_person_is_reported() {
        let object = |deleting: Value, status: &str| {
            json!({"metadata": {"deletionTimestamp": deleting}, "status": {"conditions": [
                {"type": "DirtyWorktree", "status": status, "message": "2 files; commit, Keep or Discard"}]}})
        };
        assert_eq!(held_back(&object(Value::Null, "True")), None);
        assert_eq!(held_back(&object(json!("2026-01-01T00:00:00Z"), "False")), None);
        let why = held_back(&object(json!("2026-01-01T00:00:00Z"), "True"));
        assert_eq!(why.as_deref(), Some("2 files; commit, Keep or Discard"));
    }
}
