//! Releases that do not work, each in another way: the node that takes one is on
//! the release before it again by itself, and does not take it twice.

use crate::context::Context;
use crate::followed::Followed;
use crate::gpt::{self, EMPTY, FACTORY, GOOD, ROOT_B, bits};
use crate::machine::{Machine, Start};
use crate::report::Report;
use crate::scenarios::corruption::flip;
use crate::scenarios::{all_hold, assert_bits, nonce};

/// A release, and what is seen of each of its starts.
struct Broken {
    variant: &'static str,
    version: &'static str,
    seen: Seen,
    /// What happens to its slot after it was installed.
    spoil: fn(&std::path::Path) -> Result<(), String>,
    /// Whether it works once it is installed again.
    is_mended: bool,
}

impl Broken {
    fn new(variant: &'static str, version: &'static str, seen: Seen) -> Self {
        Self { variant, version, seen, spoil: |_| Ok(()), is_mended: false }
    }
}

enum Seen {
    OnConsole(&'static str),
    /// It said of itself that it does not hold.
    InReport,
}

pub(crate) fn panics(context: &Context) -> Result<(), String> {
    let text = "Kernel panic - not syncing: Requested init /usr/lib/osbuild/missing failed";
    release(context, &Broken::new("broken-panic", "11.0.0", Seen::OnConsole(text)))
}

/// The loader armed the watchdog, which nobody feeds.
pub(crate) fn kernel_hangs(context: &Context) -> Result<(), String> {
    let text = "osbuild: slot B (";
    release(context, &Broken::new("broken-kernel-hangs", "12.0.0", Seen::OnConsole(text)))
}

/// The same watchdog, which the service manager fed until then.
pub(crate) fn pid_1_hangs(context: &Context) -> Result<(), String> {
    release(context, &Broken::new("broken-pid-1-hangs", "13.0.0", Seen::OnConsole(BREAKS)))
}

/// The service manager misses it, and restarts the machine.
pub(crate) fn health_hangs(context: &Context) -> Result<(), String> {
    release(context, &Broken::new("broken-health-hangs", "14.0.0", Seen::OnConsole(BREAKS)))
}

pub(crate) fn is_unhealthy(context: &Context) -> Result<(), String> {
    release(context, &Broken::new("broken-unhealthy", "15.0.0", Seen::InReport))
}

/// One byte of the root is another after all had been read back. A person who
/// knows why installs the release again.
pub(crate) fn root_is_corrupt(context: &Context) -> Result<(), String> {
    let broken = Broken {
        spoil: |disk| flip(disk, gpt::extent(disk, ROOT_B)?.0 + 64),
        is_mended: true,
        ..Broken::new("follows-20", "20.0.0", Seen::OnConsole("is corrupted"))
    };
    release(context, &broken)
}

/// The service manager's word when it starts what breaks the node.
const BREAKS: &str = "Starting \u{1b}[0;1;39mbroken.service";
/// A version runs so often before it has to have held.
const TRIALS: usize = 3;
/// How much longer than for one start the machine is waited for: three trials,
/// of which each may last as long as the contract waits for what does not come.
const PATIENCE: f64 = 4.0;

fn release(context: &Context, broken: &Broken) -> Result<(), String> {
    let (followed, [image, bad]) = Followed::new(context, broken.variant, ["follows-1", broken.variant], "")?;
    let machine = followed.start(&image)?;
    followed.installs(broken.version)?;
    machine.power_off();
    let disk = &followed.node.disk;
    assert_bits("after the installation", disk, (bits(1, 3, true, false), FACTORY))?;
    (broken.spoil)(disk)?;
    let machine = followed.falls_back(broken, &image)?;
    if broken.is_mended {
        let order = format!("update install {} --force", broken.version);
        followed.orders(&order, 0, &format!("{} is installed", broken.version))?;
        machine.power_off();
        followed.start(&bad)?.power_off();
        assert_bits("after all", disk, (bits(1, 3, true, false), GOOD))?;
    }
    Ok(())
}

impl Followed<'_> {
    fn falls_back(&self, broken: &Broken, image: &std::path::Path) -> Result<Machine, String> {
        let nonce = nonce();
        let start = Start { target: &self.target, ..self.node.start(&nonce) };
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
