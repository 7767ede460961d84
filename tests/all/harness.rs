//! What every test of the whole binary stands on: a server in a home of its own, clients for it, and waiting.
//! The benches use it too.

#![allow(dead_code, reason = "tests and benches each use their part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const REGATTA: &str = env!("CARGO_BIN_EXE_regatta");

/// How long anything may take before a test gives up: generous, because a loaded machine is not a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `regatta up` with a home of its own. Dropping it ends the server, its tmux servers and its agents.
pub struct Up {
    pub home: tempfile::TempDir,
    child: Child,
    /// The address that it was given, kept over restarts so that clients find it again.
    web: String,
    api: String,
    pub code: String,
}

impl Up {
    pub fn start() -> Up {
        let home = tempfile::Builder::new().prefix("rg-").tempdir().expect("a temporary home");
        let (child, said) = spawn(home.path(), "127.0.0.1:0", "127.0.0.1:0");
        let running = read_json(&home.path().join("up.json"));
        let address = |key: &str| running[key].as_str().unwrap().split("//").nth(1).unwrap().to_owned();
        Up { web: address("web"), api: address("api"), code: code(&said), child, home }
    }

    /// `kill -9`: no goodbye of any kind.
    pub fn kill9(&mut self) {
        self.child.kill().expect("the server is our child");
        self.child.wait().expect("the server is our child");
    }

    /// Asks it to end, and waits until it has.
    pub fn terminate(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().expect("a pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("the server is our child");
        self.child.wait().expect("the server is our child");
    }

    /// Starts it again on the same home and the same addresses.
    pub fn start_again(&mut self) {
        let (child, said) = spawn(self.home.path(), &self.web, &self.api);
        self.code = code(&said);
        self.child = child;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The web address, `http://127.0.0.1:PORT`.
    pub fn web(&self) -> String {
        format!("http://{}", self.web)
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    pub fn manifests(&self) -> PathBuf {
        self.home.path().join("manifests")
    }

    /// Stock kubectl, as a user has it: its own home, our kubeconfig.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        Command::new("kubectl")
            .args(args)
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.kubeconfig())
            .output()
            .expect("kubectl is installed; `make test` installs Debian's kubernetes-client")
    }

    /// The CLI, against this server.
    pub fn command(&self) -> Command {
        let mut command = Command::new(REGATTA);
        command.env("REGATTA_HOME", self.home.path()).env("HOME", self.home.path()).stdin(Stdio::null());
        command
    }

    pub fn regatta(&self, args: &[&str]) -> Output {
        self.command().args(args).output().expect("our own binary starts")
    }

    /// A client with the kubeconfig's rights, over TLS.
    pub async fn client(&self) -> kube::Client {
        let kubeconfig = kube::config::Kubeconfig::read_from(self.kubeconfig()).expect("a kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.expect("a kubeconfig");
        kube::Client::try_from(config).expect("a client")
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Already dead is fine: several tests kill it themselves.
        let _ = self.child.kill();
        let _ = self.child.wait();
        kill_tmux(&self.home.path().join("host"));
    }
}

/// A browser's way in: the cookie that a login code becomes, and the token that its mutations carry.
pub struct Session {
    pub cookie: String,
    pub csrf: String,
}

pub type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

impl Up {
    /// Logs in as the page does.
    pub fn login(&self) -> Session {
        let body = format!("{{\"code\":\"{}\"}}", self.code);
        let (head, body) = self.http("POST", "/auth/code", "", &body);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}\n{body}");
        let cookie = head
            .lines()
            .find_map(|l| l.to_ascii_lowercase().starts_with("set-cookie:").then(|| l[11..].trim().to_owned()))
            .expect("a cookie");
        let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        Session {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf: answer["csrf"].as_str().expect("a token").to_owned(),
        }
    }

    /// One plain request on the web port; `headers` are whole lines.
    pub fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.web).expect("the web port");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n{headers}\r\n{body}",
            host = self.web,
            length = body.len(),
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        (head.to_owned(), body.to_owned())
    }

    /// A WebSocket of the web port, as the page opens it.
    pub async fn socket(&self, session: &Session, path: &str, protocol: Option<&str>) -> Socket {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest;
        let mut request = format!("ws://{}{path}", self.web).into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert("cookie", session.cookie.parse().unwrap());
        headers.insert("origin", self.web().parse().unwrap());
        if let Some(protocol) = protocol {
            headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let stream = tokio::net::TcpStream::connect(&self.web).await.expect("the web port");
        stream.set_nodelay(true).unwrap();
        tokio_tungstenite::client_async(request, stream).await.expect("an upgrade").0
    }

    /// The terminal of an agent in namespace `default`.
    pub async fn terminal(&self, session: &Session, agent: &str, query: &str) -> Socket {
        let path = format!("/apis/regatta.dev/v1alpha1/namespaces/default/agents/{agent}/terminal?{query}");
        self.socket(session, &path, Some("regatta.terminal.v1")).await
    }
}

/// Ends the tmux servers of a host's home, by its own sockets.
pub fn kill_tmux(host_home: &Path) {
    let Ok(identity) = std::fs::read_to_string(host_home.join("identity")) else { return };
    let prefix = format!("regatta-{}-", &identity.trim()[..8]);
    let sockets = PathBuf::from(format!("/tmp/tmux-{}", nix::unistd::getuid()));
    for entry in std::fs::read_dir(sockets).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&prefix) {
            let _ = Command::new("tmux").args(["-L", &name, "kill-server"]).env_remove("TMUX").output();
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn spawn(home: &Path, web: &str, api: &str) -> (Child, serde_json::Value) {
    let log = std::fs::OpenOptions::new().create(true).append(true).open(home.join("stderr")).expect("a log file");
    let mut child = Command::new(REGATTA)
        .args(["up", "--listen", web, "--kube-listen", api, "-o", "json", "--home"])
        .arg(home)
        .env("HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("our own binary starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line on stdout");
    let said = serde_json::from_str(&line).unwrap_or_else(|_| {
        let log = std::fs::read_to_string(home.join("stderr")).unwrap_or_default();
        panic!("`regatta up` said {line:?} instead of its addresses; its log:\n{log}")
    });
    (child, said)
}

fn code(said: &serde_json::Value) -> String {
    said["url"].as_str().and_then(|u| u.split_once("#code=")).expect("a login code").1.to_owned()
}

pub fn read_json(path: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// Asks until the answer is there, or fails with what was last seen.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(seen) if Instant::now() > deadline => panic!("{what}: not within {PATIENCE:?}; last seen: {seen}"),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// The process's output as text, with its failure if it failed.
#[track_caller]
pub fn ok(output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{}\nstdout: {text}\nstderr: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// A git repository with one commit.
pub fn repository(path: &Path) {
    std::fs::create_dir_all(path).unwrap();
    git(path, &["init", "-q", "-b", "main"]);
    std::fs::write(path.join("README.md"), "hello\n").unwrap();
    git(path, &["add", "."]);
    git(path, &["commit", "-qm", "first"]);
}

/// Git with an identity, whatever the machine's.
#[track_caller]
pub fn git(path: &Path, args: &[&str]) -> String {
    let identity = ["-c", "user.name=Test", "-c", "user.email=test@example.invalid"];
    ok(Command::new("git").arg("-C").arg(path).args(identity).args(args).output().unwrap()).trim().to_owned()
}
