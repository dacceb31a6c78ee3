//! Calling functions: arguments, patterns, depth.

use super::{CALL_DEPTH_MAXIMUM, Eval, Evaluator};
use crate::lang::code::{Expr, Lambda};
use crate::lang::error::{ErrorKind, Fault};
use crate::lang::source::Pos;
use crate::lang::symbol::Sym;
use crate::lang::value::{Attrs, Closure, Env, Partial, Value};

impl Evaluator {
    pub(super) fn eval_apply(
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

    pub(super) fn call_counted(&mut self, mut function: Value, mut arguments: &[Value], pos: Pos) -> Eval {
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

    pub(super) fn call_lambda(&mut self, closure: &'static Closure, argument: Value, pos: Pos) -> Eval {
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
