//! A CEL expression compiled against a schema, and its evaluation under a budget.
//!
//! The interpreter has neither a type check nor a limit. So names and fields are checked here against the schema, and every loop gets a
//! meter: its condition becomes a call that pays for one turn and fails when the budget is used up. What a single call could blow up
//! (`replace`, `lists.range`, quadratic list functions) pays as well. Regular expressions are compiled once and kept.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use kube_cel::KubeCelExt;
use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::extractors::{Arguments, This};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, Value};

use super::node::{Additional, Kind, Node};
use super::pattern::Pattern;
use super::resource_child;

/// What one evaluation may cost, upstream's number. A unit is about one visited expression, some 50 ns: about a second at most.
const PER_EVALUATION: i64 = 10_000_000;
/// Parser and interpreter are recursive with large frames: a level of brackets takes some 100 KiB in a debug build. So sources and
/// expressions are bounded, and both run on a stack of their own where a thread's usual 2 MiB might not do. It costs only what is touched.
const MAX_SOURCE: usize = 16 << 10;
const MAX_BRACKETS: usize = 50;
const MAX_EXPRESSION_DEPTH: usize = 100;
const SHALLOW: usize = 16;
const STACK: usize = 256 << 20;
/// Regular expressions kept.
const MAX_PATTERNS: usize = 256;

#[derive(Debug)]
pub(super) struct Program {
    expression: IdedExpr,
    loops: Arc<[Loop]>,
    size: i64,
    depth: usize,
    pub uses_old: bool,
}

/// The price of one turn of a loop.
#[derive(Clone, Debug)]
struct Loop {
    /// Expressions visited in a turn.
    turn: i64,
    /// Those of them that take time in proportion to the value: comparisons, calls.
    linear: i64,
    /// Loops inside start anew at every turn: their numbers end here.
    first_inner: usize,
}

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    OverBudget,
    Error(String),
}

struct Meter {
    left: i64,
    /// Price of one linear operation on the value at hand.
    weight: i64,
    /// What each loop has put into the list it builds, in values.
    made: Vec<i64>,
    loops: Arc<[Loop]>,
}

thread_local! {
    static METER: RefCell<Meter> =
        RefCell::new(Meter { left: 0, weight: 1, made: Vec::new(), loops: Arc::from([]) });
}

/// Patterns that rules computed or wrote, compiled. Shared, because evaluations move between threads.
static PATTERNS: LazyLock<Mutex<HashMap<String, Arc<Pattern>>>> = LazyLock::new(Mutex::default);
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(functions);

impl Program {
    pub fn compile(source: &str, node: &Node, resource: bool, optional_old: bool) -> Result<Program, String> {
        if source.len() > MAX_SOURCE {
            return Err(format!("expression is longer than {MAX_SOURCE} bytes"));
        }
        if brackets(source) > MAX_BRACKETS {
            return Err(format!("expression has more than {MAX_BRACKETS} brackets inside each other"));
        }
        on_large_stack(|| Program::compile_here(source, node, resource, optional_old))
            .unwrap_or_else(|| Err("the expression cannot be parsed".to_owned()))
    }

    fn compile_here(source: &str, node: &Node, resource: bool, optional_old: bool) -> Result<Program, String> {
        let mut expression = Parser::new()
            .enable_optional_syntax(true)
            .parse(source)
            .map_err(|errors| errors.to_string().trim().to_owned())?;
        let depth = depth(&expression, 0);
        if depth > MAX_EXPRESSION_DEPTH {
            return Err(format!("expression is nested deeper than {MAX_EXPRESSION_DEPTH} levels"));
        }
        let old = if optional_old { Known::Nothing } else { Known::Node { node, resource } };
        let mut check =
            Check { scope: vec![("self", Known::Node { node, resource }), ("oldSelf", old)], uses_old: false };
        check.expression(&expression)?;
        let uses_old = check.uses_old;
        let mut loops = Vec::new();
        let cost = meter(&mut expression, &mut loops);
        Ok(Program { expression, loops: loops.into(), size: cost.nodes, depth, uses_old })
    }

    /// Runs the program; takes what it cost off the budget, which may become negative.
    pub fn run(&self, context: &Context<'_>, weight: i64, budget: &mut i64) -> Result<Value, Failure> {
        let limit = PER_EVALUATION.min(*budget);
        let run = || self.run_here(context, weight, limit);
        let broken =
            || Some((Err(Failure::Error("the expression cannot be evaluated on this value".to_owned())), limit));
        // The interpreter panics on a few inputs (dates out of range); a rule must not take the server down.
        let done = if self.depth > SHALLOW { on_large_stack(run) } else { catch_unwind(AssertUnwindSafe(run)).ok() };
        let Some((result, left)) = done.or_else(broken) else { return Err(Failure::OverBudget) };
        *budget -= limit - left;
        if left < 0 { Err(Failure::OverBudget) } else { result }
    }

    /// The result, and what is left of the limit.
    fn run_here(&self, context: &Context<'_>, weight: i64, limit: i64) -> (Result<Value, Failure>, i64) {
        METER.with_borrow_mut(|meter| {
            *meter = Meter {
                left: limit - self.size,
                weight,
                made: vec![0; self.loops.len()],
                loops: Arc::clone(&self.loops),
            };
        });
        let result = context.resolve(&self.expression).map_err(|error| {
            Failure::Error(match error {
                ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
                ExecutionError::NoSuchOverload => "no such overload".to_owned(),
                error => error.to_string(),
            })
        });
        (result, METER.with_borrow(|meter| meter.left))
    }
}

/// Runs `work` on a thread with a large stack; `None` when it panicked or there is no thread to be had.
fn on_large_stack<R: Send>(work: impl FnOnce() -> R + Send) -> Option<R> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("cel".to_owned()).stack_size(STACK);
        thread.spawn_scoped(scope, work).ok()?.join().ok()
    })
}

/// How deep brackets are nested in a source; those in strings count as well, which only errs on the safe side.
fn brackets(source: &str) -> usize {
    let (mut open, mut deepest) = (0usize, 0);
    for c in source.chars() {
        match c {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// Runs `use_it` with a context that has all functions and the given variables.
pub(super) fn with_variables<R>(variables: Vec<(&str, Value)>, use_it: impl FnOnce(&Context<'_>) -> R) -> R {
    let mut context = FUNCTIONS.new_inner_scope();
    for (name, value) in variables {
        context.add_variable_from_value(name, value);
    }
    use_it(&context)
}

fn charge(function: &str, price: i64) -> Result<(), ExecutionError> {
    METER.with_borrow_mut(|meter| {
        meter.left = meter.left.saturating_sub(price);
        if meter.left < 0 { Err(ExecutionError::function_error(function, "cost limit exceeded")) } else { Ok(()) }
    })
}

const TURN: &str = "@turn";
const SQUARE: &str = "@square";
const ITEM: &str = "@item";

/// Pays for one turn of loop `number`, and passes its condition on.
fn turn(condition: bool, number: i64) -> Result<bool, ExecutionError> {
    let price = METER.with_borrow_mut(|meter| {
        let Some((number, cost)) = usize::try_from(number).ok().and_then(|n| Some((n, meter.loops.get(n)?.clone())))
        else {
            return 0;
        };
        meter.made[cost.first_inner..number].fill(0);
        // What the loop has built so far is copied at every turn.
        cost.turn + cost.linear * meter.weight + meter.made[number] / 2
    });
    charge(TURN, price).map(|()| condition)
}

/// Notes what a turn of loop `number` adds to the list the loop builds.
fn item(value: Value, number: i64) -> Result<Value, ExecutionError> {
    let size = size(&value);
    METER.with_borrow_mut(|meter| {
        if let Some(made) = usize::try_from(number).ok().and_then(|number| meter.made.get_mut(number)) {
            *made += size;
        }
    });
    charge(ITEM, size).map(|()| value)
}

fn size(value: &Value) -> i64 {
    match value {
        Value::List(items) => 1 + items.iter().map(size).sum::<i64>(),
        Value::Map(map) => 1 + map.map.values().map(size).sum::<i64>(),
        Value::String(text) => 1 + text.len() as i64 / 64,
        _ => 1,
    }
}

/// Pays for a function that compares the items of a list with each other.
fn square(value: Value) -> Result<Value, ExecutionError> {
    if let Value::List(items) = &value {
        let length = items.len() as i64;
        charge(SQUARE, length + length * length / 16)?;
    }
    Ok(value)
}

fn with_pattern<R>(text: &str, use_it: impl FnOnce(&Pattern) -> R) -> Result<R, ExecutionError> {
    let known = || PATTERNS.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(text).cloned();
    let pattern = match found {
        Some(pattern) => pattern,
        None => {
            let pattern = Pattern::compile(text).map_err(|error| ExecutionError::function_error("matches", error))?;
            let pattern = Arc::new(pattern);
            let mut known = known();
            if known.len() >= MAX_PATTERNS {
                known.clear();
            }
            known.insert(text.to_owned(), Arc::clone(&pattern));
            pattern
        }
    };
    Ok(use_it(&pattern))
}

fn string(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn functions() -> Context<'static> {
    let mut context = Context::default().with_all();
    context.add_function(TURN, turn);
    context.add_function(SQUARE, square);
    context.add_function(ITEM, item);
    context.add_function("dyn", |value: Value| -> Result<Value, ExecutionError> { Ok(value) });
    context.add_function("matches", |This(text): This<Arc<String>>, pattern: Arc<String>| {
        with_pattern(&pattern, |pattern| pattern.matches(&text))
    });
    context.add_function("find", |This(text): This<Arc<String>>, pattern: Arc<String>| {
        with_pattern(&pattern, |pattern| string(pattern.regex().find(&text).map_or("", |found| found.as_str())))
    });
    context.add_function("findAll", |This(text): This<Arc<String>>, Arguments(args): Arguments| {
        let Some(Value::String(pattern)) = args.first() else {
            return Err(ExecutionError::function_error("findAll", "expected string pattern"));
        };
        let limit = match args.get(1) {
            Some(Value::Int(limit)) => usize::try_from(*limit).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        with_pattern(pattern, |pattern| {
            let found = pattern.regex().find_iter(&text).take(limit).map(|found| string(found.as_str()));
            Value::List(Arc::new(found.collect()))
        })
    });
    context.add_function("replace", |This(text): This<Arc<String>>, Arguments(args): Arguments| {
        let (Some(Value::String(from)), Some(Value::String(to))) = (args.first(), args.get(1)) else {
            return Err(ExecutionError::function_error("replace", "expected string arguments"));
        };
        let times = match args.get(2) {
            Some(Value::Int(times)) => usize::try_from(*times).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let matches = text.matches(from.as_str()).count().min(times);
        let size = text.len().saturating_add(matches.saturating_mul(to.len()));
        charge("replace", i64::try_from(size).unwrap_or(i64::MAX))?;
        Ok(string(&text.replacen(from.as_str(), to, times)))
    });
    context.add_function("lists.range", |length: i64| {
        if length < 0 {
            return Err(ExecutionError::function_error("lists.range", "range argument must be non-negative"));
        }
        charge("lists.range", length.saturating_mul(2))?;
        Ok(Value::List(Arc::new((0..length).map(Value::Int).collect())))
    });
    context
}

static KNOWN_FUNCTIONS: LazyLock<std::collections::HashSet<&'static str>> = LazyLock::new(|| {
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
enum Known<'n> {
    Nothing,
    Node {
        node: &'n Node,
        resource: bool,
    },
    /// The metadata of a resource: rules see its names only.
    Metadata,
}

struct Check<'n, 'e> {
    scope: Vec<(&'e str, Known<'n>)>,
    uses_old: bool,
}

impl<'n, 'e> Check<'n, 'e> {
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
                        .filter(|original| super::cel::escape(original) == name)
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

fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => Vec::new(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
                EntryExpr::StructField(field) => vec![&field.value],
            })
            .collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(all) => {
            vec![&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result]
        }
    }
}

fn depth(expression: &IdedExpr, so_far: usize) -> usize {
    if so_far > MAX_EXPRESSION_DEPTH {
        return so_far;
    }
    parts(expression).into_iter().map(|part| depth(part, so_far + 1)).max().unwrap_or(so_far)
}

#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: i64,
    linear: i64,
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.nodes += other.nodes;
        self.linear += other.linear;
    }
}

/// Puts meters into the loops of an expression; returns what one visit of it costs, its loops' turns aside.
fn meter(expression: &mut IdedExpr, loops: &mut Vec<Loop>) -> Cost {
    let mut cost = Cost { nodes: 1, linear: 0 };
    match &mut expression.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => {}
        Expr::List(list) => list.elements.iter_mut().for_each(|element| cost.add(meter(element, loops))),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        cost.add(meter(&mut entry.key, loops));
                        cost.add(meter(&mut entry.value, loops));
                    }
                    EntryExpr::StructField(field) => cost.add(meter(&mut field.value, loops)),
                }
            }
        }
        Expr::Select(select) => cost.add(meter(&mut select.operand, loops)),
        Expr::Call(call) => {
            if !matches!(call.func_name.as_str(), "_&&_" | "_||_" | "!_" | "_?_:_" | "_[_]") {
                cost.linear += 1;
            }
            for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                cost.add(meter(part, loops));
            }
            let square = matches!(
                call.func_name.as_str(),
                "distinct" | "sort" | "flatten" | "sets.contains" | "sets.equivalent" | "sets.intersects"
            ) || matches!(call.target.as_deref(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name == "sets");
            if square {
                let is_space =
                    matches!(call.target.as_deref(), Some(IdedExpr { expr: Expr::Ident(name), .. }) if name == "sets");
                let target = call.target.as_deref_mut().filter(|_| !is_space);
                target.into_iter().chain(&mut call.args).for_each(|part| wrap(part, SQUARE, Vec::new()));
            }
        }
        Expr::Comprehension(all) => {
            cost.add(meter(&mut all.iter_range, loops));
            cost.add(meter(&mut all.accu_init, loops));
            let first_inner = loops.len();
            let mut turn = meter(&mut all.loop_cond, loops);
            turn.add(meter(&mut all.loop_step, loops));
            cost.add(meter(&mut all.result, loops));
            let number = loops.len();
            loops.push(Loop { turn: turn.nodes, linear: turn.linear, first_inner });
            let literal = || IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Int((number as i64).into())) };
            wrap(&mut all.loop_cond, TURN, vec![literal()]);
            if matches!(all.accu_init.expr, Expr::List(_)) {
                added(&mut all.loop_step, &mut |element| wrap(element, ITEM, vec![literal()]));
            }
        }
    }
    cost
}

/// The elements a step adds to the list being built: `list + [element]`, perhaps under a condition.
fn added(step: &mut IdedExpr, see: &mut impl FnMut(&mut IdedExpr)) {
    let Expr::Call(call) = &mut step.expr else { return };
    match call.func_name.as_str() {
        "_?_:_" => call.args.iter_mut().skip(1).for_each(|branch| added(branch, see)),
        "_+_" => {
            if let Some(IdedExpr { expr: Expr::List(list), .. }) = call.args.get_mut(1) {
                list.elements.iter_mut().for_each(see);
            }
        }
        _ => {}
    }
}

/// Replaces an expression by a call with it as the first argument.
fn wrap(expression: &mut IdedExpr, function: &str, more: Vec<IdedExpr>) {
    let inner = std::mem::take(expression);
    let args = std::iter::once(inner).chain(more).collect();
    *expression = IdedExpr { id: 0, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }) };
}
