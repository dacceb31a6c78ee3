//! `osbuild lock`: what recipes pin.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use osbuild_core::build::sandbox::catch_interrupts;
use osbuild_core::fetch::download::Progress;
use osbuild_core::fetch::lock::suite::Expiry;
use osbuild_core::fetch::lock::update::{Served, Wanted, check, export, update};
use osbuild_core::fetch::lock::{Entry, Lock};
use serde_json::json;

use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::session;

/// Look after the pinned packages and sources
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Resolve locks anew against their suites' signed indexes
    Update {
        /// Locks, as recipes/locks/NAME.json (default: all)
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Take an index whose validity has ended
        #[arg(long)]
        allow_expired: bool,
        /// Say what would change, write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Say which pinned files no mirror serves any more
    Check {
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Fill a directory with every pinned file, named by hash (for OSBUILD_SOURCES)
    Export {
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}

/// The lock files of which recipes fetch the crates; a project of somebody
/// else's need not have them.
const CARGO_LOCKS: [&str; 4] = [
    "recipes/agents/Cargo.lock",
    "recipes/operator/Cargo.lock",
    "recipes/locks/rust-std.Cargo.lock",
    "core/builder/Cargo.lock",
];

pub(crate) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    let root = session::project(common)?.root().to_owned();
    let directory = root.join("recipes/locks");
    match command {
        Command::Update { names, allow_expired, dry_run } => {
            let expiry = if allow_expired { Expiry::Ignore } else { Expiry::Enforce };
            update_locks(&locks(&directory, &names)?, expiry, dry_run, common)
        }
        Command::Check { names } => check_locks(&locks(&directory, &names)?, common),
        Command::Export { directory: target } => {
            let cargo_locks = CARGO_LOCKS.map(|lock| root.join(lock));
            export_all(&locks(&directory, &[])?, &cargo_locks, &target, common)
        }
    }
}

/// The lock files by name, all of them if none is named.
fn locks(directory: &Path, names: &[String]) -> Result<Vec<(String, PathBuf, Lock)>, Failure> {
    let mut known = Vec::new();
    for entry in directory.read_dir().map_err(|e| {
        Failure::usage(
            &format!("cannot list {}: {e}", directory.display()),
            "run it inside a project, or with --root",
        )
    })? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            known.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    known.sort();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        let hint = format!("there are: {}", known.join(", "));
        return Err(Failure::usage(&format!("there is no lock '{unknown}'"), &hint));
    }
    let chosen = if names.is_empty() { &known } else { names };
    let mut locks = Vec::new();
    for name in chosen {
        let path = directory.join(format!("{name}.json"));
        let lock = Lock::read(&path)?;
        locks.push((name.clone(), path, lock));
    }
    Ok(locks)
}

fn update_locks(
    locks: &[(String, PathBuf, Lock)],
    expiry: Expiry,
    dry_run: bool,
    common: &CommonArguments,
) -> Result<(), Failure> {
    let store = config::open_store()?;
    let fetcher = config::fetcher(&store)?;
    let mut out = std::io::stdout().lock();
    for (name, path, old) in locks {
        let new = update(&fetcher, old, path, expiry)?;
        let changes = changes(&old.entries, &new.entries);
        if common.json {
            writeln!(
                out,
                "{}",
                json!({ "schema": 1, "lock": name, "index_date": new.index_date, "changes": changes })
            )?;
        } else {
            writeln!(out, "{name}: {} entries, index of {}", new.entries.len(), new.index_date)?;
            for change in &changes {
                writeln!(out, "  {change}")?;
            }
        }
        if !dry_run && new != *old {
            super::write_whole(path, new.to_text().as_bytes())?;
        }
    }
    Ok(())
}

fn changes(old: &[Entry], new: &[Entry]) -> Vec<String> {
    let key = |entry: &Entry| (entry.name.clone(), extension(&entry.path).to_owned());
    let mut changes = Vec::new();
    for entry in new {
        match old.iter().find(|o| key(o) == key(entry)) {
            None => changes.push(format!("+ {} {}", entry.name, entry.version)),
            Some(before) if before.version != entry.version => {
                changes.push(format!("  {} {} -> {}", entry.name, before.version, entry.version));
            }
            Some(before) if before.sha256 != entry.sha256 => {
                changes.push(format!("! {} {}: same version, other contents", entry.name, entry.version));
            }
            Some(_) => {}
        }
    }
    for entry in old.iter().filter(|o| !new.iter().any(|n| key(n) == key(o))) {
        changes.push(format!("- {} {}", entry.name, entry.version));
    }
    changes
}

/// Tells the files of one source package apart, whatever their version.
fn extension(path: &str) -> &str {
    ["orig.tar", "debian.tar", ".dsc", ".deb"].into_iter().find(|part| path.contains(part)).unwrap_or("")
}

fn check_locks(locks: &[(String, PathBuf, Lock)], common: &CommonArguments) -> Result<(), Failure> {
    let store = config::open_store()?;
    let fetcher = config::fetcher(&store)?;
    let mut out = std::io::stdout().lock();
    let mut gone = 0;
    for (name, _, lock) in locks {
        for (entry, served) in lock.entries.iter().zip(check(&fetcher, lock)?) {
            let word = match served {
                Served::Yes => continue,
                Served::No => "gone",
                Served::Unknown => "no answer",
            };
            gone += 1;
            if common.json {
                let record = json!({ "schema": 1, "lock": name, "name": entry.name, "version": entry.version, "path": entry.path, "state": word });
                writeln!(out, "{record}")?;
            } else {
                writeln!(out, "{name}: {} {} is {word} ({})", entry.name, entry.version, entry.path)?;
            }
        }
    }
    if gone == 0 {
        return Ok(());
    }
    let failure = Failure::new(Exit::Failed, &format!("{gone} pinned files are not served"));
    Err(failure.with_hint("`osbuild lock update` pins what is served now"))
}

fn export_all(
    locks: &[(String, PathBuf, Lock)],
    cargo_locks: &[PathBuf],
    directory: &Path,
    common: &CommonArguments,
) -> Result<(), Failure> {
    let mut files = Vec::new();
    for (_, _, lock) in locks {
        files.extend(lock.entries.iter().map(|entry| Wanted {
            what: format!("{} {}", entry.name, entry.version),
            url: format!("mirror://{}/{}", lock.mirror(), entry.path),
            sha256: entry.sha256.clone(),
        }));
    }
    for cargo_lock in cargo_locks {
        files.extend(crates(cargo_lock)?);
    }
    files.sort_by(|a, b| a.sha256.cmp(&b.sha256));
    files.dedup_by(|a, b| a.sha256 == b.sha256);
    let store = config::open_store()?;
    let fetcher = config::fetcher(&store)?;
    let progress = Count { interrupted: catch_interrupts(), show: !common.quiet };
    let fetched = export(&fetcher, &files, directory, &progress)?;
    let mut out = std::io::stdout().lock();
    if common.json {
        writeln!(out, "{}", json!({ "schema": 1, "files": files.len(), "fetched": fetched }))?;
    } else {
        writeln!(out, "{} files, {fetched} of them new", files.len())?;
    }
    Ok(())
}

/// The crates that recipes fetch: those with a checksum in a lock file of cargo's.
fn crates(cargo_lock: &Path) -> Result<Vec<Wanted>, Failure> {
    let Ok(text) = std::fs::read_to_string(cargo_lock) else { return Ok(Vec::new()) };
    let table: toml::Table = text
        .parse()
        .map_err(|e| Failure::usage(&format!("{}: {e}", cargo_lock.display()), "run `cargo update` there"))?;
    let packages = table.get("package").and_then(toml::Value::as_array).into_iter().flatten();
    let field = |package: &toml::Value, name: &str| package.get(name)?.as_str().map(str::to_owned);
    Ok(packages
        .filter_map(|package| {
            let (name, version) = (field(package, "name")?, field(package, "version")?);
            let sha256 = field(package, "checksum")?;
            Some(Wanted {
                what: format!("{name} {version}"),
                url: format!("mirror://crates/{name}/{version}"),
                sha256,
            })
        })
        .collect())
}

struct Count {
    interrupted: &'static AtomicBool,
    show: bool,
}

impl Progress for Count {
    fn update(&self, done: u64, total: u64) {
        if self.show && (done == total || done.is_multiple_of(50)) {
            eprintln!("{done} of {total} files");
        }
    }

    fn cancelled(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
