//! Which server a verb talks to, and why that one: flags, the choice of `regatta context use`, the environment, this
//! machine's own. Reads small files; opens no connection and starts nothing.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use kube::config::Kubeconfig;
use serde::{Deserialize, Serialize};

use super::failure::{Exit, Failure, cannot};

/// What the server of this machine's home is called among the contexts.
pub const LOCAL: &str = "local";

/// What every verb understands.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Where Regatta keeps its data and credentials [default: ~/.regatta]
    #[arg(long, env = "REGATTA_HOME", value_name = "DIR", global = true, hide_env = true)]
    pub home: Option<PathBuf>,
    /// Use the API server at this URL, with the credentials of the home or of --kubeconfig
    #[arg(long, env = "REGATTA_SERVER", value_name = "URL", global = true, hide_env = true)]
    pub server: Option<String>,
    /// Use the server of this kubeconfig [default: $KUBECONFIG where no home is given, else the home's]
    #[arg(long, value_name = "FILE", global = true)]
    pub kubeconfig: Option<PathBuf>,
    /// Use the server of this context, for once; `regatta context list` names them
    #[arg(long, env = "REGATTA_CONTEXT", value_name = "NAME", global = true, hide_env = true)]
    pub context: Option<String>,
    /// The namespace of objects [default: the context's, else `default`]
    #[arg(short, long, env = "REGATTA_NAMESPACE", value_name = "NAMESPACE", global = true, hide_env = true)]
    pub namespace: Option<String>,
}

/// Where the server runs, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Here,
    Elsewhere,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    ServerFlag,
    KubeconfigFlag,
    ContextFlag,
    Chosen,
    Environment,
    Home,
}

/// The server that is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub home: PathBuf,
    /// Kubeconfigs, merged as kubectl merges them: the first that says something wins.
    pub files: Vec<PathBuf>,
    pub context: Option<String>,
    /// Instead of the URL that the kubeconfig names.
    pub url: Option<String>,
    pub place: Place,
    pub why: Why,
}

/// What `regatta context use` keeps in the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    pub context: String,
    /// None for this machine's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathBuf>,
}

/// What the environment says about kubeconfigs.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `KUBECONFIG`, taken apart.
    pub kubeconfig: Vec<PathBuf>,
    /// `~/.kube/config`, where kubectl looks without it.
    pub usual: Option<PathBuf>,
}

impl Environment {
    pub fn read() -> Environment {
        let listed = std::env::var_os("KUBECONFIG").unwrap_or_default();
        let kubeconfig = std::env::split_paths(&listed).filter(|p| !p.as_os_str().is_empty()).collect();
        let home = std::env::var_os("HOME").filter(|h| !h.is_empty());
        Environment { kubeconfig, usual: home.map(|h| PathBuf::from(h).join(".kube/config")) }
    }

    /// The files in which contexts are looked up by name.
    pub fn files(&self) -> Vec<PathBuf> {
        let files =
            if self.kubeconfig.is_empty() { self.usual.iter().cloned().collect() } else { self.kubeconfig.clone() };
        files.into_iter().filter(|f| f.exists()).collect()
    }
}

impl Global {
    /// The home as an absolute path: a server started from here must not depend on where we stand.
    pub fn home(&self) -> Result<PathBuf, Failure> {
        let home = match &self.home {
            Some(dir) => dir.clone(),
            None => PathBuf::from(std::env::var_os("HOME").filter(|h| !h.is_empty()).ok_or_else(|| {
                Failure::usage("cannot find the home: neither REGATTA_HOME nor HOME is set; pass --home DIR")
            })?)
            .join(".regatta"),
        };
        std::path::absolute(&home).map_err(|e| cannot(format_args!("resolve {}", home.display()), e))
    }

    pub fn target(&self) -> Result<Target, Failure> {
        let home = self.home()?;
        let choice = chosen(&home)?;
        self.decide(home, choice, &Environment::read())
    }

    /// Flags beat the kept choice, that beats KUBECONFIG, that beats the home; but a home that was named is meant.
    fn decide(&self, home: PathBuf, choice: Option<Choice>, environment: &Environment) -> Result<Target, Failure> {
        let own = kubeconfig_path(&home);
        let target = |files: Vec<PathBuf>, context: Option<String>, why: Why| {
            let url = self.server.clone();
            let here = url.is_none() && context.is_none() && matches!(files.as_slice(), [one] if *one == own);
            let place = if here { Place::Here } else { Place::Elsewhere };
            Target { home: home.clone(), files, context, url, place, why }
        };
        if let Some(file) = &self.kubeconfig {
            let file = std::path::absolute(file).map_err(|e| cannot(format_args!("resolve {}", file.display()), e))?;
            return Ok(target(vec![file], self.context.clone(), Why::KubeconfigFlag));
        }
        if let Some(name) = &self.context {
            let (files, context) = find(name, &own, &environment.files())?;
            return Ok(target(files, context, Why::ContextFlag));
        }
        if self.server.is_some() {
            return Ok(target(vec![own.clone()], None, Why::ServerFlag));
        }
        if let Some(Choice { context, files }) = choice {
            let local = files.is_empty();
            let context = (!local).then_some(context);
            return Ok(target(if local { vec![own.clone()] } else { files }, context, Why::Chosen));
        }
        if self.home.is_none() && !environment.kubeconfig.is_empty() {
            let there = |file: &&PathBuf| file.exists() || **file == own;
            let files: Vec<PathBuf> = environment.kubeconfig.iter().filter(there).cloned().collect();
            // Where none is there, reading says which was looked for.
            let files = if files.is_empty() { environment.kubeconfig.clone() } else { files };
            return Ok(target(files, None, Why::Environment));
        }
        Ok(target(vec![own.clone()], None, Why::Home))
    }
}

impl Target {
    /// What the files say together. A home's own that is not there yet is no error for who can start a server.
    pub fn kubeconfig(&self) -> Result<Kubeconfig, Failure> {
        read(&self.files)
    }

    /// The file that kubectl would have to be given.
    pub fn shown_files(&self) -> String {
        let files: Vec<String> = self.files.iter().map(|f| f.display().to_string()).collect();
        files.join(":")
    }

    /// For messages: who said that this server is meant.
    pub fn reason(&self) -> &'static str {
        match self.why {
            Why::ServerFlag => "named by --server or REGATTA_SERVER",
            Why::KubeconfigFlag => "named by --kubeconfig",
            Why::ContextFlag => "named by --context or REGATTA_CONTEXT",
            Why::Chosen => "chosen with `regatta context use`",
            Why::Environment => "named by KUBECONFIG; `regatta context use local` prefers this machine's",
            Why::Home => "this machine's own",
        }
    }
}

pub fn kubeconfig_path(home: &Path) -> PathBuf {
    home.join("kubeconfig")
}

pub fn choice_path(home: &Path) -> PathBuf {
    home.join("context.json")
}

/// What was chosen in this home.
pub fn chosen(home: &Path) -> Result<Option<Choice>, Failure> {
    let path = choice_path(home);
    let attempt = || format!("read {}", path.display());
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|e| cannot(attempt(), format!("{e}; `regatta context use NAME` writes it anew"))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot(attempt(), error)),
    }
}

/// Several kubeconfigs as one.
pub fn read(files: &[PathBuf]) -> Result<Kubeconfig, Failure> {
    let mut merged = Kubeconfig::default();
    for file in files {
        let attempt = || format!("read kubeconfig {}", file.display());
        let next = Kubeconfig::read_from(file).map_err(|e| cannot(attempt(), super::failure::chain(&e)))?;
        merged = merged.merge(next).map_err(|e| cannot(attempt(), super::failure::chain(&e)))?;
    }
    Ok(merged)
}

/// The files and the context that a name stands for.
pub fn find(name: &str, own: &Path, files: &[PathBuf]) -> Result<(Vec<PathBuf>, Option<String>), Failure> {
    if name == LOCAL {
        return Ok((vec![own.to_owned()], None));
    }
    let known: Vec<String> = read(files)?.contexts.into_iter().map(|c| c.name).collect();
    if known.iter().any(|k| k == name) {
        return Ok((files.to_vec(), Some(name.to_owned())));
    }
    let names: Vec<&str> = [LOCAL].into_iter().chain(known.iter().map(String::as_str)).collect();
    Err(Failure::new(
        Exit::NotFound,
        format!("there is no context {name:?}; there are {}; --kubeconfig FILE names another file", names.join(", ")),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "apiVersion: v1\nkind: Config\nclusters:\n- {name: c, cluster: {server: \"https://c:6443\"}}\ncontexts:\n- {name: work, context: {cluster: c, user: \"\"}}\ncurrent-context: work\n";

    struct World {
        dir: tempfile::TempDir,
    }

    impl World {
        fn new() -> World {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("cluster"), CLUSTER).unwrap();
            World { dir }
        }

        fn cluster(&self) -> PathBuf {
            self.dir.path().join("cluster")
        }

        fn decide(&self, global: &Global, choice: Option<Choice>, kubeconfig: &[PathBuf]) -> Result<Target, Failure> {
            let environment = Environment { kubeconfig: kubeconfig.to_vec(), usual: Some(self.cluster()) };
            global.decide(self.dir.path().join("home"), choice, &environment)
        }
    }

    #[test]
    fn without_a_word_it_is_this_machines_server() {
        let world = World::new();
        let target = world.decide(&Global::default(), None, &[]).unwrap();
        assert_eq!((target.place, target.why), (Place::Here, Why::Home));
        assert_eq!(target.files, [world.dir.path().join("home/kubeconfig")]);
    }

    #[test]
    fn kubeconfig_of_the_environment_counts_unless_a_home_is_named() {
        let world = World::new();
        let environment = [world.cluster()];
        let target = world.decide(&Global::default(), None, &environment).unwrap();
        assert_eq!((target.place, target.why), (Place::Elsewhere, Why::Environment));
        let named = Global { home: Some("/h".into()), ..Global::default() };
        assert_eq!(world.decide(&named, None, &environment).unwrap().why, Why::Home);
        // What `regatta kubeconfig` prints is this machine's server again.
        let own = world.dir.path().join("home/kubeconfig");
        fs::create_dir(world.dir.path().join("home")).unwrap();
        fs::write(&own, CLUSTER).unwrap();
        assert_eq!(world.decide(&Global::default(), None, &[own]).unwrap().place, Place::Here);
    }

    #[test]
    fn a_choice_beats_the_environment_and_flags_beat_the_choice() {
        let world = World::new();
        let chosen = Choice { context: "work".into(), files: vec![world.cluster()] };
        let target = world.decide(&Global::default(), Some(chosen.clone()), &["/elsewhere".into()]).unwrap();
        assert_eq!((target.why, target.context.as_deref()), (Why::Chosen, Some("work")));
        let local = Choice { context: LOCAL.into(), files: Vec::new() };
        assert_eq!(world.decide(&Global::default(), Some(local), &[world.cluster()]).unwrap().place, Place::Here);
        let flags = Global { context: Some(LOCAL.into()), ..Global::default() };
        assert_eq!(world.decide(&flags, Some(chosen.clone()), &[]).unwrap().place, Place::Here);
        let flags = Global { kubeconfig: Some(world.cluster()), ..Global::default() };
        assert_eq!(world.decide(&flags, Some(chosen.clone()), &[]).unwrap().why, Why::KubeconfigFlag);
        let flags = Global { server: Some("https://x".into()), ..Global::default() };
        let target = world.decide(&flags, Some(chosen), &[]).unwrap();
        assert_eq!((target.why, target.place), (Why::ServerFlag, Place::Elsewhere));
    }

    #[test]
    fn an_unknown_context_is_not_found_and_the_known_ones_are_named() {
        let world = World::new();
        let flags = Global { context: Some("play".into()), ..Global::default() };
        let failure = world.decide(&flags, None, &[]).unwrap_err();
        assert_eq!(failure.exit, Exit::NotFound);
        assert!(failure.message.contains("local, work"), "{}", failure.message);
        let flags = Global { context: Some("work".into()), ..Global::default() };
        assert_eq!(world.decide(&flags, None, &[]).unwrap().files, [world.cluster()]);
    }
}
