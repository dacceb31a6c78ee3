//! The engine beside real Nix, in one run: builds, the store, caches.
//!
//! `cargo build --release -p osbuild && OSBUILD_JUDGES=… cargo bench -p
//! osbuild-core --bench engine [-- ROW…]`. Ours and theirs take turns, so that
//! a machine that slows down slows both, and what they leave must be equal, or
//! the run fails. Times are wall clock, since disks count, unless a row says
//! otherwise. The output is the tables for README.md.
//!
//! No time fails a run: whether a target is met is printed.

mod bench;
mod binary;
mod measure;
mod nix;
mod place;
mod program;
mod table;

// The rows, one file each.
mod add;
mod builds;
mod collect;
mod hash;
mod nothing;
mod sandbox;
mod substitute;

// What several rows need.
mod files;
mod openssl;

#[path = "../../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod judge;

use bench::Bench;
use table::Row;

/// What measures rows, by the name that picks it.
type Family = (&'static str, fn(&Bench) -> Vec<Row>);

const FAMILIES: &[Family] = &[
    ("sandbox", sandbox::rows),
    ("builds", builds::rows),
    ("nothing", nothing::rows),
    ("hash", hash::rows),
    ("add", add::rows),
    ("gc", collect::rows),
    ("substitute", substitute::rows),
];

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    for word in &wanted {
        assert!(FAMILIES.iter().any(|(name, _)| name == word), "no row is called {word}");
    }
    let bench = Bench::from_environment();
    println!("{}", bench.description());
    let mut rows = Vec::new();
    for (name, measure) in FAMILIES {
        if wanted.is_empty() || wanted.iter().any(|word| word == name) {
            let measured = measure(&bench);
            // A run takes an hour: who waits sees how it goes.
            measured.iter().for_each(|row| eprintln!("{}", row.line()));
            rows.extend(measured);
        }
    }
    println!("\n{}\n{}", table::results(&rows), table::growth(&rows));
}
