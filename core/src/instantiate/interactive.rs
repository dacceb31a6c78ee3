//! A conversation with an evaluator: variables that stay, an interrupt that
//! ends one evaluation and not the conversation.
//!
//! The evaluator's memory is never freed (see `lang::heap`), so a conversation
//! grows with what it evaluates; values may be asked for again at any time. One
//! whose memory is used up can only say so (see [`Interactive::is_used_up`]).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::nix::Found;
use super::sink::Sink;
use super::{Arguments, Session, SessionOptions, Source, nix, select};
use crate::lang::builtins::documentation::documentation;
use crate::lang::source::{Origin, Pos};
use crate::lang::symbol::Sym;
use crate::lang::value::Value;
use crate::lang::{Eval, EvalError, Evaluator};

thread_local! {
    /// Values stay on the evaluator's thread, and so do the variables.
    static VARIABLES: RefCell<BTreeMap<Sym, Value>> = const { RefCell::new(BTreeMap::new()) };
}

pub struct Interactive {
    session: Session,
    directory: PathBuf,
    interrupted: &'static AtomicBool,
}

/// How far `:p` goes: everything but what repeats.
pub const WHOLE: usize = usize::MAX;

impl Interactive {
    /// Programs typed begin at `directory`. While an evaluation runs,
    /// `interrupted` is watched.
    pub fn new(
        options: SessionOptions,
        sink: Arc<dyn Sink>,
        directory: PathBuf,
        interrupted: &'static AtomicBool,
    ) -> Self {
        Self { session: Session::new(options, sink), directory, interrupted }
    }

    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    fn run<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Evaluator) -> Eval<T> + Send + 'static,
    ) -> Result<T, EvalError> {
        self.interrupted.store(false, Ordering::Relaxed);
        self.session.with_evaluator_until(self.interrupted, move |e| {
            e.shows_laziness = false;
            e.early = false;
            work(e).map_err(|fault| fault.to_error(&e.sources))
        })?
    }

    fn on_value<T: Send + 'static>(
        &mut self,
        text: &str,
        work: impl FnOnce(&mut Evaluator, Value) -> Eval<T> + Send + 'static,
    ) -> Result<T, EvalError> {
        let (text, directory) = (text.to_owned(), self.directory.clone());
        self.run(move |e| {
            let value = value(e, &text, &directory)?;
            let value = e.force(value)?;
            work(e, value)
        })
    }

    /// The value of an expression, shown to this depth.
    ///
    /// # Errors
    /// It is no expression, or its evaluation failed or was interrupted.
    pub fn show(&mut self, text: &str, depth: usize) -> Result<String, EvalError> {
        self.on_value(text, move |e, value| e.show_pretty(value, depth))
    }

    /// The kind of an expression's value: "an integer".
    ///
    /// # Errors
    /// As [`Interactive::show`].
    pub fn kind(&mut self, text: &str) -> Result<String, EvalError> {
        self.on_value(text, |_, value| Ok(value.kind_with_article()))
    }

    /// The paragraph on a built-in function or constant.
    ///
    /// # Errors
    /// As [`Interactive::show`].
    pub fn describe(&mut self, text: &str) -> Result<Option<String>, EvalError> {
        if let Some(entry) = documentation(text.trim()) {
            return Ok(Some(entry.page()));
        }
        self.on_value(text, |e, value| Ok(e.describe(value)))
    }

    /// Binds `x = …; y.z = …;` as variables, not evaluated yet; the last
    /// semicolon may be left out.
    ///
    /// # Errors
    /// The text is no list of bindings.
    pub fn bind(&mut self, text: &str) -> Result<usize, EvalError> {
        let end = if text.trim_end().ends_with(';') { "" } else { ";" };
        self.add(&format!("{{ {text}{end} }}"))
    }

    /// Adds the attributes of a set as variables; how many.
    ///
    /// # Errors
    /// The expression is no set, or its evaluation failed.
    pub fn add(&mut self, text: &str) -> Result<usize, EvalError> {
        self.on_value(text, add)
    }

    /// Adds the attributes of a program's value as variables; how many. A
    /// function is called with what it has defaults for.
    ///
    /// # Errors
    /// The program is no set, or its evaluation failed.
    pub fn load(&mut self, source: &Source, attr_path: &str) -> Result<usize, EvalError> {
        let (source, path) = (source.clone(), attr_path.to_owned());
        self.run(move |e| {
            let none = Arguments::new();
            // Files may have changed since they were read.
            e.forget_files();
            let value = select::select(e, &source, &path, &none)?;
            let value = select::call_automatically(e, value, &none, true)?;
            add(e, value)
        })
    }

    /// The derivations that an expression comes to.
    ///
    /// # Errors
    /// It comes to none, or its evaluation failed.
    pub fn derivations(&mut self, text: &str) -> Result<Vec<Found>, EvalError> {
        self.on_value(text, nix::derivations)
    }

    /// Forgets all variables.
    pub fn clear(&mut self) -> Result<(), EvalError> {
        self.run(|_| {
            VARIABLES.with_borrow_mut(BTreeMap::clear);
            Ok(())
        })
    }

    /// Whether most of the memory is taken, so that little more can be
    /// evaluated.
    pub fn is_used_up(&mut self) -> bool {
        // An evaluator that cannot even say that is worse off.
        self.run(|e| Ok(e.heap.allocated() > e.heap.ceiling() / 2)).unwrap_or(true)
    }

    /// What a word that was begun may become: variables, built-in names, or
    /// attributes of what stands before the last dot.
    pub fn complete(&mut self, word: &str) -> Vec<String> {
        let (word, directory) = (word.to_owned(), self.directory.clone());
        let names = self.run(move |e| {
            let Some((before, begun)) = word.rsplit_once('.') else {
                let mut names: Vec<String> = VARIABLES
                    .with_borrow(|variables| variables.keys().map(|n| e.symbols.display(*n)).collect());
                names.extend(e.global_names());
                names.extend(KEYWORDS.iter().map(|word| (*word).to_owned()));
                names.retain(|name| name.starts_with(&word));
                return Ok(names);
            };
            let value = value(e, before, &directory)?;
            let attrs = e.force_attrs(value, Pos::NONE)?;
            let names =
                e.entries_by_name(attrs).iter().map(|a| e.symbols.display(a.name)).collect::<Vec<_>>();
            let fits = names.iter().filter(|name| name.starts_with(begun) && is_plain(name));
            Ok(fits.map(|name| format!("{before}.{name}")).collect())
        });
        // Whoever presses Tab wants no error.
        let mut names = names.unwrap_or_default();
        names.sort();
        names.dedup();
        names
    }
}

const KEYWORDS: [&str; 9] = ["assert", "else", "if", "in", "inherit", "let", "rec", "then", "with"];

fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_'-".contains(c))
}

/// An expression among the variables, not evaluated yet.
fn value(e: &mut Evaluator, text: &str, directory: &Path) -> Eval {
    let variables: Vec<(Sym, Value)> =
        VARIABLES.with_borrow(|variables| variables.iter().map(|(n, v)| (*n, *v)).collect());
    let names: Vec<Sym> = variables.iter().map(|(name, _)| *name).collect();
    let code = e.lower_text(text, Origin::String, directory, Some(&names))?;
    let env = e.scope(None, names.len());
    for (slot, (_, value)) in variables.iter().enumerate() {
        env.slots[slot].set(*value);
    }
    Ok(e.later(code, env))
}

fn add(e: &mut Evaluator, value: Value) -> Eval<usize> {
    let attrs = e.force_attrs(value, Pos::NONE)?;
    let entries = attrs.entries(e.heap);
    VARIABLES.with_borrow_mut(|variables| {
        variables.extend(entries.iter().map(|attr| (attr.name, attr.value)));
    });
    Ok(entries.len())
}
