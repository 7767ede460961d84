//! Schedule: agents, tasks or messages at certain times.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agentset::{AgentTemplate, TemplateMetadata};
use super::names::{LocalRef, TIME_ZONE};
use super::schema;
use super::task::TaskSpec;
use super::units::GoDuration;

/// Five fields, or one of cron's words.
const CRON: &str = "^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|[0-9*/,LW#?-]+ [0-9*/,LW#?-]+ [0-9A-Za-z*/,#?-]+ [0-9A-Za-z*/,#?-]+ [0-9A-Za-z*/,#?-]+)$";

/// Agents, tasks or messages at certain times.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Schedule",
    shortname = "sch",
    category = "regatta",
    namespaced,
    status = "ScheduleStatus",
    derive = "PartialEq",
    doc = "Agents, tasks or messages at certain times.",
    printcolumn(name = "Cron", type_ = "string", json_path = ".spec.cron"),
    printcolumn(name = "Suspend", type_ = "boolean", json_path = ".spec.suspend"),
    printcolumn(name = "Last", type_ = "date", json_path = ".status.lastTime"),
    printcolumn(name = "Next", type_ = "string", json_path = ".status.nextTime"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(has(self.agent) ? 1 : 0) + (has(self.task) ? 1 : 0) + (has(self.message) ? 1 : 0) == 1", "message": "set exactly one of spec.agent, spec.task and spec.message"},
]))]
pub struct ScheduleSpec {
    /// When: minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`.
    #[schemars(length(min = 1, max = 128), extend("pattern" = CRON))]
    pub cron: String,
    /// The time zone of `cron`, such as `Europe/Berlin`; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("pattern" = TIME_ZONE))]
    pub time_zone: Option<String>,
    /// Do nothing for now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// How late a run may still start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting_deadline: Option<GoDuration>,
    /// What to do when the run before still goes on.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// What to do about runs whose time passed while nothing was there to start them. All starts at most ten.
    #[serde(default)]
    pub missed_runs: MissedRuns,
    /// How many finished runs are kept; 3 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub history: Option<i32>,
    /// Make an Agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentTemplate>,
    /// Make a Task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskTemplate>,
    /// Send a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<ScheduledMessage>,
}

/// What to do when the run before still goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Both go on.
    Allow,
    /// The new one does not start.
    #[default]
    Forbid,
    /// The old one is ended.
    Replace,
}

/// What to do about runs whose time passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MissedRuns {
    Skip,
    /// The latest of them starts.
    #[default]
    One,
    All,
}

/// What a task is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskTemplate {
    /// Labels and annotations of the tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TemplateMetadata>,
    /// Their spec.
    #[schemars(schema_with = "schema::template::<TaskSpec>")]
    pub spec: TaskSpec,
}

/// A message, and who gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.agentRef) != has(self.channelRef)", "message": "set exactly one of agentRef and channelRef"},
]))]
pub struct ScheduledMessage {
    /// The Agent that gets it, as a prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ref: Option<LocalRef>,
    /// The Channel that gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel_ref: Option<LocalRef>,
    /// The message.
    #[schemars(length(min = 1, max = 16_384))]
    pub text: String,
}

/// What is known about a Schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// When it last started a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_time: Option<Time>,
    /// When it starts the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_time: Option<Time>,
    /// Runs that go on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub active: Vec<ActiveRun>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A run that goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveRun {
    /// The Agent or Task.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// When it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Time>,
}
