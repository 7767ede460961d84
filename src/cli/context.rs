//! `regatta context`: which servers there are to talk to, and which one is talked to. Keeps the choice in the home; the
//! kubeconfigs themselves are read, never written.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use super::colour::Palette;
use super::failure::{DONE, Failure, Outcome, cannot};
use super::output::{Format, document, print, say};
use super::server::{Place, Server};
use super::table::{Layout, labelled};
use super::target::{self, Choice, Environment, Global, LOCAL, Target};

#[derive(Args, Debug)]
pub struct Context {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// The servers to choose from: this machine's, and those of your kubeconfigs
    List {
        #[arg(short, long, value_enum)]
        output: Option<Format>,
    },
    /// Talk to another server from now on
    Use {
        /// A name that `regatta context list` shows; `local` is this machine's own server
        #[arg(required_unless_present = "forget")]
        name: Option<String>,
        /// Forget the choice: KUBECONFIG, else this machine's own
        #[arg(long, conflicts_with = "name")]
        forget: bool,
    },
    /// Say which server is talked to, and why that one
    Show {
        #[arg(short, long, value_enum)]
        output: Option<Format>,
    },
}

/// A line of the list.
struct Entry {
    name: String,
    server: String,
    namespace: String,
    files: Vec<PathBuf>,
    current: bool,
}

impl Context {
    pub async fn run(self, global: &Global) -> Outcome {
        match self.verb {
            None => show(global, None).await,
            Some(Verb::Show { output }) => show(global, output).await,
            Some(Verb::List { output }) => list(global, output),
            Some(Verb::Use { forget: true, .. }) => forget(global),
            Some(Verb::Use { name, .. }) => choose(global, &name.unwrap_or_default()),
        }
    }
}

/// The names that can be chosen.
pub fn names(global: &Global) -> Result<Vec<String>, Failure> {
    let contexts = target::read(&files(global)?)?.contexts;
    Ok([LOCAL.to_owned()].into_iter().chain(contexts.into_iter().map(|c| c.name)).collect())
}

/// Where contexts are looked up: in the file that was named, else where kubectl looks; and where the choice was found.
fn files(global: &Global) -> Result<Vec<PathBuf>, Failure> {
    if let Some(file) = &global.kubeconfig {
        return Ok(vec![std::path::absolute(file).map_err(|e| cannot(format_args!("resolve {}", file.display()), e))?]);
    }
    let home = global.home()?;
    let mut files = Environment::read().files();
    let chosen = target::chosen(&home)?.map(|c| c.files).unwrap_or_default();
    files.extend(chosen.into_iter().filter(|f| f.exists()));
    let own = target::kubeconfig_path(&home);
    let mut seen = Vec::new();
    files.retain(|file| {
        *file != own && !seen.contains(file) && {
            seen.push(file.clone());
            true
        }
    });
    Ok(files)
}

fn entries(global: &Global, current: &Target) -> Result<Vec<Entry>, Failure> {
    let own = target::kubeconfig_path(&current.home);
    let local = if own.exists() { target::read(std::slice::from_ref(&own))? } else { Kubeconfig::default() };
    let (server, namespace) = facts(&local, local.current_context.as_deref().unwrap_or_default());
    let mut entries = vec![Entry {
        name: LOCAL.into(),
        server: if own.exists() { server } else { "starts with the first verb".into() },
        namespace,
        current: current.place == Place::Here,
        files: vec![own],
    }];
    for file in files(global)? {
        let kubeconfig = target::read(std::slice::from_ref(&file))?;
        let of_file = current.place == Place::Elsewhere && current.url.is_none() && current.files.contains(&file);
        let meant = current.context.clone().or_else(|| kubeconfig.current_context.clone());
        for context in &kubeconfig.contexts {
            let (server, namespace) = facts(&kubeconfig, &context.name);
            let current = of_file && meant.as_deref() == Some(context.name.as_str());
            entries.push(Entry { name: context.name.clone(), server, namespace, files: vec![file.clone()], current });
        }
    }
    Ok(entries)
}

/// A context's server and namespace.
fn facts(kubeconfig: &Kubeconfig, name: &str) -> (String, String) {
    let context = kubeconfig.contexts.iter().find(|c| c.name == name).and_then(|c| c.context.as_ref());
    let cluster = context.and_then(|context| kubeconfig.clusters.iter().find(|c| c.name == context.cluster));
    let server = cluster.and_then(|c| c.cluster.as_ref()?.server.clone()).unwrap_or_default();
    let namespace = context.and_then(|c| c.namespace.clone()).unwrap_or_else(|| "default".into());
    (server, namespace)
}

fn list(global: &Global, output: Option<Format>) -> Outcome {
    let entries = entries(global, &global.target()?)?;
    match output {
        Some(format @ (Format::Json | Format::Yaml)) => {
            let all: Vec<Value> = entries
                .iter()
                .map(|e| {
                    json!({"name": e.name, "server": e.server, "namespace": e.namespace, "files": e.files,
                           "current": e.current})
                })
                .collect();
            print(document(format, &json!({ "contexts": all }))?)?;
        }
        Some(Format::Name) => print(entries.iter().map(|e| format!("{}\n", e.name)).collect::<String>())?,
        None | Some(Format::Wide) => {
            let header = ["CURRENT", "NAME", "SERVER", "NAMESPACE", "FILE"].map(String::from);
            let rows: Vec<Vec<String>> = entries
                .into_iter()
                .map(|e| {
                    let mark = if e.current { "*" } else { "" };
                    let file = e.files.first().map(|f| f.display().to_string()).unwrap_or_default();
                    vec![mark.into(), e.name, e.server, e.namespace, file]
                })
                .collect();
            print(Layout::new(Palette::of_stdout()).text(Some(&header), &rows))?;
        }
    }
    DONE
}

fn choose(global: &Global, name: &str) -> Outcome {
    let home = global.home()?;
    let own = target::kubeconfig_path(&home);
    let (files, _) = target::find(name, &own, &files(global)?)?;
    let files = if name == LOCAL { Vec::new() } else { files };
    let choice = Choice { context: name.to_owned(), files };
    let text = serde_json::to_string_pretty(&choice).map_err(|e| cannot("keep the choice", e))?;
    keep(&target::choice_path(&home), &text)?;
    print(format_args!("now talking to {name}\n"))?;
    if global.server.is_some() || std::env::var_os("REGATTA_CONTEXT").is_some_and(|c| !c.is_empty()) {
        say("note: REGATTA_SERVER or REGATTA_CONTEXT is set here and goes before this choice");
    }
    DONE
}

fn keep(path: &Path, text: &str) -> Result<(), Failure> {
    let attempt = || format!("write {}", path.display());
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| cannot(attempt(), e))?;
    let new = path.with_extension("new");
    let write = || {
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        fs::rename(&new, path)
    };
    write().map_err(|e| cannot(attempt(), e))
}

fn forget(global: &Global) -> Outcome {
    let path = target::choice_path(&global.home()?);
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(cannot(format_args!("remove {}", path.display()), error)),
    }
    let target = global.target()?;
    print(format_args!("now talking to the server {}\n", target.reason()))?;
    DONE
}

async fn show(global: &Global, output: Option<Format>) -> Outcome {
    let target = global.target()?;
    let state = Server::find(global).await?;
    let name = match target.place {
        Place::Here => Some(LOCAL.to_owned()),
        Place::Elsewhere if target.url.is_some() => None,
        Place::Elsewhere => target.context.clone().or(target.kubeconfig()?.current_context),
    };
    let (url, namespace, answers) = match &state {
        Ok(server) => (Some(server.url.clone()), Some(server.namespace.clone()), "yes".to_owned()),
        Err(why) => (target.url.clone(), None, format!("no: {why}")),
    };
    if let Some(format @ (Format::Json | Format::Yaml)) = output {
        let value = json!({"context": name, "server": url, "namespace": namespace, "files": target.files,
                           "reason": target.reason(), "answers": state.is_ok()});
        print(document(format, &value)?)?;
        return DONE;
    }
    if output == Some(Format::Name) {
        print(format_args!("{}\n", name.unwrap_or_default()))?;
        return DONE;
    }
    let lines = [
        ("context", name),
        ("server", url),
        ("namespace", namespace),
        ("kubeconfig", Some(target.shown_files())),
        ("because", Some(target.reason().to_owned())),
        ("answers", Some(answers)),
    ];
    let lines: Vec<(&str, String)> = lines.into_iter().filter_map(|(label, text)| Some((label, text?))).collect();
    print(labelled(&lines))?;
    DONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_kept_whole_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("home");
        let path = target::choice_path(&home);
        let choice = Choice { context: "work".into(), files: vec!["/k".into()] };
        keep(&path, &serde_json::to_string(&choice).unwrap()).unwrap();
        assert_eq!(target::chosen(&home).unwrap(), Some(choice));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "{").unwrap();
        assert!(target::chosen(&home).unwrap_err().message.contains("writes it anew"));
    }
}
