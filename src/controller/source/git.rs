//! Runs git for Sources: the only file of the controllers that does. Each Source has a bare repository of its own; commits are
//! fetched into it and files are read out of it, nothing is ever checked out.
//!
//! Guarantees: git sees nothing of our caller's environment or configuration, never asks, never runs past its time, speaks
//! only the transports that a Source may name; credentials reach it through files that only we read, never through argv, a
//! URL or the environment.

use std::ffi::OsString;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use super::credentials::Credentials;
use super::tree::{self, File, Tree};

/// What only looks into the repository on this disk.
const LOCAL: Duration = Duration::from_secs(60);
/// What asks the remote a question.
const ASK: Duration = Duration::from_secs(60);
/// What brings commits.
const FETCH: Duration = Duration::from_secs(600);

/// References that match a name are few; more is a remote that does not filter.
const MAX_ANSWER: u64 = 4 << 20;
const MAX_WORDS: u64 = 64 << 10;

/// The commit that was fetched last.
const HEAD: &str = "refs/regatta/head";
/// The commit whose manifests were last applied in full.
const SETTLED: &str = "refs/regatta/settled";

/// Transports that run no program of the URL's choice.
const TRANSPORTS: &str = "https:http:ssh:git:file";

/// Of our own environment, git needs to know where programs are and how the network is reached.
const KEPT: [&str; 11] = [
    "PATH",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot run git: {0}; install git and put it on the PATH of the control plane")]
    Missing(std::io::Error),
    #[error("cannot {doing}: git did not end within {seconds} s and was stopped")]
    TooSlow { doing: String, seconds: u64 },
    #[error("cannot {doing}: {why}")]
    Failed { doing: String, why: String },
    #[error("{url} has no branch, tag or commit {reference:?}; correct spec.git.ref")]
    NoReference { url: String, reference: String },
    #[error("{url} has no commits yet")]
    Empty { url: String },
    #[error("cannot prepare {}: {source}", path.display())]
    Files { path: PathBuf, source: std::io::Error },
}

impl Error {
    /// The reason of a condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Error::NoReference { .. } | Error::Empty { .. } => "RefNotFound",
            Error::Missing(_) | Error::TooSlow { .. } | Error::Failed { .. } | Error::Files { .. } => "FetchFailed",
        }
    }
}

/// The bare repository of one Source.
pub struct Repository {
    directory: PathBuf,
    url: String,
    reference: Option<String>,
}

impl Repository {
    pub fn new(directory: PathBuf, url: String, reference: Option<String>) -> Repository {
        Repository { directory, url, reference }
    }

    /// Brings the commit that the reference names now, and says which it is.
    pub async fn fetch(&self, credentials: &Credentials) -> Result<String, Error> {
        self.prepare().await?;
        let secrets = Secrets::write(&self.directory, &self.url, credentials)?;
        let (full, commit) = match self.reference.as_deref().filter(|r| is_commit(r)) {
            Some(commit) => (commit.to_owned(), commit.to_owned()),
            None => self.resolve(&secrets).await?,
        };
        let last = self.last().await;
        if last.as_deref() == Some(commit.as_str()) {
            return Ok(commit);
        }
        if !self.has(&commit).await {
            let refspec = format!("+{full}:{HEAD}");
            let mut arguments = vec!["fetch", "--quiet", "--force", "--no-tags", "--no-recurse-submodules"];
            arguments.push("--no-write-fetch-head");
            // The first time without the past; from then on everything since, which shows whether history goes on.
            if last.is_none() {
                arguments.push("--depth=1");
            }
            arguments.extend(["--", &self.url, &refspec]);
            let doing = format!("fetch {} of {}", self.shown(), self.url);
            self.git(doing, arguments).secrets(&secrets).within(FETCH).run().await?;
        } else {
            self.point(HEAD, &commit).await?;
        }
        // The reference may have moved since it was asked for; a tag may need a step to its commit.
        let doing = format!("find the commit of {} in {}", self.shown(), self.url);
        let commit =
            self.git(doing, ["rev-parse", "--verify", "--quiet", &format!("{HEAD}^{{commit}}")]).line().await?;
        Ok(commit)
    }

    /// The commit that was fetched last, if there is one.
    pub async fn last(&self) -> Option<String> {
        self.known(HEAD).await
    }

    /// Why what was applied before is not part of the history of this commit, if it is not.
    pub async fn rewritten(&self, commit: &str) -> Option<String> {
        let settled = self.known(SETTLED).await?;
        if settled == commit {
            return None;
        }
        let asked = self.git("compare two commits".into(), ["merge-base", "--is-ancestor", &settled, commit]);
        // An answer that cannot be had is as good as no: then somebody is asked.
        asked.run().await.is_err().then(|| {
            let short = |c: &str| c.get(..12).unwrap_or(c).to_owned();
            format!("{} was rewritten: {} is not part of {}", self.shown(), short(&settled), short(commit))
        })
    }

    /// Everything that this commit says is done.
    pub async fn settle(&self, commit: &str) -> Result<(), Error> {
        if self.known(SETTLED).await.as_deref() == Some(commit) {
            return Ok(());
        }
        self.point(SETTLED, commit).await
    }

    /// The manifests of a commit below a directory.
    pub async fn tree(&self, commit: &str, directory: Option<&str>) -> Result<Tree, Error> {
        let directory = directory.unwrap_or_default().trim_matches('/');
        let top = format!("{commit}:{directory}");
        let doing = format!("list directory {directory:?} of commit {commit}");
        let listing = self.git(doing, ["ls-tree", "-r", "-z", "-l", "--full-tree", &top]).most(tree::MAX_BYTES).run();
        let mut entries: Vec<Entry> = Vec::new();
        let mut tree = Tree::default();
        for line in listing.await?.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let Some(entry) = Entry::parse(line) else { continue };
            if entry.name.split('/').any(tree::is_hidden) {
                continue;
            }
            match entry.kind {
                Kind::File if entry.name.rsplit('/').next().is_some_and(tree::is_manifest) => entries.push(entry),
                Kind::Link if entry.name.rsplit('/').next().is_some_and(tree::is_manifest) => {
                    let why = "links are not followed in a repository; commit the file itself";
                    tree.oddities.push((entry.name, why.into()));
                    tree.unclear = Some("a link is not followed".into());
                }
                Kind::File | Kind::Link | Kind::Other => {}
            }
            if let Some(why) = tree::too_many(entries.len()) {
                return Ok(Tree::unclear(why));
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        tree.files = self.contents(entries).await?;
        Ok(tree)
    }

    async fn contents(&self, entries: Vec<Entry>) -> Result<Vec<File>, Error> {
        let mut room = tree::MAX_BYTES;
        let mut wanted = String::new();
        let mut refused = Vec::new();
        for entry in &entries {
            let why = tree::too_large(entry.size).or_else(|| match room.checked_sub(entry.size) {
                Some(rest) => {
                    room = rest;
                    None
                }
                None => Some("all manifests together are too large; split the source".into()),
            });
            if why.is_none() {
                wanted.push_str(&entry.id);
                wanted.push('\n');
            }
            refused.push(why);
        }
        // Each answer has a line of its own before and after.
        let most = tree::MAX_BYTES + 256 * entries.len() as u64;
        let batch = self.git("read files of a commit".into(), ["cat-file", "--batch"]);
        let bytes = batch.input(wanted).most(most).run().await?;
        let mut rest = bytes.as_slice();
        let torn = || Error::Failed { doing: "read files of a commit".into(), why: "git's answer is torn".into() };
        let mut files = Vec::with_capacity(entries.len());
        for (entry, refused) in entries.into_iter().zip(refused) {
            let content = match refused {
                Some(why) => Err(why),
                None => {
                    let end = rest.iter().position(|b| *b == b'\n').ok_or_else(torn)?;
                    let size = usize::try_from(entry.size).map_err(|_| torn())?;
                    let content = rest.get(end + 1..end + 1 + size).ok_or_else(torn)?;
                    rest = rest.get(end + 2 + size..).ok_or_else(torn)?;
                    Ok(content.to_vec())
                }
            };
            files.push(File { name: entry.name, content });
        }
        Ok(files)
    }

    /// The full name of the reference at the remote, and where it points.
    async fn resolve(&self, secrets: &Secrets) -> Result<(String, String), Error> {
        let names = match self.reference.as_deref() {
            None => vec!["HEAD".to_owned()],
            Some(full) if full == "HEAD" || full.starts_with("refs/") => vec![full.to_owned()],
            Some(name) => vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")],
        };
        let doing = format!("ask {} for {}", self.url, self.shown());
        let mut arguments = vec!["ls-remote", "--quiet", "--", &self.url];
        let peeled: Vec<String> = names.iter().map(|name| format!("{name}^{{}}")).collect();
        arguments.extend(names.iter().chain(&peeled).map(String::as_str));
        let answer = self.git(doing, arguments).secrets(secrets).within(ASK).most(MAX_ANSWER).run().await?;
        let answer = String::from_utf8_lossy(&answer);
        let found: Vec<(&str, &str)> = answer.lines().filter_map(|line| line.split_once('\t')).collect();
        let at = |wanted: &str| found.iter().find(|(_, name)| *name == wanted).map(|(id, _)| (*id).to_owned());
        for (name, peeled) in names.iter().zip(&peeled) {
            if let Some(id) = at(peeled).or_else(|| at(name)) {
                return Ok((name.clone(), id));
            }
        }
        let url = self.url.clone();
        Err(match &self.reference {
            Some(reference) => Error::NoReference { url, reference: reference.clone() },
            None => Error::Empty { url },
        })
    }

    async fn prepare(&self) -> Result<(), Error> {
        if tokio::fs::try_exists(self.directory.join("HEAD")).await.unwrap_or_default() {
            return Ok(());
        }
        private_directory(&self.directory)?;
        self.git("make a repository".into(), ["init", "--quiet", "--bare", "--initial-branch=none"]).run().await?;
        Ok(())
    }

    async fn has(&self, commit: &str) -> bool {
        self.git("look for a commit".into(), ["cat-file", "-e", &format!("{commit}^{{commit}}")]).run().await.is_ok()
    }

    async fn known(&self, reference: &str) -> Option<String> {
        let name = format!("{reference}^{{commit}}");
        self.git("read a reference".into(), ["rev-parse", "--verify", "--quiet", &name]).line().await.ok()
    }

    async fn point(&self, reference: &str, commit: &str) -> Result<(), Error> {
        let doing = format!("note commit {commit}");
        self.git(doing, ["update-ref", reference, commit]).run().await.map(|_| ())
    }

    fn shown(&self) -> &str {
        self.reference.as_deref().unwrap_or("HEAD")
    }

    fn git<'a>(&'a self, doing: String, arguments: impl IntoIterator<Item = &'a str>) -> Call<'a> {
        let arguments = arguments.into_iter().map(OsString::from).collect();
        let directory = &self.directory;
        Call { directory, doing, arguments, secrets: None, input: None, patience: LOCAL, most: MAX_ANSWER }
    }
}

/// One line of a commit's listing.
struct Entry {
    kind: Kind,
    id: String,
    size: u64,
    name: String,
}

enum Kind {
    File,
    Link,
    /// A submodule.
    Other,
}

impl Entry {
    /// `<mode> <type> <id> <size>\t<name>`
    fn parse(line: &[u8]) -> Option<Entry> {
        let line = String::from_utf8_lossy(line);
        let (facts, name) = line.split_once('\t')?;
        let mut facts = facts.split_whitespace();
        let kind = match facts.next()? {
            "120000" => Kind::Link,
            mode if mode.starts_with("100") => Kind::File,
            _ => Kind::Other,
        };
        let (_, id, size) = (facts.next()?, facts.next()?.to_owned(), facts.next()?);
        Some(Entry { kind, id, size: size.parse().unwrap_or_default(), name: name.to_owned() })
    }
}

/// One run of git.
struct Call<'a> {
    directory: &'a Path,
    doing: String,
    arguments: Vec<OsString>,
    secrets: Option<&'a Secrets>,
    input: Option<String>,
    patience: Duration,
    most: u64,
}

impl<'a> Call<'a> {
    fn secrets(self, secrets: &'a Secrets) -> Self {
        Call { secrets: Some(secrets), ..self }
    }

    fn within(self, patience: Duration) -> Self {
        Call { patience, ..self }
    }

    fn input(self, text: String) -> Self {
        Call { input: Some(text), ..self }
    }

    /// How much it may print.
    fn most(self, bytes: u64) -> Self {
        Call { most: bytes, ..self }
    }

    async fn line(self) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.run().await?).trim().to_owned())
    }

    /// Standard output, of a run that ended with 0.
    async fn run(self) -> Result<Vec<u8>, Error> {
        let Call { directory, doing, arguments, secrets, input, patience, most } = self;
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(directory).args(arguments).current_dir(directory).env_clear();
        command.envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs([
            // ssh and curl look into a home; ours has nothing to do with this.
            ("HOME", directory.as_os_str().to_owned()),
            ("LC_ALL", "C.UTF-8".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
            ("GIT_ALLOW_PROTOCOL", TRANSPORTS.into()),
            ("GIT_NO_REPLACE_OBJECTS", "1".into()),
            (
                "GIT_SSH_COMMAND",
                "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile=/dev/null".into(),
            ),
        ]);
        let mut settings = vec![
            ("gc.autoDetach".to_owned(), "false".to_owned()),
            ("gc.pruneExpire".to_owned(), "1.hour.ago".to_owned()),
            ("http.lowSpeedLimit".to_owned(), "1000".to_owned()),
            ("http.lowSpeedTime".to_owned(), "60".to_owned()),
        ];
        if let Some(secrets) = secrets {
            settings.extend(secrets.settings.iter().cloned());
            command.envs(secrets.environment.iter().cloned());
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (index, (key, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{index}"), key).env(format!("GIT_CONFIG_VALUE_{index}"), value);
        }
        let has_input = input.is_some();
        command.stdin(if has_input { Stdio::piped() } else { Stdio::null() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(Error::Missing)?;
        let group = Group(child.id());
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let feeding = async move {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A git that ends early says why itself.
                stdin.write_all(input.as_bytes()).await.ok();
            }
        };
        let work = async { tokio::join!(feeding, at_most(stdout, most), at_most(stderr, MAX_WORDS), child.wait()) };
        let Ok(((), out, words, status)) = tokio::time::timeout(patience, work).await else {
            drop(group);
            return Err(Error::TooSlow { doing, seconds: patience.as_secs() });
        };
        let failed = |why: String| Error::Failed { doing: doing.clone(), why };
        let status = status.map_err(|error| failed(error.to_string()))?;
        group.ended();
        let (out, words) = (out.map_err(|e| failed(e.to_string()))?, words.map_err(|e| failed(e.to_string()))?);
        if out.len() as u64 > most {
            return Err(failed(format!("git printed more than {most} bytes")));
        }
        match status.success() {
            true => Ok(out),
            false => Err(failed(reason(&words, status))),
        }
    }
}

/// Reads to the end, keeping one byte more than allowed: enough to know that there was more.
async fn at_most(from: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(most + 1).read_to_end(&mut bytes).await?;
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(bytes)
}

/// Git runs helpers: ended before its time, all of them are.
struct Group(Option<u32>);

impl Group {
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) else { return };
        if let Err(error) = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL)
        {
            tracing::debug!(%error, "git had ended already");
        }
    }
}

/// The last lines of what git said, which is where it says why; nothing in them drives a terminal.
fn reason(words: &[u8], status: std::process::ExitStatus) -> String {
    let text = String::from_utf8_lossy(words);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    let said = lines[lines.len().saturating_sub(4)..].join("; ");
    let said: String = said.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if said.is_empty() { status.to_string() } else { said }
}

fn is_commit(reference: &str) -> bool {
    [40, 64].contains(&reference.len()) && reference.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn private_directory(path: &Path) -> Result<(), Error> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::Files { path: path.to_owned(), source })
}

/// Credentials as git finds them: files of ours, gone with this value.
struct Secrets {
    directory: Option<PathBuf>,
    settings: Vec<(String, String)>,
    environment: Vec<(&'static str, OsString)>,
}

/// Answers only git's question for a name and a password, and only from the file.
const HELPER: &str = "!f() { test \"$1\" = get && cat \"$REGATTA_CREDENTIAL\"; }; f";

/// The shell that git runs this in expands the names of the files.
const SSH: &str = "ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes \
    -o ConnectTimeout=20 -i \"$REGATTA_SSH_KEY\" -o UserKnownHostsFile=\"\\\"$REGATTA_KNOWN_HOSTS\\\"\"";

impl Secrets {
    fn write(beside: &Path, url: &str, credentials: &Credentials) -> Result<Secrets, Error> {
        let mut secrets = Secrets { directory: None, settings: Vec::new(), environment: Vec::new() };
        let Credentials { basic, ssh, authority } = credentials;
        if basic.is_none() && ssh.is_none() && authority.is_none() {
            return Ok(secrets);
        }
        // Beside the repository, so that only one of this name exists at a time and a crash leaves at most one.
        let directory = beside.with_extension("secrets");
        private_directory(&directory)?;
        secrets.directory = Some(directory.clone());
        if let Some((username, password)) = basic {
            let file = write(&directory, "credential", &format!("username={username}\npassword={password}\n"))?;
            // Only for this server: a redirect or a submodule elsewhere gets nothing.
            secrets.settings.push((format!("credential.{}.helper", server(url)), HELPER.into()));
            secrets.environment.push(("REGATTA_CREDENTIAL", file.into()));
        }
        if let Some(authority) = authority {
            let file = write(&directory, "ca.crt", authority)?;
            let key = format!("http.{}.sslCAInfo", server(url));
            secrets.settings.push((key, file.to_string_lossy().into_owned()));
        }
        if let Some((key, known_hosts)) = ssh {
            let key = write(&directory, "key", key)?;
            let known_hosts = write(&directory, "known_hosts", known_hosts)?;
            secrets.environment.push(("REGATTA_SSH_KEY", key.into()));
            secrets.environment.push(("REGATTA_KNOWN_HOSTS", known_hosts.into()));
            secrets.environment.push(("GIT_SSH_COMMAND", SSH.into()));
        }
        Ok(secrets)
    }
}

impl Drop for Secrets {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            tracing::warn!(path = %directory.display(), %error, "cannot remove the credentials that git was given");
        }
    }
}

fn write(directory: &Path, name: &str, content: &str) -> Result<PathBuf, Error> {
    use std::io::Write;
    let path = directory.join(name);
    let open = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let written = open.and_then(|mut file| file.write_all(content.as_bytes()));
    written.map(|()| path.clone()).map_err(|source| Error::Files { path, source })
}

/// `https://host:port` of a URL.
fn server(url: &str) -> String {
    let end = url.find("://").map_or(0, |at| at + 3);
    let host = url[end..].find('/').map_or(url.len(), |at| end + at);
    url[..host].to_owned()
}
