//! The network: who listens, and what the kernel does with odd packets.

use super::{Check, Finding, Node};
use crate::report::sockets::{self, Listener};

pub const CHECKS: &[Check] = &[
    Check {
        id: "network.listeners",
        title: "Only what the node is for listens on the network",
        references: &[],
        look: listeners,
    },
    Check {
        id: "network.odd-packets",
        title: "Pings to everybody, nonsensical errors and floods of half-open connections do no harm",
        references: &["CIS Bottlerocket 3.2.5", "CIS Bottlerocket 3.2.6", "CIS Bottlerocket 3.2.7"],
        look: |node| {
            node.exactly(&[
                ("net.ipv4.icmp_echo_ignore_broadcasts", 1),
                ("net.ipv4.icmp_ignore_bogus_error_responses", 1),
                ("net.ipv4.tcp_syncookies", 1),
            ])
        },
    },
    Check {
        id: "network.routes",
        title: "Nobody tells the node other routes by packets",
        references: &[],
        look: |node| {
            node.exactly(&[
                ("net.ipv4.conf.all.accept_redirects", 0),
                ("net.ipv4.conf.all.accept_source_route", 0),
            ])
        },
    },
];

fn listeners(node: &Node) -> Finding {
    let Some(listeners) = sockets::listeners(&node.system) else {
        return Finding::Unknown("the kernel does not say who listens".to_owned());
    };
    let outside: Vec<&Listener> =
        listeners.iter().filter(|listener| !listener.address.is_loopback()).collect();
    let shown = |listener: &&Listener| listener.to_string();
    let unexpected: Vec<String> =
        outside.iter().copied().filter(|listener| !is_expected(listener)).map(|one| shown(&one)).collect();
    let evidence: Vec<String> = outside.iter().map(shown).collect();
    Finding::without(
        &unexpected,
        if evidence.is_empty() { "nobody does".to_owned() } else { evidence.join(", ") },
    )
}

/// By program and group of control: names alone can be chosen.
fn is_expected(listener: &Listener) -> bool {
    let Some(owner) = &listener.owner else { return false };
    let is_of = |unit: &str| owner.group.split('/').any(|part| part == unit);
    match listener.protocol {
        // Leases are asked for and given by DHCP at these ports.
        "udp" if is_of("systemd-networkd.service") => [68, 546].contains(&listener.port),
        // Answers to its questions come to a port of the kernel's choosing.
        "udp" if is_of("systemd-timesyncd.service") || is_of("systemd-resolved.service") => {
            listener.port >= 1024
        }
        "tcp" if is_of("kubelet.service") => listener.port == 10250,
        // The operator's own containers, which the settings name, and pods.
        _ => owner.group.starts_with("/host/") || owner.group.starts_with("/kubepods"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fails_with, holds, look, node};

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(address: &str, state: &str, inode: u32) -> String {
        format!(
            "   0: {address} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000     0        0 {inode} 1 0 100\n"
        )
    }

    #[test]
    fn only_the_expected_listen() {
        let look_with = |group: &str, tcp: &str| {
            let group = format!("0::{group}\n");
            let (place, node) = node(&[
                ("/proc/1/net/tcp", tcp),
                ("/proc/7/cgroup", &group),
                ("/proc/7/comm", "a\n"),
                ("/proc/7/fd/x", ""),
            ]);
            std::os::unix::fs::symlink("socket:[41]", place.path().join("proc/7/fd/3")).unwrap();
            look("network.listeners", &node)
        };
        let kubelet = format!("{HEAD}{}", line("00000000:280A", "0A", 41));
        holds(look_with("/system.slice/kubelet.service", &kubelet));
        fails_with(look_with("/system.slice/other.service", &kubelet), "a listens at tcp 0.0.0.0:10250");
        let ssh = format!("{HEAD}{}", line("00000000:0016", "0A", 41));
        holds(look_with("/host/control", &ssh));
        fails_with(look_with("/system.slice/kubelet.service", &ssh), "tcp 0.0.0.0:22");
        // Nobody's, as far as one sees.
        let unknown = format!("{HEAD}{}", line("00000000:0016", "0A", 42));
        fails_with(look_with("/host/control", &unknown), "somebody listens at tcp 0.0.0.0:22");
        // On loopback, and connected.
        let harmless =
            format!("{HEAD}{}{}", line("0100007F:0016", "0A", 42), line("00000000:0016", "01", 43));
        holds(look_with("/x", &harmless));
    }
}
