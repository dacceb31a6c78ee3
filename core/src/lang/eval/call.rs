//! Calling functions: arguments, patterns, depth.
#![expect(unsafe_code, reason = "taking back what a call left behind, see `heap`")]

use std::cell::Cell;

use super::{Eval, Evaluator};
use crate::lang::code::{Delayed, Expr, Lambda};
use crate::lang::error::{ErrorKind, Fault};
use crate::lang::heap::Mark;
use crate::lang::source::Pos;
use crate::lang::symbol::Sym;
use crate::lang::value::{Attrs, Closure, Env, Partial, Value};

/// More arguments than nearly any call has.
const FEW: usize = 4;

impl Evaluator {
    pub(super) fn eval_apply(
        &mut self,
        function: &'static Expr,
        arguments: &'static [Delayed],
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let function = self.operand(function, env)?;
        let first = self.heap.mark();
        let result = match function {
            Value::Lambda(closure)
                if closure.lambda.takes as usize == arguments.len() && closure.lambda.formals.is_none() =>
            {
                let scope = self.frame(closure, arguments.len(), |e, index| e.delay(&arguments[index], env));
                let last = self.heap.mark();
                self.enter(pos).and_then(|()| {
                    let result = self.eval(closure.lambda.body, scope);
                    self.leave(result, first, last)
                })
            }
            _ if arguments.len() <= FEW => {
                let mut given = [Value::Unset; FEW];
                for (slot, argument) in given.iter_mut().zip(arguments) {
                    *slot = self.delay(argument, env);
                }
                let last = self.heap.mark();
                let result = self.call(function, &given[..arguments.len()], pos);
                self.take_back(&result, first, last);
                result
            }
            _ => {
                let given: Vec<Value> = arguments.iter().map(|a| self.delay(a, env)).collect();
                self.call(function, &given, pos)
            }
        };
        match result {
            Ok(value) => Ok(value),
            Err(fault) => Err(self.while_calling(function, fault, pos)),
        }
    }

    #[cold]
    #[inline(never)]
    fn while_calling(&self, function: Value, fault: Fault, pos: Pos) -> Fault {
        match function {
            Value::Lambda(closure) => match closure.lambda.name {
                Some(name) => {
                    let text = format!("while calling '{}'", self.symbols.display(name));
                    fault.within_text(self.heap, &text, pos)
                }
                None => fault.within(self.heap, "while calling a function", pos),
            },
            // It says itself what is being done.
            Value::Builtin(builtin) if builtin.name == "addErrorContext" => fault.at(self.heap, pos),
            Value::Builtin(builtin) => {
                let text = format!("while calling the '{}' builtin", builtin.name);
                fault.at(self.heap, pos).within_text(self.heap, &text, pos)
            }
            _ => fault.at(self.heap, pos),
        }
    }

    #[inline(always)]
    fn enter(&mut self, pos: Pos) -> Eval<()> {
        // Nix lets one call more begin, but counts what a function does first,
        // be it only to compare a number, as another.
        if self.depth >= self.max_call_depth {
            return self.too_deep(pos);
        }
        self.check_stack(pos)?;
        self.depth += 1;
        Ok(())
    }

    /// Does `work` a level deeper: a step of a walk over data is counted like
    /// a call, and they end together.
    #[inline(always)]
    pub(in crate::lang) fn descend<T>(
        &mut self,
        pos: Pos,
        work: impl FnOnce(&mut Self) -> Eval<T>,
    ) -> Eval<T> {
        if self.depth > self.max_call_depth {
            return self.too_deep(pos);
        }
        self.check_stack(pos)?;
        self.depth += 1;
        let result = work(self);
        self.depth -= 1;
        result
    }

    #[inline(always)]
    fn leave(&mut self, result: Eval, first: Mark, last: Mark) -> Eval {
        self.depth -= 1;
        self.take_back(&result, first, last);
        result
    }

    /// Takes back the scope and the arguments of a call that allocated nothing
    /// else: what could refer to them is made after them.
    #[inline(always)]
    fn take_back(&self, result: &Eval, first: Mark, last: Mark) {
        // An argument may be a function that was made for the call, and come
        // back as the result.
        if let Ok(value) = result
            && !matches!(value, Value::Lambda(_))
        {
            // SAFETY: between the marks are scopes, thunks and closures.
            // Scopes and thunks are referred to only by scopes, thunks and
            // closures, all of which are made with those references and never
            // given others, so either they were made after `last`, or between
            // the marks. Values hold closures and thunks, too: those that
            // existed before `first` were evaluated, if at all, from code
            // that could not see the new ones, unless something made since
            // had handed them over; `result` is no thunk, as no result is,
            // and no closure. Code remembers in which scope of a `with` it
            // found a variable (`code::Found`), and such scopes are made by
            // bodies, so after `last`.
            unsafe { self.heap.take_back(first, last) };
        }
    }

    /// Calls a function with all these arguments.
    pub fn call(&mut self, function: Value, arguments: &[Value], pos: Pos) -> Eval {
        self.enter(pos)?;
        let result = match function {
            Value::Lambda(closure)
                if closure.lambda.takes as usize == arguments.len() && closure.lambda.formals.is_none() =>
            {
                let first = self.heap.mark();
                let scope = self.frame(closure, arguments.len(), |_, index| arguments[index]);
                let last = self.heap.mark();
                let result = self.eval(closure.lambda.body, scope);
                self.take_back(&result, first, last);
                result
            }
            Value::Builtin(builtin) if builtin.arity == arguments.len() => {
                match (builtin.run)(self, arguments, pos) {
                    Ok(value) => self.force_at(value, pos),
                    Err(fault) => Err(fault),
                }
            }
            _ => self.call_counted(function, arguments, pos),
        };
        self.depth -= 1;
        result
    }

    #[inline(never)]
    pub(super) fn call_counted(&mut self, mut function: Value, mut arguments: &[Value], pos: Pos) -> Eval {
        while !arguments.is_empty() {
            match function {
                Value::Lambda(closure) => {
                    let lambda = closure.lambda;
                    if lambda.formals.is_some() {
                        function = self.call_pattern(closure, arguments[0], pos)?;
                        arguments = &arguments[1..];
                        continue;
                    }
                    let takes = lambda.takes as usize;
                    let (now, later) = arguments.split_at(takes.min(arguments.len()));
                    let env = self.frame(closure, now.len(), |_, index| now[index]);
                    if now.len() < takes {
                        let waiting = (0..now.len()).fold(lambda, |lambda, _| {
                            lambda.rest.expect("a function of several arguments has a rest")
                        });
                        return Ok(Value::Lambda(self.heap.cell(Closure { lambda: waiting, env })));
                    }
                    function = self.eval(lambda.body, env)?;
                    arguments = later;
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
                    let held = partial.arguments.len();
                    let missing = partial.builtin.arity - held;
                    let (now, later) = arguments.split_at(missing.min(arguments.len()));
                    let mut all = [Value::Unset; FEW];
                    assert!(held + now.len() <= FEW, "no built-in function takes more arguments");
                    all[..held].copy_from_slice(partial.arguments);
                    all[held..held + now.len()].copy_from_slice(now);
                    let all = &all[..held + now.len()];
                    if now.len() < missing {
                        let arguments = self.heap.slice(all);
                        let builtin = partial.builtin;
                        return Ok(Value::Partial(self.heap.cell(Partial { builtin, arguments })));
                    }
                    function = (partial.builtin.run)(self, all, pos)?;
                    arguments = later;
                }
                Value::Thunk(thunk) => function = self.force_thunk(thunk, pos)?,
                Value::Attrs(attrs) if attrs.get(self.known.functor).is_some() => {
                    let functor = attrs.get(self.known.functor).expect("checked by the guard");
                    let functor = self.force_at(functor.value, functor.pos)?;
                    // Together with the first argument, which decides how deep
                    // the call is.
                    function = self.call(functor, &[function, arguments[0]], pos)?;
                    arguments = &arguments[1..];
                }
                other => return self.no_function(other, pos),
            }
        }
        self.force_at(function, pos)
    }

    #[cold]
    fn no_function(&self, value: Value, pos: Pos) -> Eval {
        let shown = self.show_brief(value);
        let kind = value.kind_with_article();
        let message = format!("attempt to call something which is not a function but {kind}: {shown}");
        self.fail(ErrorKind::Type, message, pos)
    }

    /// The scope of a function's body with the first `given` of the arguments
    /// that it takes.
    #[inline(always)]
    fn frame(
        &mut self,
        closure: &'static Closure,
        given: usize,
        argument: impl Fn(&mut Self, usize) -> Value,
    ) -> &'static Env {
        let lambda = closure.lambda;
        let heap = self.heap;
        let held = lambda.held as usize;
        if held == 0 && given == lambda.slots as usize {
            let slots = heap.fill(given, |index| Cell::new(argument(self, index)));
            return heap.cell(Env { up: Some(closure.env), slots });
        }
        let before = if held == 0 { &[][..] } else { closure.env.slots };
        let slots = heap.fill(lambda.slots as usize, |index| {
            Cell::new(if index < held {
                before[index].get()
            } else if index < held + given {
                argument(self, index - held)
            } else {
                Value::Unset
            })
        });
        let up = if held == 0 { Some(closure.env) } else { closure.env.up };
        heap.cell(Env { up, slots })
    }

    fn call_pattern(&mut self, closure: &'static Closure, argument: Value, pos: Pos) -> Eval {
        let lambda = closure.lambda;
        let scope = self.scope(Some(closure.env), lambda.slots as usize);
        if lambda.argument.is_some() {
            scope.slots[0].set(argument);
        }
        if let Some(formals) = &lambda.formals {
            let value = self.force_at(argument, pos)?;
            let Value::Attrs(attrs) = value else {
                return Err(self.wrong_type("a set", value, lambda.pos));
            };
            let mut used = 0;
            for formal in formals.entries {
                let slot = &scope.slots[formal.slot as usize];
                match attrs.get(formal.name) {
                    Some(attr) => {
                        used += 1;
                        slot.set(attr.value);
                    }
                    None => match &formal.default {
                        Some(default) => slot.set(self.delay(default, scope)),
                        None => return Err(self.missing_argument(lambda, formal.name)),
                    },
                }
            }
            if !formals.ellipsis && used < attrs.len() {
                return Err(self.unexpected_argument(lambda, attrs));
            }
        }
        self.eval(lambda.body, scope)
    }

    pub(super) fn lambda_name(&self, lambda: &Lambda) -> String {
        lambda.name.map_or_else(|| "anonymous lambda".to_owned(), |name| self.symbols.display(name))
    }

    #[cold]
    pub(super) fn missing_argument(&self, lambda: &Lambda, name: Sym) -> Fault {
        let message = format!(
            "function '{}' called without required argument '{}'",
            self.lambda_name(lambda),
            self.show_symbol(name)
        );
        self.fault(ErrorKind::Arguments, message, lambda.pos)
    }

    #[cold]
    pub(super) fn unexpected_argument(&self, lambda: &Lambda, attrs: &'static Attrs) -> Fault {
        let formals = lambda.formals.as_ref().expect("only patterns refuse arguments");
        let extra = attrs
            .entries(self.heap)
            .iter()
            .find(|a| formals.entries.iter().all(|f| f.name != a.name))
            .expect("there are more attributes than formals");
        let message = format!(
            "function '{}' called with unexpected argument '{}'",
            self.lambda_name(lambda),
            self.show_symbol(extra.name)
        );
        let name = self.symbols.display(extra.name);
        let fault = self.fault(ErrorKind::Arguments, message, lambda.pos);
        let names: Vec<String> = formals.entries.iter().map(|f| self.symbols.display(f.name)).collect();
        self.suggest(fault, &name, &names)
    }
}
