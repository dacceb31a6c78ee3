//! What the engine adds to a build that does next to nothing: sandbox, hashing,
//! database, removing what is left.
//!
//! `cargo bench -p osbuild-core --bench sandbox [-- BUILDS]`, beside the same
//! shell started without any of it, in one run. CPU is user plus system seconds
//! of this process and its children.

#[path = "../tests/engine/fixture.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod fixture;
#[path = "../tests/engine/host_root.rs"]
mod host_root;

use std::process::Command;
use std::time::Instant;

use osbuild_core::graph::{Engine, Jobs, Wanted};

use fixture::Fixture;

fn main() {
    let builds = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(300);
    let fixture = Fixture::new();
    let make = |kind: &str, index: usize| {
        let derivation = fixture.shell(&format!("{kind}-{index}"), &format!(": {index}; echo x > $out"), &[]);
        Wanted { derivation, outputs: None }
    };
    // The first build pays for what is set up once.
    run(&fixture, &[make("first", 0)]);
    let wanted: Vec<Wanted> = (0..builds).map(|index| make("build", index)).collect();
    let ours = measure(|| run(&fixture, &wanted));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let bare = measure(|| {
        for index in 0..builds {
            let script = format!(": {index}; echo x > {}/{index}", directory.path().display());
            let status = Command::new("/bin/sh").args(["-euc", &script]).status().expect("a shell");
            assert!(status.success());
        }
    });
    let milliseconds = |seconds: f64| seconds * 1000.0 / builds as f64;
    println!("{builds} builds one after the other, each:");
    println!("  in the sandbox {:.2} ms wall, {:.2} ms CPU", milliseconds(ours.0), milliseconds(ours.1));
    println!("  bare shell     {:.2} ms wall, {:.2} ms CPU", milliseconds(bare.0), milliseconds(bare.1));
    let (wall, cpu) = (milliseconds(ours.0 - bare.0), milliseconds(ours.1 - bare.1));
    println!("  overhead       {wall:.2} ms wall, {cpu:.2} ms CPU");
}

fn run(fixture: &Fixture, wanted: &[Wanted]) {
    let engine = Engine { jobs: Jobs::AtMost(1), ..fixture.engine() };
    engine.realise(&|path| fixture.lookup(path), wanted).unwrap_or_else(|error| panic!("{error:?}"));
}

/// Wall clock and CPU seconds.
fn measure(work: impl FnOnce()) -> (f64, f64) {
    let (cpu, begin) = (cpu(), Instant::now());
    work();
    (begin.elapsed().as_secs_f64(), self::cpu() - cpu)
}

/// Fields 14 to 17 of `/proc/self/stat`, in ticks of 10 ms.
fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").expect("/proc is mounted");
    let after = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    after.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>()
        / 100.0
}
