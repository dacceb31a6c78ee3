//! Many derivations that do next to nothing.

use std::fs;

use crate::bench::Bench;
use crate::files::contents;
use crate::measure::{in_turns, run, sync, wall};
use crate::nix::Nix;
use crate::program::compile;
use crate::table::{Row, Size};

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let sizes: Vec<Size> = bench.sizes(1000).into_iter().map(|count| measure(bench, count)).collect();
    let count = bench.scaled(1000);
    vec![Row {
        name: "builds",
        what: format!(
            "{count} derivations that write a line, and one that needs them all, from an empty store."
        ),
        item: "build",
        sizes,
        target: None,
    }]
}

fn measure(bench: &Bench, count: usize) -> Size {
    let directory = bench.directory();
    compile(directory.path());
    let file = directory.path().join("builds.nix");
    fs::write(&file, expression(count)).expect("the directory is writable");
    let jobs = Bench::jobs();
    let (mut root, mut home) = (bench.directory(), bench.directory());
    let [nix, ours] = in_turns(
        bench.rounds,
        [
            &mut || {
                root = bench.directory();
                let mut command = Nix::new(root.path()).command("nix-build");
                command.args(["--no-out-link", "-j", &jobs]).arg(&file);
                sync(directory.path());
                wall(|| drop(run(&mut command)))
            },
            &mut || {
                home = bench.directory();
                let mut command = bench.ours(home.path());
                command.args(["build", "--no-link", "--quiet", "-j", &jobs]).arg(&file);
                sync(directory.path());
                wall(|| drop(run(&mut command)))
            },
        ],
    );
    let ours_made = contents(&home.path().join("store"));
    assert!(ours_made == contents(&Nix::new(root.path()).objects()), "the stores differ");
    // Each with its derivation, and the program.
    assert_eq!(ours_made.len(), 2 * (count + 1) + 1);
    Size { items: count + 1, nix: Some(nix), ours }
}

fn expression(count: usize) -> String {
    format!(
        "let\n  make = name: inputs: derivation {{\n    inherit name inputs;\n    \
         system = builtins.currentSystem;\n    builder = ./program;\n  }};\nin\n\
         make \"all\" (builtins.genList (number: make \"step-${{toString number}}\" [ ]) {count})\n"
    )
}
