//! Create and update: from what a client sent to what is stored. PUT and every kind of PATCH go the same way; they differ
//! only in how they make the new object out of the old one. A write that changes nothing is answered but not stored.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    Inner, apply, builtin, crd, names, object, read,
    request::{Validation, WriteOptions},
    resource::{Origin, Resource},
    schema::FieldError,
    status::{Failure, field_error},
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
                return Err(Failure::invalid(subject, &[error]));
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
                    "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {added:?}"
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

    /// The old object with the written part replaced.
    fn merge_part(&self, before: &Value, mut produced: Value, part: Part) -> Result<Value, Failure> {
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
                    let message = format!("Invalid value: {replicas}: must be greater than or equal to 0");
                    let error = field_error("FieldValueInvalid", "spec.replicas", message);
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

    /// Kind and version must be those of the URL; built-in kinds may leave them out.
    fn check_type(&self, object: &mut Value) -> Result<(), Failure> {
        let resource = &self.resource;
        let given = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default().to_string();
        let (kind, api_version) = (given("kind"), given("apiVersion"));
        if resource.is_custom() && (kind.is_empty() || api_version.is_empty()) {
            let missing = if kind.is_empty() { "Kind" } else { "apiVersion" };
            return Err(Failure::bad_request(format!("Object '{missing}' is missing in the body of the request")));
        }
        if !kind.is_empty() && kind != resource.kind {
            return Err(Failure::bad_request(format!(
                "the kind in the data ({kind}) does not match the expected kind ({})",
                resource.kind
            )));
        }
        if !api_version.is_empty() && api_version != resource.api_version() {
            return Err(Failure::bad_request(format!(
                "the API version in the data ({api_version}) does not match the expected API version ({})",
                resource.api_version()
            )));
        }
        object::set(object, "apiVersion", Some(resource.api_version().into()));
        object::set(object, "kind", Some(resource.kind.clone().into()));
        match names::shape_error(object) {
            Some(why) => Err(self.undecodable(&why)),
            None => Ok(()),
        }
    }

    fn undecodable(&self, why: &str) -> Failure {
        let Resource { kind, version, .. } = &*self.resource;
        Failure::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
    }

    /// Drops what the schema does not know, and says so as strictly as the client wants it.
    fn clean(&self, object: &mut Value) -> Result<Vec<String>, Failure> {
        let mut unknown = Vec::new();
        match self.resource.origin {
            Origin::Builtin(builtin) => {
                let (typed, dropped) =
                    builtin::through_type(builtin, object.take()).map_err(|why| self.undecodable(&why))?;
                *object = typed;
                unknown = dropped;
            }
            Origin::Custom => self.resource.schema.prune(object, &mut unknown),
        }
        match self.options.validation {
            Validation::Strict if !unknown.is_empty() => {
                Err(self.undecodable(&format!("strict decoding error: {}", unknown.join(", "))))
            }
            Validation::Strict | Validation::Ignore => Ok(self.deprecation()),
            Validation::Warn => Ok(self.deprecation().into_iter().chain(unknown).collect()),
        }
    }

    fn deprecation(&self) -> Vec<String> {
        self.resource.deprecation.iter().cloned().collect()
    }

    /// The namespace of the URL is the object's.
    fn place(&self, object: &mut Value) -> Result<(), Failure> {
        let given = object::namespace(object);
        if !given.is_empty() && given != self.namespace {
            return Err(Failure::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        if self.namespace.is_empty() {
            object::unset_meta(object, "namespace");
        } else {
            object::set_meta(object, "namespace", self.namespace.clone());
        }
        Ok(())
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

    /// Defaults, what the kind adds, and every check.
    fn settle(&self, object: &mut Value, before: Option<&Value>, part: Part) -> Result<(), Failure> {
        let resource = &self.resource;
        let name = object::name(object).to_string();
        let mut errors: Vec<FieldError> = names::metadata_errors(object, resource.name_rule());
        match resource.origin {
            Origin::Custom => {
                resource.schema.default(object);
                errors.extend(resource.schema.validate(object, before, ""));
            }
            Origin::Builtin(builtin) => {
                if part == Part::Main {
                    builtin::prepare(builtin, object, before);
                }
                errors.extend(builtin::errors(builtin, object, before));
                if resource.is("apiextensions.k8s.io", "CustomResourceDefinition") && part == Part::Main {
                    crd::default(object);
                    errors.extend(crd::errors(object, before));
                    if errors.is_empty() {
                        crd::accept(object, &self.taken_names(object), &object::now());
                    }
                }
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Failure::invalid(resource.subject(&name), &errors)) }
    }

    /// Names of a definition that another established one of its group has.
    fn taken_names(&self, object: &Value) -> Vec<String> {
        let mine = crd::claimed(object);
        let group = object::at(object, "spec.group");
        let mut taken = Vec::new();
        for stored in self.resource.collection.all() {
            let other = stored.value();
            if stored.name == object::name(object) || object::at(&other, "spec.group") != group {
                continue;
            }
            if crd::is_established(&other) {
                taken.extend(crd::claimed(&other).into_iter().filter(|name| mine.contains(name)));
            }
        }
        taken
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
            WriteError::NoNamespace => Failure::not_found(super::status::Subject {
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

/// What no client changes.
fn keep_identity(before: &Value, after: &mut Value) {
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
