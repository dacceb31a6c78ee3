//! `osbuild attest`: how an image came to be, for others to check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use osbuild_core::attest::dependencies::dependencies;
use osbuild_core::attest::provenance::{BUILDER, Parameters, statement};
use osbuild_core::attest::statement::Resource;
use osbuild_core::repo::release::Slot;
use osbuild_core::repo::tested::of_file;
use osbuild_store::error::one_line;

use super::build::{Made, make_from};
use super::signing::SigningArguments;
use crate::config::{self, CommonArguments};
use crate::error::Failure;

/// Say from what an image is made (SLSA provenance), signed or not
///
/// Builds it first. The statement names the image's files, the derivation that
/// they come from, and every file that was fetched for it, all by their hashes;
/// there is no time in it, so that everybody who builds the same recipes says
/// the same. With a signer it comes in an envelope (DSSE).
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, or a folder that holds one
    #[arg(value_name = "TARGET")]
    target: String,
    /// Where to write it (default: to standard output)
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Who builds, as a URI that those who check know
    #[arg(long, value_name = "URI", default_value = BUILDER)]
    builder: String,
    /// The revision of the recipes (default: that of the Git checkout, if nothing in it is changed)
    #[arg(long, value_name = "COMMIT")]
    revision: Option<String>,
    #[command(flatten)]
    signing: SigningArguments,
}

pub(crate) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    // Before builds that may take hours.
    let signing = arguments.signing.open()?;
    let revision = revision(arguments.revision.as_deref(), common)?;

    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let word = &arguments.target;
    let Made { output, below } = make_from(&store, word, common)?;
    let derivation = below.last().map(|(path, _)| store.store_dir().display(path)).unwrap_or_default();
    let mut dependencies = dependencies(&store, &below)?;
    dependencies.extend(revision);
    let parameters = Parameters { target: word.clone(), derivation };
    let statement = statement(subjects(&output)?, parameters, dependencies, &arguments.builder);

    let bytes = match &signing {
        None => statement.to_bytes(),
        Some(signing) => signing.seal("provenance", statement.to_bytes())?,
    };
    super::write_whole(arguments.output.as_deref().unwrap_or(Path::new("/dev/stdout")), &bytes)
}

/// The files of an image, as they are published, and its first disk.
fn subjects(output: &Path) -> Result<Vec<Resource>, Failure> {
    let slot = Slot::read(output)?;
    let mut subjects = slot.resources();
    subjects.push(of_file("disk.raw", &output.join("disk.raw"))?);
    Ok(subjects)
}

/// Which recipes these are, if that can be said in a word.
fn revision(given: Option<&str>, common: &CommonArguments) -> Result<Option<Resource>, Failure> {
    let commit = match given {
        Some(commit) => Some(commit.to_owned()),
        None => {
            let checked_out = checked_out();
            if let Err(why) = &checked_out
                && !common.quiet
            {
                eprintln!("the recipes' revision is not named: {why}");
            }
            checked_out.ok()
        }
    };
    let is_commit =
        |text: &String| matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    match commit {
        Some(commit) if !is_commit(&commit) => {
            Err(Failure::usage(&format!("'{commit}' is no commit"), "give all of its 40 digits (or 64)"))
        }
        commit => Ok(commit.map(|commit| Resource {
            name: "recipes".to_owned(),
            digest: BTreeMap::from([("gitCommit".to_owned(), commit)]),
            ..Resource::default()
        })),
    }
}

/// Git's commit of this folder.
fn checked_out() -> Result<String, String> {
    if !git(&["status", "--porcelain"])?.is_empty() {
        return Err("the checkout has changes".to_owned());
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Result<String, String> {
    let output =
        Command::new("git").args(arguments).output().map_err(|error| format!("git: {}", one_line(&error)))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
