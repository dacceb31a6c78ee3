//! `osbuild list`: what the project offers.

use std::io::Write;

use osbuild_core::instantiate::project::Project;
use osbuild_core::instantiate::target::Target;
use serde_json::json;

use crate::config::CommonArguments;
use crate::error::Failure;
use crate::session;

/// List variants and packages
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only these
    #[arg(value_enum)]
    what: Option<What>,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    Variants,
    Packages,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let project = session::project(common)?;
    let mut session =
        session::for_targets(&[] as &[Target], Some::<&Project>(&project), session::lazily(common)?);
    let catalogue = session.catalogue(&project)?;
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(
            out,
            "{}",
            json!({ "schema": 1, "variants": catalogue.variants, "packages": catalogue.packages })
        )?;
        return Ok(());
    }
    let wanted = |what: What| arguments.what.is_none_or(|only| only == what);
    let lists = [
        (What::Variants, "variants", &catalogue.variants),
        (What::Packages, "packages", &catalogue.packages),
    ];
    for (what, title, names) in lists {
        if !wanted(what) {
            continue;
        }
        // Headings only where there are two lists, so that one can be piped.
        let indent = if arguments.what.is_none() {
            writeln!(out, "{title}:")?;
            "  "
        } else {
            ""
        };
        for name in names {
            writeln!(out, "{indent}{name}")?;
        }
    }
    Ok(())
}
