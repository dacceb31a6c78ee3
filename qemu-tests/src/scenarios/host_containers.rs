//! The node's own containers, as a person with a key reaches them.

use crate::context::Context;
use crate::machine::Machine;
use crate::node::{Node, expect_in_time};
use crate::scenarios::nonce;
use crate::scenarios::operate;
use crate::ssh::Client;

pub(crate) fn by_ssh(context: &Context) -> Result<(), String> {
    let node = Node::new(context, "host-containers")?;
    let (client, control, admin) = (&node.client, node.control, node.admin);
    let nonce = nonce();
    let mut machine = Machine::start(context, &node.start(&nonce))?;
    machine.verdict()?;

    client.wait(control)?;
    client.says(control, "get network.hostname", 0, "hostname = \"localhost\"")?;
    client.says(control, "set network.hostname=node-9", 0, "network.hostname: \"localhost\" → \"node-9\"")?;
    client.says(control, "/bin/sh -c id", 2, "unrecognized subcommand '/bin/sh'")?;
    machine.wait_for("the new host name", |report| report.state("hostname") == Some(&"node-9".into()))?;

    client.wait(admin)?;
    client.says(admin, "echo $((6 * 7)); id -u", 0, "42\n0\n")?;
    client.says(admin, "hostctl get network.hostname", 0, "hostname = \"node-9\"")?;
    client.says(admin, "ls /.osbuild/host/usr/lib/osbuild/early", 0, "/early")?;
    // What a version without that setting would do with it.
    let schema = "/.osbuild/host/usr/share/osbuild/settings/schema.json";
    client.says(admin, &format!("hostctl check {schema}"), 0, "takes all settings as they are")?;
    client.says(
        admin,
        &format!("sed s/network.hostname/network.hostnane/ {schema} | hostctl check -"),
        0,
        "would be set aside: network.hostname: no such setting",
    )?;
    // It sees the host's files, and there is no shell among them.
    client.says(admin, "ls /.osbuild/host/bin/sh /.osbuild/host/bin/bash; true", 0, "No such file")?;
    client.says(admin, "touch /.osbuild/host/usr/x", 1, "Read-only file system")?;

    operate::a_node(context, client, control, admin)?;
    names_on_trial(client, control, admin)?;

    // A container that was given the API goes on with the one that follows.
    client.says(admin, "pkill -KILL -f ^/usr/lib/osbuild/settings", 0, "")?;
    for port in [control, admin] {
        let ask = if port == control { "get network.hostname" } else { "hostctl get network.hostname" };
        client.says(port, ask, 0, "hostname = \"node-9\"")?;
    }

    let stranger = Client::new(context)?;
    for port in [control, admin] {
        stranger.says(port, "get", 255, "Permission denied (publickey)")?;
    }

    client.says(
        control,
        "set host-containers.admin.enabled=false",
        0,
        "stopped host-container@admin.service",
    )?;
    expect_in_time("the admin container gone", || Ok(client.run(admin, "true")?.0 == 255))?;
    machine.power_off();
    Ok(())
}

/// A name server that does not answer, on trial: two files and one service
/// change, and without a confirmation both are as they were.
fn names_on_trial(client: &Client, control: u16, admin: u16) -> Result<(), String> {
    const FILES: &str = "cd /.osbuild/host/etc && find . -type f | sort | xargs sha256sum";
    const SERVERS: &str = "cat /.osbuild/host/run/systemd/resolve/resolv.conf";
    let ask = |command: &str| match client.run(admin, command)? {
        (0, said) => Ok(said),
        (status, said) => Err(format!("`{command}` ended with {status} and said {said:?}")),
    };
    let (files, services, servers) = (ask(FILES)?, ask(SERVICES)?, ask(SERVERS)?);
    if !servers.contains("\nnameserver 10.0.2.3\n") {
        return Err(format!("DHCP's name server is not asked: {servers:?}"));
    }
    client.says(
        control,
        "set network.dns.servers=192.0.2.1 --confirm 20",
        0,
        "wrote systemd/network/80-osbuild.network.d/50-dns.conf, systemd/resolved.conf.d/50-settings.conf\n\
         restarted systemd-resolved.service\nreloaded systemd-networkd.service\ngoes back by itself",
    )?;
    expect_in_time("the new name server alone", || {
        let now = ask(SERVERS)?;
        Ok(now.contains("\nnameserver 192.0.2.1\n") && !now.contains("10.0.2.3"))
    })?;
    let changed = |before: &str, now: &str| -> Vec<String> {
        let before: Vec<&str> = before.lines().collect();
        let new = now.lines().filter(|line| !before.contains(line));
        new.map(|line| line.rsplit([' ', '/']).next().unwrap_or_default().to_owned()).collect()
    };
    let new_files = changed(&files, &ask(FILES)?);
    if new_files != ["50-dns.conf", "50-settings.conf"] {
        return Err(format!("these files changed, too: {new_files:?}"));
    }
    let new_services = changed(&services, &ask(SERVICES)?);
    if new_services != ["systemd-resolved"] {
        return Err(format!("these services began anew: {new_services:?}"));
    }
    expect_in_time("the old name server again", || Ok(ask(SERVERS)? == servers))?;
    client.says(control, "get network.dns.servers", 0, "servers = []")?;
    let left = changed(&files, &ask(FILES)?);
    if !left.is_empty() {
        return Err(format!("these files stayed changed: {left:?}"));
    }
    Ok(())
}

/// What PID 1 started, as `PID program`, without what comes and goes.
const SERVICES: &str = "for p in $(pgrep -P 1); do echo \"$p $(readlink /proc/$p/exe)\"; done | grep -v -e shim -e hostcontainer";
