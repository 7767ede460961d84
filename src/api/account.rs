//! Account: a login at a provider, with its limits and its budget. Rate limits belong to it, not to agents.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{ABSOLUTE_PATH, LABEL, LocalRef, NO_CONTROL};
use super::schema;
use super::units::{GoDuration, Money};

/// A login at a provider, with its limits and its budget.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Account",
    shortname = "acct",
    category = "regatta",
    namespaced,
    status = "AccountStatus",
    derive = "PartialEq",
    doc = "A login at a provider, with its limits and its budget.",
    printcolumn(name = "Provider", type_ = "string", json_path = ".spec.provider"),
    printcolumn(
        name = "Limited",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"RateLimited\")].status"
    ),
    printcolumn(name = "Resets", type_ = "string", json_path = ".status.resetsAt"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agents"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.secretRef) != has(self.hostLogin)", "message": "set exactly one of spec.secretRef (an API key) and spec.hostLogin (the login that hosts already have)"},
        {"rule": "!has(self.dailyBudget) || (has(self.resume) && self.resume == 'Capped')", "message": "spec.dailyBudget needs spec.resume: Capped"},
        {"rule": "!has(self.resume) || self.resume != 'Capped' || has(self.dailyBudget)", "message": "spec.resume: Capped needs spec.dailyBudget"},
]))]
pub struct AccountSpec {
    /// Whose it is, such as `anthropic` or `openai`.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub provider: String,
    /// A Secret whose keys are the environment variables that log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
    /// The login that hosts already have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_login: Option<HostLogin>,
    /// Whether agents that a limit stopped go on by themselves when it ends; Capped does so `dailyBudget` times a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume>,
    /// How often a day, for Capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub daily_budget: Option<i32>,
    /// What to say to the CLI then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub resume_text: Option<String>,
    /// Between two agents that go on; 5s when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stagger: Option<GoDuration>,
    /// What it may cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// The login that hosts already have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostLogin {
    /// The CLI's configuration directory on the hosts; its usual one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), extend("pattern" = ABSOLUTE_PATH))]
    pub directory: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Resume {
    #[default]
    Off,
    Capped,
    Unlimited,
}

/// What an account may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.maxCost) || has(self.maxTokens)", "message": "set maxCost, maxTokens or both"},
]))]
pub struct Budget {
    /// The time that the limits are for.
    pub period: Period,
    /// The most money, in US dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost: Option<Money>,
    /// The most tokens, sent and received together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000_000_000_i64))]
    pub max_tokens: Option<i64>,
    /// Warn says so; Pause stops agents from taking another turn.
    pub action: BudgetAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Period {
    Hour,
    Day,
    Week,
    Month,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BudgetAction {
    Warn,
    Pause,
}

/// What is known about an Account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How much of each of the provider's limits is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub windows: Vec<Window>,
    /// When the limit that holds agents up ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Time>,
    /// How many agents use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub agents: Option<i32>,
    /// How many of them wait for the limit to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub parked: Option<i32>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One of the provider's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// What the provider calls it.
    #[schemars(length(min = 1, max = 63), extend("pattern" = NO_CONTROL))]
    pub name: String,
    /// How much of it is used.
    #[schemars(range(min = 0, max = 1000))]
    pub used_percent: i32,
    /// When it starts anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Time>,
}
