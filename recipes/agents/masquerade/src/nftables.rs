//! Rules of the kernel's nftables, by netlink: `linux/netfilter/nf_tables.h`
//! has the numbers. In nft's language they are
//!
//! ```text
//! table ip osbuild {
//!     chain pods {
//!         type nat hook postrouting priority srcnat; policy accept;
//!         ip saddr SUBNET ip daddr != SUBNET ip daddr != 169.254.0.0/16 ip daddr != 224.0.0.0/4 masquerade
//!     }
//! }
//! ```

use std::io;
use std::net::Ipv4Addr;

use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

use crate::subnet::Subnet;

const TABLE: &str = "osbuild";
const CHAIN: &str = "pods";

/// Makes the table, in place of one that is there: one transaction.
///
/// # Errors
/// The kernel has no nftables, or lets this program change none.
pub fn masquerade(subnet: Subnet) -> io::Result<()> {
    let batch = Batch::new(subnet);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(NETFILTER))?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &batch.bytes, SendFlags::empty(), &kernel)?;
    // Its answers are there when it has taken the last byte.
    let mut answered = 0;
    let mut buffer = [0; 8192];
    while answered < batch.asked.len() {
        let (_, length) = recv(&socket, &mut buffer, RecvFlags::DONTWAIT)?;
        for (number, code) in answers(&buffer[..length])? {
            if code != 0 {
                let what = batch.asked.get(number).copied().unwrap_or("the batch");
                let error = io::Error::from_raw_os_error(-code);
                return Err(io::Error::new(error.kind(), format!("{what}: {error}")));
            }
            answered += 1;
        }
    }
    Ok(())
}

/// Length, kind, flags, number, port (linux/netlink.h, `nlmsghdr`).
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;

/// The number of each message that is answered, and 0 or an error's negative
/// number (linux/netlink.h, `nlmsgerr`).
fn answers(mut bytes: &[u8]) -> io::Result<Vec<(usize, i32)>> {
    let odd = || io::Error::other("the kernel answered what is no answer");
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let word = |at: usize| -> io::Result<u32> {
            let word = bytes.get(at..at + 4).ok_or_else(odd)?;
            Ok(u32::from_ne_bytes(word.try_into().map_err(|_| odd())?))
        };
        let length = word(0)? as usize;
        if (word(4)? & 0xffff) as u16 == NLMSG_ERROR {
            found.push((word(8)? as usize, word(HEADER)? as i32));
        }
        if length < HEADER {
            return Err(odd());
        }
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(found)
}

const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const DELETE_TABLE: u16 = SUBSYSTEM << 8 | 2;
const NEW_CHAIN: u16 = SUBSYSTEM << 8 | 3;
const NEW_RULE: u16 = SUBSYSTEM << 8 | 6;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;

const UNSPECIFIED: u8 = 0;
const IPV4: u8 = 2;

/// Messages that hold together or not at all.
struct Batch {
    bytes: Vec<u8>,
    /// By number, what each message that is answered is about.
    asked: Vec<&'static str>,
}

impl Batch {
    fn new(subnet: Subnet) -> Self {
        let mut batch = Self { bytes: Vec::new(), asked: Vec::new() };
        batch.frame(BATCH_BEGIN);
        // Only what is there can be deleted.
        batch.ask("a table", NEW_TABLE, CREATE, &text(1, TABLE));
        batch.ask("the table that was there", DELETE_TABLE, 0, &text(1, TABLE));
        batch.ask("the table", NEW_TABLE, CREATE, &text(1, TABLE));
        batch.ask("the chain", NEW_CHAIN, CREATE, &chain());
        batch.ask("the rule", NEW_RULE, CREATE | APPEND, &rule(subnet));
        batch.frame(BATCH_END);
        batch
    }

    fn ask(&mut self, what: &'static str, kind: u16, flags: u16, attributes: &[u8]) {
        let number = self.asked.len();
        self.asked.push(what);
        self.message(kind, REQUEST | ACKNOWLEDGE | flags, number, [IPV4, 0, 0, 0], attributes);
    }

    fn frame(&mut self, kind: u16) {
        let [high, low] = SUBSYSTEM.to_be_bytes();
        self.message(kind, REQUEST, usize::MAX, [UNSPECIFIED, 0, high, low], &[]);
    }

    /// With the head that netfilter has (linux/netfilter/nfnetlink.h).
    fn message(&mut self, kind: u16, flags: u16, number: usize, head: [u8; 4], attributes: &[u8]) {
        let length = (HEADER + head.len() + attributes.len()) as u32;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend((number as u32).to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(head);
        self.bytes.extend(attributes);
    }
}

fn chain() -> Vec<u8> {
    const POST_ROUTING: u32 = 4;
    const SOURCE_NAT: u32 = 100;
    const ACCEPT: u32 = 1;
    [
        text(1, TABLE),
        text(3, CHAIN),
        nested(4, &[number(1, POST_ROUTING), number(2, SOURCE_NAT)]),
        number(5, ACCEPT),
        text(7, "nat"),
    ]
    .concat()
}

fn rule(subnet: Subnet) -> Vec<u8> {
    const SOURCE: u32 = 12;
    const DESTINATION: u32 = 16;
    let expressions = [
        address(SOURCE, subnet, Is::Equal),
        address(DESTINATION, subnet, Is::Other),
        address(DESTINATION, Subnet::LINK_LOCAL, Is::Other),
        address(DESTINATION, Subnet::MULTICAST, Is::Other),
        vec![expression("masq", &[])],
    ]
    .concat();
    [text(1, TABLE), text(2, CHAIN), nested(4, &expressions)].concat()
}

#[derive(Clone, Copy)]
enum Is {
    Equal = 0,
    Other = 1,
}

/// Goes on if the address at this offset of the packet's IPv4 header is in
/// that subnet, or is not.
fn address(offset: u32, subnet: Subnet, is: Is) -> Vec<Vec<u8>> {
    const REGISTER: u32 = 1;
    const NETWORK_HEADER: u32 = 1;
    const BYTES: u32 = 4;
    let value = |kind: u16, address: Ipv4Addr| nested(kind, &[attribute(1, &address.octets())]);
    vec![
        expression(
            "payload",
            &[number(1, REGISTER), number(2, NETWORK_HEADER), number(3, offset), number(4, BYTES)],
        ),
        expression(
            "bitwise",
            &[
                number(1, REGISTER),
                number(2, REGISTER),
                number(3, BYTES),
                value(4, subnet.mask),
                value(5, Ipv4Addr::UNSPECIFIED),
            ],
        ),
        expression("cmp", &[number(1, REGISTER), number(2, is as u32), value(3, subnet.address)]),
    ]
}

fn expression(name: &str, data: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, data)])
}

fn nested(kind: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    const NESTED: u16 = 0x8000;
    attribute(kind | NESTED, &attributes.concat())
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), &[0]].concat())
}

/// Its length without what fills it up to words (linux/netlink.h, `nlattr`).
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = (4 + value.len()) as u16;
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
