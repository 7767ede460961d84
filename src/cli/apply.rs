//! `regatta apply`: manifests onto the server, by server-side apply.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::failure::{Cause, DONE, Exit, Failure, Outcome};
use super::kinds::{Kind, Kinds, Scope};
use super::manifest::{self, Manifest};
use super::output::{Format, document, print, reference, say, without_managed_fields};
use super::request::{self, encoded, query};
use super::server::{Global, Server};

/// Who sets the fields that this program applies.
pub const MANAGER: &str = "regatta-cli";

/// How long a server may take until it serves a kind whose definition it has accepted.
const ESTABLISHED: Duration = Duration::from_secs(15);

pub const APPLY_PATCH: &str = "application/apply-patch+yaml";

#[derive(Args, Debug)]
pub struct Apply {
    /// A file, a directory of files, or - for stdin; may be given several times
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    file: Vec<PathBuf>,
    /// Take over fields that somebody else set
    #[arg(long)]
    force_conflicts: bool,
    /// Let the server check everything and change nothing
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

/// How something is applied.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub force_conflicts: bool,
    pub dry_run: bool,
}

/// An object before and after.
pub struct Applied {
    pub kind: Kind,
    pub before: Option<Value>,
    pub after: Value,
}

impl Apply {
    pub async fn run(self, global: &Global) -> Outcome {
        let mut manifests = manifest::read_all(&self.file)?;
        if manifests.is_empty() {
            return Err(Failure::failed("cannot apply: there is no object in what was given"));
        }
        let server = Server::reach(global).await?;
        manifests.sort_by_key(rank);
        let mut kinds = Kinds::discover(&server.client).await?;
        let wish = Wish { force_conflicts: self.force_conflicts, dry_run: self.dry_run };
        let mut worst: Option<Failure> = None;
        for manifest in &manifests {
            if kind_of(&kinds, manifest).is_none() && !self.dry_run && is_defined_by(manifest, &manifests) {
                kinds = served(&server, manifest).await?;
            }
            let done = match one(&server, &kinds, manifest, wish).await {
                Ok(applied) => self.report(manifest, applied),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = done {
                if failure.exit == Exit::Done || manifests.len() == 1 {
                    return Err(failure);
                }
                say(&failure.message);
                worst = Some(failure);
            }
        }
        let all = manifests.len();
        worst.map_or(DONE, |f| Err(Failure::new(f.exit, format!("not everything of {all} objects could be applied"))))
    }

    fn report(&self, manifest: &Manifest, applied: Applied) -> Result<(), Failure> {
        let Applied { kind, before, after } = applied;
        let reference = reference(&kind.singular, manifest.text("/metadata/name").unwrap_or_default());
        let dry = if self.dry_run { " (dry run)" } else { "" };
        match self.output {
            Some(Format::Name) => print(format_args!("{reference}\n")),
            Some(format @ (Format::Json | Format::Yaml)) => {
                let separator = if format == Format::Yaml { "---\n" } else { "" };
                print(separator.to_owned() + &document(format, &without_managed_fields(after))?)
            }
            None | Some(Format::Wide) => print(format_args!("{reference} {}{dry}\n", change(before.as_ref(), &after))),
        }
    }
}

/// Applies one object. Errors name file and line.
pub async fn one(server: &Server, kinds: &Kinds, manifest: &Manifest, wish: Wish) -> Result<Applied, Failure> {
    let name = manifest.text("/metadata/name").unwrap_or_default();
    let kind = kind_of(kinds, manifest).ok_or_else(|| {
        let version = manifest.text("/apiVersion").unwrap_or_default();
        let kind = manifest.text("/kind").unwrap_or_default();
        Failure::failed(format!("{}: the server has no kind {kind} of {version}", manifest.place()))
    })?;
    let namespace = manifest.text("/metadata/namespace").unwrap_or(&server.namespace);
    let path = format!("{}/{}", kind.path(Some(namespace)), encoded(name));
    let wrong = |error: kube::Error| {
        let place = field_in(&error).map_or_else(|| manifest.place(), |field| manifest.place_of(&field));
        let Cause { exit, text } = error.into();
        Failure::new(exit, format!("{place}: cannot apply {}: {text}", reference(&kind.singular, name)))
    };
    let before = match request::get(&server.client, &path, request::JSON).await {
        Ok(object) => Some(object),
        Err(kube::Error::Api(status)) if status.code == 404 => None,
        Err(error) => return Err(wrong(error)),
    };
    let options = query(&[
        ("fieldManager", Some(MANAGER.into())),
        ("fieldValidation", Some("Strict".into())),
        ("force", wish.force_conflicts.then(|| "true".into())),
        ("dryRun", wish.dry_run.then(|| "All".into())),
    ]);
    let body = in_namespace(manifest.object.clone(), kind, namespace);
    let after = request::patch(&server.client, &format!("{path}{options}"), APPLY_PATCH, &body).await;
    Ok(Applied { kind: kind.clone(), before, after: after.map_err(wrong)? })
}

/// Whether one of the manifests is the definition of this one's kind.
fn is_defined_by(manifest: &Manifest, manifests: &[Manifest]) -> bool {
    let (version, kind) = (manifest.text("/apiVersion"), manifest.text("/kind"));
    let group = version.and_then(|v| v.split_once('/')).map(|(group, _)| group);
    manifests.iter().any(|m| {
        m.text("/kind") == Some("CustomResourceDefinition")
            && m.text("/spec/group") == group
            && m.text("/spec/names/kind") == kind
    })
}

/// The kinds, once a definition that was applied a moment ago is served.
async fn served(server: &Server, manifest: &Manifest) -> Result<Kinds, Failure> {
    let deadline = Instant::now() + ESTABLISHED;
    loop {
        let kinds = Kinds::discover(&server.client).await?;
        if kind_of(&kinds, manifest).is_some() || Instant::now() >= deadline {
            return Ok(kinds);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// The first field that the server complains about.
fn field_in(error: &kube::Error) -> Option<String> {
    let kube::Error::Api(status) = error else { return None };
    let causes = status.details.as_ref().map(|d| d.causes.as_slice()).unwrap_or_default();
    let named = causes.iter().map(|c| c.field.as_str()).find(|f| !f.is_empty());
    let quoted = || status.message.split_once("unknown field \"").and_then(|(_, rest)| rest.split('"').next());
    named.or_else(quoted).map(str::to_owned)
}

fn change(before: Option<&Value>, after: &Value) -> &'static str {
    match before {
        None => "created",
        Some(before) if before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"] => "unchanged",
        Some(_) => "configured",
    }
}

fn kind_of<'a>(kinds: &'a Kinds, manifest: &Manifest) -> Option<&'a Kind> {
    kinds.of_type(manifest.text("/apiVersion")?, manifest.text("/kind")?)
}

fn in_namespace(mut object: Value, kind: &Kind, namespace: &str) -> Value {
    if kind.scope == Scope::Namespaced {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}

/// What others refer to goes first.
fn rank(manifest: &Manifest) -> u8 {
    match manifest.text("/kind").unwrap_or_default() {
        "Namespace" => 0,
        "CustomResourceDefinition" => 1,
        "ServiceAccount" | "Secret" | "ConfigMap" => 2,
        "Repo" | "Host" | "Source" => 3,
        "AgentClass" => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_refer_to_goes_first() {
        let text = "{apiVersion: v, kind: Agent, metadata: {name: a}}\n---\n{apiVersion: v, kind: Repo, metadata: {name: r}}\n---\n{apiVersion: v, kind: Namespace, metadata: {name: ns}}";
        let mut manifests = manifest::parse("f", text).unwrap();
        manifests.sort_by_key(rank);
        let kinds: Vec<_> = manifests.iter().map(|m| m.text("/kind").unwrap()).collect();
        assert_eq!(kinds, ["Namespace", "Repo", "Agent"]);
    }

    #[test]
    fn an_identical_apply_is_called_unchanged() {
        let object = |version: &str| json!({"metadata": {"resourceVersion": version}});
        assert_eq!(change(None, &object("1")), "created");
        assert_eq!(change(Some(&object("1")), &object("1")), "unchanged");
        assert_eq!(change(Some(&object("1")), &object("2")), "configured");
    }
}
