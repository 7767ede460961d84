//! Every route of the gateway, in one table: what it is, on which port, and whether it answers strangers. The routers
//! are made from it and from nothing else, so a test can walk all of it without credentials.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, on};

use super::status::Failure;
use super::{Gateway, api, assets, guard, hooks, login, streams, watch};

pub const LOGIN: &str = "/auth/code";

/// Called by forges, which prove themselves by the body's signature.
pub const GIT_HOOK: &str = "/hooks/git";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Answers anybody.
    Public,
    /// 401 without credentials.
    Caller,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    Web,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Any,
}

#[derive(Clone, Copy, Debug)]
pub enum Endpoint {
    Health,
    Ready,
    Login,
    Session,
    Logout,
    NewCode,
    GitHook,
    Watch,
    Terminal,
    Log,
    Input,
    Api,
}

pub struct Route {
    pub path: &'static str,
    pub method: Method,
    pub access: Access,
    pub ports: Ports,
    endpoint: Endpoint,
}

const fn route(path: &'static str, method: Method, access: Access, ports: Ports, endpoint: Endpoint) -> Route {
    Route { path, method, access, ports, endpoint }
}

#[rustfmt::skip]
pub const ROUTES: [Route; 20] = {
    use Access::{Caller, Public};
    use Endpoint::{Api, GitHook, Health, Input, Log, Login, Logout, NewCode, Ready, Session, Terminal, Watch};
    use Method::{Any, Get, Post};
    use Ports::{Both, Web};
    [
        route("/healthz", Get, Public, Both, Health),
        route("/livez", Get, Public, Both, Health),
        route("/readyz", Get, Public, Both, Ready),
        route(LOGIN, Post, Public, Web, Login),
        route("/auth/session", Get, Caller, Both, Session),
        route("/auth/logout", Post, Caller, Web, Logout),
        route("/auth/codes", Post, Caller, Both, NewCode),
        route(GIT_HOOK, Post, Public, Both, GitHook),
        route("/watch", Get, Caller, Both, Watch),
        route("/apis/regatta.dev/v1alpha1/namespaces/{namespace}/agents/{name}/terminal", Get, Caller, Both, Terminal),
        route("/apis/regatta.dev/v1alpha1/namespaces/{namespace}/agents/{name}/log", Get, Caller, Both, Log),
        route("/apis/regatta.dev/v1alpha1/namespaces/{namespace}/agents/{name}/input", Post, Caller, Both, Input),
        route("/api", Any, Caller, Both, Api),
        route("/api/{*rest}", Any, Caller, Both, Api),
        route("/apis", Any, Caller, Both, Api),
        route("/apis/{*rest}", Any, Caller, Both, Api),
        route("/openapi", Any, Caller, Both, Api),
        route("/openapi/{*rest}", Any, Caller, Both, Api),
        route("/version", Any, Caller, Both, Api),
        route("/version/", Any, Caller, Both, Api),
    ]
};

/// The loopback web port.
pub fn web(gateway: &Gateway) -> Router {
    let all = ROUTES.iter();
    router(all)
        .fallback(assets::serve)
        .layer(from_fn_with_state(gateway.clone(), guard::web))
        .with_state(gateway.clone())
}

/// The API port, behind an authenticator.
pub fn api(gateway: &Gateway) -> Router {
    let both = ROUTES.iter().filter(|route| route.ports == Ports::Both);
    router(both).fallback(no_such_path).layer(from_fn(guard::api)).with_state(gateway.clone())
}

fn router<'a>(routes: impl Iterator<Item = &'a Route>) -> Router<Gateway> {
    routes
        .fold(Router::new(), |router, route| {
            let handler = match route.access {
                Access::Public => handler(route),
                Access::Caller => handler(route).layer(from_fn(guard::require_caller)),
            };
            router.route(route.path, handler)
        })
        .method_not_allowed_fallback(wrong_method)
}

fn handler(route: &Route) -> MethodRouter<Gateway> {
    let filter = match route.method {
        Method::Get => MethodFilter::GET,
        Method::Post => MethodFilter::POST,
        Method::Any => return any(api::pass),
    };
    match route.endpoint {
        Endpoint::Health => on(filter, api::healthz),
        Endpoint::Ready => on(filter, api::readyz),
        Endpoint::Login => on(filter, login::code),
        Endpoint::Session => on(filter, login::session),
        Endpoint::Logout => on(filter, login::logout),
        Endpoint::NewCode => on(filter, login::codes),
        Endpoint::GitHook => on(filter, hooks::git),
        Endpoint::Watch => on(filter, watch::open),
        Endpoint::Terminal => on(filter, streams::terminal),
        Endpoint::Log => on(filter, streams::log),
        Endpoint::Input => on(filter, streams::input),
        Endpoint::Api => on(filter, api::pass),
    }
}

async fn wrong_method(request: axum::extract::Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    Failure::method_not_allowed(format!("cannot {what}: the path exists, but not for this method")).into_response()
}

async fn no_such_path(request: axum::extract::Request) -> Response {
    let what = format!("{} {}", request.method(), request.uri().path());
    Failure::not_found(format!("cannot {what}: there is no such path")).into_response()
}
