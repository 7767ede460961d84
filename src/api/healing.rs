//! Healing rules: what to do by itself when an agent is stuck. Adapters ship some, classes and agents add their own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent_status::Activity;
use super::names::{KEY_NAME, LABEL};
use super::units::GoDuration;

/// When this is so, do that; never more often than it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HealingRule {
    /// Names the rule in Events; an agent's rule replaces one of the same name of its class or adapter.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub name: String,
    /// All that is set must hold.
    pub when: HealingWhen,
    /// What to do, in order.
    #[serde(rename = "do")]
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "atomic"))]
    pub actions: Vec<HealingAction>,
    /// The least time between two uses; 1m when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<GoDuration>,
    /// The most uses in an hour; 3 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 60))]
    pub max_per_hour: Option<i32>,
}

/// What must be so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.activity) || has(self.evidence) || has(self.screen) || has(self.contextBelowPercent) || has(self.exit) || has(self.idleFor)", "message": "set at least one of activity, evidence, screen, contextBelowPercent, exit and idleFor"},
]))]
pub struct HealingWhen {
    /// What the agent is doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activity: Option<Activity>,
    /// The name of a piece of evidence that the adapter reports, such as an error class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub evidence: Option<String>,
    /// The id of one of the adapter's screen rules, seen on the live region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub screen: Option<String>,
    /// Less than this much of the model's context is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 99))]
    pub context_below_percent: Option<i32>,
    /// How the command ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<HealingExit>,
    /// Idle for at least this long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_for: Option<GoDuration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HealingExit {
    Any,
    Failure,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "(self.action == 'Send') == has(self.text)", "message": "action Send needs text, and text needs action Send"},
        {"rule": "(self.action == 'Keys') == (has(self.keys) && size(self.keys) > 0)", "message": "action Keys needs keys, and keys need action Keys"},
        {"rule": "!has(self.replayPrompt) || self.action == 'Restart'", "message": "replayPrompt needs action Restart"},
]))]
pub struct HealingAction {
    /// Send types text as a prompt, Keys presses keys, Compact shortens the conversation, Restart ends the command and resumes it.
    pub action: HealingKind,
    /// What Send types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub text: Option<String>,
    /// What Keys presses, in tmux's names such as `Enter` or `C-c`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 16), regex(pattern = KEY_NAME)), extend("x-kubernetes-list-type" = "atomic"))]
    pub keys: Vec<String>,
    /// Whether Restart gives the last prompt again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_prompt: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HealingKind {
    Send,
    Keys,
    Compact,
    Restart,
    Hibernate,
    Notify,
}
