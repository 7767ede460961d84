//! What the derived definitions are given before anybody sees them: nothing nullable, and only formats that Kubernetes
//! knows. A `null` that is not allowed is dropped on arrival, so that rules which ask `has(self.x)` mean what they say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};

/// How the wrapper type of times describes itself where a field has no words of its own.
const TIME_WRAPPER: &str = "Time is a wrapper";

pub(super) fn tidy(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            tidy_schema(schema);
        }
    }
    crd
}

fn tidy_schema(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(options) = &mut schema.enum_ {
        options.retain(|option| !option.0.is_null());
    }
    schema.format = match schema.format.take().as_deref() {
        Some("uint8" | "uint16" | "uint32") => Some("int32".into()),
        Some("uint64" | "uint") => Some("int64".into()),
        other => other.map(str::to_owned),
    };
    if schema.description.as_deref().is_some_and(|text| text.starts_with(TIME_WRAPPER)) {
        schema.description = None;
    }
    for child in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy_schema(child);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(each)) = &mut schema.additional_properties {
        tidy_schema(each);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy_schema(items);
    }
    for list in [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of] {
        list.iter_mut().flatten().for_each(tidy_schema);
    }
}

#[cfg(test)]
mod tests;
