//! Times, and what is said of several.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Of one thing, measured several times.
#[derive(Clone, Debug)]
pub(crate) struct Spread {
    /// Sorted.
    milliseconds: Vec<f64>,
}

impl Spread {
    pub(crate) fn new(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        Self { milliseconds }
    }

    pub(crate) fn least(&self) -> f64 {
        self.milliseconds[0]
    }

    pub(crate) fn median(&self) -> f64 {
        self.milliseconds[self.milliseconds.len() / 2]
    }
}

/// Measures several things as often, in turns.
pub(crate) fn in_turns<const N: usize>(
    rounds: usize,
    mut things: [&mut dyn FnMut() -> f64; N],
) -> [Spread; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (thing, times) in things.iter_mut().zip(&mut times) {
            times.push(thing());
        }
    }
    times.map(Spread::new)
}

/// Milliseconds by the clock on the wall.
pub(crate) fn wall(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64() * 1e3
}

/// Milliseconds of processor time that this process takes for `work`.
pub(crate) fn cpu(work: impl FnOnce()) -> f64 {
    let before = cpu_of(UsageWho::RUSAGE_SELF);
    work();
    cpu_of(UsageWho::RUSAGE_SELF) - before
}

/// Milliseconds of processor time of the children that `work` waits for.
pub(crate) fn cpu_of_children(work: impl FnOnce()) -> f64 {
    let before = cpu_of(UsageWho::RUSAGE_CHILDREN);
    work();
    cpu_of(UsageWho::RUSAGE_CHILDREN) - before
}

fn cpu_of(who: UsageWho) -> f64 {
    let usage = getrusage(who).expect("the kernel counts for everyone");
    let milliseconds = |time: TimeVal| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3;
    milliseconds(usage.user_time()) + milliseconds(usage.system_time())
}

/// Runs a command to its end; what it printed. Messages are thrown away unless
/// it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Writes out what is in memory of the file system around `place`. Done before
/// what is measured, so that it does not pay for what was done before; done
/// within where the disk counts.
pub(crate) fn sync(place: &Path) {
    let directory = File::open(place).expect("it is there");
    rustix::fs::syncfs(directory).expect("the disk can be written");
}
