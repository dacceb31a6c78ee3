//! What a test does in little memory and time: in a process of its own, which
//! the kernel refuses more.

use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// In the environment of a process that [`in_little_memory`] started.
const CHILD: &str = "OSBUILD_TEST_CHILD";

/// Bytes of address space beyond what the process has when it begins. The
/// allocator keeps up to 64 MiB of that for itself from the beginning.
const SPARE_BYTES: u64 = 16 << 20;
/// More than the allocator's own and the spare ones.
const TOO_MUCH_BYTES: usize = 200 << 20;
/// Of processor time; the cases take a tenth of it.
const SECONDS: u64 = 20;

/// Runs `job` in another process, which may neither map much more than it has
/// nor compute for long. `test` is the full name of the test that calls this.
pub(crate) fn in_little_memory(test: &str, job: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some() {
        confine();
        return job();
    }
    let program = std::env::current_exe().expect("a running program has a path");
    let output = Command::new(program).args(["--exact", test, "--nocapture"]).env(CHILD, "1").output();
    let output = output.expect("the test starts itself");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{}\n{said}", output.status);
    assert!(said.contains("1 passed"), "no test is called {test}:\n{said}");
}

fn confine() {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB"));
    let size_kib: u64 = size.and_then(|number| number.parse().ok()).expect("a number");
    limit(Resource::As, size_kib * 1024 + SPARE_BYTES);
    limit(Resource::Cpu, SECONDS);
    let refused = Vec::<u8>::new().try_reserve_exact(TOO_MUCH_BYTES).is_err();
    assert!(refused, "the limit of memory does not hold");
}

fn limit(resource: Resource, most: u64) {
    let limit = Rlimit { current: Some(most), maximum: getrlimit(resource).maximum };
    setrlimit(resource, limit).expect("everybody may lower a limit");
}
