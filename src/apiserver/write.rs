//! Create and update: from what a client sent to what is stored. PUT and every kind of PATCH go the same way; they differ
//! only in how they make the new object out of the old one. A write that changes nothing is answered but not stored.

mod checks;
mod parts;

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use self::parts::keep_identity;
use super::{
    Inner, apply,
    authz::{Ask, Place, What},
    object, read,
    request::WriteOptions,
    resource::Resource,
    schema::quote,
    status::{Failure, Subject, field_error},
    storage::{Change, Expect, Stored, Write, WriteError},
};

/// A write that is neither pinned to a version nor lucky gives up after this many lost races.
const ATTEMPTS: usize = 64;

/// Further names tried for `generateName`, as upstream does.
const GENERATED: usize = 8;

/// Where and how to write.
pub struct Call<'a> {
    pub inner: &'a Arc<Inner>,
    pub resource: Arc<Resource>,
    pub namespace: String,
    pub options: WriteOptions,
}

/// What came of it.
pub struct Done {
    pub code: StatusCode,
    pub object: Outcome,
    pub warnings: Vec<String>,
}

pub enum Outcome {
    Stored(Arc<Stored>),
    /// A dry run's, or another kind's (Scale).
    Shown(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Main,
    Status,
    Scale,
    /// `namespaces/NAME/finalize`
    Finalize,
}

impl Part {
    pub fn subresource(self) -> &'static str {
        match self {
            Part::Main => "",
            Part::Status => "status",
            Part::Scale => "scale",
            Part::Finalize => "finalize",
        }
    }
}

/// How the new object came to be, which decides who owns its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// By what changed.
    Update,
    /// Apply has settled it already.
    Applied,
}

impl Call<'_> {
    pub async fn create(&self, mut object: Value, ownership: Ownership) -> Result<Done, Failure> {
        let resource = &self.resource;
        self.check_type(&mut object)?;
        let warnings = self.clean(&mut object)?;
        if !object::meta_str(&object, "resourceVersion").is_empty() {
            return Err(Failure::bad_request("resourceVersion should not be set on objects to be created"));
        }
        self.place(&mut object)?;
        let prefix = object::meta_str(&object, "generateName").to_string();
        let generated = object::name(&object).is_empty() && !prefix.is_empty();
        let _definitions = self.lock_definitions().await;
        let mut attempts = 0;
        loop {
            let mut object = object.clone();
            if generated {
                object::set_meta(&mut object, "name", object::generate_name(&prefix));
            }
            let name = object::name(&object).to_string();
            self.prepare_new(&mut object)?;
            if ownership == Ownership::Update {
                self.track(None, &mut object, Part::Main);
            }
            let key = object::key(&self.namespace, &name);
            if self.options.dry_run {
                if self.resource.collection.get(&key).is_some() {
                    return Err(Failure::already_exists(resource.subject(&name)));
                }
                self.check_namespace(&name)?;
                return Ok(Done { code: StatusCode::CREATED, object: Outcome::Shown(object), warnings });
            }
            match self.commit(key, Expect::Absent, object, Change::Added).await {
                Ok(stored) => {
                    return Ok(Done { code: StatusCode::CREATED, object: Outcome::Stored(stored), warnings });
                }
                Err(WriteError::Exists) if generated && attempts < GENERATED => attempts += 1,
                Err(error) => return Err(self.refused(error, &name)),
            }
        }
    }

    /// Replaces (a part of) an object by what `produce` makes of the current one.
    pub async fn update(
        &self,
        name: &str,
        part: Part,
        ownership: Ownership,
        produce: impl Fn(&Value) -> Result<Value, Failure>,
    ) -> Result<Done, Failure> {
        let _definitions = self.lock_definitions().await;
        let mut turn = None;
        for _ in 0..ATTEMPTS {
            let current = read::find(&self.resource, &self.namespace, name)?;
            let before = self.resource.value(&current);
            let produced = match part {
                Part::Scale => produce(&self.scale(&before)?)?,
                Part::Main | Part::Status | Part::Finalize => produce(&before)?,
            };
            let (after, warnings) = self.next(name, &before, produced, part, ownership)?;
            let unchanged = after == before;
            let removed = !unchanged && is_finished(&after);
            let shown = |value: Value| match part {
                Part::Scale => self.scale(&value),
                Part::Main | Part::Status | Part::Finalize => Ok(value),
            };
            if self.options.dry_run {
                let object = Outcome::Shown(shown(after)?);
                return Ok(Done { code: StatusCode::OK, object, warnings });
            }
            let stored = if unchanged {
                current
            } else {
                let change = if removed { Change::Deleted } else { Change::Modified };
                let key = object::key(&self.namespace, name);
                match self.commit(key, Expect::Version(current.version), after, change).await {
                    Ok(stored) => stored,
                    // Whoever pinned a version is told by the next round's comparison. Everybody else queues up, so that
                    // many writers of one object do not lose against each other for ever.
                    Err(WriteError::Stale) => {
                        if turn.is_none() {
                            turn = Some(self.inner.turn(name).lock().await);
                        }
                        continue;
                    }
                    Err(error) => return Err(self.refused(error, name)),
                }
            };
            let object = match part {
                Part::Scale => Outcome::Shown(self.scale(&self.resource.value(&stored))?),
                Part::Main | Part::Status | Part::Finalize => Outcome::Stored(stored),
            };
            return Ok(Done { code: StatusCode::OK, object, warnings });
        }
        Err(Failure::stale(self.resource.subject(name)))
    }

    /// The object as it would be stored after an update, and what the client should be told.
    fn next(
        &self,
        name: &str,
        before: &Value,
        mut produced: Value,
        part: Part,
        ownership: Ownership,
    ) -> Result<(Value, Vec<String>), Failure> {
        let resource = &self.resource;
        let subject = resource.subject(name);
        let mut warnings = Vec::new();
        if part != Part::Scale {
            self.check_type(&mut produced)?;
            if !produced.get("metadata").is_some_and(Value::is_object) {
                return Err(Failure::bad_request("metadata is missing: the object must carry its name"));
            }
            warnings = self.clean(&mut produced)?;
            self.place(&mut produced)?;
        }
        if object::name(&produced) != name {
            return Err(Failure::bad_request(format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                object::name(&produced)
            )));
        }
        let asked = object::meta_str(&produced, "resourceVersion");
        if asked.is_empty() || asked == "0" {
            if !resource.updates_blindly() && part != Part::Scale {
                let error = field_error(
                    "FieldValueInvalid",
                    "metadata.resourceVersion",
                    "Invalid value: 0: must be specified for an update",
                );
                // Upstream names the resource here, not the kind.
                return Err(Failure::invalid(Subject { kind: &resource.plural, ..subject }, &[error]));
            }
        } else if asked != object::meta_str(before, "resourceVersion") {
            return Err(Failure::stale(subject));
        }
        let (asked, uid) = (object::uid(&produced), object::uid(before));
        if !asked.is_empty() && asked != uid {
            let why = format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {uid}");
            return Err(Failure::conflict(subject, why));
        }
        let mut after = self.merge_part(before, produced, part)?;
        keep_identity(before, &mut after);
        if part == Part::Main {
            let added: Vec<String> = object::finalizers(&after)
                .into_iter()
                .filter(|finalizer| !object::finalizers(before).contains(finalizer))
                .collect();
            if object::is_deleting(before) && !added.is_empty() {
                let message = format!(
                    "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                    added.iter().map(|finalizer| quote(finalizer)).collect::<Vec<_>>().join(", ")
                );
                return Err(Failure::invalid(
                    subject,
                    &[field_error("FieldValueForbidden", "metadata.finalizers", message)],
                ));
            }
        }
        self.settle(&mut after, Some(before), part)?;
        // Compared without the bookkeeping of owners: a time stamp alone is no change.
        if ownership == Ownership::Update && without_managers(&after) == without_managers(before) && !cleared(&after) {
            return Ok((before.clone(), warnings));
        }
        if resource.has_generation() && part != Part::Status && content(resource, &after) != content(resource, before) {
            let generation = object::meta(before, "generation").and_then(Value::as_u64).unwrap_or(0);
            object::set_meta(&mut after, "generation", generation + 1);
        }
        if ownership == Ownership::Update {
            self.track(Some(before), &mut after, part);
        }
        Ok((after, warnings))
    }

    fn prepare_new(&self, object: &mut Value) -> Result<(), Failure> {
        for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation"] {
            object::unset_meta(object, field);
        }
        object::set_meta(object, "uid", object::new_uid());
        object::set_meta(object, "creationTimestamp", object::now());
        if self.resource.has_generation() {
            object::set_meta(object, "generation", 1);
        }
        if self.resource.status {
            object::set(object, "status", None);
        }
        self.settle(object, None, Part::Main)
    }

    pub fn manager<'a>(&'a self, api_version: &'a str, now: &'a str, part: Part) -> apply::Manager<'a> {
        apply::Manager { name: &self.options.manager, api_version, subresource: part.subresource(), now }
    }

    fn track(&self, before: Option<&Value>, after: &mut Value, part: Part) {
        let (api_version, now) = (self.resource.api_version(), object::now());
        apply::track_update(&self.resource.schema, before, after, self.manager(&api_version, &now, part));
    }

    /// Stores, and follows a changed definition before anybody is answered.
    pub async fn commit(
        &self,
        key: String,
        expect: Expect,
        object: Value,
        change: Change,
    ) -> Result<Arc<Stored>, WriteError> {
        let namespace = (expect == Expect::Absent && self.resource.namespaced).then(|| self.namespace.clone());
        let write = Write {
            collection: self.resource.collection.clone(),
            key,
            expect,
            object: self.resource.store(object),
            change,
            namespace,
        };
        let stored = self.inner.store.write(write).await?;
        if self.is_definition() {
            self.inner.registry.rebuild(&self.inner.store);
        }
        Ok(stored)
    }

    fn is_definition(&self) -> bool {
        self.resource.is("apiextensions.k8s.io", "CustomResourceDefinition")
    }

    /// Held while a definition is written; None for everything else.
    pub async fn lock_definitions(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.is_definition() { Some(self.inner.definitions.lock().await) } else { None }
    }

    /// An apply of what is not there yet is a creation, whose writer needs that right too.
    pub fn may_create(&self, name: &str) -> Result<(), Failure> {
        let Some(user) = &self.options.by else { return Ok(()) };
        let place = Place {
            group: &self.resource.group,
            resource: &self.resource.plural,
            namespace: &self.namespace,
            name,
            ..Place::default()
        };
        self.inner.authorizer.require(user, &Ask { verb: "create", what: What::Resource(place) })
    }

    fn check_namespace(&self, name: &str) -> Result<(), Failure> {
        if !self.resource.namespaced {
            return Ok(());
        }
        match self.inner.store.collection("/namespaces").get(&object::key("", &self.namespace)) {
            None => Err(self.refused(WriteError::NoNamespace, name)),
            Some(found) if found.deleting => Err(self.refused(WriteError::NamespaceTerminating, name)),
            Some(_) => Ok(()),
        }
    }

    pub fn refused(&self, error: WriteError, name: &str) -> Failure {
        let subject = self.resource.subject(name);
        match error {
            WriteError::Exists => Failure::already_exists(subject),
            WriteError::Missing => Failure::not_found(subject),
            WriteError::Stale => Failure::stale(subject),
            WriteError::NoNamespace => Failure::not_found(Subject {
                group: "",
                plural: "namespaces",
                kind: "Namespace",
                name: &self.namespace,
            }),
            WriteError::NamespaceTerminating => {
                let why = format!(
                    "unable to create new content in namespace {} because it is being terminated",
                    self.namespace
                );
                let mut failure = Failure::forbidden(subject, why);
                let message = format!("namespace {} is being terminated", self.namespace);
                let cause =
                    json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]);
                failure.details.insert("causes".into(), cause);
                failure
            }
            WriteError::Closed => Failure::shutting_down(),
            WriteError::Disk(why) => Failure::internal(why),
        }
    }
}

/// Marked for deletion with nothing left to wait for.
pub fn is_finished(object: &Value) -> bool {
    let lists = ["metadata.finalizers", "spec.finalizers"];
    let waiting = |path: &str| object::at(object, path).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let is_namespace = object.get("kind") == Some(&Value::from("Namespace"));
    object::is_deleting(object) && !waiting(lists[0]) && !(is_namespace && waiting(lists[1]))
}

/// `managedFields: [{}]` (or an empty list) asks to forget all managers.
fn cleared(object: &Value) -> bool {
    object::meta(object, "managedFields").and_then(Value::as_array).is_some_and(|list| match list.as_slice() {
        [] => true,
        [only] => only.as_object().is_some_and(serde_json::Map::is_empty),
        _ => false,
    })
}

fn without_managers(object: &Value) -> Value {
    let mut object = object.clone();
    object::unset_meta(&mut object, "managedFields");
    object
}

/// What a generation counts the changes of.
fn content(resource: &Resource, object: &Value) -> Value {
    let mut object = object.clone();
    object::set(&mut object, "metadata", None);
    if resource.status {
        object::set(&mut object, "status", None);
    }
    object
}
