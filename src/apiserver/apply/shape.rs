//! What a schema says about ownership: which maps and lists are owned whole, and how list items are told apart.

use serde_json::{Map, Value};

use super::set::{Step, canonical};
use crate::apiserver::schema::{Additional, Kind, ListType, Node, resource_child};

/// The schema of a place in an object.
#[derive(Clone, Copy)]
pub(super) enum Shape<'s> {
    Known {
        node: &'s Node,
        resource: bool,
    },
    /// Not in the schema: maps granular, lists atomic, all the way down.
    Deduced,
}

static ATOMIC: ListType = ListType::Atomic;

impl<'s> Shape<'s> {
    pub fn root(node: &'s Node) -> Shape<'s> {
        Shape::Known { node, resource: true }
    }

    fn of(node: &'s Node) -> Shape<'s> {
        Shape::Known { node, resource: node.embedded }
    }

    /// The shape of a field; `Deduced` where the schema has none.
    pub fn field(self, name: &str) -> Shape<'s> {
        match self {
            Shape::Known { node, resource } => resource_child(node, name, resource).map_or(Shape::Deduced, Shape::of),
            Shape::Deduced => Shape::Deduced,
        }
    }

    /// Whether the schema names this field (rather than allowing any key).
    pub fn names(self, name: &str) -> bool {
        match self {
            Shape::Known { node, resource } => {
                node.properties.contains_key(name) || (resource && matches!(name, "metadata" | "apiVersion" | "kind"))
            }
            Shape::Deduced => false,
        }
    }

    /// Whether the schema has no place at all for this field.
    pub fn forbids(self, name: &str) -> bool {
        match self {
            Shape::Known { node, resource } => {
                let free = node.preserve
                    || node.kind == Kind::Any
                    || matches!(node.additional, Additional::Anything)
                    || (node.properties.is_empty() && matches!(node.additional, Additional::None));
                !free && resource_child(node, name, resource).is_none()
            }
            Shape::Deduced => false,
        }
    }

    pub fn items(self) -> Shape<'s> {
        match self {
            Shape::Known { node, .. } => node.items.as_deref().map_or(Shape::Deduced, Shape::of),
            Shape::Deduced => Shape::Deduced,
        }
    }

    pub fn is_atomic_map(self) -> bool {
        matches!(self, Shape::Known { node, .. } if node.atomic_map)
    }

    pub fn list(self) -> &'s ListType {
        match self {
            Shape::Known { node, .. } => &node.list,
            Shape::Deduced => &ATOMIC,
        }
    }

    /// Whether the schema itself says that this place is owned whole.
    pub fn is_declared_atomic(self) -> bool {
        match self {
            Shape::Known { node, .. } => node.atomic_map || (node.kind == Kind::Array && node.list == ListType::Atomic),
            Shape::Deduced => false,
        }
    }

    /// What the schema expects here, for an error; `None` when the value fits.
    pub fn mismatch(self, value: &Value) -> Option<&'static str> {
        let Shape::Known { node, .. } = self else { return None };
        let fits = match (node.kind, value) {
            (_, Value::Null) | (Kind::Any, _) => true,
            (Kind::Object, value) => value.is_object(),
            (Kind::Array, value) => value.is_array(),
            (Kind::String, value) => value.is_string(),
            (Kind::Integer | Kind::Number, value) => value.is_number(),
            (Kind::Boolean, value) => value.is_boolean(),
            (Kind::IntOrString, value) => value.is_number() || value.is_string(),
        };
        match (fits, node.kind) {
            (true, _) => None,
            (false, Kind::Object) => Some("map"),
            (false, Kind::Array) => Some("list"),
            (false, Kind::Integer | Kind::Number) => Some("numeric (int or float)"),
            (false, Kind::IntOrString) => Some("integer or string"),
            (false, kind) => Some(kind.name()),
        }
    }

    /// How an item of this list is named in a set; an error says why it has no name.
    pub fn item_step(self, index: usize, item: &Value) -> Result<Step, String> {
        match self.list() {
            ListType::Atomic => Ok(Step::Index(index)),
            ListType::Set => match item {
                Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
                Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
                Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
                scalar => Ok(Step::Value(canonical(scalar))),
            },
            ListType::Map(keys) => {
                let Value::Object(fields) = item else {
                    let what = if item.is_null() { "a null element" } else { "non-map elements" };
                    return Err(format!("associative list with keys may not have {what}"));
                };
                let mut named = Map::new();
                for key in keys {
                    let default = || match self.items().field(key) {
                        Shape::Known { node, .. } => node.default.as_ref(),
                        Shape::Deduced => None,
                    };
                    if let Some(value) = fields.get(key).or_else(default) {
                        named.insert(key.clone(), value.clone());
                    }
                }
                if named.is_empty() {
                    let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
                    return Err(format!(
                        "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                        keys.join(" ")
                    ));
                }
                Ok(Step::Key(canonical(&Value::Object(named))))
            }
        }
    }
}
