//! Hashing an archive without making it.

use std::path::Path;

use osbuild_store::store::Ingestion;

use crate::bench::Bench;
use crate::files::{Noise, describe, write_tree};
use crate::measure::{Spread, cpu, cpu_of_children, in_turns, run};
use crate::nix::Nix;
use crate::openssl::sha256_ms;
use crate::table::{Row, Size, Target};

/// Of what OpenSSL does.
const SHARE: f64 = 0.8;

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let file = |path: &Path, mebibytes: usize| Noise::new(1).write_file(path, mebibytes << 20);
    let tree = |path: &Path, mebibytes: usize| write_tree(path, mebibytes, 2);
    vec![
        row(bench, "hash-file", "one file", &file),
        row(bench, "hash-tree", "a tree of files of 128 KiB on average", &tree),
    ]
}

fn row(bench: &Bench, name: &'static str, what: &str, make: &dyn Fn(&Path, usize)) -> Row {
    let measured: Vec<(Size, Spread)> =
        bench.sizes(1024).into_iter().map(|mebibytes| measure(bench, mebibytes, make)).collect();
    let (largest, openssl) = measured.last().expect("there are three");
    let mebibytes = largest.items;
    let rate = |ms: f64| (1 << 20) as f64 / ms / 1e6;
    let (ours, theirs) = (rate(largest.ours.least() / mebibytes as f64), rate(openssl.least()));
    let target = Target {
        what: format!("≥ {SHARE} × `openssl speed` ({theirs:.2} GB/s): {ours:.2}, {:.2}", ours / theirs),
        is_met: ours >= SHARE * theirs,
    };
    Row {
        name,
        what: format!("{what}, {mebibytes} MiB, as an archive's SHA-256; CPU, read from memory."),
        item: "MiB",
        sizes: measured.into_iter().map(|(size, _)| size).collect(),
        target: Some(target),
    }
}

/// Ours and Nix's, and what OpenSSL takes for a MiB.
fn measure(bench: &Bench, mebibytes: usize, make: &dyn Fn(&Path, usize)) -> (Size, Spread) {
    let directory = bench.directory();
    let path = directory.path().join("hashed");
    make(&path, mebibytes);
    let nix = Nix::new(directory.path());
    let (mut by_nix, mut by_us) = (String::new(), String::new());
    let mut theirs = || {
        let mut command = nix.command("nix-hash");
        command.args(["--type", "sha256"]).arg(&path);
        cpu_of_children(|| by_nix = run(&mut command))
    };
    let mut ours = || {
        cpu(|| {
            let hash = describe(&path).hash(Ingestion::Recursive);
            by_us = hash.expect("it is readable").to_hex();
        })
    };
    let [nix, ours, openssl] = in_turns(bench.rounds, [&mut theirs, &mut ours, &mut sha256_ms]);
    assert_eq!(by_us, by_nix);
    (Size { items: mebibytes, nix: Some(nix), ours }, openssl)
}
