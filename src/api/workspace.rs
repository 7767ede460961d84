//! Workspace: a saved arrangement of tiles, to be opened again and shared. A schema cannot hold a tree of any depth, so
//! tiles are a list in which each names the one that it is inside.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::names::{LABEL, LocalRef, NO_CONTROL, RELATIVE_PATH};
use super::schema;

/// A saved arrangement of tiles, to be opened again and shared.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "Workspace",
    shortname = "wsp",
    category = "regatta",
    namespaced,
    status = "WorkspaceStatus",
    derive = "PartialEq",
    doc = "A saved arrangement of tiles, to be opened again and shared.",
    printcolumn(name = "Title", type_ = "string", json_path = ".spec.title"),
    printcolumn(name = "Tiles", type_ = "integer", json_path = ".status.tiles"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self.tiles.filter(t, !has(t.parent)).size() == 1", "message": "exactly one tile is the outermost: it alone has no parent"},
        {"rule": "self.tiles.all(t, !has(t.parent) || self.tiles.exists(p, p.id == t.parent && has(p.split)))", "message": "every tile's parent must be the id of a tile with split"},
        {"rule": "self.tiles.all(t, !has(t.split) || self.tiles.exists(c, has(c.parent) && c.parent == t.id))", "message": "a tile with split must be the parent of at least one other tile"},
]))]
pub struct WorkspaceSpec {
    /// What people read.
    #[schemars(length(min = 1, max = 128), extend("pattern" = NO_CONTROL))]
    pub title: String,
    /// The tiles; those inside one split follow each other in this order.
    #[schemars(length(min = 1, max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["id"]))]
    pub tiles: Vec<Tile>,
}

/// A tile: split into others, or a pile of tabs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.split) != (has(self.tabs) && size(self.tabs) > 0)", "message": "a tile has either split (others are inside) or tabs"},
        {"rule": "!has(self.parent) || self.parent != self.id", "message": "a tile cannot be inside itself"},
]))]
pub struct Tile {
    /// Names the tile in this Workspace.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub id: String,
    /// The tile that it is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub parent: Option<String>,
    /// How those inside are put: side by side or one above the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// Its share of the space, beside those in the same split; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub weight: Option<i32>,
    /// What it shows, the first on top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "atomic"))]
    pub tabs: Vec<Tab>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Split {
    Row,
    Column,
}

/// One thing to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "has(self.boardRef) == (self.view == 'Board')", "message": "view Board needs boardRef, and boardRef needs view Board"},
        {"rule": "has(self.agentRef) == (self.view != 'Board')", "message": "this view needs agentRef: the Agent to look at"},
        {"rule": "!has(self.path) || self.view == 'Files' || self.view == 'Diff'", "message": "path is for views Files and Diff"},
]))]
pub struct Tab {
    /// What of it to show.
    pub view: View,
    /// The Agent to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_ref: Option<LocalRef>,
    /// The Board to look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_ref: Option<LocalRef>,
    /// The file to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("pattern" = RELATIVE_PATH))]
    pub path: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum View {
    Terminal,
    Chat,
    Diff,
    Files,
    Board,
}

/// What is known about a Workspace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkspaceStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How many tiles it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 64))]
    pub tiles: Option<i32>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
