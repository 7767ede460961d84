//! What a client sent, checked: its type, its fields, its place, and everything its kind demands.

use serde_json::Value;

use super::super::{
    authz::escalation,
    builtin, crd, names, object,
    request::Validation,
    resource::{Origin, Resource},
    schema::FieldError,
    status::Failure,
};
use super::{Call, Part};

impl Call<'_> {
    /// Kind and version must be those of the URL; built-in kinds may leave them out.
    pub(super) fn check_type(&self, object: &mut Value) -> Result<(), Failure> {
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
    pub(super) fn clean(&self, object: &mut Value) -> Result<Vec<String>, Failure> {
        let mut unknown = self.options.duplicates.clone();
        match self.resource.origin {
            Origin::Builtin(builtin) => {
                let (typed, dropped) =
                    builtin::through_type(builtin, object.take()).map_err(|why| self.undecodable(&why))?;
                *object = typed;
                unknown.extend(dropped);
            }
            Origin::Custom => self.resource.schema.prune(object, &mut unknown),
        }
        object::drop_empty(object, matches!(self.resource.origin, Origin::Builtin(_)));
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
    pub(super) fn place(&self, object: &mut Value) -> Result<(), Failure> {
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

    /// Defaults, what the kind adds, and every check.
    pub(super) fn settle(&self, object: &mut Value, before: Option<&Value>, part: Part) -> Result<(), Failure> {
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
                    self.check_grant(object, before)?;
                    if builtin.kind == "Secret" {
                        self.inner.tokens.fill(object, before);
                    }
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

    /// Roles and bindings give rights away: only those that the writer has.
    fn check_grant(&self, object: &Value, before: Option<&Value>) -> Result<(), Failure> {
        let Some(user) = &self.options.by else { return Ok(()) };
        let write = escalation::Write { user, resource: &self.resource, namespace: &self.namespace, object, before };
        escalation::check(&self.inner.authorizer, &write)
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
}
