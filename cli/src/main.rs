//! The `osbuild` command: arguments, progress, messages, exit codes. The work
//! is `osbuild-core`'s.

mod commands;
mod config;
mod error;
mod machine;
mod nix_instantiate;
mod realiser;
mod remote;
mod session;
mod targets;
mod terminal;
mod ui;
mod workshop;

use clap::{Parser, Subcommand};

use error::{Exit, Failure};

/// Composes immutable container-host operating systems.
#[derive(Parser)]
#[command(name = "osbuild", version, max_term_width = 100, after_help = environment_help())]
struct Arguments {
    #[command(flatten)]
    common: config::CommonArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Init(commands::init::Arguments),
    List(commands::list::Arguments),
    Eval(commands::eval::Arguments),
    Repl(commands::repl::Arguments),
    Build(commands::build::Arguments),
    Boot(commands::boot::Arguments),
    Test(commands::test::Arguments),
    Verify(commands::verify::Arguments),
    Diff(commands::diff::Arguments),
    Attest(commands::attest::Arguments),
    #[command(subcommand)]
    Disk(commands::disk::Command),
    #[command(subcommand)]
    Derivation(commands::derivation::Command),
    Graph(commands::graph::Arguments),
    Log(commands::log::Arguments),
    Shell(commands::shell::Arguments),
    Sign(commands::sign::Arguments),
    #[command(subcommand)]
    Repo(commands::repo::Command),
    Sbom(commands::sbom::Arguments),
    Size(commands::size::Arguments),
    #[command(subcommand)]
    Lock(commands::lock::Command),
    #[command(subcommand)]
    Store(commands::store::Command),
    #[command(subcommand)]
    Docs(commands::docs::Command),
    Completions(commands::generate::CompletionsArguments),
    Man(commands::generate::ManArguments),
}

/// Evaluating and hashing allocate much and small, on threads beside the first,
/// where the C library's allocator takes a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn environment_help() -> String {
    let mut text = "Environment:\n".to_owned();
    for (name, meaning) in config::ENVIRONMENT {
        text.push_str(&format!("  {name}\n          {meaning}\n"));
    }
    text
}

fn main() -> std::process::ExitCode {
    let mut words = std::env::args_os();
    if nix_instantiate::is_asked_for(words.next().as_ref()) {
        return end(std::panic::catch_unwind(|| nix_instantiate::run(words)));
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::UsedWrongly } else { Exit::Done };
            // A closed pipe is no reason to fail.
            let _ = error.print();
            return exit.into();
        }
    };
    end(std::panic::catch_unwind(|| run(arguments)))
}

fn end(result: std::thread::Result<Result<(), Failure>>) -> std::process::ExitCode {
    match result {
        Ok(Ok(())) => Exit::Done.into(),
        Ok(Err(failure)) => {
            failure.print();
            failure.exit().into()
        }
        // The message was printed when it happened.
        Err(_) => {
            eprintln!("error: this is a bug in osbuild, please report it with the lines above");
            Exit::Bug.into()
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Failure> {
    let common = &arguments.common;
    error::show_whole_trail(common.show_trace);
    match arguments.command {
        Command::Init(arguments) => commands::init::run(&arguments, common),
        Command::List(arguments) => commands::list::run(arguments, common),
        Command::Eval(arguments) => commands::eval::run(arguments, common),
        Command::Repl(arguments) => commands::repl::run(arguments, common),
        Command::Derivation(command) => commands::derivation::run(command, common),
        Command::Build(arguments) => commands::build::run(arguments, common),
        Command::Boot(arguments) => commands::boot::run(arguments, common),
        Command::Test(arguments) => commands::test::run(&arguments, common),
        Command::Verify(arguments) => commands::verify::run(arguments, common),
        Command::Attest(arguments) => commands::attest::run(&arguments, common),
        Command::Diff(arguments) => commands::diff::run(arguments, common),
        Command::Disk(command) => commands::disk::run(command, common),
        Command::Graph(arguments) => commands::graph::run(arguments, common),
        Command::Log(arguments) => commands::log::run(arguments, common),
        Command::Shell(arguments) => commands::shell::run(&arguments, common),
        Command::Sign(arguments) => commands::sign::run(arguments, common),
        Command::Repo(command) => commands::repo::run(command, common),
        Command::Sbom(arguments) => commands::sbom::run(arguments, common),
        Command::Size(arguments) => commands::size::run(arguments, common),
        Command::Lock(command) => commands::lock::run(command, common),
        Command::Store(command) => commands::store::run(command, common),
        Command::Docs(command) => commands::docs::run(command, common),
        Command::Completions(arguments) => commands::generate::completions::<Arguments>(&arguments),
        Command::Man(arguments) => commands::generate::man::<Arguments>(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    /// Two options of one name would end a command that is otherwise right.
    #[test]
    fn the_command_line_is_well_formed() {
        super::Arguments::command().debug_assert();
    }
}
