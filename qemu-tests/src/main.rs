//! Boots built images and judges them from outside.
//!
//! `qemu-tests [--all | --long] [SCENARIO…]` runs the short list, everything,
//! all but the short list, or what is named. `OSBUILD` names the program under test (default: `osbuild` beside
//! this program). Guests run one at a time; a missing or malformed report is a
//! failure, never a skip.

mod scenarios;

mod command_line;
mod context;
mod control_plane;
mod evidence;
mod fleet;
mod followed;
mod gpt;
mod imds;
mod machine;
mod namespace;
mod node;
mod pki;
mod qmp;
mod registry;
mod report;
mod ssh;
mod write_log;

use std::process::ExitCode;
use std::time::Instant;

use context::Context;
use scenarios::{SCENARIOS, Scenario};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help") {
        print_help();
        return ExitCode::SUCCESS;
    }
    let chosen = match choose(&arguments) {
        Ok(chosen) => chosen,
        Err(unknown) => {
            eprintln!("error: there is no scenario '{unknown}'; see qemu-tests --help");
            return ExitCode::from(2);
        }
    };
    let context = match Context::new() {
        Ok(context) => context,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let (mut passed, mut failed) = (0, 0);
    for scenario in chosen {
        println!("test {} ...", scenario.name);
        let start = Instant::now();
        let outcome = (scenario.run)(&context);
        let seconds = start.elapsed().as_secs();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("test {} ... ok ({seconds} s)", scenario.name);
            }
            Err(failure) => {
                failed += 1;
                println!("test {} ... FAILED ({seconds} s)\n{failure}", scenario.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn choose(arguments: &[String]) -> Result<Vec<&'static Scenario>, String> {
    let is_given = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let (everything, long) = (is_given("--all"), is_given("--long"));
    if let Some(unknown) = arguments.iter().find(|a| a.starts_with("--") && *a != "--all" && *a != "--long") {
        return Err(unknown.clone());
    }
    let named: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    if named.is_empty() {
        return Ok(SCENARIOS.iter().filter(|scenario| everything || scenario.is_short != long).collect());
    }
    let find =
        |name: &&String| SCENARIOS.iter().find(|s| s.name == name.as_str()).ok_or_else(|| (*name).clone());
    named.iter().map(find).collect()
}

fn print_help() {
    println!("usage: qemu-tests [--all | --long] [SCENARIO…]\n\nscenarios:");
    for scenario in SCENARIOS {
        let mark = if scenario.is_short { " " } else { "*" };
        println!("  {mark} {:<24} {}", scenario.name, scenario.what);
    }
    println!("\n* only with --all, --long or by name");
}
