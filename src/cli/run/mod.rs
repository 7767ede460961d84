//! `regatta run`: a Repo, where one is needed, and an Agent from one line. Sugar over the API: `--dry-run -o yaml`
//! prints what it would create.

mod checkout;
mod manifest;

use std::cell::RefCell;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use self::manifest::{Known, KnownRepo, Wanted, Wish, Workplace, env_var, free_name};
use super::apply::MANAGER;
use super::attach::{Attach, is_terminal};
use super::failure::{DONE, Failure, Outcome, cannot};
use super::output::{Format, document, print, reference, say, without_managed_fields};
use super::server::{Global, Server};
use super::status::exit_text;
use super::until::{Seen, Waiting, until};
use super::wait::seconds;
use crate::api::agent::EnvVar;
use crate::api::conditions::{READY, SCHEDULED, SESSION_READY, STALLED, find, is_true};
use crate::api::{Activity, Agent, GROUP, Repo, VERSION};

#[derive(Args, Debug)]
pub struct Run {
    /// Which CLI: an adapter's name or alias, such as `shell`; `command` when only ARGV is given
    #[arg(value_name = "ADAPTER", required_unless_present_any = ["argv", "class"])]
    adapter: Option<String>,
    /// The first task
    prompt: Option<String>,
    /// What to run, exactly as it is; for other adapters than `command`: further arguments
    #[arg(last = true)]
    argv: Vec<String>,
    /// The agent's name [default: the first four words of the prompt, or the command's name]
    #[arg(long)]
    name: Option<String>,
    /// Work on this Repo [default: that of the git repository around you, made if there is none]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["directory", "scratch"])]
    repo: Option<String>,
    /// Run in this directory, without a worktree [default outside a repository, for shell and command: where you are]
    #[arg(long, value_name = "DIR", conflicts_with = "scratch")]
    directory: Option<PathBuf>,
    /// Run in an empty directory of its own
    #[arg(long)]
    scratch: bool,
    /// The agent's own branch [default: agent/NAME]
    #[arg(long)]
    branch: Option<String>,
    /// The branch or commit to start from [default: the repository's default branch]
    #[arg(long)]
    base: Option<String>,
    /// A class whose values the agent inherits
    #[arg(long)]
    class: Option<String>,
    /// KEY=VALUE for its environment, or KEY to pass on the value it has here; may be given several times
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = env_var)]
    env: Vec<EnvVar>,
    /// Place it on this host
    #[arg(long)]
    host: Option<String>,
    /// Do not attach, even in a terminal
    #[arg(short, long)]
    detach: bool,
    /// Return as soon as the agent is created
    #[arg(long)]
    no_wait: bool,
    /// How long to wait until it runs
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = seconds)]
    timeout: Duration,
    /// Print the objects instead of creating them
    #[arg(long)]
    dry_run: bool,
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

impl Run {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = self.server(global).await?;
        let known = match &server {
            Some(server) => known(server).await?,
            None => Known::default(),
        };
        let here = std::env::current_dir().map_err(|e| cannot("find the current directory", e))?;
        let wanted = self.wanted()?;
        let checkout = match wanted {
            Wanted::Unsaid => checkout::around(&here)?,
            Wanted::Repo(_) | Wanted::Directory(_) | Wanted::Scratch => None,
        };
        let wish = self.wish();
        let place = global.target()?.place;
        let workplace = wish
            .workplace(&wanted, &here, checkout.as_ref(), place, &known)
            .map_err(|why| Failure::usage(format!("cannot run an agent here: {why}")))?;
        if self.dry_run {
            return self.show(&server, global, &wish, &workplace).await;
        }
        let server = server.expect("only a dry run goes without a server");
        let namespace = server.namespace.clone();
        if let Workplace::NewRepo { name, spec } = &workplace {
            let repo = Repo::new(name, (**spec).clone());
            let api: Api<Repo> = Api::namespaced(server.client.clone(), &namespace);
            api.create(&manager(), &repo).await.map_err(|e| cannot(format_args!("create repo {name:?}"), e))?;
            say(format_args!("{} created", reference("repo", name)));
        }
        let agent = self.create(&server, &wish, &workplace).await?;
        let name = agent.metadata.name.clone().unwrap_or_default();
        let attach = !self.detach && self.output.is_none() && is_terminal();
        if !attach {
            self.print(&agent, &name)?;
        }
        if self.no_wait {
            return DONE;
        }
        self.wait(&server, &name, attach).await?;
        if attach {
            return Attach::to(&name).run(global).await;
        }
        DONE
    }

    /// A dry run looks at a server that is there, and needs none.
    async fn server(&self, global: &Global) -> Result<Option<Server>, Failure> {
        if self.dry_run {
            return Ok(Server::find(global).await?.ok());
        }
        Server::reach(global).await.map(Some)
    }

    fn wanted(&self) -> Result<Wanted, Failure> {
        Ok(match (&self.repo, &self.directory, self.scratch) {
            (Some(repo), _, _) => Wanted::Repo(repo.clone()),
            (None, Some(directory), _) => Wanted::Directory(
                std::path::absolute(directory)
                    .map_err(|e| cannot(format_args!("resolve {}", directory.display()), e))?,
            ),
            (None, None, true) => Wanted::Scratch,
            (None, None, false) => Wanted::Unsaid,
        })
    }

    fn wish(&self) -> Wish {
        Wish {
            adapter: self.adapter.clone(),
            class: self.class.clone(),
            prompt: self.prompt.clone(),
            argv: self.argv.clone(),
            name: self.name.clone(),
            branch: self.branch.clone(),
            base: self.base.clone(),
            env: self.env.clone(),
            host: self.host.clone(),
        }
    }

    async fn show(&self, server: &Option<Server>, global: &Global, wish: &Wish, workplace: &Workplace) -> Outcome {
        let taken = match server {
            Some(server) => agent_names(server).await?,
            None => Vec::new(),
        };
        let namespace = server.as_ref().map(|s| s.namespace.clone()).or_else(|| global.namespace.clone());
        let mut objects = Vec::new();
        if let Workplace::NewRepo { name, spec } = workplace {
            objects.push(object("Repo", name, namespace.as_deref(), json!(spec)));
        }
        let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        let name = wish.name.clone().unwrap_or_else(|| free_name(&wish.base_name(), &taken));
        objects.push(object("Agent", &name, namespace.as_deref(), json!(wish.spec(workplace))));
        let format = self.output.unwrap_or(Format::Yaml);
        match format {
            Format::Name => {
                for object in &objects {
                    let (kind, name) = (object["kind"].as_str(), object["metadata"]["name"].as_str());
                    print(reference(kind.unwrap_or_default(), name.unwrap_or_default()) + "\n")?;
                }
            }
            Format::Json if objects.len() > 1 => {
                print(document(format, &json!({"apiVersion": "v1", "kind": "List", "items": objects}))?)?;
            }
            Format::Json | Format::Yaml | Format::Wide => {
                let format = if format == Format::Json { Format::Json } else { Format::Yaml };
                let documents = objects.iter().map(|o| document(format, o)).collect::<Result<Vec<_>, _>>()?;
                print(documents.join("---\n"))?;
            }
        }
        DONE
    }

    /// Creates the Agent; a name of our own choosing gives way to whoever took it meanwhile.
    async fn create(&self, server: &Server, wish: &Wish, workplace: &Workplace) -> Result<Agent, Failure> {
        let spec = wish.spec(workplace);
        let api = server.agents();
        if let Some(name) = &wish.name {
            let created = api.create(&manager(), &Agent::new(name, spec)).await;
            return created.map_err(|e| cannot(format_args!("create agent {name:?}"), e));
        }
        let mut taken = agent_names(server).await?;
        let base = wish.base_name();
        loop {
            let name = free_name(&base, &taken.iter().map(String::as_str).collect::<Vec<_>>());
            match api.create(&manager(), &Agent::new(&name, spec.clone())).await {
                Ok(agent) => return Ok(agent),
                Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" && taken.len() < 100_000 => {
                    taken.push(name);
                }
                Err(error) => return Err(cannot(format_args!("create agent {name:?}"), error)),
            }
        }
    }

    fn print(&self, agent: &Agent, name: &str) -> Result<(), Failure> {
        match self.output {
            Some(format @ (Format::Json | Format::Yaml)) => {
                let object = serde_json::to_value(agent).map_err(|e| cannot("write the agent", e))?;
                print(document(format, &without_managed_fields(object))?)
            }
            Some(Format::Name | Format::Wide) | None => print(reference("agent", name) + "\n"),
        }
    }

    /// Until it runs. After two seconds it says, once for every reason, what it waits for.
    async fn wait(&self, server: &Server, name: &str, attach: bool) -> Result<(), Failure> {
        let waiting = Waiting {
            client: &server.client,
            path: server.agent_path("", "").trim_end_matches('/').to_owned(),
            name,
            deadline: Some(Instant::now() + self.timeout),
            what: format!("agent/{name} to be ready"),
        };
        let why = RefCell::new(String::from("it was not placed on a host yet"));
        let done = until(&waiting, |seen| match progress(seen, attach) {
            Progress::There => Some(Ok(())),
            Progress::Failed(why) => Some(Err(Failure::failed(format!("agent/{name} {why}")))),
            Progress::Waiting(reason) => {
                *why.borrow_mut() = reason;
                None
            }
        });
        let mut done = std::pin::pin!(done);
        let mut told = String::new();
        let mut tick = tokio::time::interval_at(Instant::now() + Duration::from_secs(2), Duration::from_millis(500));
        loop {
            tokio::select! {
                done = &mut done => return done?,
                _ = tick.tick() => {
                    let now = why.borrow().clone();
                    if now != told {
                        say(format_args!("waiting for agent/{name}: {now}"));
                        told = now;
                    }
                }
            }
        }
    }
}

/// How far an agent is on its way to running.
#[derive(Debug, PartialEq, Eq)]
enum Progress {
    There,
    Failed(String),
    Waiting(String),
}

fn progress(seen: Seen<'_>, attach: bool) -> Progress {
    let Seen::Object(object) = seen else { return Progress::Failed("was deleted meanwhile".into()) };
    let agent: Agent = match serde_json::from_value(object.clone()) {
        Ok(agent) => agent,
        Err(error) => return Progress::Failed(format!("cannot be read: {error}")),
    };
    let Some(status) = agent.status else { return Progress::Waiting("it was not placed on a host yet".into()) };
    let ready = find(&status.conditions, READY);
    let says = |kind: &str| {
        find(&status.conditions, kind).map(|c| if c.message.is_empty() { c.reason.clone() } else { c.message.clone() })
    };
    // With a terminal to show, how a command ended is seen there.
    if is_true(&status.conditions, READY) || attach && is_true(&status.conditions, SESSION_READY) {
        return Progress::There;
    }
    if matches!(status.activity, Some(Activity::Failed)) && ready.is_none_or(|r| r.reason != "CrashLoop") {
        if attach && status.session.is_some() {
            return Progress::There;
        }
        let how = status.exit.as_ref().map(exit_text).or_else(|| says(READY)).unwrap_or_else(|| "failed".into());
        return Progress::Failed(how);
    }
    if is_true(&status.conditions, STALLED) {
        return Progress::Failed(format!("cannot run: {}", says(STALLED).unwrap_or_default()));
    }
    let unplaced = find(&status.conditions, SCHEDULED).filter(|c| c.status == "False");
    let why = unplaced.and_then(|_| says(SCHEDULED)).or_else(|| says(READY));
    Progress::Waiting(why.unwrap_or_else(|| "its host has not answered yet".into()))
}

fn manager() -> PostParams {
    PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() }
}

fn object(kind: &str, name: &str, namespace: Option<&str>, spec: Value) -> Value {
    let mut metadata = json!({"name": name});
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": format!("{GROUP}/{VERSION}"), "kind": kind, "metadata": metadata, "spec": spec})
}

async fn known(server: &Server) -> Result<Known, Failure> {
    let repos: Api<Repo> = Api::namespaced(server.client.clone(), &server.namespace);
    let agents = server.agents();
    let all = ListParams::default();
    let (repos, agents) = futures::try_join!(repos.list(&all), agents.list(&all))
        .map_err(|e| cannot("see which repos and agents there are", e))?;
    let repos = repos.items.into_iter().map(|r| KnownRepo {
        name: r.metadata.name.unwrap_or_default(),
        path: r.spec.path,
        url: r.spec.url,
    });
    let worktree = |a: Agent| Some((a.status?.worktree?.path, a.spec.repo_ref?.name));
    Ok(Known { repos: repos.collect(), worktrees: agents.items.into_iter().filter_map(worktree).collect() })
}

async fn agent_names(server: &Server) -> Result<Vec<String>, Failure> {
    let agents = server.agents().list_metadata(&ListParams::default()).await;
    let agents = agents.map_err(|e| cannot("see which names are taken", e))?;
    Ok(agents.items.into_iter().filter_map(|a| a.metadata.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(status: Value) -> Value {
        json!({"apiVersion": "regatta.dev/v1alpha1", "kind": "Agent", "metadata": {"name": "a"}, "spec": {}, "status": status})
    }

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
               "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    fn of(status: Value, attach: bool) -> Progress {
        progress(Seen::Object(&agent(status)), attach)
    }

    #[test]
    fn ready_is_there_and_a_session_is_enough_to_attach() {
        let session = json!({"conditions": [condition("SessionReady", "True", "Running", "")]});
        assert_eq!(of(json!({"conditions": [condition("Ready", "True", "Running", "")]}), false), Progress::There);
        assert_eq!(of(session.clone(), true), Progress::There);
        assert!(matches!(of(session, false), Progress::Waiting(_)));
    }

    #[test]
    fn what_it_waits_for_is_the_conditions_own_words() {
        let status = json!({"conditions": [
            condition("Scheduled", "False", "NoHost", "no host matches"), condition("Ready", "False", "Starting", "")]});
        assert_eq!(of(status, false), Progress::Waiting("no host matches".into()));
        let status = json!({"conditions": [condition("Ready", "False", "Starting", "cloning")]});
        assert_eq!(of(status, false), Progress::Waiting("cloning".into()));
    }

    #[test]
    fn an_agent_that_failed_or_went_away_is_not_waited_for() {
        let failed = json!({"activity": "Failed", "exit":
            {"epoch": 1, "code": 3, "reason": "Exited", "time": "2026-01-01T00:00:00Z"}});
        assert_eq!(of(failed, false), Progress::Failed("failed with exit code 3".into()));
        assert!(matches!(progress(Seen::Gone, false), Progress::Failed(_)));
    }
}
