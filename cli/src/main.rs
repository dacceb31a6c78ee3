//! The `osbuild` command.

mod error;

fn main() -> std::process::ExitCode {
    error::Exit::UsedWrongly.into()
}
