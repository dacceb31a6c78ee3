//! Where the language meets the store: evaluating a file to derivations.
//!
//! A [`Session`] is one evaluation with its files, its store and what it has
//! made. The evaluator lives on a thread of its own with a deep stack; a
//! session hands it work and waits.
//!
//! Nothing here builds.

pub(crate) mod derivation_strict;
mod host;
mod select;
pub mod sink;
mod table;
pub mod target;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard};

use osbuild_store::StorePath;
use osbuild_store::action::OutputName;

use crate::derivation::Derivation;
use crate::lang::error::ErrorKind;
use crate::lang::host::SearchEntry;
use crate::lang::source::{Origin, Pos};
use crate::lang::{EvalError, Evaluator, stack};
use sink::Sink;
use table::Table;

/// How programs run in a session.
pub struct SessionOptions {
    /// `Some`: programs see no environment, no time and no search path, and
    /// only files at or below these places and store objects. `None`: as Nix
    /// without `--pure-eval`.
    pub pure: Option<Vec<PathBuf>>,
    /// Where `<x>` is looked up, in order.
    pub search_path: Vec<SearchEntry>,
    /// `builtins.currentSystem`, where programs may know it.
    pub system: String,
    /// Receives lines of `trace` and `warn`.
    pub message: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            pure: None,
            search_path: Vec::new(),
            system: format!("{}-linux", std::env::consts::ARCH),
            message: Arc::new(|line| eprintln!("{line}")),
        }
    }
}

/// A program to evaluate.
#[derive(Clone, Debug)]
pub enum Source {
    File(PathBuf),
    /// Text; relative paths in it begin at `directory`.
    Expression {
        text: String,
        directory: PathBuf,
    },
}

/// Arguments for functions at the top level, by name.
pub type Arguments = BTreeMap<String, Argument>;

#[derive(Clone, Debug)]
pub enum Argument {
    /// `--arg`: an expression.
    Expression(String),
    /// `--argstr`: a string.
    String(String),
}

/// How [`Session::eval`] writes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// As `nix-instantiate --eval` prints it; evaluated throughout if `strict`.
    Nix {
        strict: bool,
    },
    Json,
    /// The bytes of a string.
    Raw,
    Xml {
        strict: bool,
    },
}

/// A derivation that a target came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instantiated {
    pub drv_path: StorePath,
    /// The output that the target names (`outputName`, usually `out`).
    pub outputs_wanted: Vec<OutputName>,
    /// The derivation's `name`.
    pub name: String,
    /// The attribute path that led here, as the user would type it.
    pub attr: String,
}

type Work = Box<dyn FnOnce(&mut Evaluator) + Send>;

/// One evaluation. Files are read once, derivations kept in memory.
pub struct Session {
    work: mpsc::Sender<Work>,
    thread: Option<std::thread::JoinHandle<()>>,
    table: Arc<Mutex<Table>>,
}

impl Session {
    pub fn new(options: SessionOptions, sink: Arc<dyn Sink>) -> Self {
        let table = Arc::new(Mutex::new(Table::default()));
        let (sender, receiver) = mpsc::channel::<Work>();
        let shared = Arc::clone(&table);
        let thread = stack::spawn(move || {
            let host = host::StoreHost::new(options, sink, shared);
            let mut evaluator = Evaluator::new(Rc::new(host), derivation_strict::BUILTINS);
            for work in receiver {
                work(&mut evaluator);
            }
        });
        Self { work: sender, thread: Some(thread), table }
    }

    /// Runs `work` with the evaluator, on its thread.
    pub fn with_evaluator<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Evaluator) -> T + Send + 'static,
    ) -> Result<T, EvalError> {
        let (sender, receiver) = mpsc::channel();
        let work: Work = Box::new(move |evaluator| {
            // The receiver waits below; it is gone only if we panic.
            let _ = sender.send(work(evaluator));
        });
        let lost = || EvalError::new(ErrorKind::Depth, "the evaluator stopped: a bug, please report it");
        self.work.send(work).map_err(|_| lost())?;
        receiver.recv().map_err(|_| lost())
    }

    /// The derivations that an attribute of a file comes to: the value itself,
    /// its `build` if it is a set with one, or those of a list or set.
    ///
    /// # Errors
    /// The evaluation failed, or came to something else.
    pub fn instantiate(
        &mut self,
        file: &Path,
        attr_path: &str,
        arguments: &Arguments,
    ) -> Result<Vec<Instantiated>, EvalError> {
        self.instantiate_source(&Source::File(file.to_owned()), attr_path, arguments)
    }

    /// As [`Session::instantiate`], of any program.
    ///
    /// # Errors
    /// As [`Session::instantiate`].
    pub fn instantiate_source(
        &mut self,
        source: &Source,
        attr_path: &str,
        arguments: &Arguments,
    ) -> Result<Vec<Instantiated>, EvalError> {
        let (source, path, arguments) = (source.clone(), attr_path.to_owned(), arguments.clone());
        self.with_evaluator(move |e| {
            let result = select::select(e, &source, &path, &arguments)
                .and_then(|value| select::derivations(e, value, &path, &arguments));
            result.map_err(|fault| fault.to_error(&e.sources))
        })?
    }

    /// Evaluates an attribute of a program and writes its value.
    ///
    /// # Errors
    /// The evaluation failed.
    pub fn eval(
        &mut self,
        source: &Source,
        attr_path: &str,
        arguments: &Arguments,
        output: Output,
    ) -> Result<Vec<u8>, EvalError> {
        let (source, path, arguments) = (source.clone(), attr_path.to_owned(), arguments.clone());
        self.with_evaluator(move |e| {
            let result = select::select(e, &source, &path, &arguments).and_then(|value| {
                let value = select::call_automatically(e, value, &arguments, false)?;
                match output {
                    Output::Nix { strict } => {
                        if strict {
                            e.force_deep(value)?;
                        }
                        e.show(value)
                    }
                    Output::Json => Ok(e.json_of(value, Pos::NONE)?.0),
                    Output::Raw => e.show_raw(value),
                    Output::Xml { strict } => Ok(e.xml_of(value, strict, true, Pos::NONE)?.0),
                }
            });
            result.map_err(|fault| fault.to_error(&e.sources))
        })?
    }

    /// Evaluates an attribute of a program to JSON text.
    ///
    /// # Errors
    /// The evaluation failed.
    pub fn eval_json(
        &mut self,
        source: &Source,
        attr_path: &str,
        arguments: &Arguments,
    ) -> Result<String, EvalError> {
        let bytes = self.eval(source, attr_path, arguments, Output::Json)?;
        Ok(String::from_utf8(bytes).expect("JSON is written as UTF-8"))
    }

    /// A derivation that this session made, or met in the store.
    pub fn derivation(&self, path: &StorePath) -> Option<Arc<Derivation>> {
        self.table().derivation(path)
    }

    /// The derivation's bytes, as its `.drv` holds them.
    pub fn derivation_text(&self, path: &StorePath) -> Option<Arc<[u8]>> {
        self.table().text(path)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no one panics while holding the table")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (closed, _) = mpsc::channel();
        self.work = closed;
        if let Some(thread) = self.thread.take() {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Source {
    /// The value of the program, not yet called with arguments.
    fn value(&self, e: &mut Evaluator) -> crate::lang::Eval {
        match self {
            Self::File(path) => e.import(path, Pos::NONE),
            Self::Expression { text, directory } => {
                let code = e.lower_text(text, Origin::String, directory, None)?;
                let env = e.scope(None, 0);
                e.eval(code, env)
            }
        }
    }
}
