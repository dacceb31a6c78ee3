//! Who listens, by the kernel's tables (proc(5), `/proc/net/tcp`) and by what
//! each program has open.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::system::System;

/// A socket that anybody may send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    pub protocol: &'static str,
    pub address: IpAddr,
    pub port: u16,
    /// `None`: no program that is seen has it open.
    pub owner: Option<Owner>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub program: String,
    /// Its control group: the unit or container that it is in.
    pub group: String,
}

/// Listening, and bound without a peer (include/net/tcp_states.h).
const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";

/// Of the node itself: containers with a network of their own are not in it.
/// `None` if there are no tables.
pub fn listeners(system: &System) -> Option<Vec<Listener>> {
    const TABLES: [(&str, &str, &str); 4] = [
        ("tcp", "/proc/1/net/tcp", TCP_LISTEN),
        ("tcp", "/proc/1/net/tcp6", TCP_LISTEN),
        ("udp", "/proc/1/net/udp", UDP_UNCONNECTED),
        ("udp", "/proc/1/net/udp6", UDP_UNCONNECTED),
    ];
    let mut found = Vec::new();
    let mut is_known = false;
    for (protocol, table, state) in TABLES {
        let Some(text) = system.text(table) else { continue };
        is_known = true;
        found.extend(text.lines().skip(1).filter_map(|line| Some((protocol, entry(line, state)?))));
    }
    let owners = if found.is_empty() { BTreeMap::new() } else { owners(system) };
    let listener = |(protocol, (address, inode)): (&'static str, (SocketAddr, u64))| Listener {
        protocol,
        address: address.ip(),
        port: address.port(),
        owner: owners.get(&inode).cloned(),
    };
    is_known.then(|| found.into_iter().map(listener).collect())
}

/// Address and inode of a line, if the socket is in that state.
fn entry(line: &str, state: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != state {
        return None;
    }
    Some((address(fields.get(1)?)?, fields.get(9)?.parse().ok()?))
}

/// `0100007F:0016`: words of the machine's byte order, in hexadecimal.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            // ::ffff:127.0.0.1 is loopback, too.
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// Owners by the inode of what they have open.
fn owners(system: &System) -> BTreeMap<u64, Owner> {
    let mut owners = BTreeMap::new();
    for process in
        system.names("/proc").into_iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    {
        let open = format!("/proc/{process}/fd");
        let sockets = system.names(&open).into_iter().filter_map(|descriptor| {
            let target = system.link_name(&format!("{open}/{descriptor}"))?;
            target.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
        });
        let mut sockets = sockets.peekable();
        if sockets.peek().is_none() {
            continue;
        }
        let group = system.text(&format!("/proc/{process}/cgroup")).unwrap_or_default();
        let group = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default().to_owned();
        let program = system.text(&format!("/proc/{process}/comm")).unwrap_or_default();
        let owner = Owner { program, group };
        // The service manager holds sockets that it handed on.
        let is_manager = process == "1";
        for socket in sockets {
            if is_manager {
                owners.entry(socket).or_insert_with(|| owner.clone());
            } else {
                owners.insert(socket, owner.clone());
            }
        }
    }
    owners
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.owner.as_ref().map_or("somebody", |owner| owner.program.as_str());
        write!(f, "{program} listens at {} {}", self.protocol, SocketAddr::new(self.address, self.port))?;
        match &self.owner {
            Some(owner) => write!(f, " in {}", owner.group),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_of_the_machines_byte_order() {
        for (text, expected) in [
            ("0100007F:0016", Some("127.0.0.1:22")),
            ("0F02000A:280A", Some("10.0.2.15:10250")),
            ("00000000000000000000000000000000:0016", Some("[::]:22")),
            ("00000000000000000000000001000000:0016", Some("[::1]:22")),
            ("0000000000000000FFFF00000100007F:0016", Some("127.0.0.1:22")),
            ("0100007F", None),
            ("0100007F:XX", None),
            ("01:0016", None),
            ("ä100007:0016", None),
        ] {
            let found = address(text).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
