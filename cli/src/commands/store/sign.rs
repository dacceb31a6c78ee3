//! `osbuild store sign`: one's word on objects that are here.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use osbuild_store::signature::SecretKey;
use serde_json::json;

use super::key;
use crate::config::{self, CommonArguments};
use crate::error::Failure;

/// Sign objects; whoever gets them from here gets the signatures, too
///
/// An object is hashed again first: what is signed is what is there.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A file with a secret key; several sign several times
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Sign all that they refer to as well
    #[arg(long, short)]
    recursive: bool,
    /// Objects, as logical or physical paths or result links
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let keys = arguments.key.iter().map(|file| key::read(file)).collect::<Result<Vec<SecretKey>, _>>()?;
    let mut paths = BTreeSet::new();
    for text in &arguments.paths {
        paths.insert(super::object(&store, text)?.path);
    }
    if arguments.recursive {
        paths = store.closure_paths(&paths)?;
    }
    let mut added = 0;
    for path in &paths {
        added += store.sign(path, &keys)?;
    }
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(out, "{}", json!({ "schema": 1, "objects": paths.len(), "signatures": added }))?;
    } else {
        writeln!(out, "added {added} signatures to {} objects", paths.len())?;
    }
    Ok(())
}
