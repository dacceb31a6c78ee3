//! `osbuild log`: what a build wrote.

use std::io::Write;
use std::sync::Arc;

use osbuild_core::build::log::log_path;
use osbuild_store::{LocalStore, StorePath};

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::targets::Targets;
use crate::workshop::BuildLimits;

/// Show the log of a build
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a package, a folder, a .nix file, a .drv, an output or a result link
    #[arg(value_name = "TARGET")]
    target: String,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let derivation = find(&store, &arguments.target, common)?;
    let file = log_path(store.home(), &derivation);
    let bytes = std::fs::read(&file).map_err(|e| {
        Failure::new(Exit::Failed, &format!("there is no log of {derivation}: {e}"))
            .with_hint("only steps that ran here have one")
    })?;
    std::io::stdout().lock().write_all(&bytes)?;
    Ok(())
}

fn find(store: &Arc<LocalStore>, target: &str, common: &CommonArguments) -> Result<StorePath, Failure> {
    match super::store::named(store, target) {
        Some(path) if path.is_derivation() => Ok(path),
        Some(path) => {
            let deriver = store.info(&path)?.and_then(|info| info.deriver);
            deriver.ok_or_else(|| Failure::new(Exit::Failed, &format!("it is not known how {path} was made")))
        }
        None => {
            let words = [target.to_owned()];
            let targets = Targets::resolve(store, &words, BuildLimits::default(), common)?;
            targets.only(target).cloned()
        }
    }
}
