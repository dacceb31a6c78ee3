//! `osbuild graph`: a picture of what a build is made of.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::graph::BuildGraph;
use osbuild_core::graph::picture::{self, Folding};
use osbuild_store::{StoreDir, StorePath};

use crate::config::{self, CommonArguments};
use crate::error::Failure;
use crate::targets::Targets;
use crate::ui::Ui;
use crate::workshop::{BuildLimits, Workshop};

/// Draw the build graph below targets
///
/// Shows every step with its state, usual time and size, and the critical
/// path: the chain of steps that a build from nothing waits for longest.
/// Builds nothing. With --json: the whole graph as one record.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a package, a folder, a .nix file or a .drv
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<String>,
    /// What to write (default: what the file's name ends in, else dot)
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Write to this file instead of standard output
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// Draw each download, rather than one node for those that the same steps need
    #[arg(long)]
    all: bool,
    /// Ask no binary cache what it has
    #[arg(long)]
    no_substitutes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Graphviz's language
    Dot,
    /// A drawing
    Svg,
    /// A page to walk about in: zoom, search, details, table
    Html,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    // Wrong words first: describing may take a while.
    let format = if common.json { None } else { Some(format(&arguments)?) };
    if common.json && arguments.format.is_some() {
        return Err(Failure::usage("--json and --format exclude each other", "give one of them"));
    }
    let graph = describe(&arguments, common)?;
    let folding = if arguments.all { Folding::Nothing } else { Folding::Downloads };
    let store_dir = StoreDir::default();
    let text = match format {
        None => format!("{}\n", picture::record(&graph, &store_dir)),
        Some(Format::Dot) => picture::dot(&graph, folding),
        Some(Format::Svg) => picture::svg(&graph, folding),
        Some(Format::Html) => picture::page(&graph, folding, &store_dir),
    };
    let Some(file) = &arguments.output else {
        std::io::stdout().lock().write_all(text.as_bytes())?;
        return Ok(());
    };
    super::write_whole(file, text.as_bytes())?;
    if !common.quiet {
        eprintln!("{}: {}", file.display(), picture::summary(&graph));
    }
    Ok(())
}

fn format(arguments: &Arguments) -> Result<Format, Failure> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    let Some(file) = &arguments.output else { return Ok(Format::Dot) };
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => Ok(Format::Html),
        Some("svg") => Ok(Format::Svg),
        Some("dot" | "gv") => Ok(Format::Dot),
        _ => Err(Failure::usage(
            &format!("the name of '{}' says no format", file.display()),
            "end it in .html, .svg, .dot or .gv, or give --format; --json is for programs",
        )),
    }
}

fn describe(arguments: &Arguments, common: &CommonArguments) -> Result<BuildGraph, Failure> {
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let limits = BuildLimits { substitutes: !arguments.no_substitutes, ..BuildLimits::default() };
    let targets = Targets::resolve(&store, &arguments.targets, limits, common)?;
    let workshop = Workshop::open(&store, limits, Ui::new(common.verbosity()))?;
    Ok(workshop.engine().describe(&|path: &StorePath| targets.lookup(path), &targets.wanted)?)
}
