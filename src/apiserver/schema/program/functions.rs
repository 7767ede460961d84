//! The functions that rules call: upstream's, with those replaced that could take more time or memory than their arguments suggest.
//! Regular expressions are compiled once and kept.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use kube_cel::KubeCelExt;
use kube_cel::cel::extractors::{Arguments, This};
use kube_cel::cel::{Context, ExecutionError, Value};

use super::super::pattern::Pattern;
use super::meter::{ITEM, SQUARE, TURN, charge, item, square, turn};

/// Regular expressions kept.
const MAX_PATTERNS: usize = 256;

/// Patterns that rules computed or wrote, compiled. Shared, because evaluations move between threads.
static PATTERNS: LazyLock<Mutex<HashMap<String, Arc<Pattern>>>> = LazyLock::new(Mutex::default);
static FUNCTIONS: LazyLock<Context<'static>> = LazyLock::new(functions);

/// Runs `use_it` with a context that has all functions and the given variables.
pub(in super::super) fn with_variables<R>(variables: Vec<(&str, Value)>, use_it: impl FnOnce(&Context<'_>) -> R) -> R {
    let mut context = FUNCTIONS.new_inner_scope();
    for (name, value) in variables {
        context.add_variable_from_value(name, value);
    }
    use_it(&context)
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
