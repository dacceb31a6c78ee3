//! `osbuild-builder`: runs the order in the working directory, once.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let output = match std::io::stdout().as_fd().try_clone_to_owned() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("cannot use standard output: {error}");
            return ExitCode::FAILURE;
        }
    };
    match osbuild_builder::run(Path::new("."), &output) {
        Ok(_) => ExitCode::SUCCESS,
        Err(trouble) => {
            // The last line, whatever stands before it.
            eprintln!("{}", serde_json::to_string(&trouble).expect("trouble serialises"));
            ExitCode::FAILURE
        }
    }
}
