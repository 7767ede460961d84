//! Source: a directory whose manifests are applied and pruned continuously.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::SUBDOMAIN;
use super::schema;

/// A directory whose manifests are applied and pruned continuously.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Source",
    shortname = "src",
    category = "regatta",
    status = "SourceStatus",
    derive = "PartialEq",
    doc = "A directory whose manifests are applied and pruned continuously.",
    printcolumn(name = "Path", type_ = "string", json_path = ".spec.path"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
    printcolumn(name = "Applied", type_ = "integer", json_path = ".status.applied"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status")
)]
#[serde(rename_all = "camelCase")]
pub struct SourceSpec {
    /// The directory, on the control plane's machine: an absolute path.
    #[schemars(length(min = 1, max = 4096), extend("pattern" = "^/[^\\x00-\\x1f]*$"))]
    pub path: String,
    /// The namespace of manifests that name none; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = SUBDOMAIN))]
    pub namespace: Option<String>,
    /// Whether what disappears from the directory is deleted.
    #[serde(default)]
    pub prune: Prune,
    /// What to do when another manager owns a field that a manifest sets.
    #[serde(default)]
    pub conflict: ConflictPolicy,
}

/// Whether what disappears from the directory is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Prune {
    /// Deleted, within the guards.
    #[default]
    Enabled,
    /// Left as it is.
    Disabled,
}

/// What to do when another manager owns a field that a manifest sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConflictPolicy {
    /// The file fails with the names of manager and field.
    #[default]
    Report,
    /// The manifest wins.
    Force,
}

/// What is known about a Source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Digest of the manifests that were last applied in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub revision: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub applied: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub failed: Option<i32>,
    /// Files that could not be applied; their last good state stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub failures: Vec<Failure>,
    /// Every object that came from here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10_000))]
    pub inventory: Vec<InventoryItem>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A file that could not be applied, and where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    #[schemars(length(max = 4096))]
    pub file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub line: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub column: Option<i64>,
    #[schemars(length(max = 4096))]
    pub message: String,
}

/// An object that came from a Source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InventoryItem {
    #[schemars(length(max = 317))]
    pub api_version: String,
    #[schemars(length(max = 63))]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub namespace: Option<String>,
    #[schemars(length(max = 253))]
    pub name: String,
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The file that it was read from, relative to the path.
    #[schemars(length(max = 4096))]
    pub file: String,
}
