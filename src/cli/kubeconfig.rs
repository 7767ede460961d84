//! `regatta kubeconfig`: where kubectl finds the API: `export KUBECONFIG=$(regatta kubeconfig)`.

use clap::Args;

use super::failure::{DONE, Outcome};
use super::output::{print, say};
use super::server::{Global, Server};

#[derive(Args, Debug)]
pub struct Kubeconfig {}

impl Kubeconfig {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let target = &server.target;
        print(format_args!("{}\n", target.shown_files()))?;
        // A path says neither; kubectl has the same flags.
        if let Some(url) = &target.url {
            say(format_args!("note: give kubectl `--server {url}` as well"));
        }
        if let Some(context) = &target.context
            && target.kubeconfig()?.current_context.as_ref() != Some(context)
        {
            say(format_args!("note: give kubectl `--context {context}` as well"));
        }
        DONE
    }
}
