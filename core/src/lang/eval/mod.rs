//! The evaluator: forcing, calling, and the walk over code.
//!
//! One evaluator belongs to one thread, whose stack must be deep (see
//! `stack`): recursion in the program is recursion here.

mod call;
mod delay;
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
use crate::lang::lower::Scopes;
use crate::lang::regex::Regex;
use crate::lang::source::{Pos, SourceMap};
use crate::lang::stack;
use crate::lang::symbol::{FastMap, Known, Sym, Symbols};
use crate::lang::value::{Closure, Env, Items, Pending, State, Str, Thunk, Value};

pub(super) use delay::is_quick;

pub type Eval<T = Value> = Result<T, Fault>;

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
    pub(super) globals: FastMap<Sym, Value>,
    pub(super) builtins: Value,
    pub(super) imports: HashMap<PathBuf, Value>,
    pub(super) regexes: FastMap<&'static [u8], Result<Rc<Regex>, String>>,
    /// Code that thunks refer to by number.
    pub(super) codes: Vec<&'static Expr>,
    pub(super) scopes: Scopes,
    pub(super) globals_hash: Option<blake3::Hash>,
    /// How many files were parsed, rather than found lowered.
    pub files_parsed: usize,
    /// Paths that coercion has copied to the store.
    pub(super) copied: HashMap<PathBuf, StorePath>,
    pub(super) empty: &'static Str,
    /// Whether functions and empty sets inside others wait like the rest, as
    /// Nix shows them when it prints what was evaluated and what was not.
    pub shows_laziness: bool,
    /// Whether cheap arguments may be computed before they are needed. No
    /// result differs, but a value that is shown without being evaluated
    /// throughout shows more than Nix's does.
    pub early: bool,
    depth: u32,
    /// See [`Host::max_call_depth`].
    pub(super) max_call_depth: u32,
    /// Where strings are put together before they go to the heap.
    pub(super) scratch: Vec<u8>,
}

impl Evaluator {
    /// `further` are built-in functions beside the language's own: those that
    /// make derivations, which the language knows nothing of.
    pub fn new(host: Rc<dyn Host>, further: &'static [Builtin]) -> Self {
        let heap = Heap::new();
        heap.set_stack_floor(stack::floor());
        if let Some(ceiling) = host.memory_ceiling() {
            heap.set_ceiling(ceiling);
        }
        let max_call_depth = host.max_call_depth();
        let mut symbols = Symbols::new(heap);
        let known = Known::new(&mut symbols);
        let mut evaluator = Self {
            heap,
            symbols,
            known,
            contexts: Contexts::default(),
            sources: SourceMap::default(),
            host,
            globals: FastMap::default(),
            builtins: Value::Unset,
            imports: HashMap::new(),
            regexes: FastMap::default(),
            codes: Vec::new(),
            scopes: Scopes::default(),
            globals_hash: None,
            files_parsed: 0,
            copied: HashMap::new(),
            empty: heap.cell(Str::flat(&[], Context::EMPTY)),
            shows_laziness: false,
            early: false,
            depth: 0,
            max_call_depth,
            scratch: Vec::new(),
        };
        builtins::install(&mut evaluator, further);
        evaluator
    }

    /// For a thread that may have to end what is about to run.
    pub fn brake(&self) -> Brake {
        Brake { floor: self.heap.stack_floor_cell(), released: stack::floor() }
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

    /// Makes the evaluator fit for another program after one was ended by
    /// unwinding.
    pub fn recover(&mut self) {
        self.heap.set_stack_floor(stack::floor());
        self.depth = 0;
    }

    // Forcing.

    /// The value itself, evaluated if it was not yet.
    #[inline]
    pub fn force(&mut self, value: Value) -> Eval {
        self.force_at(value, Pos::NONE)
    }

    #[inline]
    pub fn force_at(&mut self, value: Value, pos: Pos) -> Eval {
        match value {
            Value::Thunk(thunk) => match thunk.state() {
                State::Done(value) => Ok(value),
                _ => self.force_thunk(thunk, pos),
            },
            value => Ok(value),
        }
    }

    #[inline(never)]
    fn force_thunk(&mut self, thunk: &'static Thunk, pos: Pos) -> Eval {
        let state = thunk.state();
        match state {
            State::Done(value) => return Ok(value),
            State::Failed(fault) => return Err(fault),
            State::Busy => return self.infinite_recursion(pos),
            State::Code(_) | State::Member(_) | State::Call(_) => {}
        }
        self.check_stack(pos)?;
        thunk.set(State::Busy);
        let result = match state {
            State::Code(Pending { number, place }) => {
                let code = self.codes[number as usize];
                self.eval(code, place)
            }
            State::Member(Pending { number, place }) => {
                let function = place.function;
                match &place.items {
                    Items::Numbers => self.call(function, &[Value::Int(number.into())], pos),
                    Items::List(items) => self.call(function, &[items[number as usize]], pos),
                    Items::Attrs(entries) => {
                        let attr = &entries[number as usize];
                        let name = Value::String(self.symbols.string(attr.name));
                        self.call(function, &[name, attr.value], pos)
                    }
                }
            }
            State::Call(call) => self.call(call.function, call.arguments, pos),
            State::Busy | State::Done(_) | State::Failed(_) => unreachable!("returned above"),
        };
        thunk.set(match result {
            Ok(value) => State::Done(value),
            // What was interrupted may be tried again.
            Err(fault) if fault.kind() == ErrorKind::Interrupted => state,
            Err(fault) => State::Failed(fault),
        });
        result
    }

    #[cold]
    fn infinite_recursion(&self, pos: Pos) -> Eval {
        self.fail(ErrorKind::InfiniteRecursion, "infinite recursion encountered", pos)
    }

    #[inline]
    pub fn scope(&self, up: Option<&'static Env>, slots: usize) -> &'static Env {
        let slots = self.heap.fill(slots, |_| Cell::new(Value::Unset));
        self.heap.cell(Env { up, slots })
    }

    // Evaluating.

    /// As [`Evaluator::eval`], quicker for constants and variables.
    #[inline(always)]
    fn operand(&mut self, code: &'static Expr, env: &'static Env) -> Eval {
        match code {
            Expr::Const(value) => Ok(*value),
            Expr::Local { depth, slot, pos } => {
                let value = env.at(*depth).slots[*slot as usize].get();
                self.force_at(value, *pos)
            }
            _ => self.eval(code, env),
        }
    }

    /// Evaluates code to a value that is no thunk.
    pub fn eval(&mut self, mut code: &'static Expr, mut env: &'static Env) -> Eval {
        loop {
            match code {
                Expr::Const(value) => return Ok(*value),
                Expr::Local { depth, slot, pos } => {
                    let value = env.at(*depth).slots[*slot as usize].get();
                    return self.force_at(value, *pos);
                }
                Expr::Apply { function, arguments, pos } => {
                    return self.eval_apply(function, arguments, env, *pos);
                }
                Expr::Select { base, path, default, pos } => {
                    return self.eval_select(base, path, *default, env, *pos);
                }
                Expr::Lambda(lambda) => {
                    return Ok(Value::Lambda(self.heap.cell(Closure { lambda, env })));
                }
                Expr::If { condition, then, otherwise, pos } => {
                    code = if self.eval_bool(condition, env, *pos)? { then } else { otherwise };
                }
                Expr::Let { bindings, body } => {
                    env = self.open_scope(bindings, env);
                    code = body;
                }
                Expr::Attrs(attrs) => return self.eval_attrs(attrs, env),
                Expr::RecAttrs(attrs) => return self.eval_rec_attrs(attrs, env),
                Expr::List(items) => {
                    let items = self.heap.fill(items.len(), |i| self.delay(&items[i], env));
                    return Ok(self.list_static(items));
                }
                Expr::Binary { operator, left, right, pos } => {
                    return self.eval_binary(*operator, left, right, env, *pos);
                }
                Expr::Interpolate { parts, path, pos } => {
                    return self.eval_interpolate(parts, *path, env, *pos);
                }
                Expr::With(variable) => return self.eval_with(variable, env),
                Expr::OpenWith { namespace, body, .. } => {
                    let scope = self.scope(Some(env), 1);
                    scope.slots[0].set(self.delay(namespace, env));
                    env = scope;
                    code = body;
                }
                Expr::HasAttr { base, path } => return self.eval_has_attr(base, path, env),
                Expr::InheritFrom { slot, name, pos } => {
                    return self.eval_inherit_from(*slot, *name, env, *pos);
                }
                Expr::Not(operand, pos) => return Ok(Value::Bool(!self.eval_bool(operand, env, *pos)?)),
                Expr::Assert { condition, body, written, pos } => {
                    if !self.eval_bool(condition, env, *pos)? {
                        return self.assertion_failed(condition, *written, env, *pos);
                    }
                    code = body;
                }
                Expr::CurPos(pos) => return Ok(self.position(*pos)),
            }
        }
    }

    #[inline]
    fn eval_bool(&mut self, code: &'static Expr, env: &'static Env, pos: Pos) -> Eval<bool> {
        match self.operand(code, env)? {
            Value::Bool(truth) => Ok(truth),
            other => Err(self.wrong_type("a Boolean", other, pos)),
        }
    }
}
