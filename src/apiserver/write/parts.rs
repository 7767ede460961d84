//! The parts of an object that are written by themselves, and what of it no client writes.

use serde_json::{Value, json};

use super::super::{
    object,
    status::{Failure, field_error},
};
use super::{Call, Part};

impl Call<'_> {
    /// The old object with the written part replaced.
    pub(super) fn merge_part(&self, before: &Value, mut produced: Value, part: Part) -> Result<Value, Failure> {
        let resource = &self.resource;
        match part {
            Part::Main => {
                if resource.status {
                    object::set(&mut produced, "status", before.get("status").cloned());
                }
                if resource.is("", "Namespace") {
                    let finalizers = object::at(before, "spec.finalizers").cloned();
                    object::set(
                        &mut produced,
                        "spec",
                        Some(json!({"finalizers": finalizers.unwrap_or_else(|| json!([]))})),
                    );
                }
                Ok(produced)
            }
            Part::Status => {
                let mut after = before.clone();
                object::set(&mut after, "status", produced.get("status").cloned());
                if let Some(managers) = object::meta(&produced, "managedFields") {
                    object::set_meta(&mut after, "managedFields", managers.clone());
                }
                Ok(after)
            }
            Part::Finalize => {
                let mut after = before.clone();
                let finalizers = object::at(&produced, "spec.finalizers").cloned().unwrap_or_else(|| json!([]));
                object::put_at(&mut after, "spec.finalizers", finalizers);
                Ok(after)
            }
            Part::Scale => {
                let scale = resource.scale.as_ref().ok_or_else(Failure::no_such_path)?;
                let replicas = object::at(&produced, "spec.replicas").cloned().unwrap_or_else(|| 0.into());
                if !replicas.as_i64().is_some_and(|count| (0..=i64::from(i32::MAX)).contains(&count)) {
                    let message = format!("Invalid value: {replicas}: should be a non-negative integer");
                    let error = field_error("FieldValueInvalid", scale.spec.clone(), message);
                    return Err(Failure::invalid(resource.subject(object::name(before)), &[error]));
                }
                let mut after = before.clone();
                object::put_at(&mut after, &scale.spec, replicas);
                Ok(after)
            }
        }
    }

    /// The autoscaling/v1 view of an object.
    pub fn scale(&self, value: &Value) -> Result<Value, Failure> {
        let scale = self.resource.scale.as_ref().ok_or_else(Failure::no_such_path)?;
        let count = |path: &str| object::at(value, path).cloned().unwrap_or_else(|| 0.into());
        let mut metadata = serde_json::Map::new();
        for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
            if let Some(value) = object::meta(value, field) {
                metadata.insert(field.into(), value.clone());
            }
        }
        let mut shown = json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
            "spec": {"replicas": count(&scale.spec)}, "status": {"replicas": count(&scale.status)}});
        if let Some(selector) = scale.selector.as_ref().and_then(|path| object::at(value, path)) {
            shown["status"]["selector"] = selector.clone();
        }
        Ok(shown)
    }
}

/// What no client changes.
pub(super) fn keep_identity(before: &Value, after: &mut Value) {
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "generateName",
        "selfLink",
        "resourceVersion",
    ] {
        match object::meta(before, field) {
            Some(value) => object::set_meta(after, field, value.clone()),
            None => object::unset_meta(after, field),
        }
    }
    // An update that does not mention the owners of fields leaves them.
    if object::meta(after, "managedFields").is_none_or(Value::is_null) {
        match object::meta(before, "managedFields") {
            Some(value) => object::set_meta(after, "managedFields", value.clone()),
            None => object::unset_meta(after, "managedFields"),
        }
    }
}
