//! Bootstrap containers: what runs when, and who waits for whom.

use crate::context::Context;
use crate::machine::{Machine, Start};
use crate::node::{Node, healthy};
use crate::scenarios::nonce;

/// Where the node's files are for those that prepare it.
const HOST: &str = "/.osbuild/host";
/// Longer than the contract gives a start that is not held back.
const HELD_MS: u64 = 330_000;

pub(crate) fn containers(context: &Context) -> Result<(), String> {
    let target = context.variant("script");
    let node = Node::of(context, &target, "bootstrap")?;
    let once = format!("echo ran >> {HOST}/var/once; sync");
    let always = format!(
        "mkdir -p {HOST}/var/prepared; echo ran >> {HOST}/var/always; mount -t tmpfs prepared {HOST}/var/prepared || exit 8; pgrep -x kubelet && exit 9; true"
    );
    let three = [
        container("once", "once", true, &once),
        container("repeated", "always", true, &always),
        container("careless", "always", false, "exit 3"),
    ];
    // Kubelet starts only with a configuration of providers that it takes.
    let provider = "[kubernetes.credential-providers.stand-in]\nenabled = true\nimage-patterns = [\"*.registry.example.com\"]\n";
    node.tell(&[&three.concat(), provider].concat())?;

    for start in 1..=2 {
        let nonce = nonce();
        let mut machine = Machine::start(context, &Start { target: &target, ..node.start(&nonce) })?;
        let verdict = healthy(&machine.verdict()?);
        verdict.map_err(|failure| machine.failure(&failure))?;
        let careless = "bootstrap container careless: it ended with status 3; the node goes on without it";
        machine.wait_for_console(careless)?;
        node.client.wait(node.admin)?;
        let lines = format!("cat {HOST}/var/once; echo; cat {HOST}/var/always");
        let expected = format!("ran\n\n{}", "ran\n".repeat(start));
        match node.client.run(node.admin, &lines)? {
            (0, said) if said == expected => {}
            other => {
                return Err(machine
                    .failure(&format!("in start {start} they ran so: {other:?}, expected {expected:?}")));
            }
        }
        // What was mounted there is the node's, and kubelet came after it.
        node.client.says(
            node.admin,
            "grep ' /var/prepared ' /proc/1/mounts",
            0,
            "prepared /var/prepared tmpfs",
        )?;
        node.client.says(node.admin, "pgrep -f 'kubelet .*--image-credential-provider-bin-dir='", 0, "")?;
        machine.power_off();
    }

    // One that cannot succeed yet: kubelet waits, and nobody judges the image.
    node.tell(&container("gate", "always", true, &format!("test -e {HOST}/var/open")))?;
    let nonce = nonce();
    let mut machine = Machine::start(context, &Start { target: &target, ..node.start(&nonce) })?;
    let report = machine.wait_for("a long wait", |report| {
        report.verdict().is_some()
            || report.event("waiting").is_some()
                && report.lines.last().is_some_and(|line| line["uptime_ms"].as_u64() > Some(HELD_MS))
    })?;
    if let Some(verdict) = report.verdict() {
        return Err(machine.failure(&format!("the start is {verdict} by what its settings hold back")));
    }
    if report.event("waiting").is_none_or(|data| data["held"] != true) {
        return Err(machine.failure("the report does not say that the start is held back"));
    }
    machine.wait_for_console(
        "bootstrap container gate: it ended with status 1; kubelet waits for it, next try in",
    )?;
    node.client.says(node.admin, "pgrep -x kubelet", 1, "")?;
    node.client.says(node.admin, &format!("touch {HOST}/var/open"), 0, "")?;
    let verdict = healthy(&machine.verdict()?);
    verdict.map_err(|failure| machine.failure(&failure))?;
    node.client.says(node.admin, "pgrep -x kubelet", 0, "")?;
    machine.power_off();
    Ok(())
}

fn container(name: &str, mode: &str, is_essential: bool, script: &str) -> String {
    format!(
        "[bootstrap-containers.{name}]\n\
         image = \"osbuild.local/script:1\"\nmode = \"{mode}\"\nessential = {is_essential}\nuser-data = '''{script}'''\n"
    )
}
