//! `osbuild sign`: signatures onto an image that was built.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::image::sign::{Signer, sign_output};
use serde_json::json;

use crate::config::CommonArguments;
use crate::error::Failure;

/// Sign an image for UEFI Secure Boot
///
/// Appends Authenticode signatures to the kernel image and the loader, into a
/// new directory; the unsigned output stays as it is. Equal inputs give equal
/// bytes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The output of building a variant (`result`)
    #[arg(value_name = "OUTPUT")]
    output: PathBuf,
    /// A PEM file with an RSA key and its certificate, or exec:COMMAND, which
    /// gets what is to be signed on its input and answers with the signature
    #[arg(long, value_name = "FILE|exec:COMMAND")]
    key: String,
    /// The certificate, where it is not in the key's file (PEM)
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Where to write the signed image: a directory that does not exist yet
    #[arg(short, long, value_name = "DIR")]
    out: PathBuf,
}

pub(crate) fn run(arguments: Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let signer = Signer::parse(&arguments.key, arguments.certificate.as_deref())?;
    sign_output(&arguments.output, &arguments.out, &signer)?;
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(out, "{}", json!({ "schema": 1, "path": arguments.out }))?;
    } else {
        writeln!(out, "{}", arguments.out.display())?;
    }
    Ok(())
}
