//! NotificationPolicy: who is told of what, where, and when not.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent_status::Activity;
use super::names::{LABEL, LocalRef, PERSON, TIME_ZONE};
use super::schema;
use super::units::{GoDuration, TimeOfDay};

/// Who is told of what, where, and when not.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "regatta.dev",
    version = "v1alpha1",
    kind = "NotificationPolicy",
    plural = "notificationpolicies",
    shortname = "np",
    category = "regatta",
    namespaced,
    status = "NotificationPolicyStatus",
    derive = "PartialEq",
    doc = "Who is told of what, where, and when not.",
    printcolumn(name = "Routes", type_ = "integer", json_path = ".status.routes"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "!has(self.escalateAfter) || self.routes.exists(r, has(r.escalation) && r.escalation)", "message": "spec.escalateAfter needs a route with escalation: true, to which it escalates"},
        {"rule": "self.routes.exists(r, !has(r.escalation) || !r.escalation)", "message": "one route must not be for escalation: it is where notifications go first"},
]))]
pub struct NotificationPolicySpec {
    /// What it is about; everything that people wait for when absent.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub matches: Option<NotificationMatch>,
    /// Where notifications go.
    #[schemars(length(min = 1, max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub routes: Vec<Route>,
    /// When nothing but Critical is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Notifications of one kind within this time become one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// Sent again while nobody reacts; once only when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<GoDuration>,
    /// Sent to the escalation routes when nobody reacted by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_after: Option<GoDuration>,
}

/// What notifications are about; all that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationMatch {
    /// Agents with these labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub agent_selector: Option<LabelSelector>,
    /// What an agent has begun to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9), extend("x-kubernetes-list-type" = "set"))]
    pub activities: Vec<Activity>,
    /// The least severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// Where notifications go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self.type == 'WebPush' || has(self.secretRef)", "message": "this type needs secretRef: a Secret with the url (Webhook, Ntfy, Slack) or the address and server (Email)"},
        {"rule": "self.type == 'WebPush' || !has(self.users) || size(self.users) == 0", "message": "users are for type WebPush: other routes know their receivers"},
]))]
pub struct Route {
    /// Names the route in the status.
    #[schemars(length(min = 1, max = 63), extend("pattern" = LABEL))]
    pub name: String,
    /// The way.
    #[serde(rename = "type")]
    pub kind: RouteKind,
    /// A Secret with where to and with what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
    /// Whose devices, for WebPush; everybody's who may see the agent when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 253), regex(pattern = PERSON)), extend("x-kubernetes-list-type" = "set"))]
    pub users: Vec<String>,
    /// Only when nobody reacted on the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalation: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RouteKind {
    WebPush,
    Webhook,
    Ntfy,
    Slack,
    Email,
}

/// When nothing but Critical is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
        {"rule": "self.from != self.to", "message": "from and to must differ"},
]))]
pub struct QuietHours {
    /// They begin then.
    pub from: TimeOfDay,
    /// They end then, on the next day if that is earlier.
    pub to: TimeOfDay,
    /// The time zone, such as `Europe/Berlin`; UTC when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), extend("pattern" = TIME_ZONE))]
    pub time_zone: Option<String>,
    /// Days on which they begin; every day when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Vec<Day>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Notifications that become one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// What they must have in common.
    pub by: GroupBy,
    /// How long the first waits for others.
    pub wait: GoDuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GroupBy {
    Agent,
    Repo,
    Namespace,
}

/// What is known about a NotificationPolicy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotificationPolicyStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub observed_generation: Option<i64>,
    /// How many routes it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 16))]
    pub routes: Option<i32>,
    /// The last delivery of each route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub deliveries: Vec<Delivery>,
    /// How it is, for people and for `kubectl wait`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// The last delivery of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The route.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// Why it did not arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub error: Option<String>,
}
