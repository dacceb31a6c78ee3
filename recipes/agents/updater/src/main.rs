//! `updater`: follows the repository that the image names, and installs what it
//! gives out into the slot that does not run.
//!
//! It never touches what runs, and decides nothing about slots: the law does.
//! Without a repository it says so and answers questions all the same.

mod clock;
mod config;
mod disk;
mod fetch;
mod imported;
mod node;
mod orders;
mod repository;
mod scrub;
mod status;
mod work;

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use config::Config;
use imported::Imported;
use node::Facts;
use orders::{Answer, Order, What};
use osbuild_sys::console::say;
use osbuild_sys::{command, notify};
use status::Status;
use work::Work;

pub const WHO: &str = "updater";
/// How often it is looked whether the slot was committed.
const LOOK: Duration = Duration::from_secs(5);
/// For who orders a restart to hear that it comes: this program, and the one
/// between them, are stopped first.
const FAREWELL: Duration = Duration::from_secs(2);
/// Of each wait between two checks, at most this part is added, another one for
/// each node: so that not all ask at once.
pub const SPREAD: f64 = 0.2;

fn main() -> ExitCode {
    let status: &'static Status = Box::leak(Box::default());
    let imported: &'static Imported = Box::leak(Box::new(Imported::of_node()));
    status.imported(imported.told());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        if let Err(error) = orders::serve(status, imported, &sender) {
            say(WHO, 3, &error.to_string());
            std::process::exit(1);
        }
    });
    notify::ready();
    match run(status, imported, &receiver) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            say(WHO, 3, &reason);
            ExitCode::FAILURE
        }
    }
}

fn run(status: &'static Status, imported: &Imported, orders: &Receiver<Order>) -> Result<(), String> {
    let facts = Facts::gather()?;
    let config = Config::read().map_err(|error| error.to_string())?;
    if let Err(reason) = &config {
        status.is_off(reason.clone());
        say(WHO, 6, &format!("updates are off: {reason}"));
    }
    let facts: &'static Facts = Box::leak(Box::new(facts));
    std::thread::spawn(move || scrub::run(facts, status));
    let work = Work { facts, status, imported };
    let mut schedule = Schedule::new(&facts.machine_id, Instant::now());
    let mut was_committed = false;
    // What was installed before this program was started anew.
    work.rests();
    loop {
        match orders.recv_timeout(LOOK) {
            Ok(Order { what, answer }) => {
                let is_restart = what == What::Restart;
                let outcome = carry_out(&work, what);
                let is_ordered = is_restart && outcome.is_ok();
                let _ = answer.send(outcome);
                if is_ordered {
                    std::thread::sleep(FAREWELL);
                    restart().unwrap_or_else(|reason| status.failed(&reason));
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let is_committed = node::is_committed();
        if is_committed && !was_committed {
            work.rearm_if_due();
            work.rests();
        }
        was_committed = is_committed;
        if is_committed {
            // As it is set now: user data come after the first start's beginning.
            if let Ok(config) = Config::read().map_err(|error| error.to_string())? {
                if schedule.is_due(config.settings.check_seconds, Instant::now()) {
                    by_itself(&work, &config);
                    schedule.looked(Instant::now());
                }
            }
        }
    }
}

/// When to look by itself.
struct Schedule {
    last: Instant,
    /// Of each wait, this much is added.
    part: f64,
}

impl Schedule {
    /// The same for a node each time, and another one for each node.
    fn new(machine_id: &str, now: Instant) -> Self {
        let position = osbuild_update::wave::Position::of(machine_id, "check").number();
        let part = f64::from(position) / f64::from(osbuild_update::wave::EVERYBODY);
        Self { last: now, part: SPREAD * part }
    }

    fn is_due(&self, check_seconds: u64, now: Instant) -> bool {
        let every = Duration::from_secs(check_seconds.max(1));
        now.duration_since(self.last) >= every.mul_f64(1.0 + self.part)
    }

    fn looked(&mut self, now: Instant) {
        self.last = now;
    }
}

fn by_itself(work: &Work<'_>, config: &Config) {
    let outcome = work.by_itself(config);
    if let Err(reason) = &outcome {
        work.status.failed(reason);
    }
    work.rests();
    match outcome {
        Ok(Some(version)) if config.settings.reboot => {
            say(WHO, 5, &format!("restarting into {version}"));
            let _ = restart();
        }
        Ok(_) | Err(_) => {}
    }
}

/// In order.
fn restart() -> Result<(), String> {
    let order = ["/usr/bin/systemctl", "reboot", "--no-block"];
    command::run(&order, Duration::from_secs(10)).map(|_| ()).map_err(|error| error.to_string())
}

fn carry_out(work: &Work<'_>, what: What) -> Answer {
    let config = || -> Result<Config, String> { Config::read().map_err(|error| error.to_string())? };
    let outcome = match what {
        What::Check(wanted) => config().and_then(|config| work.check(&config, &wanted)),
        What::Install(wanted) => config().and_then(|config| {
            let installed = work.install(&config, &wanted)?;
            installed.map(|_| ()).ok_or_else(|| "no release is to be installed now".to_owned())
        }),
        What::Cancel => work.cancel(),
        What::RollBack { force } => work.roll_back(force),
        What::LiftHold => work.lift_hold().map(|_| ()),
        What::Import { number, size } => config().and_then(|config| work.import(&config, number, size)),
        What::Forget => work.forget(),
        What::Restart => work.may_restart(),
    };
    if let Err(reason) = &outcome {
        work.status.failed(reason);
    }
    work.rests();
    outcome.map(|()| work.status.record())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a first start the settings of the user data come when the wait for the
    /// default's has begun: four hours.
    #[test]
    fn a_shorter_wait_counts_when_it_is_set() {
        let begin = Instant::now();
        let mut schedule = Schedule::new("1090e41316242908cdf8dc88485bc5f0", begin);
        let after = |seconds| begin + Duration::from_secs(seconds);
        assert!(!schedule.is_due(14_400, after(60)));
        assert!(schedule.is_due(10, after(60)), "it was set in between");
        schedule.looked(after(60));
        assert!(!schedule.is_due(10, after(65)));
        assert!(schedule.is_due(10, after(72)), "at most a fifth is added");
        assert!(!schedule.is_due(14_400, after(60 + 14_399)));
    }
}
