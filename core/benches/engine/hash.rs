//! Hashing an archive without making it.

use std::fs;
use std::path::Path;

use osbuild_store::store::Ingestion;

use crate::bench::Bench;
use crate::files::{Noise, describe, write_tree};
use crate::measure::{Spread, cpu, cpu_of_children, in_turns, run};
use crate::nix::Nix;
use crate::openssl::sha256_rate;
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
    let sizes: Vec<Size> =
        bench.sizes(1024).into_iter().map(|mebibytes| measure(bench, mebibytes, make)).collect();
    let largest = sizes.last().expect("there are three");
    let rate = (largest.items << 20) as f64 / largest.ours.least() * 1e3;
    let gigabytes = |rate: f64| format!("{:.2}", rate / 1e9);
    let target = Target {
        what: format!("≥ {SHARE} × OpenSSL's {} GB/s: {}", gigabytes(sha256_rate()), gigabytes(rate)),
        is_met: rate >= SHARE * sha256_rate(),
    };
    let what = format!("{what}, {} MiB, as an archive's SHA-256; CPU, read from memory.", largest.items);
    Row { name, what, item: "MiB", sizes, target: Some(target) }
}

fn measure(bench: &Bench, mebibytes: usize, make: &dyn Fn(&Path, usize)) -> Size {
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
    let [nix, ours]: [Spread; 2] = in_turns(bench.rounds, [&mut theirs, &mut ours]);
    assert_eq!(by_us, by_nix);
    let _ = fs::remove_file(&path);
    Size { items: mebibytes, nix: Some(nix), ours }
}
