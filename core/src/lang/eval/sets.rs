//! Attribute sets and scopes: selecting, `with`, `rec`, dynamic names.

use super::{Eval, Evaluator};
use crate::lang::code::{AttrsCode, Binding, BindingScope, Expr, Found, Name, WithVariable};
use crate::lang::error::{ErrorKind, Fault};
use crate::lang::source::Pos;
use crate::lang::symbol::Sym;
use crate::lang::value::{Attr, Attrs, Env, Value};

impl Evaluator {
    pub(super) fn attr_name(&mut self, name: Name, env: &'static Env) -> Eval<Sym> {
        match name {
            Name::Static(name, _) => Ok(name),
            Name::Dynamic(code, pos) => {
                let value = self.eval(code, env)?;
                self.name_of(value, pos)
            }
        }
    }

    pub(super) fn eval_select(
        &mut self,
        base: &'static Expr,
        path: &'static [Name],
        default: Option<&'static Expr>,
        env: &'static Env,
        pos: Pos,
    ) -> Eval {
        let mut value = self.operand(base, env)?;
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
            value = match self.force_at(attr.value, pos) {
                Ok(value) => value,
                Err(fault) => return Err(self.while_selecting(&path[..=index], env, fault, attr.pos)),
            };
        }
        Ok(value)
    }

    #[cold]
    fn while_selecting(&mut self, path: &'static [Name], env: &'static Env, fault: Fault, pos: Pos) -> Fault {
        // Each name was evaluated on the way here.
        let names: Vec<String> = path
            .iter()
            .flat_map(|name| self.attr_name(*name, env).map(|n| self.symbols.display(n)))
            .collect();
        let text = format!("while evaluating the attribute '{}'", names.join("."));
        fault.within_text(self.heap, &text, pos)
    }

    pub(super) fn eval_inherit_from(&mut self, slot: u32, name: Sym, env: &'static Env, pos: Pos) -> Eval {
        let from = self.force_at(env.slots[slot as usize].get(), pos)?;
        let attrs = self.as_attrs(from, pos)?;
        match attrs.get(name) {
            Some(attr) => self.force_at(attr.value, attr.pos),
            None => Err(self.missing_attribute(name, attrs, pos)),
        }
    }

    pub(super) fn eval_has_attr(
        &mut self,
        base: &'static Expr,
        path: &'static [Name],
        env: &'static Env,
    ) -> Eval {
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

    pub(super) fn eval_with(&mut self, variable: &'static WithVariable, env: &'static Env) -> Eval {
        let WithVariable { name, depths, pos, ref found } = *variable;
        let innermost = env.at(depths[0]);
        // Scopes of `with` are made where calls are not taken back, so one
        // that is at the same place is the same.
        if let Some(Found { scope, attr }) = found.get()
            && std::ptr::eq(scope, innermost)
        {
            return self.force_at(attr.value, pos);
        }
        let (mut scope, mut passed) = (innermost, depths[0]);
        for depth in depths {
            scope = scope.at(depth - passed);
            passed = *depth;
            let namespace = self.force_at(scope.slots[0].get(), pos)?;
            let attrs = self.as_attrs(namespace, pos)?;
            if let Some(attr) = attrs.get(name) {
                found.set(Some(Found { scope: innermost, attr }));
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

    pub(super) fn open_scope(&mut self, code: &'static AttrsCode, env: &'static Env) -> &'static Env {
        let scope = self.scope(Some(env), code.entries.len() + code.froms.len());
        for (index, from) in code.froms.iter().enumerate() {
            scope.slots[code.entries.len() + index].set(self.thunk(from, scope));
        }
        // `__overrides` may still change any slot, so none may be copied.
        let overridden = code.entries.binary_search_by_key(&self.known.overrides, |b| b.name).is_ok();
        for binding in code.entries {
            let inside = if binding.scope == BindingScope::Outer { env } else { scope };
            let value = if overridden {
                self.thunk(&binding.code, inside)
            } else {
                self.delay(&binding.code, inside)
            };
            scope.slots[binding.slot as usize].set(value);
        }
        scope
    }

    pub(super) fn eval_rec_attrs(&mut self, code: &'static AttrsCode, env: &'static Env) -> Eval {
        let scope = self.open_scope(code, env);
        let mut entries: Vec<Attr> = code
            .entries
            .iter()
            .map(|b| Attr { name: b.name, pos: b.pos, value: scope.slots[b.slot as usize].get() })
            .collect();
        let overrides = self.known.overrides;
        if let Some(index) = entries.iter().position(|a| a.name == overrides) {
            // Deprecated, but programs of old use it: its members replace
            // those of the set, also for the set's own references.
            let value = self.force_at(entries[index].value, entries[index].pos)?;
            let replacing = self.as_attrs(value, entries[index].pos)?;
            for attr in replacing.entries(self.heap) {
                match entries.iter().position(|a| a.name == attr.name) {
                    Some(place) => {
                        entries[place].value = attr.value;
                        entries[place].pos = attr.pos;
                        // Members that earlier ones added have no slot.
                        if let Some(binding) = code.entries.get(place) {
                            scope.slots[binding.slot as usize].set(attr.value);
                        }
                    }
                    None => entries.push(*attr),
                }
            }
        }
        self.add_dynamic(entries, code, scope)
    }

    pub(super) fn eval_attrs(&mut self, code: &'static AttrsCode, env: &'static Env) -> Eval {
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
            let binding: &Binding = &code.entries[index];
            let inside = if binding.scope == BindingScope::From { froms } else { env };
            Attr { name: binding.name, pos: binding.pos, value: self.delay(&binding.code, inside) }
        };
        let entries = self.heap.fill(code.entries.len(), entry);
        if code.dynamic.is_empty() {
            return Ok(Value::Attrs(self.heap.cell(Attrs::sorted(entries))));
        }
        self.add_dynamic(entries.to_vec(), code, env)
    }

    pub(super) fn add_dynamic(
        &mut self,
        mut entries: Vec<Attr>,
        code: &'static AttrsCode,
        env: &'static Env,
    ) -> Eval {
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
                let name = self.show_symbol(name);
                let message = format!("dynamic attribute '{name}' already defined{place}");
                return self.fail(ErrorKind::Value, message, binding.pos);
            }
            entries.push(Attr { name, pos: binding.pos, value: self.delay(&binding.value, env) });
        }
        Ok(self.attrs(entries))
    }
}
