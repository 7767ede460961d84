//! The router: which path and method is what. Reads the caller from the request, asks whether that is allowed, hands over
//! to the verbs, words the answer.

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
    Inner, User,
    authz::{self, request::Asked},
    body,
    delete::{self, DeleteOptions},
    discovery, gzip, install, object, patch, read,
    reply::{self, Form},
    request::{self, Query, Target, WriteOptions},
    resource::{Origin, Resource},
    review,
    select::FieldTerm,
    status::Failure,
    token, watch,
    write::{Call, Done, Outcome, Ownership, Part},
};

/// Answers anybody.
const HEALTH: [&str; 6] = ["/healthz", "/readyz", "/livez", "/healthz/{*check}", "/readyz/{*check}", "/livez/{*check}"];
/// Answers known callers only, with and without a slash at the end.
const DOCUMENTS: [&str; 5] = ["/version", "/api", "/apis", "/openapi/v2", "/openapi/v3"];
const BELOW: [&str; 3] = ["/api/{*rest}", "/apis/{*rest}", "/openapi/v3/{*rest}"];

pub fn router(inner: Arc<Inner>) -> Router {
    let mut router = Router::new();
    for path in HEALTH {
        router = router.route(path, get(|| async { "ok" }));
    }
    for path in DOCUMENTS {
        router = router.route(path, any(handle)).route(&format!("{path}/"), any(handle));
    }
    for path in BELOW {
        router = router.route(path, any(handle));
    }
    router.with_state(inner)
}

async fn handle(State(inner): State<Arc<Inner>>, mut request: Request) -> Response {
    let Some(caller) = request.extensions().get::<User>().cloned() else {
        return Failure::unauthorized().into_response();
    };
    let packed = gzip::is_wanted(request.headers());
    let answer = match authz::impersonate::effective(&inner.authorizer, caller, request.headers_mut()) {
        Ok(user) => answer(&inner, user, request).await,
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(Answer::Whole(response)) if packed => gzip::compress(response).await,
        Ok(Answer::Whole(response) | Answer::Stream(response)) => response,
        Err(failure) => {
            if failure.code >= 500 {
                tracing::warn!(code = failure.code, message = failure.message, "a request failed");
            }
            failure.into_response()
        }
    }
}

/// An answer that ends by itself, or one that goes on.
enum Answer {
    Whole(Response),
    Stream(Response),
}

async fn answer(inner: &Arc<Inner>, user: User, request: Request) -> Result<Answer, Failure> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_string();
    let query = Query::of(&parts.uri)?;
    let target = Target::parse(&path);
    authorize(inner, &user, &parts.method, &path, target.as_ref(), &query)?;
    if let Some(response) = discovery::answer(&inner.registry.served(), &path, &parts.method, &parts.headers)? {
        return Ok(Answer::Whole(response));
    }
    let target = target.ok_or_else(Failure::no_such_path)?;
    if let Some(review) = review::of(&target) {
        if parts.method != Method::POST {
            return Err(Failure::method_not_allowed());
        }
        let form = reply::negotiate(&parts.headers, &query)?;
        let object = body::object(&parts.headers, &body::collect(body).await?)?;
        let answer = review.answer(inner, &user, &target, object)?;
        return Ok(Answer::Whole(reply::document(StatusCode::CREATED, form, &answer)));
    }
    let resource = inner
        .registry
        .served()
        .find(&target.group, &target.version, &target.plural)
        .ok_or_else(Failure::no_such_path)?;
    if target.namespace.is_some() && !resource.namespaced {
        return Err(Failure::no_such_path());
    }
    let method = parts.method.clone();
    let verb = Verb { inner, user: Arc::new(user), resource, target, query, method, headers: parts.headers };
    if verb.is_token_request() {
        return verb.token(parts.method, body).await.map(Answer::Whole);
    }
    verb.answer(parts.method, body).await
}

/// Before anything is looked up: who may not ask does not learn what is there either.
fn authorize(
    inner: &Inner,
    user: &User,
    method: &Method,
    path: &str,
    target: Option<&Target>,
    query: &Query,
) -> Result<(), Failure> {
    match target {
        Some(target) => inner.authorizer.require(user, &Asked::of(method, target, query).ask(target)),
        None => inner.authorizer.require(user, &authz::request::path(&method.as_str().to_ascii_lowercase(), path)),
    }
}

/// A request for one resource, understood as far as its path goes.
struct Verb<'a> {
    inner: &'a Arc<Inner>,
    user: Arc<User>,
    resource: Arc<Resource>,
    target: Target,
    query: Query,
    method: Method,
    headers: HeaderMap,
}

impl Verb<'_> {
    async fn answer(self, method: Method, body: axum::body::Body) -> Result<Answer, Failure> {
        let part = self.part()?;
        let form = reply::negotiate(&self.headers, &self.query)?;
        if method == Method::GET && self.query.flag("watch")? && part == Part::Main {
            return self.watch(form).map(Answer::Stream);
        }
        self.whole(method, part, form, body).await.map(Answer::Whole)
    }

    async fn whole(self, method: Method, part: Part, form: Form, body: axum::body::Body) -> Result<Response, Failure> {
        let name = self.target.name.clone();
        match (method, name) {
            (Method::GET, Some(name)) => self.get(&name, part, form),
            (Method::GET, None) => {
                let options = request::list_options(&self.query)?;
                read::list(self.inner, &self.resource, self.target.namespace.as_deref(), &options, form)
            }
            (Method::POST, None) => {
                let (call, object) = self.call_with_object(body).await?;
                self.done(call.create(object, Ownership::Update).await?, form)
            }
            (Method::PUT, Some(name)) => {
                let (call, object) = self.call_with_object(body).await?;
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
                if self.resource.is("", "Namespace") && install::NAMESPACES.contains(&name.as_str()) {
                    return Err(Failure::forbidden(self.resource.subject(&name), "this namespace may not be deleted"));
                }
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

    /// `serviceaccounts/NAME/token`
    fn is_token_request(&self) -> bool {
        let Target { namespace, name, subresource, .. } = &self.target;
        let token = subresource.as_deref() == Some("token") && namespace.is_some() && name.is_some();
        token && self.resource.is("", "ServiceAccount")
    }

    async fn token(self, method: Method, body: axum::body::Body) -> Result<Response, Failure> {
        if method != Method::POST {
            return Err(Failure::method_not_allowed());
        }
        let form = reply::negotiate(&self.headers, &self.query)?;
        let object = body::object(&self.headers, &body::collect(body).await?)?;
        let request = token::request::Request {
            inner: self.inner,
            accounts: &self.resource,
            namespace: self.target.namespace.as_deref().unwrap_or_default(),
            name: self.target.name.as_deref().unwrap_or_default(),
            dry_run: self.write_options()?.dry_run,
        };
        let (code, answer, warnings) = request.answer(object).await?;
        Ok(reply::warn(reply::document(code, form, &answer), &warnings))
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

    /// The call and the object in the body; what the body says twice is the call's to judge.
    async fn call_with_object(&self, body: axum::body::Body) -> Result<(Call<'_>, Value), Failure> {
        let mut call = self.namespaced_call()?;
        let (object, duplicates) = body::object_strictly(&self.headers, &body::collect(body).await?)?;
        call.options.duplicates = duplicates;
        Ok((call, object))
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
        let options = request::write_options(&self.query, &self.method, &self.headers)?;
        Ok(WriteOptions { by: Some(self.user.clone()), ..options })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apiserver::{ApiServer, Options};
    use axum::body::Body;
    use tower::ServiceExt;

    #[tokio::test]
    async fn every_path_but_health_wants_to_know_who_asks() {
        let home = tempfile::tempdir().unwrap();
        let options = Options { database: home.path().join("api.db"), crds: Vec::new() };
        let router = ApiServer::open(options).await.unwrap().router();
        let ask = async |method: &str, path: &str| {
            let path = path.replace("{*check}", "x").replace("{*rest}", "v1/namespaces/default/secrets");
            let request = Request::builder().method(method).uri(path).header("impersonate-user", "admin");
            let request = request.header("authorization", "Bearer x").body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        for path in HEALTH {
            assert_eq!(ask("GET", path).await, 200, "{path}");
        }
        for path in DOCUMENTS.iter().chain(&BELOW) {
            for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                assert_eq!(ask(method, path).await, 401, "{method} {path}");
            }
        }
    }
}
