//! How to launch one kind of CLI. The shipped definitions are the YAML files in `adapters/`; `crate::adapter` reads
//! them and turns them into a launch.

use serde::{Deserialize, Serialize};

use super::agent::Restart;

/// One adapter's definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdapterSpec {
    /// The adapter's own name.
    pub name: String,
    /// Other names that people type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    pub launch: AdapterLaunch,
    /// What ends the command politely, in order, before TERM and KILL.
    pub stop: Vec<StopStep>,
    /// The restart policy of agents that set none.
    pub restart: Restart,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AdapterLaunch {
    /// The argument vector. `${command}` alone stands for the agent's `spec.command`, `${args}` alone for `spec.args`,
    /// `${env:NAME:-default}` for the host's own environment.
    pub argv: Vec<String>,
    /// How the first prompt reaches the command.
    #[serde(default)]
    pub prompt: PromptChannel,
}

/// How the first prompt reaches the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PromptChannel {
    /// It takes none; an agent with a prompt is refused.
    #[default]
    None,
    /// As the last argument.
    Argv,
    /// Typed into the terminal as one line once the command reads it.
    Line,
}

/// One step of a polite end, and how long it is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StopStep {
    /// `SIGHUP`, `SIGINT` or `SIGTERM`.
    pub signal: String,
    /// Milliseconds until the next step.
    pub wait_ms: u64,
}
