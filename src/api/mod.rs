//! The resource types of group `regatta.dev`, and what control plane and hosts tell each other about them.
//!
//! Owns names, bounds and the meaning of each field. Knows no I/O, no clock and no client: values only.

pub mod access;
pub mod adapter;
pub mod agent;
pub mod agent_status;
pub mod class;
pub mod conditions;
pub mod host;
pub mod link;
pub mod names;
pub mod repo;
pub mod schema;
pub mod source;
pub mod units;
pub mod yaml;

pub use adapter::AdapterSpec;
pub use agent::{Agent, AgentSpec};
pub use agent_status::{Activity, AgentStatus};
pub use class::{AgentClass, AgentClassSpec};
pub use host::{Host, HostSpec, HostStatus};
pub use repo::{Repo, RepoSpec, RepoStatus};
pub use source::{Source, SourceSpec, SourceStatus};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub const GROUP: &str = "regatta.dev";
pub const VERSION: &str = "v1alpha1";

/// Where Regatta keeps objects of its own: Leases of hosts and leaders, counters.
pub const SYSTEM_NAMESPACE: &str = "regatta-system";

/// Held by an Agent until its host has put its worktree away.
pub const AGENT_FINALIZER: &str = "regatta.dev/agent";

/// Held by a Repo until no worktree of it remains on any host.
pub const REPO_FINALIZER: &str = "regatta.dev/repo";

/// Every kind, in the order in which `regatta crd` prints them.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![Repo::crd(), Host::crd(), AgentClass::crd(), Agent::crd(), Source::crd()]
}
