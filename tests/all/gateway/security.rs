//! What strangers, foreign pages and guessers get: nothing.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use regatta::apiserver::User;
use regatta::gateway::routes::{self, Access, Ports, ROUTES};

use super::world::{World, ask, refused_with};

fn path_of(route: &str) -> String {
    route.replace("{namespace}", "default").replace("{name}", "a").replace("{*rest}", "v1/secrets")
}

fn methods(route: &routes::Route) -> Vec<Method> {
    match route.method {
        routes::Method::Get => vec![Method::GET, Method::HEAD],
        routes::Method::Post => vec![Method::POST],
        routes::Method::Any => {
            vec![Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS]
        }
    }
}

#[tokio::test]
async fn without_credentials_no_route_answers() {
    let world = World::new().await;
    world.api.put("a", "u-1", Some("fermi"));
    let api_port = world.gateway.api_router();
    let mut walked = 0;
    for route in &ROUTES {
        for method in methods(route) {
            walked += 1;
            let path = path_of(route.path);
            let request = Request::builder().method(&method).uri(&path).header(header::ORIGIN, world.origin());
            let answer = world.send(request, "").await;
            // `/hooks/git` is public in that no session opens it: it wants a proof of its own, and refuses without.
            let public = ["/healthz", "/livez", "/readyz", "/auth/code", "/hooks/git"].contains(&route.path);
            assert_eq!(public, route.access == Access::Public, "{path}: a new public route belongs in this list");
            if !public {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{method} {path}: {}", answer.text());
            }
            let request = Request::builder().method(&method).uri(&path).body(Body::empty()).unwrap();
            let answer = ask(&api_port, request).await;
            if route.ports == Ports::Both && !public {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "API port, {method} {path}: {}", answer.text());
            } else if !public || route.ports == Ports::Web {
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "API port, {method} {path}: {}", answer.text());
            }
        }
    }
    assert!(walked > 30);
    for cookie in ["regatta_session=", "regatta_session=x", "regatta_session=\"", "x=y"] {
        let answer = world.send(Request::get("/auth/session").header(header::COOKIE, cookie), "").await;
        answer.refused(401, "Unauthorized");
    }
}

#[tokio::test]
async fn a_code_becomes_a_session_that_survives_a_restart_and_ends_at_logout() {
    let world = World::new().await;
    let code = world.gateway.login_code().await;
    assert!(code.len() >= 22, "128 bits");
    let answer = world.try_code(&code).await;
    assert_eq!(answer.status, StatusCode::OK);
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap().to_owned();
    for part in ["regatta_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(cookie.contains(part), "{cookie}");
    }
    world.try_code(&code).await.refused(401, "Unauthorized");

    let login = world.login().await;
    let world = World::at(world.home, world.api).await;
    let answer = world.get("/auth/session", &login).await;
    assert_eq!(answer.json()["user"], "admin");
    assert_eq!(answer.json()["csrf"], login.csrf.as_str());
    let kept = String::from_utf8_lossy(&std::fs::read(world.home.path().join("regatta.db")).unwrap()).into_owned();
    let wal = std::fs::read(world.home.path().join("regatta.db-wal")).unwrap_or_default();
    let token = login.cookie.split('=').nth(1).unwrap();
    assert!(!kept.contains(token) && !String::from_utf8_lossy(&wal).contains(token), "only its hash is kept");

    let answer = world.send(world.change(Method::POST, "/auth/logout", &login), "").await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.headers[header::SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    world.get("/auth/session", &login).await.refused(401, "Unauthorized");
}

#[tokio::test]
async fn the_eleventh_wrong_code_of_a_minute_is_not_even_looked_at() {
    let world = World::new().await;
    let good = world.gateway.login_code().await;
    for n in 0..10 {
        world.try_code(&format!("wrong-{n}")).await.refused(401, "Unauthorized");
    }
    let answer = world.try_code(&good).await;
    answer.refused(429, "TooManyRequests");
    let wait: u64 = answer.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait));
    let log = std::fs::read_to_string(world.home.path().join("auth.log")).unwrap();
    assert_eq!(log.lines().count(), 11);
    assert_eq!(log.lines().filter(|line| line.contains(" failure from 127.0.0.1 ")).count(), 10);
    assert!(log.lines().last().unwrap().contains(" rate-limited from 127.0.0.1 "));
    assert!(!log.contains("wrong-") && !log.contains(&good), "no code in the log");
}

#[tokio::test]
async fn a_crafted_user_agent_adds_no_line_to_the_auth_log() {
    let world = World::new().await;
    let forged = "x\t\"\u{1b}[2J regatta-auth success from 6.6.6.6";
    let request = Request::post("/auth/code").header(header::ORIGIN, world.origin());
    let value = header::HeaderValue::from_bytes(forged.replace('\u{1b}', "\u{e9}").as_bytes()).unwrap();
    world.send(request.header(header::USER_AGENT, value), r#"{"code":"x"}"#).await.refused(401, "Unauthorized");
    let log = std::fs::read_to_string(world.home.path().join("auth.log")).unwrap();
    assert_eq!(log.lines().count(), 1);
    assert!(!log.contains("\" regatta-auth success") && log.is_ascii() && !log.contains('\t'), "{log}");
}

#[tokio::test]
async fn bad_login_bodies_are_refused_in_kubernetes_words() {
    let world = World::new().await;
    for body in ["", "{}", "[]", r#"{"code":1}"#, "\u{0}"] {
        let request = Request::post("/auth/code").header(header::ORIGIN, world.origin());
        world.send(request, body.to_owned()).await.refused(400, "BadRequest");
    }
    let request = Request::post("/auth/code").header(header::ORIGIN, world.origin());
    world.send(request, "x".repeat(100_000)).await.refused(413, "RequestEntityTooLarge");
}

#[tokio::test]
async fn foreign_hosts_are_refused_on_every_route_even_with_a_session() {
    let world = World::new().await;
    let login = world.login().await;
    for host in ["evil.example", "evil.example:7600", "127.0.0.1.evil.example"] {
        for path in ["/", "/auth/session", "/api/v1/whoami", "/healthz", "/assets/x.js"] {
            let request = Request::get(path).header(header::HOST, host).header(header::COOKIE, &login.cookie);
            world.send(request, "").await.refused(403, "Forbidden");
        }
    }
    let answer = world.send(Request::get("/healthz").header(header::HOST, "regatta.example.org"), "").await;
    assert_eq!(answer.status, StatusCode::OK, "a configured one is answered");
}

#[tokio::test]
async fn every_mutation_needs_the_right_origin_and_the_csrf_token() {
    let world = World::new().await;
    let login = world.login().await;
    let foreign = ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"];
    for route in &ROUTES {
        for method in methods(route).into_iter().filter(|method| !["GET", "HEAD", "OPTIONS"].contains(&method.as_str()))
        {
            let path = path_of(route.path);
            // A forge has no page and no session; that nothing happens without its proof is another test's.
            if path == routes::GIT_HOOK {
                continue;
            }
            let plain = || Request::builder().method(&method).uri(&path).header(header::COOKIE, &login.cookie);
            let with_token = || plain().header("x-csrf-token", &login.csrf);
            world.send(with_token(), "").await.refused(403, "Forbidden");
            for origin in foreign {
                world.send(with_token().header(header::ORIGIN, origin), "").await.refused(403, "Forbidden");
            }
            if path == routes::LOGIN {
                continue;
            }
            let ours = || plain().header(header::ORIGIN, world.origin());
            world.send(ours(), "").await.refused(403, "Forbidden");
            for token in ["", "x", &login.csrf[1..]] {
                world.send(ours().header("x-csrf-token", token), "").await.refused(403, "Forbidden");
            }
        }
    }
    let answer = world.send(world.change(Method::POST, "/api/v1/whoami", &login), "body").await;
    assert_eq!(answer.json()["body"], 4, "and with both it passes");
    let request = world.change(Method::POST, "/api/v1/whoami", &login);
    let mut request = request;
    request.headers_mut().unwrap().insert(header::ORIGIN, "https://regatta.example.org".parse().unwrap());
    assert_eq!(world.send(request, "").await.status, StatusCode::OK, "so does a configured origin");
}

#[tokio::test]
async fn a_websocket_needs_the_right_origin_and_a_session() {
    let world = World::new().await;
    let login = world.login().await;
    let origin = world.origin();
    let terminal = path_of("/apis/regatta.dev/v1alpha1/namespaces/{namespace}/agents/{name}/terminal");
    for path in ["/watch", &terminal] {
        let cookie = ("cookie", login.cookie.as_str());
        assert_eq!(refused_with(world.socket(path, &[cookie]).await), 403, "none is refused");
        for foreign in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            assert_eq!(refused_with(world.socket(path, &[cookie, ("origin", foreign)]).await), 403);
        }
        assert_eq!(refused_with(world.socket(path, &[("origin", &origin)]).await), 401);
        let rebound = [cookie, ("origin", "http://evil.example"), ("host", "evil.example")];
        assert_eq!(refused_with(world.socket(path, &rebound).await), 403);
    }
    world.open("/watch", &login).await;
}

#[tokio::test]
async fn the_api_sees_the_user_and_none_of_the_browsers_secrets() {
    let world = World::new().await;
    let login = world.login().await;
    let request = world
        .change(Method::PUT, "/api/v1/whoami", &login)
        .header("x-regatta-user", "mallory")
        .header(header::AUTHORIZATION, "Bearer x");
    let seen = world.send(request, "").await.json();
    assert_eq!(seen["user"], "admin");
    assert_eq!(seen["groups"][0], "system:masters");
    let headers = seen["headers"].to_string();
    for name in ["cookie", "authorization", "x-csrf-token", "x-regatta"] {
        assert!(!headers.contains(name), "{headers}");
    }
    let status = world.get("/apis/regatta.dev/v1alpha1/namespaces/default/agents/zed/status", &login).await;
    assert_eq!(&status.body[..], b"zed", "what is not a stream belongs to the API");
}

#[tokio::test]
async fn an_administrator_on_the_api_port_can_make_a_login_code_and_others_cannot() {
    let world = World::new().await;
    let api_port = world.gateway.api_router();
    let mint = |user: User| {
        let mut request = Request::post("/auth/codes").body(Body::empty()).unwrap();
        request.extensions_mut().insert(user);
        request
    };
    let answer = ask(&api_port, mint(User::admin())).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let code = answer.json()["code"].as_str().unwrap().to_owned();
    assert_eq!(world.try_code(&code).await.status, StatusCode::OK);
    let user = User::new("ada", &["system:authenticated"]);
    ask(&api_port, mint(user)).await.refused(403, "Forbidden");
}

#[tokio::test]
async fn pages_carry_a_strict_policy_and_refusals_do_too() {
    let world = World::new().await;
    for path in ["/", "/agents/default/a", "/assets/none.js", "/auth/session"] {
        let answer = world.send(Request::get(path), "").await;
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("script-src 'self';"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"));
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}

#[tokio::test]
async fn a_wrong_method_or_path_is_a_status() {
    let world = World::new().await;
    let login = world.login().await;
    let answer = world.send(world.change(Method::DELETE, "/auth/session", &login), "").await;
    answer.refused(405, "MethodNotAllowed");
    world.send(world.change(Method::POST, "/nowhere", &login), "").await.refused(404, "NotFound");
}
