//! Judges this start by the contract in the verified root, commits it, and
//! reports.
//!
//! The law of slots decides what a verdict changes; this program finds out
//! whether the contract holds and carries the decision out. It never judges
//! by anything outside the node.

mod checks;
mod commit;
mod container;
mod contract;
mod facts;
mod http;
mod report;
mod states;
mod sysctls;

use std::time::{Duration, Instant};

use checks::{Board, Challenge, Start};
use contract::Contract;
use osbuild_boot::law::Action;
use osbuild_sys::console::{self, say};
use osbuild_sys::{clock, command, notify, os_release, signals, state};
use report::Report;
use serde_json::json;
use states::States;

pub const WHO: &str = "health";
const STATE: &str = "/run/osbuild/health.json";
const TICK: Duration = Duration::from_millis(500);
/// How often whoever watches is told what is missing, lest it looks hung.
const PATIENCE: Duration = Duration::from_secs(30);
/// After a commit nothing is at stake but the report: look now and then.
const CALM_TICK: Duration = Duration::from_secs(10);
/// How long a checked start may take to reboot in an orderly way.
const ORDERLY_REBOOT: Duration = Duration::from_secs(60);

fn main() -> std::process::ExitCode {
    signals::note_termination();
    let mut report = Report::open();
    let contract = match Contract::read() {
        Ok(contract) => contract,
        Err(error) => {
            // The contract is part of the verified root, so this is a build
            // gone wrong: without it nothing may be committed.
            say(WHO, 2, &error);
            report.line("verdict", &json!({ "verdict": "no-contract", "failure": error }));
            return std::process::ExitCode::FAILURE;
        }
    };
    let facts = facts::gather();
    report.line("started", &facts.to_json());
    let challenge = Challenge::publish();
    notify::ready();

    let mut states = States::default();
    let start = Start {
        is_trial: commit::Slots::find().is_ok_and(|slots| slots.is_trial()),
        follows_a_cut: commit::follows_a_cut(),
    };
    if start.follows_a_cut {
        say(WHO, 5, "the start before this one did not end in order: all of the root is read first");
    }
    let outcome = judge(&contract, start, &challenge, &mut states, &mut report);
    let running = commit::Slots::find();
    match outcome {
        Outcome::Terminated => {
            commit::shut_down(running.as_ref(), &mut report);
            // Nobody has looked for the bad block yet.
            if !start.follows_a_cut {
                commit::end();
            }
            std::process::ExitCode::SUCCESS
        }
        Outcome::Holds => {
            commit_and_stay(running, &contract, &challenge, &mut states, &mut report);
            commit::end();
            std::process::ExitCode::SUCCESS
        }
        Outcome::Broken(failed) => {
            give_up(running, &contract, &challenge, failed, &mut states, &mut report);
            std::process::ExitCode::SUCCESS
        }
    }
}

enum Outcome {
    Holds,
    /// Names of the checks that did not pass by the deadline.
    Broken(Vec<String>),
    Terminated,
}

/// Looks until every check has passed, the deadline has, or we are asked to end.
fn judge(
    contract: &Contract,
    start: Start,
    challenge: &Challenge,
    states: &mut States,
    report: &mut Report,
) -> Outcome {
    let allowed = Duration::from_secs(contract.deadline_s);
    let mut deadline = Instant::now() + allowed;
    let mut board = Board::new(contract, start);
    let mut next_word = Instant::now() + PATIENCE;
    loop {
        notify::alive();
        states.tell(report);
        board.look(challenge, deadline, report);
        if board.all_passed() {
            return Outcome::Holds;
        }
        // Nobody is judged by what the settings hold back: the time for it
        // begins when they no longer do.
        let is_held = board.is_held();
        if is_held {
            deadline = Instant::now() + allowed;
        }
        if Instant::now() >= next_word {
            let waiting = board.not_passed();
            let why = if is_held { " (held back by the settings)" } else { "" };
            say(WHO, 3, &format!("still waiting for: {}{why}", waiting.join(", ")));
            report.line("waiting", &json!({ "for": waiting, "held": is_held }));
            next_word += PATIENCE;
        }
        if signals::is_terminated() {
            return Outcome::Terminated;
        }
        if Instant::now() >= deadline {
            return Outcome::Broken(board.not_passed());
        }
        std::thread::sleep(TICK);
    }
}

fn commit_and_stay(
    running: Result<commit::Slots, osbuild_sys::Failed>,
    contract: &Contract,
    challenge: &Challenge,
    states: &mut States,
    report: &mut Report,
) {
    let committed = running.and_then(|slots| slots.commit());
    let verdict = Verdict {
        name: if committed.is_ok() { "healthy" } else { "uncommitted" },
        uptime_ms: clock::uptime_ms(),
    };
    match committed {
        Ok(bits) => {
            console::announce(WHO, &summary(contract));
            report.line("committed", &json!({ "slots": bits }));
            report.line("verdict", &json!({ "verdict": verdict.name }));
        }
        Err(error) => {
            say(WHO, 3, &format!("the contract holds, but the commit failed: {error}"));
            report.line("verdict", &json!({ "verdict": verdict.name, "failure": error.to_string() }));
        }
    }
    // O2c: what fails from here on is reported and reboots nothing.
    let mut watch = Board::new(contract, Start::default());
    let mut was_well = true;
    tell_others(&verdict, true, &[]);
    let calm = CALM_TICK.min(Duration::from_secs(contract.deadline_s));
    let mut looked = Instant::now();
    while !signals::is_terminated() {
        notify::alive();
        std::thread::sleep(TICK);
        states.tell(report);
        if looked.elapsed() < calm {
            continue;
        }
        looked = Instant::now();
        watch.look_again(challenge);
        let is_well = watch.all_passed();
        tell_others(&verdict, is_well, &watch.not_passed());
        if is_well != was_well {
            report.line("health", &json!({ "well": is_well, "failing": watch.not_passed() }));
            was_well = is_well;
        }
    }
}

/// What was said of this start, and when.
struct Verdict {
    name: &'static str,
    uptime_ms: u64,
}

/// For programs of the node that act on it: settings on trial go back if the
/// node is not well with them.
fn tell_others(verdict: &Verdict, is_well: bool, failing: &[String]) {
    let says = json!({
        "schema": 1,
        "well": is_well,
        "failing": failing,
        "verdict": verdict.name,
        "verdict_ms": verdict.uptime_ms,
    });
    if let Err(error) = state::write(STATE, &format!("{says}\n")) {
        say(WHO, 3, &error.to_string());
    }
}

/// The line that whoever started the machine waits for.
fn summary(contract: &Contract) -> String {
    let fields = os_release::read().unwrap_or_default();
    let field = |name: &str| fields.get(name).map_or("this system", String::as_str);
    format!(
        "{} {} is up and committed: the health contract ({} checks) held {} s after the kernel started",
        field("VARIANT_ID"),
        field("VERSION_ID"),
        contract.check.len(),
        clock::uptime_ms() / 1000
    )
}

fn give_up(
    running: Result<commit::Slots, osbuild_sys::Failed>,
    contract: &Contract,
    challenge: &Challenge,
    failed: Vec<String>,
    states: &mut States,
    report: &mut Report,
) {
    say(WHO, 2, &format!("the contract does not hold: {}", failed.join(", ")));
    let action = running.as_ref().map_or(Action::Reboot, |slots| slots.give_up());
    report.line(
        "verdict",
        &json!({ "verdict": "unhealthy", "failing": failed, "stays": action == Action::StayDegraded }),
    );
    if action == Action::StayDegraded {
        say(WHO, 3, "no slot has tries left, so this one stays up, degraded");
        // O2f: it commits when the contract holds after all.
        let mut board = Board::new(contract, Start::default());
        while !board.all_passed() && !signals::is_terminated() {
            notify::alive();
            board.look(challenge, Instant::now(), report);
            std::thread::sleep(TICK);
        }
        if board.all_passed() {
            commit_and_stay(running, contract, challenge, states, report);
        }
        return;
    }
    say(WHO, 2, "rebooting; the loader decides what starts next");
    let _ = command::run(&["/usr/bin/systemctl", "reboot", "--no-block"], Duration::from_secs(10));
    let deadline = Instant::now() + ORDERLY_REBOOT;
    while Instant::now() < deadline {
        notify::alive();
        std::thread::sleep(TICK);
    }
    let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
}
