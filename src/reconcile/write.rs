//! The few kinds of write that controllers make. Each is safe to repeat, and none touches an object of the same name that
//! is not the one that was meant: the uid goes with every write.

use std::fmt::Debug;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, Patch as JsonPatch, PatchOperation, RemoveOperation, TestOperation};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Any object of ours.
pub trait Object: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Object for K {}

/// Applies the part of a status that `manager` owns. What it does not mention, and owned before, goes.
pub async fn status<K>(api: &Api<K>, object: &K, manager: &str, status: &impl Serialize) -> kube::Result<K>
where
    K: Object,
{
    let body = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "uid": object.uid()},
        "status": status,
    });
    api.patch_status(&object.name_any(), &PatchParams::apply(manager).force(), &Patch::Apply(body)).await
}

/// Puts a finalizer on an object that is not being deleted.
pub async fn add_finalizer<K: Object>(api: &Api<K>, object: &K, finalizer: &str) -> kube::Result<()> {
    let operations = match object.finalizers().is_empty() {
        // `add` of the whole list would overwrite one that came meanwhile: the version makes sure that none did.
        true => vec![
            test("/metadata/resourceVersion", json!(object.resource_version())),
            add("/metadata/finalizers", json!([finalizer])),
        ],
        false => vec![test("/metadata/uid", json!(object.uid())), add("/metadata/finalizers/-", json!(finalizer))],
    };
    patch(api, object, operations).await
}

/// Takes a finalizer off; an object that is gone already is as good.
pub async fn remove_finalizer<K: Object>(api: &Api<K>, object: &K, finalizer: &str) -> kube::Result<()> {
    let Some(index) = object.finalizers().iter().position(|f| f == finalizer) else {
        return Ok(());
    };
    let path = format!("/metadata/finalizers/{index}");
    let remove = PatchOperation::Remove(RemoveOperation { path: pointer(&path) });
    let operations = vec![test("/metadata/uid", json!(object.uid())), test(&path, json!(finalizer)), remove];
    match patch(api, object, operations).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}

/// The API of the object's own namespace.
pub fn api_of<K>(client: &Client, object: &K) -> Api<K>
where
    K: Object + Resource<Scope = k8s_openapi::NamespaceResourceScope>,
{
    Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
}

/// Whether the write came too late or too early: the object is gone or has changed, and its next change decides.
pub fn outdated(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_not_found() || status.is_conflict())
}

async fn patch<K: Object>(api: &Api<K>, object: &K, operations: Vec<PatchOperation>) -> kube::Result<()> {
    let patch = Patch::Json::<()>(JsonPatch(operations));
    api.patch_metadata(&object.name_any(), &PatchParams::default(), &patch).await.map(|_| ())
}

fn test(path: &str, value: Value) -> PatchOperation {
    PatchOperation::Test(TestOperation { path: pointer(path), value })
}

fn add(path: &str, value: Value) -> PatchOperation {
    PatchOperation::Add(AddOperation { path: pointer(path), value })
}

fn pointer(path: &str) -> PointerBuf {
    PointerBuf::parse(path).expect("written above, with a leading slash and without a tilde")
}
