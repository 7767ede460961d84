//! Conversations with one object: named managers apply and update, and the fields they own are compared.

mod appliers;
mod lists;
mod maps;
mod updaters;

use serde_json::{Value, json};

use super::{ApplyError, Manager, apply, track_update};
use crate::apiserver::schema::Schema;

pub(super) fn schema() -> Schema {
    let props = json!({
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {
                "replicas": {"type": "integer"},
                "name": {"type": "string"},
                "size": {"x-kubernetes-int-or-string": true},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "atomicMap": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
                "atomicStruct": {"type": "object", "x-kubernetes-map-type": "atomic", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}},
                "nested": {"type": "object", "properties": {
                    "a": {"type": "string"},
                    "inner": {"type": "object", "properties": {"b": {"type": "string"}, "c": {"type": "string"}}},
                }},
                "list": {"type": "array", "items": {"type": "string"}},
                "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
                "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
                    "items": {"type": "object", "required": ["port"], "properties": {
                        "port": {"type": "integer"},
                        "protocol": {"type": "string", "default": "TCP"},
                        "name": {"type": "string"},
                    }}},
                "env": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                    "items": {"type": "object", "required": ["name"], "properties": {
                        "name": {"type": "string"},
                        "value": {"type": "string"},
                        "from": {"type": "object", "properties": {"key": {"type": "string"}}},
                    }}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }},
            "status": {"type": "object", "properties": {
                "phase": {"type": "string"},
                "conditions": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                    "items": {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}, "status": {"type": "string"}}}},
            }},
        },
    });
    Schema::from_crd(&serde_json::from_value(props).unwrap()).unwrap()
}

pub(super) fn with_spec(spec: Value) -> Value {
    json!({"apiVersion": "t/v1", "kind": "T", "metadata": {"name": "x", "namespace": "default"}, "spec": spec})
}

/// One object, its schema, and a clock that ticks with every write.
pub(super) struct World {
    pub schema: Schema,
    pub live: Option<Value>,
    ticks: u32,
}

impl World {
    pub fn new() -> World {
        World { schema: schema(), live: None, ticks: 0 }
    }

    /// An object that was there before anybody tracked fields.
    pub fn untracked(spec: Value) -> World {
        World { live: Some(with_spec(spec)), ..World::new() }
    }

    fn now(&mut self) -> String {
        self.ticks += 1;
        format!("2026-01-01T00:{:02}:{:02}Z", self.ticks / 60, self.ticks % 60)
    }

    pub fn try_apply(
        &mut self,
        name: &str,
        subresource: &str,
        config: &Value,
        force: bool,
    ) -> Result<Value, ApplyError> {
        let now = self.now();
        let manager = Manager { name, api_version: "t/v1", subresource, now: &now };
        apply(&self.schema, self.live.as_ref(), config, manager, force)
    }

    pub fn apply(&mut self, name: &str, spec: Value) -> &mut World {
        self.live = Some(self.try_apply(name, "", &with_spec(spec), false).unwrap());
        self
    }

    pub fn force(&mut self, name: &str, spec: Value) -> &mut World {
        self.live = Some(self.try_apply(name, "", &with_spec(spec), true).unwrap());
        self
    }

    /// The conflicts of an apply that must fail, one line each.
    pub fn conflicts(&mut self, name: &str, spec: Value) -> Vec<String> {
        match self.try_apply(name, "", &with_spec(spec), false) {
            Err(ApplyError::Conflict { conflicts }) => {
                conflicts.iter().map(|one| format!("{}: {}", one.message(), one.field)).collect()
            }
            other => panic!("expected conflicts, got {other:?}"),
        }
    }

    pub fn invalid(&mut self, spec: Value) -> String {
        match self.try_apply("a", "", &with_spec(spec), false) {
            Err(ApplyError::Invalid(message)) => message,
            other => panic!("expected a bad request, got {other:?}"),
        }
    }

    pub fn update_through(&mut self, name: &str, subresource: &str, change: impl FnOnce(&mut Value)) -> &mut World {
        let now = self.now();
        let mut after = self.live.clone().unwrap_or_else(|| with_spec(json!({})));
        change(&mut after);
        let manager = Manager { name, api_version: "t/v1", subresource, now: &now };
        track_update(&self.schema, self.live.as_ref(), &mut after, manager);
        self.live = Some(after);
        self
    }

    pub fn update(&mut self, name: &str, change: impl FnOnce(&mut Value)) -> &mut World {
        self.update_through(name, "", change)
    }

    pub fn object(&self) -> &Value {
        self.live.as_ref().unwrap()
    }

    pub fn spec(&self) -> &Value {
        &self.object()["spec"]
    }

    pub fn entries(&self) -> Vec<Value> {
        self.object()["metadata"]["managedFields"].as_array().cloned().unwrap_or_default()
    }

    /// `Apply a, Update b/status`, in stored order.
    pub fn owners(&self) -> String {
        let owner = |entry: &Value| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let suffix =
                if text("subresource").is_empty() { String::new() } else { format!("/{}", text("subresource")) };
            format!("{} {}{suffix}", text("operation"), text("manager"))
        };
        self.entries().iter().map(owner).collect::<Vec<_>>().join(", ")
    }

    pub fn entry(&self, operation: &str, name: &str) -> Value {
        let found =
            self.entries().into_iter().find(|entry| entry["manager"] == name && entry["operation"] == operation);
        found.unwrap_or(Value::Null)
    }

    pub fn applied(&self, name: &str) -> Value {
        self.entry("Apply", name)["fieldsV1"].clone()
    }

    pub fn updated(&self, name: &str) -> Value {
        self.entry("Update", name)["fieldsV1"].clone()
    }
}

#[test]
fn conflicts_are_worded_as_upstream_words_them() {
    let mut world = World::new();
    world.update("kubectl-client-side-apply", |object| object["spec"]["replicas"] = json!(1));
    let one = world.try_apply("a", "", &with_spec(json!({"replicas": 2})), false).unwrap_err();
    assert_eq!(
        one.to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using t/v1: .spec.replicas"
    );
    world.update("kubectl-client-side-apply", |object| object["spec"]["name"] = json!("n"));
    world.apply("b", json!({"size": 1}));
    let several =
        world.try_apply("a", "", &with_spec(json!({"replicas": 2, "name": "m", "size": 2})), false).unwrap_err();
    assert_eq!(
        several.to_string(),
        "Apply failed with 3 conflicts: conflicts with \"b\":\n- .spec.size\n\
         conflicts with \"kubectl-client-side-apply\" using t/v1:\n- .spec.name\n- .spec.replicas"
    );
}
