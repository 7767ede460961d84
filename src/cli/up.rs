//! `regatta up`: the whole of Regatta on this machine, in this process.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;
use serde::Deserialize;

use super::failure::{DONE, Failure, Outcome, cannot};
use super::server::Global;
use crate::run;

#[derive(Args, Debug)]
pub struct Up {
    /// Where the web app listens; may be given several times [default: 127.0.0.1:7600, or a free port]
    #[arg(long, env = "REGATTA_LISTEN", value_name = "ADDR", value_delimiter = ',', hide_env = true)]
    listen: Vec<SocketAddr>,
    /// Where the API listens [default: 127.0.0.1:7601, or a free port]
    #[arg(long, env = "REGATTA_KUBE_LISTEN", value_name = "ADDR", hide_env = true)]
    kube_listen: Option<SocketAddr>,
    #[arg(short, long, value_enum, default_value = "text")]
    output: run::Output,
    /// Leave the terminal that started it: for verbs that find no server
    #[arg(long, hide = true)]
    detached: bool,
}

impl Up {
    pub async fn run(self, global: &Global) -> Outcome {
        if self.detached {
            // A session of its own: closing the terminal must not end the server.
            nix::unistd::setsid().map_err(|e| cannot("leave the terminal", e))?;
        }
        log();
        let options = run::PlaneOptions {
            listen: self.listen,
            kube_listen: self.kube_listen,
            home: global.home()?,
            output: self.output,
        };
        run::up(options, run::LocalHost::Machine).await.map_err(|error| Failure::failed(format!("{error:#}")))?;
        DONE
    }
}

/// Servers log to stderr.
pub fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("REGATTA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

/// What a running server says about itself in `$REGATTA_HOME/up.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Running {
    pub pid: u32,
    pub web: String,
    pub api: String,
    pub version: String,
}

impl Running {
    /// Nothing when no server says that it runs here.
    pub fn read(home: &Path) -> Result<Option<Running>, Failure> {
        let path = home.join("up.json");
        let attempt = || format!("read {}", path.display());
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| cannot(attempt(), e)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot(attempt(), error)),
        }
    }
}
