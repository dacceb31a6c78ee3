//! The program `nix-instantiate`: what osbuild is when it is started under
//! that name, so that editors and scripts made for Nix run unchanged.
//!
//! Standard output and exit codes are Nix's. Messages keep our form, with
//! Nix's words in their first line. Nothing is built but what a program reads
//! (import from derivation).

mod arguments;
mod configuration;
mod settings;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use osbuild_core::instantiate::nix::Found;
use osbuild_core::instantiate::realiser::ImportFromDerivation;
use osbuild_core::instantiate::sink::{Computing, Lazy};
use osbuild_core::instantiate::{Output, Session, SessionOptions, Sight, Source};
use osbuild_store::{LocalStore, StoreDir};

use crate::config::NixStore;
use crate::error::{Exit, Failure};
use crate::realiser::Place;
use crate::session;
use crate::ui::Verbosity;
use arguments::{Form, Given, Mode, Request};

/// Whether the program was started under this name.
pub(crate) fn is_asked_for(name: Option<&OsString>) -> bool {
    name.is_some_and(|name| Path::new(name).file_name().is_some_and(|base| base == "nix-instantiate"))
}

pub(crate) fn run(words: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    answer(words).map_err(Failure::into_that_of_nix)
}

fn answer(words: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let words = words.map(|word| word.to_string_lossy().into_owned());
    let request = match Given::parse(words).and_then(Given::check)? {
        Some(request) => request,
        // `--help` or `--version` has answered.
        None => return Ok(()),
    };
    crate::error::show_whole_trail(request.show_trace);
    let (place, store) = place(&request)?;
    let mut session = session::start(options(&request), place);
    let mut out = std::io::stdout().lock();
    if request.mode == Mode::FindFile {
        for name in &request.programs {
            let path = session.find_file(name)?;
            if !path.is_absolute() {
                return Err(Failure::new(
                    Exit::Failed,
                    &format!("'{}' has no physical path", path.display()),
                ));
            }
            writeln!(out, "{}", path.display())?;
        }
        return Ok(());
    }
    let mut roots = Roots { store: store.as_deref(), link: request.root.clone(), made: 0 };
    for source in sources(&request, &mut session)? {
        match request.mode {
            Mode::Parse => {
                let mut text = session.parse(&source)?;
                text.push(b'\n');
                out.write_all(&text)?;
            }
            Mode::Evaluate(form) => {
                let output = match form {
                    Form::Nix => Output::Nix { strict: request.strict },
                    Form::Json => Output::Json { strict: request.strict },
                    Form::Raw => Output::Raw,
                    Form::Xml => Output::Xml { strict: request.strict, location: request.location },
                };
                let (texts, error) =
                    session.eval_each(&source, &request.attr_paths, &request.arguments, output);
                for mut text in texts {
                    if matches!(form, Form::Nix | Form::Json) {
                        text.push(b'\n');
                    }
                    out.write_all(&text)?;
                }
                error.map_or(Ok(()), Err)?;
            }
            Mode::Instantiate => {
                let (found, error) =
                    session.derivations_of_each(&source, &request.attr_paths, &request.arguments);
                for found in found.iter().flatten() {
                    writeln!(out, "{}", roots.shown(found, request.store.store_dir())?)?;
                }
                error.map_or(Ok(()), Err)?;
            }
            Mode::FindFile => {}
        }
    }
    Ok(())
}

fn options(request: &Request) -> SessionOptions {
    let settings = &request.settings;
    let mut options = session::impure(&request.search_path);
    if let Some(places) = &settings.nix_path {
        options.search_path = session::search_entries(request.search_path.iter().chain(places));
    }
    if let Some(system) = settings.eval_system.as_ref().or(settings.system.as_ref()) {
        options.system.clone_from(system);
    }
    if settings.pure {
        options.sight = Sight::Pure { places: Vec::new() };
    } else if settings.restricted {
        let places = options.search_path.iter().map(|entry| PathBuf::from(&entry.path)).collect();
        options.sight = Sight::Restricted { places, uris: settings.allowed_uris.clone() };
    }
    options.diagnostics = settings.diagnostics;
    options.max_call_depth = settings.max_call_depth;
    options.trace_import_from_derivation = settings.trace_import_from_derivation;
    options
}

/// Where derivations go: into the store if they are asked for, nowhere
/// otherwise; and the store itself if they do.
fn place(request: &Request) -> Result<(Place, Option<Arc<LocalStore>>), Failure> {
    let verbosity = Verbosity { quiet: request.quiet, verbose: false };
    let limits = request.settings.limits;
    let mut opened = None;
    let mut place = match &request.store {
        NixStore::At(layout) if request.mode == Mode::Instantiate || request.read_write => {
            let store = Arc::new(LocalStore::open_at(layout)?);
            opened = Some(store.clone());
            Place::open(store, verbosity, limits)
        }
        NixStore::At(layout) => Place::lazy(Lazy::read_only(layout.clone()), verbosity, limits),
        NixStore::None(store_dir) => Place {
            sink: Arc::new(Computing::of(store_dir.clone(), None)),
            import_from_derivation: ImportFromDerivation::Refuse,
        },
    };
    if !request.settings.import_from_derivation {
        place.import_from_derivation = ImportFromDerivation::Refuse;
    }
    Ok((place, opened))
}

fn sources(request: &Request, session: &mut Session) -> Result<Vec<Source>, Failure> {
    let directory = session::working_directory()?;
    let mut sources = Vec::new();
    if request.standard_input {
        let text = session::standard_input()?;
        sources.push(Source::StandardInput { text, directory: directory.clone() });
    }
    for program in &request.programs {
        let looked_up = program.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
        sources.push(match looked_up {
            _ if request.expressions => {
                Source::Expression { text: program.clone(), directory: directory.clone() }
            }
            Some(name) => Source::File(session.find_file(name)?),
            None => Source::File(absolute(&directory.join(program))),
        });
    }
    Ok(sources)
}

/// Without `.` and `..`, which messages would show.
fn absolute(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => drop(clean.pop()),
            std::path::Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean
}

/// Links that keep derivations alive: `LINK`, `LINK-2`, …
struct Roots<'a> {
    store: Option<&'a LocalStore>,
    link: Option<PathBuf>,
    made: usize,
}

impl Roots<'_> {
    /// What is printed of a derivation: its link if there is one.
    fn shown(&mut self, found: &Found, store_dir: &StoreDir) -> Result<String, Failure> {
        self.made += 1;
        let place = match (&self.link, self.store) {
            (Some(link), Some(store)) => {
                let mut link = link.clone().into_os_string();
                if self.made > 1 {
                    link.push(format!("-{}", self.made));
                }
                store.add_root(Path::new(&link), &found.drv_path)?;
                link.to_string_lossy().into_owned()
            }
            _ => store_dir.display(&found.drv_path),
        };
        if self.made == 1 && self.link.is_none() {
            eprintln!(
                "warning: you did not specify '--add-root'; the result might be removed by the garbage collector"
            );
        }
        let output = if found.output == "out" { String::new() } else { format!("!{}", found.output) };
        Ok(format!("{place}{output}"))
    }
}
