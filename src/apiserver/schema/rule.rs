//! `x-kubernetes-validations`: the rules of a CRD, compiled with it. A rule that cannot work is refused here, when the CRD is written,
//! not when the first object is.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};

use super::SchemaError;
use super::node::{Additional, ListType, Node};
use super::program::Program;

/// What kind of error a failed rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Invalid,
    Forbidden,
    Required,
    Duplicate,
}

#[derive(Debug)]
pub(in crate::apiserver) struct Rule {
    pub(super) program: Program,
    /// The message, or the rule itself.
    pub(super) name: String,
    pub(super) message: Option<String>,
    pub(super) message_program: Option<Program>,
    pub(super) reason: Reason,
    /// Below the value the rule is about, as paths are printed; empty for the value itself.
    pub(super) field_path: String,
    /// Whether `oldSelf` is an optional that may be none, rather than a reason not to run the rule.
    pub(super) optional_old: bool,
}

/// Where a schema stands, as far as rules care.
#[derive(Clone, Copy)]
struct Place {
    /// Whether the old value of this place can be found: not below lists that are not maps.
    correlatable: bool,
    resource: bool,
}

/// Compiles the rules of `props` and everything below into `root`, which was compiled from it.
pub(super) fn compile_tree(root: &mut Node, props: &JSONSchemaProps) -> Result<(), SchemaError> {
    compile(root, props, "openAPIV3Schema", Place { correlatable: true, resource: true })
}

fn compile(node: &mut Node, props: &JSONSchemaProps, path: &str, place: Place) -> Result<(), SchemaError> {
    let below = Place { resource: false, ..place };
    for (name, child) in props.properties.iter().flatten() {
        if let Some(node) = node.properties.get_mut(name) {
            compile(node, child, &format!("{path}.properties[{name}]"), below)?;
        }
    }
    if let (Additional::Each(each), Some(JSONSchemaPropsOrBool::Schema(child))) =
        (&mut node.additional, &props.additional_properties)
    {
        compile(each, child, &format!("{path}.additionalProperties"), below)?;
    }
    let is_list_map = matches!(node.list, ListType::Map(_));
    if let (Some(items), Some(JSONSchemaPropsOrArray::Schema(child))) = (&mut node.items, &props.items) {
        let below = Place { correlatable: place.correlatable && is_list_map, ..below };
        compile(items, child, &format!("{path}.items"), below)?;
    }
    for (i, (nested, child)) in node.all_of.iter_mut().zip(props.all_of.iter().flatten()).enumerate() {
        compile(nested, child, &format!("{path}.allOf[{i}]"), place)?;
    }
    let resource = place.resource || node.embedded;
    let mut rules = Vec::new();
    for (i, rule) in props.x_kubernetes_validations.iter().flatten().enumerate() {
        rules.push(one(node, rule, &format!("{path}.x-kubernetes-validations[{i}]"), Place { resource, ..place })?);
    }
    node.rules = rules;
    Ok(())
}

fn one(node: &Node, rule: &ValidationRule, path: &str, place: Place) -> Result<Rule, SchemaError> {
    let refuse = |field: &str, message: String| SchemaError::new(format!("{path}.{field}"), message);
    let text = rule.rule.trim();
    if text.is_empty() {
        return Err(refuse("rule", "rule is not specified".to_owned()));
    }
    let optional_old = rule.optional_old_self == Some(true);
    let compile = |source: &str| Program::compile(source, node, place.resource, optional_old);
    let program = compile(text).map_err(|error| refuse("rule", format!("compilation failed: {error}")))?;
    if program.uses_old && !place.correlatable && !optional_old {
        return Err(refuse("rule", "oldSelf cannot be used on the uncorrelatable portion of the schema: only items of lists of type map have an old value".to_owned()));
    }
    if optional_old && !program.uses_old {
        return Err(refuse("optionalOldSelf", "may not be set if oldSelf is not used in rule".to_owned()));
    }
    let message = rule.message.as_deref().map(str::trim).filter(|message| !message.is_empty()).map(str::to_owned);
    if message.as_deref().is_some_and(|message| message.contains('\n')) {
        return Err(refuse("message", "message must not contain line breaks".to_owned()));
    }
    if message.is_none() && text.contains('\n') && rule.message_expression.is_none() {
        return Err(refuse("message", "message must be specified if rule contains line breaks".to_owned()));
    }
    let message_program =
        match rule.message_expression.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(compile(text).map_err(|error| {
                refuse("messageExpression", format!("messageExpression compilation failed: {error}"))
            })?),
        };
    let reason = match rule.reason.as_deref() {
        None | Some("FieldValueInvalid") => Reason::Invalid,
        Some("FieldValueForbidden") => Reason::Forbidden,
        Some("FieldValueRequired") => Reason::Required,
        Some("FieldValueDuplicate") => Reason::Duplicate,
        Some(other) => return Err(refuse("reason", format!("Unsupported value: {other:?}"))),
    };
    let field_path = match rule.field_path.as_deref() {
        None | Some("") => String::new(),
        Some(text) => field_path(node, text)
            .map_err(|error| refuse("fieldPath", format!("fieldPath must be a valid path: {text:?} {error}")))?,
    };
    let name = message.clone().unwrap_or_else(|| text.to_owned());
    Ok(Rule { program, name, message, message_program, reason, field_path, optional_old })
}

/// Checks a path such as `.spec.labels['a.b']` against the schema, and prints it as errors do.
fn field_path(node: &Node, text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut current = node;
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = if let Some(after) = rest.strip_prefix("['") {
            let (name, after) = after.split_once("']").ok_or("lacks a closing bracket")?;
            (name.replace("\\'", "'"), after)
        } else if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            (after[..end].to_owned(), &after[end..])
        } else {
            return Err("expected [ or . at the start of each step".to_owned());
        };
        let named = current.properties.contains_key(&name);
        current = current.child(&name).ok_or("does not refer to a valid field")?;
        match (named, out.is_empty()) {
            (true, true) => out = name,
            (true, false) => out = format!("{out}.{name}"),
            (false, _) => out = format!("{out}[{name}]"),
        }
        rest = after;
    }
    Ok(out)
}
