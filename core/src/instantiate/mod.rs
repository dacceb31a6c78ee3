//! Where the language meets the store: evaluating a file to derivations.
//!
//! A [`Session`] is one evaluation with its files, its store and what it has
//! made. The evaluator lives on a thread of its own with a deep stack; a
//! session hands it work and waits.
//!
//! Nothing here builds; a [`realiser::Realiser`] may be given that does.

pub(crate) mod derivation_strict;
mod host;
pub mod interactive;
mod kept_code;
pub mod memory;
pub mod nix;
pub mod project;
pub mod realiser;
mod select;
pub mod sink;
mod table;
pub mod target;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use osbuild_store::StorePath;
use osbuild_store::action::OutputName;

use crate::derivation::Derivation;
use crate::lang::error::ErrorKind;
use crate::lang::heap::Exhausted;
use crate::lang::host::{Diagnostics, MAX_CALL_DEPTH, SearchEntry};
use crate::lang::source::{Origin, Pos};
use crate::lang::value::Value;
use crate::lang::{Brake, Eval, EvalError, Evaluator, stack};
use realiser::ImportFromDerivation;
use sink::Sink;
use table::Table;

/// How programs run in a session.
pub struct SessionOptions {
    pub sight: Sight,
    /// Where `<x>` is looked up, in order.
    pub search_path: Vec<SearchEntry>,
    /// `builtins.currentSystem`, where programs may know it.
    pub system: String,
    /// How much memory values may take; `None`: most of what the machine has
    /// (see `memory`).
    pub memory_ceiling: Option<usize>,
    /// The folder in which lowered code is kept between evaluations.
    pub code_cache: Option<PathBuf>,
    /// Whether programs may read what derivations make.
    pub import_from_derivation: ImportFromDerivation,
    /// How deep calls and data may be nested; as the setting `max-call-depth`
    /// of Nix.
    pub max_call_depth: u32,
    /// A line is said for each import from derivation.
    pub trace_import_from_derivation: bool,
    pub diagnostics: Diagnostics,
    /// Receives lines of `trace` and `warn`.
    pub message: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            sight: Sight::Everything,
            search_path: Vec::new(),
            system: format!("{}-linux", std::env::consts::ARCH),
            memory_ceiling: None,
            code_cache: None,
            import_from_derivation: ImportFromDerivation::Refuse,
            max_call_depth: MAX_CALL_DEPTH,
            trace_import_from_derivation: false,
            diagnostics: Diagnostics::default(),
            message: Arc::new(|line| eprintln!("{line}")),
        }
    }
}

/// What programs may look at beside the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    #[default]
    Everything,
    /// No environment, and of files and the network what is at or below these:
    /// Nix's `restrict-eval`.
    Restricted { places: Vec<PathBuf>, uris: Vec<String> },
    /// No environment, no time, no search path, no system, and of files what
    /// is at or below these places: Nix's `pure-eval`.
    Pure { places: Vec<PathBuf> },
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
    /// What standard input held.
    StandardInput {
        text: Vec<u8>,
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
    /// What is not evaluated yet is an error unless `strict`.
    Json {
        strict: bool,
    },
    /// The bytes of a string.
    Raw,
    Xml {
        strict: bool,
        location: bool,
    },
}

impl Output {
    fn shows_laziness(self) -> bool {
        match self {
            Self::Nix { strict } | Self::Json { strict } | Self::Xml { strict, .. } => !strict,
            Self::Raw => false,
        }
    }
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

/// How often an evaluation that may be interrupted is looked after.
const WATCH: Duration = Duration::from_millis(50);

type Work = Box<dyn FnOnce(&mut Evaluator) + Send>;

/// One evaluation. Files are read once, derivations kept in memory.
pub struct Session {
    work: mpsc::Sender<Work>,
    thread: Option<std::thread::JoinHandle<()>>,
    table: Arc<Mutex<Table>>,
}

impl Session {
    pub fn new(options: SessionOptions, sink: Arc<dyn Sink>) -> Self {
        let table = Arc::new(Mutex::new(Table::new(sink.store_dir().clone())));
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
            let result = match catch_unwind(AssertUnwindSafe(|| work(evaluator))) {
                Ok(result) => Ok(result),
                // The memory was used up where no error could be returned.
                Err(payload) if payload.is::<Exhausted>() => {
                    evaluator.recover();
                    Err(evaluator.out_of_memory(Pos::NONE).to_error(&evaluator.sources))
                }
                Err(payload) => resume_unwind(payload),
            };
            evaluator.host.flush_code();
            // The receiver waits below; it is gone only if we panic.
            let _ = sender.send(result);
        });
        let lost = || EvalError::new(ErrorKind::Depth, "the evaluator stopped: a bug, please report it");
        self.work.send(work).map_err(|_| lost())?;
        receiver.recv().map_err(|_| lost())?
    }

    /// As [`Session::with_evaluator`]; the evaluation fails soon after
    /// `interrupted` was set.
    pub(crate) fn with_evaluator_until<T: Send + 'static>(
        &mut self,
        interrupted: &AtomicBool,
        work: impl FnOnce(&mut Evaluator) -> T + Send + 'static,
    ) -> Result<T, EvalError> {
        let (hand, brake) = mpsc::channel();
        std::thread::scope(|scope| {
            let (done, waiting) = mpsc::channel::<()>();
            scope.spawn(move || {
                // Ends when the evaluation does, which drops `done`.
                let Ok(brake): Result<Brake, _> = brake.recv() else { return };
                while waiting.recv_timeout(WATCH) == Err(mpsc::RecvTimeoutError::Timeout) {
                    if interrupted.load(Ordering::Relaxed) {
                        brake.pull();
                    }
                }
                brake.release();
            });
            let result = self.with_evaluator(move |e| {
                // The watcher waits for it; it is gone only if it panicked.
                let _ = hand.send(e.brake());
                work(e)
            });
            drop(done);
            result
        })
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
            e.early = true;
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
            e.shows_laziness = output.shows_laziness();
            // Whoever sees what was not evaluated sees it as Nix shows it.
            e.early = !output.shows_laziness();
            let result = select::select(e, &source, &path, &arguments).and_then(|value| {
                let value = select::call_automatically(e, value, &arguments, false)?;
                write(e, value, output)
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
        let bytes = self.eval(source, attr_path, arguments, Output::Json { strict: true })?;
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

/// A value as text.
fn write(e: &mut Evaluator, value: Value, output: Output) -> Eval<Vec<u8>> {
    match output {
        Output::Nix { strict } => {
            if strict {
                e.force_deep(value)?;
            }
            e.show(value)
        }
        Output::Json { strict } => {
            if !strict {
                e.refuse_unevaluated(value)?;
            }
            Ok(e.json_of(value, Pos::NONE)?.0)
        }
        Output::Raw => e.show_raw(value),
        Output::Xml { strict, location } => Ok(e.xml_of(value, strict, location, Pos::NONE)?.0),
    }
}

impl Source {
    /// The program's bytes, where they are from, and where relative paths
    /// begin.
    fn text(&self, e: &mut Evaluator) -> Eval<(Vec<u8>, Origin, PathBuf)> {
        Ok(match self {
            Self::File(path) => {
                let (path, text) = e.read_program(path, Pos::NONE)?;
                let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
                (text, Origin::File(path), directory)
            }
            Self::Expression { text, directory } => {
                (text.clone().into_bytes(), Origin::String, directory.clone())
            }
            Self::StandardInput { text, directory } => {
                (text.clone(), Origin::StandardInput, directory.clone())
            }
        })
    }

    /// The value of the program, not yet called with arguments.
    fn value(&self, e: &mut Evaluator) -> Eval {
        if let Self::File(path) = self {
            return e.import(path, Pos::NONE);
        }
        let (text, origin, directory) = self.text(e)?;
        let code = e.lower_text(&text, origin, &directory, None)?;
        let env = e.scope(None, 0);
        e.eval(code, env)
    }
}
