//! One node of a compiled structural schema, and its compilation from a CRD's JSONSchemaProps. Everything costly (regular
//! expressions, CEL programs) is compiled here, once; walking values is the business of the sibling files.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

use super::SchemaError;
use super::format::Format;
use super::pattern::Pattern;
use super::rule::{self, Rule};

/// What `type` and the int-or-string and preserve-unknown extensions together allow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::apiserver) enum Kind {
    /// No type given: nested value validations and free-form fields.
    #[default]
    Any,
    IntOrString,
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
}

impl Kind {
    /// The name upstream prints for what was expected.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Any => "",
            Kind::IntOrString => "integer,string",
            Kind::Object => "object",
            Kind::Array => "array",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Number => "number",
            Kind::Boolean => "boolean",
        }
    }
}

/// How the items of a list are told apart, by several writers and by several versions of one list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::apiserver) enum ListType {
    #[default]
    Atomic,
    Set,
    Map(Vec<String>),
}

/// What a map may hold beside its named properties.
#[derive(Debug, Default)]
pub(in crate::apiserver) enum Additional {
    #[default]
    None,
    Anything,
    Each(Box<Node>),
}

/// Numeric, length and count limits. Boxed in the node: most nodes have none.
#[derive(Debug, Default)]
pub(in crate::apiserver) struct Limits {
    pub maximum: Option<f64>,
    pub exclusive_maximum: bool,
    pub minimum: Option<f64>,
    pub exclusive_minimum: bool,
    pub multiple_of: Option<f64>,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
}

#[derive(Debug, Default)]
pub(in crate::apiserver) struct Node {
    pub kind: Kind,
    pub nullable: bool,
    pub preserve: bool,
    pub embedded: bool,
    pub properties: BTreeMap<String, Node>,
    pub additional: Additional,
    pub items: Option<Box<Node>>,
    pub list: ListType,
    pub atomic_map: bool,
    pub default: Option<Value>,
    pub limits: Option<Box<Limits>>,
    pub pattern: Option<Pattern>,
    pub format: Option<Format>,
    pub options: Vec<Value>,
    pub required: Vec<String>,
    pub all_of: Vec<Node>,
    pub any_of: Vec<Node>,
    pub one_of: Vec<Node>,
    pub not: Option<Box<Node>>,
    pub rules: Vec<Rule>,
    /// Whether this node or one below it has rules, so that objects without any are not walked for them.
    pub rules_below: bool,
    /// Likewise for sets and maps, whose items must be unique.
    pub unique_below: bool,
}

impl Node {
    /// The schema of the field or key `name`; `None` when the schema does not know it.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.properties.get(name).or(match &self.additional {
            Additional::Each(node) => Some(node),
            Additional::None | Additional::Anything => None,
        })
    }

    fn all_children(&self) -> impl Iterator<Item = &Node> {
        let each = match &self.additional {
            Additional::Each(node) => Some(&**node),
            Additional::None | Additional::Anything => None,
        };
        self.properties.values().chain(each).chain(self.items.as_deref()).chain(&self.all_of)
    }
}

/// Where in the schema a node stands; nested value validations may constrain but not type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Field,
    Nested,
    /// Directly under an int-or-string's `anyOf`, where `type` is allowed.
    NestedIntOrString,
}

pub(super) fn compile_root(props: &JSONSchemaProps) -> Result<Node, SchemaError> {
    let mut node = compile(props, "openAPIV3Schema", Place::Root)?;
    rule::compile_tree(&mut node, props)?;
    mark(&mut node);
    Ok(node)
}

fn mark(node: &mut Node) {
    let each = match &mut node.additional {
        Additional::Each(each) => Some(&mut **each),
        Additional::None | Additional::Anything => None,
    };
    for child in node.properties.values_mut().chain(each).chain(node.items.as_deref_mut()).chain(&mut node.all_of) {
        mark(child);
    }
    node.rules_below = !node.rules.is_empty() || node.all_children().any(|child| child.rules_below);
    node.unique_below = node.list != ListType::Atomic || node.all_children().any(|child| child.unique_below);
}

fn compile(props: &JSONSchemaProps, path: &str, place: Place) -> Result<Node, SchemaError> {
    let refuse = |field: &str, message: &str| SchemaError::new(format!("{path}.{field}"), message);
    forbid_unstructural(props, path)?;
    let int_or_string = props.x_kubernetes_int_or_string == Some(true);
    let preserve = props.x_kubernetes_preserve_unknown_fields == Some(true);
    let nested = matches!(place, Place::Nested | Place::NestedIntOrString);
    let kind = match props.type_.as_deref().unwrap_or_default() {
        "" if int_or_string => Kind::IntOrString,
        "" => Kind::Any,
        "object" => Kind::Object,
        "array" => Kind::Array,
        "string" => Kind::String,
        "integer" => Kind::Integer,
        "number" => Kind::Number,
        "boolean" => Kind::Boolean,
        other => return Err(refuse("type", &format!("Unsupported value: {other:?}"))),
    };
    match place {
        Place::Root if kind != Kind::Object => return Err(refuse("type", "must be object at the root")),
        Place::Field if kind == Kind::Any && !preserve => {
            return Err(refuse("type", "must not be empty for specified object fields"));
        }
        Place::Nested => forbid_in_nested(props, path, kind)?,
        Place::Root | Place::Field | Place::NestedIntOrString => {}
    }

    let below = if nested { Place::Nested } else { Place::Field };
    let mut properties = BTreeMap::new();
    for (name, child) in props.properties.iter().flatten() {
        properties.insert(name.clone(), compile(child, &format!("{path}.properties[{name}]"), below)?);
    }
    let additional = match &props.additional_properties {
        None => Additional::None,
        Some(JSONSchemaPropsOrBool::Bool(true)) => Additional::Anything,
        Some(JSONSchemaPropsOrBool::Bool(false)) => {
            return Err(refuse("additionalProperties", "must not be false"));
        }
        Some(JSONSchemaPropsOrBool::Schema(child)) => {
            Additional::Each(Box::new(compile(child, &format!("{path}.additionalProperties"), below)?))
        }
    };
    if !properties.is_empty() && !matches!(additional, Additional::None) {
        return Err(refuse("additionalProperties", "additionalProperties and properties are mutual exclusive"));
    }
    let items = match &props.items {
        None => None,
        Some(JSONSchemaPropsOrArray::Schema(child)) => Some(Box::new(compile(child, &format!("{path}.items"), below)?)),
        Some(JSONSchemaPropsOrArray::Schemas(_)) => {
            return Err(refuse("items", "items must be a schema object and not an array"));
        }
    };
    if kind == Kind::Array && items.is_none() && !nested {
        return Err(refuse("items", "must be specified"));
    }
    let embedded = props.x_kubernetes_embedded_resource == Some(true);
    if embedded && kind != Kind::Object {
        return Err(refuse("type", "must be object if x-kubernetes-embedded-resource is true"));
    }
    if embedded && !preserve && properties.is_empty() {
        return Err(refuse(
            "properties",
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
        ));
    }

    let nested_list = |list: &Option<Vec<JSONSchemaProps>>, name: &str| -> Result<Vec<Node>, SchemaError> {
        let place = if int_or_string { Place::NestedIntOrString } else { Place::Nested };
        let list = list.iter().flatten().enumerate();
        list.map(|(i, child)| compile(child, &format!("{path}.{name}[{i}]"), place)).collect()
    };
    let node = Node {
        kind,
        nullable: props.nullable == Some(true),
        preserve,
        embedded,
        additional,
        list: list_type(props, items.as_deref(), path)?,
        atomic_map: match props.x_kubernetes_map_type.as_deref() {
            None | Some("granular") => false,
            Some("atomic") => true,
            Some(other) => return Err(refuse("x-kubernetes-map-type", &format!("Unsupported value: {other:?}"))),
        },
        default: props.default.as_ref().map(|json| json.0.clone()),
        limits: limits(props),
        pattern: match props.pattern.as_deref() {
            None | Some("") => None,
            Some(text) => Some(Pattern::compile(text).map_err(|error| {
                refuse("pattern", &format!("must be a valid regular expression, but isn't: {error}"))
            })?),
        },
        format: props.format.as_deref().and_then(|name| Format::known(name, kind)),
        options: props.enum_.iter().flatten().map(|json| json.0.clone()).collect(),
        required: props.required.clone().unwrap_or_default(),
        all_of: nested_list(&props.all_of, "allOf")?,
        any_of: nested_list(&props.any_of, "anyOf")?,
        one_of: nested_list(&props.one_of, "oneOf")?,
        not: match &props.not {
            None => None,
            Some(child) => Some(Box::new(compile(child, &format!("{path}.not"), Place::Nested)?)),
        },
        properties,
        items,
        rules: Vec::new(),
        rules_below: false,
        unique_below: false,
    };
    if let Some(default) = &node.default {
        let errors = super::validate::value(&node, default);
        if let Some(first) = errors.into_iter().next() {
            return Err(refuse("default", &format!("must validate: {}", first.message)));
        }
    }
    Ok(node)
}

fn forbid_unstructural(props: &JSONSchemaProps, path: &str) -> Result<(), SchemaError> {
    let forbidden = [
        ("$ref", props.ref_path.is_some()),
        ("definitions", props.definitions.as_ref().is_some_and(|map| !map.is_empty())),
        ("dependencies", props.dependencies.as_ref().is_some_and(|map| !map.is_empty())),
        ("patternProperties", props.pattern_properties.as_ref().is_some_and(|map| !map.is_empty())),
        ("additionalItems", props.additional_items.is_some()),
        ("uniqueItems", props.unique_items == Some(true)),
    ];
    match forbidden.into_iter().find(|(_, present)| *present) {
        Some((field, _)) => Err(SchemaError::new(format!("{path}.{field}"), "is forbidden in a structural schema")),
        None => Ok(()),
    }
}

fn forbid_in_nested(props: &JSONSchemaProps, path: &str, kind: Kind) -> Result<(), SchemaError> {
    let forbidden = [
        ("type", kind != Kind::Any, "must be empty to be structural"),
        ("default", props.default.is_some(), "must be undefined to be structural"),
        ("nullable", props.nullable == Some(true), "must be false to be structural"),
        ("additionalProperties", props.additional_properties.is_some(), "must be undefined to be structural"),
        (
            "x-kubernetes-preserve-unknown-fields",
            props.x_kubernetes_preserve_unknown_fields == Some(true),
            "must be false to be structural",
        ),
        (
            "x-kubernetes-embedded-resource",
            props.x_kubernetes_embedded_resource == Some(true),
            "must be false to be structural",
        ),
        ("x-kubernetes-list-type", props.x_kubernetes_list_type.is_some(), "must be undefined to be structural"),
        ("x-kubernetes-map-type", props.x_kubernetes_map_type.is_some(), "must be undefined to be structural"),
    ];
    match forbidden.into_iter().find(|(_, present, _)| *present) {
        Some((field, _, message)) => Err(SchemaError::new(format!("{path}.{field}"), message)),
        None => Ok(()),
    }
}

fn list_type(props: &JSONSchemaProps, items: Option<&Node>, path: &str) -> Result<ListType, SchemaError> {
    let refuse = |field: &str, message: String| SchemaError::new(format!("{path}.{field}"), message);
    let keys = props.x_kubernetes_list_map_keys.clone().unwrap_or_default();
    match props.x_kubernetes_list_type.as_deref() {
        None | Some("atomic") if keys.is_empty() => Ok(ListType::Atomic),
        None | Some("atomic") => {
            Err(refuse("x-kubernetes-list-map-keys", "must be empty unless the list is a map".into()))
        }
        Some("set") => {
            let compound = items.is_some_and(|items| match items.kind {
                Kind::Object => !items.atomic_map,
                Kind::Array => items.list != ListType::Atomic,
                Kind::Any | Kind::IntOrString | Kind::String | Kind::Integer | Kind::Number | Kind::Boolean => false,
            });
            if compound {
                return Err(refuse("items", "must be a scalar or atomic as the item of a list of type set".into()));
            }
            Ok(ListType::Set)
        }
        Some("map") if keys.is_empty() => {
            Err(refuse("x-kubernetes-list-map-keys", "must not be empty if x-kubernetes-list-type is map".into()))
        }
        Some("map") => {
            let Some(items) = items.filter(|items| items.kind == Kind::Object) else {
                return Err(refuse(
                    "items.type",
                    "must be object if parent array's x-kubernetes-list-type is map".into(),
                ));
            };
            for key in &keys {
                let Some(field) = items.properties.get(key) else {
                    return Err(refuse(
                        "x-kubernetes-list-map-keys",
                        format!("entries must all be names of item properties: {key:?} is not"),
                    ));
                };
                if matches!(field.kind, Kind::Object | Kind::Array) {
                    return Err(refuse("x-kubernetes-list-map-keys", format!("{key:?} must be a scalar")));
                }
                if field.default.is_none() && !items.required.contains(key) {
                    return Err(refuse(
                        "items",
                        format!("{key:?} is in x-kubernetes-list-map-keys, so it must have a default or be required"),
                    ));
                }
            }
            Ok(ListType::Map(keys))
        }
        Some(other) => Err(refuse("x-kubernetes-list-type", format!("Unsupported value: {other:?}"))),
    }
}

fn limits(props: &JSONSchemaProps) -> Option<Box<Limits>> {
    let limits = Limits {
        maximum: props.maximum,
        exclusive_maximum: props.exclusive_maximum == Some(true),
        minimum: props.minimum,
        exclusive_minimum: props.exclusive_minimum == Some(true),
        multiple_of: props.multiple_of,
        max_length: props.max_length,
        min_length: props.min_length,
        max_items: props.max_items,
        min_items: props.min_items,
        max_properties: props.max_properties,
        min_properties: props.min_properties,
    };
    let counts = [
        limits.max_length,
        limits.min_length,
        limits.max_items,
        limits.min_items,
        limits.max_properties,
        limits.min_properties,
    ];
    let numbers = [limits.maximum, limits.minimum, limits.multiple_of];
    (counts.iter().any(Option::is_some) || numbers.iter().any(Option::is_some)).then(|| Box::new(limits))
}
