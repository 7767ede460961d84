//! `regatta get`: objects of any kind, in the server's own columns.

mod follow;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::colour::Palette;
use super::failure::{DONE, Exit, Failure, Outcome, cannot};
use super::kinds::{self, Kind, Kinds};
use super::names;
use super::objects::{Bare, pointed};
use super::output::{Format, document, print, reference, say, without_managed_fields};
use super::request::{self, JSON, TABLE, query};
use super::server::{Global, Server};
use super::table::{Layout, Scope, Table, Width};

#[derive(Args, Debug)]
pub struct Get {
    /// A kind (`agents`, `ag`, `repo`, …), several with commas, a kind and names, or KIND/NAME…
    #[arg(required = true, value_name = "KIND|KIND/NAME|NAME")]
    objects: Vec<String>,
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Objects of every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Only objects with these fields, such as spec.adapter=shell
    #[arg(long, value_name = "SELECTOR")]
    field_selector: Option<String>,
    /// Go on and print every change
    #[arg(short, long)]
    watch: bool,
    /// Leave out the line with the columns' names
    #[arg(long)]
    no_headers: bool,
    /// Nothing, instead of an error, for an object that is not there
    #[arg(long)]
    ignore_not_found: bool,
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
        let targets = self.targets(&server, &kinds).await?;
        if self.watch {
            return match targets.as_slice() {
                [] => DONE,
                [target] => follow::follow(&self, &server, target).await,
                _ => Err(Failure::usage("only one kind, or one object, can be watched at a time")),
            };
        }
        self.once(&server, &targets).await
    }

    async fn targets<'a>(&'a self, server: &Server, kinds: &'a Kinds) -> Result<Vec<Target<'a>>, Failure> {
        let mut targets = Vec::new();
        for found in pointed(kinds, &self.objects, Bare::Kind)? {
            if found.names.is_empty() {
                targets.push(self.target(server, found.kind, None));
                continue;
            }
            if self.all_namespaces {
                return Err(Failure::usage("an object has one namespace: name it with -n instead of -A"));
            }
            if self.selector.is_some() || self.field_selector.is_some() {
                return Err(Failure::usage("a selector goes with a kind, not with names"));
            }
            for word in found.names {
                match names::object(server, found.kind, word).await {
                    Ok(name) => targets.push(self.target(server, found.kind, Some(name))),
                    Err(failure) if failure.exit == Exit::NotFound && self.ignore_not_found => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        Ok(targets)
    }

    fn target<'a>(&self, server: &Server, kind: &'a Kind, name: Option<String>) -> Target<'a> {
        let everywhere = self.all_namespaces && kind.scope == kinds::Scope::Namespaced;
        let path = kind.path((!everywhere).then_some(server.namespace.as_str()));
        Target { kind, path, name, scope: if everywhere { Scope::All } else { Scope::One } }
    }

    /// Prints what is there now.
    async fn once(&self, server: &Server, targets: &[Target<'_>]) -> Outcome {
        let mut answers = Vec::new();
        for target in targets {
            let path = match &target.name {
                Some(name) => format!("{}/{}", target.path, request::encoded(name)),
                None => format!("{}{}", target.path, self.selectors(target, None)),
            };
            let answer = request::get(&server.client, &path, self.accept()).await;
            answers.push((target, answer.map_err(|e| cannot(target.attempt("get"), e))?));
        }
        match self.output {
            None | Some(Format::Wide) => self.tables(answers)?,
            Some(Format::Name) => {
                print(answers.iter().map(|(target, answer)| names_in(target.kind, answer)).collect::<String>())?
            }
            Some(format @ (Format::Json | Format::Yaml)) => print(document(format, &self.shown(together(answers)))?)?,
        }
        DONE
    }

    /// A table a kind; the rows of objects that were named one by one stand together.
    fn tables(&self, answers: Vec<(&Target<'_>, Value)>) -> Result<(), Failure> {
        let mut tables: Vec<(&Target<'_>, Table)> = Vec::new();
        for (target, answer) in answers {
            let table: Table = serde_json::from_value(answer).map_err(|e| cannot("read the server's table", e))?;
            match tables.last_mut() {
                Some((last, rows)) if last.kind == target.kind => rows.rows.extend(table.rows),
                Some(_) | None => tables.push((target, table)),
            }
        }
        tables.retain(|(_, table)| !table.rows.is_empty());
        if tables.is_empty() {
            say("no objects found");
        }
        let several = tables.len() > 1;
        for (n, (target, table)) in tables.iter_mut().enumerate() {
            if several {
                prefix_names(table, target.kind);
            }
            let mut layout = Layout::new(Palette::of_stdout());
            let text = self.text(&mut layout, table, target.scope, !self.no_headers);
            print(format_args!("{}{text}", if n > 0 { "\n" } else { "" }))?;
        }
        Ok(())
    }

    fn text(&self, layout: &mut Layout, table: &Table, scope: Scope, with_header: bool) -> String {
        let width = if self.output == Some(Format::Wide) { Width::Wide } else { Width::Normal };
        let header = table.header(width, scope);
        layout.text(with_header.then_some(header.as_slice()), &table.lines(width, scope, Timestamp::now()))
    }

    fn shown(&self, object: Value) -> Value {
        if self.show_managed_fields { object } else { without_managed_fields(object) }
    }

    fn as_table(&self) -> bool {
        matches!(self.output, None | Some(Format::Wide))
    }

    fn accept(&self) -> &'static str {
        if self.as_table() { TABLE } else { JSON }
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
}

impl Target<'_> {
    fn attempt(&self, verb: &str) -> String {
        match &self.name {
            Some(name) => format!("{verb} {}", reference(&self.kind.singular, name)),
            None => format!("{verb} {}", self.kind.plural),
        }
    }
}

/// One answer as it is; several as one List.
fn together(mut answers: Vec<(&Target<'_>, Value)>) -> Value {
    if answers.len() == 1
        && let Some((_, answer)) = answers.pop()
    {
        return answer;
    }
    let items: Vec<Value> = answers
        .into_iter()
        .flat_map(|(target, mut answer)| match answer.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items.into_iter().map(|item| typed(target.kind, item)).collect(),
            Some(_) | None => vec![answer],
        })
        .collect();
    json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items})
}

/// `agent/fix`, one a line, of a list or of one object.
fn names_in(kind: &Kind, answer: &Value) -> String {
    let items = answer.get("items").and_then(Value::as_array);
    let all = items.map_or_else(|| vec![answer], |items| items.iter().collect());
    let names = all.iter().filter_map(|o| o["metadata"]["name"].as_str());
    names.map(|name| reference(&kind.singular, name) + "\n").collect()
}

/// List items come without kind and version; alone they need both.
fn typed(kind: &Kind, mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.entry("apiVersion").or_insert_with(|| json!(kind.api_version()));
        map.entry("kind").or_insert_with(|| json!(kind.kind));
    }
    object
}

/// With several kinds in one listing a bare name says too little.
fn prefix_names(table: &mut Table, kind: &Kind) {
    for row in &mut table.rows {
        if let Some(Value::String(name)) = row.cells.first_mut() {
            *name = reference(&kind.singular, name);
        }
    }
}
