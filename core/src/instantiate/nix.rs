//! What `nix-instantiate` does with a program: prints its parsed form, its
//! value, or the derivations it comes to, by that program's own rules.

use std::collections::HashSet;
use std::path::PathBuf;

use osbuild_store::StorePath;

use super::select::{call_automatically, follow};
use super::{Arguments, Output, Session, Source};
use crate::lang::error::ErrorKind;
use crate::lang::source::Pos;
use crate::lang::value::{Attrs, Value};
use crate::lang::{Eval, EvalError, Evaluator};

/// A derivation found in a value, as `nix-instantiate` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub drv_path: StorePath,
    pub output: String,
}

/// Parts of an answer that came before it failed, if it did.
pub type Partly<T> = (Vec<T>, Option<EvalError>);

impl Session {
    /// The parsed form of a program.
    ///
    /// # Errors
    /// The text is no program, or cannot be read.
    pub fn parse(&mut self, source: &Source) -> Result<Vec<u8>, EvalError> {
        let source = source.clone();
        self.with_evaluator(move |e| {
            let result =
                source.text(e).and_then(|(text, origin, directory)| e.show_parsed(&text, origin, &directory));
            result.map_err(|fault| fault.to_error(&e.sources))
        })?
    }

    /// The file that `<name>` means.
    ///
    /// # Errors
    /// The search path has no such file.
    pub fn find_file(&mut self, name: &str) -> Result<PathBuf, EvalError> {
        let name = name.to_owned();
        self.with_evaluator(move |e| e.look_up(name.as_bytes()).map_err(|fault| fault.to_error(&e.sources)))?
    }

    /// The value of each of these attributes of one program, as text. The
    /// program itself is evaluated once.
    pub fn eval_each(
        &mut self,
        source: &Source,
        attr_paths: &[String],
        arguments: &Arguments,
        output: Output,
    ) -> Partly<Vec<u8>> {
        let shows_laziness = output.shows_laziness();
        let write = move |e: &mut Evaluator, value, arguments: &Arguments| {
            let value = call_automatically(e, value, arguments, false)?;
            super::write(e, value, output)
        };
        self.each(source, attr_paths, arguments, shows_laziness, write)
    }

    /// The derivations that each of these attributes of one program comes to:
    /// itself, or the members of a list or set.
    pub fn derivations_of_each(
        &mut self,
        source: &Source,
        attr_paths: &[String],
        arguments: &Arguments,
    ) -> Partly<Vec<Found>> {
        self.each(source, attr_paths, arguments, false, |e, value, arguments| {
            let mut search = Search { arguments, found: Vec::new(), seen: HashSet::new() };
            search.derivations(e, value)?;
            Ok(search.found)
        })
    }

    fn each<T: Send + 'static>(
        &mut self,
        source: &Source,
        attr_paths: &[String],
        arguments: &Arguments,
        shows_laziness: bool,
        work: impl Fn(&mut Evaluator, Value, &Arguments) -> Eval<T> + Send + 'static,
    ) -> Partly<T> {
        let (source, paths, arguments) = (source.clone(), attr_paths.to_vec(), arguments.clone());
        let done = self.with_evaluator(move |e| {
            e.shows_laziness = shows_laziness;
            e.early = !shows_laziness;
            let mut answers = Vec::new();
            let result = source.value(e).and_then(|root| {
                for path in &paths {
                    let value = follow(e, root, path, &arguments)?;
                    answers.push(work(e, value, &arguments)?);
                }
                Ok(())
            });
            (answers, result.err().map(|fault| fault.to_error(&e.sources)))
        });
        done.unwrap_or_else(|lost| (Vec::new(), Some(lost)))
    }
}

/// The derivations that a value comes to.
pub(super) fn derivations(e: &mut Evaluator, value: Value) -> Eval<Vec<Found>> {
    let arguments = Arguments::new();
    let mut search = Search { arguments: &arguments, found: Vec::new(), seen: HashSet::new() };
    search.derivations(e, value)?;
    Ok(search.found)
}

struct Search<'a> {
    arguments: &'a Arguments,
    found: Vec<Found>,
    /// Sets that were searched: one may be a member of itself.
    seen: HashSet<usize>,
}

impl Search<'_> {
    fn derivations(&mut self, e: &mut Evaluator, value: Value) -> Eval<()> {
        e.check_stack(Pos::NONE)?;
        let value = call_automatically(e, value, self.arguments, true)?;
        if self.derivation(e, value)? {
            return Ok(());
        }
        match value {
            Value::List(list) => {
                for item in list.items {
                    let item = e.force(*item)?;
                    if !self.derivation(e, item)? {
                        self.derivations(e, item)?;
                    }
                }
                Ok(())
            }
            Value::Attrs(attrs) => self.members(e, attrs),
            _ => {
                let message = "expression does not evaluate to a derivation (or a set or list of those)";
                e.fail(ErrorKind::Type, message, Pos::NONE)
            }
        }
    }

    fn members(&mut self, e: &mut Evaluator, attrs: &'static Attrs) -> Eval<()> {
        if !self.seen.insert(std::ptr::from_ref(attrs).addr()) {
            return Ok(());
        }
        let combine = e.symbols.intern(b"_combineChannels");
        let recurse = e.symbols.intern(b"recurseForDerivations");
        let combine = attrs.get(combine).is_some();
        for attr in e.entries_by_name(attrs) {
            if !is_plain(e.symbols.text(attr.name)) {
                continue;
            }
            if combine {
                self.derivations(e, attr.value)?;
                continue;
            }
            let value = e.force_at(attr.value, attr.pos)?;
            if self.derivation(e, value)? {
                continue;
            }
            if let Value::Attrs(member) = value
                && let Some(wish) = member.get(recurse)
                && e.force_bool(wish.value, wish.pos)?
            {
                self.derivations(e, value)?;
            }
        }
        Ok(())
    }

    /// Notes the value if it is a derivation; whether it was.
    fn derivation(&mut self, e: &mut Evaluator, value: Value) -> Eval<bool> {
        let Value::Attrs(attrs) = value else { return Ok(false) };
        if !e.is_derivation(attrs)? {
            return Ok(false);
        }
        let Some(path) = attrs.get(e.known.drv_path) else {
            let message = "derivation does not contain a 'drvPath' attribute";
            return e.fail(ErrorKind::MissingAttribute, message, Pos::NONE);
        };
        let text = e.force_str(path.value, path.pos)?;
        let text = String::from_utf8_lossy(text.bytes(e.heap)).into_owned();
        let Ok(drv_path) = e.host.store_dir().parse(&text) else {
            let message = format!("path '{text}' is not in the Nix store");
            return e.fail(ErrorKind::Value, message, path.pos);
        };
        let output = match attrs.get(e.known.output_name) {
            Some(attr) => {
                let text = e.force_str(attr.value, attr.pos)?;
                String::from_utf8_lossy(text.bytes(e.heap)).into_owned()
            }
            None => String::new(),
        };
        if output.is_empty() {
            let message = format!("derivation '{text}' lacks an 'outputName' attribute");
            return e.fail(ErrorKind::MissingAttribute, message, Pos::NONE);
        }
        self.found.push(Found { drv_path, output });
        Ok(true)
    }
}

/// Attributes with other names are no packages.
fn is_plain(name: &[u8]) -> bool {
    name.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && name.iter().all(|b| b.is_ascii_alphanumeric() || b"-_+".contains(b))
}
