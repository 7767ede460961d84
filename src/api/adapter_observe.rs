//! Of an Adapter: where to look for what an agent is doing, how to type to it and answer it, and how it is metered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::adapter::VERSIONS;
use super::agent_status::Activity;
use super::names::{KEY_NAME, LABEL, NO_CONTROL};
use super::units::{ByteSize, GoDuration, Money};

/// Where to look for what an agent is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observe {
    /// Whether the CLI prints OSC 7501 status sequences by itself or when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub osc7501: Option<Osc7501>,
    /// The CLI's hook events, and what each says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["event"]))]
    pub hooks: Vec<HookEvent>,
    /// A file that the CLI keeps about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<Registry>,
    /// The companion process speaks JSON-RPC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_server: Option<AppServer>,
    /// The CLI serves HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpServer>,
    /// Whether the CLI speaks the Agent Client Protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acp: Option<Acp>,
    /// The CLI's file of the conversation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<Transcript>,
    /// What the terminal's title says, first match first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub title: Vec<TitleRule>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Osc7501 {
    #[default]
    Off,
    /// It answers a query.
    Query,
    /// It prints them by itself.
    Emits,
}

/// A hook event, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HookEvent {
    /// The CLI's name for it; a matcher follows after a slash, as in `Notification/ToolPermission`.
    #[schemars(length(min = 1, max = 128), extend("pattern" = "^[A-Za-z][A-Za-z0-9_]*(/[A-Za-z0-9_*|-]+)?$"))]
    pub event: String,
    /// What the agent does from then on; nothing changes when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// Whether the CLI waits for the hook's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decides: Option<bool>,
}

/// A file that the CLI keeps about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Registry {
    /// Where it is, below the CLI's own directory; `${pid}` stands for the process id.
    #[schemars(length(min = 1, max = 512), extend("pattern" = NO_CONTROL))]
    pub path: String,
    /// The member that holds the status.
    #[schemars(length(min = 1, max = 128))]
    pub field: String,
    /// What its values say.
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["value"]))]
    pub states: Vec<RegistryState>,
}

/// What a value says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegistryState {
    /// The value.
    #[schemars(length(min = 1, max = 64))]
    pub value: String,
    /// What the agent is doing then.
    pub activity: Activity,
}

/// A companion process that speaks JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppServer {
    /// How messages are framed on its socket.
    pub framing: Framing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Framing {
    WebSocket,
    Lines,
}

/// An HTTP server inside the CLI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpServer {
    /// Path of its stream of events.
    #[schemars(length(min = 1, max = 256), extend("pattern" = "^/[!-~]*$"))]
    pub events: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Acp {
    Unsupported,
    Supported,
}

/// The CLI's file of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transcript {
    /// Where it is, below the CLI's own directory; `${conversation}` stands for the conversation's id.
    #[schemars(length(min = 1, max = 512), extend("pattern" = NO_CONTROL))]
    pub path: String,
    /// How it is written.
    pub format: TranscriptFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TranscriptFormat {
    JsonLines,
    Json,
}

/// What the terminal's title says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TitleRule {
    /// A regular expression on the title.
    #[schemars(length(min = 1, max = 256))]
    pub pattern: String,
    /// What the agent is doing then.
    pub activity: Activity,
}

/// How questions are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self.channel != 'Keys' || has(self.keys)", "message": "channel Keys needs keys"},
]))]
pub struct Approve {
    /// The best way that the CLI has.
    pub channel: ApproveChannel,
    /// How long the CLI waits for an answer by that way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<GoDuration>,
    /// Evidence that a question was answered elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "set"))]
    pub resolved_by: Vec<String>,
    /// Keys that answer, when the very same question is still on the screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<ApproveKeys>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ApproveChannel {
    None,
    Hook,
    AppServer,
    Http,
    Acp,
    Keys,
}

/// Keys that answer a question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApproveKeys {
    /// Yes, this once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub allow_once: Vec<String>,
    /// Yes, from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub allow_always: Vec<String>,
    /// No.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub deny: Vec<String>,
    /// What must be so before a key is pressed: ids of screen rules, or `title`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub guard: Vec<String>,
    /// Tools whose questions keys must never answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 63)), extend("x-kubernetes-list-type" = "set"))]
    pub except: Vec<String>,
}

/// How prompts are delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// As typed characters, as a bracketed paste, or by the CLI's own protocol.
    pub deliver: Deliver,
    /// The most bytes in one write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65_536))]
    pub chunk: Option<i32>,
    /// Between two writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<GoDuration>,
    /// Between the last write and the key that submits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<GoDuration>,
    /// The key that submits; `Enter` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16), extend("pattern" = KEY_NAME))]
    pub submit: Option<String>,
    /// Evidence that the prompt was taken, such as `hook:UserPromptSubmit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub accepted: Option<String>,
    /// What becomes of a prompt while a turn is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<Busy>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Deliver {
    Literal,
    Bracketed,
    Channel,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Busy {
    /// The CLI takes it after the turn.
    Queue,
    /// The CLI takes it into the turn.
    Steer,
    /// The sender is told to wait.
    #[default]
    Refuse,
}

/// How the turn at work is broken off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.keys) != has(self.call)", "message": "set exactly one of keys and call"},
]))]
pub struct Interrupt {
    /// Keys to press.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<String>,
    /// A call of the CLI's own protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub call: Option<String>,
}

/// Something to recognise on the rendered screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScreenRule {
    /// Names the rule, for healing rules, guards and explanations.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub id: String,
    /// What the agent is doing when it matches.
    pub state: Activity,
    /// Where to look; Live when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// A regular expression on the lines of the region.
    #[serde(rename = "match")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: String,
    /// It does not match where this does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub unless: Option<String>,
    /// How long the screen must have been still; 400ms when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle: Option<GoDuration>,
    /// A regular expression whose first group is what the question is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub subject: Option<String>,
    /// The answers that the screen offers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub options: Vec<ScreenOption>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Region {
    /// The last twelve lines that are not empty.
    #[default]
    Live,
    /// The line of the cursor.
    Cursor,
    /// All of it.
    Whole,
}

/// An answer that the screen offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScreenOption {
    /// Names the answer.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub id: String,
    /// What people read.
    #[schemars(length(min = 1, max = 128), extend("pattern" = NO_CONTROL))]
    pub label: String,
    /// What it comes to.
    pub effect: super::approval::Effect,
    /// The keys that give it.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<String>,
}

/// A button under the terminal on a phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuickKey {
    /// What is on it.
    #[schemars(length(min = 1, max = 16), extend("pattern" = NO_CONTROL))]
    pub label: String,
    /// The keys that it presses.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<String>,
}

/// How files and pictures are handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attachments {
    /// As a path in the prompt, or by the CLI's own protocol.
    pub mode: AttachmentMode,
    /// Media types that the CLI reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 3, max = 128), regex(pattern = "^[a-z]+/[-a-z0-9.+*]+$")), extend("x-kubernetes-list-type" = "set"))]
    pub types: Vec<String>,
    /// The largest file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<ByteSize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AttachmentMode {
    None,
    Path,
    Channel,
}

/// Where tokens and costs come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageSource {
    /// Figures while a turn is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<UsageChannel>,
    /// Figures of finished turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<UsageChannel>,
    /// The member that tells one message from another, so that each is counted once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub key: Option<String>,
    /// What models cost, for a million tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["model"]))]
    pub prices: Vec<Price>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UsageChannel {
    StatusLine,
    Transcript,
    AppServer,
    Http,
}

/// What a model costs, in US dollars for a million tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Price {
    /// The model's name; a `*` at the end stands for anything.
    #[schemars(length(min = 1, max = 128), extend("pattern" = "^[!-~]+$"))]
    pub model: String,
    /// Tokens sent.
    pub input: Money,
    /// Tokens received.
    pub output: Money,
    /// Tokens read from the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<Money>,
    /// Tokens put into the provider's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<Money>,
}

/// How a rate limit shows, and when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.event) || has(self.match)", "message": "set event (evidence that the CLI gives) or match (an expression on the screen), or both"},
]))]
pub struct LimitRule {
    /// Names the limit.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub id: String,
    /// Evidence of it, such as `hook:StopFailure=rate_limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub event: Option<String>,
    /// A regular expression on the live region.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: Option<String>,
    /// Where the time of its end is: a member of the evidence, or the first group of `match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub reset: Option<String>,
    /// The one menu that a key may answer: its own "wait" row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub menu: Option<LimitMenu>,
    /// Versions that go on by themselves at the reset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("pattern" = VERSIONS))]
    pub self_resumes: Option<String>,
}

/// The menu that a CLI shows at a limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LimitMenu {
    /// A regular expression that only this menu matches.
    #[serde(rename = "match")]
    #[schemars(length(min = 1, max = 1024))]
    pub pattern: String,
    /// The keys that choose to wait, and spend nothing.
    #[schemars(length(min = 1, max = 8), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub wait: Vec<String>,
}
