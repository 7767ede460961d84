//! What an evaluation costs. The condition of every loop becomes a call that pays for one turn and fails when the budget is used up;
//! what loops build, and functions that compare all items with each other, pay as well.

use std::cell::RefCell;
use std::sync::Arc;

use kube_cel::cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue};
use kube_cel::cel::{ExecutionError, Value};

/// The price of one turn of a loop.
#[derive(Clone, Debug)]
pub(super) struct Loop {
    /// Expressions visited in a turn.
    turn: i64,
    /// Those of them that take time in proportion to the value: comparisons, calls.
    linear: i64,
    /// Loops inside start anew at every turn: their numbers end here.
    first_inner: usize,
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

/// Sets the meter of this thread for one evaluation.
pub(super) fn start(left: i64, weight: i64, loops: &Arc<[Loop]>) {
    let meter = Meter { left, weight, made: vec![0; loops.len()], loops: Arc::clone(loops) };
    METER.set(meter);
}

/// What the evaluation has not used; negative when it wanted more.
pub(super) fn left() -> i64 {
    METER.with_borrow(|meter| meter.left)
}

pub(super) fn charge(function: &str, price: i64) -> Result<(), ExecutionError> {
    METER.with_borrow_mut(|meter| {
        meter.left = meter.left.saturating_sub(price);
        if meter.left < 0 { Err(ExecutionError::function_error(function, "cost limit exceeded")) } else { Ok(()) }
    })
}

pub(super) const TURN: &str = "@turn";
pub(super) const SQUARE: &str = "@square";
pub(super) const ITEM: &str = "@item";

/// Pays for one turn of loop `number`, and passes its condition on.
pub(super) fn turn(condition: bool, number: i64) -> Result<bool, ExecutionError> {
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
pub(super) fn item(value: Value, number: i64) -> Result<Value, ExecutionError> {
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
pub(super) fn square(value: Value) -> Result<Value, ExecutionError> {
    if let Value::List(items) = &value {
        let length = items.len() as i64;
        charge(SQUARE, length + length * length / 16)?;
    }
    Ok(value)
}

#[derive(Clone, Copy, Default)]
pub(super) struct Cost {
    pub nodes: i64,
    linear: i64,
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.nodes += other.nodes;
        self.linear += other.linear;
    }
}

/// Puts meters into the loops of an expression; returns what one visit of it costs, its loops' turns aside.
pub(super) fn meter(expression: &mut IdedExpr, loops: &mut Vec<Loop>) -> Cost {
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
