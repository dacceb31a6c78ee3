//! `osbuild sbom`: an image's bill of materials.

use crate::config::CommonArguments;
use crate::error::Failure;

/// Print the bill of materials of an image
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, a folder that holds one, or the output of a build (`result`)
    #[arg(value_name = "TARGET")]
    target: String,
    /// Which document
    #[arg(long, value_enum, default_value_t = Format::Spdx)]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Format {
    /// SPDX 2.3
    Spdx,
    /// CycloneDX 1.6
    Cyclonedx,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let name = match arguments.format {
        Format::Spdx => "sbom.spdx.json",
        Format::Cyclonedx => "sbom.cdx.json",
    };
    super::print_file(&super::image_output(&arguments.target, name, common)?.join(name))
}
