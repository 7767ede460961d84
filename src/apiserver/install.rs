//! What is there from the start: three namespaces with their accounts, the usual roles, and the definitions handed in,
//! written the way any client's are.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::{
    Error, Inner, accounts, authz, object,
    request::{Validation, WriteOptions},
    status::Failure,
    write::{Call, Ownership, Part},
};

/// Nobody deletes them.
pub const NAMESPACES: [&str; 3] = ["default", "kube-system", "regatta-system"];

pub async fn install(inner: &Arc<Inner>, crds: Vec<CustomResourceDefinition>) -> Result<(), Error> {
    let namespace = |name: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let namespaces = NAMESPACES.iter().map(|name| namespace(name));
    let roles = authz::defaults::roles().into_iter().chain(authz::defaults::bindings());
    provide(inner, namespaces.chain(roles).collect()).await?;
    let failed = |what: &str| {
        let what = what.to_string();
        move |failure: Failure| Error::Install { what, why: failure.message }
    };
    authz::aggregate::gather(inner).await.map_err(failed("the rules of the roles that gather others'"))?;
    accounts::ensure(inner).await.map_err(failed("the namespaces' ServiceAccounts"))?;
    for crd in crds {
        let what = format!("the definition {}", crd.metadata.name.as_deref().unwrap_or("without a name"));
        let failed = |why: String| Error::Install { what: what.clone(), why };
        let value = serde_json::to_value(crd).map_err(|error| failed(error.to_string()))?;
        ensure(inner, value).await.map_err(|failure| failed(failure.message))?;
    }
    Ok(())
}

/// Makes what is missing, all at once so that the writes share their syncs.
pub async fn provide(inner: &Arc<Inner>, objects: Vec<Value>) -> Result<(), Error> {
    let made = objects.into_iter().map(|object| async move {
        let what = format!("{} {}", object["kind"].as_str().unwrap_or_default(), object::name(&object));
        provide_one(inner, object).await.map_err(|failure| Error::Install { what, why: failure.message })
    });
    futures::future::try_join_all(made).await.map(|_| ())
}

async fn provide_one(inner: &Arc<Inner>, wanted: Value) -> Result<(), Failure> {
    let text = |field: &str| wanted[field].as_str().unwrap_or_default();
    let resource = inner.registry.served().find_kind(text("apiVersion"), text("kind"));
    let resource = resource.ok_or_else(|| Failure::bad_request("no such kind is served"))?;
    let (namespace, name) = (object::namespace(&wanted).to_string(), object::name(&wanted).to_string());
    let call = Call { inner, resource, namespace, options: system_options() };
    let found = call.resource.collection.get(&object::key(&call.namespace, &name));
    let done = match found.map(|found| call.resource.value(&found)) {
        None => call.create(wanted, Ownership::Update).await,
        Some(_) if call.resource.group != authz::GROUP => return Ok(()),
        Some(current) => {
            if authz::defaults::completed(&current, &wanted).is_none() {
                return Ok(());
            }
            let renew =
                |current: &Value| Ok(authz::defaults::completed(current, &wanted).unwrap_or_else(|| current.clone()));
            call.update(&name, Part::Main, Ownership::Update, renew).await
        }
    };
    match done {
        Err(failure) if failure.reason != "AlreadyExists" => Err(failure),
        _ => Ok(()),
    }
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
        by: None,
        duplicates: Vec::new(),
        force_given: false,
    }
}
