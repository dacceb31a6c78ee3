//! Facts, by the names that templates know.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use osbuild_imds::{Imds, NoMetadata};
use serde_json::{Map, Value, json};

/// What the machine knows by itself: `node_ip`, as soon as there is one that
/// others could reach.
pub(crate) fn local() -> Map<String, Value> {
    // Addresses that are nobody's (RFC 5737, RFC 3849): nothing is sent, the
    // kernel only says where it would send from.
    let far: [SocketAddr; 2] = [([192, 0, 2, 1], 9).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9).into()];
    let found = far.into_iter().find_map(|far| source_of(far).filter(is_reachable));
    found.map(|ip| ("node_ip".to_owned(), json!(ip.to_string()))).into_iter().collect()
}

fn source_of(far: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if far.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(far).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// kubelet refuses any other as the node's.
fn is_reachable(ip: &IpAddr) -> bool {
    let is_link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.segments()[0] & 0xffc0 == 0xfe80,
    };
    !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && !is_link_local
}

/// What EC2 says of the instance: `instance_id`, `instance_type`, `zone`,
/// `region`, `provider_id`, `private_dns_name`.
pub(crate) fn instance(imds: &mut Imds) -> Result<Map<String, Value>, NoMetadata> {
    let mut facts = Map::new();
    for (name, path) in [
        ("instance_id", "/latest/meta-data/instance-id"),
        ("instance_type", "/latest/meta-data/instance-type"),
        ("private_dns_name", "/latest/meta-data/local-hostname"),
        ("region", "/latest/meta-data/placement/region"),
        ("zone", "/latest/meta-data/placement/availability-zone"),
    ] {
        let found = imds.get(path)?.and_then(|bytes| String::from_utf8(bytes).ok());
        // Whatever is no plain word would be trouble where it is written.
        let word = found.filter(|text| {
            (1..=253).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
        });
        if let Some(word) = word {
            facts.insert(name.to_owned(), json!(word));
        }
    }
    if let (Some(Value::String(zone)), Some(Value::String(id))) =
        (facts.get("zone"), facts.get("instance_id"))
    {
        let provider_id = format!("aws:///{zone}/{id}");
        facts.insert("provider_id".to_owned(), json!(provider_id));
    }
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_others_can_reach_is_the_nodes() {
        for (ip, expected) in [
            ("10.0.2.15", true),
            ("fd00::1", true),
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("0.0.0.0", false),
            ("fe80::1", false),
            ("::1", false),
            ("::", false),
            ("224.0.0.1", false),
        ] {
            assert_eq!(is_reachable(&ip.parse().unwrap()), expected, "{ip}");
        }
    }

    #[test]
    fn what_ec2_says_becomes_facts() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut imds = Imds::at(listener.local_addr().unwrap(), (Duration::ZERO, Duration::ZERO), 1000);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") {
                    stream.read_exact(&mut byte).unwrap();
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap();
                let body = match head.split(' ').nth(1).unwrap() {
                    "/latest/api/token" => "TOKEN",
                    "/latest/meta-data/instance-id" => "i-0123456789abcdef0",
                    "/latest/meta-data/instance-type" => "m5.large\nevil: yes",
                    "/latest/meta-data/local-hostname" => "ip-10-0-0-1.eu-west-1.compute.internal",
                    "/latest/meta-data/placement/availability-zone" => "eu-west-1a",
                    _ => "",
                };
                let status = if body.is_empty() { 404 } else { 200 };
                let text = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(text.as_bytes()).unwrap();
            }
        });
        assert_eq!(
            Value::Object(instance(&mut imds).unwrap()),
            json!({
                "instance_id": "i-0123456789abcdef0",
                "private_dns_name": "ip-10-0-0-1.eu-west-1.compute.internal",
                "provider_id": "aws:///eu-west-1a/i-0123456789abcdef0",
                "zone": "eu-west-1a",
            })
        );
    }
}
