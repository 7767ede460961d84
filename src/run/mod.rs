<<<<<<< HEAD
//! Composition: what `up` puts together. Owns the home directory, the certificates and both listeners; every other
//! module is handed what it needs and knows nothing of the rest.

pub mod home;
pub mod kubeconfig;
pub mod listen;
pub mod tls;
pub mod up;

pub use up::{Output, UpOptions, up};
=======
//! Composition: what `up` puts together.

use std::net::SocketAddr;
use std::path::PathBuf;

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

pub async fn up(options: UpOptions) -> anyhow::Result<()> {
    let UpOptions { listen: _, kube_listen: _, home, output: _ } = options;
    anyhow::bail!("cannot serve {}: this build has no server", home.display())
}
>>>>>>> cli
