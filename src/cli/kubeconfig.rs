//! `regatta kubeconfig`: where kubectl finds the API: `export KUBECONFIG=$(regatta kubeconfig)`.

use clap::Args;

use super::failure::{DONE, Outcome};
use super::output::print;
use super::server::{Global, Server, kubeconfig_path};

#[derive(Args, Debug)]
pub struct Kubeconfig {}

impl Kubeconfig {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        print(format_args!("{}\n", kubeconfig_path(&server.home).display()))?;
        DONE
    }
}
