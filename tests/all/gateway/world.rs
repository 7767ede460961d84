//! A gateway on a free loopback port, a browser's worth of HTTP and WebSocket client, and hosts that can be linked.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::serve::ListenerExt;
use futures::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use regatta::apiserver::User;
use regatta::db::Db;
use regatta::gateway::{Gateway, GatewayOptions};
use regatta::link::{Link, Side, pair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::api::Api;

const DEADLINE: Duration = Duration::from_secs(20);

pub struct World {
    pub api: Api,
    pub gateway: Gateway,
    pub web: SocketAddr,
    pub home: TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Who is logged in, as a browser knows it.
#[derive(Clone)]
pub struct Login {
    pub cookie: String,
    pub csrf: String,
}

impl World {
    pub async fn new() -> World {
        World::at(tempfile::tempdir().unwrap(), Api::new()).await
    }

    /// A gateway on a home that may have been used before.
    pub async fn at(home: TempDir, api: Api) -> World {
        let router = api.router();
        World::before(home, api, router).await
    }

    /// A gateway before any API.
    pub async fn before(home: TempDir, api: Api, router: Router) -> World {
        let client = kube::Client::new(router.clone().layer(axum::Extension(User::system("gateway"))), "default");
        let options = GatewayOptions {
            api: client,
            api_router: router,
            db: Db::open(&home.path().join("regatta.db")).await.unwrap(),
            home: home.path().to_owned(),
            allowed_origins: vec!["https://regatta.example.org".into()],
        };
        let gateway = Gateway::start(options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let web = listener.local_addr().unwrap();
        let listener = listener.tap_io(|socket| socket.set_nodelay(true).unwrap());
        let app = gateway.web_router().into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        World { api, gateway, web, home }
    }

    pub fn origin(&self) -> String {
        format!("http://{}", self.web)
    }

    /// A request exactly as given, with a Host unless one is given.
    pub async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        let stream = TcpStream::connect(self.web).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = request.body(Full::new(body.into())).unwrap();
        let host = self.web.to_string().parse().unwrap();
        request.headers_mut().entry(header::HOST).or_insert(host);
        let answer = in_time(sender.send_request(request)).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = in_time(body.collect()).await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str, login: &Login) -> Answer {
        self.send(Request::get(path).header(header::COOKIE, &login.cookie), "").await
    }

    /// As our own page would do it.
    pub fn change(&self, method: Method, path: &str, login: &Login) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, &login.cookie)
            .header(header::ORIGIN, self.origin())
            .header("x-csrf-token", &login.csrf)
    }

    pub async fn try_code(&self, code: &str) -> Answer {
        let request = Request::post("/auth/code").header(header::ORIGIN, self.origin());
        self.send(request, serde_json::json!({ "code": code }).to_string()).await
    }

    pub async fn login(&self) -> Login {
        let code = self.gateway.login_code().await;
        let answer = self.try_code(&code).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
        Login {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf: answer.json()["csrf"].as_str().unwrap().to_owned(),
        }
    }

    /// A WebSocket with the headers given and no others.
    pub async fn socket(&self, path: &str, headers: &[(&str, &str)]) -> Result<Socket, SocketError> {
        connect(self.web, path, headers).await
    }

    pub async fn open(&self, path: &str, login: &Login) -> Socket {
        let origin = self.origin();
        self.socket(path, &[("cookie", &login.cookie), ("origin", &origin)]).await.unwrap()
    }

    /// Links a host with this router; its end of the link can be closed.
    pub async fn link(&self, host: &str, router: Router) -> Link {
        let (near, far) = pair();
        let (link, driver) = Link::start(far, Side::Client, router);
        tokio::spawn(driver);
        let gateway = self.gateway.clone();
        let name = host.to_owned();
        tokio::spawn(async move { gateway.attach_host(name, near).await });
        until("the host is linked", || self.gateway.links().get(host).is_some()).await;
        link
    }
}

impl Answer {
    pub fn text(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A refusal as Kubernetes words it.
    #[track_caller]
    pub fn refused(&self, code: u16, reason: &str) -> Value {
        assert_eq!(self.status.as_u16(), code, "{}", self.text());
        let status = self.json();
        assert_eq!(status["kind"], "Status", "{}", self.text());
        assert_eq!((&status["reason"], &status["code"]), (&reason.into(), &code.into()));
        status
    }
}

pub struct Socket {
    socket: WebSocketStream<TcpStream>,
}

impl Socket {
    pub async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(bytes.to_vec())).await.unwrap();
    }

    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message of the application; `None` at the end.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            match in_time(self.socket.next()).await? {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(message) => return Some(message),
            }
        }
    }

    pub async fn hear(&mut self) -> Value {
        let message = self.next().await.expect("a message, not the end");
        serde_json::from_str(message.to_text().unwrap()).unwrap()
    }

    /// The next message of a type, skipping others.
    pub async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            let message = self.hear().await;
            if message["type"] == kind {
                return message;
            }
        }
    }
}

pub async fn connect(to: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Socket, SocketError> {
    let mut request = format!("ws://{to}{path}").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (socket, _) = in_time(tokio_tungstenite::client_async(request, stream)).await?;
    Ok(Socket { socket })
}

/// The code a WebSocket was refused with.
#[track_caller]
pub fn refused_with(result: Result<Socket, SocketError>) -> u16 {
    match result {
        Err(SocketError::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("not a refusal: {error}"),
        Ok(_) => panic!("accepted"),
    }
}

pub async fn in_time<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("in time")
}

pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, poll).await.is_ok(), "{what}");
}

/// One request to a router, without a socket.
pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let answer = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
    let (parts, body) = answer.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: body.collect().await.unwrap().to_bytes() }
}
