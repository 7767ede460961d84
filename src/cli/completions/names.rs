//! The names that a completion needs, from the server that the command line means. Starts no server, waits for none, and
//! says nothing: a shell that completes has no place for errors.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::walk::{Candidate, Names};
use crate::cli::context;
use crate::cli::kinds::{Kind, Kinds, Scope};
use crate::cli::request;
use crate::cli::server::Server;
use crate::cli::target::Global;

/// Longer than this nobody waits for a key.
const PATIENCE: Duration = Duration::from_secs(2);

const METADATA: &str = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";

/// The candidates; none when they cannot be had.
pub async fn ask(global: &Global, which: Names, before: &[String]) -> Vec<Candidate> {
    timeout(PATIENCE, found(global, which, before)).await.ok().flatten().unwrap_or_default()
}

async fn found(global: &Global, which: Names, before: &[String]) -> Option<Vec<Candidate>> {
    if which == Names::Contexts {
        return Some(context::names(global).ok()?.into_iter().map(plain).collect());
    }
    if which == Names::Adapters {
        return Some(crate::adapter::names().into_iter().map(|name| plain(name.to_owned())).collect());
    }
    let server = Server::find(global).await.ok()?.ok()?;
    let kinds = Kinds::discover(&server.client).await.ok()?;
    let of = async |word: &str| objects(&server, kinds.one(word).ok()?).await;
    match which {
        Names::Agents => of("agents.regatta.dev").await,
        Names::Repos => of("repos.regatta.dev").await,
        Names::Classes => of("agentclasses.regatta.dev").await,
        Names::Hosts => of("hosts.regatta.dev").await,
        Names::Namespaces => of("namespaces").await,
        Names::Contexts | Names::Adapters => None,
        Names::Objects | Names::AgentsOrObjects => {
            let first = before.first().filter(|first| !first.contains('/'));
            if let Some(kind) = first.and_then(|first| kinds.one(first).ok()) {
                return objects(&server, kind).await;
            }
            let mut candidates = Vec::new();
            if which == Names::AgentsOrObjects {
                candidates.extend(of("agents.regatta.dev").await.unwrap_or_default());
            }
            for kind in kinds.all() {
                candidates.push(Candidate { word: kind.plural.clone(), help: kind.api_version() });
                for object in if is_ours(kind) { objects(&server, kind).await.unwrap_or_default() } else { Vec::new() }
                {
                    let word = format!("{}/{}", kind.singular, object.word);
                    candidates.push(Candidate { word, help: object.help });
                }
            }
            Some(candidates)
        }
    }
}

/// The kinds whose objects are offered before their kind is written: asking for all of a cluster's would be slow.
fn is_ours(kind: &Kind) -> bool {
    kind.group == crate::api::GROUP
}

async fn objects(server: &Server, kind: &Kind) -> Option<Vec<Candidate>> {
    let path = kind.path(Some(&server.namespace));
    let list = request::get(&server.client, &path, METADATA).await.ok()?;
    let within = if kind.scope == Scope::Namespaced { format!(" in {}", server.namespace) } else { String::new() };
    let help = format!("{}{within}", kind.kind);
    let names = list["items"].as_array()?.iter().filter_map(|o: &Value| o["metadata"]["name"].as_str());
    Some(names.map(|name| Candidate { word: name.to_owned(), help: help.clone() }).collect())
}

fn plain(word: String) -> Candidate {
    Candidate { word, help: String::new() }
}
