//! Both listeners: which ports, and the loop that serves a router on them until shutdown.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::callers::{self, Callers};
use super::home::write_private;

pub const WEB_PORT: u16 = 7600;
pub const API_PORT: u16 = 7601;

/// How long connections may finish what they are at. `up` ends in under five seconds.
const GRACE: Duration = Duration::from_secs(2);

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Ports that replaced busy default ones, remembered so that bookmarks and kubeconfigs stay true.
#[derive(Default, Serialize, Deserialize)]
struct Remembered {
    web: Option<u16>,
    api: Option<u16>,
}

/// Which of the two listeners.
#[derive(Clone, Copy)]
pub enum Port {
    Web,
    Api,
}

/// Binds what was asked for; else the default port, else the one remembered, else a free one, which is remembered.
pub async fn bind(asked: Option<SocketAddr>, which: Port, memory: &Path) -> Result<TcpListener> {
    if let Some(address) = asked {
        return TcpListener::bind(address).await.with_context(|| {
            format!("cannot listen on {address}; choose another address with --listen / --kube-listen (port 0 takes a free one)")
        });
    }
    let mut remembered: Remembered =
        std::fs::read(memory).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let (default, slot) = match which {
        Port::Web => (WEB_PORT, &mut remembered.web),
        Port::Api => (API_PORT, &mut remembered.api),
    };
    // The remembered port first: whoever took the default one may have left, but our users have moved with us.
    for port in slot.iter().copied().chain([default]) {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => tracing::info!(port, %error, "port is taken"),
        }
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot find a free loopback port")?;
    *slot = Some(listener.local_addr()?.port());
    write_private(memory, &serde_json::to_vec(&remembered).expect("numbers are always JSON"))?;
    Ok(listener)
}

/// How a connection becomes bytes and a caller.
#[derive(Clone)]
pub enum Transport {
    Plain,
    /// A caller without a certificate or token of ours stays nobody.
    Tls(TlsAcceptor, Callers),
}

/// Serves `router` until `shutdown`, then lets connections finish for a moment.
pub async fn serve(listener: TcpListener, transport: Transport, router: Router, shutdown: CancellationToken) {
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, mostly: connections that end make room.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        connections.spawn(connection(stream, peer, transport.clone(), router.clone(), graceful.watcher()));
    }
    drop(listener);
    let finish = async {
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
    };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        tracing::debug!("connections were cut at shutdown");
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, transport: Transport, router: Router, watcher: Watcher) {
    // A keystroke's echo must not wait for the next one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, %peer, "cannot turn off delay");
    }
    let router = router.layer(axum::Extension(ConnectInfo(peer)));
    match transport {
        Transport::Plain => http(stream, router, watcher).await,
        Transport::Tls(acceptor, callers) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(tls)) => {
                let certificate = tls.get_ref().1.peer_certificates().and_then(|certificates| certificates.first());
                let connection = callers.connection(certificate);
                let router = router.layer(axum::middleware::from_fn_with_state(connection, callers::identify));
                http(tls, router, watcher).await;
            }
            Ok(Err(error)) => tracing::debug!(%error, %peer, "TLS handshake failed"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        },
    }
}

async fn http<IO>(io: IO, router: Router, watcher: Watcher)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.map_request(|r: hyper::Request<_>| r.map(axum::body::Body::new)));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service).into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}
