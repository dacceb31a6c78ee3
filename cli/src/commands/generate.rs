//! What is generated from the command line's own description: completions for
//! shells, manual pages.

use std::io::Write;
use std::path::PathBuf;

use clap::CommandFactory;

use crate::error::{Exit, Failure};

/// Print a shell's completion script
#[derive(clap::Args)]
pub(crate) struct CompletionsArguments {
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Print the manual page, or write one for every command
#[derive(clap::Args)]
pub(crate) struct ManArguments {
    /// Write osbuild.1, osbuild-build.1, … into this directory
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(crate) fn completions<Cli: CommandFactory>(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "osbuild", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}

pub(crate) fn man<Cli: CommandFactory>(arguments: &ManArguments) -> Result<(), Failure> {
    match &arguments.output {
        Some(directory) => std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), directory))
            .map_err(|error| {
                Failure::new(Exit::Failed, &format!("cannot write {}: {error}", directory.display()))
            }),
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            std::io::stdout().lock().write_all(&page)?;
            Ok(())
        }
    }
}
