//! Boots built images and judges them from outside.
//!
//! `qemu-tests [--all | --updates | --long] [SCENARIO…]` runs the short list,
//! everything, one of its other parts, or what is named. `OSBUILD` names the
//! program under test (default: `osbuild` beside this program). Guests run one at
//! a time; a missing or malformed report is a failure, never a skip.

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
use scenarios::{Part, SCENARIOS, Scenario};

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
    let (flags, named): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|argument| argument.starts_with("--"));
    let part = match flags[..] {
        [] => Some(Part::Short),
        [flag] => match flag.as_str() {
            "--all" => None,
            "--updates" => Some(Part::Updates),
            "--long" => Some(Part::Long),
            _ => return Err(flag.clone()),
        },
        [_, second, ..] => return Err(second.clone()),
    };
    if named.is_empty() {
        return Ok(SCENARIOS
            .iter()
            .filter(|scenario| part.is_none_or(|part| scenario.part == part))
            .collect());
    }
    let find =
        |name: &&String| SCENARIOS.iter().find(|s| s.name == name.as_str()).ok_or_else(|| (*name).clone());
    named.iter().map(find).collect()
}

fn print_help() {
    println!("usage: qemu-tests [--all | --updates | --long] [SCENARIO…]\n\nscenarios:");
    for scenario in SCENARIOS {
        let mark = match scenario.part {
            Part::Short => " ",
            Part::Updates => "u",
            Part::Long => "*",
        };
        println!("  {mark} {:<24} {}", scenario.name, scenario.what);
    }
    println!("\nu only with --all, --updates or by name; * only with --all, --long or by name");
}
