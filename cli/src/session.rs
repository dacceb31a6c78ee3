//! Evaluations as commands start them: purely for targets of a project, as
//! Nix does it for files and expressions.

use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::fetch::Progress;
use osbuild_core::fetch::tree::Archive;
use osbuild_core::instantiate::project::Project;
use osbuild_core::instantiate::sink::Lazy;
use osbuild_core::instantiate::target::Target;
use osbuild_core::instantiate::{Argument, Arguments, Session, SessionOptions, Sight};
use osbuild_core::lang::EvalError;
use osbuild_core::lang::host::SearchEntry;
use osbuild_store::StoreDir;
use osbuild_store::local::Layout;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::realiser::Place;
use crate::workshop::BuildLimits;

/// Arguments for functions at the top level.
#[derive(clap::Args)]
pub(crate) struct FunctionArguments {
    /// Give a function the argument NAME, an expression
    #[arg(long = "arg", num_args = 2, value_names = ["NAME", "EXPRESSION"])]
    expressions: Vec<String>,
    /// Give a function the argument NAME, a string
    #[arg(long = "argstr", num_args = 2, value_names = ["NAME", "STRING"])]
    strings: Vec<String>,
}

impl FunctionArguments {
    /// Each argument's name and an expression for it.
    pub(crate) fn expressions(&self) -> Vec<(String, String)> {
        let quoted = |text: &str| {
            let mut out = Vec::new();
            osbuild_core::lang::show_string(text.as_bytes(), &mut out);
            String::from_utf8_lossy(&out).into_owned()
        };
        let expressions = self.expressions.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        let strings = self.strings.chunks_exact(2).map(|pair| (pair[0].clone(), quoted(&pair[1])));
        expressions.chain(strings).collect()
    }

    pub(crate) fn to_arguments(&self) -> Arguments {
        let expressions = self.expressions.chunks_exact(2);
        let strings = self.strings.chunks_exact(2);
        expressions
            .map(|pair| (pair[0].clone(), Argument::Expression(pair[1].clone())))
            .chain(strings.map(|pair| (pair[0].clone(), Argument::String(pair[1].clone()))))
            .collect()
    }
}

/// Where the command was started.
pub(crate) fn working_directory() -> Result<PathBuf, Failure> {
    std::env::current_dir()
        .map_err(|e| Failure::usage(&format!("cannot find the working directory: {e}"), ""))
}

pub(crate) fn standard_input() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    let result = std::io::stdin().lock().read_to_end(&mut text);
    result.map_err(|e| Failure::new(Exit::Failed, &format!("cannot read standard input: {e}")))?;
    Ok(text)
}

/// The project that the command is for.
pub(crate) fn project(common: &CommonArguments) -> Result<Project, Failure> {
    let root = common.root.clone().or_else(config::root);
    Project::find(root.as_deref(), &working_directory()?, |archive| unpacked(archive, common))
}

/// The project that is in a folder, and not around it.
pub(crate) fn project_in(folder: &Path, common: &CommonArguments) -> Option<Project> {
    Project::find(Some(folder), folder, |archive| unpacked(archive, common)).ok()
}

/// The toolkit that comes as an archive.
fn unpacked(archive: &Archive, common: &CommonArguments) -> Result<PathBuf, Failure> {
    let fetcher = config::fetcher(&*config::open_store()?)?;
    let url = &archive.url;
    let show = !common.quiet && !common.json;
    let progress = Fetching { url, show, shown: AtomicBool::new(false), interrupted: catch_interrupts() };
    let root = fetcher.tree("the toolkit", archive, &progress)?;
    Ok(root.canonicalize()?)
}

/// Says once that the toolkit is being fetched, and how far that is to whoever looks.
struct Fetching<'a> {
    url: &'a str,
    show: bool,
    shown: AtomicBool,
    interrupted: &'static AtomicBool,
}

impl Progress for Fetching<'_> {
    fn update(&self, done: u64, total: u64) {
        if !self.show {
            return;
        }
        if !self.shown.swap(true, Ordering::Relaxed) {
            eprintln!("fetching the toolkit from {}", self.url);
        }
        if std::io::stderr().is_terminal() && total > 0 {
            eprint!("\r\x1b[K");
            if done < total {
                eprint!("{} %", done * 100 / total);
            }
        }
    }

    fn cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// The targets as typed, with the project if one of them needs it.
pub(crate) fn targets(
    words: &[String],
    common: &CommonArguments,
) -> Result<(Vec<Target>, Option<Project>), Failure> {
    let directory = working_directory()?;
    let parse = |word: &String| Target::parse(word, &directory, &StoreDir::default());
    let targets = words.iter().map(parse).collect::<Result<Vec<_>, EvalError>>()?;
    let project = if targets.iter().any(Target::needs_project) { Some(project(common)?) } else { None };
    Ok((targets, project))
}

/// A session for targets of a project: they see the project, the folders
/// that were named, and the store.
pub(crate) fn for_targets(targets: &[Target], project: Option<&Project>, place: Place) -> Session {
    start(target_options(targets, project), place)
}

/// A session that builds what programs read.
pub(crate) fn start(options: SessionOptions, place: Place) -> Session {
    let Place { sink, import_from_derivation } = place;
    Session::new(SessionOptions { import_from_derivation, ..options }, sink)
}

pub(crate) fn target_options(targets: &[Target], project: Option<&Project>) -> SessionOptions {
    let mut places: Vec<PathBuf> = project.iter().flat_map(|p| p.places()).map(Path::to_owned).collect();
    let mut pure = true;
    for target in targets {
        match target {
            Target::Folder { path, .. } => places.push(path.clone()),
            Target::File { .. } => pure = false,
            Target::Attribute(_) | Target::Derivation(_) => {}
        }
    }
    if pure { SessionOptions { sight: Sight::Pure { places }, ..options() } } else { impure(&[]) }
}

/// What all sessions have: files that did not change are not parsed again.
pub(crate) fn options() -> SessionOptions {
    let code_cache = config::home().ok().map(|home| home.join("cache/code"));
    SessionOptions { code_cache, ..SessionOptions::default() }
}

/// Programs that see what Nix lets them see.
pub(crate) fn impure(search_path: &[String]) -> SessionOptions {
    let configured = config::nix_path();
    let search_path = search_entries(search_path.iter().chain(&configured));
    SessionOptions { search_path, ..options() }
}

/// `nixpkgs=/path` or `/path`.
pub(crate) fn search_entries<'a>(entries: impl Iterator<Item = &'a String>) -> Vec<SearchEntry> {
    let entry = |text: &String| {
        let (prefix, path) = text.split_once('=').unwrap_or(("", text));
        SearchEntry { prefix: prefix.to_owned(), path: path.to_owned() }
    };
    entries.map(entry).collect()
}

/// The user's store, in which nothing appears but what a program builds to
/// read it.
pub(crate) fn lazily(common: &CommonArguments) -> Result<Place, Failure> {
    let store = Lazy::new(Layout::below(&config::home()?));
    Ok(Place::lazy(store, common.verbosity(), BuildLimits::default()))
}
