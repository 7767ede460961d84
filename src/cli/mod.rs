//! The command line: one file per verb, all of them clients of the API, except that `up` starts the whole.
//!
//! Here: which verbs there are, and how one ends. stdout is data, stderr is talk; see [`failure`] for the exit codes.

pub mod apply;
pub mod crd;
pub mod failure;
pub mod get;
pub mod kinds;
pub mod list;
pub mod manifest;
pub mod names;
pub mod output;
pub mod request;
pub mod server;
pub mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::{Failure, Outcome};
use server::Global;

/// Runs fleets of coding agents the way Kubernetes runs containers.
#[derive(Parser, Debug)]
#[command(name = "regatta", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    /// Show who is doing what
    List(list::List),
    /// Show objects of any kind
    Get(get::Get),
    /// Apply manifests from files, directories or stdin
    Apply(apply::Apply),
}

pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, and a reader that left early is no error.
            let _ = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            if !failure.message.is_empty() {
                output::say(format_args!("regatta: {}", failure.message));
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run(cli: Cli) -> Outcome {
    let Cli { global, verb } = cli;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| failure::cannot("start", e))?;
    let outcome = runtime.block_on(dispatch(&global, verb));
    // A thread that waits for a key must not keep the process.
    runtime.shutdown_background();
    outcome
}

async fn dispatch(global: &Global, verb: Verb) -> Result<u8, Failure> {
    match verb {
        Verb::List(verb) => verb.run(global).await,
        Verb::Get(verb) => verb.run(global).await,
        Verb::Apply(verb) => verb.run(global).await,
    }
}
