//! Source: a directory, or a path of a git repository, whose manifests are applied and pruned continuously.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LocalRef, SUBDOMAIN};
use super::schema;
use super::units::GoDuration;

/// A directory, or a path of a git repository, whose manifests are applied and pruned continuously. Its deletion ends
/// the following; the objects stay.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Source",
    shortname = "src",
    category = "regatta",
    status = "SourceStatus",
    derive = "PartialEq",
    doc = "A directory, or a path of a git repository, whose manifests are applied and pruned continuously. Deleting a Source ends the following; its objects stay.",
    printcolumn(name = "Path", type_ = "string", json_path = ".status.location"),
    printcolumn(name = "Revision", type_ = "string", json_path = ".status.revision"),
    printcolumn(name = "Applied", type_ = "integer", json_path = ".status.applied"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.failed"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.path) != has(self.git)", "message": "set exactly one of spec.path (a directory on the control plane's machine) and spec.git (a repository)"},
]))]
pub struct SourceSpec {
    /// The directory, on the control plane's machine: an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), extend("pattern" = "^/[^\\x00-\\x1f]*$"))]
    pub path: Option<String>,
    /// The repository, and where in it the manifests are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSource>,
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
    /// How often everything is applied again although nothing changed, which undoes what others did to it; for git also how
    /// often the remote is asked. 5m for a path and 1m for git when absent; never more often than once a second. Changes
    /// of files are noticed at once in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<GoDuration>,
}

/// Manifests in a git repository. They are read from its commits; nothing is checked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSource {
    /// Where to fetch from: https://, http://, ssh://, git://, file:// or user@host:path. Never with credentials in it.
    #[schemars(length(min = 1, max = 2048), extend("pattern" = "^[^\\s-][^\\s\\x00-\\x1f]*$"), extend("x-kubernetes-validations" = [
        {"rule": "self.matches('^(https?|ssh|git|file)://') || self.matches('^[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:')", "message": "a URL begins with https://, http://, ssh://, git:// or file://, or reads user@host:path"},
        {"rule": "!self.matches('^https?://[^/]*@') && !self.matches('^[a-z]+://[^/@]*:[^/@]*@')", "message": "a URL must not carry credentials; put them into a Secret and name it in spec.git.credentialsRef"},
    ]))]
    pub url: String,
    /// Branch, tag, full ref name or commit; the remote's HEAD when absent.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 244), extend("pattern" = "^[^\\s\\x00-\\x1f~^:?*\\[\\\\-][^\\s\\x00-\\x1f~^:?*\\[\\\\]*$"))]
    pub reference: Option<String>,
    /// The directory of the manifests, relative to the top of the repository; the top itself when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("pattern" = "^[^/\\x00-\\x1f][^\\x00-\\x1f]*$"), extend("x-kubernetes-validations" = [
        {"rule": "!self.matches('(^|/)[.][.](/|$)')", "message": "dir must stay inside the repository: no .. in it"},
    ]))]
    pub dir: Option<String>,
    /// A Secret in namespace regatta-system: `username` and `password` (or `token`) for http(s), or `ssh-privatekey` and
    /// `known_hosts` for ssh; `ca.crt` for a server with a certificate authority of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<LocalRef>,
    /// A Secret in namespace regatta-system whose `token` proves that a call of /hooks/git comes from the forge: the
    /// webhook's secret at GitHub and Gitea, its secret token at GitLab. Without one only the period counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_secret_ref: Option<LocalRef>,
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
    /// Where the manifests come from: the path, or URL, directory and ref of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub location: Option<String>,
    /// What was last applied in full: a digest of the files of a path, a commit of a repository.
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
    /// The lines around the place. Absent where the file holds a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub snippet: Option<String>,
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
    /// Empty until the object is known to have been applied.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The file that it was read from, relative to the path.
    #[schemars(length(max = 4096))]
    pub file: String,
}
