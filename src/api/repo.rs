//! Repo: a git repository that agents work on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// A git repository that agents work on: each agent gets a worktree of it, on its own branch.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Repo",
    shortname = "rp",
    category = "regatta",
    namespaced,
    status = "RepoStatus",
    derive = "PartialEq",
    doc = "A git repository that agents work on.",
    printcolumn(name = "URL", type_ = "string", json_path = ".status.location"),
    printcolumn(name = "Branch", type_ = "string", json_path = ".status.defaultBranch"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agents"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.url) != has(self.path)", "message": "set exactly one of spec.url (a remote) and spec.path (a directory on the host)"},
    {"rule": "!has(oldSelf.path) || (has(self.path) && self.path == oldSelf.path)", "message": "spec.path cannot change: worktrees belong to it; create another Repo"},
    {"rule": "!has(self.initialize) || !self.initialize || has(self.path)", "message": "spec.initialize needs spec.path: only a local directory can be initialised"},
]))]
pub struct RepoSpec {
    /// Where to clone from: https://, ssh://, git://, file:// or user@host:path. Never with a password in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), extend("pattern" = "^[^\\s-][^\\s\\x00-\\x1f]*$"), extend("x-kubernetes-validations" = [
        {"rule": "!self.matches('^[a-z+]+://[^/@]*:[^/@]*@')", "message": "a URL must not carry a password"},
    ]))]
    pub url: Option<String>,
    /// A repository (or, with `initialize`, an empty directory) on the host itself: an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), extend("pattern" = "^/[^\\x00-\\x1f]*$"))]
    pub path: Option<String>,
    /// Run `git init` in an empty `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialize: Option<bool>,
    /// The branch that agents start from; the remote's HEAD when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 244), extend("pattern" = "^[^\\s\\x00-\\x1f~^:?*\\[\\\\-][^\\s\\x00-\\x1f~^:?*\\[\\\\]*$"))]
    pub default_branch: Option<String>,
}

/// What is known about a Repo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoStatus {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The URL or path, in one field for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub location: Option<String>,
    /// The branch that agents start from, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub default_branch: Option<String>,
    /// How many agents work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub agents: Option<i32>,
    /// The clone on each host that has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host"]))]
    pub mirrors: Vec<Mirror>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A host's bare clone of a Repo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "headSHA")]
    #[schemars(length(max = 64))]
    pub head_sha: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fetch_time: Option<Time>,
    /// The branch that the remote's HEAD names there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub default_branch: Option<String>,
    /// Why the clone cannot be made or refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub error: Option<String>,
}
