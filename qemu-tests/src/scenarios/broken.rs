//! Releases that do not work, each in another way: the node that takes one is on
//! the release before it again by itself, and does not take it twice.

use crate::context::Context;
use crate::fleet::Fleet;
use crate::gpt::{self, EMPTY, FACTORY, GOOD, bits};
use crate::machine::{Machine, Start};
use crate::node::Node;
use crate::report::Report;
use crate::scenarios::corruption::flip;
use crate::scenarios::updates::Followed;
use crate::scenarios::{all_hold, assert_bits, nonce};

/// A release, and what is seen of each of its starts.
struct Broken {
    variant: &'static str,
    version: &'static str,
    seen: Seen,
    /// What happens to its slot after it was installed.
    spoil: fn(&std::path::Path) -> Result<(), String>,
}

enum Seen {
    OnConsole(&'static str),
    /// It said of itself that it does not hold.
    InReport,
}

const BROKEN: [Broken; 6] = [
    Broken {
        variant: "broken-panic",
        version: "11.0.0",
        seen: Seen::OnConsole("Kernel panic - not syncing: Requested init /usr/lib/osbuild/missing failed"),
        spoil: |_| Ok(()),
    },
    Broken {
        variant: "broken-kernel-hangs",
        version: "12.0.0",
        seen: Seen::OnConsole("Waiting for root device /dev/dm-1"),
        spoil: |_| Ok(()),
    },
    Broken {
        variant: "broken-pid-1-hangs",
        version: "13.0.0",
        seen: Seen::OnConsole("Freezing execution"),
        spoil: |_| Ok(()),
    },
    Broken {
        variant: "broken-health-hangs",
        version: "14.0.0",
        seen: Seen::OnConsole("osbuild-health.service: Watchdog timeout"),
        spoil: |_| Ok(()),
    },
    Broken { variant: "broken-unhealthy", version: "15.0.0", seen: Seen::InReport, spoil: |_| Ok(()) },
    Broken {
        variant: "follows-20",
        version: "20.0.0",
        seen: Seen::OnConsole("is corrupted"),
        spoil: |disk| flip(disk, gpt::extent(disk, ROOT_B)?.0 + 64),
    },
];
const ROOT_B: usize = 6;
/// A version runs so often before it has to have held.
const TRIALS: usize = 3;
/// How much longer than for one start the machine is waited for: three trials,
/// of which each may last as long as the contract waits for what does not come.
const PATIENCE: f64 = 4.0;

pub(crate) fn releases(context: &Context) -> Result<(), String> {
    let good = context.variant("follows-1");
    let image = context.build(&good)?;
    let fleet = Fleet::serve(context, "fleet")?;
    fleet.publish(&image, &[])?;
    let node = Node::of(context, &good, "broken")?;
    node.tell(&fleet.settings(""))?;
    let followed = Followed { context, node, fleet, target: &good };
    let mut machine = followed.start(&image)?;
    let mut last = None;
    for broken in &BROKEN {
        let name = broken.variant;
        let named = |error: String| format!("{name}: {error}");
        let bad = context.build(&context.variant(name)).map_err(named)?;
        followed.fleet.publish(&bad, &[]).map_err(named)?;
        followed.orders("update install", 0, &format!("{} is installed", broken.version)).map_err(named)?;
        machine.power_off();
        let disk = &followed.node.disk;
        assert_bits("after the installation", disk, (bits(1, 3, true, false), FACTORY)).map_err(named)?;
        (broken.spoil)(disk).map_err(named)?;
        machine = followed.falls_back(broken, &image).map_err(named)?;
        println!("  {name}: tried {TRIALS} times, then the release before it, which committed");
        last = Some(bad);
    }
    // The last one was broken in the slot only, and a person knows that.
    let last = last.expect("there are some");
    followed.orders("update install 20.0.0 --force", 0, "20.0.0 is installed")?;
    machine.power_off();
    followed.start(&last)?.power_off();
    assert_bits("after all", &followed.node.disk, (bits(1, 3, true, false), GOOD))
}

impl Followed<'_> {
    fn falls_back(&self, broken: &Broken, image: &std::path::Path) -> Result<Machine, String> {
        let nonce = nonce();
        let start = Start { target: self.target, ..self.node.start(&nonce) };
        let mut machine = Machine::start(self.context, &start)?.patient(PATIENCE);
        // Whichever release says so; which one it is, is judged below.
        let report = machine.wait_for("a healthy verdict", |report| report.verdict() == Some("healthy"))?;
        let manifest = self.context.manifest(image)?;
        all_hold(crate::evidence::judge(&report, &manifest, &nonce, false), &report)
            .map_err(|error| machine.failure(&error))?;
        let trials = match broken.seen {
            Seen::OnConsole(text) => machine.console().matches(text).count(),
            Seen::InReport => unhealthy_starts(&report),
        };
        if trials != TRIALS {
            return Err(machine.failure(&format!("it was tried {trials} times, expected {TRIALS}")));
        }
        assert_bits("after the fallback", &self.node.disk, (GOOD, EMPTY))?;
        self.node.client.wait(self.node.control)?;
        self.orders("update check", 0, "it failed here")?;
        self.orders("update install", 1, "no release is to be installed now")?;
        Ok(machine)
    }
}

/// Starts that ended with the verdict that they do not hold.
fn unhealthy_starts(report: &Report) -> usize {
    let is_it =
        |line: &&serde_json::Value| line["event"] == "verdict" && line["data"]["verdict"] == "unhealthy";
    report.lines.iter().filter(is_it).count()
}
