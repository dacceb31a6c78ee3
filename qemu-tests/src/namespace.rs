//! A network of the test's own: this program, started again in a user and
//! network namespace in which it may have any address and any port.

use std::process::Command;

use crate::context::{Context, program_of};

const INSIDE: &str = "OSBUILD_TEST_INSIDE";

/// Runs `inside` there, with these addresses and everything of the host's own
/// network gone. What takes a network must be built before.
pub(crate) fn with_addresses(
    context: &Context,
    scenario: &str,
    addresses: &[&str],
    inside: impl FnOnce() -> Result<(), String>,
) -> Result<(), String> {
    let root = context.build("pkgs.admin-image.root")?;
    if std::env::var_os(INSIDE).is_some() {
        let ip = |words: &str| context.run(program_of(&root, "ip").args(words.split(' '))).map(drop);
        ip("link set lo up")?;
        for address in addresses {
            ip(&format!("address add {address}/32 dev lo"))?;
            // Whoever connects to it would come from that very address, which
            // a guest may take for its own.
            ip(&format!("route replace local {address} dev lo table local src 127.0.0.1"))?;
        }
        return inside();
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "--"])
        .arg(program)
        .arg(scenario)
        .env(INSIDE, "1")
        .output()
        .map_err(|error| format!("cannot run unshare: {error}"))?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        return Err(said);
    }
    // What it found out, without how it ended.
    said.lines().filter(|line| line.starts_with("  ")).for_each(|line| println!("{line}"));
    Ok(())
}
