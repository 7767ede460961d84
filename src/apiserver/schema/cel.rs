//! Runs the rules of a schema over an object: `self` and `oldSelf` as rules see them, transition rules, ratcheting, messages, and one
//! budget for the whole object.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use kube_cel::cel::objects::{Key, Map, OptionalValue};
use kube_cel::cel::{self, Value as CelValue};
use serde_json::Value;

use super::format::Format;
use super::node::{Additional, Kind, Node};
use super::path::FieldPath;
use super::program::{Failure, with_variables};
use super::rule::{Reason, Rule};
use super::validate::correlated;
use super::{FieldError, MAX_DEPTH, resource_child, words};

/// What all rules of one object may cost together: a few times what one may.
const BUDGET: i64 = 20_000_000;
const MAX_MESSAGE: usize = 5 << 10;

pub(super) fn check(root: &Node, object: &Value, old: Option<&Value>, prefix: &str) -> Vec<FieldError> {
    let mut walk = Walk { path: FieldPath::new(prefix), errors: Vec::new(), budget: BUDGET, depth: 0 };
    walk.value(root, object, old, Unchanged::Unknown, true);
    walk.errors
}

/// Whether the nearest place above that had an old value still has it.
#[derive(Clone, Copy)]
enum Unchanged<'v> {
    Unknown,
    If(&'v Value, &'v Value),
}

/// The value that rules are about.
struct Subject<'v> {
    node: &'v Node,
    value: &'v Value,
    here: Unchanged<'v>,
    /// Price of an operation that takes time in proportion to the value.
    weight: i64,
}

struct Walk {
    path: FieldPath,
    errors: Vec<FieldError>,
    budget: i64,
    depth: usize,
}

impl Walk {
    fn value<'v>(&mut self, node: &Node, value: &'v Value, old: Option<&'v Value>, above: Unchanged<'v>, root: bool) {
        if !node.rules_below || value.is_null() || self.budget < 0 || self.depth == MAX_DEPTH {
            return;
        }
        self.depth += 1;
        let here = old.map_or(above, |old| Unchanged::If(old, value));
        self.rules(node, value, old.filter(|old| !old.is_null()), here, root || node.embedded);
        for nested in &node.all_of {
            self.value(nested, value, old, above, root);
        }
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let Some(child) = node.child(name) else { continue };
                    let old = old.and_then(|old| old.get(name));
                    let named = node.properties.contains_key(name);
                    let mark = if named { self.path.field(name) } else { self.path.key(name) };
                    self.value(child, field, old, here, false);
                    self.path.back(mark);
                }
            }
            Value::Array(items) => {
                if let Some(child) = &node.items {
                    for (i, item) in items.iter().enumerate() {
                        let mark = self.path.index(i);
                        self.value(child, item, correlated(&node.list, old, item), here, false);
                        self.path.back(mark);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        self.depth -= 1;
    }

    fn rules(&mut self, node: &Node, value: &Value, old: Option<&Value>, here: Unchanged<'_>, resource: bool) {
        let runs = |rule: &&Rule| old.is_some() || !rule.program.uses_old || rule.optional_old;
        let rules: Vec<&Rule> = node.rules.iter().filter(runs).collect();
        if rules.is_empty() || self.budget < 0 {
            return;
        }
        let size = count(value) + old.map_or(0, count);
        // Handing a value over costs about an eighth of a unit for each part of it.
        self.budget -= size / 8;
        let this = to_cel(Some(node), value, resource, 0);
        let before = old.map(|old| to_cel(Some(node), old, resource, 0));
        let mut plain = vec![("self", this.clone())];
        plain.extend(before.clone().map(|before| ("oldSelf", before)));
        let subject = Subject { node, value, here, weight: 1 + size / 256 };
        let optional: Vec<(&str, CelValue)> = if rules.iter().any(|rule| rule.optional_old) {
            let before = before.map_or_else(OptionalValue::none, OptionalValue::of);
            vec![("self", this), ("oldSelf", CelValue::Opaque(Arc::new(before)))]
        } else {
            Vec::new()
        };
        let (with_optional, without): (Vec<&Rule>, Vec<&Rule>) = rules.into_iter().partition(|rule| rule.optional_old);
        for (rules, variables) in [(without, plain), (with_optional, optional)] {
            if rules.is_empty() {
                continue;
            }
            with_variables(variables, |context| {
                for rule in rules {
                    if self.budget < 0 {
                        return;
                    }
                    self.rule(rule, &subject, context);
                }
            });
        }
    }

    fn rule(&mut self, rule: &Rule, subject: &Subject<'_>, context: &cel::Context<'_>) {
        let Subject { node, here, weight, .. } = *subject;
        let kind = Value::String(node.kind.name().to_owned());
        match rule.program.run(context, weight, &mut self.budget) {
            Ok(CelValue::Bool(true)) => {}
            Ok(CelValue::Bool(false)) => {
                let ratcheted = !rule.program.uses_old && matches!(here, Unchanged::If(old, new) if old == new);
                if !ratcheted {
                    self.failed(rule, subject, context);
                }
            }
            Ok(_) => self.broken(&kind, &format!("rule must evaluate to a bool: {}", rule.name)),
            Err(Failure::OverBudget) => {
                let why = format!(
                    "'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                    rule.name
                );
                self.broken(&kind, &why);
                self.budget = -1;
            }
            Err(Failure::Error(error)) if error.starts_with("no such overload") => {
                self.broken(&kind, &format!("'{error}': call arguments did not match a supported operator, function or macro signature for rule: {}", rule.name));
            }
            Err(Failure::Error(error)) => self.broken(&kind, &format!("{error} evaluating rule: {}", rule.name)),
        }
    }

    /// A rule that could not be decided.
    fn broken(&mut self, kind: &Value, detail: &str) {
        self.errors.push(words::invalid(self.path.as_str(), kind, detail));
    }

    fn failed(&mut self, rule: &Rule, subject: &Subject<'_>, context: &cel::Context<'_>) {
        let Subject { node, value, weight, .. } = *subject;
        let computed = rule.message_program.as_ref().and_then(|program| {
            // A message that cannot be computed gives way to the fixed one.
            let text = program.run(context, weight, &mut self.budget).ok()?;
            let CelValue::String(text) = text else { return None };
            let text = text.trim();
            let usable = !text.is_empty() && text.len() <= MAX_MESSAGE && !text.contains('\n');
            usable.then(|| text.to_owned())
        });
        let detail = computed.or_else(|| rule.message.clone()).unwrap_or_else(|| format!("failed rule: {}", rule.name));
        let mark = if rule.field_path.is_empty() { None } else { Some(self.path.field(&rule.field_path)) };
        let at = self.path.as_str();
        let shown = !matches!(node.kind, Kind::Object | Kind::Array);
        self.errors.push(match rule.reason {
            Reason::Invalid if shown => words::invalid(at, value, &detail),
            Reason::Invalid => words::invalid_omitted(at, &detail),
            Reason::Forbidden => words::forbidden(at, &detail),
            Reason::Required => words::required(at, &detail),
            Reason::Duplicate => words::duplicate(at, shown.then_some(value)),
        });
        if let Some(mark) = mark {
            self.path.back(mark);
        }
    }
}

fn count(value: &Value) -> i64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<i64>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<i64>(),
        Value::String(text) => 1 + text.len() as i64 / 64,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}

/// A field's name as rules write it: reserved words and characters that CEL cannot have in names are spelled out.
pub(super) fn escape(name: &str) -> String {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['.', '-', '/']) && !name.contains("__") {
        return name.to_owned();
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

fn text(text: &str) -> CelValue {
    CelValue::String(Arc::new(text.to_owned()))
}

fn key(name: String) -> Key {
    Key::String(Arc::new(name))
}

fn to_cel(node: Option<&Node>, value: &Value, resource: bool, depth: usize) -> CelValue {
    let kind = node.map_or(Kind::Any, |node| node.kind);
    match value {
        _ if depth == MAX_DEPTH => CelValue::Null,
        Value::Null => CelValue::Null,
        Value::Bool(bool) => CelValue::Bool(*bool),
        Value::Number(number) => match (kind, number.as_i64(), number.as_u64(), number.as_f64()) {
            (Kind::Number, _, _, Some(float)) => CelValue::Float(float),
            (_, Some(int), _, _) => CelValue::Int(int),
            (_, _, Some(uint), _) => CelValue::UInt(uint),
            (Kind::Integer | Kind::IntOrString, _, _, Some(float)) if float.fract() == 0.0 => {
                CelValue::Int(float as i64)
            }
            (_, _, _, float) => CelValue::Float(float.unwrap_or(f64::NAN)),
        },
        Value::String(string) => formatted(node.and_then(|node| node.format), string),
        Value::Array(items) => {
            let child = node.and_then(|node| node.items.as_deref());
            let items =
                items.iter().map(|item| to_cel(child, item, child.is_some_and(|child| child.embedded), depth + 1));
            CelValue::List(Arc::new(items.collect()))
        }
        Value::Object(fields) => {
            let is_map = node.is_some_and(|node| !matches!(node.additional, Additional::None));
            let mut out = HashMap::with_capacity(fields.len());
            for (name, field) in fields {
                if resource && name == "metadata" {
                    out.insert(key(name.clone()), metadata(field));
                    continue;
                }
                let child = node.and_then(|node| resource_child(node, name, resource));
                let embedded = child.is_some_and(|child| child.embedded);
                let name = if is_map { name.clone() } else { escape(name) };
                out.insert(key(name), to_cel(child, field, embedded, depth + 1));
            }
            CelValue::Map(Map { map: Arc::new(out) })
        }
    }
}

/// Of metadata rules see the names only, as upstream: the rest changes without anybody's doing.
fn metadata(value: &Value) -> CelValue {
    let named = ["name", "generateName"].into_iter();
    let fields = named.filter_map(|name| Some((key(name.to_owned()), text(value.get(name)?.as_str()?))));
    CelValue::Map(Map { map: Arc::new(fields.collect()) })
}

fn formatted(format: Option<Format>, string: &str) -> CelValue {
    let owned = || Arc::new(string.to_owned());
    // What does not parse stays a string; validation has refused it, or accepts a spelling CEL does not know.
    match format {
        Some(Format::DateTime) => cel::functions::timestamp(owned()).unwrap_or_else(|_| text(string)),
        Some(Format::Date) => {
            cel::functions::timestamp(Arc::new(format!("{string}T00:00:00Z"))).unwrap_or_else(|_| text(string))
        }
        Some(Format::Duration) => cel::functions::duration(owned()).unwrap_or_else(|_| text(string)),
        Some(Format::Byte) => match base64::engine::general_purpose::STANDARD.decode(string) {
            Ok(bytes) => CelValue::Bytes(Arc::new(bytes)),
            Err(_) => text(string),
        },
        _ => text(string),
    }
}
