//! `osbuild store why-depends`, `why-alive` and `diff`: why something is
//! there, and how two things differ.

use std::collections::BTreeMap;
use std::io::Write;

use osbuild_store::difference::{Change, differences, mentions};
use osbuild_store::{LocalStore, StorePath};
use serde_json::json;

use super::object;
use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

/// Why something is there, and how two things differ.
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the shortest way from an object to another that it needs, with the files that mention each
    WhyDepends {
        #[arg(value_name = "PATH")]
        from: String,
        #[arg(value_name = "DEPENDENCY")]
        to: String,
    },
    /// Show which result links keep an object, and through what
    WhyAlive {
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Show which files of two objects differ
    Diff {
        #[arg(value_name = "PATH")]
        first: String,
        #[arg(value_name = "OTHER")]
        second: String,
    },
}

pub(super) fn run(command: &Command, common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    match command {
        Command::WhyDepends { from, to } => {
            let (from, to) = (object(&store, from)?.path, object(&store, to)?.path);
            why_depends(&store, &from, &to, common.json)
        }
        Command::WhyAlive { path } => why_alive(&store, &object(&store, path)?.path, common.json),
        Command::Diff { first, second } => {
            let (first, second) = (object(&store, first)?.path, object(&store, second)?.path);
            diff(&store, &first, &second, common.json)
        }
    }
}

fn why_depends(store: &LocalStore, from: &StorePath, to: &StorePath, json: bool) -> Result<(), Failure> {
    let Some(way) = store.objects()?.way(from, to) else {
        return Err(Failure::new(Exit::Failed, &format!("{from} does not need {to}")));
    };
    let mut out = std::io::stdout().lock();
    let mut steps = Vec::new();
    for (depth, path) in way.iter().enumerate() {
        let files = match way.get(depth + 1) {
            Some(next) => mentions(&store.physical(path), next.hash_part().as_bytes())?,
            None => Vec::new(),
        };
        if json {
            let files: Vec<_> =
                files.iter().map(|(file, offset)| json!({ "file": file, "offset": offset })).collect();
            steps.push(json!({ "path": store.store_dir().display(path), "mentions": files }));
            continue;
        }
        let indent = "  ".repeat(depth);
        writeln!(out, "{indent}{path}")?;
        for (file, offset) in files {
            let file = if file.is_empty() { "the file itself" } else { &file };
            writeln!(out, "{indent}  in {file} at byte {offset}:")?;
        }
    }
    if json {
        writeln!(out, "{}", json!({ "schema": 1, "way": steps }))?;
    }
    Ok(())
}

fn why_alive(store: &LocalStore, path: &StorePath, json: bool) -> Result<(), Failure> {
    let objects = store.objects()?;
    let mut kept = BTreeMap::new();
    for (root, links) in store.roots()? {
        if let Some(way) = objects.way(&root, path) {
            kept.extend(links.into_iter().map(|link| (link, way.clone())));
        }
    }
    let mut out = std::io::stdout().lock();
    if json {
        let roots: Vec<_> = kept
            .iter()
            .map(|(link, way)| {
                let way: Vec<String> = way.iter().map(|path| store.store_dir().display(path)).collect();
                json!({ "link": link, "way": way })
            })
            .collect();
        writeln!(out, "{}", json!({ "schema": 1, "roots": roots }))?;
        return Ok(());
    }
    if kept.is_empty() {
        writeln!(out, "nothing keeps {path}: the next garbage collection removes it")?;
    }
    for (link, way) in &kept {
        writeln!(out, "{}", link.display())?;
        for (depth, path) in way.iter().enumerate() {
            writeln!(out, "{}{path}", "  ".repeat(depth + 1))?;
        }
    }
    Ok(())
}

fn diff(store: &LocalStore, first: &StorePath, second: &StorePath, json: bool) -> Result<(), Failure> {
    let found = differences(&store.physical(first), &store.physical(second))?;
    let mut out = std::io::stdout().lock();
    if json {
        let list: Vec<_> = found
            .iter()
            .map(|(file, change)| json!({ "file": file, "change": change.to_string() }))
            .collect();
        writeln!(out, "{}", json!({ "schema": 1, "differences": list }))?;
    } else {
        for (file, change) in &found {
            let sign = match change {
                Change::OnlyInFirst => '-',
                Change::OnlyInSecond => '+',
                _ => '~',
            };
            let file = if file.is_empty() { "." } else { file };
            writeln!(out, "{sign} {file}: {change}")?;
        }
    }
    match found.len() {
        0 => Ok(()),
        many => Err(Failure::new(Exit::Failed, &format!("{many} differences"))),
    }
}
