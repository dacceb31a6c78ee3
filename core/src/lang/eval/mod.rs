//! The evaluator: forcing, calling, and the walk over code.
//!
//! One evaluator belongs to one thread, whose stack must be deep (see
//! `stack`): recursion in the program is recursion here.

mod call;
mod make;
mod operators;
mod sets;

use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};

use osbuild_store::StorePath;

use crate::lang::builtins::{self, Builtin};
use crate::lang::code::Expr;
use crate::lang::context::{Context, Contexts};
use crate::lang::error::{ErrorKind, Fault};
use crate::lang::heap::Heap;
use crate::lang::host::Host;
use crate::lang::regex::Regex;
use crate::lang::source::{Pos, SourceMap};
use crate::lang::stack;
use crate::lang::symbol::{Known, Sym, Symbols};
use crate::lang::value::{Closure, Env, State, Str, Thunk, Value};

pub type Eval<T = Value> = Result<T, Fault>;

/// As in Nix, where it is a setting.
const CALL_DEPTH_MAXIMUM: u32 = 10_000;

/// Ends an evaluation from another thread: the stack that is left becomes
/// none, which costs a running evaluation nothing to notice.
pub struct Brake {
    floor: &'static AtomicUsize,
    released: usize,
}

impl Brake {
    pub fn pull(&self) {
        self.floor.store(usize::MAX, Ordering::Relaxed);
    }

    /// The next evaluation runs freely.
    pub fn release(&self) {
        self.floor.store(self.released, Ordering::Relaxed);
    }
}

pub struct Evaluator {
    pub heap: Heap,
    pub symbols: Symbols,
    pub known: Known,
    pub contexts: Contexts,
    pub sources: SourceMap,
    pub host: Rc<dyn Host>,
    pub(super) globals: HashMap<Sym, Value>,
    pub(super) builtins: Value,
    pub(super) imports: HashMap<PathBuf, Value>,
    pub(super) regexes: HashMap<&'static [u8], Result<Rc<Regex>, String>>,
    /// Paths that coercion has copied to the store.
    pub(super) copied: HashMap<PathBuf, StorePath>,
    pub(super) empty: &'static Str,
    /// Whether functions and empty sets inside others wait like the rest, as
    /// Nix shows them when it prints what was evaluated and what was not.
    pub shows_laziness: bool,
    depth: u32,
    /// Shared with who may stop an evaluation, see [`Brake`].
    stack_floor: &'static AtomicUsize,
}

impl Evaluator {
    /// `further` are built-in functions beside the language's own: those that
    /// make derivations, which the language knows nothing of.
    pub fn new(host: Rc<dyn Host>, further: &'static [Builtin]) -> Self {
        let heap = Heap::new();
        let mut symbols = Symbols::new(heap);
        let known = Known::new(&mut symbols);
        let mut evaluator = Self {
            heap,
            symbols,
            known,
            contexts: Contexts::default(),
            sources: SourceMap::default(),
            host,
            globals: HashMap::new(),
            builtins: Value::Unset,
            imports: HashMap::new(),
            regexes: HashMap::new(),
            copied: HashMap::new(),
            empty: heap.cell(Str::flat(&[], Context::EMPTY)),
            shows_laziness: false,
            depth: 0,
            stack_floor: heap.cell(AtomicUsize::new(stack::floor())),
        };
        builtins::install(&mut evaluator, further);
        evaluator
    }

    /// For a thread that may have to end what is about to run.
    pub fn brake(&self) -> Brake {
        Brake { floor: self.stack_floor, released: stack::floor() }
    }

    /// Names that every program sees, without those of old (`__add`, …).
    pub fn global_names(&self) -> Vec<String> {
        let names = self.globals.keys().map(|name| self.symbols.display(*name));
        names.filter(|name| !name.starts_with("__")).collect()
    }

    /// Files are read anew when they are next imported.
    pub fn forget_files(&mut self) {
        self.imports.clear();
    }

    // Forcing.

    /// The value itself, evaluated if it was not yet.
    #[inline]
    pub fn force(&mut self, value: Value) -> Eval {
        match value {
            Value::Thunk(thunk) => self.force_thunk(thunk, Pos::NONE),
            value => Ok(value),
        }
    }

    #[inline]
    pub fn force_at(&mut self, value: Value, pos: Pos) -> Eval {
        match value {
            Value::Thunk(thunk) => self.force_thunk(thunk, pos),
            value => Ok(value),
        }
    }

    fn force_thunk(&mut self, thunk: &'static Thunk, pos: Pos) -> Eval {
        let before = thunk.state();
        let result = match before {
            State::Done(value) => return Ok(value),
            State::Failed(fault) => return Err(fault),
            State::Busy => {
                return self.fail(ErrorKind::InfiniteRecursion, "infinite recursion encountered", pos);
            }
            State::Code(code, env) => {
                self.check_stack(pos)?;
                thunk.set(State::Busy);
                self.eval(code, env)
            }
            State::Call(call) => {
                self.check_stack(pos)?;
                thunk.set(State::Busy);
                self.call(call.function, call.arguments, pos)
            }
        };
        match result {
            Ok(value) => {
                thunk.set(State::Done(value));
                Ok(value)
            }
            Err(fault) => {
                // What was interrupted may be tried again.
                let is_final = fault.kind() != ErrorKind::Interrupted;
                thunk.set(if is_final { State::Failed(fault) } else { before });
                Err(fault)
            }
        }
    }

    /// Code to be evaluated later, or its value where that costs nothing.
    #[inline]
    fn delay(&self, code: &'static Expr, env: &'static Env) -> Value {
        match code {
            Expr::Const(Value::Attrs(_)) | Expr::Lambda(_) if self.shows_laziness => self.thunk(code, env),
            Expr::Const(value) => *value,
            Expr::Lambda(lambda) => Value::Lambda(self.heap.cell(Closure { lambda, env })),
            Expr::Local { depth, slot, .. } => match env.at(*depth).slots[*slot as usize].get() {
                Value::Unset => self.thunk(code, env),
                value => value,
            },
            _ => self.thunk(code, env),
        }
    }

    #[inline]
    fn thunk(&self, code: &'static Expr, env: &'static Env) -> Value {
        Value::Thunk(self.heap.cell(Thunk::new(State::Code(code, env))))
    }

    pub fn scope(&self, up: Option<&'static Env>, slots: usize) -> &'static Env {
        let slots = self.heap.fill(slots, |_| Cell::new(Value::Unset));
        self.heap.cell(Env { up, slots })
    }

    // Evaluating.

    /// Evaluates code to a value that is no thunk.
    pub fn eval(&mut self, code: &'static Expr, env: &'static Env) -> Eval {
        match code {
            Expr::Const(value) => Ok(*value),
            Expr::Local { depth, slot, pos } => match env.at(*depth).slots[*slot as usize].get() {
                Value::Thunk(thunk) => self.force_thunk(thunk, *pos),
                value => Ok(value),
            },
            Expr::Apply { function, arguments, pos } => self.eval_apply(function, arguments, env, *pos),
            Expr::Select { base, path, default, pos } => self.eval_select(base, path, *default, env, *pos),
            Expr::Lambda(lambda) => Ok(Value::Lambda(self.heap.cell(Closure { lambda, env }))),
            Expr::If { condition, then, otherwise, pos } => {
                let branch = if self.eval_bool(condition, env, *pos)? { then } else { otherwise };
                self.eval(branch, env)
            }
            Expr::Let { bindings, body } => {
                let scope = self.open_scope(bindings, env);
                self.eval(body, scope)
            }
            Expr::Attrs(code) => self.eval_attrs(code, env),
            Expr::RecAttrs(code) => self.eval_rec_attrs(code, env),
            Expr::List(items) => {
                let items = self.heap.fill(items.len(), |i| self.delay(items[i], env));
                Ok(self.list_static(items))
            }
            Expr::Binary { operator, left, right, pos } => {
                self.eval_binary(*operator, left, right, env, *pos)
            }
            Expr::Interpolate { parts, path, pos } => self.eval_interpolate(parts, *path, env, *pos),
            Expr::With { name, depths, pos } => self.eval_with(*name, depths, env, *pos),
            Expr::OpenWith { namespace, body, .. } => {
                let scope = self.scope(Some(env), 1);
                scope.slots[0].set(self.delay(namespace, env));
                self.eval(body, scope)
            }
            Expr::HasAttr { base, path } => self.eval_has_attr(base, path, env),
            Expr::InheritFrom { slot, name, pos } => {
                let from = env.slots[*slot as usize].get();
                let from = self.force_at(from, *pos)?;
                let attrs = self.as_attrs(from, *pos)?;
                match attrs.get(*name) {
                    Some(attr) => self.force_at(attr.value, attr.pos),
                    None => Err(self.missing_attribute(*name, attrs, *pos)),
                }
            }
            Expr::Not(operand, pos) => Ok(Value::Bool(!self.eval_bool(operand, env, *pos)?)),
            Expr::Assert { condition, body, text, pos } => {
                if !self.eval_bool(condition, env, *pos)? {
                    return self.assertion_failed(condition, text, env, *pos);
                }
                self.eval(body, env)
            }
            Expr::CurPos(pos) => Ok(self.position(*pos)),
        }
    }

    fn eval_bool(&mut self, code: &'static Expr, env: &'static Env, pos: Pos) -> Eval<bool> {
        match self.eval(code, env)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(self.wrong_type("a Boolean", other, pos)),
        }
    }
}
