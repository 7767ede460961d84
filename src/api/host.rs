//! Host: a machine or pod on which agents live.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::LABEL_VALUE;
use super::schema;
use super::units::GoDuration;

/// The key of a taint: a label's key.
const TAINT_KEY: &str = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$";

/// A machine or pod on which agents live. Its labels are the object's labels.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Host",
    shortname = "hst",
    category = "regatta",
    status = "HostStatus",
    derive = "PartialEq",
    doc = "A machine or pod on which agents live.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Agents", type_ = "integer", json_path = ".status.agents"),
    printcolumn(name = "Max", type_ = "integer", json_path = ".spec.maxAgents"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.info.version"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct HostSpec {
    /// Place no new agents here; those that are here go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unschedulable: Option<bool>,
    /// Only agents that tolerate them are placed here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["key"]))]
    pub taints: Vec<Taint>,
    /// How many agents may be placed here; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub max_agents: Option<i32>,
    /// Empty the host: nothing new is placed here, and its agents are to end or move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<Drain>,
}

/// How a host is emptied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// How long agents may go on before they are ended; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<GoDuration>,
}

/// Keeps agents away that do not tolerate it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Taint {
    /// What to tolerate.
    #[schemars(length(min = 1, max = 316), extend("pattern" = TAINT_KEY))]
    pub key: String,
    /// A value that a toleration may insist on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), extend("pattern" = LABEL_VALUE))]
    pub value: Option<String>,
}

/// Lets an agent onto hosts with the taint; without a value, whatever the taint's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Toleration {
    /// Key of the taint.
    #[schemars(length(min = 1, max = 316), extend("pattern" = TAINT_KEY))]
    pub key: String,
    /// Value of the taint; any when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63), extend("pattern" = LABEL_VALUE))]
    pub value: Option<String>,
}

impl Toleration {
    pub fn tolerates(&self, taint: &Taint) -> bool {
        self.key == taint.key && (self.value.is_none() || self.value == taint.value)
    }
}

/// What is known about a Host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// What the host says about its machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<HostInfo>,
    /// Which adapters' commands it found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub adapters: Vec<HostAdapter>,
    /// How many agents are placed here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub agents: Option<i32>,
    /// The replica of the control plane that holds its link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub gateway: Option<String>,
    /// When it was last heard from, as far as this object was told; the Lease in regatta-system is exact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen_time: Option<Time>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// An adapter on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostAdapter {
    /// Name of the Adapter.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The version that the command reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
    /// Whether agents with it can be started here.
    pub available: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub reason: Option<String>,
}

/// What a host says about its machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostInfo {
    /// Operating system.
    #[schemars(length(max = 64))]
    pub os: String,
    /// Processor architecture.
    #[schemars(length(max = 64))]
    pub arch: String,
    /// Regatta's version there.
    #[schemars(length(max = 64))]
    pub version: String,
    /// Version of tmux.
    #[schemars(length(max = 64))]
    pub tmux: String,
    /// Version of git.
    #[schemars(length(max = 64))]
    pub git: String,
    /// Number of processors.
    #[schemars(range(min = 0, max = 100_000))]
    pub cpus: i32,
    /// Memory of the machine.
    #[schemars(range(min = 0))]
    pub memory_bytes: i64,
    /// Labels that the host asks for; put on the Host when it is first seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::labels")]
    pub labels: BTreeMap<String, String>,
}
