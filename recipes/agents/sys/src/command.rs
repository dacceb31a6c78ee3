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

const MAX_OUTPUT: u64 = 64 * 1024;
const POLL: Duration = Duration::from_millis(20);

/// Runs it to its end, or kills it at the limit. Meanwhile the watchdog of
/// whoever runs it is fed.
///
/// # Errors
/// It cannot be started, or did not end in time.
pub fn run(call: &[&str], limit: Duration) -> Result<Output, String> {
    run_whole(call, &[], &[], limit)
}

/// As [`run`], with something on its standard input.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(call: &[&str], input: &[u8], limit: Duration) -> Result<Output, String> {
    run_whole(call, &[], input, limit)
}

/// As [`run`], with more in its environment than a path.
///
/// # Errors
/// As [`run`].
pub fn run_in(call: &[&str], environment: &[(&str, &str)], limit: Duration) -> Result<Output, String> {
    run_whole(call, environment, &[], limit)
}

fn run_whole(
    call: &[&str],
    environment: &[(&str, &str)],
    input: &[u8],
    limit: Duration,
) -> Result<Output, String> {
    let program = call[0];
    let mut child = Command::new(program)
        .args(&call[1..])
        .env_clear()
        .env("PATH", "/usr/bin:/usr/sbin")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run {program}: {error}"))?;
    let stdin = child.stdin.take();
    let input = input.to_vec();
    // Who does not read all of it is free to.
    std::thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
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

fn collect(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.by_ref().take(MAX_OUTPUT).read_to_end(&mut bytes);
            // What is beyond is read and dropped, so that nobody blocks on us.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
