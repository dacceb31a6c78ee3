//! What befalls nodes: no network, a dead clock, a disk that is full or has
//! gone bad. Each has one named outcome.

use std::fs::OpenOptions;
use std::io::Read;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::context::Context;
use crate::gpt::{self, EMPTY, GOOD};
use crate::machine::{Machine, Start};
use crate::node::expect_in_time;
use crate::node::{Node, healthy};
use crate::qmp::Socket;
use crate::scenarios::settings::{self, Started};
use crate::scenarios::{assert_bits, nonce};

const TARGET: &str = "qemu-dev";
const PRIVATE: usize = 8;
/// How long the cable is out.
const WITHOUT_NETWORK: Duration = Duration::from_secs(60);

/// The cable is out for the first minute: the node commits, since nothing of
/// its contract depends on others, and is on the network when there is one.
pub(crate) fn no_network(context: &Context) -> Result<(), String> {
    let node = Node::new(context, "no-network")?;
    let socket = Socket::new(&context.scratch("no-network.qmp"))?;
    let nonce = nonce();
    let mut machine = Machine::start(context, &Start { qmp: Some(&socket.path), ..node.start(&nonce) })?;
    let mut qmp = socket.accept()?;
    qmp.set_link(false)?;
    let pulled = Instant::now();
    healthy(&machine.verdict()?)?;
    expect_in_time("the slot's commit", || Ok(gpt::slots(&node.disk)? == (GOOD, EMPTY)))?;
    while pulled.elapsed() < WITHOUT_NETWORK {
        if greets(node.control) {
            return Err("the node is reached without a network".to_owned());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    qmp.set_link(true)?;
    node.client.wait(node.control)?;
    node.client.wait(node.admin)?;
    node.client.says(
        node.admin,
        "cat /.osbuild/host/run/systemd/resolve/resolv.conf",
        0,
        "nameserver 10.0.2.3",
    )?;
    machine.power_off();
    Ok(())
}

/// The clock says 1970 at every start: the node takes no time for true that
/// is before its own image or before what it has lived through.
pub(crate) fn clock_of_1970(context: &Context) -> Result<(), String> {
    let node = Node::new(context, "clock-1970")?;
    let mut last = 0;
    for start in ["the first", "the second"] {
        let nonce = nonce();
        let clock = Some("1970-01-01T00:00:00");
        let mut machine = Machine::start(context, &Start { clock, ..node.start(&nonce) })?;
        healthy(&machine.verdict()?)?;
        node.client.wait(node.admin)?;
        let (_, said) = node.client.run(node.admin, "date +%s")?;
        let now: u64 = said.trim().parse().map_err(|_| format!("date said {said:?}"))?;
        // Of the second start it is asked that it goes on after the first.
        let earliest = if last == 0 { IMAGE_IS_YOUNGER } else { last };
        if now < earliest {
            return Err(format!("in {start} start the clock says {now}, expected at least {earliest}"));
        }
        last = now;
        if start == "the first" {
            // The time is noted on DATA once a minute, so this one is passed.
            node.client.says(node.admin, "sleep 65; sync", 0, "")?;
        }
        machine.power_off();
    }
    Ok(())
}

/// Seconds of 2025: no image of this tree is older.
const IMAGE_IS_YOUNGER: u64 = 1_735_689_600;

/// PRIVATE goes bad: in the newest settings, then altogether.
pub(crate) fn private_goes_bad(context: &Context) -> Result<(), String> {
    context.build(TARGET)?;
    let disk = context.scratch("private.raw");
    let text = |name: &str| format!("[network]\nhostname = \"{name}\"\n");
    for name in ["node-older", "node-newer"] {
        let started = settled(context, &disk, Some(&text(name)))?;
        started.is_called(name)?;
    }

    let spoiled = change(&disk, PRIVATE, "node-newer", "node-nower")?;
    if spoiled == 0 {
        return Err("the settings are not found on PRIVATE".to_owned());
    }
    let started = settled(context, &disk, None)?;
    started.is_called("node-older")?;
    started.says("cannot be read; the one before it counts")?;

    // Nothing is left of it, not even a copy of the superblock.
    overwrite(&disk, PRIVATE)?;
    let started = settled(context, &disk, None)?;
    started.is_called("localhost")?;
    started.says("early: PRIVATE is lost")?;
    started.private_is("lost")?;
    // It is nobody's decision but a person's to format it again: what a node
    // is told while it is lost, it knows until it is switched off.
    let started = settled(context, &disk, Some(&text("node-told")))?;
    started.is_called("node-told")?;
    started.private_is("lost")?;
    assert_bits("after all", &disk, (GOOD, EMPTY))
}

/// DATA is full to the last block, and the node is started again: it gives up
/// the room that it kept, so that somebody can get in and make more.
pub(crate) fn data_is_full(context: &Context) -> Result<(), String> {
    let node = Node::new(context, "data-full")?;
    let reserve = |machine: &mut Machine| {
        let report = machine.verdict()?;
        healthy(&report).map_err(|failure| machine.failure(&failure))?;
        let storage = report.event("started").map_or(Value::Null, |data| data["storage"]["reserve"].clone());
        Ok::<_, String>(storage.as_str().unwrap_or_default().to_owned())
    };
    let expect = |start: &str, found: &str, expected: &str| {
        if found == expected {
            return Ok(());
        }
        Err(format!("in the {start} start the reserve is {found:?}, expected {expected:?}"))
    };
    let first = nonce();
    let mut machine = Machine::start(context, &node.start(&first))?;
    expect("first", &reserve(&mut machine)?, "held")?;
    node.client.wait(node.control)?;
    node.client.wait(node.admin)?;
    let var = "/.osbuild/host/var";
    let fill = format!(
        "for size in 1073741824 16777216 1048576 4096; do \
         while fallocate -l $size {var}/filler-$((i += 1)); do :; done; done; sync; echo x > {var}/one-more"
    );
    node.client.says(node.admin, &fill, 1, "write error: No space left on device")?;
    // Settings are not kept there.
    node.client.says(node.control, "set network.hostname=node-full", 0, "→ \"node-full\"")?;
    machine.power_off();

    let second = nonce();
    let mut machine = Machine::start(context, &node.start(&second))?;
    expect("second", &reserve(&mut machine)?, "given-up")?;
    if !machine.console().contains("storage: DATA is full: its reserve of ") {
        return Err(machine.failure("the console does not say that DATA is full"));
    }
    machine.wait_for("its name", |report| report.state("hostname") == Some(&"node-full".into()))?;
    node.client.wait(node.admin)?;
    node.client.says(node.admin, &format!("rm {var}/filler-* && sync"), 0, "")?;
    machine.power_off();

    let third = nonce();
    let mut machine = Machine::start(context, &node.start(&third))?;
    expect("third", &reserve(&mut machine)?, "held")?;
    machine.power_off();
    assert_bits("after all", &node.disk, (GOOD, EMPTY))
}

/// A healthy start until its user data's fate is known.
fn settled(context: &Context, disk: &Path, user_data: Option<&str>) -> Result<Started, String> {
    let started = settings::start(context, disk, user_data)?;
    healthy(&started.report)?;
    Ok(started)
}

impl Started {
    fn is_called(&self, name: &str) -> Result<(), String> {
        match self.report.state("hostname") {
            Some(found) if *found == json!(name) => Ok(()),
            other => Err(format!("the node is called {other:?}, expected {name:?}\n{}", self.console)),
        }
    }

    fn says(&self, text: &str) -> Result<(), String> {
        if self.console.contains(text) {
            return Ok(());
        }
        Err(format!("the console does not say {text:?}:\n{}", self.console))
    }

    fn private_is(&self, expected: &str) -> Result<(), String> {
        let found = self.report.event("started").map_or(&Value::Null, |data| &data["early"]["private"]);
        if *found == json!(expected) {
            Ok(())
        } else {
            Err(format!("PRIVATE is {found}, expected {expected}"))
        }
    }
}

/// Whether an SSH server says its name there.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let mut name = [0; 4];
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    stream.read_exact(&mut name).is_ok() && &name == b"SSH-"
}

/// Changes a text wherever a partition holds it; how often.
fn change(disk: &Path, partition: usize, from: &str, to: &str) -> Result<usize, String> {
    assert_eq!(from.len(), to.len(), "nothing else moves");
    let (start, length) = gpt::extent(disk, partition)?;
    let file = OpenOptions::new().read(true).write(true).open(disk).map_err(|error| error.to_string())?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
    file.read_exact_at(&mut bytes, start).map_err(|error| error.to_string())?;
    let found = bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes());
    let found: Vec<usize> = found.map(|(at, _)| at).collect();
    for at in &found {
        file.write_all_at(to.as_bytes(), start + *at as u64).map_err(|error| error.to_string())?;
    }
    Ok(found.len())
}

fn overwrite(disk: &Path, partition: usize) -> Result<(), String> {
    let (start, length) = gpt::extent(disk, partition)?;
    let file = OpenOptions::new().write(true).open(disk).map_err(|error| error.to_string())?;
    let junk = vec![0x5a; 1 << 20];
    for at in (0..length).step_by(junk.len()) {
        let count = junk.len().min(usize::try_from(length - at).unwrap_or(usize::MAX));
        file.write_all_at(&junk[..count], start + at).map_err(|error| error.to_string())?;
    }
    Ok(())
}
