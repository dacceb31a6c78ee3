//! `osbuild shell`: a shell where a target's builder would run.

use std::io::IsTerminal;

use osbuild_core::build::sandbox::Attached;
use osbuild_core::build::shell::{BUILDER_SCRIPT, enter};

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::targets::Targets;
use crate::terminal::Terminal;
use crate::ui::Ui;
use crate::workshop::{BuildLimits, Workshop};

/// Open a shell in the sandbox that builds a target
///
/// It has what the builder has and nothing more: the same inputs, environment
/// and limits, no network. What the target needs is built first. Whatever is
/// made inside is gone when the shell ends.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a package, a folder, a .nix file or a .drv
    #[arg(value_name = "TARGET")]
    target: String,
    /// Have the shell run this and end; it fails where this fails
    #[arg(long, value_name = "COMMAND")]
    run: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let limits = BuildLimits::default();
    let words = [arguments.target.clone()];
    let targets = Targets::resolve(&store, &words, limits, common)?;
    let derivation = targets.only(&arguments.target)?;
    let workshop = Workshop::open(&store, limits, Ui::new(common.verbosity()))?;
    let resolved = workshop.engine().resolve_inputs(&|path| targets.lookup(path), derivation)?;
    let command = arguments.run.as_deref();
    let enter = |attached: Attached<'_>| {
        enter(&store, workshop.options(), &resolved, command, attached, &|| workshop.is_interrupted())
            .map_err(|error| Failure::of_build(&resolved.path, &error))
    };
    if command.is_some() || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        let status = enter(Attached::Inherited)?;
        return match status.code() {
            Some(0) => Ok(()),
            Some(code) => {
                let message = format!("the shell ended with exit code {code}");
                Err(Failure::new(Exit::Failed, &message))
            }
            None => Err(Failure::new(Exit::Failed, &format!("the shell ended: {status}"))),
        };
    }
    if !common.quiet {
        eprintln!(
            "in the sandbox of {}; {BUILDER_SCRIPT} runs its builder, nothing made here is kept",
            resolved.name()
        );
    }
    let terminal = Terminal::open()?;
    // How an interactive shell ended says how its last command did.
    terminal.carry(|inside| enter(Attached::Terminal(inside)))?;
    Ok(())
}
