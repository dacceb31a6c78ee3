//! Settings of the network, held against what the node then does: MTU,
//! addresses, the clock, whom it asks for images.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::context::Context;
use crate::machine::Machine;
use crate::namespace;
use crate::node::{Node, expect_in_time, healthy};
use crate::scenarios::nonce;

/// This host, as guests see it.
const HOST: &str = "10.0.2.2";
/// What the time server says: the start of 2030, in seconds since 1970.
const THEN: u64 = 1_893_456_000;
const NTP: u16 = 123;
const REGISTRY: &str = "registry.example.com";

pub(crate) fn settings(context: &Context) -> Result<(), String> {
    let node = Node::new(context, "network")?;
    context.build("pkgs.qemu")?;
    // Nothing of it is reached by these names or addresses elsewhere.
    namespace::with_addresses(context, "network-settings", &[], || {
        let nonce = nonce();
        let mut machine = Machine::start(context, &node.start(&nonce))?;
        healthy(&machine.verdict()?)?;
        node.client.wait(node.control)?;
        node.client.wait(node.admin)?;
        let found = packets(&node)
            .and_then(|()| addresses(&node))
            .and_then(|()| clock(&node))
            .and_then(|()| proxy(&node));
        found.map_err(|failure| machine.failure(&failure))?;
        machine.power_off();
        Ok(())
    })
}

/// The network card's name.
fn card(node: &Node) -> Result<String, String> {
    let (_, said) = node.client.run(node.admin, "ls /sys/class/net | grep -v -e lo -e sit -e ip6 -e tun")?;
    Ok(said.trim().to_owned())
}

/// The card's MTU follows the setting, and goes back with it.
fn packets(node: &Node) -> Result<(), String> {
    let card = card(node)?;
    let mtu = || {
        let ask = format!("cat /sys/class/net/{card}/mtu");
        node.client.run(node.admin, &ask).map(|(_, said)| said.trim().to_owned())
    };
    if mtu()? != "1500" {
        return Err(format!("the card {card:?} begins with an MTU of {}", mtu()?));
    }
    let set = format!("set network.interfaces.{card}.mtu=1400 --confirm 30");
    node.client.says(node.control, &set, 0, "reloaded systemd-networkd.service")?;
    expect_in_time("the MTU that was set", || Ok(mtu()? == "1400"))?;
    expect_in_time("the MTU before, which nobody confirmed away", || Ok(mtu()? == "1500"))
}

/// A static address instead of a leased one, confirmed.
fn addresses(node: &Node) -> Result<(), String> {
    let card = card(node)?;
    let leased =
        || node.client.run(node.admin, &format!("ip -4 -o address show dev {card}")).map(|(_, said)| said);
    if !leased()?.contains("inet 10.0.2.15/24") || !leased()?.contains(" dynamic ") {
        return Err(format!("the address does not come by DHCP at first: {}", leased()?));
    }
    let set = format!(
        "set network.interfaces.{card}.dhcp=no network.interfaces.{card}.addresses=10.0.2.15/24,10.0.2.77/24 \
         network.interfaces.{card}.gateway={HOST} network.interfaces.{card}.dns=10.0.2.3 --confirm 120"
    );
    node.client.says(node.control, &set, 0, "goes back by itself")?;
    expect_in_time("the static addresses", || {
        let now = leased()?;
        Ok(now.contains("inet 10.0.2.77/24")
            && now.contains("inet 10.0.2.15/24")
            && !now.contains(" dynamic "))
    })?;
    node.client.says(node.control, "confirm", 0, "")?;
    node.client.says(
        node.admin,
        "ip route show default",
        0,
        &format!("default via {HOST} dev {card} proto static"),
    )?;
    node.client.says(
        node.admin,
        "cat /.osbuild/host/run/systemd/resolve/resolv.conf",
        0,
        "nameserver 10.0.2.3",
    )
}

/// The clock follows the server that the settings name.
fn clock(node: &Node) -> Result<(), String> {
    let socket = UdpSocket::bind(("127.0.0.1", NTP)).map_err(|error| format!("port {NTP}: {error}"))?;
    std::thread::spawn(move || serve_time(&socket));
    let now = || -> Result<u64, String> {
        let (_, said) = node.client.run(node.admin, "date +%s")?;
        said.trim().parse().map_err(|_| format!("date said {said:?}"))
    };
    if now()? >= THEN {
        return Err(format!("it is {} before anybody said so", now()?));
    }
    node.client.says(
        node.control,
        &format!("set ntp.servers={HOST}"),
        0,
        "restarted systemd-timesyncd.service",
    )?;
    expect_in_time("the server's time", || Ok((THEN..THEN + 3600).contains(&now()?)))
}

/// Answers as a time server does (RFC 5905, section 7.3), in another year.
fn serve_time(socket: &UdpSocket) {
    const FROM_1900_TO_1970: u64 = 2_208_988_800;
    let began = std::time::Instant::now();
    let mut question = [0; 48];
    while let Ok((count, from)) = socket.recv_from(&mut question) {
        if count < 48 {
            continue;
        }
        let seconds = ((THEN + FROM_1900_TO_1970 + began.elapsed().as_secs()) as u32).to_be_bytes();
        let mut answer = [0; 48];
        // Version 4, a server; stratum 1, by no clock in particular.
        answer[..4].copy_from_slice(&[0x24, 1, 6, 0xec]);
        answer[12..16].copy_from_slice(b"LOCL");
        answer[24..32].copy_from_slice(&question[40..48]);
        for at in [16, 32, 40] {
            answer[at..at + 4].copy_from_slice(&seconds);
        }
        let _ = socket.send_to(&answer, from);
    }
}

/// Images are asked for through the proxy, and past it for whom it is not.
fn proxy(node: &Node) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
            let mut line = String::new();
            if BufReader::new(stream).read_line(&mut line).is_ok() {
                log.lock().unwrap_or_else(PoisonError::into_inner).push(line.trim().to_owned());
            }
        }
    });
    let connect = format!("CONNECT {REGISTRY}:443 HTTP/1.1");
    let times = || {
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|line| **line == connect).count()
    };
    let set = format!("set network.https-proxy=http://{HOST}:{port}");
    node.client.says(node.control, &set, 0, "wrote osbuild/proxy.env")?;
    let image = format!("{REGISTRY}/tool:1");
    node.client.says(
        node.control,
        &format!("set host-containers.tool.image={image} host-containers.tool.enabled=true"),
        0,
        "started host-container@tool.service",
    )?;
    expect_in_time("a question to the proxy", || Ok(times() > 0))?;
    node.client.says(node.control, "set host-containers.tool.enabled=false", 0, "stopped")?;
    let set = format!("set network.no-proxy={REGISTRY} host-containers.tool.enabled=true");
    node.client.says(node.control, &set, 0, "started host-container@tool.service")?;
    let before = times();
    // More than one try.
    node.client.says(node.admin, "sleep 20", 0, "")?;
    if times() != before {
        return Err(format!("the proxy was asked for {REGISTRY}, which is not its business"));
    }
    Ok(())
}
