//! From what was asked on the command line to the objects that say so: a Repo where one is needed, and the Agent. Pure.

use std::path::{Path, PathBuf};

use super::checkout::Checkout;
use crate::api::agent::{EnvVar, HostChoice, Prompt};
use crate::api::names::{LocalRef, slug};
use crate::api::{AgentSpec, RepoSpec};
use crate::cli::server::Place;

/// What was asked.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub adapter: Option<String>,
    pub class: Option<String>,
    pub prompt: Option<String>,
    pub argv: Vec<String>,
    pub name: Option<String>,
    pub branch: Option<String>,
    pub base: Option<String>,
    pub env: Vec<EnvVar>,
    pub host: Option<String>,
}

/// Where the agent should work, as far as the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing was said: look at the directory we stand in.
    Unsaid,
    Repo(String),
    Directory(PathBuf),
    Scratch,
}

/// Where the agent works.
#[derive(Clone, Debug, PartialEq)]
pub enum Workplace {
    Repo(String),
    NewRepo { name: String, spec: Box<RepoSpec> },
    Directory(String),
    Scratch,
}

/// What is known of a Repo, and of agents' worktrees, to find the one that is meant.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub repos: Vec<KnownRepo>,
    /// Worktrees of agents, with their Repo's name.
    pub worktrees: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct KnownRepo {
    pub name: String,
    pub path: Option<String>,
    pub url: Option<String>,
}

/// The adapter when only an argument vector is given.
const COMMAND: &str = "command";

/// Adapters that do what a person does in a terminal, so outside a repository they work where the person stands.
const WHERE_I_STAND: [&str; 2] = [COMMAND, "shell"];

impl Wish {
    pub fn adapter(&self) -> Option<&str> {
        match (&self.adapter, &self.class) {
            (Some(adapter), _) => Some(adapter),
            (None, None) if !self.argv.is_empty() => Some(COMMAND),
            (None, _) => None,
        }
    }

    /// A name from the prompt's first four words, else from the command, else from the adapter.
    pub fn base_name(&self) -> String {
        let program = self.argv.first().and_then(|p| Path::new(p).file_name()).and_then(|n| n.to_str());
        self.prompt
            .as_deref()
            .and_then(|p| slug(p, 4))
            .or_else(|| program.and_then(|p| slug(p, 4)))
            .or_else(|| self.adapter().and_then(|a| slug(a, 4)))
            .or_else(|| self.class.as_deref().and_then(|c| slug(c, 4)))
            .unwrap_or_else(|| "agent".into())
    }

    pub fn spec(&self, workplace: &Workplace) -> AgentSpec {
        let is_command = self.adapter() == Some(COMMAND);
        let (repo, directory) = match workplace {
            Workplace::Repo(name) | Workplace::NewRepo { name, .. } => (Some(name.clone()), None),
            Workplace::Directory(path) => (None, Some(path.clone())),
            Workplace::Scratch => (None, None),
        };
        AgentSpec {
            class_ref: self.class.clone().map(LocalRef::to),
            repo_ref: repo.map(LocalRef::to),
            base_ref: self.base.clone(),
            branch: self.branch.clone(),
            directory,
            adapter: self.adapter().map(str::to_owned),
            args: if is_command { Vec::new() } else { self.argv.clone() },
            command: if is_command { self.argv.clone() } else { Vec::new() },
            prompt: self.prompt.clone().map(|text| Prompt { text: Some(text), ..Prompt::default() }),
            env: self.env.clone(),
            host: self.host.clone().map(|name| HostChoice { name: Some(name), ..HostChoice::default() }),
            ..AgentSpec::default()
        }
    }

    /// Where the agent works: as said, else the repository around us, else where we stand, for a shell or a command.
    pub fn workplace(
        &self,
        wanted: &Wanted,
        here: &Path,
        checkout: Option<&Checkout>,
        place: Place,
        known: &Known,
    ) -> Result<Workplace, String> {
        let found = match (wanted, checkout) {
            (Wanted::Repo(name), _) => Workplace::Repo(name.clone()),
            (Wanted::Directory(path), _) => Workplace::Directory(path.display().to_string()),
            (Wanted::Scratch, _) => Workplace::Scratch,
            (Wanted::Unsaid, Some(checkout)) => known.repo_of(checkout, place)?,
            (Wanted::Unsaid, None) => {
                let stands = self.adapter().is_some_and(|a| WHERE_I_STAND.contains(&a));
                // Only on this machine is there a directory of that name.
                if stands && place == Place::Here && self.host.is_none() {
                    Workplace::Directory(here.display().to_string())
                } else {
                    Workplace::Scratch
                }
            }
        };
        let needs_repo = if self.branch.is_some() { Some("--branch") } else { self.base.as_ref().map(|_| "--base") };
        match (&found, needs_repo) {
            (Workplace::Directory(_) | Workplace::Scratch, Some(flag)) => {
                Err(format!("{flag} needs a repository: run this inside one, or name one with --repo"))
            }
            _ => Ok(found),
        }
    }
}

impl Known {
    /// The Repo of a checkout: one that exists already, else a new one.
    fn repo_of(&self, checkout: &Checkout, place: Place) -> Result<Workplace, String> {
        let toplevel = checkout.toplevel.display().to_string();
        if let Some((_, repo)) = self.worktrees.iter().find(|(path, _)| *path == toplevel) {
            return Ok(Workplace::Repo(repo.clone()));
        }
        // A linked worktree goes away one day; what it is a worktree of stays.
        let directory = checkout.main.as_ref().unwrap_or(&checkout.toplevel);
        let path = directory.display().to_string();
        let spec = match (place, &checkout.origin) {
            (Place::Here, _) => repo_spec(None, Some(path)),
            (Place::Elsewhere, Some(origin)) => repo_spec(Some(origin.clone()), None),
            (Place::Elsewhere, None) => {
                return Err(format!(
                    "{path} has no remote `origin` that the other machine could clone; add one, or name a Repo with --repo"
                ));
            }
        };
        let same = |r: &&KnownRepo| (r.path.is_some() || r.url.is_some()) && r.path == spec.path && r.url == spec.url;
        if let Some(repo) = self.repos.iter().find(same) {
            return Ok(Workplace::Repo(repo.name.clone()));
        }
        let base = directory.file_name().and_then(|n| n.to_str()).and_then(|n| slug(n, 8));
        let names: Vec<&str> = self.repos.iter().map(|r| r.name.as_str()).collect();
        Ok(Workplace::NewRepo { name: free_name(&base.unwrap_or_else(|| "repo".into()), &names), spec })
    }
}

fn repo_spec(url: Option<String>, path: Option<String>) -> Box<RepoSpec> {
    Box::new(RepoSpec { url, path, ..RepoSpec::default() })
}

/// The name itself, or with the smallest number behind it that nobody has.
pub fn free_name(base: &str, taken: &[&str]) -> String {
    if !taken.contains(&base) {
        return base.to_owned();
    }
    (2u64..)
        .map(|n| format!("{base}-{n}"))
        .find(|name| !taken.contains(&name.as_str()))
        .expect("there are more numbers than names")
}

/// `KEY=VALUE`, or `KEY` with the value that it has here.
pub fn env_var(text: &str) -> Result<EnvVar, String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => {
            let value = std::env::var(text).map_err(|_| format!("{text} has no value here; write {text}=VALUE"))?;
            (text, value)
        }
    };
    Ok(EnvVar { name: name.to_owned(), value: Some(value), value_from: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(adapter: &str, prompt: &str, argv: &[&str]) -> Wish {
        let some = |t: &str| (!t.is_empty()).then(|| t.to_owned());
        Wish {
            adapter: some(adapter),
            prompt: some(prompt),
            argv: argv.iter().map(|a| (*a).to_owned()).collect(),
            ..Wish::default()
        }
    }

    fn checkout(toplevel: &str) -> Checkout {
        Checkout { toplevel: toplevel.into(), main: Some(toplevel.into()), origin: None }
    }

    fn repo(name: &str, path: &str) -> KnownRepo {
        KnownRepo { name: name.into(), path: Some(path.into()), url: None }
    }

    fn place_of(wish: &Wish, checkout: Option<&Checkout>, known: &Known) -> Workplace {
        wish.workplace(&Wanted::Unsaid, Path::new("/here"), checkout, Place::Here, known).unwrap()
    }

    #[test]
    fn a_name_comes_from_the_prompt_then_the_command_then_the_adapter() {
        assert_eq!(wish("claude", "Fix the flaky test in auth", &[]).base_name(), "fix-the-flaky-test");
        assert_eq!(wish("", "", &["/usr/bin/top", "-b"]).base_name(), "top");
        assert_eq!(wish("shell", "", &[]).base_name(), "shell");
        assert_eq!(wish("claude", "日本語", &[]).base_name(), "claude");
    }

    #[test]
    fn a_taken_name_gets_the_smallest_free_number() {
        assert_eq!(free_name("a", &["b"]), "a");
        assert_eq!(free_name("a", &["a", "a-2", "a-4"]), "a-3");
    }

    #[test]
    fn in_a_repository_its_repo_is_reused_or_made() {
        let mut known = Known { repos: vec![repo("app", "/src/other/app")], ..Known::default() };
        let made = place_of(&wish("shell", "", &[]), Some(&checkout("/src/app")), &known);
        let Workplace::NewRepo { name, spec } = made else { panic!("{made:?}") };
        assert_eq!((name.as_str(), spec.path.as_deref()), ("app-2", Some("/src/app")));
        known.repos.push(repo("mine", "/src/app"));
        let reused = place_of(&wish("shell", "", &[]), Some(&checkout("/src/app")), &known);
        assert_eq!(reused, Workplace::Repo("mine".into()));
    }

    #[test]
    fn an_agent_that_starts_an_agent_shares_its_repo() {
        let known = Known { worktrees: vec![("/w/1".into(), "app".into())], ..Known::default() };
        let checkout = Checkout { toplevel: "/w/1".into(), main: None, origin: None };
        assert_eq!(place_of(&wish("shell", "", &[]), Some(&checkout), &known), Workplace::Repo("app".into()));
    }

    #[test]
    fn a_linked_worktree_stands_for_what_it_is_a_worktree_of() {
        let checkout = Checkout { toplevel: "/tmp/w".into(), main: Some("/src/app".into()), origin: None };
        let known = Known { repos: vec![repo("app", "/src/app")], ..Known::default() };
        assert_eq!(place_of(&wish("shell", "", &[]), Some(&checkout), &known), Workplace::Repo("app".into()));
    }

    #[test]
    fn another_machine_gets_the_url_of_origin() {
        let with = Checkout { origin: Some("https://example.com/app.git".into()), ..checkout("/src/app") };
        let wish = wish("shell", "", &[]);
        let of = |c: &Checkout| {
            wish.workplace(&Wanted::Unsaid, Path::new("/here"), Some(c), Place::Elsewhere, &Known::default())
        };
        let Ok(Workplace::NewRepo { spec, .. }) = of(&with) else { panic!("a new Repo") };
        assert_eq!(spec.url.as_deref(), Some("https://example.com/app.git"));
        assert!(of(&checkout("/src/app")).is_err_and(|e| e.contains("no remote `origin`")));
    }

    #[test]
    fn outside_a_repository_a_shell_works_where_one_stands_and_others_in_a_directory_of_their_own() {
        let known = Known::default();
        let here = Workplace::Directory("/here".into());
        assert_eq!(place_of(&wish("shell", "", &[]), None, &known), here);
        assert_eq!(place_of(&wish("", "", &["make"]), None, &known), here);
        assert_eq!(place_of(&wish("claude", "x", &[]), None, &known), Workplace::Scratch);
        let elsewhere = Wish { host: Some("gpu".into()), ..wish("shell", "", &[]) };
        assert_eq!(place_of(&elsewhere, None, &known), Workplace::Scratch);
    }

    #[test]
    fn a_branch_needs_a_repository() {
        let wish = Wish { branch: Some("b".into()), ..wish("shell", "", &[]) };
        let wrong = wish.workplace(&Wanted::Unsaid, Path::new("/"), None, Place::Here, &Known::default());
        assert!(wrong.is_err_and(|e| e.starts_with("--branch needs a repository")));
    }

    #[test]
    fn argv_is_the_command_of_adapter_command_and_further_arguments_of_others() {
        let command = wish("", "", &["make", "test"]).spec(&Workplace::Scratch);
        assert_eq!(command.adapter.as_deref(), Some("command"));
        assert_eq!((command.command.len(), command.args.len()), (2, 0));
        let other = wish("claude", "x", &["--verbose"]).spec(&Workplace::Repo("app".into()));
        assert_eq!((other.command.len(), other.args.as_slice()), (0, &["--verbose".to_owned()][..]));
        assert_eq!(other.repo_ref, Some(LocalRef::to("app")));
    }
}
