//! A CEL expression compiled against a schema, and its evaluation under a budget.
//!
//! The interpreter has neither a type check nor a limit. So names and fields are checked against the schema (`check`), and every loop
//! gets a meter that pays for its turns and stops it when the budget is used up (`meter`). Functions that could blow up by themselves
//! are replaced by ones that pay (`functions`).

mod check;
mod functions;
mod meter;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use kube_cel::cel::common::ast::{EntryExpr, Expr, IdedExpr};
use kube_cel::cel::parser::Parser;
use kube_cel::cel::{Context, ExecutionError, Value};

use self::check::{Check, Known};
pub(super) use self::functions::with_variables;
use self::meter::{Loop, meter};
use super::node::Node;

/// What one evaluation may cost, upstream's number. A unit is about one visited expression, some 50 ns: about a second at most.
const PER_EVALUATION: i64 = 10_000_000;
/// Parser and interpreter are recursive with large frames: a level of brackets takes some 100 KiB in a debug build. So sources and
/// expressions are bounded, and both run on a stack of their own where a thread's usual 2 MiB might not do. It costs only what is touched.
const MAX_SOURCE: usize = 16 << 10;
const MAX_BRACKETS: usize = 50;
const MAX_EXPRESSION_DEPTH: usize = 100;
const SHALLOW: usize = 16;
const STACK: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct Program {
    expression: IdedExpr,
    loops: Arc<[Loop]>,
    size: i64,
    depth: usize,
    pub uses_old: bool,
}

/// Why there is no result.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    OverBudget,
    Error(String),
}

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
        let uses_old = Check::run(&expression, Known::Node { node, resource }, old)?;
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
        meter::start(limit - self.size, weight, &self.loops);
        let result = context.resolve(&self.expression).map_err(|error| {
            Failure::Error(match error {
                ExecutionError::NoSuchKey(key) => format!("no such key: {key}"),
                ExecutionError::NoSuchOverload => "no such overload".to_owned(),
                error => error.to_string(),
            })
        });
        (result, meter::left())
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
