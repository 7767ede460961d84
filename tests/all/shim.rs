//! The real shim in a real terminal: what it copies, records, answers and ends; and the host's terminal on top of it.

use futures::{SinkExt, StreamExt};
use regatta::host::session::{self, Terminal};
use regatta::wire::frame::{Decoder, FromShim, ToShim};
use regatta::wire::log::{segment_path, segments};
use regatta::wire::{EventKind, ExitReason, ExitRecord, LaunchSpec};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A pane: the shim with a terminal of ours around it, whose output is read all the time.
struct Pane {
    dir: tempfile::TempDir,
    shim: Child,
    keyboard: Option<File>,
    shown: Arc<Mutex<Vec<u8>>>,
}

fn wait_for<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn spec(dir: &Path, epoch: u64, argv: &[&str]) -> LaunchSpec {
    LaunchSpec {
        uid: format!("uid-{}", dir.file_name().unwrap().to_str().unwrap()),
        epoch,
        argv: argv.iter().map(|s| (*s).to_owned()).collect(),
        cwd: dir.to_owned(),
        env: vec![("PATH".into(), std::env::var("PATH").unwrap()), ("TERM".into(), "xterm-256color".into())],
        secrets: None,
        cols: 80,
        rows: 24,
        log_max_bytes: 64 << 20,
        socket: dir.join("s.sock"),
    }
}

impl Pane {
    fn start(argv: &[&str]) -> Pane {
        let dir = tempfile::tempdir().unwrap();
        let spec = spec(dir.path(), 1, argv);
        Pane::with(dir, &spec)
    }

    fn with(dir: tempfile::TempDir, spec: &LaunchSpec) -> Pane {
        std::fs::write(dir.path().join("spec.json"), serde_json::to_vec(spec).unwrap()).unwrap();
        let size = nix::libc::winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(&size, None).unwrap();
        let master = File::from(pty.master);
        use nix::fcntl::{FcntlArg, FdFlag, fcntl};
        fcntl(&master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let shim = spawn(dir.path(), pty.slave);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, into) = (master.try_clone().unwrap(), Arc::downgrade(&shown));
        // The reading copy is closed with the pane, so that dropping the keyboard really hangs up.
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(n @ 1..) = reader.read(&mut buffer) {
                match into.upgrade() {
                    Some(shown) => shown.lock().unwrap().extend_from_slice(&buffer[..n]),
                    None => break,
                }
            }
        });
        Pane { dir, shim, keyboard: Some(master), shown }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn socket(&self) -> PathBuf {
        self.path().join("s.sock")
    }

    fn log(&self) -> Vec<u8> {
        let all = segments(self.path()).unwrap();
        all.iter().flat_map(|s| std::fs::read(segment_path(self.path(), s.start)).unwrap()).collect()
    }

    fn wait_for_output(&self, text: &str) {
        wait_for(text, || String::from_utf8_lossy(&self.log()).contains(text).then_some(()));
    }

    fn type_in(&self, text: &str) {
        self.keyboard.as_ref().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn connect(&self) -> Host {
        let stream = wait_for("the socket", || UnixStream::connect(self.socket()).ok());
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut host = Host { stream, decoder: Decoder::default() };
        host.say(&ToShim::Hello);
        host
    }

    fn exit(&mut self) -> ExitRecord {
        let record = wait_for("the exit record", || {
            serde_json::from_slice(&std::fs::read(self.path().join("exit.json")).ok()?).ok()
        });
        wait_for("the shim's end", || self.shim.try_wait().unwrap());
        record
    }

    fn events(&self) -> Vec<(EventKind, String)> {
        let text = std::fs::read_to_string(self.path().join("events.jsonl")).unwrap_or_default();
        let events = text.lines().map(|line| serde_json::from_str::<regatta::wire::Event>(line).unwrap());
        events.map(|event| (event.kind, event.text)).collect()
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        if self.shim.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.keyboard = None;
            // Only what this test started: TERM makes the shim end its whole tree.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.shim.id().cast_signed()), nix::sys::signal::SIGTERM);
            let _ = self.shim.wait();
        }
    }
}

fn spawn(dir: &Path, slave: OwnedFd) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regatta"));
    command.arg("shim").arg(dir);
    command.stdin(slave.try_clone().unwrap()).stdout(slave.try_clone().unwrap()).stderr(Stdio::from(slave));
    // SAFETY: only setsid and ioctl between fork and exec.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            nix::libc::ioctl(0, nix::libc::TIOCSCTTY as _, 0);
            Ok(())
        });
    }
    command.spawn().unwrap()
}

struct Host {
    stream: UnixStream,
    decoder: Decoder,
}

impl Host {
    fn say(&mut self, frame: &ToShim) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        self.stream.write_all(&bytes).unwrap();
    }

    fn hear(&mut self) -> Option<FromShim> {
        loop {
            if let Some((kind, payload)) = self.decoder.next_frame().unwrap() {
                return Some(FromShim::parse(kind, payload).unwrap());
            }
            let mut buffer = [0; 65536];
            match self.stream.read(&mut buffer).unwrap() {
                0 => return None,
                n => self.decoder.push(&buffer[..n]),
            }
        }
    }

    fn hear_until<T>(&mut self, what: &str, mut pick: impl FnMut(FromShim) -> Option<T>) -> T {
        loop {
            let heard = self.hear().unwrap_or_else(|| panic!("the shim went before {what}"));
            if let Some(found) = pick(heard) {
                return found;
            }
        }
    }
}

#[test]
fn every_byte_is_in_the_log_and_on_the_screen_before_the_exit_record() {
    let mut pane = Pane::start(&["sh", "-c", "seq 1 200000; exit 3"]);
    let exit = pane.exit();
    let expected: String = (1..=200_000).map(|n| format!("{n}\r\n")).collect();
    assert!(pane.log() == expected.as_bytes(), "the log has {} bytes instead of {}", pane.log().len(), expected.len());
    wait_for("tmux's side", || (pane.shown.lock().unwrap().len() == expected.len()).then_some(()));
    assert!(*pane.shown.lock().unwrap() == expected.as_bytes());
    assert_eq!((exit.code, exit.reason, exit.final_offset), (Some(3), ExitReason::Exited, expected.len() as u64));
    assert!(!pane.socket().exists(), "no socket stays behind");
}

#[test]
fn a_second_shim_says_so_and_harms_nothing() {
    let mut pane = Pane::start(&["sh", "-c", "echo ready; read x; echo got $x"]);
    pane.wait_for_output("ready");
    let secrets = pane.path().join("secrets");
    std::fs::write(&secrets, "A=1").unwrap();
    let second = Command::new(env!("CARGO_BIN_EXE_regatta")).arg("shim").arg(pane.path()).stdin(Stdio::null()).output().unwrap();
    assert_eq!(second.status.code(), Some(125));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(said.contains(&format!("another shim (process {})", pane.shim.id())), "{said}");
    assert!(secrets.exists());
    pane.type_in("still here\n");
    assert_eq!(pane.exit().code, Some(0));
    assert!(String::from_utf8_lossy(&pane.log()).contains("got still here"));
}

#[test]
fn input_comes_from_pane_and_socket_and_a_repeated_delivery_types_once() {
    let mut pane = Pane::start(&["sh", "-c", "stty -echo; echo ready; while read x; do echo \"<$x>\"; done"]);
    pane.wait_for_output("ready");
    let mut host = pane.connect();
    pane.type_in("from pane\n");
    pane.wait_for_output("<from pane>");
    for _ in 0..3 {
        host.say(&ToShim::Input { id: 42, bytes: b"from socket\n".to_vec() });
        let accepted = host.hear_until("the receipt", |heard| match heard {
            FromShim::Taken { id: 42, accepted } => Some(accepted),
            _ => None,
        });
        assert!(accepted);
    }
    host.say(&ToShim::Input { id: 0, bytes: b"end\n\x04".to_vec() });
    assert_eq!(pane.exit().code, Some(0));
    let log = String::from_utf8_lossy(&pane.log()).into_owned();
    assert_eq!(log.matches("<from socket>").count(), 1, "{log}");
}

#[test]
fn the_size_follows_the_pane_and_the_host() {
    let pane = Pane::start(&["sh", "-c", "trap 'stty size' WINCH; stty size; echo ready; while :; do read x; done"]);
    pane.wait_for_output("30 100");
    pane.wait_for_output("ready");
    let mut host = pane.connect();
    host.say(&ToShim::Resize { cols: 132, rows: 43 });
    let size = host.hear_until("the size", |heard| match heard {
        FromShim::Size { cols, rows, .. } => Some((cols, rows)),
        _ => None,
    });
    assert_eq!(size, (132, 43));
    pane.wait_for_output("43 132");
    let outer = nix::libc::winsize { ws_row: 20, ws_col: 50, ws_xpixel: 0, ws_ypixel: 0 };
    use std::os::fd::AsRawFd;
    let fd = pane.keyboard.as_ref().unwrap().as_raw_fd();
    // SAFETY: an open descriptor and a winsize.
    assert_eq!(unsafe { nix::libc::ioctl(fd, nix::libc::TIOCSWINSZ, &outer) }, 0);
    pane.wait_for_output("20 50");
}

#[test]
fn a_stop_that_is_ignored_kills_the_whole_tree() {
    let script = "trap '' TERM HUP; setsid sh -c 'trap \"\" TERM HUP; echo $$ > daemon; sleep 1000 & wait' & \
                  sleep 1000 & echo ready; while :; do sleep 1; done";
    let mut pane = Pane::start(&["sh", "-c", script]);
    pane.wait_for_output("ready");
    let daemon: i32 = wait_for("the daemon", || std::fs::read_to_string(pane.path().join("daemon")).ok()?.trim().parse().ok());
    let mut host = pane.connect();
    host.say(&ToShim::Stop { grace_ms: 300 });
    let exit = pane.exit();
    assert_eq!((exit.reason, exit.signal.as_deref()), (ExitReason::Stopped, Some("SIGKILL")));
    assert!(!Path::new(&format!("/proc/{daemon}")).exists(), "the daemon survived");
    let told = host.hear_until("the exit", |heard| match heard {
        FromShim::Exit(record) => Some(record),
        _ => None,
    });
    assert_eq!(told, exit);
}

#[test]
fn a_polite_command_ends_by_term_alone() {
    let mut pane = Pane::start(&["bash", "-c", "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]);
    pane.wait_for_output("ready");
    pane.connect().say(&ToShim::Stop { grace_ms: 30_000 });
    let exit = pane.exit();
    assert_eq!((exit.reason, exit.code), (ExitReason::Stopped, Some(0)));
    pane.wait_for_output("bye");
}

#[test]
fn a_signal_changes_nothing_else() {
    let mut pane = Pane::start(&["bash", "-c", "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done"]);
    pane.wait_for_output("ready");
    let mut host = pane.connect();
    host.say(&ToShim::Signal(nix::libc::SIGUSR1));
    pane.wait_for_output("usr1");
    host.say(&ToShim::Signal(nix::libc::SIGKILL));
    let exit = pane.exit();
    assert_eq!((exit.reason, exit.signal.as_deref(), exit.code), (ExitReason::Signaled, Some("SIGKILL"), None));
}

#[test]
fn a_lost_terminal_ends_the_agent_politely_and_says_so() {
    let mut pane = Pane::start(&["bash", "-c", "trap 'echo saving; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]);
    pane.wait_for_output("ready");
    // What tmux's death looks like from below; the reading side of our terminal goes with the process in reality.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pane.shim.id().cast_signed()), nix::sys::signal::SIGHUP).unwrap();
    let exit = pane.exit();
    assert_eq!(exit.reason, ExitReason::TerminalLost);
    pane.wait_for_output("saving");
    assert!(pane.events().iter().any(|(kind, _)| *kind == EventKind::TerminalLost));
}

#[test]
fn what_cannot_start_says_what_and_why() {
    let mut pane = Pane::start(&["no-such-program-anywhere", "x"]);
    let exit = pane.exit();
    assert_eq!((exit.reason, exit.code), (ExitReason::CannotStart, Some(127)));
    let message = exit.message.unwrap();
    assert!(message.contains("no-such-program-anywhere") && message.contains("install it"), "{message}");
    assert!(String::from_utf8_lossy(&pane.log()).contains("no-such-program-anywhere"));
}

#[test]
fn secrets_are_in_the_environment_only() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = dir.path().join("secrets");
    std::fs::write(&secrets, "TOKEN=hush hush\0").unwrap();
    let spec = LaunchSpec {
        secrets: Some(secrets.clone()),
        ..spec(dir.path(), 1, &["sh", "-c", "echo \"${#TOKEN} $REGATTA_AGENT_UID $HOME.\""])
    };
    let mut pane = Pane::with(dir, &spec);
    pane.exit();
    assert_eq!(String::from_utf8_lossy(&pane.log()), format!("9 {} .\r\n", spec.uid));
    assert!(!secrets.exists());
}

#[test]
fn the_status_query_is_answered_before_anything_the_pane_answers() {
    let script = "stty raw -echo; printf '\\033]7501;?\\033\\\\\\033[c'; dd bs=1 count=11 2>/dev/null | od -An -c; stty sane; \
                  printf '\\033]7501;state=idle\\007\\033]2;my title\\007\\007'";
    let mut pane = Pane::start(&["sh", "-c", script]);
    // Our terminal answers DA1 the way tmux would: late.
    wait_for("the query", || pane.shown.lock().unwrap().windows(3).any(|w| w == b"\x1b[c").then_some(()));
    pane.type_in("\x1b[?1;2c");
    pane.exit();
    let log = String::from_utf8_lossy(&pane.log()).into_owned();
    assert!(log.contains("033   ]   7   5   0   1   ;   ? 033   \\"), "{log}");
    let events = pane.events();
    let kinds: Vec<EventKind> = events.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [EventKind::Started, EventKind::StatusQuery, EventKind::Status, EventKind::Title, EventKind::Bell]);
    assert_eq!(events[2].1, "state=idle");
}

#[test]
fn a_host_that_does_not_read_slows_nothing_and_catches_up_from_the_log() {
    let mut pane = Pane::start(&["sh", "-c", "echo ready; read x; seq 1 600000; echo finished; read x"]);
    pane.wait_for_output("ready");
    let mut host = pane.connect();
    pane.type_in("go\n");
    pane.wait_for_output("finished");
    let (mut at, mut behind) = (None, false);
    while !behind {
        match host.hear().unwrap() {
            FromShim::Output { offset, bytes } => {
                assert!(at.is_none_or(|at| at == offset), "a jump from {at:?} to {offset}");
                at = Some(offset + bytes.len() as u64);
            }
            FromShim::Behind { head } => {
                assert_eq!(at, Some(head), "everything before the head was pushed");
                behind = true;
            }
            _ => {}
        }
    }
    host.say(&ToShim::Hello);
    let head = host.hear_until("the welcome", |heard| match heard {
        FromShim::Welcome(welcome) => Some(welcome.head),
        _ => None,
    });
    assert_eq!(head, pane.log().len() as u64);
    pane.type_in("\n");
    let next = host.hear_until("more output", |heard| match heard {
        FromShim::Output { offset, .. } => Some(offset),
        _ => None,
    });
    assert_eq!(next, head);
    pane.exit();
}

#[test]
fn offsets_go_on_in_the_next_epoch() {
    let mut pane = Pane::start(&["echo", "first"]);
    let first = pane.exit();
    let dir = std::mem::replace(&mut pane.dir, tempfile::tempdir().unwrap());
    drop(pane);
    let spec = spec(dir.path(), 2, &["echo", "second"]);
    let mut pane = Pane::with(dir, &spec);
    let second = wait_for("the second exit", || {
        let exit: ExitRecord = serde_json::from_slice(&std::fs::read(pane.path().join("exit.json")).ok()?).ok()?;
        (exit.epoch == 2).then_some(exit)
    });
    assert_eq!(second.final_offset, first.final_offset + 8);
    assert_eq!(pane.log(), b"first\r\nsecond\r\n");
    pane.exit();
}

/// The host's routes on loopback, as the gateway sees them.
async fn serve(terminal: &Terminal, uid: &str) -> String {
    let (terminal, uid) = (terminal.clone(), uid.to_owned());
    let router = session::routes(move |wanted: &str| (wanted == uid).then(|| terminal.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;
use tokio_tungstenite::tungstenite::Message;

async fn attach(address: &str, uid: &str, query: &str) -> Socket {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    let mut request = format!("ws://{address}/agents/{uid}/terminal?{query}").into_client_request().unwrap();
    request.headers_mut().insert("x-regatta-role", "type".parse().unwrap());
    request.headers_mut().insert("sec-websocket-protocol", "regatta.terminal.v1".parse().unwrap());
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    tokio_tungstenite::client_async(request, stream).await.unwrap().0
}

/// Bytes from `offset` on until the exit frame; text frames by their type.
async fn receive(socket: &mut Socket, acknowledge: bool) -> (Option<u64>, Vec<u8>, Vec<serde_json::Value>) {
    let (mut start, mut bytes, mut texts) = (None, Vec::new(), Vec::<serde_json::Value>::new());
    loop {
        let message = tokio::time::timeout(Duration::from_secs(60), socket.next()).await.expect("the viewer stalled");
        match message.unwrap().unwrap() {
            Message::Binary(frame) => {
                let offset = u64::from_be_bytes(frame[..8].try_into().unwrap());
                let begin = *start.get_or_insert(offset);
                assert_eq!(offset, begin + bytes.len() as u64, "a byte was lost or repeated");
                bytes.extend_from_slice(&frame[8..]);
                if acknowledge {
                    let ack = format!(r#"{{"type":"ack","offset":{}}}"#, begin + bytes.len() as u64);
                    socket.send(Message::text(ack)).await.unwrap();
                }
            }
            Message::Text(text) => {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                let last = value["type"] == "exit";
                texts.push(value);
                if last {
                    return (start, bytes, texts);
                }
            }
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_get_every_byte_exactly_whenever_they_come_and_while_the_host_reconnects() {
    let mut pane = Pane::start(&["sh", "-c", "echo ready; read x; seq 1 150000; read x; seq 1 50000; exit 7"]);
    pane.wait_for_output("ready");
    let uid = spec(pane.path(), 1, &[]).uid;
    let terminal = Terminal::open(pane.path().to_owned(), uid.clone());
    terminal.connect(&pane.socket()).await.unwrap();
    let address = serve(&terminal, &uid).await;
    let mut early = attach(&address, &uid, "offset=0&exact=true").await;
    let early = tokio::spawn(async move { receive(&mut early, true).await });
    terminal.input("go\n".into()).await.unwrap();
    pane.wait_for_output("\n70000\r\n");
    let mut middle = attach(&address, &uid, "offset=12345&exact=true").await;
    let middle = tokio::spawn(async move { receive(&mut middle, false).await });
    // A second connection replaces the first in the middle of the flood.
    terminal.connect(&pane.socket()).await.unwrap();
    pane.wait_for_output("\n150000\r\n");
    let delivered = terminal.deliver(regatta::host::keys::Mode::Line, b"again", Some("key")).await.unwrap();
    assert_eq!(delivered, session::Delivery::Delivered);
    let mut facts = terminal.facts();
    let exit = tokio::time::timeout(Duration::from_secs(60), facts.wait_for(|f| f.exit.is_some())).await.unwrap();
    assert_eq!(exit.unwrap().exit.as_ref().unwrap().code, Some(7));
    let log = pane.log();
    let (start, bytes, texts) = early.await.unwrap();
    assert_eq!(start, Some(0));
    assert!(bytes == log, "{} bytes instead of {}", bytes.len(), log.len());
    assert_eq!(texts[0]["type"], "hello");
    assert_eq!((&texts[0]["uid"], &texts[0]["role"]), (&uid.clone().into(), &"type".into()));
    let (start, bytes, _) = middle.await.unwrap();
    assert_eq!(start, Some(12_345));
    assert!(bytes == log[12_345..]);

    // One who comes after the end gets a snapshot or the whole, then the exit.
    pane.exit();
    let late = Terminal::open(pane.path().to_owned(), uid.clone());
    let address = serve(&late, &uid).await;
    let mut viewer = attach(&address, &uid, "").await;
    let (_, _, texts) = receive(&mut viewer, false).await;
    assert!(texts.iter().any(|t| t["type"] == "snapshot"), "{texts:?}");
    assert_eq!(late.screen_lines(2), ["49999", "50000"]);
    let mut stranger = attach(&address, &uid, "uid=other&offset=0").await;
    match stranger.next().await.unwrap().unwrap() {
        Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), 4001),
        other => panic!("unexpected {other:?}"),
    }
}

async fn get(address: &str, path: &str) -> (String, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let split = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    (String::from_utf8_lossy(&answer[..split]).into_owned(), answer[split + 4..].to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_answers_raw_as_text_and_by_its_last_lines() {
    let mut pane = Pane::start(&["sh", "-c", "printf '\\033[31mred\\033[0m\\n10%%\\r99%%\\nlast\\n'"]);
    pane.exit();
    let uid = spec(pane.path(), 1, &[]).uid;
    let terminal = Terminal::open(pane.path().to_owned(), uid.clone());
    let address = serve(&terminal, &uid).await;
    let path = |query: &str| format!("/agents/{uid}/log?{query}");
    let (head, raw) = get(&address, &path("")).await;
    assert_eq!(raw, pane.log());
    assert!(head.contains(&format!("x-regatta-head: {}", raw.len())), "{head}");
    assert_eq!(get(&address, &path("text=true")).await.1, b"red\n99%\nlast\n");
    assert_eq!(get(&address, &path("tail=1")).await.1, b"last\r\n");
    assert_eq!(get(&address, &path("epoch=1&tail=2&text=true")).await.1, b"99%\nlast\n");
    let stamped = String::from_utf8(get(&address, &path("text=true&timestamps=true&tail=1")).await.1).unwrap();
    assert!(stamped.starts_with("20") && stamped.ends_with("Z last\n"), "{stamped}");
    assert!(get(&address, &path("epoch=9")).await.0.starts_with("HTTP/1.0 404"));
    assert!(get(&address, &path("from=99999")).await.0.starts_with("HTTP/1.0 400"));
    assert!(get(&address, "/agents/nobody/log").await.0.starts_with("HTTP/1.0 404"));
}
