//! Adding a tree to the store.

use std::process::Command;

use osbuild_store::LocalStore;
use osbuild_store::store::{Ingestion, SourceSink};

use crate::bench::Bench;
use crate::files::{describe, write_tree};
use crate::measure::{Spread, cpu, cpu_of_children, in_turns, run, sync};
use crate::nix::Nix;
use crate::openssl::sha256_ms;
use crate::table::{Row, Size, Target, number};

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let measured: Vec<(Size, [Spread; 2])> =
        bench.sizes(1024).into_iter().map(|mebibytes| measure(bench, mebibytes)).collect();
    let (largest, [copied, openssl]) = measured.last().expect("there are three");
    let mebibytes = largest.items;
    let hash_ms = mebibytes as f64 * openssl.least();
    let limit = 2.0 * copied.least() + hash_ms;
    let target = Target {
        what: format!(
            "≤ 2 × `cp -r` ({} ms) + SHA-256 of one core ({} ms) = {} ms",
            number(copied.least()),
            number(hash_ms),
            number(limit)
        ),
        is_met: largest.ours.least() <= limit,
    };
    vec![Row {
        name: "add",
        what: format!(
            "A tree of {mebibytes} MiB, files of 128 KiB on average, nothing of it in the store yet; CPU, since all stays in memory."
        ),
        item: "MiB",
        sizes: measured.into_iter().map(|(size, _)| size).collect(),
        target: Some(target),
    }]
}

/// Adding; plain copying, and what OpenSSL takes to hash a MiB.
fn measure(bench: &Bench, mebibytes: usize) -> (Size, [Spread; 2]) {
    let directory = bench.directory();
    let place = directory.path();
    let tree = place.join("tree");
    write_tree(&tree, mebibytes, 3);
    let (mut by_nix, mut by_us) = (String::new(), String::new());
    let mut theirs = || {
        let root = bench.directory();
        let mut command = Nix::new(root.path()).command("nix-store");
        command.arg("--add").arg(&tree);
        sync(place);
        cpu_of_children(|| by_nix = run(&mut command))
    };
    let mut ours = || {
        let home = bench.directory();
        let store = LocalStore::open(home.path()).expect("a store can be made");
        sync(place);
        cpu(|| {
            let path = store.add_source("tree", &describe(&tree), Ingestion::Recursive);
            by_us = store.store_dir().display(&path.expect("it can be added"));
        })
    };
    let mut copy = || {
        let copied = bench.directory();
        sync(place);
        cpu_of_children(|| drop(run(Command::new("cp").arg("-r").arg(&tree).arg(copied.path()))))
    };
    let [nix, ours, copied, openssl] =
        in_turns(bench.rounds, [&mut theirs, &mut ours, &mut copy, &mut sha256_ms]);
    // The path is made of the hash.
    assert_eq!(by_us, by_nix);
    (Size { items: mebibytes, nix: Some(nix), ours }, [copied, openssl])
}
