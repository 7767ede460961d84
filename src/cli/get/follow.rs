//! `get --watch`: every state once. After a lost connection, or when the server says that a version is too old, it looks
//! anew and tells only what changed meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{Get, Target, names_in, typed};
use crate::cli::colour::Palette;
use crate::cli::failure::{Failure, Outcome, cannot};
use crate::cli::output::{Format, document, print, say};
use crate::cli::request;
use crate::cli::server::Server;
use crate::cli::table::{Column, Layout, Table};
use crate::cli::until::is_passing;

/// How long a server that is watched may be away.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a round ended.
enum End {
    /// The server closed the watch, as it does now and then, or lost the version.
    Over,
    Away(kube::Error),
    Failed(Failure),
}

/// Until somebody stops us, or the server stays away.
pub async fn follow(get: &Get, server: &Server, target: &Target<'_>) -> Outcome {
    let mut shown = Shown::new(get);
    let mut away_since: Option<Instant> = None;
    loop {
        match round(get, server, target, &mut shown, &mut away_since).await {
            End::Over => {}
            End::Failed(failure) => return Err(failure),
            End::Away(error) => {
                let since = *away_since.get_or_insert_with(|| {
                    say("the server is away; waiting for it");
                    Instant::now()
                });
                if since.elapsed() > PATIENCE {
                    return Err(cannot(target.attempt("watch"), error));
                }
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn ended(error: kube::Error, target: &Target<'_>) -> End {
    match &error {
        kube::Error::Api(_) if !is_passing(&error) => End::Failed(cannot(target.attempt("watch"), error)),
        _ => End::Away(error),
    }
}

/// One look, and watches from there until one of them ends otherwise than by its time.
async fn round(
    get: &Get,
    server: &Server,
    target: &Target<'_>,
    shown: &mut Shown,
    away_since: &mut Option<Instant>,
) -> End {
    let path = format!("{}{}", target.path, get.selectors(target, None));
    let list = match request::get(&server.client, &path, get.accept()).await {
        Ok(list) => list,
        Err(error) => return ended(error, target),
    };
    if away_since.take().is_some() {
        say("the server is back");
    }
    let mut version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    if let Err(failure) = shown.list(get, target, list) {
        return End::Failed(failure);
    }
    loop {
        let path = format!("{}{}", target.path, get.selectors(target, Some(&version)));
        let mut events = match request::open(&server.client, &path, get.accept()).await {
            Ok(response) => request::events(response),
            Err(error) => return ended(error, target),
        };
        while let Some(event) = events.next().await {
            let mut event = match event {
                Ok(event) => event,
                Err(error) => return ended(error, target),
            };
            let object = event["object"].take();
            match event["type"].as_str() {
                // Too old, most likely; if it is something else, the next look says so.
                Some("ERROR") | None => return End::Over,
                Some(what) => {
                    if let Some(seen) = resource_version(&object) {
                        version = seen;
                    }
                    if what != "BOOKMARK"
                        && let Err(failure) = shown.event(get, target, what == "DELETED", object)
                    {
                        return End::Failed(failure);
                    }
                }
            }
        }
        // A server that closes at once must not be asked without a pause.
        sleep(Duration::from_millis(100)).await;
    }
}

/// What was printed, so that nothing is twice and columns keep their place.
struct Shown {
    layout: Layout,
    header: bool,
    columns: Vec<Column>,
    /// Object to version.
    known: BTreeMap<String, String>,
}

impl Shown {
    fn new(get: &Get) -> Shown {
        let layout = Layout::new(Palette::of_stdout());
        Shown { layout, header: !get.no_headers, columns: Vec::new(), known: BTreeMap::new() }
    }

    /// Of a list: what is new or changed; and, without printing it, what is gone.
    fn list(&mut self, get: &Get, target: &Target<'_>, list: Value) -> Result<(), Failure> {
        let mut here = BTreeMap::new();
        if get.as_table() {
            let mut table = table(list)?;
            table.rows.retain(|row| news(&self.known, &mut here, &row.object));
            self.known = here;
            return self.rows(get, target, table);
        }
        let items = list["items"].as_array().cloned().unwrap_or_default();
        let new: Vec<Value> = items.into_iter().filter(|item| news(&self.known, &mut here, item)).collect();
        self.known = here;
        new.into_iter().try_for_each(|item| object(get, target, typed(target.kind, item)))
    }

    fn event(&mut self, get: &Get, target: &Target<'_>, deleted: bool, changed: Value) -> Result<(), Failure> {
        if get.as_table() {
            let mut table = table(changed)?;
            table.rows.retain(|row| self.note(&row.object, deleted));
            return self.rows(get, target, table);
        }
        if self.note(&changed, deleted) { object(get, target, changed) } else { Ok(()) }
    }

    /// Keeps what is known; whether it was news.
    fn note(&mut self, object: &Value, deleted: bool) -> bool {
        let (key, version) = identity(object);
        if deleted {
            return self.known.remove(&key).is_some();
        }
        self.known.insert(key, version.clone()) != Some(version)
    }

    fn rows(&mut self, get: &Get, target: &Target<'_>, table: Table) -> Result<(), Failure> {
        // Only the first answer of a watch has the columns.
        if !table.column_definitions.is_empty() {
            self.columns = table.column_definitions;
        }
        if table.rows.is_empty() {
            return Ok(());
        }
        let whole = Table { column_definitions: self.columns.clone(), rows: table.rows };
        let text = get.text(&mut self.layout, &whole, target.scope, self.header);
        self.header = false;
        print(text)
    }
}

fn table(value: Value) -> Result<Table, Failure> {
    serde_json::from_value(value).map_err(|e| cannot("read the server's table", e))
}

fn object(get: &Get, target: &Target<'_>, object: Value) -> Result<(), Failure> {
    match get.output {
        Some(format @ (Format::Json | Format::Yaml)) => {
            let separator = if format == Format::Yaml { "---\n" } else { "" };
            print(separator.to_owned() + &document(format, &get.shown(object))?)
        }
        None | Some(Format::Name | Format::Wide) => print(names_in(target.kind, &object)),
    }
}

/// Which object, and which state of it.
fn identity(object: &Value) -> (String, String) {
    let meta = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    let key = format!("{}/{}/{}", meta("namespace"), meta("name"), meta("uid"));
    (key, meta("resourceVersion").to_owned())
}

fn news(known: &BTreeMap<String, String>, here: &mut BTreeMap<String, String>, object: &Value) -> bool {
    let (key, version) = identity(object);
    let new = known.get(&key) != Some(&version);
    here.insert(key, version);
    new
}

fn resource_version(object: &Value) -> Option<String> {
    let own = object["metadata"]["resourceVersion"].as_str();
    let of_row = object["rows"][0]["object"]["metadata"]["resourceVersion"].as_str();
    own.filter(|v| !v.is_empty()).or(of_row).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_second_look_tells_only_what_changed() {
        let object =
            |name: &str, version: &str| json!({"metadata": {"name": name, "uid": name, "resourceVersion": version}});
        let (mut known, mut here) = (BTreeMap::new(), BTreeMap::new());
        assert!(news(&known, &mut here, &object("a", "1")) && news(&known, &mut here, &object("b", "2")));
        known = std::mem::take(&mut here);
        assert!(!news(&known, &mut here, &object("a", "1")));
        assert!(news(&known, &mut here, &object("b", "3")));
        assert!(news(&known, &mut here, &object("c", "4")));
    }
}
