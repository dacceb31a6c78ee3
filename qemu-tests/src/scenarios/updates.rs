//! Nodes that follow a repository.

use serde_json::Value;

use crate::context::Context;
use crate::evidence::{judge, judge_bits};
use crate::fleet::Fleet;
use crate::followed::Followed;
use crate::gpt::{self, EMPTY, FACTORY, GOOD, ROOT_B, bits};
use crate::machine::{Machine, Start};
use crate::node::{Node, expect_in_time};
use crate::scenarios::corruption::flip;
use crate::scenarios::{all_hold, assert_bits, boot, nonce};

/// A node goes from the first release to the second and the third, each by a
/// delta; it says why it waits, takes back what it has not started, goes back
/// when it is told, and never to an older release because somebody offers it.
pub(crate) fn follow(context: &Context) -> Result<(), String> {
    let releases = ["follows-1", "follows-2", "follows-3"];
    let (followed, [first, second, third]) = Followed::new(context, "follows", releases, "")?;
    let fleet = &followed.fleet;
    let machine = followed.start(&first)?;
    followed.waits_its_turn()?;
    fleet.requests();
    followed.installs("2.0.0")?;
    let came = fleet.requests();
    let is_asked = |requests: &[String], part: &str| requests.iter().any(|request| request.contains(part));
    let deltas = ["root.from-1.0.0.delta", "tree.from-1.0.0.delta", "boot.from-1.0.0.delta"];
    let whole = ["root.squashfs", "root.verity", "boot.efi", ".chunks"];
    if !deltas.iter().all(|part| is_asked(&came, part)) || whole.iter().any(|part| is_asked(&came, part)) {
        return Err(format!("it did not come by deltas: {came:#?}"));
    }
    followed.came_within(&second, ["root", "hash", "uki"], AGENT_SHARE)?;
    followed.took_memory()?;
    let activated = (bits(1, 3, true, false), bits(2, 3, false, false));
    assert_bits("after the installation", &followed.node.disk, activated)?;

    // Taken back before it was started: its bytes stay.
    followed.orders("update cancel", 0, "")?;
    assert_bits("after it was cancelled", &followed.node.disk, (GOOD, EMPTY))?;
    fleet.requests();
    followed.installs("2.0.0")?;
    let came = fleet.requests();
    if is_asked(&came, ".delta") || is_asked(&came, ".squashfs") || is_asked(&came, "boot.efi") {
        return Err(format!("what is in the slot was fetched again: {came:#?}"));
    }
    machine.power_off();

    let machine = followed.start(&second)?;
    assert_bits("after the second release's trial", &followed.node.disk, (bits(1, 3, true, false), GOOD))?;
    // The third comes although its deltas are lost, and whoever is asked first has
    // other bytes than were signed.
    fleet.publish(&third, &[])?;
    fleet.lose("from-2.0.0.delta")?;
    let spoiled = fleet.spoiled_mirror("3.0.0.root.squashfs")?;
    let mirrors = format!("{},{}", spoiled.address(), fleet.address());
    followed.orders(&format!("set updates.mirrors={mirrors}"), 0, "")?;
    followed.turn_comes()?;
    followed.installs("3.0.0")?;
    followed.came_without_its_delta(&third)?;
    let asked = spoiled.requests();
    if !is_asked(&asked, "3.0.0.root.squashfs") {
        return Err(format!("the spoiled root was not asked for: {asked:#?}"));
    }
    machine.power_off();

    let nonce = nonce();
    let mut machine = followed.start_with(&third, &nonce)?;
    // Signed as validly as ever, and older.
    followed.orders("update install 1.0.0 --force", 1, "not newer than the running one")?;
    followed.orders("update restart", 1, "nothing is installed")?;
    followed.orders("update rollback", 0, "the next start tries it")?;
    followed.restarts(&mut machine, &second, &nonce, || followed.orders("update restart", 0, ""))?;
    followed.orders("update check", 0, "an operator went back from it")?;
    followed.orders("update install", 1, "no release is to be installed now")?;
    followed.orders("update lift-hold", 0, "")?;
    followed.orders("update check", 0, "it can be installed now")?;
    machine.power_off();
    Ok(())
}

/// The shortest way there and back: what the repository has is installed, tried
/// and committed; the same, with a hole in what every start reads, is not.
pub(crate) fn and_fallback(context: &Context) -> Result<(), String> {
    let (followed, [old, new]) = Followed::new(context, "update", ["follows-1", "follows-2"], "")?;
    let (old_manifest, new_manifest) = (context.manifest(&old)?, context.manifest(&new)?);
    let machine = followed.start(&old)?;
    followed.installs("2.0.0")?;
    machine.power_off();
    let disk = &followed.node.disk;
    assert_bits("after the installation", disk, (bits(1, 3, true, false), FACTORY))?;
    let spoiled = context.scratch("spoiled.raw");
    context.copy_image(disk, &spoiled)?;
    flip(&spoiled, gpt::extent(&spoiled, ROOT_B)?.0 + 64)?;

    let nonce = nonce();
    let start = Start { target: &followed.target, ..followed.node.start(&nonce) };
    let booted = boot(context, &start)?;
    let mut failures = judge(&booted.report, &new_manifest, &nonce, false);
    let (_, after) = gpt::slots(disk)?;
    failures.extend(judge_bits(FACTORY, booted.at_start.1, after, failures.is_empty()));
    all_hold(failures, &booted.report)?;
    assert_bits("after the trial", disk, (bits(1, 3, true, false), GOOD))?;

    let booted = boot(context, &Start { disk: &spoiled, ..start })?;
    all_hold(judge(&booted.report, &old_manifest, &nonce, false), &booted.report)?;
    assert_bits("after the fallback", &spoiled, (GOOD, EMPTY))
}

/// Another point release of the kernel comes as what differs in it; once it
/// holds, its loader takes the place of the one before.
pub(crate) fn kernel(context: &Context) -> Result<(), String> {
    let releases = ["follows-1", "follows-4"];
    let (followed, [old, new]) = Followed::new(context, "kernel", releases, "")?;
    let machine = followed.start(&old)?;
    followed.fleet.requests();
    followed.installs("4.0.0")?;
    let came = followed.fleet.requests();
    if !came.iter().any(|request| request.contains("boot.from-1.0.0.delta"))
        || came.iter().any(|request| request.contains("boot.efi"))
    {
        return Err(format!("the kernel image did not come by its delta: {came:#?}"));
    }
    followed.came_within(&new, ["uki"], KERNEL_SHARE)?;
    followed.took_memory()?;
    machine.power_off();
    let machine = followed.start(&new)?;
    assert_bits("after its trial", &followed.node.disk, (bits(1, 3, true, false), GOOD))?;
    // It does so when it looks by itself, at the most once a start.
    followed.orders("set updates.check-seconds=10", 0, "")?;
    expect_in_time("another loader", || Ok(followed.status()?["loader"] == "replaced by that of 4.0.0"))?;
    let said = |machine: Machine| {
        let is_new = machine.console().contains(NEW_LOADER);
        machine.power_off();
        is_new
    };
    if (said(machine), said(followed.start(&new)?)) != (false, true) {
        return Err("the loader that starts is not the one of the release that runs".to_owned());
    }
    Ok(())
}

/// What the fourth release's loader says, and no other.
const NEW_LOADER: &str = "osbuild, anew: slot B";

/// A node that reaches no repository goes to a release by a file that was
/// handed in.
pub(crate) fn air_gap(context: &Context) -> Result<(), String> {
    let (old, new) = (context.variant("follows-1"), context.variant("follows-2"));
    let (old_image, new_image) = (context.build(&old)?, context.build(&new)?);
    let fleet = Fleet::serve(context, "fleet")?;
    fleet.publish(&old_image, &[])?;
    let export = |name: &str| {
        let file = context.scratch(name);
        let path = file.to_string_lossy().into_owned();
        fleet.repo(&["export"], &[&path, "--line", "stable/qemu-dev"]).map(|_| file)
    };
    let older = export("older.tar")?;
    fleet.publish(&new_image, &[])?;
    let newer = export("newer.tar")?;

    let mut node = Node::of(context, &old, "air-gap")?;
    // The image's own has no room for a file as large as a root.
    node.disk_mib = Some(6144);
    let followed = Followed { context, node, fleet, target: old };
    let Followed { node, .. } = &followed;
    let machine = followed.start(&old_image)?;
    followed.orders("update install", 1, "")?;
    node.client.feed(node.control, "update import -", &newer)?;
    followed.orders("update check", 0, "it can be installed now")?;
    // What was believed once is the least that is believed.
    let refused = node.client.feed(node.control, "update import -", &older);
    if refused.is_ok() {
        return Err(machine.failure("an older export was taken after a newer one"));
    }
    followed.installs("2.0.0")?;
    let requests = followed.fleet.requests();
    if !requests.is_empty() {
        return Err(format!("somebody asked the repository: {requests:#?}"));
    }
    machine.power_off();
    followed.start(&new_image)?.power_off();
    assert_bits("after its trial", &node.disk, (bits(1, 3, true, false), GOOD))
}

/// What of a release may come where one program of the node is another.
const AGENT_SHARE: f64 = 0.02;
/// What of the kernel image may come with a point release of the kernel.
const KERNEL_SHARE: f64 = 0.5;
/// What the updater may take, in all.
const MEMORY_BYTES: u64 = 128 << 20;

impl Followed<'_> {
    /// The root's download, by the node's own word: what the slot has of the
    /// first release is not fetched either.
    fn came_without_its_delta(&self, image: &std::path::Path) -> Result<(), String> {
        let status = self.status()?;
        let size = self.context.manifest(image)?["root"]["size"].as_u64().unwrap_or(0);
        let is_small = |download: &Value| {
            let bytes = |field: &str| download[field].as_u64().unwrap_or(u64::MAX);
            download["way"] != "delta" && bytes("bytes") < size / 100 && bytes("came") == bytes("bytes")
        };
        let downloads = status["downloads"].as_array().map_or(&[][..], Vec::as_slice);
        match downloads.iter().rfind(|download| download["what"] == "root") {
            Some(download) if is_small(download) => Ok(()),
            _ => Err(format!("the root of {size} bytes did not come by what differs: {status}")),
        }
    }

    /// What was downloaded of parts of a release, named as its manifest names
    /// them, was less than a share of them.
    fn came_within<const N: usize>(
        &self,
        image: &std::path::Path,
        parts: [&str; N],
        share: f64,
    ) -> Result<(), String> {
        let (manifest, status) = (self.context.manifest(image)?, self.status()?);
        let (mut came, mut whole) = (0, 0);
        for part in parts {
            // The node names what it does, the manifest what there is.
            let what = match part {
                "hash" => "hash tree",
                "uki" => "kernel image",
                other => other,
            };
            let downloads = status["downloads"].as_array().map_or(&[][..], Vec::as_slice);
            let download = downloads.iter().rfind(|download| download["what"] == what);
            came += download
                .and_then(|download| download["came"].as_u64())
                .ok_or_else(|| format!("the node does not say what came of {what}: {status}"))?;
            whole += manifest[part]["size"].as_u64().ok_or_else(|| format!("no size of {part}"))?;
        }
        println!("  {came} bytes of {whole} came");
        if came as f64 > whole as f64 * share {
            return Err(format!("{came} bytes of {whole} came, more than {share} of them: {status}"));
        }
        Ok(())
    }

    /// The most that the updater ever took. Its unit allows no more, in which the
    /// kernel counts the cache of what it read, too; that is given up on demand.
    fn took_memory(&self) -> Result<(), String> {
        let group = "/.osbuild/host/sys/fs/cgroup/system.slice/osbuild-updater.service";
        let command = format!(
            "cat {group}/memory.max && pid=$(cat {group}/cgroup.procs) && \
             while read -r name value unit; do [ $name = VmHWM: ] && echo $value; done < /proc/$pid/status; \
             while read -r name value; do [ $name = oom_kill ] && echo $value; done < {group}/memory.events"
        );
        let (_, said) = self.node.client.run(self.node.admin, &command)?;
        let numbers: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [MEMORY_BYTES, peak_kib, 0] if (1024..MEMORY_BYTES / 1024).contains(&peak_kib) => {
                println!("  the updater took {peak_kib} KiB at most");
                Ok(())
            }
            _ => Err(format!("the updater's memory: {said:?}")),
        }
    }

    /// A release that is held or given out slowly is waited for, and the status
    /// says what for.
    fn waits_its_turn(&self) -> Result<(), String> {
        self.orders("update status", 0, "not since the node started")?;
        self.orders("update check", 0, "it can be installed now")?;
        self.fleet.repo(&["waves", "pause"], &["--why", "errors in the canaries"])?;
        self.orders("update check", 0, "errors in the canaries")?;
        self.orders("update install --now", 1, "no release is to be installed now")?;
        self.fleet.repo(&["waves", "set"], &["--wave", "100%@1000h"])?;
        self.orders("update check", 0, "its turn comes at")?;
        let status = self.status()?;
        let newest = &status["releases"][0];
        if newest["standing"] != "waits" || newest["version"] != "2.0.0" || status["chosen"] != Value::Null {
            return Err(format!("the second release is not waited for: {status}"));
        }
        self.orders("update install", 1, "no release is to be installed now")?;
        self.fleet.repo(&["waves", "set"], &["--wave", "now"])?;
        self.turn_comes()
    }
}
