//! What is tried. Each scenario is one story; its assertions are named.

mod adversity;
mod bootstrap;
mod broken;
mod cluster_network;
mod cluster_services;
mod confinement;
mod contents;
mod corruption;
mod ephemeral;
mod figures;
mod host_containers;
mod join;
mod network;
mod node_figures;
mod operate;
mod operator;
mod power_cuts;
mod pulls;
mod rebuilders;
mod runtime;
mod scrub;
mod secure_boot;
mod security;
mod settings;
mod tested;
mod twins;
mod update_cuts;
mod updates;

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::context::Context;
use crate::evidence::{judge, judge_bits};
use crate::gpt::{self, Bits, EMPTY, FACTORY, GOOD};
use crate::machine::{Machine, Start};
use crate::report::Report;

/// Of a whole run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The one that every change goes through.
    Short,
    Updates,
    Long,
}

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) part: Part,
    pub(crate) run: fn(&Context) -> Result<(), String>,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "no-shell-qemu-dev",
        what: "the root of qemu-dev holds no shell, no interpreter and nothing setuid",
        part: Part::Short,
        run: |context| contents::no_shell(context, "qemu-dev"),
    },
    Scenario {
        name: "no-shell-aws-k8s",
        what: "the root of aws-k8s holds no shell, no interpreter and nothing setuid",
        part: Part::Short,
        run: |context| contents::no_shell(context, "aws-k8s"),
    },
    Scenario {
        name: "contents-qemu-dev",
        what: "the root of qemu-dev holds what variants/qemu-dev/contents.snap says",
        part: Part::Short,
        run: |context| contents::as_recorded(context, "qemu-dev"),
    },
    Scenario {
        name: "contents-aws-k8s",
        what: "the root of aws-k8s holds what variants/aws-k8s/contents.snap says",
        part: Part::Short,
        run: |context| contents::as_recorded(context, "aws-k8s"),
    },
    Scenario {
        name: "security-qemu-dev",
        what: "the services of qemu-dev are as confined as variants/qemu-dev/security.snap says",
        part: Part::Short,
        run: |context| security::as_recorded(context, "qemu-dev"),
    },
    Scenario {
        name: "security-aws-k8s",
        what: "the services of aws-k8s are as confined as variants/aws-k8s/security.snap says",
        part: Part::Short,
        run: |context| security::as_recorded(context, "aws-k8s"),
    },
    Scenario {
        name: "qemu-dev-five-boots",
        what: "qemu-dev boots five times on one disk; the bits follow the law",
        part: Part::Short,
        run: five_boots,
    },
    Scenario {
        name: "update-and-fallback",
        what: "a node installs what its repository has, tries and commits it; a corrupt one falls back",
        part: Part::Short,
        run: updates::and_fallback,
    },
    Scenario {
        name: "updates",
        what: "a node follows a signed repository through three releases, waits its turn, cancels and goes back",
        part: Part::Updates,
        run: updates::follow,
    },
    Scenario {
        name: "tested-release",
        what: "osbuild test boots a candidate and updates a node to it; its record, and no other, lets it be published",
        part: Part::Updates,
        run: tested::by_record,
    },
    Scenario {
        name: "tested-release-red",
        what: "osbuild test of a release that does not hold fails, and its record keeps it from being published",
        part: Part::Updates,
        run: tested::red,
    },
    Scenario {
        name: "kernel-update",
        what: "another point release of the kernel comes as less than half of the kernel image, and its loader after it",
        part: Part::Updates,
        run: updates::kernel,
    },
    Scenario {
        name: "update-air-gap",
        what: "a node that reaches no repository is updated by an exported file, and refuses an older one",
        part: Part::Updates,
        run: updates::air_gap,
    },
    Scenario {
        name: "rebuilders",
        what: "a node installs only what two of three others made again, bit for bit, whatever its publisher says",
        part: Part::Updates,
        run: rebuilders::two_of_three,
    },
    Scenario {
        name: "update-power-cuts",
        what: "the power is cut while a release is installed: the old or the new one runs, and the update goes on",
        part: Part::Updates,
        run: update_cuts::during_installation,
    },
    Scenario {
        name: "release-panics",
        what: "a release whose kernel panics: three starts, then the one before it, and it is not taken again",
        part: Part::Updates,
        run: broken::panics,
    },
    Scenario {
        name: "release-hangs-in-kernel",
        what: "a release that hangs before any program runs: three starts, then the one before it, and it is not taken again",
        part: Part::Updates,
        run: broken::kernel_hangs,
    },
    Scenario {
        name: "release-hangs-in-pid-1",
        what: "a release whose service manager freezes: three starts, then the one before it, and it is not taken again",
        part: Part::Updates,
        run: broken::pid_1_hangs,
    },
    Scenario {
        name: "release-hangs-in-health",
        what: "a release whose judge of health stops: three starts, then the one before it, and it is not taken again",
        part: Part::Updates,
        run: broken::health_hangs,
    },
    Scenario {
        name: "release-is-unhealthy",
        what: "a release with a service that fails: three starts, then the one before it, and it is not taken again",
        part: Part::Updates,
        run: broken::is_unhealthy,
    },
    Scenario {
        name: "release-is-corrupt",
        what: "a release whose root went bad in the slot: three starts, then the one before it, and it is not taken again",
        part: Part::Updates,
        run: broken::root_is_corrupt,
    },
    Scenario {
        name: "scrub",
        what: "a bad block that no start reads: told of the other slot, and of the running one the other takes over",
        part: Part::Updates,
        run: scrub::finds_bad_blocks,
    },
    Scenario {
        name: "aws-k8s-boot",
        what: "aws-k8s boots and runs a container and a static pod",
        part: Part::Short,
        run: aws_k8s_boot,
    },
    Scenario {
        name: "user-data",
        what: "user data is taken and stays; a wrong one is named and changes nothing",
        part: Part::Short,
        run: settings::user_data,
    },
    Scenario {
        name: "host-containers",
        what: "by SSH: settings change what they concern, and go back on trial; the node is looked at; nobody without a key",
        part: Part::Short,
        run: host_containers::by_ssh,
    },
    Scenario {
        name: "aws-k8s-join",
        what: "as an EC2 instance it joins a control plane and runs a deployment, through deaths of its daemons",
        part: Part::Long,
        run: join::a_cluster,
    },
    Scenario {
        name: "operator",
        what: "the operator drains a cluster's node, updates and uncordons it, and stops at a release that does not hold",
        part: Part::Updates,
        run: operator::updates_a_node,
    },
    Scenario {
        name: "bootstrap-containers",
        what: "once, always, essential: what runs when, and kubelet waits without the start being judged",
        part: Part::Long,
        run: bootstrap::containers,
    },
    Scenario {
        name: "ephemeral-disk",
        what: "containers write to a disk of their own; one that holds somebody else's data is left alone",
        part: Part::Long,
        run: ephemeral::disk,
    },
    Scenario {
        name: "network-settings",
        what: "MTU, static addresses on trial, a time server and a proxy do what the settings say",
        part: Part::Long,
        run: network::settings,
    },
    Scenario {
        name: "settings-migration",
        what: "what only a newer version can be told is aside in the older one and back in the newer",
        part: Part::Long,
        run: settings::migration,
    },
    Scenario {
        name: "no-network",
        what: "without a network for a minute a node commits, and is on it when there is one",
        part: Part::Long,
        run: adversity::no_network,
    },
    Scenario {
        name: "clock-1970",
        what: "with a dead clock the time is never before the image or the last start",
        part: Part::Long,
        run: adversity::clock_of_1970,
    },
    Scenario {
        name: "private-goes-bad",
        what: "spoiled settings give way to those before; without PRIVATE the node runs and says so",
        part: Part::Long,
        run: adversity::private_goes_bad,
    },
    Scenario {
        name: "data-full",
        what: "a node whose DATA is full starts, takes settings and can be cleaned up",
        part: Part::Long,
        run: adversity::data_is_full,
    },
    Scenario {
        name: "power-cuts",
        what: "the power is cut while settings are committed: what was acknowledged is there, whole",
        part: Part::Long,
        run: power_cuts::during_commits,
    },
    Scenario {
        name: "containerd-2-boot",
        what: "a variant that picks containerd 2 boots and runs a container",
        part: Part::Long,
        run: runtime::second_series,
    },
    Scenario {
        name: "corrupt-a-eight-ways",
        what: "one byte flipped in A at eight places: A panics, B runs and commits",
        part: Part::Long,
        run: corruption::eight_ways,
    },
    Scenario {
        name: "floor-retires",
        what: "a release that raises the floor empties the slot of an older one (O8)",
        part: Part::Long,
        run: floor_retires,
    },
    Scenario {
        name: "secure-boot",
        what: "firmware that enforces a key refuses the unsigned disk and starts the signed one",
        part: Part::Long,
        run: secure_boot::unsigned_refused,
    },
    Scenario {
        name: "twins",
        what: "systems in which an asserted property is false make that assertion fail",
        part: Part::Long,
        run: twins::all_go_red,
    },
    Scenario {
        name: "node-figures",
        what: "when the parts of an aws-k8s node are up, its memory, sizes, processes and ports (on an idle machine)",
        part: Part::Long,
        run: node_figures::node,
    },
    Scenario {
        name: "boot-figures",
        what: "how long a start of qemu-dev takes, and where the time goes (on an idle machine)",
        part: Part::Long,
        run: figures::boot,
    },
];

/// Different in every run, so that no answer can be a recorded one.
pub(crate) fn nonce() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    format!("{:x}-{:x}", now.as_nanos(), std::process::id())
}

/// What one start showed.
pub(crate) struct Booted {
    pub(crate) report: Report,
    /// The slots' bits on the disk when the report began, before any verdict.
    pub(crate) at_start: (Bits, Bits),
    pub(crate) console: String,
}

/// Boots until the verdict, then pulls the plug.
pub(crate) fn boot_once(context: &Context, target: &str, disk: &Path, nonce: &str) -> Result<Booted, String> {
    boot(context, &Start::new(target, disk, nonce))
}

/// As [`boot_once`], however it is started.
pub(crate) fn boot(context: &Context, start: &Start<'_>) -> Result<Booted, String> {
    let mut machine = Machine::start(context, start)?;
    machine.wait_for("the report's beginning", |report| report.event("started").is_some())?;
    let at_start = gpt::slots(start.disk)?;
    let report = machine.verdict()?;
    let console = machine.console();
    // The service manager then leaves out a unit of its choice.
    if console.contains("Ordering cycle found") {
        return Err(machine.failure("units wait for each other"));
    }
    machine.power_off();
    Ok(Booted { report, at_start, console })
}

pub(crate) fn assert_bits(when: &str, disk: &Path, expected: (Bits, Bits)) -> Result<(), String> {
    let found = gpt::slots(disk)?;
    if found == expected {
        Ok(())
    } else {
        Err(format!("{when}: the bits are {found:?}, expected {expected:?}"))
    }
}

pub(crate) fn all_hold(failures: Vec<String>, report: &Report) -> Result<(), String> {
    if failures.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = report.lines.iter().map(ToString::to_string).collect();
    Err(format!("{}\n--- report ---\n{}", failures.join("\n"), lines.join("\n")))
}

fn five_boots(context: &Context) -> Result<(), String> {
    let target = "qemu-dev";
    let manifest = context.manifest(&context.build(target)?)?;
    let disk = context.scratch("five-boots.raw");
    let mut before = FACTORY;
    for boot in 1..=5 {
        let nonce = nonce();
        let booted = boot_once(context, target, &disk, &nonce)?;
        let mut failures = judge(&booted.report, &manifest, &nonce, false);
        let (after, other) = gpt::slots(&disk)?;
        failures.extend(judge_bits(before, booted.at_start.0, after, failures.is_empty()));
        all_hold(failures, &booted.report).map_err(|error| format!("boot {boot}: {error}"))?;
        if other != EMPTY {
            return Err(format!("after boot {boot}: B's bits are {other:?}, and nobody touched it"));
        }
        before = GOOD;
    }
    Ok(())
}

/// Puts the slot payload of a built image into slot B, by the law's O4 and O3.
pub(crate) fn install_b(context: &Context, disk: &Path, image: &Path) -> Result<(), String> {
    let mut command = context.osbuild();
    command.args(["disk", "install", "--slot", "B"]).arg(disk).arg(image.join("slot"));
    context.run(&mut command).map(|_| ())
}

fn aws_k8s_boot(context: &Context) -> Result<(), String> {
    let target = "aws-k8s";
    let manifest = context.manifest(&context.build(target)?)?;
    let disk = context.scratch("aws-k8s.raw");
    let nonce = nonce();
    let booted = boot_once(context, target, &disk, &nonce)?;
    let mut failures = judge(&booted.report, &manifest, &nonce, true);
    let (after, _) = gpt::slots(&disk)?;
    failures.extend(judge_bits(FACTORY, booted.at_start.0, after, failures.is_empty()));
    all_hold(failures, &booted.report)?;
    assert_bits("after the boot", &disk, (GOOD, EMPTY))
}

fn floor_retires(context: &Context) -> Result<(), String> {
    let (old, new) = ("qemu-dev", context.variant("v2-floor"));
    let new_image = context.build(&new)?;
    let new_manifest = context.manifest(&new_image)?;
    let disk = context.scratch("floor.raw");
    let nonce = nonce();
    boot_once(context, old, &disk, &nonce)?;
    install_b(context, &disk, &new_image)?;
    let booted = boot_once(context, old, &disk, &nonce)?;
    all_hold(judge(&booted.report, &new_manifest, &nonce, false), &booted.report)?;
    assert_bits("after the commit", &disk, (EMPTY, GOOD))
}
