//! Adapter: how to launch, observe, answer and meter one kind of CLI. The shipped ones are the YAML files in `adapters/`;
//! `crate::adapter` reads them and turns them into a launch. How a terminal is read and answered is in `adapter_observe`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adapter_observe::{
    Approve, Attachments, Input, Interrupt, LimitRule, Observe, QuickKey, ScreenRule, UsageSource,
};
use super::agent_parts::Restart;
use super::healing::HealingRule;
use super::names::{KEY_NAME, LABEL, NO_CONTROL, RELATIVE_PATH};
use super::schema;

/// An environment variable's name, or the beginning of one before a `*`.
const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*\\*?$";

/// A range of versions, such as `>=2.1.295` or `>=1.0 <2`.
pub(super) const VERSIONS: &str = "^(>=|<=|>|<|=)[0-9]+(\\.[0-9]+)*( (>=|<=|>|<|=)[0-9]+(\\.[0-9]+)*)*$";

/// How to launch, observe, answer and meter one kind of CLI.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Adapter",
    shortname = "adp",
    category = "regatta",
    status = "AdapterStatus",
    derive = "PartialEq",
    doc = "How to launch, observe, answer and meter one kind of CLI.",
    printcolumn(name = "Command", type_ = "string", json_path = ".status.command"),
    printcolumn(name = "Valid", type_ = "string", json_path = ".status.conditions[?(@.type==\"Valid\")].status"),
    printcolumn(name = "Hosts", type_ = "integer", json_path = ".status.hostCount"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AdapterSpec {
    /// Other names that people type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63), regex(pattern = LABEL)), extend("x-kubernetes-list-type" = "set"))]
    pub aliases: Vec<String>,
    /// Start no new agents with it; running ones go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// How to find out whether, and in which version, a host has the CLI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<Detect>,
    /// What a version can do that others cannot.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["versions"]))]
    pub capabilities: Vec<Capability>,
    /// How to start the CLI.
    pub launch: AdapterLaunch,
    /// Where to look for what an agent is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Observe>,
    /// How its questions are answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approve: Option<Approve>,
    /// How prompts are delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Input>,
    /// How the turn at work is broken off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupt: Option<Interrupt>,
    /// What ends the command politely, in order. Whatever is left after the last step is killed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub stop: Vec<StopStep>,
    /// The restart policy of agents that set none.
    pub restart: Restart,
    /// Exit codes that mean something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["code"]))]
    pub exit_codes: Vec<ExitCode>,
    /// What to recognise on the rendered screen, first match first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub screen: Vec<ScreenRule>,
    /// Buttons under the terminal on a phone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub quick_keys: Vec<QuickKey>,
    /// How files and pictures are handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachments: Option<Attachments>,
    /// Where tokens and costs come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageSource>,
    /// How rate limits show, and when they end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub limits: Vec<LimitRule>,
    /// What to do by itself when an agent is stuck; classes and agents add to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub healing: Vec<HealingRule>,
    /// Recorded streams beside the definition that tests replay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255), regex(pattern = RELATIVE_PATH)), extend("x-kubernetes-list-type" = "set"))]
    pub fixtures: Vec<String>,
}

/// An adapter's definition and its own name: what launches and records are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    pub name: String,
    pub spec: AdapterSpec,
}

/// How to find out whether, and in which version, a host has the CLI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Detect {
    /// The argument vector that prints the version.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 1024)), extend("x-kubernetes-list-type" = "atomic"))]
    pub version: Vec<String>,
    /// A regular expression whose first group is the version.
    #[schemars(length(min = 1, max = 512))]
    pub pattern: String,
}

/// What a range of versions can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capability {
    /// The range, such as `>=2.1.295` or `>=1.0 <2`.
    #[schemars(length(min = 1, max = 64), extend("pattern" = VERSIONS))]
    pub versions: String,
    /// Names of what they can do.
    #[schemars(length(max = 64), inner(length(min = 1, max = 63), regex(pattern = "^[A-Za-z][-A-Za-z0-9]*$")), extend("x-kubernetes-list-type" = "set"))]
    pub features: Vec<String>,
}

/// How to start the CLI.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdapterLaunch {
    /// The argument vector. `${command}` alone stands for the agent's `spec.command`, `${args}` alone for `spec.args`,
    /// `${env:NAME:-default}` for the host's own environment.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)), extend("x-kubernetes-list-type" = "atomic"))]
    pub argv: Vec<String>,
    /// Whether argv's program is run as it is, or the native binary behind its wrapper, which a signal to the wrapper would leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// How an earlier conversation is taken up again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// Arguments that begin with another agent's conversation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 1024)), extend("x-kubernetes-list-type" = "atomic"))]
    pub fork: Vec<String>,
    /// Environment that the CLI needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub env: Vec<Variable>,
    /// Environment that the CLI must not see; a `*` at the end stands for anything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256), regex(pattern = VARIABLE)), extend("x-kubernetes-list-type" = "set"))]
    pub unset: Vec<String>,
    /// What agents may set in `spec.options`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub options: Vec<AdapterOption>,
    /// How the first prompt reaches the command.
    #[serde(default)]
    pub prompt: PromptChannel,
    /// Arguments that hand over the system prompt; `${systemPrompt}` stands for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 1024)), extend("x-kubernetes-list-type" = "atomic"))]
    pub system_prompt: Vec<String>,
    /// Files that are written for each launch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub settings: Vec<SettingsFile>,
    /// A process that runs beside the CLI and speaks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Companion>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Exec {
    #[default]
    AsIs,
    NativeBinary,
}

/// How an earlier conversation is taken up again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resume {
    /// When there is one.
    pub when: ResumeWhen,
    /// Arguments that name it; `${conversation}` stands for its id.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 1024)), extend("x-kubernetes-list-type" = "atomic"))]
    pub argv: Vec<String>,
    /// The argument of a first launch, and its value, that these take the place of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub replaces: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResumeWhen {
    /// The CLI's file of the conversation exists.
    TranscriptExists,
    /// The conversation's id is known.
    ConversationKnown,
    Never,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Variable {
    /// Its name.
    #[schemars(length(min = 1, max = 256), extend("pattern" = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 4096))]
    pub value: String,
}

/// Something that agents may set in `spec.options`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "!has(self.values) || size(self.values) == 0 || self.type == 'String'", "message": "values are for options of type String"},
]))]
pub struct AdapterOption {
    /// Its name in `spec.options`.
    #[schemars(length(min = 1, max = 63), extend("pattern" = "^[a-z][A-Za-z0-9]*$"))]
    pub name: String,
    /// What a value is.
    #[serde(rename = "type")]
    pub kind: OptionType,
    /// The values it may have; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128), regex(pattern = NO_CONTROL)), extend("x-kubernetes-list-type" = "set"))]
    pub values: Vec<String>,
    /// The value when agent and class set none, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub default: Option<String>,
    /// Arguments that hand it over; `${value}` stands for the value. A Boolean's are given when it is true.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 1024)), extend("x-kubernetes-list-type" = "atomic"))]
    pub argv: Vec<String>,
    /// Values that switch a safeguard off; the page asks twice before it sets one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128), regex(pattern = NO_CONTROL)), extend("x-kubernetes-list-type" = "set"))]
    pub dangerous: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OptionType {
    String,
    Integer,
    Boolean,
}

/// How the first prompt reaches the command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PromptChannel {
    /// It takes none; an agent with a prompt is refused.
    #[default]
    None,
    /// As the last argument.
    Argv,
    /// Typed into the terminal as one line once the command reads it.
    Line,
    /// Pasted into the terminal as one piece once the command reads it.
    Paste,
    /// By the CLI's own protocol.
    Channel,
}

/// A file that is written for each launch, for the agent's eyes only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SettingsFile {
    /// What `${settings:NAME}` in argv and env calls it.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub name: String,
    /// How the content is written.
    pub format: SettingsFormat,
    /// The content; `${…}` as in argv.
    #[schemars(length(min = 1, max = 65_536))]
    pub content: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SettingsFormat {
    Json,
    Toml,
    Yaml,
    Text,
}

/// A process that runs beside the CLI and speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Companion {
    /// Its argument vector; `${socket}` stands for a socket of the agent's own.
    #[schemars(length(min = 1, max = 64), inner(length(max = 4096)), extend("x-kubernetes-list-type" = "atomic"))]
    pub argv: Vec<String>,
    /// What it listens on.
    pub listens: Listens,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Listens {
    UnixSocket,
    LoopbackPort,
}

/// One step of a polite end, and how long it is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.signal) ? 1 : 0) + (has(self.send) ? 1 : 0) + (has(self.keys) ? 1 : 0) == 1", "message": "set exactly one of signal, send and keys"},
]))]
pub struct StopStep {
    /// Send this signal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<StopSignal>,
    /// Type this as a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), extend("pattern" = NO_CONTROL))]
    pub send: Option<String>,
    /// Press these keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<String>,
    /// Milliseconds until the next step.
    #[schemars(range(min = 0, max = 120_000))]
    pub wait_ms: u64,
}

/// Signals that ask; KILL is what comes after them by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StopSignal {
    SIGHUP,
    SIGINT,
    SIGTERM,
}

impl StopSignal {
    pub fn as_str(self) -> &'static str {
        match self {
            StopSignal::SIGHUP => "SIGHUP",
            StopSignal::SIGINT => "SIGINT",
            StopSignal::SIGTERM => "SIGTERM",
        }
    }
}

/// An exit code that means something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExitCode {
    /// The code.
    #[schemars(range(min = 0, max = 255))]
    pub code: i32,
    /// What it means, in one word.
    #[schemars(length(min = 1, max = 64), extend("pattern" = "^[A-Za-z][A-Za-z0-9]*$"))]
    pub reason: String,
    /// Whether the agent did what it was asked to do.
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    Finished,
    Failed,
}

/// What is known about an Adapter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdapterStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// The program that it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub command: Option<String>,
    /// How many hosts have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub host_count: Option<i32>,
    /// Which hosts have it, and in which version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub hosts: Vec<AdapterHost>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A host that has the CLI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdapterHost {
    /// Name of the Host.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The version found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
}
