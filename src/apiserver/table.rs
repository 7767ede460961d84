//! Tables, which is how `kubectl get` shows things: columns of the built-in kinds and of CustomResourceDefinitions.

use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::{Value, json};

use super::{
    jsonpath::JsonPath,
    object,
    reply::{self, Include},
    resource::Resource,
};

/// One column and how to fill it.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i32,
    cell: Cell,
}

#[derive(Clone, Debug)]
enum Cell {
    Name,
    /// Time since, as kubectl writes it.
    Since(&'static str),
    Path(JsonPath),
    Made(fn(&Value) -> Value),
}

impl Column {
    fn new(name: &str, cell: Cell) -> Column {
        Column {
            name: name.into(),
            kind: "string".into(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            cell,
        }
    }

    fn wide(self) -> Column {
        Column { priority: 1, ..self }
    }

    fn number(self) -> Column {
        Column { kind: "integer".into(), ..self }
    }

    /// A definition's columns behind the name; without any, the age.
    pub fn custom(columns: Vec<CustomResourceColumnDefinition>) -> Result<Vec<Column>, String> {
        if columns.is_empty() {
            return Ok(age_only());
        }
        let rest = columns.into_iter().map(|column| {
            Ok(Column {
                cell: Cell::Path(JsonPath::parse(&column.json_path)?),
                name: column.name,
                kind: column.type_,
                format: column.format.unwrap_or_default(),
                description: column.description.filter(|text| !text.is_empty()).unwrap_or_else(|| {
                    format!("Custom resource definition column (in JSONPath format): {}", column.json_path)
                }),
                priority: column.priority.unwrap_or(0),
            })
        });
        std::iter::once(Ok(name())).chain(rest).collect()
    }

    fn fill(&self, object: &Value, now: Timestamp) -> Value {
        match &self.cell {
            Cell::Name => object::name(object).into(),
            Cell::Since(path) => since(object::at(object, path), now),
            Cell::Made(make) => make(object),
            Cell::Path(path) => {
                let Some(value) = path.find(object).first().copied() else { return Value::Null };
                match (self.kind.as_str(), value) {
                    (_, Value::Null) => Value::Null,
                    ("date", value) => match value.as_str().and_then(|text| text.parse::<Timestamp>().ok()) {
                        Some(_) => since(Some(value), now),
                        None => "<invalid>".into(),
                    },
                    ("string", Value::String(_)) => value.clone(),
                    ("string", other) => other.to_string().into(),
                    ("integer", Value::Number(number)) => number.as_i64().map_or(Value::Null, Value::from),
                    ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
                    _ => Value::Null,
                }
            }
        }
    }
}

fn since(value: Option<&Value>, now: Timestamp) -> Value {
    match value.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(then) => human_duration(now.as_second() - then.as_second()).into(),
        None => "<unknown>".into(),
    }
}

/// A duration in kubectl's words: two units at most, fewer the longer it is.
fn human_duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let (days, years) = (hours / 24, hours / 24 / 365);
    let two = |big: i64, unit: char, small: i64, small_unit: char| match small {
        0 => format!("{big}{unit}"),
        small => format!("{big}{unit}{small}{small_unit}"),
    };
    match seconds {
        ..-1 => "<invalid>".into(),
        -1..0 => "0s".into(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        _ if days < 730 => format!("{days}d"),
        _ if years < 8 => two(years, 'y', days % 365, 'd'),
        _ => format!("{years}y"),
    }
}

/// The objects as a meta.k8s.io/v1 Table. `head`: with the columns' definitions.
pub fn table(resource: &Resource, objects: &[Value], include: Include, metadata: Value, head: bool) -> Value {
    let now = Timestamp::now();
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells: Vec<Value> = resource.columns.iter().map(|column| column.fill(object, now)).collect();
            let mut row = json!({"cells": cells});
            match include {
                Include::None => {}
                Include::Metadata => row["object"] = reply::partial(object),
                Include::Object => row["object"] = object.clone(),
            }
            row
        })
        .collect();
    let columns: Vec<Value> = resource
        .columns
        .iter()
        .map(|c| {
            json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority})
        })
        .collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": if head { columns } else { Vec::new() }, "rows": rows})
}

fn name() -> Column {
    Column { format: "name".into(), ..Column::new("Name", Cell::Name) }
}

fn age() -> Column {
    Column::new("Age", Cell::Since("metadata.creationTimestamp"))
}

fn made(title: &str, make: fn(&Value) -> Value) -> Column {
    Column::new(title, Cell::Made(make))
}

fn text_at(object: &Value, path: &str) -> Value {
    object::at(object, path).cloned().unwrap_or_else(|| "".into())
}

fn count_at(object: &Value, path: &str) -> usize {
    match object::at(object, path) {
        Some(Value::Array(list)) => list.len(),
        Some(Value::Object(map)) => map.len(),
        _ => 0,
    }
}

pub fn age_only() -> Vec<Column> {
    vec![name(), age()]
}

pub fn namespaces() -> Vec<Column> {
    vec![name(), made("Status", |object| text_at(object, "status.phase")), age()]
}

pub fn secrets() -> Vec<Column> {
    let data = made("Data", |object| count_at(object, "data").into()).number();
    vec![name(), made("Type", |object| text_at(object, "type")), data, age()]
}

pub fn configmaps() -> Vec<Column> {
    let data = |object: &Value| (count_at(object, "data") + count_at(object, "binaryData")).into();
    vec![name(), made("Data", data).number(), age()]
}

pub fn serviceaccounts() -> Vec<Column> {
    vec![name(), made("Secrets", |object| count_at(object, "secrets").into()).number(), age()]
}

pub fn leases() -> Vec<Column> {
    vec![name(), made("Holder", |object| text_at(object, "spec.holderIdentity")), age()]
}

pub fn created_at() -> Vec<Column> {
    vec![name(), made("Created At", |object| text_at(object, "metadata.creationTimestamp"))]
}

pub fn bindings() -> Vec<Column> {
    let role = |object: &Value| {
        let part = |field: &str| text_at(object, field).as_str().unwrap_or_default().to_string();
        Value::from(format!("{}/{}", part("roleRef.kind"), part("roleRef.name")))
    };
    fn subjects(object: &Value, kind: &str) -> Value {
        let subjects = object::at(object, "subjects").and_then(Value::as_array);
        let of_kind = subjects.into_iter().flatten().filter(|subject| subject["kind"] == kind);
        let names = of_kind.filter_map(|subject| {
            let name = subject["name"].as_str()?;
            Some(subject["namespace"].as_str().map_or_else(|| name.to_string(), |ns| format!("{ns}/{name}")))
        });
        names.collect::<Vec<_>>().join(", ").into()
    }
    vec![
        name(),
        made("Role", role),
        age(),
        made("Users", |object| subjects(object, "User")).wide(),
        made("Groups", |object| subjects(object, "Group")).wide(),
        made("ServiceAccounts", |object| subjects(object, "ServiceAccount")).wide(),
    ]
}

/// An event in either shape.
pub fn events() -> Vec<Column> {
    fn either(object: &Value, core: &str, new: &str) -> Value {
        object::at(object, core).or_else(|| object::at(object, new)).cloned().unwrap_or_else(|| "".into())
    }
    fn time(object: &Value, paths: &[&str]) -> Value {
        let found = paths.iter().find_map(|path| object::at(object, path).filter(|time| !time.is_null()));
        since(found, Timestamp::now())
    }
    fn last_seen(object: &Value) -> Value {
        time(
            object,
            &[
                "series.lastObservedTime",
                "lastTimestamp",
                "deprecatedLastTimestamp",
                "eventTime",
                "firstTimestamp",
                "metadata.creationTimestamp",
            ],
        )
    }
    fn first_seen(object: &Value) -> Value {
        time(object, &["firstTimestamp", "deprecatedFirstTimestamp", "eventTime", "metadata.creationTimestamp"])
    }
    fn subject(object: &Value) -> Value {
        let part = |field: &str| {
            let value = either(object, &format!("involvedObject.{field}"), &format!("regarding.{field}"));
            value.as_str().unwrap_or_default().to_string()
        };
        let (kind, name) = (part("kind").to_lowercase(), part("name"));
        if name.is_empty() { kind.into() } else { format!("{kind}/{name}").into() }
    }
    fn source(object: &Value) -> Value {
        let component = either(object, "source.component", "deprecatedSource.component");
        let component = match component.as_str() {
            Some("") | None => either(object, "reportingComponent", "reportingController"),
            Some(_) => component,
        };
        let host = either(object, "source.host", "reportingInstance");
        let parts: Vec<&str> =
            [component.as_str(), host.as_str()].into_iter().flatten().filter(|part| !part.is_empty()).collect();
        parts.join(", ").into()
    }
    fn count(object: &Value) -> Value {
        let count = object::at(object, "series.count").or_else(|| object.get("count"));
        let count = count.or_else(|| object.get("deprecatedCount")).and_then(Value::as_i64).unwrap_or(1);
        count.max(1).into()
    }
    vec![
        made("Last Seen", last_seen),
        made("Type", |object| text_at(object, "type")),
        made("Reason", |object| text_at(object, "reason")),
        made("Object", subject),
        made("Subobject", |object| either(object, "involvedObject.fieldPath", "regarding.fieldPath")).wide(),
        made("Source", source).wide(),
        made("Message", |object| match either(object, "message", "note").as_str() {
            Some(message) => message.trim().into(),
            None => Value::Null,
        }),
        made("First Seen", first_seen).wide(),
        made("Count", count).number().wide(),
        name().wide(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_kubectl_writes_them() {
        for (seconds, text) in [
            (5, "5s"),
            (119, "119s"),
            (125, "2m5s"),
            (600, "10m"),
            (3 * 3600 + 120, "3h2m"),
            (40 * 3600, "40h"),
            (49 * 3600, "2d1h"),
            (20 * 86400, "20d"),
            (-30, "<invalid>"),
        ] {
            assert_eq!(human_duration(seconds), text);
        }
    }
}
