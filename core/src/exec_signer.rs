//! A command that holds a key: a client of a key service, a script around a
//! token.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Gives it the bytes to be signed on its input, and takes the signature from
/// its output.
///
/// # Errors
/// What went wrong, as a clause.
pub(crate) fn run(command: &str, message: &[u8], environment: &[(&str, String)]) -> Result<Vec<u8>, String> {
    let mut words = command.split_whitespace();
    let program = words.next().ok_or("it is empty")?;
    let mut child = Command::new(program)
        .args(words)
        .envs(environment.iter().map(|(name, value)| (*name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let mut input = child.stdin.take().expect("it was asked for");
    let written = input.write_all(message);
    drop(input);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("failed: {}", output.status));
    }
    written.map_err(|error| format!("did not read what is to be signed: {error}"))?;
    Ok(output.stdout)
}
