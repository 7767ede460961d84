//! `regatta get`: objects of any kind, in the server's own columns.

use clap::Args;
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::failure::{DONE, Failure, Outcome, cannot};
use super::kinds::{self, Kind, Kinds};
use super::names;
use super::output::{Format, document, print, reference, say, without_managed_fields};
use super::request::{self, JSON, TABLE, query};
use super::server::{Global, Server};
use super::table::{Scope, Table, Width, align};

#[derive(Args, Debug)]
pub struct Get {
    /// A kind (`agents`, `ag`, `repo`, …), several with commas, or KIND/NAME
    kind: String,
    /// The object's name, or an unambiguous beginning of it
    name: Option<String>,
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Objects of every namespace
    #[arg(short = 'A', long, conflicts_with = "name")]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only objects with these fields, such as status.activity=NeedsInput
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// Go on and print every change
    #[arg(short, long)]
    watch: bool,
    /// Include who set which field
    #[arg(long)]
    show_managed_fields: bool,
}

/// Where to look, decided once.
struct Target<'a> {
    kind: &'a Kind,
    path: String,
    name: Option<String>,
    scope: Scope,
}

impl Get {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let kinds = Kinds::discover(&server.client).await?;
        let (words, name) = match (self.kind.split_once('/'), &self.name) {
            (Some(_), Some(_)) => return Err(Failure::usage("write KIND/NAME or KIND NAME, not both")),
            (Some((kind, name)), None) => (kind, Some(name)),
            (None, name) => (self.kind.as_str(), name.as_deref()),
        };
        let found = kinds.named(words)?;
        if found.len() > 1 && (self.watch || name.is_some()) {
            return Err(Failure::usage(format!("{words:?} means {} kinds; watch or name one", found.len())));
        }
        let several = found.len() > 1;
        let mut nothing = true;
        for kind in found {
            let target = self.target(&server, kind, name).await?;
            nothing &= !self.show(&server, &target, several).await?;
        }
        if nothing && matches!(self.output, None | Some(Format::Wide)) {
            say("no objects found");
        }
        DONE
    }

    async fn target<'a>(&self, server: &Server, kind: &'a Kind, name: Option<&str>) -> Result<Target<'a>, Failure> {
        let everywhere = self.all_namespaces && kind.scope == kinds::Scope::Namespaced;
        let name = match name {
            Some(word) => Some(names::object(server, kind, word).await?),
            None => None,
        };
        let path = kind.path((!everywhere).then_some(server.namespace.as_str()));
        Ok(Target { kind, path, name, scope: if everywhere { Scope::All } else { Scope::One } })
    }

    /// Prints what is there now and, when watching, every change; whether there was anything.
    async fn show(&self, server: &Server, target: &Target<'_>, several: bool) -> Result<bool, Failure> {
        let accept = if self.as_table() { TABLE } else { JSON };
        let path = match &target.name {
            Some(name) if !self.watch => format!("{}/{}", target.path, request::encoded(name)),
            _ => format!("{}{}", target.path, self.selectors(target, None)),
        };
        let attempt = || format!("get {}", target.kind.plural);
        let list = request::get(&server.client, &path, accept).await.map_err(|e| cannot(attempt(), e))?;
        let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
        let any = if self.as_table() {
            self.print_table(target, list, several, true)?
        } else if self.watch {
            let items = list["items"].as_array().cloned().unwrap_or_default();
            for item in &items {
                self.print_object(target.kind, typed(target.kind, item.clone()))?;
            }
            !items.is_empty()
        } else {
            let any = list.get("items").and_then(Value::as_array).is_none_or(|i| !i.is_empty());
            self.print_object(target.kind, list)?;
            any
        };
        if self.watch {
            self.follow(server, target, version).await?;
        }
        Ok(any)
    }

    async fn follow(&self, server: &Server, target: &Target<'_>, mut version: String) -> Result<(), Failure> {
        let accept = if self.as_table() { TABLE } else { JSON };
        let attempt = || format!("watch {}", target.kind.plural);
        loop {
            let path = format!("{}{}", target.path, self.selectors(target, Some(&version)));
            let response = request::open(&server.client, &path, accept).await.map_err(|e| cannot(attempt(), e))?;
            let mut events = request::events(response);
            while let Some(event) = events.next().await {
                let event = event.map_err(|e| cannot(attempt(), e))?;
                let object = event["object"].clone();
                if event["type"] == "ERROR" {
                    let why = object["message"].as_str().unwrap_or("the server ended it").to_owned();
                    return Err(cannot(attempt(), why));
                }
                if let Some(seen) = resource_version(&object) {
                    version = seen;
                }
                if event["type"] == "BOOKMARK" {
                    continue;
                }
                if self.as_table() && object["kind"] == "Table" {
                    self.print_table(target, object, false, false)?;
                } else {
                    self.print_object(target.kind, object)?;
                }
            }
        }
    }

    fn as_table(&self) -> bool {
        matches!(self.output, None | Some(Format::Wide))
    }

    fn selectors(&self, target: &Target<'_>, watch_from: Option<&str>) -> String {
        let named = target.name.as_ref().map(|name| format!("metadata.name={name}"));
        let fields: Vec<String> = self.field_selector.iter().cloned().chain(named).collect();
        query(&[
            ("labelSelector", self.selector.clone()),
            ("fieldSelector", (!fields.is_empty()).then(|| fields.join(","))),
            ("watch", watch_from.map(|_| "true".into())),
            ("allowWatchBookmarks", watch_from.map(|_| "true".into())),
            ("resourceVersion", watch_from.map(str::to_owned)),
        ])
    }

    /// Prints a Table's rows, with its header when it is the first.
    fn print_table(&self, target: &Target<'_>, value: Value, several: bool, first: bool) -> Result<bool, Failure> {
        let mut table: Table = serde_json::from_value(value).map_err(|e| cannot("read the server's table", e))?;
        if several {
            prefix_names(&mut table, target.kind);
        }
        let width = if self.output == Some(Format::Wide) { Width::Wide } else { Width::Normal };
        let rows = table.lines(width, target.scope, Timestamp::now());
        if rows.is_empty() {
            return Ok(false);
        }
        let header = first.then(|| table.header(width, target.scope));
        let gap = if several { "\n" } else { "" };
        print(align(header.as_deref(), &rows) + gap)?;
        Ok(true)
    }

    fn print_object(&self, kind: &Kind, object: Value) -> Result<(), Failure> {
        let format = self.output.unwrap_or(Format::Name);
        if format == Format::Name {
            let items = object.get("items").and_then(Value::as_array);
            let all = items.map_or_else(|| vec![&object], |items| items.iter().collect());
            let names = all.iter().filter_map(|o| o["metadata"]["name"].as_str());
            let lines: Vec<String> = names.map(|n| reference(&kind.singular, n) + "\n").collect();
            return print(lines.concat());
        }
        let object = if self.show_managed_fields { object } else { without_managed_fields(object) };
        let separator = if self.watch && format == Format::Yaml { "---\n" } else { "" };
        print(separator.to_owned() + &document(format, &object)?)
    }
}

/// List items come without kind and version; alone they need both.
fn typed(kind: &Kind, mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.entry("apiVersion").or_insert_with(|| json!(kind.api_version()));
        map.entry("kind").or_insert_with(|| json!(kind.kind));
    }
    object
}

fn resource_version(object: &Value) -> Option<String> {
    let own = object["metadata"]["resourceVersion"].as_str();
    let of_row = object["rows"][0]["object"]["metadata"]["resourceVersion"].as_str();
    own.filter(|v| !v.is_empty()).or(of_row).map(str::to_owned)
}

/// With several kinds in one listing a bare name says too little.
fn prefix_names(table: &mut Table, kind: &Kind) {
    for row in &mut table.rows {
        if let Some(Value::String(name)) = row.cells.first_mut() {
            *name = reference(&kind.singular, name);
        }
    }
}
