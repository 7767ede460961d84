//! Skill: instructions that agents' CLIs offer as a command or a skill.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LABEL, LocalRef, RELATIVE_PATH};
use super::schema;

/// Instructions that agents' CLIs offer as a command or a skill.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Skill",
    shortname = "sk",
    category = "regatta",
    namespaced,
    status = "SkillStatus",
    derive = "PartialEq",
    doc = "Instructions that agents' CLIs offer as a command or a skill.",
    printcolumn(name = "Targets", type_ = "string", json_path = ".status.targets"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.content) != has(self.repoRef)", "message": "set exactly one of spec.content and spec.repoRef (with spec.path)"},
        {"rule": "has(self.repoRef) == has(self.path)", "message": "spec.repoRef and spec.path go together: the path is the skill's directory or file in that Repo"},
]))]
pub struct SkillSpec {
    /// When an agent should use it, in one or two sentences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub description: Option<String>,
    /// The instructions, in Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 262_144))]
    pub content: Option<String>,
    /// The Repo that has the instructions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo_ref: Option<LocalRef>,
    /// Where they are in that Repo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("pattern" = RELATIVE_PATH))]
    pub path: Option<String>,
    /// Command: people and agents call it by name. Skill: the model picks it up when it fits.
    #[serde(default)]
    pub form: SkillForm,
    /// Adapters that are given it; all that can be when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = LABEL)), extend("x-kubernetes-list-type" = "set"))]
    pub targets: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SkillForm {
    Command,
    #[default]
    Skill,
}

/// What is known about a Skill.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkillStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// The adapters that are given it, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub targets: Option<String>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
