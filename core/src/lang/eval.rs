//! The evaluator: forcing, calling, and the walk over code.
//!
//! One evaluator belongs to one thread, whose stack must be deep (see
//! `stack`): recursion in the program is recursion here.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;

use osbuild_store::StorePath;

use super::builtins::{self, Builtin};
use super::code::{AttrsCode, BindingScope, Expr, Lambda, Name, Operator};
use super::context::{Context, Contexts};
use super::error::{ErrorKind, Fault, nearest};
use super::heap::Heap;
use super::host::Host;
use super::regex::Regex;
use super::source::{Pos, SourceMap};
use super::stack;
use super::symbol::{Known, Sym, Symbols};
use super::value::{Attr, Attrs, Call, Closure, Env, List, Partial, State, Str, Thunk, Value};

pub type Eval<T = Value> = Result<T, Fault>;

/// As in Nix, where it is a setting.
const CALL_DEPTH_MAXIMUM: u32 = 10_000;

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
    depth: u32,
    stack_floor: usize,
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
            depth: 0,
            stack_floor: stack::floor(),
        };
        builtins::install(&mut evaluator, further);
        evaluator
    }

    // Making values.

    pub fn string(&self, bytes: &[u8]) -> Value {
        self.string_with(bytes, Context::EMPTY)
    }

    pub fn string_with(&self, bytes: &[u8], context: Context) -> Value {
        if bytes.is_empty() && context.is_empty() {
            return Value::String(self.empty);
        }
        self.string_static(self.heap.bytes(bytes), context)
    }

    /// A string over bytes that already are in the heap.
    pub fn string_static(&self, bytes: &'static [u8], context: Context) -> Value {
        Value::String(self.heap.cell(Str::flat(bytes, context)))
    }

    pub fn path(&self, bytes: &[u8]) -> Value {
        let bytes = self.heap.bytes(bytes);
        Value::Path(self.heap.cell(Str::flat(bytes, Context::EMPTY)))
    }

    pub fn list(&self, items: &[Value]) -> Value {
        self.list_static(self.heap.slice(items))
    }

    pub fn list_static(&self, items: &'static [Value]) -> Value {
        Value::List(self.heap.put(List { items }))
    }

    /// A set from entries in any order; of two with one name the later stays.
    pub fn attrs(&self, mut entries: Vec<Attr>) -> Value {
        entries.sort_by_key(|a| a.name);
        let mut kept: Vec<Attr> = Vec::with_capacity(entries.len());
        for entry in entries {
            match kept.last_mut() {
                Some(last) if last.name == entry.name => *last = entry,
                _ => kept.push(entry),
            }
        }
        self.attrs_sorted(&kept)
    }

    /// A set from entries sorted by symbol, without duplicates.
    pub fn attrs_sorted(&self, entries: &[Attr]) -> Value {
        Value::Attrs(self.heap.cell(Attrs::sorted(self.heap.slice(entries))))
    }

    pub fn attr(&self, name: Sym, value: Value) -> Attr {
        Attr { name, pos: Pos::NONE, value }
    }

    /// `function arguments…`, when it is needed.
    pub fn lazy_call(&self, function: Value, arguments: &[Value]) -> Value {
        let call = self.heap.put(Call { function, arguments: self.heap.slice(arguments) });
        Value::Thunk(self.heap.cell(Thunk::new(State::Call(call))))
    }

    /// Entries in order of names, as everything shows them.
    pub fn entries_by_name(&self, attrs: &'static Attrs) -> Vec<Attr> {
        let mut entries = attrs.entries(self.heap).to_vec();
        entries.sort_by_key(|a| self.symbols.text(a.name));
        entries
    }

    // Failing.

    pub fn fault(&self, kind: ErrorKind, message: impl AsRef<str>, pos: Pos) -> Fault {
        Fault::new(self.heap, kind, message.as_ref(), pos)
    }

    pub fn fail<T>(&self, kind: ErrorKind, message: impl AsRef<str>, pos: Pos) -> Eval<T> {
        Err(self.fault(kind, message, pos))
    }

    pub fn host_fault(&self, error: &super::host::HostError, pos: Pos) -> Fault {
        let fault = self.fault(ErrorKind::Host, &error.message, pos);
        match &error.hint {
            Some(hint) => fault.with_hint(self.heap, hint),
            None => fault,
        }
    }

    /// Fails if the stack is nearly used up; called wherever data or programs
    /// decide how deep to go.
    #[inline]
    pub fn check_stack(&self, pos: Pos) -> Eval<()> {
        if stack::here() < self.stack_floor {
            return self.too_deep(pos);
        }
        Ok(())
    }

    #[cold]
    fn too_deep<T>(&self, pos: Pos) -> Eval<T> {
        self.fail(ErrorKind::Depth, "stack overflow; max-call-depth exceeded", pos)
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
        let result = match thunk.state() {
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
                thunk.set(State::Failed(fault));
                Err(fault)
            }
        }
    }

    /// Code to be evaluated later, or its value where that costs nothing.
    #[inline]
    fn delay(&self, code: &'static Expr, env: &'static Env) -> Value {
        match code {
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

    fn eval_apply(
        &mut self,
        function: &'static Expr,
        arguments: &'static [&'static Expr],
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let function = self.eval(function, env)?;
        let result = if let [argument] = arguments {
            let argument = [self.delay(argument, env)];
            self.call(function, &argument, pos)
        } else {
            let arguments: &'static [Value] =
                self.heap.fill(arguments.len(), |i| self.delay(arguments[i], env));
            self.call(function, arguments, pos)
        };
        result.map_err(|fault| match function {
            Value::Lambda(closure) => match closure.lambda.name {
                Some(name) => {
                    let text = format!("while calling '{}'", self.symbols.display(name));
                    fault.within_text(self.heap, &text, pos)
                }
                None => fault.within(self.heap, "while calling a function", pos),
            },
            Value::Builtin(builtin) => {
                let text = format!("while calling the '{}' builtin", builtin.name);
                fault.at(self.heap, pos).within_text(self.heap, &text, pos)
            }
            _ => fault.at(self.heap, pos),
        })
    }

    /// Calls a function with all these arguments.
    pub fn call(&mut self, function: Value, arguments: &[Value], pos: Pos) -> Eval {
        if self.depth >= CALL_DEPTH_MAXIMUM {
            return self.too_deep(pos);
        }
        self.check_stack(pos)?;
        self.depth += 1;
        let result = self.call_counted(function, arguments, pos);
        self.depth -= 1;
        result
    }

    fn call_counted(&mut self, mut function: Value, mut arguments: &[Value], pos: Pos) -> Eval {
        while let Some((first, rest)) = arguments.split_first() {
            match function {
                Value::Lambda(closure) => {
                    function = self.call_lambda(closure, *first, pos)?;
                    arguments = rest;
                }
                Value::Builtin(builtin) => {
                    if arguments.len() < builtin.arity {
                        let arguments = self.heap.slice(arguments);
                        return Ok(Value::Partial(self.heap.cell(Partial { builtin, arguments })));
                    }
                    let (now, later) = arguments.split_at(builtin.arity);
                    function = (builtin.run)(self, now, pos)?;
                    arguments = later;
                }
                Value::Partial(partial) => {
                    let missing = partial.builtin.arity - partial.arguments.len();
                    let (now, later) = arguments.split_at(missing.min(arguments.len()));
                    let all = [partial.arguments, now].concat();
                    if now.len() < missing {
                        let arguments = self.heap.slice(&all);
                        let builtin = partial.builtin;
                        return Ok(Value::Partial(self.heap.cell(Partial { builtin, arguments })));
                    }
                    function = (partial.builtin.run)(self, &all, pos)?;
                    arguments = later;
                }
                Value::Thunk(thunk) => function = self.force_thunk(thunk, pos)?,
                Value::Attrs(attrs) if attrs.get(self.known.functor).is_some() => {
                    let functor = attrs.get(self.known.functor).expect("checked by the guard");
                    let functor = self.force_at(functor.value, functor.pos)?;
                    function = self.call(functor, &[function], pos)?;
                }
                other => {
                    let shown = self.show_brief(other);
                    let message = format!(
                        "attempt to call something which is not a function but {}: {shown}",
                        other.kind_with_article()
                    );
                    return self.fail(ErrorKind::Type, message, pos);
                }
            }
        }
        self.force_at(function, pos)
    }

    fn call_lambda(&mut self, closure: &'static Closure, argument: Value, pos: Pos) -> Eval {
        let lambda = closure.lambda;
        let scope = self.scope(Some(closure.env), lambda.slots as usize);
        let mut slot = 0;
        if lambda.argument.is_some() {
            scope.slots[0].set(argument);
            slot = 1;
        }
        if let Some(formals) = &lambda.formals {
            let value = self.force_at(argument, pos)?;
            let Value::Attrs(attrs) = value else {
                return Err(self.wrong_type("a set", value, lambda.pos));
            };
            let mut used = 0;
            for formal in formals.entries {
                match attrs.get(formal.name) {
                    Some(attr) => {
                        used += 1;
                        scope.slots[slot].set(attr.value);
                    }
                    None => match formal.default {
                        Some(default) => scope.slots[slot].set(self.thunk(default, scope)),
                        None => return Err(self.missing_argument(lambda, formal.name)),
                    },
                }
                slot += 1;
            }
            if !formals.ellipsis && used < attrs.len() {
                return Err(self.unexpected_argument(lambda, attrs));
            }
        }
        self.eval(lambda.body, scope)
    }

    fn lambda_name(&self, lambda: &Lambda) -> String {
        lambda.name.map_or_else(|| "anonymous lambda".to_owned(), |name| self.symbols.display(name))
    }

    #[cold]
    fn missing_argument(&self, lambda: &Lambda, name: Sym) -> Fault {
        let message = format!(
            "function '{}' called without required argument '{}'",
            self.lambda_name(lambda),
            self.symbols.display(name)
        );
        self.fault(ErrorKind::Arguments, message, lambda.pos)
    }

    #[cold]
    fn unexpected_argument(&self, lambda: &Lambda, attrs: &'static Attrs) -> Fault {
        let formals = lambda.formals.as_ref().expect("only patterns refuse arguments");
        let entries = self.entries_by_name(attrs);
        let extra = entries
            .iter()
            .find(|a| formals.entries.iter().all(|f| f.name != a.name))
            .expect("there are more attributes than formals");
        let name = self.symbols.display(extra.name);
        let message =
            format!("function '{}' called with unexpected argument '{name}'", self.lambda_name(lambda));
        let fault = self.fault(ErrorKind::Arguments, message, lambda.pos);
        let names: Vec<String> = formals.entries.iter().map(|f| self.symbols.display(f.name)).collect();
        self.suggest(fault, &name, &names)
    }

    fn suggest(&self, fault: Fault, wanted: &str, candidates: &[String]) -> Fault {
        match nearest(wanted, candidates.iter().map(String::as_str)) {
            Some(near) => fault.with_hint(self.heap, &format!("did you mean {near}?")),
            None => fault,
        }
    }

    #[cold]
    pub fn missing_attribute(&self, name: Sym, attrs: &'static Attrs, pos: Pos) -> Fault {
        let name = self.symbols.display(name);
        let fault = self.fault(ErrorKind::MissingAttribute, format!("attribute '{name}' missing"), pos);
        let names: Vec<String> =
            self.entries_by_name(attrs).iter().map(|a| self.symbols.display(a.name)).collect();
        self.suggest(fault, &name, &names)
    }

    fn attr_name(&mut self, name: Name, env: &'static Env) -> Eval<Sym> {
        match name {
            Name::Static(name, _) => Ok(name),
            Name::Dynamic(code, pos) => {
                let value = self.eval(code, env)?;
                self.name_of(value, pos)
            }
        }
    }

    fn eval_select(
        &mut self,
        base: &'static Expr,
        path: &'static [Name],
        default: Option<&'static Expr>,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let mut value = self.eval(base, env)?;
        for (index, name) in path.iter().enumerate() {
            let symbol = self.attr_name(*name, env)?;
            let attr = match (value, default) {
                (Value::Attrs(attrs), _) => match (attrs.get(symbol), default) {
                    (Some(attr), _) => attr,
                    (None, Some(default)) => return self.eval(default, env),
                    (None, None) => return Err(self.missing_attribute(symbol, attrs, pos)),
                },
                (_, Some(default)) => return self.eval(default, env),
                (other, None) => return Err(self.wrong_type("a set", other, pos)),
            };
            value = self.force_at(attr.value, pos).map_err(|fault| {
                let names: Vec<String> = path[..=index]
                    .iter()
                    .map(|name| match name {
                        Name::Static(symbol, _) => self.symbols.display(*symbol),
                        Name::Dynamic(..) => "\"${…}\"".to_owned(),
                    })
                    .collect();
                let text = format!("while evaluating the attribute '{}'", names.join("."));
                fault.within_text(self.heap, &text, attr.pos)
            })?;
        }
        Ok(value)
    }

    fn eval_has_attr(&mut self, base: &'static Expr, path: &'static [Name], env: &'static Env) -> Eval {
        let mut value = self.eval(base, env)?;
        for (index, name) in path.iter().enumerate() {
            let symbol = self.attr_name(*name, env)?;
            let Value::Attrs(attrs) = value else { return Ok(Value::Bool(false)) };
            let Some(attr) = attrs.get(symbol) else { return Ok(Value::Bool(false)) };
            if index + 1 < path.len() {
                value = self.force_at(attr.value, attr.pos)?;
            }
        }
        Ok(Value::Bool(true))
    }

    fn eval_with(&mut self, name: Sym, depths: &'static [u32], env: &'static Env, pos: Pos) -> Eval {
        for depth in depths {
            let namespace = env.at(*depth).slots[0].get();
            let namespace = self.force_at(namespace, pos)?;
            let attrs = self.as_attrs(namespace, pos)?;
            if let Some(attr) = attrs.get(name) {
                return self.force_at(attr.value, pos);
            }
        }
        let text = self.symbols.display(name);
        let fault = self.fault(ErrorKind::Syntax, format!("undefined variable '{text}'"), pos);
        let mut names = Vec::new();
        for depth in depths {
            if let Ok(Value::Attrs(attrs)) = self.force(env.at(*depth).slots[0].get()) {
                let entries = attrs.entries(self.heap);
                names.extend(entries.iter().map(|a| self.symbols.display(a.name)));
            }
        }
        names.sort();
        Err(self.suggest(fault, &text, &names))
    }

    // Sets.

    fn open_scope(&mut self, code: &'static AttrsCode, env: &'static Env) -> &'static Env {
        let scope = self.scope(Some(env), code.entries.len() + code.froms.len());
        for (index, from) in code.froms.iter().enumerate() {
            scope.slots[code.entries.len() + index].set(self.thunk(from, scope));
        }
        // `__overrides` may still change any slot, so none may be copied.
        let overridden = code.entries.binary_search_by_key(&self.known.overrides, |b| b.name).is_ok();
        for (index, binding) in code.entries.iter().enumerate() {
            let inside = if binding.scope == BindingScope::Outer { env } else { scope };
            let value =
                if overridden { self.thunk(binding.code, inside) } else { self.delay(binding.code, inside) };
            scope.slots[index].set(value);
        }
        scope
    }

    fn eval_rec_attrs(&mut self, code: &'static AttrsCode, env: &'static Env) -> Eval {
        let scope = self.open_scope(code, env);
        let mut entries: Vec<Attr> = code
            .entries
            .iter()
            .enumerate()
            .map(|(i, b)| Attr { name: b.name, pos: b.pos, value: scope.slots[i].get() })
            .collect();
        let overrides = self.known.overrides;
        if let Some(index) = entries.iter().position(|a| a.name == overrides) {
            // Deprecated, but programs of old use it: its members replace
            // those of the set, also for the set's own references.
            let value = self.force_at(entries[index].value, entries[index].pos)?;
            let replacing = self.as_attrs(value, entries[index].pos)?;
            for attr in replacing.entries(self.heap) {
                match entries.iter().position(|a| a.name == attr.name) {
                    Some(slot) => {
                        entries[slot].value = attr.value;
                        entries[slot].pos = attr.pos;
                        scope.slots[slot].set(attr.value);
                    }
                    None => entries.push(*attr),
                }
            }
        }
        self.add_dynamic(entries, code, scope)
    }

    fn eval_attrs(&mut self, code: &'static AttrsCode, env: &'static Env) -> Eval {
        let froms = if code.froms.is_empty() {
            env
        } else {
            let scope = self.scope(Some(env), code.froms.len());
            for (slot, from) in code.froms.iter().enumerate() {
                scope.slots[slot].set(self.thunk(from, env));
            }
            scope
        };
        let entry = |index: usize| {
            let binding: &super::code::Binding = &code.entries[index];
            let inside = if binding.scope == BindingScope::From { froms } else { env };
            Attr { name: binding.name, pos: binding.pos, value: self.delay(binding.code, inside) }
        };
        let entries = self.heap.fill(code.entries.len(), entry);
        if code.dynamic.is_empty() {
            return Ok(Value::Attrs(self.heap.cell(Attrs::sorted(entries))));
        }
        self.add_dynamic(entries.to_vec(), code, env)
    }

    fn add_dynamic(&mut self, mut entries: Vec<Attr>, code: &'static AttrsCode, env: &'static Env) -> Eval {
        for binding in code.dynamic {
            let name = self.eval(binding.name, env)?;
            if let Value::Null = name {
                continue;
            }
            let name = self.name_of(name, binding.pos)?;
            if let Some(earlier) = entries.iter().find(|a| a.name == name) {
                let place = self.sources.locate(earlier.pos);
                let place =
                    place.map_or_else(String::new, |l| format!(" at {}:{}:{}", l.origin, l.line, l.column));
                let name = self.symbols.display(name);
                let message = format!("dynamic attribute '{name}' already defined{place}");
                return self.fail(ErrorKind::Value, message, binding.pos);
            }
            entries.push(Attr { name, pos: binding.pos, value: self.delay(binding.value, env) });
        }
        Ok(self.attrs(entries))
    }

    // Operators.

    fn eval_binary(
        &mut self,
        operator: Operator,
        left: &'static Expr,
        right: &'static Expr,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        match operator {
            Operator::And => {
                Ok(Value::Bool(self.eval_bool(left, env, pos)? && self.eval_bool(right, env, pos)?))
            }
            Operator::Or => {
                Ok(Value::Bool(self.eval_bool(left, env, pos)? || self.eval_bool(right, env, pos)?))
            }
            Operator::Implies => {
                Ok(Value::Bool(!self.eval_bool(left, env, pos)? || self.eval_bool(right, env, pos)?))
            }
            Operator::Concat => self.eval_concat(left, right, env, pos),
            Operator::Greater | Operator::LessOrEqual => {
                // As Nix writes them: `a > b` is `b < a`, which decides the
                // order in which errors are met.
                let right = self.eval(right, env)?;
                let left = self.eval(left, env)?;
                let less = self.less_than(right, left, pos)?;
                Ok(Value::Bool(less == (operator == Operator::Greater)))
            }
            _ => {
                let left = self.eval(left, env)?;
                let right = self.eval(right, env)?;
                match operator {
                    Operator::Add => self.add(left, right, pos),
                    Operator::Sub | Operator::Mul | Operator::Div => {
                        self.arithmetic(operator, left, right, pos)
                    }
                    Operator::Update => {
                        let left = self.as_attrs(left, pos)?;
                        let right = self.as_attrs(right, pos)?;
                        Ok(Value::Attrs(Attrs::update(left, right, self.heap)))
                    }
                    Operator::Equal => Ok(Value::Bool(self.equal(left, right, pos)?)),
                    Operator::NotEqual => Ok(Value::Bool(!self.equal(left, right, pos)?)),
                    Operator::Less => Ok(Value::Bool(self.less_than(left, right, pos)?)),
                    _ => Ok(Value::Bool(!self.less_than(left, right, pos)?)),
                }
            }
        }
    }

    /// `a ++ b ++ c` leans to the right; its lists are gathered first and
    /// copied once.
    fn eval_concat(
        &mut self,
        left: &'static Expr,
        right: &'static Expr,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let first = self.eval(left, env)?;
        let mut lists = vec![self.as_list(first, pos)?];
        let mut rest = right;
        while let Expr::Binary { operator: Operator::Concat, left, right, pos } = rest {
            let next = self.eval(left, env)?;
            lists.push(self.as_list(next, *pos)?);
            rest = right;
        }
        let last = self.eval(rest, env)?;
        lists.push(self.as_list(last, pos)?);
        lists.retain(|list| !list.is_empty());
        Ok(match lists.as_slice() {
            [single] => self.list_static(single),
            lists => self.list(&lists.concat()),
        })
    }

    fn eval_interpolate(
        &mut self,
        parts: &'static [&'static Expr],
        path: bool,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let mut values = Vec::with_capacity(parts.len());
        for part in parts {
            values.push(self.eval(part, env)?);
        }
        if path { self.join_path(&values, pos) } else { self.join_strings(&values, pos) }
    }

    #[cold]
    fn assertion_failed(
        &mut self,
        condition: &'static Expr,
        text: &str,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let fault = self.fault(ErrorKind::Assertion, format!("assertion '{text}' failed"), pos);
        // `assert a == b` says what differs.
        if let Expr::Binary { operator: Operator::Equal, left, right, .. } = condition {
            let (left, right) = (self.eval(left, env)?, self.eval(right, env)?);
            let (left, right) = (self.show_brief(left), self.show_brief(right));
            return Err(
                fault.with_hint(self.heap, &format!("the left side is {left}, the right side {right}"))
            );
        }
        Err(fault)
    }

    /// `{ file, line, column }`, or null for what is not in a file.
    pub fn position(&self, pos: Pos) -> Value {
        let Some(location) = self.sources.locate(pos) else { return Value::Null };
        let super::source::Origin::File(file) = &location.origin else { return Value::Null };
        let file = self.string(file.as_os_str().as_encoded_bytes());
        self.attrs(vec![
            self.attr(self.known.file, file),
            self.attr(self.known.line, Value::Int(location.line.into())),
            self.attr(self.known.column, Value::Int(location.column.into())),
        ])
    }
}
