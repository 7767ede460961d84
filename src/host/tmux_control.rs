//! One standing control-mode client of a tmux server: command lines go down, answers come up in the same order. A process
//! per command would cost 8.5 ms; a line costs well under one. Knows the protocol, not what the commands are for.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use super::tmux::Error;

/// A server with fifty sessions answers within a millisecond; one that needs this long hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Commands waiting for the writer; a sender waits when there are more.
const WAITING: usize = 256;

/// How tmux is called.
#[derive(Clone, Debug)]
pub(super) struct Invocation {
    pub configuration: PathBuf,
    /// Whether clients take flags (tmux 3.2 and later). Without them a client gets its own session's output and counts
    /// for its own session's size only, and the keeper has neither.
    pub client_flags: bool,
}

/// A server's answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Done(Vec<String>),
    Refused(String),
}

/// The connection. Cloned freely; it ends with its last clone.
#[derive(Clone)]
pub(super) struct Control {
    socket: String,
    requests: mpsc::Sender<Request>,
    _task: Arc<AbortOnDropHandle<()>>,
}

struct Request {
    lines: String,
    answers: Vec<oneshot::Sender<Reply>>,
}

impl Control {
    /// Attaches to session `keeper`, making it (and the server) if need be.
    pub async fn connect(invocation: &Invocation, socket: &str, keeper: &str) -> Result<Control, Error> {
        let failed = |why: String| Error::Start { socket: socket.to_owned(), why };
        let mut command = command(invocation, socket);
        command.args(["-C", "new-session", "-A", "-s", keeper, "-x", "80", "-y", "24"]);
        if invocation.client_flags {
            // A client that is sent output and does not read it would grow the server by tens of MB a second.
            command.args(["-f", "no-output,ignore-size"]);
        }
        // Ends at once and stays as a dead pane: a session that costs no process.
        command.args(["--", "/bin/sh", "-c", ":"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
        let input = child.stdin.take().expect("stdin is piped");
        let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut parser = Parser::default();
        match tokio::time::timeout(PATIENCE, greeting(&mut output, &mut parser)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => {
                let mut complaint = String::new();
                if let Some(mut stderr) = child.stderr.take() {
                    // Only to word the error; what was read so far is good enough.
                    stderr.read_to_string(&mut complaint).await.ok();
                }
                return Err(failed([why.trim(), complaint.trim()].join(" ")));
            }
            Err(_) => return Err(failed(format!("no answer within {} s", PATIENCE.as_secs()))),
        }
        let (requests, incoming) = mpsc::channel(WAITING);
        let name = socket.to_owned();
        let task = tokio::spawn(async move {
            if let Err(error) = serve(child, input, output, parser, incoming).await {
                tracing::debug!(socket = name, %error, "control connection to tmux ended");
            }
        });
        Ok(Control { socket: socket.to_owned(), requests, _task: Arc::new(AbortOnDropHandle::new(task)) })
    }

    pub fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    /// Sends the commands in one write and waits for an answer to each.
    pub async fn send(&self, commands: &[Vec<String>]) -> Result<Vec<Reply>, Error> {
        let lost = || Error::Lost { socket: self.socket.clone() };
        let lines: String = commands.iter().map(|words| line(words)).collect();
        let (answers, waiting): (Vec<_>, Vec<_>) = commands.iter().map(|_| oneshot::channel()).unzip();
        self.requests.send(Request { lines, answers }).await.map_err(|_| lost())?;
        let all = async {
            let mut replies = Vec::with_capacity(waiting.len());
            for answer in waiting {
                replies.push(answer.await.map_err(|_| lost())?);
            }
            Ok(replies)
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(replies) => replies,
            Err(_) => Err(Error::Silent {
                socket: self.socket.clone(),
                command: commands.first().map(|words| words.join(" ")).unwrap_or_default(),
                seconds: PATIENCE.as_secs(),
            }),
        }
    }
}

/// tmux with our own socket and configuration and a clean environment: the server keeps the one that it was started
/// with, and the socket must not move with the shell that started us.
fn command(invocation: &Invocation, socket: &str) -> Command {
    let mut command = Command::new("tmux");
    command.env_clear().env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
    for name in ["PATH", "HOME", "USER", "LOGNAME", "LC_ALL", "LC_CTYPE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // -u: without it a server started from a C locale would mangle every non-ASCII character.
    command.current_dir("/").arg("-u").args(["-L", socket]).arg("-f").arg(&invocation.configuration);
    command
}

/// Reads up to the end of the attaching command's own block.
async fn greeting(output: &mut BufReader<ChildStdout>, parser: &mut Parser) -> Result<(), String> {
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match output.read_until(b'\n', &mut buffer).await {
            Ok(0) => return Err("tmux ended".into()),
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
        match parser.line(&String::from_utf8_lossy(&buffer)) {
            Heard::Answer { own: false, reply: Reply::Done(_) } => return Ok(()),
            Heard::Answer { own: false, reply: Reply::Refused(why) } => return Err(why),
            Heard::Answer { own: true, .. } | Heard::Notice | Heard::Part => {}
            Heard::Bye => return Err(String::from_utf8_lossy(&buffer).trim().to_owned()),
        }
    }
}

async fn serve(
    mut child: Child,
    mut input: ChildStdin,
    mut output: BufReader<ChildStdout>,
    mut parser: Parser,
    mut requests: mpsc::Receiver<Request>,
) -> std::io::Result<()> {
    let mut waiting: VecDeque<oneshot::Sender<Reply>> = VecDeque::new();
    let mut buffer = Vec::new();
    loop {
        tokio::select! {
            request = requests.recv() => {
                let Some(Request { lines, answers }) = request else { break };
                waiting.extend(answers);
                input.write_all(lines.as_bytes()).await?;
            }
            read = output.read_until(b'\n', &mut buffer) => {
                if read? == 0 {
                    break;
                }
                let heard = parser.line(&String::from_utf8_lossy(&buffer));
                buffer.clear();
                match heard {
                    Heard::Answer { own: true, reply } => {
                        // Whoever asked may have stopped waiting.
                        if let Some(answer) = waiting.pop_front() {
                            answer.send(reply).ok();
                        }
                    }
                    Heard::Answer { own: false, .. } | Heard::Notice | Heard::Part => {}
                    Heard::Bye => break,
                }
            }
        }
    }
    // The client leaves by itself at the end of its input; a reaped child is no zombie.
    drop(input);
    child.wait().await?;
    Ok(())
}

/// One command as a line that tmux's parser reads back as exactly these words.
fn line(words: &[String]) -> String {
    let mut line = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
    line.push('\n');
    line
}

/// In double quotes, with everything that could mean something to the parser as an octal escape.
fn quote(word: &str) -> String {
    use std::fmt::Write;
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for c in word.chars() {
        match c {
            'A'..='Z' | 'a'..='z' | '0'..='9' | '/' | '.' | '_' | '=' | ':' | '@' | ',' | '+' | '-' | ' ' => {
                quoted.push(c);
            }
            c if c.is_ascii() => {
                write!(quoted, "\\{:03o}", u32::from(c)).expect("writing to a string cannot fail");
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What a line of the server's was.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// The end of a block: of a command of ours (`own`), or of the one that attached.
    Answer {
        own: bool,
        reply: Reply,
    },
    Notice,
    /// Inside a block.
    Part,
    Bye,
}

/// Puts the lines of blocks together.
#[derive(Default)]
struct Parser {
    /// `time number flags` of the block that is open, and its lines so far.
    open: Option<(String, Vec<String>)>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Heard {
        let line = line.trim_end_matches(['\n', '\r']);
        let Some((mark, lines)) = &mut self.open else {
            return match line.split_once(' ') {
                Some(("%begin", mark)) => {
                    self.open = Some((mark.to_owned(), Vec::new()));
                    Heard::Part
                }
                _ if line == "%exit" || line.starts_with("%exit ") => Heard::Bye,
                _ => Heard::Notice,
            };
        };
        let done = match line.split_once(' ') {
            Some(("%end", end)) if end == mark => true,
            Some(("%error", end)) if end == mark => false,
            _ => {
                lines.push(line.to_owned());
                return Heard::Part;
            }
        };
        let own = mark.ends_with(" 1");
        let lines = std::mem::take(lines);
        self.open = None;
        let reply = if done { Reply::Done(lines) } else { Reply::Refused(lines.join("; ")) };
        Heard::Answer { own, reply }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_told_from_notices_whatever_they_contain() {
        let mut parser = Parser::default();
        let text = "\u{1b}P1000p%begin 1 1 0\n%end 1 1 0\n%sessions-changed\n%begin 2 9 1\na\n%end 2 8 1\n%end 2 9 1\n\
                    %begin 3 10 1\nno such thing\n%error 3 10 1\n%exit server exited\n";
        let heard: Vec<Heard> = text
            .trim_start_matches("\u{1b}P1000p")
            .lines()
            .map(|l| parser.line(l))
            .filter(|h| *h != Heard::Part)
            .collect();
        assert_eq!(
            heard,
            [
                Heard::Answer { own: false, reply: Reply::Done(vec![]) },
                Heard::Notice,
                Heard::Answer { own: true, reply: Reply::Done(vec!["a".into(), "%end 2 8 1".into()]) },
                Heard::Answer { own: true, reply: Reply::Refused("no such thing".into()) },
                Heard::Bye,
            ]
        );
    }

    #[test]
    fn nothing_in_a_word_means_anything_to_tmux() {
        assert_eq!(quote("a b"), "\"a b\"");
        assert_eq!(quote("$x"), "\"\\044x\"");
        assert_eq!(quote("'\"\n;~#{x}é"), "\"\\047\\042\\012\\073\\176\\043\\173x\\175é\"");
    }
}
