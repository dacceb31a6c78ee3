//! `osbuild size`: where an image's bytes are.

use std::io::Write as _;

use osbuild_core::image::size;

use crate::config::CommonArguments;
use crate::error::Failure;

/// Say where the bytes of an image are, by package and by file
///
/// Builds what is missing. With --json: the report as it is in the image's
/// output.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a folder that holds one, or the output of a build (`result`)
    #[arg(value_name = "TARGET")]
    target: String,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let output = super::image_output(&arguments.target, "size.json", common)?;
    if common.json {
        return super::print_file(&output.join("size.json"));
    }
    write!(std::io::stdout().lock(), "{}", size::read(&output)?)?;
    Ok(())
}
