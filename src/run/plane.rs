//! What `up` and `serve` are made of: the home, the listeners, the gateway on them, a host in the same process, and how all of
//! it ends. Must not know where the API comes from.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::callers::Callers;
use super::home::{Home, Running};
use super::kubeconfig;
use super::listen::{self, Port, Transport};
use super::tls::Certificates;
use crate::apiserver::ApiServer;
use crate::db::Db;
use crate::gateway::{Gateway, GatewayOptions};
use crate::host::{Host, HostConfig};
use crate::link::{self, Link, Side};

/// How it says what it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

pub struct PlaneOptions {
    pub listen: Vec<SocketAddr>,
    pub kube_listen: Option<SocketAddr>,
    pub home: PathBuf,
    pub output: Output,
}

/// Between two attempts to link the local host, should one end: it shares our fate, so this is for faults only.
const RELINK: Duration = Duration::from_millis(250);

/// Everything together: `up` ends in under five seconds.
const WIND_DOWN: Duration = Duration::from_secs(4);

pub struct Plane {
    pub home: Home,
    pub certificates: Certificates,
    pub shutdown: CancellationToken,
    started: Instant,
    output: Output,
    web: Vec<TcpListener>,
    api: TcpListener,
    tasks: JoinSet<Result<()>>,
    host: Option<Host>,
    terminate: Signal,
    interrupt: Signal,
}

impl Plane {
    /// Takes the home and the ports.
    pub async fn open(options: PlaneOptions) -> Result<Plane> {
        let started = Instant::now();
        let PlaneOptions { listen, kube_listen, home, output } = options;
        let (terminate, interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let home = Home::open(&home)?;
        let certificates = Certificates::ensure(&home.join("tls"))?;
        let memory = home.join("ports.json");
        let mut web = Vec::new();
        for address in &listen {
            web.push(listen::bind(Some(*address), Port::Web, &memory).await?);
        }
        if web.is_empty() {
            web.push(listen::bind(None, Port::Web, &memory).await?);
        }
        let api = listen::bind(kube_listen, Port::Api, &memory).await?;
        let (shutdown, tasks) = (CancellationToken::new(), JoinSet::new());
        Ok(Plane { home, certificates, shutdown, started, output, web, api, tasks, host: None, terminate, interrupt })
    }

    pub async fn gateway(&self, api: kube::Client, api_router: Router) -> Result<Gateway> {
        let origins = self.web.iter().map(|l| Ok(format!("http://{}", l.local_addr()?))).collect::<Result<Vec<_>>>()?;
        let db = Db::open(&self.home.join("regatta.db")).await?;
        let home = self.home.path().to_owned();
        Ok(Gateway::start(GatewayOptions { api, api_router, db, home, allowed_origins: origins }).await?)
    }

    /// A part that runs as long as the whole.
    pub fn run(&mut self, part: impl Future<Output = Result<()>> + Send + 'static) {
        self.tasks.spawn(part);
    }

    /// A host in this process, linked through memory.
    pub async fn host(&mut self, gateway: &Gateway, name: String) -> Result<()> {
        let config = HostConfig {
            home: self.home.join("host"),
            name: name.clone(),
            exe: std::env::current_exe().context("cannot find this program's own file")?,
            labels: std::collections::BTreeMap::new(),
        };
        let host = Host::start(config).await?;
        self.tasks.spawn(keep_linked(host.clone(), gateway.clone(), name, self.shutdown.clone()));
        self.host = Some(host);
        Ok(())
    }

    /// Serves the gateway on both ports and says where, then waits for the end. The embedded API knows its tokens' holders.
    pub async fn serve(
        mut self,
        gateway: Gateway,
        api_router: Router,
        embedded: Option<ApiServer>,
        next: &str,
    ) -> Result<Ending> {
        let web_url = format!("http://{}", self.web[0].local_addr()?);
        let api_url = format!("https://{}", self.api.local_addr()?);
        for listener in std::mem::take(&mut self.web) {
            let served = listen::serve(listener, Transport::Plain, gateway.web_router(), self.shutdown.clone());
            self.tasks.spawn(async move {
                served.await;
                Ok(())
            });
        }
        let tls = TlsAcceptor::from(Arc::new(self.certificates.server_config()?));
        let transport = Transport::Tls(tls, Callers::new(self.certificates.holders()?, embedded));
        let served = listen::serve(self.api, transport, api_router, self.shutdown.clone());
        self.tasks.spawn(async move {
            served.await;
            Ok(())
        });

        let kubeconfig_path = self.home.join("kubeconfig");
        kubeconfig::write(&kubeconfig_path, &api_url, &self.certificates)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.home.announce(&Running { pid: std::process::id(), web: web_url.clone(), api: api_url, version })?;
        let url = format!("{web_url}/#code={}", gateway.login_code().await);
        say(self.output, &url, &kubeconfig_path, next)?;
        tracing::info!(millis = self.started.elapsed().as_millis(), "ready");

        let mut failure = None;
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            Some(ended) = self.tasks.join_next() => {
                failure = Some(match ended {
                    Ok(Ok(())) => anyhow::anyhow!("a part of the server ended by itself; see the log above"),
                    Ok(Err(error)) => error,
                    Err(panic) => anyhow::anyhow!("a part of the server failed: {panic}"),
                });
            }
        }
        tracing::info!("shutting down; agents go on");
        self.shutdown.cancel();
        if let Some(host) = &self.host {
            host.shutdown().await;
        }
        Ok(Ending { tasks: self.tasks, failure, _home: self.home })
    }
}

/// What is left to do at the end. The home is ours until then.
pub struct Ending {
    tasks: JoinSet<Result<()>>,
    failure: Option<anyhow::Error>,
    _home: Home,
}

impl Ending {
    /// Waits for every part, and says what ended the whole if nobody asked for it.
    pub async fn finish(mut self) -> Result<()> {
        let wind_down = async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Ok(Err(error)) = ended {
                    tracing::warn!(error = format!("{error:#}"), "a part of the server did not end well");
                }
            }
        };
        if tokio::time::timeout(WIND_DOWN, wind_down).await.is_err() {
            tracing::warn!("parts of the server were cut at shutdown");
        }
        match self.failure {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Links the local host through a pipe in memory: the same code as for a host at the other end of the world.
async fn keep_linked(host: Host, gateway: Gateway, name: String, shutdown: CancellationToken) -> Result<()> {
    while !shutdown.is_cancelled() {
        let (ours, theirs) = link::pair();
        let (link, driver) = Link::start(ours, Side::Client, host.router());
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = driver => tracing::warn!("the local host's link ended"),
            () = gateway.attach_host(name.clone(), theirs) => tracing::warn!("the gateway let go of the local host"),
            ended = host.run_link(link) => if let Err(error) = ended {
                tracing::warn!(%error, "the local host lost its link");
            },
        }
        tokio::time::sleep(RELINK).await;
    }
    Ok(())
}

/// This machine's name, as the name of a Host object.
pub fn local_host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    crate::api::names::slug(name.split('.').next().unwrap_or_default(), 8).unwrap_or_else(|| "local".into())
}

fn say(output: Output, url: &str, kubeconfig: &Path, next: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match output {
        Output::Text => {
            writeln!(stdout, "web         {url}")?;
            writeln!(stdout, "kubeconfig  {}", kubeconfig.display())?;
            writeln!(stdout, "next        {next}")?;
        }
        Output::Json => writeln!(stdout, "{}", json!({"url": url, "kubeconfig": kubeconfig, "next": next}))?,
    }
    stdout.flush().context("cannot write to stdout")
}
