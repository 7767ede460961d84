//! The resource types of group `regatta.dev`, and what control plane and hosts tell each other about them.
//!
//! Owns names, bounds and the meaning of each field. Knows no I/O, no clock and no client: values only.

pub mod access;
pub mod account;
pub mod adapter;
pub mod adapter_observe;
pub mod agent;
pub mod agent_parts;
pub mod agent_status;
pub mod agentset;
pub mod approval;
pub mod approval_policy;
pub mod board;
pub mod channel;
pub mod class;
pub mod conditions;
pub mod healing;
pub mod host;
pub mod link;
pub mod names;
pub mod notification_policy;
pub mod repo;
pub mod schedule;
pub mod schema;
pub mod share_grant;
pub mod skill;
pub mod source;
mod structural;
pub mod task;
pub mod team;
pub mod units;
pub mod workspace;
pub mod yaml;

pub use account::{Account, AccountSpec};
pub use adapter::{Adapter, AdapterSpec};
pub use agent::{Agent, AgentSpec};
pub use agent_status::{Activity, AgentStatus};
pub use agentset::{AgentSet, AgentSetSpec};
pub use approval::{Approval, ApprovalSpec};
pub use approval_policy::{ApprovalPolicy, ApprovalPolicySpec};
pub use board::{Board, BoardSpec};
pub use channel::{Channel, ChannelSpec};
pub use class::{AgentClass, AgentClassSpec};
pub use host::{Host, HostSpec, HostStatus};
pub use notification_policy::{NotificationPolicy, NotificationPolicySpec};
pub use repo::{Repo, RepoSpec, RepoStatus};
pub use schedule::{Schedule, ScheduleSpec};
pub use share_grant::{ShareGrant, ShareGrantSpec};
pub use skill::{Skill, SkillSpec};
pub use source::{Source, SourceSpec, SourceStatus};
pub use task::{Task, TaskSpec};
pub use team::{Team, TeamSpec};
pub use workspace::{Workspace, WorkspaceSpec};

use std::sync::OnceLock;

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
    /// Made once: it takes tens of milliseconds.
    static ALL: OnceLock<Vec<CustomResourceDefinition>> = OnceLock::new();
    let make = || {
        [
            Repo::crd(),
            Host::crd(),
            Adapter::crd(),
            AgentClass::crd(),
            Agent::crd(),
            AgentSet::crd(),
            Approval::crd(),
            ApprovalPolicy::crd(),
            Task::crd(),
            Board::crd(),
            Schedule::crd(),
            Account::crd(),
            Source::crd(),
            Skill::crd(),
            Channel::crd(),
            NotificationPolicy::crd(),
            Team::crd(),
            ShareGrant::crd(),
            Workspace::crd(),
        ]
        .into_iter()
        .map(structural::tidy)
        .collect()
    };
    ALL.get_or_init(make).clone()
}
