//! `osbuild log`: what a build wrote.

use std::io::Write;

use osbuild_core::build::log::log_path;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

/// Show the log of a build
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A .drv or an output, as a path
    #[arg(value_name = "TARGET")]
    target: String,
}

pub(crate) fn run(arguments: Arguments, _common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let target = &arguments.target;
    let canonical = std::fs::read_link(target).ok().and_then(|path| path.to_str().map(str::to_owned));
    let Some((path, _)) = store.parse_any(canonical.as_ref().unwrap_or(target)) else {
        return Err(Failure::usage(
            &format!("'{target}' is no path of the store"),
            "give a .drv, an output or a result link",
        ));
    };
    let derivation = if path.is_derivation() {
        path
    } else {
        let deriver = store.info(&path)?.and_then(|info| info.deriver);
        deriver.ok_or_else(|| Failure::new(Exit::Failed, &format!("it is not known how {path} was made")))?
    };
    let file = log_path(store.home(), &derivation);
    let bytes = std::fs::read(&file).map_err(|e| {
        Failure::new(Exit::Failed, &format!("there is no log of {derivation}: {e}"))
            .with_hint("only steps that ran here have one")
    })?;
    std::io::stdout().lock().write_all(&bytes)?;
    Ok(())
}
