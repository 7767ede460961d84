//! What is there from the start: three namespaces and the definitions handed in, written the way any client's are.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::{
    Error, Inner, object,
    request::{Validation, WriteOptions},
    status::Failure,
    write::{Call, Ownership, Part},
};

const NAMESPACES: [&str; 3] = ["default", "kube-system", "regatta-system"];

pub async fn install(inner: &Arc<Inner>, crds: Vec<CustomResourceDefinition>) -> Result<(), Error> {
    for name in NAMESPACES {
        let object = json!({"metadata": {"name": name}});
        let made = call(inner, "", "v1", "namespaces").create(object, Ownership::Update).await;
        if let Err(failure) = made
            && failure.reason != "AlreadyExists"
        {
            return Err(Error::Install { what: format!("the namespace {name}"), why: failure.message });
        }
    }
    for crd in crds {
        let what = format!("the definition {}", crd.metadata.name.as_deref().unwrap_or("without a name"));
        let failed = |why: String| Error::Install { what: what.clone(), why };
        let value = serde_json::to_value(crd).map_err(|error| failed(error.to_string()))?;
        ensure(inner, value).await.map_err(|failure| failed(failure.message))?;
    }
    Ok(())
}

/// Creates a definition or brings it up to date.
async fn ensure(inner: &Arc<Inner>, wanted: Value) -> Result<(), Failure> {
    let call = call(inner, "apiextensions.k8s.io", "v1", "customresourcedefinitions");
    let name = object::name(&wanted).to_string();
    let made = if call.resource.collection.get(&object::key("", &name)).is_none() {
        call.create(wanted, Ownership::Update).await
    } else {
        let renewed = |current: &Value| {
            let mut renewed = current.clone();
            object::set(&mut renewed, "spec", wanted.get("spec").cloned());
            Ok(renewed)
        };
        call.update(&name, Part::Main, Ownership::Update, renewed).await
    };
    made.map(|_| ())
}

fn call<'a>(inner: &'a Arc<Inner>, group: &str, version: &str, plural: &str) -> Call<'a> {
    let resource = inner.registry.served().find(group, version, plural);
    Call {
        inner,
        resource: resource.expect("built-in kinds are always served"),
        namespace: String::new(),
        options: system_options(),
    }
}

/// How the server itself writes.
pub fn system_options() -> WriteOptions {
    WriteOptions {
        dry_run: false,
        validation: Validation::Ignore,
        manager: "regatta-apiserver".into(),
        manager_given: true,
        force: false,
        force_given: false,
    }
}
