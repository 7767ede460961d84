//! `regatta describe`: all there is to know of an object, for a person: what it should be, what it is, what happened to
//! it, and the way out where there is one. Any kind; agents have a little more.

use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::colour::{Palette, Tone};
use super::failure::{DONE, Failure, Outcome, cannot};
use super::kinds::{Kind, Kinds, Scope};
use super::names;
use super::objects::{Bare, pointed};
use super::output::{Format, document, print, reference, say};
use super::request::{self, JSON, encoded, query};
use super::server::{Global, Server};
use super::status::way_out;
use super::table::{Layout, labelled, printable, since};
use crate::api::{Agent, AgentStatus};

/// The newest Events are shown; who wants all asks `regatta get events`.
const EVENTS: usize = 20;

#[derive(Args, Debug)]
pub struct Describe {
    /// A kind, a kind and names, or KIND/NAME…; a name may be an unambiguous beginning
    #[arg(required = true, value_name = "KIND|KIND/NAME|NAME")]
    objects: Vec<String>,
    /// Objects of every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<String>,
}

impl Describe {
    pub async fn run(self, global: &Global) -> Outcome {
        let server = Server::reach(global).await?;
        let kinds = Kinds::discover(&server.client).await?;
        let palette = Palette::of_stdout();
        let mut any = false;
        for found in pointed(&kinds, &self.objects, Bare::Kind)? {
            for object in self.objects(&server, found.kind, &found.names).await? {
                let events = events(&server, found.kind, &object).await?;
                let gap = if any { "\n\n" } else { "" };
                print(format_args!("{gap}{}", page(found.kind, &object, &events, palette, Timestamp::now())?))?;
                any = true;
            }
        }
        if !any {
            say("no objects found");
        }
        DONE
    }

    async fn objects(&self, server: &Server, kind: &Kind, names: &[&str]) -> Result<Vec<Value>, Failure> {
        let mut objects = Vec::new();
        if names.is_empty() {
            let everywhere = self.all_namespaces && kind.scope == Scope::Namespaced;
            let selector = query(&[("labelSelector", self.selector.clone())]);
            let path = kind.path((!everywhere).then_some(server.namespace.as_str()));
            let attempt = format!("describe {}", kind.plural);
            let mut list = request::get(&server.client, &format!("{path}{selector}"), JSON)
                .await
                .map_err(|e| cannot(attempt, e))?;
            if let Value::Array(items) = list["items"].take() {
                objects = items;
            }
        } else if self.all_namespaces || self.selector.is_some() {
            return Err(Failure::usage("-A and -l go with a kind, not with names"));
        }
        for word in names {
            let name = names::object(server, kind, word).await?;
            let path = format!("{}/{}", kind.path(Some(&server.namespace)), encoded(&name));
            let object = request::get(&server.client, &path, JSON).await;
            objects.push(object.map_err(|e| cannot(format_args!("describe {}", reference(&kind.singular, &name)), e))?);
        }
        Ok(objects)
    }
}

/// What happened to the object, newest last. Events of cluster-wide objects live in some namespace.
async fn events(server: &Server, kind: &Kind, object: &Value) -> Result<Vec<Value>, Failure> {
    let Some(uid) = object["metadata"]["uid"].as_str() else { return Ok(Vec::new()) };
    let within = match (kind.scope, object["metadata"]["namespace"].as_str()) {
        (Scope::Namespaced, Some(namespace)) => format!("/namespaces/{}", encoded(namespace)),
        (Scope::Namespaced, None) | (Scope::Cluster, _) => String::new(),
    };
    let selector = query(&[("fieldSelector", Some(format!("involvedObject.uid={uid}")))]);
    match request::get(&server.client, &format!("/api/v1{within}/events{selector}"), JSON).await {
        Ok(mut list) => {
            let Value::Array(mut events) = list["items"].take() else { return Ok(Vec::new()) };
            events.sort_by_key(happened);
            Ok(events.split_off(events.len().saturating_sub(EVENTS)))
        }
        // Who may see the object may not see its Events: the rest is worth showing all the same.
        Err(kube::Error::Api(status)) if status.code == 403 => {
            say("(you may not see its Events)");
            Ok(Vec::new())
        }
        Err(error) => Err(cannot("look for Events", error)),
    }
}

/// When an Event happened last, whichever of its fields says so.
fn happened(event: &Value) -> Option<Timestamp> {
    let fields =
        ["/series/lastObservedTime", "/lastTimestamp", "/eventTime", "/firstTimestamp", "/metadata/creationTimestamp"];
    fields.iter().find_map(|field| event.pointer(field)?.as_str()?.parse().ok())
}

fn page(kind: &Kind, object: &Value, events: &[Value], palette: Palette, now: Timestamp) -> Result<String, Failure> {
    let mut page = labelled(&head(kind, object, now));
    let mut rest = object.as_object().cloned().unwrap_or_default();
    for key in ["apiVersion", "kind", "metadata"] {
        rest.remove(key);
    }
    let mut status = match rest.remove("status") {
        Some(Value::Object(status)) => status,
        Some(_) | None => Map::new(),
    };
    let conditions = status.remove("conditions");
    let effective = status.remove("effective");
    if kind.group.is_empty() && kind.plural == "secrets" {
        hide_values(&mut rest);
    }
    let section = |title: &str, body: String| match body.is_empty() {
        true => String::new(),
        false => format!("\n{}\n{body}", palette.paint(Tone::Strong, title)),
    };
    for (key, value) in &rest {
        page += &section(&title(key), indented(value)?);
    }
    page += &section("Effective", effective.as_ref().map(indented).transpose()?.unwrap_or_default());
    page += &section("Status", indented(&Value::Object(status))?);
    page += &section("Conditions", condition_table(conditions.as_ref(), palette, now));
    page += &section("Events", event_table(events, palette, now));
    if kind.is_agent()
        && let Ok(agent) = serde_json::from_value::<Agent>(object.clone())
        && let Some(way) = way_out(&agent, agent.status.as_ref().unwrap_or(&AgentStatus::default()))
    {
        page += &section("Way out", format!("  {way}\n"));
    }
    Ok(page)
}

fn head(kind: &Kind, object: &Value, now: Timestamp) -> Vec<(&'static str, String)> {
    let meta = &object["metadata"];
    let text = |key: &str| meta[key].as_str().map(str::to_owned);
    let ago = |key: &str| meta[key].as_str().and_then(|t| t.parse().ok()).map(|t| since(t, now));
    let name = reference(&kind.singular, meta["name"].as_str().unwrap_or_default());
    let mut lines = vec![("object", format!("{name} ({})", kind.api_version()))];
    lines.extend(text("namespace").map(|n| ("namespace", n)));
    lines.extend(pairs(&meta["labels"]).map(|l| ("labels", l)));
    lines.extend(pairs(&meta["annotations"]).map(|a| ("annotations", a)));
    let owners = meta["ownerReferences"].as_array().into_iter().flatten();
    lines.extend(owners.filter_map(|o| Some(("owner", reference(o["kind"].as_str()?, o["name"].as_str()?)))));
    lines.extend(ago("creationTimestamp").map(|age| ("age", age)));
    lines.extend(text("uid").map(|uid| ("uid", uid)));
    lines.extend(ago("deletionTimestamp").map(|age| {
        let held: Vec<&str> = meta["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let by = if held.is_empty() { String::new() } else { format!(", held by {}", held.join(", ")) };
        ("deleting", format!("for {age}{by}"))
    }));
    lines
}

/// `a=b, c=d`; what kubectl keeps for itself among annotations says nothing to people.
fn pairs(map: &Value) -> Option<String> {
    let map = map.as_object()?.iter().filter(|(key, _)| *key != "kubectl.kubernetes.io/last-applied-configuration");
    let pairs: Vec<String> = map.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    (!pairs.is_empty()).then(|| pairs.join(", "))
}

/// Sizes instead of secrets.
fn hide_values(object: &mut Map<String, Value>) {
    for key in ["data", "stringData"] {
        let Some(Value::Object(data)) = object.get_mut(key) else { continue };
        for value in data.values_mut() {
            let encoded = value.as_str().unwrap_or_default();
            let length = encoded.len() / 4 * 3 - encoded.bytes().rev().take_while(|b| *b == b'=').count().min(2);
            *value = Value::String(format!("{length} bytes"));
        }
    }
}

/// `spec` as `Spec`.
fn title(key: &str) -> String {
    let mut letters = key.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// A value as YAML, two columns in; nothing for nothing.
fn indented(value: &Value) -> Result<String, Failure> {
    let empty = match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    if empty {
        return Ok(String::new());
    }
    let text = document(Format::Yaml, value)?;
    Ok(text.lines().map(|line| format!("  {}\n", printable(line))).collect())
}

fn condition_table(conditions: Option<&Value>, palette: Palette, now: Timestamp) -> String {
    let rows: Vec<Vec<String>> = conditions
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|c| {
            let text = |key: &str| c[key].as_str().unwrap_or_default().to_owned();
            let age = c["lastTransitionTime"].as_str().and_then(|t| t.parse().ok()).map(|t| since(t, now));
            vec![String::new(), text("type"), text("status"), text("reason"), age.unwrap_or_default(), text("message")]
        })
        .collect();
    table(&["", "CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"], &rows, palette)
}

fn event_table(events: &[Value], palette: Palette, now: Timestamp) -> String {
    let rows: Vec<Vec<String>> = events
        .iter()
        .map(|e| {
            let text = |pointer: &str| e.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let count = e["series"]["count"].as_i64().or(e["count"].as_i64()).filter(|n| *n > 1);
            let age = happened(e).map(|t| since(t, now)).unwrap_or_default();
            let age = count.map_or(age.clone(), |n| format!("{age} (x{n})"));
            let from = Some(text("/reportingComponent"))
                .filter(|f| !f.is_empty())
                .unwrap_or_else(|| text("/source/component"));
            vec![String::new(), age, text("/type"), text("/reason"), from, text("/message")]
        })
        .collect();
    table(&["", "LAST SEEN", "TYPE", "REASON", "FROM", "MESSAGE"], &rows, palette)
}

/// A table whose empty first column is the indentation.
fn table(header: &[&str], rows: &[Vec<String>], palette: Palette) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let header: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
    // Three columns are wide for an indentation; two are what the rest has.
    let text = Layout::new(palette).text(Some(&header), rows);
    text.lines().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::kinds::tests::kinds;
    use serde_json::json;

    fn describe(word: &str, object: Value, events: &[Value]) -> String {
        let now = "2026-01-01T00:10:00Z".parse().unwrap();
        page(kinds().one(word).unwrap(), &object, events, Palette::Plain, now).unwrap()
    }

    #[test]
    fn a_page_tells_what_it_should_be_what_it_is_and_what_happened() {
        let object = json!({
            "apiVersion": "regatta.dev/v1alpha1", "kind": "Agent",
            "metadata": {"name": "fix", "namespace": "default", "uid": "u-1", "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"team": "core"}, "finalizers": ["regatta.dev/agent"],
                "deletionTimestamp": "2026-01-01T00:09:00Z"},
            "spec": {"adapter": "shell", "prompt": {"text": "be\u{1b}[31m good"}},
            "status": {"activity": "Stopped", "effective": {"adapter": "shell", "logMaxBytes": 1,
                    "onDelete": {"branch": "Keep", "worktree": "Keep"}, "restart": {"policy": "Never"},
                    "terminal": {"cols": 80, "rows": 24}},
                "conditions": [{"type": "Ready", "status": "False", "reason": "Stopped", "message": "told to",
                    "lastTransitionTime": "2026-01-01T00:05:00Z"}]}});
        let event = json!({"lastTimestamp": "2026-01-01T00:07:00Z", "type": "Normal", "reason": "Placed", "count": 3,
            "source": {"component": "placement"}, "message": "on host fermi"});
        let page = describe("agents", object, &[event]);
        for line in [
            "object     agent/fix (regatta.dev/v1alpha1)",
            "labels     team=core",
            "deleting   for 60s, held by regatta.dev/agent",
            "Spec",
            "  adapter: shell",
            "Effective",
            "  restart:",
            "  CONDITION   STATUS   REASON    SINCE   MESSAGE",
            "  Ready       False    Stopped   5m      told to",
            "  LAST SEEN   TYPE     REASON   FROM        MESSAGE",
            "  3m (x3)     Normal   Placed   placement   on host fermi",
            "  `regatta start fix` goes on",
        ] {
            assert!(page.lines().any(|l| l.trim_end() == line), "{line:?} in\n{page}");
        }
        assert!(!page.contains('\u{1b}'), "{page}");
    }

    #[test]
    fn secrets_show_their_sizes_only() {
        let page = describe("secrets", json!({"metadata": {"name": "s"}, "data": {"key": "aHVudGVyMg=="}}), &[]);
        assert!(page.contains("key: 7 bytes") && !page.contains("aHVudGVyMg"), "{page}");
    }

    #[test]
    fn an_event_happened_when_its_latest_field_says() {
        let at = |event: Value| happened(&event).map(|t| t.to_string());
        let new = json!({"eventTime": "2026-01-01T00:00:00.5Z", "lastTimestamp": null});
        assert_eq!(at(new).as_deref(), Some("2026-01-01T00:00:00.5Z"));
        let series =
            json!({"eventTime": "2026-01-01T00:00:00Z", "series": {"lastObservedTime": "2026-01-02T00:00:00Z"}});
        assert_eq!(at(series).as_deref(), Some("2026-01-02T00:00:00Z"));
        assert_eq!(at(json!({})), None);
    }
}
