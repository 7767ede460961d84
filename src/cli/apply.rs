//! `regatta apply`: manifests onto the server, by server-side apply.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::failure::{Cause, DONE, Exit, Failure, Outcome};
use super::kinds::{Kind, Kinds, Scope};
use super::manifest::{self, Manifest};
use super::output::{Format, document, print, reference, say, without_managed_fields};
use super::request::{self, encoded, query};
use super::server::{Global, Server};

/// Who sets the fields that this program applies.
pub const MANAGER: &str = "regatta-cli";

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

impl Apply {
    pub async fn run(self, global: &Global) -> Outcome {
        let mut manifests = manifest::read_all(&self.file)?;
        if manifests.is_empty() {
            return Err(Failure::failed("cannot apply: there is no object in what was given"));
        }
        let server = Server::reach(global).await?;
        manifests.sort_by_key(rank);
        let mut kinds = Kinds::discover(&server.client).await?;
        let mut worst: Option<Failure> = None;
        for manifest in &manifests {
            if kind_of(&kinds, manifest).is_none() {
                // A definition that was applied a moment ago brings its kind along.
                kinds = Kinds::discover(&server.client).await?;
            }
            if let Err(failure) = self.one(&server, &kinds, manifest).await {
                if failure.exit == Exit::Done {
                    return Err(failure);
                }
                say(&failure.message);
                worst = Some(failure);
            }
        }
        let all = manifests.len();
        worst.map_or(DONE, |f| Err(Failure::new(f.exit, format!("not everything of {all} objects could be applied"))))
    }

    async fn one(&self, server: &Server, kinds: &Kinds, manifest: &Manifest) -> Result<(), Failure> {
        let (version, kind_name) = (manifest.text("/apiVersion"), manifest.text("/kind"));
        let name = manifest.text("/metadata/name").unwrap_or_default();
        let place = manifest.place();
        let kind = kind_of(kinds, manifest).ok_or_else(|| {
            let (version, kind) = (version.unwrap_or_default(), kind_name.unwrap_or_default());
            Failure::failed(format!("{place}: the server has no kind {kind} of {version}"))
        })?;
        let namespace = manifest.text("/metadata/namespace").unwrap_or(&server.namespace);
        let path = format!("{}/{}", kind.path(Some(namespace)), encoded(name));
        let wrong = |error: kube::Error| {
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
            ("force", self.force_conflicts.then(|| "true".into())),
            ("dryRun", self.dry_run.then(|| "All".into())),
        ]);
        let body = in_namespace(manifest.object.clone(), kind, namespace);
        let applied = request::patch(&server.client, &format!("{path}{options}"), APPLY_PATCH, &body).await;
        let applied = applied.map_err(wrong)?;
        self.report(kind, name, before.as_ref(), applied)
    }

    fn report(&self, kind: &Kind, name: &str, before: Option<&Value>, applied: Value) -> Result<(), Failure> {
        let reference = reference(&kind.singular, name);
        let dry = if self.dry_run { " (dry run)" } else { "" };
        match self.output {
            Some(Format::Name) => print(format_args!("{reference}\n")),
            Some(format @ (Format::Json | Format::Yaml)) => {
                let separator = if format == Format::Yaml { "---\n" } else { "" };
                print(separator.to_owned() + &document(format, &without_managed_fields(applied))?)
            }
            None | Some(Format::Wide) => print(format_args!("{reference} {}{dry}\n", change(before, &applied))),
        }
    }
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
