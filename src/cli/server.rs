//! Reaching the API server: its kubeconfig, one connection, and, on this machine, starting it when it is not there.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config};
use nix::fcntl::{Flock, FlockArg};
use tokio::time::{Instant, sleep};

use super::failure::{Cause, Exit, Failure, cannot, chain};
use super::output::say;
use super::request;
use super::target::Target;
pub use super::target::{Global, Place, kubeconfig_path};
use super::up::Running;
use crate::api::Agent;

/// How long a server that we started may take until it is ready.
const START_DEADLINE: Duration = Duration::from_secs(15);

/// A server that answers.
#[derive(Clone)]
pub struct Server {
    pub client: Client,
    pub namespace: String,
    pub place: Place,
    pub url: String,
    /// How it was chosen, and by which files.
    pub target: Target,
}

/// What asking a server whether it is ready came to.
enum Answer {
    Ready(Box<Server>),
    NotReady(String),
    Unreachable(String),
}

impl Server {
    /// The server, started first when it is this machine's and nothing answers.
    pub async fn reach(global: &Global) -> Result<Server, Failure> {
        let target = global.target()?;
        if target.place == Place::Elsewhere {
            return match ask(global).await? {
                Answer::Ready(server) => Ok(*server),
                Answer::NotReady(why) | Answer::Unreachable(why) => {
                    Err(cannot("reach the server", format!("{why} ({})", target.reason())))
                }
            };
        }
        match ask(global).await? {
            Answer::Ready(server) => Ok(*server),
            Answer::NotReady(_) => wait_ready(global, None).await,
            Answer::Unreachable(_) => start(global).await,
        }
    }

    /// The server if it answers now; never starts one.
    pub async fn find(global: &Global) -> Result<Result<Server, String>, Failure> {
        Ok(match ask(global).await? {
            Answer::Ready(server) => Ok(*server),
            Answer::NotReady(why) | Answer::Unreachable(why) => Err(why),
        })
    }

    /// What a server on this machine says about itself; nothing of one elsewhere.
    pub fn running(&self) -> Result<Option<Running>, Failure> {
        match self.place {
            Place::Here => Running::read(&self.target.home),
            Place::Elsewhere => Ok(None),
        }
    }

    pub fn agents(&self) -> Api<Agent> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The path of an agent, or of what hangs below it: `terminal`, `log`, `input`.
    pub fn agent_path(&self, name: &str, below: &str) -> String {
        let slash = if below.is_empty() { "" } else { "/" };
        format!(
            "/apis/{}/{}/namespaces/{}/agents/{name}{slash}{below}",
            crate::api::GROUP,
            crate::api::VERSION,
            self.namespace
        )
    }
}

async fn ask(global: &Global) -> Result<Answer, Failure> {
    let target = global.target()?;
    let own = kubeconfig_path(&target.home);
    if target.files == [own.clone()] && !own.exists() {
        if target.place == Place::Elsewhere {
            return Err(Failure::failed(format!(
                "cannot reach the server: there are no credentials in {}; put that server's kubeconfig there, or name \
                 one with --kubeconfig",
                own.display()
            )));
        }
        return Ok(Answer::Unreachable(format!("{} does not exist", own.display())));
    }
    let config = config(&target).await?;
    let (url, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|e| cannot(format_args!("use {}", target.shown_files()), e))?;
    let answer = tokio::time::timeout(Duration::from_secs(5), request::open(&client, "/readyz", "*/*")).await;
    Ok(match answer {
        Err(_) => Answer::NotReady(format!("{url} did not answer within 5 s")),
        Ok(Err(kube::Error::Api(status))) if !refuses(&status) => {
            Answer::NotReady(format!("{url} is not ready: {}", status.message))
        }
        // A server that refuses us is there all the same; the verb's own request says why.
        Ok(Ok(_) | Err(kube::Error::Api(_))) => {
            let namespace = global.namespace.clone().unwrap_or(namespace);
            Answer::Ready(Box::new(Server { client, namespace, place: target.place, url, target }))
        }
        Ok(Err(error)) => Answer::Unreachable(format!("{url} does not answer: {}", Cause::from(error).text)),
    })
}

fn refuses(status: &kube::core::Status) -> bool {
    matches!(status.code, 401 | 403)
}

async fn config(target: &Target) -> Result<Config, Failure> {
    let kubeconfig = target.kubeconfig()?;
    let options = KubeConfigOptions { context: target.context.clone(), ..KubeConfigOptions::default() };
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| {
        cannot(format_args!("use kubeconfig {} ({})", target.shown_files(), target.reason()), chain(&e))
    })?;
    if let Some(url) = &target.url {
        let url = if url.contains("://") { url.clone() } else { format!("https://{url}") };
        config.cluster_url = url.parse().map_err(|e| Failure::usage(format!("--server {url:?} is not a URL: {e}")))?;
    }
    config.connect_timeout = Some(Duration::from_secs(5));
    // Terminals and followed logs are silent for hours, and a request that may have arrived is not sent twice.
    config.read_timeout = None;
    config.write_timeout = None;
    config.default_retry = false;
    Ok(config)
}

/// Starts `up` in a session of its own; of several verbs that find no server, one does.
async fn start(global: &Global) -> Result<Server, Failure> {
    let home = global.home()?;
    let attempt = "start the server";
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&home)
        .map_err(|e| cannot(format_args!("create {}", home.display()), e))?;
    let _lock = lock(&home.join("start.lock")).await?;
    match ask(global).await? {
        Answer::Ready(server) => return Ok(*server),
        Answer::NotReady(_) => return wait_ready(global, None).await,
        Answer::Unreachable(_) => {}
    }
    let log_path = home.join("up.log");
    let mut log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(&log_path)
        .map_err(|e| cannot(format_args!("open {}", log_path.display()), e))?;
    let from = log.seek(SeekFrom::End(0)).map_err(|e| cannot(format_args!("read {}", log_path.display()), e))?;
    let exe = std::env::current_exe().map_err(|e| cannot(attempt, e))?;
    say(format_args!("no server on this machine: starting one (log: {})", log_path.display()));
    // Its stdout carries a login code, which does not belong in a log.
    let child = Command::new(exe)
        .args(["up", "--detached", "-o", "json", "--home"])
        .arg(&home)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|e| cannot(attempt, e))?;
    wait_ready(global, Some(Started { child, log: log_path, from })).await
}

/// A server that we started, and where it says what is wrong.
struct Started {
    child: Child,
    log: PathBuf,
    from: u64,
}

async fn wait_ready(global: &Global, mut started: Option<Started>) -> Result<Server, Failure> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let why = match ask(global).await? {
            Answer::Ready(server) => return Ok(*server),
            Answer::NotReady(why) | Answer::Unreachable(why) => why,
        };
        if let Some(started) = &mut started
            && let Some(status) = started.child.try_wait().map_err(|e| cannot("watch the server start", e))?
        {
            return Err(Failure::failed(format!("cannot start the server: it ended with {status}{}", started.words())));
        }
        if Instant::now() >= deadline {
            let words = started.as_ref().map(Started::words).unwrap_or_default();
            let seconds = START_DEADLINE.as_secs();
            return Err(Failure::new(
                Exit::Timeout,
                format!("cannot reach the server: not ready after {seconds} s: {why}{words}"),
            ));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl Started {
    /// The last lines that it wrote.
    fn words(&self) -> String {
        let mut text = String::new();
        let read = File::open(&self.log).and_then(|mut file| {
            file.seek(SeekFrom::Start(self.from))?;
            file.take(64 << 10).read_to_string(&mut text)
        });
        let lines: Vec<&str> = text.lines().collect();
        match read {
            Ok(_) if !lines.is_empty() => format!(":\n{}", lines[lines.len().saturating_sub(5)..].join("\n")),
            Ok(_) => format!("; see {}", self.log.display()),
            Err(error) => format!("; {} cannot be read: {error}", self.log.display()),
        }
    }
}

/// Waits for the lock as long as a start may take: whoever holds it is starting the server that we want.
async fn lock(path: &Path) -> Result<Flock<File>, Failure> {
    let attempt = || format!("lock {}", path.display());
    let mut file =
        OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(|e| cannot(attempt(), e))?;
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) if Instant::now() < deadline => file = back,
            Err((_, error)) => return Err(cannot(attempt(), error)),
        }
        sleep(Duration::from_millis(50)).await;
    }
}
