//! `osbuild store`: looking after the store.

mod copy;
mod key;
mod serve;
mod sign;
mod why;

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::{Duration, SystemTime};

use osbuild_core::fetch::tree;
use osbuild_core::remote::unused_records;
use osbuild_store::local::{GcRequest, ObjectInfo, Problem};
use osbuild_store::signature::{Signature, Standing};
use osbuild_store::{LocalStore, StorePath};
use serde_json::json;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};

/// Look after the store
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show what is known of objects
    Info {
        /// Objects, as logical or physical paths or result links
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<String>,
    },
    /// List everything that objects refer to, directly or not
    Closure {
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<String>,
    },
    Copy(copy::Arguments),
    Serve(serve::Arguments),
    Sign(sign::Arguments),
    #[command(subcommand)]
    Key(key::Command),
    /// Hash every object again and report damage
    Verify {
        /// Drop damaged objects, which are then made again when needed, and replace a damaged database
        #[arg(long)]
        repair: bool,
    },
    /// Remove objects that no result link keeps
    Gc {
        /// Say what would be removed, remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Stop once the store holds no more than this (k, M, G, T)
        #[arg(long, value_name = "BYTES", value_parser = parse_size)]
        max_size: Option<u64>,
        /// Keep what was used within this time (h, d, w)
        #[arg(long, value_name = "AGE", value_parser = parse_age)]
        unused_for: Option<Duration>,
    },
    #[command(flatten)]
    Why(why::Command),
}

pub(crate) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    match command {
        Command::Info { paths } => info(&*config::open_store()?, &paths, common.json),
        Command::Closure { paths } => closure(&*config::open_store()?, &paths, common.json),
        Command::Copy(arguments) => copy::run(&arguments, common),
        Command::Serve(arguments) => serve::run(&arguments, common),
        Command::Sign(arguments) => sign::run(&arguments, common),
        Command::Key(command) => key::run(&command),
        Command::Verify { repair } => {
            if repair {
                rebuild(common)?;
            }
            verify(&*config::open_store()?, repair, common)
        }
        Command::Gc { dry_run, max_size, unused_for } => {
            let store = config::open_store_for_collection()?;
            gc(&store, GcRequest { dry_run, max_size_bytes: max_size, unused_for }, common)
        }
        Command::Why(command) => why::run(&command, common),
    }
}

fn info(store: &LocalStore, texts: &[String], json: bool) -> Result<(), Failure> {
    let keys = config::trusted_keys()?;
    let mut out = std::io::stdout().lock();
    for text in texts {
        let info = object(store, text)?;
        let paths = |paths: &BTreeSet<StorePath>| -> Vec<String> {
            paths.iter().map(|path| store.store_dir().display(path)).collect()
        };
        let references = paths(&info.references);
        let physical = store.physical(&info.path).display().to_string();
        let deriver = info.deriver.as_ref().map(|path| store.store_dir().display(path));
        let signed = info.fingerprint(store.store_dir());
        let standing = |signature: &Signature| keys.judge(signed.as_bytes(), signature);
        if json {
            let signatures: Vec<String> = info.signatures.iter().map(ToString::to_string).collect();
            let verified = info.signatures.iter().filter(|one| standing(one) == Standing::Verified);
            let signed_by: BTreeSet<&str> = verified.map(Signature::key).collect();
            let record = json!({
                "schema": 1, "path": store.store_dir().display(&info.path), "physical": physical,
                "narHash": info.nar_hash.to_sri(), "narSize": info.nar_size_bytes, "references": references,
                "ca": info.content_address, "deriver": deriver, "signatures": signatures, "signedBy": signed_by,
                "registered": info.registered, "used": info.used,
            });
            writeln!(out, "{record}")?;
            continue;
        }
        writeln!(out, "{}", store.store_dir().display(&info.path))?;
        writeln!(out, "  physical:   {physical}")?;
        writeln!(out, "  archive:    {} bytes, {}", info.nar_size_bytes, info.nar_hash)?;
        writeln!(out, "  address:    {}", info.content_address.as_deref().unwrap_or("by its inputs"))?;
        writeln!(out, "  deriver:    {}", deriver.as_deref().unwrap_or("none"))?;
        for signature in &info.signatures {
            let standing = match standing(signature) {
                Standing::Verified => "trusted",
                Standing::Refuted => "does not hold",
                Standing::Unknown => "by a key that is not known here",
            };
            writeln!(out, "  signature:  {signature} ({standing})")?;
        }
        for reference in references {
            writeln!(out, "  refers to:  {reference}")?;
        }
    }
    Ok(())
}

fn closure(store: &LocalStore, texts: &[String], json: bool) -> Result<(), Failure> {
    let mut roots = Vec::new();
    for text in texts {
        roots.push(object(store, text)?.path);
    }
    let closure = store.closure(&roots)?;
    let mut out = std::io::stdout().lock();
    let total: u64 = closure.values().map(|info| info.nar_size_bytes).sum();
    if json {
        let paths: Vec<String> = closure.keys().map(|path| store.store_dir().display(path)).collect();
        writeln!(out, "{}", json!({ "schema": 1, "narSize": total, "paths": paths }))?;
        return Ok(());
    }
    for path in closure.keys() {
        writeln!(out, "{}", store.store_dir().display(path))?;
    }
    Ok(())
}

/// Makes the database anew if it is damaged.
fn rebuild(common: &CommonArguments) -> Result<(), Failure> {
    let Some(rebuilt) = LocalStore::rebuild(&config::home()?)? else { return Ok(()) };
    if !common.quiet {
        eprintln!(
            "the database was damaged and is kept as {}\n\
             {} objects are what their names say and stay; {} are made again when needed, as is what builds gave",
            rebuilt.aside.display(),
            rebuilt.kept,
            rebuilt.unknown,
        );
    }
    Ok(())
}

fn verify(store: &LocalStore, repair: bool, common: &CommonArguments) -> Result<(), Failure> {
    let _held = store.hold_objects()?;
    let show = std::io::stderr().is_terminal() && !common.quiet;
    let verified = store.verify(&mut |done, total| {
        if show {
            eprint!("\r{done}/{total}");
        }
    })?;
    if show {
        eprint!("\r\x1b[K");
    }
    let mut out = std::io::stdout().lock();
    let lines: Vec<String> = verified.problems.iter().map(describe).collect();
    if common.json {
        let record = json!({
            "schema": 1, "objects": verified.objects, "narSize": verified.nar_bytes,
            "problems": lines, "leftovers": verified.leftovers,
        });
        writeln!(out, "{record}")?;
    } else {
        for line in &lines {
            writeln!(out, "{line}")?;
        }
        for name in &verified.leftovers {
            writeln!(out, "{name} is a leftover of an interrupted run; `osbuild store gc` removes it")?;
        }
        writeln!(out, "{} objects, {} problems", verified.objects, verified.problems.len())?;
    }
    if verified.problems.is_empty() {
        return Ok(());
    }
    if repair {
        let dropped = store.repair(&verified)?;
        writeln!(out, "dropped {dropped} objects")?;
        return Ok(());
    }
    let hint = "`osbuild store verify --repair` drops them, and the next build makes them again";
    Err(Failure::new(Exit::Refused, "the store is damaged").with_hint(hint))
}

fn describe(problem: &Problem) -> String {
    match problem {
        Problem::Corrupt { path, expected, actual } => {
            format!("{path} is corrupt: expected {expected}, got {actual}")
        }
        Problem::Unreadable { path, reason } => format!("{path} cannot be read: {reason}"),
        Problem::DanglingReference { path, reference } => {
            format!("{path} refers to {reference}, which is not in the store")
        }
    }
}

fn gc(store: &LocalStore, request: GcRequest, common: &CommonArguments) -> Result<(), Failure> {
    let mut collected = store.collect_garbage(request, || {
        if !common.quiet {
            eprintln!("waiting for running builds to end");
        }
    })?;
    let now = SystemTime::now();
    for record in unused_records(store.home(), now)? {
        if !request.dry_run {
            osbuild_store::local::remove_tree(&record)?;
        }
        collected.leftovers += 1;
    }
    for unused in tree::unused_trees(&store.home().join("cache"), now)? {
        if !request.dry_run {
            tree::remove_tree(&unused)?;
        }
        collected.leftovers += 1;
    }
    let mut out = std::io::stdout().lock();
    if common.json {
        let removed: Vec<String> = collected.removed.iter().map(ToString::to_string).collect();
        let record = json!({
            "schema": 1, "dryRun": request.dry_run, "removed": removed,
            "narSize": collected.nar_bytes, "leftovers": collected.leftovers,
        });
        writeln!(out, "{record}")?;
        return Ok(());
    }
    let verb = if request.dry_run { "would remove" } else { "removed" };
    writeln!(
        out,
        "{verb} {} objects ({} MiB) and {} leftovers",
        collected.removed.len(),
        collected.nar_bytes >> 20,
        collected.leftovers
    )?;
    Ok(())
}

/// The object that a path, logical or physical, or a result link names; it
/// need not be in the store.
pub(super) fn named(store: &LocalStore, text: &str) -> Option<StorePath> {
    let linked = std::fs::read_link(text).ok().and_then(|path| path.to_str().map(str::to_owned));
    Some(store.parse_any(linked.as_deref().unwrap_or(text))?.0)
}

fn parse(store: &LocalStore, text: &str) -> Result<StorePath, Failure> {
    named(store, text).ok_or_else(|| {
        Failure::usage(&format!("'{text}' is no path of the store"), "give an object or a result link")
    })
}

fn object(store: &LocalStore, text: &str) -> Result<ObjectInfo, Failure> {
    let path = parse(store, text)?;
    store.info(&path)?.ok_or_else(|| Failure::new(Exit::Failed, &format!("{path} is not in the store")))
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("'{text}' is no size"))?;
    let shift = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        unit => return Err(format!("unknown unit '{unit}'")),
    };
    number.checked_mul(1 << shift).ok_or_else(|| format!("'{text}' is too large"))
}

fn parse_age(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("'{text}' is no time"))?;
    let hours = match &text[digits.len()..] {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        _ => return Err("give hours, days or weeks: 12h, 30d, 4w".to_owned()),
    };
    number.checked_mul(hours * 3600).map(Duration::from_secs).ok_or_else(|| format!("'{text}' is too long"))
}
