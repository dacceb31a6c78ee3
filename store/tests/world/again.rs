//! This program, started once more for one test.

use std::process::Command;

/// In the environment of a process that [`this_test`] started: its part.
const PART: &str = "OSBUILD_TEST_PART";

/// The part that this process plays; none if it is the first one.
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// A command that runs this program's test called `test` and nothing else, in
/// another part.
pub(crate) fn this_test(test: &str, part: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a running program has a path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(PART, part);
    command
}

/// Ends the test if it failed there, or if no test has that name.
pub(crate) fn assert_passed(output: std::process::Output) {
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{}\n{said}", output.status);
}
