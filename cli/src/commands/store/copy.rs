//! `osbuild store copy`: objects to and from binary caches.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_store::cache::place::Cancelled;
use osbuild_store::cache::{BinaryCache, Publisher, Watch};
use osbuild_store::narinfo::Compression;
use osbuild_store::signature::SecretKey;
use osbuild_store::{LocalStore, StorePath};
use serde_json::json;

use super::key;
use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

/// Copy objects, with all that they refer to, to or from a binary cache
///
/// A cache is a directory, file://, http://, https:// or
/// s3://BUCKET[/PREFIX][?endpoint=ADDRESS&region=NAME], in the layout that Nix
/// reads and writes. With the objects go the results of the builds that made
/// them, so that others need not build to know what comes out.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("direction").required(true))]
pub(crate) struct Arguments {
    /// Publish to this cache
    #[arg(long, value_name = "CACHE", group = "direction")]
    to: Option<String>,
    /// Fetch from this cache; what it has must be signed by a trusted key or named by its contents
    #[arg(long, value_name = "CACHE", group = "direction")]
    from: Option<String>,
    /// A file with a secret key to sign with; several sign several times
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    key: Vec<PathBuf>,
    /// Write archives as they are, for caches that compress by themselves
    #[arg(long, conflicts_with = "from")]
    uncompressed: bool,
    /// The level of zstd (1 to 19)
    #[arg(long, value_name = "N", conflicts_with = "from", value_parser = clap::value_parser!(i32).range(1..=19))]
    level: Option<i32>,
    /// Objects at a time
    #[arg(long, short, value_name = "N", default_value_t = 4)]
    jobs: usize,
    /// Objects, as logical or physical paths or result links
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let interrupted = catch_interrupts();
    let cancelled = || interrupted.load(Ordering::Relaxed);
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    match (&arguments.to, &arguments.from) {
        (Some(to), _) => publish(&store, to, arguments, &cancelled, common),
        (None, Some(from)) => fetch(&store, from, arguments, &cancelled, common),
        (None, None) => unreachable!("one of the two is required"),
    }
}

fn publish(
    store: &LocalStore,
    to: &str,
    arguments: &Arguments,
    cancelled: &Cancelled<'_>,
    common: &CommonArguments,
) -> Result<(), Failure> {
    let mut roots = BTreeSet::new();
    for text in &arguments.paths {
        roots.insert(super::object(store, text)?.path);
    }
    let keys = arguments.key.iter().map(|file| key::read(file)).collect::<Result<Vec<SecretKey>, _>>()?;
    let cache = BinaryCache::at(to, &config::cache_access())?;
    let compression = if arguments.uncompressed { Compression::None } else { Compression::Zstd };
    let publisher =
        Publisher::new(store, &cache, &keys, arguments.jobs).compressed(compression, arguments.level);
    let published = publisher.publish(&roots, cancelled)?;
    let all: BTreeSet<&StorePath> = published.sent.iter().chain(&published.present).collect();
    let mut rows = 0;
    for (key, row) in store.actions()? {
        if row.outputs.values().all(|path| all.contains(path)) {
            publisher.publish_action(key, &row, cancelled)?;
            rows += 1;
        }
    }
    let mut out = std::io::stdout().lock();
    if common.json {
        let names = |paths: &[StorePath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
        let record = json!({
            "schema": 1, "cache": cache.address(), "sent": names(&published.sent),
            "present": names(&published.present), "bytes": published.bytes, "builds": rows,
        });
        writeln!(out, "{record}")?;
        return Ok(());
    }
    writeln!(
        out,
        "sent {} objects ({} KiB) and the results of {rows} builds to {}; it had {}",
        published.sent.len(),
        published.bytes >> 10,
        cache.address(),
        published.present.len(),
    )?;
    Ok(())
}

fn fetch(
    store: &LocalStore,
    from: &str,
    arguments: &Arguments,
    cancelled: &Cancelled<'_>,
    common: &CommonArguments,
) -> Result<(), Failure> {
    let mut roots = BTreeSet::new();
    for text in &arguments.paths {
        roots.insert(super::parse(store, text)?);
    }
    let substituters = config::substituters_of(store, vec![from.to_owned()])?;
    let warn = |text: &str| {
        if !common.quiet {
            eprintln!("warning: {text}");
        }
    };
    let watch = Watch { cancelled, warn: &warn, progress: &|_, _, _| () };
    let found = substituters.find_closure(store, &roots, &watch)?;
    substituters.fetch(store, &found, arguments.jobs, &watch)?;
    store.sync()?;
    if let Some(missing) = roots.iter().find(|path| !store.is_valid(path).unwrap_or(false)) {
        return Err(Failure::new(Exit::Failed, &format!("the cache {from} has no {missing} to believe")));
    }
    let mut out = std::io::stdout().lock();
    let fetched: Vec<String> = found.keys().map(ToString::to_string).collect();
    if common.json {
        writeln!(out, "{}", json!({ "schema": 1, "cache": from, "fetched": fetched }))?;
    } else {
        writeln!(out, "fetched {} objects from {from}", fetched.len())?;
    }
    Ok(())
}
