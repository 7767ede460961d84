//! Runs one case against one side and writes down what happened, normalised. Both sides run the same steps; a step that
//! cannot be done is a line of the transcript, never a reason to stop.

use std::{collections::HashMap, time::Instant};

use bytes::Bytes;
use futures::StreamExt;
use http::Method;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::{
    compare::STEP,
    http::{Answer, Ask},
    kubectl::{Kubectl, Shell},
    normal::{self, Normal},
    pair::{PATIENCE, Side},
    script::{ALIASES, Case, Line, Step, Until, VARIANTS},
};

pub async fn transcript(case: &Case, side: &Side, kubectl: Option<&Kubectl>) -> Vec<String> {
    let namespace = namespace(case, kubectl);
    let made = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    side.json(Method::POST, "/api/v1/namespaces", Some(&made)).await;
    let mut run = Run {
        side,
        shell: kubectl.map(|kubectl| Shell::new(kubectl, side, &namespace)),
        namespace,
        normal: Normal::default(),
        answers: HashMap::new(),
        watches: HashMap::new(),
        lines: Vec::new(),
    };
    for step in &case.steps {
        if tokio::time::timeout(PATIENCE * 2, run.step(step)).await.is_err() {
            run.lines.push("! this step did not end".into());
        }
    }
    let path = format!("/api/v1/namespaces/{}", run.namespace);
    side.ask(Ask::json(Method::DELETE, &path, None)).await;
    run.lines
}

/// A name of its own for each case, the same on both sides.
fn namespace(case: &Case, kubectl: Option<&Kubectl>) -> String {
    let slug: String = case.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let sum = case.name.bytes().fold(7u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let version = kubectl.map(|kubectl| format!("-{}", kubectl.minor)).unwrap_or_default();
    let short: String = slug.to_lowercase().chars().take(30).collect();
    format!("{}-{:x}{version}", short.trim_matches('-'), sum & 0xffff)
}

struct Run<'a> {
    side: &'a Side,
    shell: Option<Shell>,
    namespace: String,
    normal: Normal,
    /// What was remembered.
    answers: HashMap<String, Value>,
    watches: HashMap<String, tokio::task::JoinHandle<Vec<Bytes>>>,
    lines: Vec<String>,
}

impl Run<'_> {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Request(line) => {
                let shown = format!("{STEP}{} {} {}", line.method, line.path, line.body.trim());
                self.lines.push(shown.chars().take(300).collect());
                match self.ask(line) {
                    Ok(ask) => {
                        let answer = self.side.ask(ask).await;
                        if let Some(name) = &line.name {
                            self.answers.insert(name.clone(), answer.json().unwrap_or_default());
                        }
                        self.answer(&answer);
                    }
                    Err(why) => self.lines.push(format!("! {why}")),
                }
            }
            Step::Until { what, path } => {
                self.lines.push(format!("{STEP}UNTIL {what:?} {path}"));
                self.until(what, path).await;
            }
            Step::Watch { id, line } => {
                self.lines.push(format!("{STEP}WATCH {id} {}", line.path));
                self.watch(id, line).await;
            }
            Step::Events { id } => {
                self.lines.push(format!("{STEP}EVENTS {id}"));
                self.events(id).await;
            }
            Step::File { name, text } => {
                let text = text.replace("$NS", &self.namespace);
                match &self.shell {
                    Some(shell) => shell.write(name, &text),
                    None => self.lines.push("! files are for kubectl's cases".into()),
                }
            }
            Step::Shell(line) => {
                self.lines.push(format!("{STEP}$ {line}"));
                let Some(shell) = &self.shell else {
                    self.lines.push("! shell lines are for kubectl's cases".into());
                    return;
                };
                let (out, err, code) = shell.run(&line.replace("$NS", &self.namespace)).await;
                for (sign, text) in [("", out), ("2: ", err)] {
                    let text = self.normal.printed(&text);
                    self.lines.extend(text.lines().map(|line| format!("{sign}{}", line.trim_end())));
                }
                self.lines.push(format!("exit {code}"));
            }
        }
    }

    fn ask(&self, line: &Line) -> Result<Ask, String> {
        let (path, alias) = expand(&line.path);
        let method = line.method.parse().map_err(|_| format!("{} is no method", line.method))?;
        let text = self.fill(&line.body)?;
        let text = text.trim();
        let apply = line.variants.iter().any(|variant| variant == "apply");
        let body = if let Some(raw) = text.strip_prefix('!') {
            unescape(raw)
        } else if text.is_empty() {
            Vec::new()
        } else {
            let mut value: Value = serde_saphyr::from_str(text).map_err(|error| format!("the case's YAML: {error}"))?;
            if let (Some((_, _, api_version, kind)), Value::Object(map)) = (alias, &mut value)
                && (apply || matches!(line.method.as_str(), "POST" | "PUT"))
            {
                map.entry("apiVersion").or_insert((*api_version).into());
                map.entry("kind").or_insert((*kind).into());
            }
            value.to_string().into_bytes()
        };
        let mut ask = Ask { method, path: self.fill(&path)?, content_type: None, accept: None, body };
        if !ask.body.is_empty() && !line.variants.iter().any(|variant| variant == "untyped") {
            ask.content_type = Some("application/json".into());
        }
        for variant in &line.variants {
            let (_, content_type, accept) = VARIANTS.iter().find(|(name, ..)| name == variant).expect("parsed");
            if !content_type.is_empty() {
                ask.content_type = Some(content_type.to_string());
            }
            if !accept.is_empty() {
                ask.accept = Some(accept.to_string());
            }
        }
        Ok(ask)
    }

    /// `$NS`, `${name.path}` and `${repeat N text}` in a text.
    fn fill(&self, text: &str) -> Result<String, String> {
        let text = text.replace("$NS", &self.namespace);
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let (what, after) = after.split_once('}').ok_or("a ${ without its }")?;
            out.push_str(before);
            if let Some(repeat) = what.strip_prefix("repeat ") {
                let (count, piece) = repeat.split_once(' ').ok_or("repeat N text")?;
                out.push_str(&piece.repeat(count.parse().map_err(|_| "repeat N text")?));
            } else {
                let mut path = what.split('.');
                let name = path.next().unwrap_or_default();
                let mut value = self.answers.get(name).ok_or_else(|| format!("{name} was never remembered"))?;
                for key in path {
                    value = key.parse::<usize>().map_or_else(|_| &value[key], |index| &value[index]);
                }
                out.push_str(&value.as_str().map_or_else(|| value.to_string(), str::to_string));
            }
            rest = after;
        }
        Ok(out + rest)
    }

    fn answer(&mut self, answer: &Answer) {
        self.lines.push(format!("{} {}", answer.code, answer.content_type));
        for warning in &answer.warnings {
            let warning = self.normal.text(warning);
            self.lines.push(format!("warning: {warning}"));
        }
        match answer.json() {
            Some(value) => {
                let value = self.normal.json(&value);
                self.lines.extend(normal::lines(&value));
            }
            None => {
                let text = self.normal.printed(&answer.text());
                self.lines.extend(text.lines().map(str::to_string));
            }
        }
    }

    async fn until(&mut self, what: &Until, path: &str) {
        let path = match self.fill(&expand(path).0) {
            Ok(path) => path,
            Err(why) => return self.lines.push(format!("! {why}")),
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.side.ask(Ask::json(Method::GET, &path, None)).await;
            let there = match what {
                Until::Code(code) => answer.code == *code,
                Until::Has(text) => answer.text().contains(text),
                Until::Lacks(text) => !answer.text().contains(text),
            };
            if there {
                return self.answer(&answer);
            }
            if Instant::now() > deadline {
                self.lines.push("! not within the time; last seen:".into());
                return self.answer(&answer);
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }

    async fn watch(&mut self, id: &str, line: &Line) {
        let ask = match self.ask(line) {
            Ok(ask) => ask,
            Err(why) => return self.lines.push(format!("! {why}")),
        };
        let (head, body) = match ask.open(&self.side.client).await {
            Ok(opened) => opened,
            Err(why) => return self.lines.push(format!("! {why}")),
        };
        self.lines.push(format!("{} {}", head.code, head.content_type));
        let reading = tokio::spawn(async move {
            let mut pieces = Vec::new();
            let mut stream = body.into_data_stream();
            while let Some(Ok(piece)) = stream.next().await {
                pieces.push(piece);
            }
            pieces
        });
        self.watches.insert(id.to_string(), reading);
    }

    async fn events(&mut self, id: &str) {
        let Some(reading) = self.watches.remove(id) else { return self.lines.push("! no such watch".into()) };
        let bytes = reading.await.expect("reading does not panic").concat();
        for event in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
            match event {
                // Plain bookmarks come when they come.
                Ok(event) if event["type"] == "BOOKMARK" && !event.to_string().contains("initial-events-end") => {}
                Ok(event) => {
                    let event = self.normal.json(&event);
                    self.lines.extend(normal::lines(&event));
                }
                Err(error) => self.lines.push(format!("! not an event: {error}")),
            }
        }
    }
}

type Alias = (&'static str, &'static str, &'static str, &'static str);

fn expand(path: &str) -> (String, Option<&'static Alias>) {
    let end = path.find(['/', '?']).unwrap_or(path.len());
    match ALIASES.iter().find(|(alias, ..)| *alias == &path[..end]) {
        Some(found) => (format!("{}{}", found.1, &path[end..]), Some(found)),
        None => (path.to_string(), None),
    }
}

/// `\xNN`, `\n` and `\\` in a raw body.
fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b'x') => {
                let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&hex, 16).expect("a case writes \\xNN"));
            }
            Some(other) => out.extend([b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    out
}
