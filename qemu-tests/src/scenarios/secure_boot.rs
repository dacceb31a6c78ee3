//! Signing, judged by firmware: with a key enrolled it refuses what was built
//! and starts what was signed.
//!
//! The key is the publicly known one that the firmware's package brings
//! together with a variable store in which it is enrolled.

use std::path::Path;

use crate::context::Context;
use crate::evidence::judge;
use crate::machine::{Machine, Start};
use crate::scenarios::{all_hold, nonce};

pub(crate) fn unsigned_refused(context: &Context) -> Result<(), String> {
    let target = "qemu-dev";
    let image = context.build(target)?;
    let manifest = context.manifest(&image)?;
    let qemu = context.build("pkgs.qemu")?;
    let variables = qemu.join("usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd");
    let nonce = nonce();

    let unsigned = context.scratch("unsigned.raw");
    let start = Start { variables: Some(&variables), ..Start::new(target, &unsigned, &nonce) };
    let mut machine = Machine::start(context, &start)?;
    // The words of EDK II for a failed verification.
    machine.wait_for_console("Access Denied")?;
    machine.power_off();

    let signed = context.scratch("signed");
    sign(context, &qemu, &image, &signed)?;
    let disk = signed.join("disk.raw");
    let start = Start { variables: Some(&variables), ..Start::new(target, &disk, &nonce) };
    let mut machine = Machine::start(context, &start)?;
    let report = machine.verdict()?;
    machine.power_off();
    all_hold(judge(&report, &manifest, &nonce, false), &report)
}

fn sign(context: &Context, qemu: &Path, image: &Path, signed: &Path) -> Result<(), String> {
    let folder = qemu.join("usr/share/ovmf");
    let key = context.scratch("key.pem");
    let mut decrypt = context.judge("openssl")?;
    decrypt.args(["pkey", "-passin", "pass:snakeoil", "-in"]).arg(folder.join("PkKek-1-snakeoil.key"));
    context.run(decrypt.arg("-out").arg(&key))?;
    let mut command = context.osbuild();
    command.arg("sign").arg(image).arg("--key").arg(&key);
    command.arg("--certificate").arg(folder.join("PkKek-1-snakeoil.pem")).arg("-o").arg(signed);
    context.run(&mut command).map(|_| ())
}
