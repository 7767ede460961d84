//! Repo: a git repository that agents work on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{ABSOLUTE_PATH, LocalRef, NO_CONTROL, RELATIVE_PATH};
use super::schema;
use super::units::GoDuration;

/// A branch's name: an option or a revision expression would be read as something else.
const BRANCH: &str = "^[^\\s\\x00-\\x1f~^:?*\\[\\\\-][^\\s\\x00-\\x1f~^:?*\\[\\\\]*$";

/// A git repository that agents work on: each agent gets a worktree of it, on its own branch.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
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
        {"rule": "!has(self.partialClone) || has(self.url)", "message": "spec.partialClone needs spec.url: a directory on the host is not cloned"},
]))]
pub struct RepoSpec {
    /// Where to clone from: https://, ssh://, git://, file:// or user@host:path. Never with a password in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), extend("pattern" = "^[^\\s-][^\\s\\x00-\\x1f]*$"), extend("x-kubernetes-validations" = [
        {"rule": "!self.matches('^[a-z+]+://[^/@]*:[^/@]*@')", "message": "a URL must not carry a password; put it into a Secret and name that in spec.credentialsRef"},
    ]))]
    pub url: Option<String>,
    /// A repository (or, with `initialize`, an empty directory) on the host itself: an absolute path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096), extend("pattern" = ABSOLUTE_PATH))]
    pub path: Option<String>,
    /// Run `git init` in an empty `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initialize: Option<bool>,
    /// The branch that agents start from; the remote's HEAD when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 244), extend("pattern" = BRANCH))]
    pub default_branch: Option<String>,
    /// A Secret with `username` and `password`, or `ssh-privatekey`. The host user's own credentials when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<LocalRef>,
    /// How often clones are refreshed while agents work on the Repo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_period: Option<GoDuration>,
    /// What is left out of a clone until it is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_clone: Option<PartialClone>,
    /// How worktrees of it are made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<WorktreeSetup>,
    /// The forge that has it, for links, pull requests and checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<Forge>,
}

/// What is left out of a clone until it is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PartialClone {
    /// Nothing: everything is cloned.
    #[default]
    Full,
    /// Files' contents.
    Blobless,
    /// Files' contents and directories.
    Treeless,
}

/// How worktrees of a Repo are made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeSetup {
    /// The branch of an agent that names none; `{name}` and `{namespace}` are the agent's. `agent/{name}` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128), extend("pattern" = "^[A-Za-z0-9][-A-Za-z0-9_/{}.]*$"), extend("x-kubernetes-validations" = [
        {"rule": "self.contains('{name}')", "message": "the template must contain {name}: each agent needs a branch of its own"},
    ]))]
    pub branch_template: Option<String>,
    /// Commands to run in a fresh worktree before the agent starts, each by `sh -c`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 4096)), extend("x-kubernetes-list-type" = "atomic"))]
    pub setup: Vec<String>,
    /// Files that git does not track and that are copied from `path` or the first worktree, such as `.env`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 1024), regex(pattern = RELATIVE_PATH)), extend("x-kubernetes-list-type" = "set"))]
    pub copy_files: Vec<String>,
    /// The same, as links: directories that may be shared, such as caches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 1024), regex(pattern = RELATIVE_PATH)), extend("x-kubernetes-list-type" = "set"))]
    pub links: Vec<String>,
    /// The most worktrees that may exist on one host at the same time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_worktrees: Option<i32>,
}

/// The forge that has a Repo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forge {
    /// Which software it runs.
    pub kind: ForgeKind,
    /// The project's name there, such as `acme/payments`; read from the URL when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512), extend("pattern" = NO_CONTROL))]
    pub project: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForgeKind {
    GitHub,
    GitLab,
    Gitea,
}

/// What is known about a Repo.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepoStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
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
    /// Its page at the forge.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "webURL")]
    #[schemars(length(max = 2048))]
    pub web_url: Option<String>,
    /// The clone on each host that has one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host"]))]
    pub mirrors: Vec<Mirror>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// A host's bare clone of a Repo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirror {
    /// Name of the Host.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The default branch's last commit there.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "headSHA")]
    #[schemars(length(max = 64))]
    pub head_sha: Option<String>,
    /// When it was last refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fetch_time: Option<Time>,
    /// The branch that the remote's HEAD names there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub default_branch: Option<String>,
    /// How much disk it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub size_bytes: Option<i64>,
    /// Why the clone cannot be made or refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub error: Option<String>,
}
