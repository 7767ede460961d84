//! `regatta up`: embedded API server, controllers, gateway and a local host in one process.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::home::{Home, Running};
use super::kubeconfig;
use super::listen::{self, Port, Transport};
use super::tls::Certificates;
use crate::apiserver::{ApiServer, Options, User};
use crate::controller::{self, ControllerOptions, Manifests};
use crate::db::Db;
use crate::gateway::{Gateway, GatewayOptions};
use crate::host::{Host, HostConfig};
use crate::link::{self, Link, Side};

/// How `up` says what it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    #[default]
    Text,
    Json,
}

pub struct UpOptions {
    pub listen: Vec<SocketAddr>,
    pub kube_listen: Option<SocketAddr>,
    pub home: PathBuf,
    pub output: Output,
}

/// Between two attempts to link the local host, should one end: it shares our fate, so this is for faults only.
const RELINK: Duration = Duration::from_millis(250);

/// Runs until SIGTERM or SIGINT. Stops no agent, ever.
pub async fn up(options: UpOptions) -> Result<()> {
    let started = std::time::Instant::now();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let home = Home::open(&options.home)?;
    let certificates = Certificates::ensure(&home.join("tls"))?;
    let memory = home.join("ports.json");
    let mut web = Vec::new();
    for address in &options.listen {
        web.push(listen::bind(Some(*address), Port::Web, &memory).await?);
    }
    if web.is_empty() {
        web.push(listen::bind(None, Port::Web, &memory).await?);
    }
    let api_listener = listen::bind(options.kube_listen, Port::Api, &memory).await?;
    let web_url = format!("http://{}", web[0].local_addr()?);
    let api_url = format!("https://{}", api_listener.local_addr()?);
    let origins = web.iter().map(|l| Ok(format!("http://{}", l.local_addr()?))).collect::<Result<Vec<_>>>()?;

    let api = ApiServer::open(Options { database: home.join("api.db"), crds: crate::api::crds() }).await?;
    let db = Db::open(&home.join("regatta.db")).await?;
    let gateway = Gateway::start(GatewayOptions {
        api: api.client(User::system("gateway")),
        api_router: api.router(),
        db,
        home: home.path().to_owned(),
        allowed_origins: origins,
    })
    .await?;

    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    let controllers = controller::run(
        api.client(User::system("controller")),
        ControllerOptions { home: home.path().to_owned(), manifests: Manifests::Followed, shutdown: shutdown.clone() },
    );
    tasks.spawn(async move { controllers.await.context("controllers ended") });

    let host = Host::start(HostConfig {
        home: home.join("host"),
        name: local_host_name(),
        exe: std::env::current_exe().context("cannot find this program's own file")?,
        labels: std::collections::BTreeMap::new(),
    })
    .await?;
    tasks.spawn(keep_linked(host.clone(), gateway.clone(), local_host_name(), shutdown.clone()));

    for listener in web {
        let served = listen::serve(listener, Transport::Plain, gateway.web_router(), shutdown.clone());
        tasks.spawn(async move {
            served.await;
            Ok(())
        });
    }
    let tls = TlsAcceptor::from(Arc::new(certificates.server_config()?));
    let transport = Transport::Tls(tls, certificates.callers()?);
    let served = listen::serve(api_listener, transport, gateway.api_router(), shutdown.clone());
    tasks.spawn(async move {
        served.await;
        Ok(())
    });

    let kubeconfig_path = home.join("kubeconfig");
    kubeconfig::write(&kubeconfig_path, &api_url, &certificates)?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    home.announce(&Running { pid: std::process::id(), web: web_url.clone(), api: api_url, version })?;
    let url = format!("{web_url}/#code={}", gateway.login_code().await);
    say(options.output, &url, &kubeconfig_path)?;
    tracing::info!(millis = started.elapsed().as_millis(), "ready");

    let mut failure = None;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        Some(ended) = tasks.join_next() => {
            failure = Some(match ended {
                Ok(Ok(())) => anyhow::anyhow!("a part of the server ended by itself; see the log above"),
                Ok(Err(error)) => error,
                Err(panic) => anyhow::anyhow!("a part of the server failed: {panic}"),
            });
        }
    }
    tracing::info!("shutting down; agents go on");
    shutdown.cancel();
    host.shutdown().await;
    api.shutdown().await;
    let wind_down = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(4), wind_down).await.is_err() {
        tracing::warn!("parts of the server were cut at shutdown");
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(()),
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
fn local_host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|n| n.into_string().ok()).unwrap_or_default();
    crate::api::names::slug(name.split('.').next().unwrap_or_default(), 8).unwrap_or_else(|| "local".into())
}

fn say(output: Output, url: &str, kubeconfig: &Path) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let next = "regatta run shell";
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
