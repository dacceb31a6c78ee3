//! `osbuild test`: whether an image starts and commits, and whether a node goes
//! to it, recorded for `osbuild repo publish`.

mod stories;
mod watch;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use osbuild_core::attest::dependencies::NAR;
use osbuild_core::attest::statement::Resource;
use osbuild_core::repo::follower::{baked_root, channel_to};
use osbuild_core::repo::release::Slot;
use osbuild_core::repo::tested::{self, BOOT, Tests, UPDATE};
use osbuild_store::LocalStore;
use serde_json::{Value, json};

use super::image_output;
use super::repo::now;
use crate::config::{self, CommonArguments};
use crate::error::{Exit, Failure};
use crate::machine::{Acceleration, Disk, Machine, QEMU, cannot};

use stories::{Old, Stage, boot, update};

/// Boot an image in QEMU, update a node to it, and record how that went
///
/// Starts the image on a throw-away disk, without a way to any network, and
/// waits for its verdict: it has to be healthy, committed and, by its kernel's
/// word and the bytes on the disk, the release that its manifest describes. That
/// is the test `boot`. With --update-from, a node of an older release, which
/// settled in a start before, then has to go to it by itself, from a repository
/// that this command serves on the loopback: the test `update`.
///
/// `osbuild repo publish` asks for a record of both (--tested FILE): publish to
/// a channel for candidates first, test from there, then publish to the others.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A variant, which is built first, or its output (`result`, or what `osbuild sign` wrote)
    #[arg(value_name = "TARGET")]
    target: String,
    /// Write the record to this file (in-toto, test-result), whether passed or failed
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// The release from which a node goes to it: a variant or its output, whose
    /// trusted root leads to the repository
    #[arg(long, value_name = "OLD", requires = "repository")]
    update_from: Option<String>,
    /// The repository in which it is published, or a copy of its public/ folder
    #[arg(long, value_name = "DIR", requires = "update_from")]
    repository: Option<PathBuf>,
    /// The channel that the node follows (default: the only one that has it)
    #[arg(long, value_name = "NAME", requires = "update_from")]
    channel: Option<String>,
    /// Hand this file to the guest as its user data; for an update its
    /// [updates] are set besides
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// Boot under firmware that enforces the keys in this variable store
    #[arg(long, value_name = "VARIABLES")]
    secure_boot: Option<PathBuf>,
    /// Memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048)]
    memory: u32,
    /// Virtual processors
    #[arg(long, value_name = "N", default_value_t = 2)]
    cpus: u32,
    /// Hardware virtualisation or emulation
    #[arg(long, value_enum, default_value_t = Acceleration::Auto)]
    accel: Acceleration,
    /// How long each machine may take; slow hosts need more
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    timeout: u64,
    /// Keep consoles and reports in this directory
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

/// A test that failed, and why.
type Failed = (&'static str, Vec<String>);

pub(crate) fn run(arguments: &Arguments, common: &CommonArguments) -> Result<(), Failure> {
    let image = image_output(&arguments.target, "disk.raw", common)?;
    let slot = Slot::read(&image)?;
    let old = match (&arguments.update_from, &arguments.repository) {
        (Some(from), Some(repository)) => {
            let image = image_output(from, "disk.raw", common)?;
            let old = Slot::read(&image)?;
            // Said before anybody waits for machines.
            let channel =
                channel_to(repository, &baked_root(&old)?, &old, &slot, arguments.channel.as_deref(), now())?;
            Some(Old { image, slot: old, repository: repository.clone(), channel })
        }
        _ => None,
    };
    let store = config::open_store()?;
    let _held = store.hold_objects()?;
    let [qemu] = super::build::make(&store, &["pkgs.qemu"], common)?.try_into().expect("one path a target");
    let scratch =
        tempfile::tempdir().map_err(|e| cannot("make a directory in", &std::env::temp_dir(), &e))?;
    let stage = Stage {
        machine: Machine {
            memory_mib: arguments.memory,
            cpus: arguments.cpus,
            acceleration: arguments.accel,
            user_data: arguments.user_data.clone(),
            secure_boot: arguments.secure_boot.clone(),
            ..Machine::new(Disk::Overlay(image.join("disk.raw")))
        },
        qemu: &qemu,
        scratch: scratch.path(),
        logs: arguments.logs.as_deref().unwrap_or(scratch.path()),
        timeout: Duration::from_secs(arguments.timeout),
        common,
    };
    if let Some(logs) = &arguments.logs {
        std::fs::create_dir_all(logs).map_err(|error| cannot("create", logs, &error))?;
    }

    let mut tests = Tests::default();
    let mut failed: Option<Failed> = None;
    match boot(&stage, &image, &slot)? {
        Ok(()) => tests.passed.push(BOOT),
        Err(why) => failed = Some((BOOT, why)),
    }
    // Where it does not start there is nothing to go to.
    if let (Some(old), None) = (&old, &failed) {
        match update(&stage, old, &slot)? {
            Ok(()) => tests.passed.push(UPDATE),
            Err(why) => failed = Some((UPDATE, why)),
        }
    }
    tests.failed.extend(failed.iter().map(|(test, _)| *test));
    if let Some(path) = &arguments.record {
        let configuration = configuration(&stage.machine, &store, &qemu, old.as_ref())?;
        super::write_whole(path, &tested::record(&slot, configuration, &tests))?;
    }
    report(arguments, &slot, &tests, failed.as_ref(), common)
}

/// What the tests were made with. Where files are, and when it was, is not part
/// of it.
fn configuration(
    machine: &Machine,
    store: &LocalStore,
    qemu: &Path,
    old: Option<&Old>,
) -> Result<Vec<Resource>, Failure> {
    let mut package = Resource { name: "qemu".to_owned(), ..Resource::default() };
    if let Some((path, _)) = store.parse_any(&qemu.display().to_string())
        && let Some(info) = store.info(&path)?
    {
        package.digest.insert(NAR.to_owned(), info.nar_hash.to_hex());
    }
    package.annotations = [
        ("accelerator", Value::from(if machine.uses_kvm() { "kvm" } else { "tcg" })),
        ("cpus", machine.cpus.into()),
        ("memoryMib", machine.memory_mib.into()),
        ("secureBoot", machine.secure_boot.is_some().into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let mut used = vec![
        package,
        tested::of_file("qemu-system-x86_64", &qemu.join(QEMU.trim_start_matches('/')))?,
        tested::of_file("firmware", &qemu.join(machine.firmware()))?,
        tested::of_file("firmware variables", &machine.variables(qemu))?,
    ];
    if let Some(file) = &machine.user_data {
        used.push(tested::of_file("user data", file)?);
    }
    if let Some(old) = old {
        used.push(tested::of_release("updated from", &old.slot));
    }
    Ok(used)
}

fn report(
    arguments: &Arguments,
    slot: &Slot,
    tests: &Tests,
    failed: Option<&Failed>,
    common: &CommonArguments,
) -> Result<(), Failure> {
    let release = &slot.release;
    let mut out = std::io::stdout().lock();
    if common.json {
        let failures: Vec<Value> =
            failed.iter().map(|(test, why)| json!({ "test": test, "why": why })).collect();
        let record = json!({ "schema": 1, "variant": release.variant, "version": release.version,
            "rootHash": release.root.root_hash, "passed": tests.passed, "failed": failures,
            "record": arguments.record });
        writeln!(out, "{record}")?;
    } else {
        for test in &tests.passed {
            writeln!(out, "{} {}: {test} passed", release.variant, release.version)?;
        }
        if let Some((test, why)) = failed {
            writeln!(out, "{} {}: {test} failed", release.variant, release.version)?;
            for line in why {
                writeln!(out, "  {line}")?;
            }
        }
    }
    match failed {
        None => Ok(()),
        Some((test, _)) => {
            let message = format!("{} {} did not pass: {test}", release.variant, release.version);
            let hint = match &arguments.logs {
                Some(logs) => format!("console and report are in {}", logs.display()),
                None => "--logs DIR keeps console and report".to_owned(),
            };
            Err(Failure::new(Exit::Failed, &message).with_hint(&hint))
        }
    }
}
