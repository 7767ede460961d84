//! The command line: one file per verb, all of them clients of the API, except that `up` starts the whole.
//!
//! Here: which verbs there are, and how one ends. stdout is data, stderr is talk; see [`failure`] for the exit codes.

pub mod crd;
pub mod help;

mod apply;
mod attach;
mod colour;
mod completions;
mod context;
mod delete;
mod describe;
mod diff;
mod doctor;
mod edit;
mod failure;
mod get;
mod kinds;
mod kubeconfig;
mod list;
mod login;
mod logs;
mod manifest;
mod names;
mod objects;
mod output;
mod request;
mod run;
mod send;
mod serve;
mod server;
mod status;
mod stop;
mod table;
mod target;
mod until;
mod up;
mod version;
mod wait;

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

/// A verb's size says nothing: one is made, once.
#[allow(clippy::large_enum_variant)]
#[derive(Subcommand, Debug)]
enum Verb {
    /// Start Regatta on this machine: API, controllers, web app and a host
    Up(up::Up),
    /// Start a control plane: API, controllers and web app, here or over a cluster's API
    Serve(serve::Serve),
    /// Start an agent, and attach to it
    Run(run::Run),
    /// Show who is doing what
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Show everything about one agent, or how the fleet is
    Status(status::Status),
    /// Show an agent's terminal in this one
    Attach(attach::Attach),
    /// Print what an agent's terminal printed
    Logs(logs::Logs),
    /// Send input to an agent
    Send(send::Send),
    /// Wait until an agent is finished, or an object is as you need it
    Wait(wait::Wait),
    /// Stop agents, politely; everything is kept
    Stop(stop::Stop),
    /// Let stopped agents go on
    Start(stop::Start),
    /// Delete agents and other objects; work that is nowhere else stays
    Delete(delete::Delete),
    /// Apply manifests from files, directories or stdin
    Apply(apply::Apply),
    /// Show objects of any kind
    Get(get::Get),
    /// Show all there is to know of an object: what it should be, what it is, what happened
    Describe(describe::Describe),
    /// Change an object in your editor
    Edit(edit::Edit),
    /// Show what applying manifests would change
    Diff(diff::Diff),
    /// Print a link that logs a browser in, once
    Login(login::Login),
    /// Print the path of the kubeconfig
    Kubeconfig(kubeconfig::Kubeconfig),
    /// List servers, choose the one to talk to, say which it is
    Context(context::Context),
    /// Print the CustomResourceDefinitions of every kind
    Crd(crd::Crd),
    /// Check what this machine has and lacks
    Doctor(doctor::Doctor),
    /// Print versions
    Version(version::Version),
    /// Print completions for a shell
    Completions(completions::Completions),
    /// Print what can stand at the cursor
    #[command(hide = true)]
    Complete(completions::Complete),
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
        Verb::Up(verb) => verb.run(global).await,
        Verb::Serve(verb) => verb.run(global).await,
        Verb::Run(verb) => verb.run(global).await,
        Verb::List(verb) => verb.run(global).await,
        Verb::Status(verb) => verb.run(global).await,
        Verb::Attach(verb) => verb.run(global).await,
        Verb::Logs(verb) => verb.run(global).await,
        Verb::Send(verb) => verb.run(global).await,
        Verb::Wait(verb) => verb.run(global).await,
        Verb::Stop(verb) => verb.run(global).await,
        Verb::Start(verb) => verb.run(global).await,
        Verb::Delete(verb) => verb.run(global).await,
        Verb::Apply(verb) => verb.run(global).await,
        Verb::Get(verb) => verb.run(global).await,
        Verb::Describe(verb) => verb.run(global).await,
        Verb::Edit(verb) => verb.run(global).await,
        Verb::Diff(verb) => verb.run(global).await,
        Verb::Login(verb) => verb.run(global).await,
        Verb::Kubeconfig(verb) => verb.run(global).await,
        Verb::Context(verb) => verb.run(global).await,
        Verb::Crd(verb) => verb.run(),
        Verb::Doctor(verb) => verb.run(global).await,
        Verb::Version(verb) => verb.run(global).await,
        Verb::Completions(verb) => verb.run(),
        Verb::Complete(verb) => verb.run(global).await,
    }
}
