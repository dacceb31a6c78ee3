//! `osbuild repo push`, `pull`, `export`, `import`: a repository elsewhere.

use std::io::Write as _;
use std::path::PathBuf;

use osbuild_core::repo::mirror::{self, Copied, Selection};
use osbuild_core::repo::tree::PUBLIC;
use osbuild_core::repo::waves::find_line;
use osbuild_store::cache::place_at;
use serde_json::json;

use super::{now, open, place_of, read_root};
use crate::config::{self, CommonArguments};
use crate::error::Failure;

/// Copy what is public to where it is served from
///
/// Only what is not there yet, the timestamp last. A place that is newer than
/// this repository is left alone.
#[derive(clap::Args)]
pub(crate) struct PushArguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// A directory, or s3://BUCKET[/PREFIX][?endpoint=ADDRESS&region=NAME]
    #[arg(value_name = "PLACE")]
    place: String,
}

pub(super) fn push(arguments: &PushArguments, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(&arguments.repository)?;
    mirror::is_current(&state, now())?;
    let place = place_at(&arguments.place, &config::cache_access())?;
    let progress = progress(common);
    let copied = mirror::push(&repository, &state, place.as_ref(), &progress)?;
    say(&copied, &arguments.place, common)
}

/// Take over what was published from elsewhere, and copy what it has and this repository has not
///
/// Each file is judged before it is here; what is older than what is here, or not
/// signed by whom it should be, changes nothing. With policy.toml and audit.jsonl
/// beside it, the repository can then be signed anew.
#[derive(clap::Args)]
pub(crate) struct PullArguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// http://, https:// or s3://BUCKET[/PREFIX][?endpoint=ADDRESS&region=NAME], another repository, or its public/ folder
    #[arg(value_name = "PLACE")]
    place: String,
    /// The root by which the first pull is believed: that of an image
    #[arg(long = "from", value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(super) fn pull(arguments: &PullArguments, common: &CommonArguments) -> Result<(), Failure> {
    let root = arguments.from.as_deref().map(read_root).transpose()?;
    let place = place_of(&arguments.place)?;
    let public = arguments.repository.join(PUBLIC);
    let copied = mirror::pull(place.as_ref(), &public, root.as_deref(), &progress(common))?;
    say(&copied, &public.display().to_string(), common)
}

fn progress(common: &CommonArguments) -> impl Fn(&str) + use<'_> {
    |file| {
        if !common.quiet && !common.json {
            eprintln!("copying {file}");
        }
    }
}

/// Write a repository into one file, to be carried over an air gap
#[derive(clap::Args)]
pub(crate) struct ExportArguments {
    #[arg(value_name = "DIR")]
    repository: PathBuf,
    /// The file (tar)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only what one variant in one channel needs: CHANNEL/VARIANT
    #[arg(long, value_name = "CHANNEL/VARIANT")]
    line: Option<String>,
    /// Of that only these versions (default: the newest)
    #[arg(long = "version", value_name = "VERSION", requires = "line")]
    versions: Vec<String>,
}

pub(super) fn export(arguments: &ExportArguments, common: &CommonArguments) -> Result<(), Failure> {
    let (repository, state) = open(&arguments.repository)?;
    mirror::is_current(&state, now())?;
    let line = arguments.line.as_deref().map(|line| find_line(&state, Some(line))).transpose()?;
    let selection = Selection { line, versions: arguments.versions.clone() };
    let copied = mirror::export(&repository, &state, &selection, &arguments.file)?;
    say(&copied, &arguments.file.display().to_string(), common)?;
    // Whoever carries it must know: nobody on the way can sign it anew.
    eprintln!("to be imported before {}", mirror::current_until(&state));
    Ok(())
}

/// Read such a file into a directory that a web server gives out
///
/// What is older than what is there, or not signed by whom it should be, changes
/// nothing.
#[derive(clap::Args)]
pub(crate) struct ImportArguments {
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The root by which the first import is believed: that of an image
    #[arg(long = "from", value_name = "FILE")]
    from: Option<PathBuf>,
}

pub(super) fn import(arguments: &ImportArguments, common: &CommonArguments) -> Result<(), Failure> {
    let root = arguments.from.as_deref().map(read_root).transpose()?;
    let copied = mirror::import(&arguments.file, &arguments.directory, root.as_deref(), now())?;
    say(&copied, &arguments.directory.display().to_string(), common)
}

fn say(copied: &Copied, to: &str, common: &CommonArguments) -> Result<(), Failure> {
    let Copied { files, bytes, version } = copied;
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(
            out,
            "{}",
            json!({ "schema": 1, "to": to, "files": files, "bytes": bytes, "timestamp": version })
        )?;
    } else {
        writeln!(out, "{to}: {files} files, {bytes} bytes, timestamp {version}")?;
    }
    Ok(())
}
