//! `regatta serve`: the control plane without a host of its own, over the embedded API or over a cluster's.

use std::net::SocketAddr;

use clap::Args;

use super::failure::{DONE, Failure, Outcome};
use super::server::Global;
use super::up;
use crate::api::SYSTEM_NAMESPACE;
use crate::run::{self, ClusterOptions, LocalHost, PlaneOptions};

#[derive(Args, Debug)]
pub struct Serve {
    /// Use a cluster's API server: that of --kubeconfig, KUBECONFIG, ~/.kube/config or of the pod this runs in
    #[arg(long)]
    kube: bool,
    /// Run a host as well, named NAME or after this machine
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    host: Option<String>,
    /// Where the web app listens; may be given several times [default: 127.0.0.1:7600, or a free port]
    #[arg(long, env = "REGATTA_LISTEN", value_name = "ADDR", value_delimiter = ',', hide_env = true)]
    listen: Vec<SocketAddr>,
    /// Where the API listens [default: 127.0.0.1:7601, or a free port]
    #[arg(long, env = "REGATTA_KUBE_LISTEN", value_name = "ADDR", hide_env = true)]
    kube_listen: Option<SocketAddr>,
    #[arg(short, long, value_enum, default_value = "text")]
    output: run::Output,
}

impl Serve {
    pub async fn run(self, global: &Global) -> Outcome {
        let Serve { kube, host, listen, kube_listen, output } = self;
        up::log();
        let options = PlaneOptions { listen, kube_listen, home: global.home()?, output };
        let host = match host {
            None => LocalHost::None,
            Some(name) if name.is_empty() => LocalHost::Machine,
            Some(name) => LocalHost::Named(name),
        };
        let ended = match kube {
            false => run::up(options, host).await,
            true => {
                // In a cluster, what the control plane itself needs is in a namespace of its own.
                let namespace = global.namespace.clone().unwrap_or_else(|| SYSTEM_NAMESPACE.into());
                run::serve(options, ClusterOptions { kubeconfig: global.kubeconfig.clone(), namespace }, host).await
            }
        };
        ended.map_err(|error| Failure::failed(format!("{error:#}")))?;
        DONE
    }
}
