//! `osbuild diff`: what is new in an image.

use std::io::Write as _;
use std::path::Path;

use osbuild_compare::report::json::Record;
use osbuild_compare::report::text;
use osbuild_compare::{Difference, Limits, compare};
use osbuild_core::image::changes::Changes;
use serde_json::json;

use crate::config::{self, CommonArguments};
use crate::error::Failure;

/// Say what is new in one image against another
///
/// Packages and their versions, the kernel, its options and its command line,
/// what can be set, files and sizes: as Markdown, for a note on a release.
/// Builds what is missing.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a folder that holds one, or the output of a build (`result`)
    #[arg(value_name = "FROM")]
    from: String,
    /// The same of the newer one
    #[arg(value_name = "TO")]
    to: String,
    /// Open whatever differs, down to the bytes, and show these too
    #[arg(long)]
    bytes: bool,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let part = "slot/manifest.json";
    let from = super::image_output(&arguments.from, part, common)?;
    let to = super::image_output(&arguments.to, part, common)?;
    let changes = Changes::read(&from, &to)?;
    let difference = if arguments.bytes { difference(&from, &to)? } else { None };
    let mut out = std::io::stdout().lock();
    if common.json {
        let mut record = json!({ "schema": 1, "changes": changes });
        if arguments.bytes {
            record["difference"] = json!(difference.as_ref().map(Record::from));
        }
        writeln!(out, "{record}")?;
        return Ok(());
    }
    write!(out, "{changes}")?;
    if let Some(difference) = &difference {
        let (left, right) = (from.display().to_string(), to.display().to_string());
        write!(out, "\n## Bytes\n\n```\n{}```\n", text::render(difference, &left, &right))?;
    }
    Ok(())
}

/// Of what a node gets: disks hold nothing more.
fn difference(from: &Path, to: &Path) -> Result<Option<Difference>, Failure> {
    let store = config::open_store()?;
    let scratch = store.scratch("compare")?;
    Ok(compare(&from.join("slot"), &to.join("slot"), &Limits::default(), scratch.path())?)
}
