//! Running a program with a limit on its time and its output.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What came of it.
pub struct Output {
    /// Exit status; -1 if a signal ended it.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Of each stream, where nobody says how much.
const MAX_OUTPUT: u64 = 64 * 1024;
const POLL: Duration = Duration::from_millis(20);

/// Runs it to its end, or kills it at the limit. Meanwhile the watchdog of
/// whoever runs it is fed.
///
/// # Errors
/// It cannot be started, or did not end in time.
pub fn run(call: &[&str], limit: Duration) -> Result<Output, String> {
    run_with(call, &With::default(), limit)
}

/// As [`run`], for a program that has much to say: at most so many bytes of it
/// are kept.
///
/// # Errors
/// As [`run`].
pub fn run_with_room(call: &[&str], limit: Duration, output_bytes: u64) -> Result<Output, String> {
    run_with(call, &With { output_bytes, ..With::default() }, limit)
}

/// As [`run`], with something on its standard input.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(call: &[&str], input: &[u8], limit: Duration) -> Result<Output, String> {
    run_with(call, &With { input, ..With::default() }, limit)
}

/// As [`run`], with more in its environment than a path.
///
/// # Errors
/// As [`run`].
pub fn run_in(call: &[&str], environment: &[(&str, &str)], limit: Duration) -> Result<Output, String> {
    run_with(call, &With { environment, ..With::default() }, limit)
}

/// What a program is given.
struct With<'w> {
    environment: &'w [(&'w str, &'w str)],
    input: &'w [u8],
    output_bytes: u64,
}

impl Default for With<'_> {
    fn default() -> Self {
        Self { environment: &[], input: &[], output_bytes: MAX_OUTPUT }
    }
}

fn run_with(call: &[&str], with: &With<'_>, limit: Duration) -> Result<Output, String> {
    let program = call[0];
    let mut child = Command::new(program)
        .args(&call[1..])
        .env_clear()
        .env("PATH", "/usr/bin:/usr/sbin")
        .envs(with.environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let stdin = child.stdin.take();
    let input = with.input.to_vec();
    // Who does not read all of it is free to.
    std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let stdout = collect(child.stdout.take(), with.output_bytes);
    let stderr = collect(child.stderr.take(), MAX_OUTPUT);
    let deadline = Instant::now() + limit;
    let status = loop {
        crate::notify::alive();
        match child.try_wait() {
            Ok(Some(status)) => break status.code().unwrap_or(-1),
            Ok(None) if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{} did not end within {} s", call.join(" "), limit.as_secs()));
            }
            Ok(None) => std::thread::sleep(POLL),
            Err(error) => return Err(format!("cannot wait for {program}: {error}")),
        }
    };
    Ok(Output {
        status,
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
    })
}

fn collect(stream: Option<impl Read + Send + 'static>, most_bytes: u64) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.by_ref().take(most_bytes).read_to_end(&mut bytes);
            // What is beyond is read and dropped, so that nobody blocks on us.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_kept_as_far_as_there_is_room() {
        let echo = ["/bin/echo", "0123456789"];
        let second = Duration::from_secs(10);
        assert_eq!(run(&echo, second).unwrap().stdout, "0123456789\n");
        assert_eq!(run_with_room(&echo, second, 4).unwrap().stdout, "0123");
        assert!(run(&["/nonexistent"], second).is_err());
        assert!(run(&["/bin/sleep", "9"], Duration::from_millis(50)).is_err());
    }
}
