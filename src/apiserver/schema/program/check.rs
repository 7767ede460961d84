//! Whether the names, functions and fields in an expression exist: what a schema says about `self` is followed as far as it goes.

use std::collections::HashSet;
use std::sync::LazyLock;

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr};

use super::super::cel::escape;
use super::super::node::{Additional, Kind, Node};
use super::super::resource_child;

static KNOWN_FUNCTIONS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    "add asApproximateFloat asInteger base64.decode base64.encode bytes charAt cidr compareTo contains containsCIDR containsIP \
     distinct double duration dyn endsWith family find findAll first flatten format format.byte format.date format.datetime \
     format.dns1035Label format.dns1035LabelPrefix format.dns1123Label format.dns1123LabelPrefix format.dns1123Subdomain \
     format.dns1123SubdomainPrefix format.labelValue format.named format.qualifiedName format.uri format.uuid getDate \
     getDayOfMonth getDayOfWeek getDayOfYear getEscapedPath getFullYear getHost getHostname getHours getMilliseconds getMinutes \
     getMonth getPort getQuery getScheme getSeconds hasValue indexOf int ip ip.isCanonical isCIDR isCIDRv4 isCIDRv6 \
     isGlobalUnicast isGreaterThan isIP isIPv4 isIPv6 isInteger isLessThan isLinkLocalMulticast isLinkLocalUnicast isLoopback \
     isQuantity isSemver isSorted isURL isUnspecified join jsonpatch.escapeKey last lastIndexOf lists.range lowerAscii major \
     masked matches math.abs math.bitAnd math.bitNot math.bitOr math.bitShiftLeft math.bitShiftRight math.bitXor math.ceil \
     math.floor math.greatest math.isFinite math.isInf math.isNaN math.least math.round math.sign math.sqrt math.trunc max min \
     minor optional.none optional.of optional.ofNonZeroValue or orValue patch prefixLength quantity replace reverse semver \
     sets.contains sets.equivalent sets.intersects sign size slice sort split startsWith string strings.quote sub substring sum \
     timestamp trim uint upperAscii url validate value"
        .split_whitespace()
        .collect()
});

/// What is known of an expression's value.
#[derive(Clone, Copy)]
pub(super) enum Known<'n> {
    Nothing,
    Node {
        node: &'n Node,
        resource: bool,
    },
    /// The metadata of a resource: rules see its names only.
    Metadata,
}

pub(super) struct Check<'n, 'e> {
    scope: Vec<(&'e str, Known<'n>)>,
    uses_old: bool,
}

impl<'n, 'e> Check<'n, 'e> {
    /// Checks a whole rule; returns whether it looks at the old value.
    pub fn run(expression: &'e IdedExpr, new: Known<'n>, old: Known<'n>) -> Result<bool, String> {
        let mut check = Check { scope: vec![("self", new), ("oldSelf", old)], uses_old: false };
        check.expression(expression)?;
        Ok(check.uses_old)
    }

    fn variable(&mut self, name: &str) -> Option<Known<'n>> {
        let known = self.scope.iter().rev().find(|(known, _)| *known == name).map(|(_, known)| *known);
        self.uses_old |= name == "oldSelf" && known.is_some();
        known
    }

    fn expression(&mut self, expression: &'e IdedExpr) -> Result<Known<'n>, String> {
        match &expression.expr {
            Expr::Literal(_) => Ok(Known::Nothing),
            Expr::Unspecified => Err("expression is empty".to_owned()),
            Expr::Struct(_) => Err("messages cannot be constructed in rules".to_owned()),
            Expr::Ident(name) => {
                self.variable(name).ok_or_else(|| format!("undeclared reference to '{name}' (in container '')"))
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.expression(element)?;
                }
                Ok(Known::Nothing)
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.expression(&entry.key)?;
                            self.expression(&entry.value)?;
                        }
                        EntryExpr::StructField(field) => {
                            self.expression(&field.value)?;
                        }
                    }
                }
                Ok(Known::Nothing)
            }
            Expr::Select(select) => {
                let operand = self.expression(&select.operand)?;
                field(operand, &select.field)
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(comprehension) => {
                if comprehension.iter_var2.is_some() {
                    return Err("macros with two variables are not supported".to_owned());
                }
                let range = self.expression(&comprehension.iter_range)?;
                self.expression(&comprehension.accu_init)?;
                let item = match range {
                    Known::Node { node, .. } if node.kind == Kind::Array => items(node),
                    Known::Nothing | Known::Node { .. } | Known::Metadata => Known::Nothing,
                };
                let outer = self.scope.len();
                self.scope.push((&comprehension.iter_var, item));
                self.scope.push((&comprehension.accu_var, Known::Nothing));
                self.expression(&comprehension.loop_cond)?;
                self.expression(&comprehension.loop_step)?;
                let result = self.expression(&comprehension.result);
                self.scope.truncate(outer);
                result
            }
        }
    }

    fn call(&mut self, call: &'e CallExpr) -> Result<Known<'n>, String> {
        let known = |name: &str| KNOWN_FUNCTIONS.contains(name);
        let undeclared = |name: &str| format!("undeclared reference to '{name}' (in container '')");
        let mut of = Known::Nothing;
        match call.target.as_deref() {
            Some(IdedExpr { expr: Expr::Ident(space), .. })
                if known(&format!("{space}.{}", call.func_name)) && self.variable(space).is_none() => {}
            Some(target) => {
                self.expression(target)?;
                if !known(&call.func_name) {
                    return Err(undeclared(&call.func_name));
                }
            }
            None if call.func_name.starts_with(|c: char| c.is_ascii_alphabetic()) && !known(&call.func_name) => {
                return Err(undeclared(&call.func_name));
            }
            None => {}
        }
        for (i, argument) in call.args.iter().enumerate() {
            let known = self.expression(argument)?;
            if i == 0 {
                of = known;
            }
        }
        Ok(match (call.func_name.as_str(), of) {
            ("_[_]", Known::Node { node, .. }) if node.kind == Kind::Array => items(node),
            ("_[_]", Known::Node { node: Node { additional: Additional::Each(each), .. }, .. }) => {
                Known::Node { node: each, resource: each.embedded }
            }
            _ => Known::Nothing,
        })
    }
}

fn items(node: &Node) -> Known<'_> {
    match node.items.as_deref() {
        Some(items) => Known::Node { node: items, resource: items.embedded },
        None => Known::Nothing,
    }
}

fn field<'n>(operand: Known<'n>, name: &str) -> Result<Known<'n>, String> {
    let undefined = || Err(format!("undefined field '{name}'"));
    match operand {
        Known::Nothing => Ok(Known::Nothing),
        Known::Metadata => match name {
            "name" | "generateName" => Ok(Known::Nothing),
            _ => undefined(),
        },
        Known::Node { node, resource } => {
            if node.kind != Kind::Object || (resource && node.properties.is_empty()) {
                return Ok(Known::Nothing);
            }
            if resource && name == "metadata" {
                return Ok(Known::Metadata);
            }
            match &node.additional {
                Additional::Each(each) => Ok(Known::Node { node: each, resource: each.embedded }),
                Additional::Anything => Ok(Known::Nothing),
                Additional::None => {
                    let original = node.properties.keys().map(String::as_str).chain(["apiVersion", "kind"]);
                    let found = original
                        .filter(|original| escape(original) == name)
                        .find_map(|original| resource_child(node, original, resource));
                    match found {
                        Some(child) => Ok(Known::Node { node: child, resource: child.embedded }),
                        None if node.preserve => Ok(Known::Nothing),
                        None => undefined(),
                    }
                }
            }
        }
    }
}
