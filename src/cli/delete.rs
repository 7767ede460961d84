//! `regatta delete`: objects go, and with them what they had; work that is nowhere else stays, and is named.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::apply::MANAGER;
use super::failure::{DONE, Exit, Failure, Outcome, cannot};
use super::kinds::{Kind, Kinds};
use super::manifest::{self, Manifest};
use super::names;
use super::objects::{Bare, pointed};
use super::output::{print, reference, say};
use super::request::{self, JSON, encoded, query};
use super::server::{Global, Server};
use super::until::{Seen, Waiting, until};
use super::wait::seconds;
use crate::api::conditions::{DIRTY_WORKTREE, STALLED};

#[derive(Args, Debug)]
pub struct Delete {
    /// Agents by name, unambiguous beginning or number; other objects as KIND/NAME or KIND NAME…; with -l: kinds
    #[arg(required_unless_present = "file", conflicts_with = "file", value_name = "NAME|KIND/NAME")]
    objects: Vec<String>,
    /// The objects of a file, of a directory of files, or of - for stdin; may be given several times
    #[arg(short, long = "filename", value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Every object of the given kinds that has these labels
    #[arg(short = 'l', long, value_name = "SELECTOR", conflicts_with = "file")]
    selector: Option<String>,
    /// Every object of the given kinds in the namespace
    #[arg(long, conflicts_with_all = ["file", "selector"])]
    all: bool,
    /// What becomes of objects that these own
    #[arg(long, value_enum, default_value = "background")]
    cascade: Cascade,
    /// What becomes of an agent's worktree [default: as its spec says: removed when nothing in it would be lost]
    #[arg(long, value_enum)]
    worktree: Option<Fate>,
    /// An object that is not there counts as deleted
    #[arg(long)]
    ignore_not_found: bool,
    /// Let the server check everything and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Whether to return only when they are gone
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = true,
          default_missing_value = "true", action = clap::ArgAction::Set)]
    wait: bool,
    /// Return at once; the same as --wait=false
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

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Cascade {
    /// They go afterwards
    Background,
    /// They go first
    Foreground,
    /// They stay, without an owner
    Orphan,
}

impl Cascade {
    fn policy(self) -> &'static str {
        match self {
            Cascade::Background => "Background",
            Cascade::Foreground => "Foreground",
            Cascade::Orphan => "Orphan",
        }
    }
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
        let manifests = manifest::read_all(&self.file)?;
        let server = Server::reach(global).await?;
        let kinds = Kinds::discover(&server.client).await?;
        let targets = match self.file.is_empty() {
            true => self.pointed(&server, &kinds).await?,
            false => self.of_files(&server, &kinds, &manifests).await?,
        };
        if targets.is_empty() {
            say("no objects found");
            return DONE;
        }
        // What could not be deleted must not keep the others.
        let mut worst: Option<Failure> = None;
        let mut going = Vec::new();
        for target in &targets {
            match self.delete(&server, target).await {
                Ok(()) => going.push(target),
                Err(failure) => note(&mut worst, failure, targets.len())?,
            }
        }
        for target in going {
            if self.dry_run {
                print(format_args!("{} deleted (dry run)\n", target.reference))?;
                continue;
            }
            if self.wait && !self.no_wait {
                match self.wait(&server, target).await {
                    Ok(()) => {}
                    Err(failure) => {
                        note(&mut worst, failure, targets.len())?;
                        continue;
                    }
                }
            }
            print(format_args!("{} deleted\n", target.reference))?;
        }
        worst.map_or(DONE, Err)
    }

    /// The objects that the words mean; all of them are found before one is touched.
    async fn pointed(&self, server: &Server, kinds: &Kinds) -> Result<Vec<Target>, Failure> {
        let mut targets = Vec::new();
        if self.all || self.selector.is_some() {
            for word in &self.objects {
                for kind in kinds.named(word)? {
                    targets.extend(self.every(server, kind).await?);
                }
            }
            return Ok(targets);
        }
        for found in pointed(kinds, &self.objects, Bare::Agent)? {
            for word in found.names {
                let name = match names::object(server, found.kind, word).await {
                    Err(failure) if failure.exit == Exit::NotFound && self.ignore_not_found => continue,
                    name => name?,
                };
                targets.extend(self.find(server, found.kind, &server.namespace, name).await?);
            }
        }
        Ok(targets)
    }

    /// The objects of a kind that the selector, or nothing, picks.
    async fn every(&self, server: &Server, kind: &Kind) -> Result<Vec<Target>, Failure> {
        let path = kind.path(Some(&server.namespace));
        let selector = query(&[("labelSelector", self.selector.clone())]);
        let list = request::get(&server.client, &format!("{path}{selector}"), JSON).await;
        let list = list.map_err(|e| cannot(format_args!("find {} to delete", kind.plural), e))?;
        let items = list["items"].as_array().into_iter().flatten();
        Ok(items.map(|object| Target::of(kind, &server.namespace, object)).collect())
    }

    /// The objects of files, the last first: what was applied first is what others refer to.
    async fn of_files(&self, server: &Server, kinds: &Kinds, manifests: &[Manifest]) -> Result<Vec<Target>, Failure> {
        let mut targets = Vec::new();
        for manifest in manifests.iter().rev() {
            let (version, kind) = (manifest.text("/apiVersion"), manifest.text("/kind"));
            let (version, kind) = (version.unwrap_or_default(), kind.unwrap_or_default());
            let Some(kind) = kinds.of_type(version, kind) else {
                if self.ignore_not_found {
                    continue;
                }
                let why = format!("{}: the server has no kind {kind} of {version}", manifest.place());
                return Err(Failure::new(Exit::NotFound, why));
            };
            let name = manifest.text("/metadata/name").unwrap_or_default().to_owned();
            let namespace = manifest.text("/metadata/namespace").unwrap_or(&server.namespace);
            targets.extend(self.find(server, kind, namespace, name).await?);
        }
        Ok(targets)
    }

    /// One object as it is now; none is fine only when asked so.
    async fn find(
        &self,
        server: &Server,
        kind: &Kind,
        namespace: &str,
        name: String,
    ) -> Result<Option<Target>, Failure> {
        let path = format!("{}/{}", kind.path(Some(namespace)), encoded(&name));
        match request::get(&server.client, &path, JSON).await {
            Ok(object) => Ok(Some(Target::of(kind, namespace, &object))),
            Err(kube::Error::Api(status)) if status.code == 404 && self.ignore_not_found => Ok(None),
            Err(error) => Err(cannot(format_args!("delete {}", reference(&kind.singular, &name)), error)),
        }
    }

    async fn delete(&self, server: &Server, target: &Target) -> Result<(), Failure> {
        let attempt = || format!("delete {}", target.reference);
        let path = format!("{}/{}", target.path, encoded(&target.name));
        if let (true, Some(fate), false) = (target.is_agent, self.worktree, self.dry_run) {
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
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": target.uid},
                             "propagationPolicy": self.cascade.policy(),
                             "dryRun": if self.dry_run { vec!["All"] } else { Vec::new() }});
        // The body is all that counts: what the query says beside one is not read.
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

impl Target {
    fn of(kind: &Kind, namespace: &str, object: &Value) -> Target {
        let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default().to_owned();
        let name = text("name");
        Target {
            path: kind.path(Some(namespace)),
            reference: reference(&kind.singular, &name),
            uid: text("uid"),
            is_agent: kind.is_agent(),
            name,
        }
    }
}

/// Says a failure and keeps it for the exit code; of one object only, it is the end.
fn note(worst: &mut Option<Failure>, failure: Failure, of: usize) -> Result<(), Failure> {
    if of == 1 || failure.exit == Exit::Done {
        return Err(failure);
    }
    say(&failure.message);
    *worst = Some(Failure::new(failure.exit, format!("not everything of {of} objects could be deleted")));
    Ok(())
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
