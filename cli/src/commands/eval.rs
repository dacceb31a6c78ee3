//! `osbuild eval`: the value of an expression, a file or a target.

use std::io::Write;
use std::path::Path;

use osbuild_core::instantiate::memory;
use osbuild_core::instantiate::target::Target;
use osbuild_core::instantiate::{Output, SessionOptions, Sight, Source};

use crate::config::CommonArguments;
use crate::error::Failure;
use crate::session::{self, FunctionArguments};

/// Print the value of an expression, a file or a target
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant or package (with an attribute path), a folder, a .nix file, or
    /// - for a program on standard input
    #[arg(value_name = "TARGET", required_unless_present = "expr", conflicts_with = "expr")]
    target: Option<String>,
    /// Evaluate this text
    #[arg(long, short = 'E', value_name = "EXPRESSION")]
    expr: Option<String>,
    /// The attribute to evaluate
    #[arg(long = "attr", short = 'A', value_name = "PATH", default_value = "")]
    attr_path: String,
    /// Evaluate everything inside the value, too
    #[arg(long)]
    strict: bool,
    /// Print a string's bytes and nothing else
    #[arg(long, conflicts_with = "xml")]
    raw: bool,
    /// Print XML
    #[arg(long)]
    xml: bool,
    /// See no environment, no time, and only files below the working directory
    #[arg(long)]
    pure: bool,
    /// Give up when values take more memory than this: bytes, or with K, M, G
    /// [default: three quarters of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = memory_size)]
    max_memory: Option<usize>,
    #[command(flatten)]
    arguments: FunctionArguments,
    /// Where <x> is looked up: DIR or NAME=DIR; before NIX_PATH
    #[arg(long = "include", short = 'I', value_name = "PLACE")]
    search_path: Vec<String>,
}

pub(super) fn memory_size(text: &str) -> Result<usize, String> {
    memory::parse_size(text).ok_or_else(|| "expected a number of bytes, or one with K, M or G".to_owned())
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let directory = session::working_directory()?;
    let store = session::lazily(common)?;
    let options = |place: &Path| {
        let options = if arguments.pure {
            SessionOptions { sight: Sight::Pure { places: vec![place.to_owned()] }, ..session::options() }
        } else {
            session::impure(&arguments.search_path)
        };
        SessionOptions { memory_ceiling: arguments.max_memory, ..options }
    };
    let (mut session, source, attr_path) = match (&arguments.expr, &arguments.target) {
        (Some(text), _) => {
            let source = Source::Expression { text: text.clone(), directory: directory.clone() };
            (session::start(options(&directory), store), source, arguments.attr_path.clone())
        }
        (None, Some(word)) if word == "-" => {
            let text = session::standard_input()?;
            let source = Source::StandardInput { text, directory: directory.clone() };
            (session::start(options(&directory), store), source, arguments.attr_path.clone())
        }
        (None, target) => {
            let words: Vec<String> = target.iter().cloned().collect();
            let (targets, project) = session::targets(&words, common)?;
            let target = &targets[0];
            let mut session = match target {
                Target::File { path, .. } => {
                    session::start(options(path.parent().unwrap_or(&directory)), store)
                }
                _ => {
                    let options = session::target_options(&targets, project.as_ref());
                    session::start(SessionOptions { memory_ceiling: arguments.max_memory, ..options }, store)
                }
            };
            let (source, found) = target.source(&mut session, project.as_ref())?;
            let dot = if found.is_empty() || arguments.attr_path.is_empty() { "" } else { "." };
            let attr_path = format!("{found}{dot}{}", arguments.attr_path);
            (session, source, attr_path)
        }
    };
    let output = match (common.json, arguments.raw, arguments.xml) {
        (true, ..) => Output::Json { strict: true },
        (_, true, _) => Output::Raw,
        (.., true) => Output::Xml { strict: arguments.strict, location: true },
        _ => Output::Nix { strict: arguments.strict },
    };
    let mut text = session.eval(&source, &attr_path, &arguments.arguments.to_arguments(), output)?;
    if matches!(output, Output::Nix { .. } | Output::Json { .. }) {
        text.push(b'\n');
    }
    std::io::stdout().lock().write_all(&text)?;
    Ok(())
}
