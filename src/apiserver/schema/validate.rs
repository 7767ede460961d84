//! Values against types, limits, enums, patterns, formats and combinations of schemas. No rules (see `cel`), no uniqueness (see `unique`).
//!
//! Ratcheting: where the old value is known and equal, the errors of that part are dropped, so that a schema may become stricter
//! without locking objects that already break it.

use serde_json::{Map, Number, Value, json};

use super::format::Format;
use super::node::{Additional, Kind, Limits, ListType, Node};
use super::path::FieldPath;
use super::{FieldError, MAX_DEPTH, builtin, words};

/// Everything wrong with a whole object, its type and metadata included.
pub(super) fn object(root: &Node, object: &Value, old: Option<&Value>, prefix: &str) -> Vec<FieldError> {
    let mut walk = Walk { path: FieldPath::new(prefix), prefix, errors: Vec::new(), depth: 0 };
    walk.node(root, object, old, true);
    walk.errors
}

/// Everything wrong with a value somewhere in an object, such as a default.
pub(super) fn value(node: &Node, value: &Value) -> Vec<FieldError> {
    let mut walk = Walk { path: FieldPath::default(), prefix: "", errors: Vec::new(), depth: 0 };
    walk.node(node, value, None, false);
    walk.errors
}

/// The item of `old` that is the same item as `item`; only list maps can tell.
pub(super) fn correlated<'v>(list: &ListType, old: Option<&'v Value>, item: &Value) -> Option<&'v Value> {
    let ListType::Map(keys) = list else { return None };
    old?.as_array()?.iter().find(|candidate| keys.iter().all(|key| candidate.get(key) == item.get(key)))
}

struct Walk<'p> {
    path: FieldPath,
    prefix: &'p str,
    errors: Vec<FieldError>,
    depth: usize,
}

impl Walk<'_> {
    fn node(&mut self, node: &Node, value: &Value, old: Option<&Value>, resource: bool) {
        if self.depth == MAX_DEPTH {
            self.errors
                .push(words::invalid_omitted(self.path.as_str(), &format!("nested deeper than {MAX_DEPTH} levels")));
            return;
        }
        self.depth += 1;
        let before = self.errors.len();
        self.unratcheted(node, value, old, resource);
        if self.errors.len() > before && old == Some(value) {
            self.errors.truncate(before);
        }
        self.depth -= 1;
    }

    fn unratcheted(&mut self, node: &Node, value: &Value, old: Option<&Value>, resource: bool) {
        self.typed(node, value);
        if value.is_null() {
            self.options(node, value);
            return;
        }
        self.combinations(node, value, old);
        match value {
            Value::String(text) => self.string(node, text, value),
            Value::Number(number) => self.number(node, number, value),
            Value::Array(items) => self.array(node, items, old),
            Value::Null | Value::Bool(_) | Value::Object(_) => {}
        }
        self.options(node, value);
        if let Value::Object(fields) = value {
            self.object(node, fields, old, resource);
        }
    }

    fn typed(&mut self, node: &Node, value: &Value) {
        let found = match value {
            Value::Null if node.nullable => return,
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let whole = || value.as_f64().is_some_and(|float| float.fract() == 0.0 && float.abs() < 9.0e15);
        let fits = match node.kind {
            Kind::Any => true,
            Kind::IntOrString => found == "string" || found == "integer" || (found == "number" && whole()),
            Kind::Integer => found == "integer" || (found == "number" && whole()),
            Kind::Number => found == "integer" || found == "number",
            Kind::Object | Kind::Array | Kind::String | Kind::Boolean => found == node.kind.name(),
        };
        if !fits {
            let at = self.path.as_str();
            let detail = format!("{at} in body must be of type {}: {}", node.kind.name(), words::quote(found));
            self.errors.push(words::wrong_type(at, found, &detail));
        }
    }

    fn combinations(&mut self, node: &Node, value: &Value, old: Option<&Value>) {
        let at = words::quote(self.path.as_str());
        if !node.any_of.is_empty() {
            let results: Vec<Vec<FieldError>> = node.any_of.iter().map(|one| self.apart(one, value, old)).collect();
            if results.iter().all(|errors| !errors.is_empty()) {
                self.whole(&format!("{at} must validate at least one schema (anyOf)"));
                self.best(results);
            }
        }
        if !node.one_of.is_empty() {
            let results: Vec<Vec<FieldError>> = node.one_of.iter().map(|one| self.apart(one, value, old)).collect();
            match results.iter().filter(|errors| errors.is_empty()).count() {
                1 => {}
                0 => {
                    self.whole(&format!("{at} must validate one and only one schema (oneOf). Found none valid"));
                    self.best(results);
                }
                several => self.whole(&format!(
                    "{at} must validate one and only one schema (oneOf). Found {several} valid alternatives"
                )),
            }
        }
        if !node.all_of.is_empty() {
            let results: Vec<Vec<FieldError>> = node.all_of.iter().map(|one| self.apart(one, value, old)).collect();
            let valid = results.iter().filter(|errors| errors.is_empty()).count();
            self.errors.extend(results.into_iter().flatten());
            if valid != node.all_of.len() {
                let more = if valid == 0 { ". None validated" } else { "" };
                self.whole(&format!("{at} must validate all the schemas (allOf){more}"));
            }
        }
        if let Some(not) = &node.not
            && self.apart(not, value, old).is_empty()
        {
            self.whole(&format!("{at} must not validate the schema (not)"));
        }
    }

    /// The errors of one alternative, kept apart from the others'.
    fn apart(&mut self, node: &Node, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
        let outer = std::mem::take(&mut self.errors);
        self.unratcheted(node, value, old, false);
        std::mem::replace(&mut self.errors, outer)
    }

    /// Of several failed alternatives the one that came closest.
    fn best(&mut self, results: Vec<Vec<FieldError>>) {
        self.errors.extend(results.into_iter().min_by_key(Vec::len).into_iter().flatten());
    }

    /// Errors about combinations carry no path of their own upstream.
    fn whole(&mut self, detail: &str) {
        self.errors.push(words::invalid(self.prefix, &json!(""), detail));
    }

    fn invalid(&mut self, value: &Value, rest: &str) {
        let at = self.path.as_str();
        self.errors.push(words::invalid(at, value, &format!("{at} in body {rest}")));
    }

    fn string(&mut self, node: &Node, text: &str, value: &Value) {
        if let Some(format) = node.format.filter(|format| !format.accepts(text)) {
            let at = self.path.as_str();
            let detail = format!("{at} in body must be of type {}: {}", format.name(), words::quote(text));
            self.errors.push(words::wrong_type(at, text, &detail));
        }
        if let Some(limits) = &node.limits {
            let length = || text.chars().count() as i64;
            if let Some(max) = limits.max_length.filter(|max| text.len() as i64 > *max && length() > *max) {
                self.errors.push(words::too_long(self.path.as_str(), max));
                return;
            }
            if let Some(min) = limits.min_length.filter(|min| length() < *min) {
                self.invalid(value, &format!("should be at least {min} chars long"));
                return;
            }
        }
        if let Some(pattern) = node.pattern.as_ref().filter(|pattern| !pattern.matches(text)) {
            self.invalid(value, &format!("should match '{}'", pattern.source));
        }
    }

    fn number(&mut self, node: &Node, number: &Number, value: &Value) {
        let float = number.as_f64().unwrap_or(f64::NAN);
        let out_of_range = match node.format {
            Some(Format::Int32) => {
                number.as_i64().is_some_and(|int| i32::try_from(int).is_err())
                    || number.is_u64() && number.as_i64().is_none()
            }
            Some(Format::Int64) => number.is_u64() && number.as_i64().is_none(),
            Some(Format::Float) => float.abs() > f64::from(f32::MAX),
            _ => false,
        };
        if let Some(format) = node.format.filter(|_| out_of_range) {
            self.whole(&format!(
                "Checked value must be of type {} with format {} in {}",
                node.kind.name(),
                format.name(),
                self.path.as_str()
            ));
        }
        let Some(limits) = &node.limits else { return };
        let Limits { maximum, exclusive_maximum, minimum, exclusive_minimum, multiple_of, .. } = &**limits;
        let compare = |limit: f64| match number.as_i64() {
            // Exact where both are whole: a float cannot tell big integers apart.
            Some(int) if limit.fract() == 0.0 && limit.abs() < 9.2e18 => int.cmp(&(limit as i64)),
            _ => float.partial_cmp(&limit).unwrap_or(std::cmp::Ordering::Equal),
        };
        if let Some(factor) = multiple_of.filter(|factor| *factor > 0.0) {
            let ratio = float / factor;
            if (ratio - ratio.round()).abs() > 1e-9 * ratio.abs().max(1.0) {
                self.invalid(value, &format!("should be a multiple of {}", words::go_float(factor)));
            }
        }
        if let Some(min) = *minimum {
            let order = compare(min);
            if order.is_lt() || (*exclusive_minimum && order.is_eq()) {
                let words = if *exclusive_minimum { "greater than" } else { "greater than or equal to" };
                self.invalid(value, &format!("should be {words} {}", words::go_float(min)));
            }
        }
        if let Some(max) = *maximum {
            let order = compare(max);
            if order.is_gt() || (*exclusive_maximum && order.is_eq()) {
                let words = if *exclusive_maximum { "less than" } else { "less than or equal to" };
                self.invalid(value, &format!("should be {words} {}", words::go_float(max)));
            }
        }
    }

    fn array(&mut self, node: &Node, items: &[Value], old: Option<&Value>) {
        if let Some(child) = &node.items {
            for (i, item) in items.iter().enumerate() {
                let mark = self.path.index(i);
                self.node(child, item, correlated(&node.list, old, item), false);
                self.path.back(mark);
            }
        }
        let Some(limits) = &node.limits else { return };
        if let Some(min) = limits.min_items.filter(|min| (items.len() as i64) < *min) {
            self.invalid(&json!(items.len()), &format!("should have at least {min} items"));
        }
        if let Some(max) = limits.max_items.filter(|max| items.len() as i64 > *max) {
            self.errors.push(words::too_many(self.path.as_str(), items.len(), max));
        }
    }

    fn options(&mut self, node: &Node, value: &Value) {
        if !node.options.is_empty() && !node.options.contains(value) {
            self.errors.push(words::not_supported(self.path.as_str(), value, &node.options));
        }
    }

    fn object(&mut self, node: &Node, fields: &Map<String, Value>, old: Option<&Value>, resource: bool) {
        if let Some(limits) = &node.limits {
            if let Some(min) = limits.min_properties.filter(|min| (fields.len() as i64) < *min) {
                self.invalid(&json!(fields.len()), &format!("should have at least {min} properties"));
            }
            if let Some(max) = limits.max_properties.filter(|max| fields.len() as i64 > *max) {
                self.errors.push(words::too_many(self.path.as_str(), fields.len(), max));
            }
        }
        for (name, field) in fields {
            let old_field = old.and_then(|old| old.get(name));
            let each = match &node.additional {
                Additional::Each(each) => Some(&**each),
                Additional::None | Additional::Anything => None,
            };
            let own = node.properties.get(name).or(each);
            // The schema may constrain metadata further, the server types it in any case.
            let server = (resource || node.embedded).then_some(name.as_str()).and_then(|name| match name {
                "metadata" => Some(builtin::object_meta()),
                "apiVersion" | "kind" if resource => Some(builtin::string()),
                _ => None,
            });
            let mark = self.path.field(name);
            for child in own.into_iter().chain(server) {
                self.node(child, field, old_field, false);
            }
            self.path.back(mark);
        }
        for name in node.required.iter().filter(|name| !fields.contains_key(*name)) {
            let mark = self.path.field(name);
            self.errors.push(words::required(self.path.as_str(), ""));
            self.path.back(mark);
        }
    }
}
