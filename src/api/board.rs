//! Board: Tasks in columns, which can become agents by themselves.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LocalRef, NO_CONTROL};
use super::schema;

/// Tasks in columns, which can become agents by themselves.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Board",
    shortname = "bd",
    category = "regatta",
    namespaced,
    status = "BoardStatus",
    derive = "PartialEq",
    doc = "Tasks in columns, which can become agents by themselves.",
    printcolumn(name = "Key", type_ = "string", json_path = ".spec.key"),
    printcolumn(name = "Columns", type_ = "integer", json_path = ".status.columns"),
    printcolumn(name = "Open", type_ = "integer", json_path = ".status.open"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self.key == oldSelf.key", "message": "spec.key cannot change: tasks are known by it; create another Board"},
        {"rule": "self.columns.exists(c, has(c.terminal) && c.terminal)", "message": "one column must have terminal: true, for tasks that are done"},
        {"rule": "self.columns.exists(c, !has(c.terminal) || !c.terminal)", "message": "one column must not be terminal, for tasks that are open"},
        {"rule": "!has(self.dispatch) || !has(self.dispatch.column) || self.columns.exists(c, c.name == self.dispatch.column)", "message": "spec.dispatch.column must be one of spec.columns"},
]))]
pub struct BoardSpec {
    /// Begins the short names of its tasks: `PROJ` gives PROJ-1, PROJ-2 and so on.
    #[schemars(length(min = 2, max = 10), extend("pattern" = "^[A-Z][A-Z0-9]*$"))]
    pub key: String,
    /// The columns, from left to right.
    #[schemars(length(min = 2, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub columns: Vec<Column>,
    /// Open tasks become agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Dispatch>,
}

/// A column of a Board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Its name.
    #[schemars(length(min = 1, max = 63), extend("pattern" = NO_CONTROL))]
    pub name: String,
    /// The most tasks in it at the same time; no limit when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub wip: Option<i32>,
    /// Whether tasks in it are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<bool>,
}

/// How open tasks become agents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Dispatch {
    /// The AgentClass of agents for tasks that name none.
    pub class_ref: LocalRef,
    /// The most agents at the same time.
    #[schemars(range(min = 1, max = 1000))]
    pub max_agents: i32,
    /// The column whose tasks become agents; the first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = NO_CONTROL))]
    pub column: Option<String>,
}

/// What is known about a Board.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoardStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How many columns it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub columns: Option<i32>,
    /// How many tasks are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub open: Option<i32>,
    /// How many tasks each column has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub counts: Vec<ColumnCount>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// How many tasks a column has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ColumnCount {
    /// The column.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Its tasks.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub tasks: i32,
}
