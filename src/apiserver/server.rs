//! The router: which path and method is what. Reads the caller from the request, hands over to the verbs, words the answer.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::{
    Inner, User, body,
    delete::{self, DeleteOptions},
    discovery, object, patch, read,
    reply::{self, Form},
    request::{self, Query, Target, WriteOptions},
    resource::{Origin, Resource},
    review,
    select::FieldTerm,
    status::Failure,
    watch,
    write::{Call, Done, Outcome, Ownership, Part},
};

pub fn router(inner: Arc<Inner>) -> Router {
    let mut router = Router::new();
    for path in ["/healthz", "/readyz", "/livez", "/healthz/{*check}", "/readyz/{*check}", "/livez/{*check}"] {
        router = router.route(path, get(|| async { "ok" }));
    }
    for path in ["/version", "/api", "/apis", "/openapi/v2", "/openapi/v3"] {
        router = router.route(path, any(handle)).route(&format!("{path}/"), any(handle));
    }
    for path in ["/api/{*rest}", "/apis/{*rest}", "/openapi/v3/{*rest}"] {
        router = router.route(path, any(handle));
    }
    router.with_state(inner)
}

async fn handle(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let Some(user) = request.extensions().get::<User>().cloned() else {
        return Failure::unauthorized().into_response();
    };
    match answer(&inner, user, request).await {
        Ok(response) => response,
        Err(failure) => {
            if failure.code >= 500 {
                tracing::warn!(code = failure.code, message = failure.message, "a request failed");
            }
            failure.into_response()
        }
    }
}

async fn answer(inner: &Arc<Inner>, user: User, request: Request) -> Result<Response, Failure> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_string();
    if let Some(response) = discovery::answer(&inner.registry.served(), &path, &parts.method, &parts.headers)? {
        return Ok(response);
    }
    let query = Query::of(&parts.uri)?;
    let target = Target::parse(&path).ok_or_else(Failure::no_such_path)?;
    if review::is_review(&target) {
        if parts.method != Method::POST {
            return Err(Failure::method_not_allowed());
        }
        let object = body::object(&parts.headers, &body::collect(body).await?)?;
        return review::answer(&target, &user, object)
            .map(|value| reply::document(StatusCode::CREATED, Form::Json, &value));
    }
    let resource = inner
        .registry
        .served()
        .find(&target.group, &target.version, &target.plural)
        .ok_or_else(Failure::no_such_path)?;
    if target.namespace.is_some() && !resource.namespaced {
        return Err(Failure::no_such_path());
    }
    let verb = Verb { inner, resource, target, query, method: parts.method.clone(), headers: parts.headers };
    verb.answer(parts.method, body).await
}

/// A request for one resource, understood as far as its path goes.
struct Verb<'a> {
    inner: &'a Arc<Inner>,
    resource: Arc<Resource>,
    target: Target,
    query: Query,
    method: Method,
    headers: HeaderMap,
}

impl Verb<'_> {
    async fn answer(self, method: Method, body: axum::body::Body) -> Result<Response, Failure> {
        let part = self.part()?;
        let form = reply::negotiate(&self.headers, &self.query)?;
        let name = self.target.name.clone();
        match (method, name) {
            (Method::GET, _) if self.query.flag("watch")? && part == Part::Main => self.watch(form),
            (Method::GET, Some(name)) => self.get(&name, part, form),
            (Method::GET, None) => {
                let options = request::list_options(&self.query)?;
                read::list(self.inner, &self.resource, self.target.namespace.as_deref(), &options, form)
            }
            (Method::POST, None) => {
                let call = self.namespaced_call()?;
                let object = body::object(&self.headers, &body::collect(body).await?)?;
                self.done(call.create(object, Ownership::Update).await?, form)
            }
            (Method::PUT, Some(name)) => {
                let call = self.namespaced_call()?;
                let object = body::object(&self.headers, &body::collect(body).await?)?;
                let done = call.update(&name, part, Ownership::Update, |_| Ok(object.clone())).await?;
                self.done(done, form)
            }
            (Method::PATCH, Some(name)) => {
                let call = self.namespaced_call()?;
                let bytes = body::collect(body).await?;
                let done = patch::patch(&call, &name, part, &self.headers, &bytes).await?;
                self.done(done, form)
            }
            (Method::DELETE, Some(name)) if part == Part::Main => {
                let call = self.namespaced_call()?;
                let options = self.delete_options(body).await?;
                self.done(delete::delete(&call, &name, &options).await?, form)
            }
            (Method::DELETE, None) => self.delete_collection(body, form).await,
            _ => Err(Failure::method_not_allowed()),
        }
    }

    fn part(&self) -> Result<Part, Failure> {
        match self.target.subresource.as_deref() {
            None => Ok(Part::Main),
            Some("status") if self.resource.status => Ok(Part::Status),
            Some("scale") if self.resource.scale.is_some() => Ok(Part::Scale),
            Some("finalize") if self.resource.is("", "Namespace") => Ok(Part::Finalize),
            Some(_) => Err(Failure::no_such_path()),
        }
    }

    fn watch(&self, form: Form) -> Result<Response, Failure> {
        let options = request::watch_options(&self.query)?;
        let (namespace, name) = (self.target.namespace.as_deref(), self.target.name.as_deref());
        watch::watch(self.inner, &self.resource, namespace, name, options, form)
    }

    fn get(&self, name: &str, part: Part, form: Form) -> Result<Response, Failure> {
        let call = self.namespaced_call()?;
        if part == Part::Scale {
            let stored = read::find(&self.resource, &call.namespace, name)?;
            let scale = call.scale(&self.resource.value(&stored))?;
            return Ok(reply::document(StatusCode::OK, form, &scale));
        }
        let version = self.query.number("resourceVersion")?;
        read::get(self.inner, &self.resource, &call.namespace, name, form, version)
    }

    /// A call for one object: a namespaced resource needs its namespace in the path.
    fn namespaced_call(&self) -> Result<Call<'_>, Failure> {
        if self.resource.namespaced && self.target.namespace.is_none() {
            return Err(if self.target.name.is_some() {
                Failure::no_such_path()
            } else {
                Failure::method_not_allowed()
            });
        }
        self.call()
    }

    fn call(&self) -> Result<Call<'_>, Failure> {
        Ok(Call {
            inner: self.inner,
            resource: self.resource.clone(),
            namespace: self.target.namespace.clone().unwrap_or_default(),
            options: self.write_options()?,
        })
    }

    fn write_options(&self) -> Result<WriteOptions, Failure> {
        request::write_options(&self.query, &self.method, &self.headers)
    }

    async fn delete_options(&self, body: axum::body::Body) -> Result<DeleteOptions, Failure> {
        let bytes = body::collect(body).await?;
        let body = if bytes.is_empty() { None } else { Some(body::object(&self.headers, &bytes)?) };
        DeleteOptions::parse(body.as_ref(), &self.query)
    }

    async fn delete_collection(&self, body: axum::body::Body, form: Form) -> Result<Response, Failure> {
        // Upstream has no collection deletion for namespaces, and a slip of the keyboard would empty everything.
        if matches!(self.resource.origin, Origin::Builtin(builtin) if builtin.kind == "Namespace") {
            return Err(Failure::method_not_allowed());
        }
        let call = self.namespaced_call()?;
        let options = self.delete_options(body).await?;
        let mut wanted = request::list_options(&self.query)?.selection;
        if let Some(namespace) = &self.target.namespace {
            let term = FieldTerm { path: "metadata.namespace".into(), value: namespace.clone(), equal: true };
            wanted.fields.push(term);
        }
        let selection = self.resource.select(&wanted)?;
        let read = self.resource.collection.read(self.target.namespace.as_deref(), self.inner.store.current());
        let objects: Vec<_> = read.objects.into_iter().filter(|stored| selection.matches(stored)).collect();
        delete::delete_all(&call, &objects, &options).await?;
        let metadata = serde_json::json!({"resourceVersion": self.inner.store.current().to_string()});
        Ok(reply::list(form, &self.resource, objects, metadata))
    }

    fn done(&self, done: Done, form: Form) -> Result<Response, Failure> {
        let Done { code, object, warnings } = done;
        let response = match object {
            Outcome::Stored(stored) => reply::stored(code, form, &self.resource, &stored),
            Outcome::Shown(value) if is_foreign(&self.resource, &value) => reply::document(code, form, &value),
            Outcome::Shown(value) => reply::value(code, form, &self.resource, &value),
        };
        Ok(reply::warn(response, &warnings))
    }
}

/// A Status or a Scale rather than an object of the resource.
fn is_foreign(resource: &Resource, value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str) != Some(&resource.kind) || object::meta(value, "uid").is_none()
}
