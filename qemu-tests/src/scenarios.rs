//! What is tried. Each scenario is one story; its assertions are named.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::context::Context;
use crate::evidence::judge;
use crate::gpt::{self, Bits, EMPTY, GOOD, bits};
use crate::machine::{Machine, Start};
use crate::report::Report;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Part of the short run.
    pub(crate) is_short: bool,
    pub(crate) run: fn(&Context) -> Result<(), String>,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "no-shell-qemu-dev",
        what: "the root of qemu-dev holds no shell and no interpreter",
        is_short: true,
        run: |context| no_shell(context, "qemu-dev"),
    },
    Scenario {
        name: "no-shell-aws-k8s",
        what: "the root of aws-k8s holds no shell and no interpreter",
        is_short: true,
        run: |context| no_shell(context, "aws-k8s"),
    },
    Scenario {
        name: "qemu-dev-five-boots",
        what: "qemu-dev boots five times on one disk; the bits follow the law",
        is_short: true,
        run: five_boots,
    },
    Scenario {
        name: "update-and-fallback",
        what: "a second version in slot B is tried and committed; a corrupt one falls back",
        is_short: true,
        run: update_and_fallback,
    },
    Scenario {
        name: "aws-k8s-boot",
        what: "aws-k8s boots and runs a container and a static pod",
        is_short: true,
        run: aws_k8s_boot,
    },
    Scenario {
        name: "corrupt-a-eight-ways",
        what: "one byte flipped in A at eight places: A panics, B runs and commits",
        is_short: false,
        run: corrupt_a,
    },
    Scenario {
        name: "twins",
        what: "systems in which an asserted property is false make that assertion fail",
        is_short: false,
        run: twins,
    },
];

/// Different in every run, so that no answer can be a recorded one.
fn nonce() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    format!("{:x}-{:x}", now.as_nanos(), std::process::id())
}

fn boot_once(context: &Context, target: &str, disk: &Path, nonce: &str) -> Result<Report, String> {
    let mut machine = Machine::start(context, &Start { target, disk, nonce, stop_at_reboot: false })?;
    let report = machine.verdict()?;
    machine.power_off();
    Ok(report)
}

fn assert_bits(when: &str, disk: &Path, expected: (Bits, Bits)) -> Result<(), String> {
    let found = gpt::slots(disk)?;
    if found == expected {
        Ok(())
    } else {
        Err(format!("{when}: the bits are {found:?}, expected {expected:?}"))
    }
}

fn all_hold(failures: Vec<String>, report: &Report) -> Result<(), String> {
    if failures.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
    Err(format!("{}\n--- report ---\n{}", failures.join("\n"), lines.join("\n")))
}

fn no_shell(context: &Context, target: &str) -> Result<(), String> {
    const DENIED: &[&str] = &[
        "sh", "bash", "dash", "ash", "zsh", "busybox", "toybox", "perl", "python3", "lua", "awk", "gawk",
        "mawk", "gdb",
    ];
    let image = context.build(target)?;
    let root = image.join("slot/root.squashfs");
    let listing = context.run(context.judge("unsquashfs")?.arg("-l").arg(&root))?;
    if listing.lines().count() < 100 {
        return Err(format!("the listing has only {} lines", listing.lines().count()));
    }
    for line in listing.lines() {
        let name = line.rsplit('/').next().unwrap_or("");
        if DENIED.contains(&name) {
            return Err(format!("the root holds {line}"));
        }
    }
    Ok(())
}

fn five_boots(context: &Context) -> Result<(), String> {
    let target = "qemu-dev";
    let manifest = context.manifest(&context.build(target)?)?;
    let disk = context.scratch("five-boots.raw");
    for boot in 1..=5 {
        let nonce = nonce();
        let report = boot_once(context, target, &disk, &nonce)?;
        all_hold(judge(&report, &manifest, &nonce, false), &report)?;
        // L1 spent a try, O1 gave all back.
        assert_bits(&format!("after boot {boot}"), &disk, (GOOD, EMPTY))?;
    }
    Ok(())
}

/// Puts the slot payload of a built image into slot B, by the law's O4 and O3.
fn install_b(context: &Context, disk: &Path, image: &Path) -> Result<(), String> {
    let mut command = context.osbuild();
    command.args(["disk", "install", "--slot", "B"]).arg(disk).arg(image.join("slot"));
    context.run(&mut command).map(|_| ())
}

fn update_and_fallback(context: &Context) -> Result<(), String> {
    let (old, new) = ("qemu-dev", context.variant("v2"));
    let old_manifest = context.manifest(&context.build(old)?)?;
    let new_image = context.build(&new)?;
    let new_manifest = context.manifest(&new_image)?;
    let disk = context.scratch("update.raw");
    let nonce = nonce();

    boot_once(context, old, &disk, &nonce)?;
    install_b(context, &disk, &new_image)?;
    assert_bits("after the installation", &disk, (bits(1, 3, true, false), bits(2, 3, false, false)))?;

    let report = boot_once(context, old, &disk, &nonce)?;
    all_hold(judge(&report, &new_manifest, &nonce, false), &report)?;
    assert_bits("after the trial", &disk, (bits(1, 3, true, false), GOOD))?;

    // The same version again, with a hole in a file that every start reads.
    let disk = context.scratch("fallback.raw");
    boot_once(context, old, &disk, &nonce)?;
    install_b(context, &disk, &new_image)?;
    let (start, _) = gpt::extent(&disk, 6)?;
    flip(&disk, start + 64)?;
    let mut machine =
        Machine::start(context, &Start { target: old, disk: &disk, nonce: &nonce, stop_at_reboot: false })?;
    let report = machine.verdict()?;
    machine.power_off();
    all_hold(judge(&report, &old_manifest, &nonce, false), &report)?;
    let (a, b) = gpt::slots(&disk)?;
    if a != GOOD || b.tries != 0 || b.successful {
        return Err(format!("after the fallback the bits are {a:?} {b:?}"));
    }
    Ok(())
}

fn aws_k8s_boot(context: &Context) -> Result<(), String> {
    let target = "aws-k8s";
    let manifest = context.manifest(&context.build(target)?)?;
    let disk = context.scratch("aws-k8s.raw");
    let nonce = nonce();
    let report = boot_once(context, target, &disk, &nonce)?;
    all_hold(judge(&report, &manifest, &nonce, true), &report)?;
    assert_bits("after the boot", &disk, (GOOD, EMPTY))
}

/// Offsets that every start reads: superblock, inode table, an init binary's
/// data; in HASH a leaf and the root. Eight of them, seeded by the release.
fn corrupt_places(disk: &Path, manifest: &serde_json::Value) -> Result<Vec<(String, u64)>, String> {
    let (root, _) = gpt::extent(disk, 3)?;
    let (hash, _) = gpt::extent(disk, 4)?;
    let size = manifest["root"]["size"].as_u64().ok_or("the manifest has no root size")?;
    let mut superblock = [0u8; 96];
    let file = std::fs::File::open(disk).map_err(|error| error.to_string())?;
    file.read_exact_at(&mut superblock, root).map_err(|error| error.to_string())?;
    let field = |at: usize| u64::from_le_bytes(superblock[at..at + 8].try_into().expect("eight bytes"));
    let (inodes, directories, fragments) = (field(64), field(72), field(80));
    let blocks = size / 4096;
    Ok(vec![
        ("superblock magic".to_owned(), root),
        ("superblock, inode table start".to_owned(), root + 64),
        ("inode table".to_owned(), root + inodes + 9),
        ("inode table, middle".to_owned(), root + (inodes + directories) / 2),
        ("directory table".to_owned(), root + directories + 5),
        ("fragment table".to_owned(), root + fragments + 3),
        ("hash tree root".to_owned(), hash + 17),
        ("hash tree leaf of the superblock".to_owned(), hash + leaf_offset(blocks)),
    ])
}

/// Where the first leaf lies: after all upper levels (dm-verity, top first).
fn leaf_offset(mut blocks: u64) -> u64 {
    let mut levels = Vec::new();
    while blocks > 1 {
        blocks = blocks.div_ceil(128);
        levels.push(blocks);
    }
    levels[1..].iter().sum::<u64>() * 4096
}

fn flip(disk: &Path, offset: u64) -> Result<(), String> {
    let file =
        std::fs::OpenOptions::new().read(true).write(true).open(disk).map_err(|error| error.to_string())?;
    let mut byte = [0u8];
    file.read_exact_at(&mut byte, offset).map_err(|error| error.to_string())?;
    byte[0] ^= 0x55;
    file.write_all_at(&byte, offset).map_err(|error| error.to_string())
}

fn corrupt_a(context: &Context) -> Result<(), String> {
    let (old, new) = ("qemu-dev", context.variant("v2"));
    let old_manifest = context.manifest(&context.build(old)?)?;
    let new_image = context.build(&new)?;
    let new_manifest = context.manifest(&new_image)?;
    let nonce = nonce();

    // Once: both slots good, B preferred no more than A.
    let base = context.scratch("both-good.raw");
    boot_once(context, old, &base, &nonce)?;
    install_b(context, &base, &new_image)?;
    boot_once(context, old, &base, &nonce)?;
    assert_bits("after the trial", &base, (bits(1, 3, true, false), GOOD))?;
    let mut prefer = context.osbuild();
    prefer.args(["disk", "roll-back", "--running", "B"]).arg(&base);
    context.run(&mut prefer)?;

    for (what, offset) in corrupt_places(&base, &old_manifest)? {
        let disk = context.scratch("corrupt.raw");
        copy_sparse(context, &base, &disk)?;
        flip(&disk, offset)?;
        let report = boot_once(context, old, &disk, &nonce).map_err(|error| format!("{what}: {error}"))?;
        all_hold(judge(&report, &new_manifest, &nonce, false), &report)
            .map_err(|error| format!("{what}: {error}"))?;
        let (a, b) = gpt::slots(&disk)?;
        if a.tries != 0 || b != GOOD {
            return Err(format!("{what}: the bits are {a:?} {b:?}"));
        }
        println!("  {what}: A lost its tries, B committed");
    }
    Ok(())
}

fn copy_sparse(context: &Context, from: &Path, to: &Path) -> Result<(), String> {
    let mut command = std::process::Command::new("cp");
    command.arg("--sparse=always").arg(from).arg(to);
    context.run(&mut command).map(|_| ())
}

/// Name of the assertion, variant in which it is false.
const TWINS: &[(&str, &str)] = &[
    ("no unit has failed", "twin-failed-unit"),
    ("containerd is up", "twin-no-containerd"),
    ("a container ran", "twin-foreign-probe"),
];

fn twins(context: &Context) -> Result<(), String> {
    let mut red = 0;
    for (assertion, variant) in TWINS {
        let target = context.variant(variant);
        let image = context.build(&target)?;
        let manifest = context.manifest(&image)?;
        let disk: PathBuf = context.scratch(&format!("{variant}.raw"));
        let nonce = nonce();
        let report = boot_once(context, &target, &disk, &nonce)?;
        let failures = judge(&report, &manifest, &nonce, false);
        if !failures.iter().any(|failure| failure.starts_with(assertion)) {
            return Err(format!("{variant}: '{assertion}' did not go red: {failures:?}"));
        }
        red += 1;
    }
    // Properties of the evidence itself: the same judge on a doctored report.
    let target = "qemu-dev";
    let manifest = context.manifest(&context.build(target)?)?;
    let disk = context.scratch("doctored.raw");
    let nonce = nonce();
    let report = boot_once(context, target, &disk, &nonce)?;
    let mut other = manifest.clone();
    other["root"]["root_hash"] = serde_json::json!("00".repeat(32));
    if !judge(&report, &other, &nonce, false).iter().any(|failure| failure.starts_with("verity is active")) {
        return Err("another root hash did not go red".to_owned());
    }
    if !judge(&report, &manifest, "another nonce", false)
        .iter()
        .any(|failure| failure.starts_with("a container ran"))
    {
        return Err("another nonce did not go red".to_owned());
    }
    println!("  {} went red", red + 2);
    Ok(())
}
