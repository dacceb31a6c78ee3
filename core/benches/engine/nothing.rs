//! Finding out that there is nothing to do.

use std::fs;
use std::path::Path;

use crate::bench::Bench;
use crate::measure::{in_turns, run, wall};
use crate::nix::Nix;
use crate::program::compile;
use crate::table::{Row, Size, Target};

const LIMIT_MS: f64 = 1000.0;

/// Derivations side by side, each of which needs three of those below.
const WIDTH: usize = 100;

pub(crate) fn rows(bench: &Bench) -> Vec<Row> {
    let row = |name, how: &str, addressing| {
        // A larger graph has the smaller one in it, which is built then.
        let home = bench.directory();
        let sizes = bench.sizes(10_000).into_iter();
        let sizes: Vec<Size> = sizes.map(|count| measure(bench, home.path(), count, addressing)).collect();
        let largest = sizes.last().expect("there are three");
        let target = Target { what: "< 1000 ms".to_owned(), is_met: largest.ours.least() < LIMIT_MS };
        let what = format!(
            "`build` of a graph of {} derivations, {WIDTH} wide, in which all is built, outputs addressed {how}.",
            largest.items
        );
        Row { name, what, item: "derivation", sizes, target: Some(target) }
    };
    vec![
        row("nothing", "by inputs", Addressing::Inputs),
        row("nothing-floating", "by contents, as our recipes have it", Addressing::Contents),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Addressing {
    Inputs,
    /// Ours alone: in Nix it is an experiment, and 10 000 builds take it a
    /// quarter of an hour.
    Contents,
}

fn measure(bench: &Bench, home: &Path, count: usize, addressing: Addressing) -> Size {
    let directory = bench.directory();
    compile(directory.path());
    let file = directory.path().join("graph.nix");
    let layers = count.div_ceil(WIDTH);
    fs::write(&file, expression(layers, addressing)).expect("the directory is writable");
    let build = || {
        let mut command = bench.ours(home);
        command.args(["build", "--no-link", "--quiet"]).arg(&file);
        run(&mut command)
    };
    let built = build();
    let mut ours = || wall(|| assert_eq!(build(), built));
    // The one on top.
    let items = layers * WIDTH + 1;
    if addressing == Addressing::Contents {
        let [ours] = in_turns(bench.rounds, [&mut ours]);
        return Size { items, nix: None, ours };
    }
    let nix = Nix::new(directory.path());
    let logical = give_to_nix(bench, &nix, &built, directory.path(), home);
    let mut theirs = || {
        let mut command = nix.command("nix-build");
        command.arg("--no-out-link").arg(&file);
        wall(|| assert_eq!(run(&mut command), logical))
    };
    theirs();
    let [nix, ours] = in_turns(bench.rounds, [&mut theirs, &mut ours]);
    Size { items, nix: Some(nix), ours }
}

/// Copies the output on top, which refers to nothing, into Nix's store: no
/// more is looked at by it, and building all would take it minutes. Its path.
fn give_to_nix(bench: &Bench, nix: &Nix, built: &str, directory: &Path, home: &Path) -> String {
    let cache = directory.join("cache");
    run(bench.ours(home).args(["store", "copy", built, "--to"]).arg(&cache));
    let name = Path::new(built).file_name().unwrap_or_default().to_string_lossy();
    let logical = format!("/nix/store/{name}");
    let from = format!("file://{}", cache.display());
    run(nix.command("nix").args(["copy", "--no-check-sigs", "--from", &from, &logical]));
    logical
}

fn expression(layers: usize, addressing: Addressing) -> String {
    let more = match addressing {
        Addressing::Inputs => "",
        Addressing::Contents => {
            "\n    __contentAddressed = true;\n    outputHashMode = \"recursive\";\n    outputHashAlgo = \"sha256\";"
        }
    };
    format!(
        r#"let
  width = {WIDTH};
  make = name: inputs: derivation {{
    inherit name inputs;
    system = builtins.currentSystem;
    builder = ./program;{more}
  }};
  layer = below: number:
    let
      input = index: builtins.elemAt below (index - width * (index / width));
      inputs = index: if below == [ ] then [ ] else map input [ index (index + 1) (index + 7) ];
      all = builtins.genList (index: make "step-${{toString number}}-${{toString index}}" (inputs index)) width;
    in
    # Each before those above it, or a deep graph would be a deep stack.
    builtins.foldl' (all: one: builtins.seq one.drvPath all) all all;
in
make "top" (builtins.foldl' layer [ ] (builtins.genList (number: number) {layers}))
"#
    )
}
