//! A disk for what containers write: blank, kept, and somebody else's.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::context::Context;
use crate::machine::{Machine, Start};
use crate::node::{Node, expect_in_time, healthy};
use crate::scenarios::nonce;

const BYTES: u64 = 512 << 20;
/// Of a partition table, where it stands.
const FOREIGN: (&[u8], u64) = (b"EFI PART", 512);

pub(crate) fn disk(context: &Context) -> Result<(), String> {
    let node = Node::new(context, "ephemeral")?;
    node.tell("[storage.ephemeral]\ndisk = \"/dev/vdb\"\n")?;
    let extra = context.scratch("ephemeral-disk.raw");
    let file = File::options().create(true).truncate(true).read(true).write(true).open(&extra);
    let file = file.map_err(|error| error.to_string())?;
    file.set_len(BYTES).map_err(|error| error.to_string())?;
    let start = |nonce: &str| {
        let mut machine = Machine::start(context, &Start { extra_disk: Some(&extra), ..node.start(nonce) })?;
        let verdict = healthy(&machine.verdict()?);
        verdict.map_err(|failure| machine.failure(&failure))?;
        node.client.wait(node.admin)?;
        Ok::<_, String>(machine)
    };
    let mounted = |place: &str| {
        let ask = format!("grep '^/dev/vdb {place} ext4 ' /proc/1/mounts");
        node.client.run(node.admin, &ask).map(|(status, _)| status == 0)
    };
    let marker = "/.osbuild/host/var/lib/containerd/marker";

    let first = nonce();
    let machine = start(&first)?;
    expect_in_time("containerd on the disk", || mounted("/var/lib/containerd"))?;
    if !mounted("/var/log/pods")? || mounted("/var/lib/kubelet")? {
        return Err(machine.failure("other directories are on the disk than the settings say"));
    }
    // Whoever was up before it is up again, on it.
    expect_in_time("containerd", || {
        let ask = "chroot /.osbuild/host /usr/bin/ctr version && test -d /.osbuild/host/var/lib/containerd/io.containerd.metadata.v1.bolt";
        Ok(node.client.run(node.admin, ask)?.0 == 0)
    })?;
    node.client.says(node.admin, &format!("touch {marker} && sync"), 0, "")?;
    machine.power_off();

    let second = nonce();
    let machine = start(&second)?;
    if !mounted("/var/lib/containerd")? {
        return Err(machine.failure("in the second start containerd is not on the disk"));
    }
    node.client.says(node.admin, &format!("test -e {marker}"), 0, "")?;
    machine.power_off();

    // It belongs to somebody else now.
    let junk = vec![0; 1 << 20];
    file.write_all_at(&junk, 0)
        .and_then(|()| file.write_all_at(FOREIGN.0, FOREIGN.1))
        .map_err(|error| error.to_string())?;
    let third = nonce();
    let mut machine = start(&third)?;
    machine.wait_for_console(
        "/dev/vdb holds a partition table (GPT); storage.ephemeral.wipe = true gives that up",
    )?;
    if mounted("/var/lib/containerd")? {
        return Err(machine.failure("somebody else's disk is mounted"));
    }
    machine.power_off();
    let mut found = vec![0; 1 << 20];
    file.read_exact_at(&mut found, 0).map_err(|error| error.to_string())?;
    let at = FOREIGN.1 as usize;
    if &found[at..at + FOREIGN.0.len()] != FOREIGN.0
        || found.iter().filter(|byte| **byte != 0).count() != FOREIGN.0.len()
    {
        return Err("somebody else's disk was written to".to_owned());
    }
    Ok(())
}
