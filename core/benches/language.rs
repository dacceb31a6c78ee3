//! The language beside real Nix, program by program, in one run.
//!
//! `cargo build --release -p osbuild && OSBUILD_JUDGES=… cargo bench -p
//! osbuild-core --bench language [-- ROW…]`. The programs are `language/*.nix`
//! and a few that are generated here; `OSBUILD_ROUNDS` says how often each
//! runs. Ours and theirs take turns, so that a machine that slows down slows
//! both. CPU is user plus system time of the whole process, memory its peak.
//! Values must be equal, byte for byte. The output is a table for README.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

#[path = "engine/binary.rs"]
mod binary;
#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod judge;

use binary::our_binary;

/// A program, and what to say about it.
struct Row {
    name: String,
    what: String,
    /// Beside `--strict` and the like.
    arguments: Vec<String>,
    /// Whether each of our runs is the first, which keeps nothing yet.
    first: bool,
}

/// One run of one program.
struct Run {
    cpu_ms: f64,
    peak_mib: f64,
    output: Vec<u8>,
}

/// The first argument of the helper.
const MEASURE: &str = "--measure-one-program";

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == MEASURE) {
        measure(&words[1..]);
    }
    let wanted: Vec<String> = words.into_iter().filter(|word| !word.starts_with('-')).collect();
    let rounds = std::env::var("OSBUILD_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(5).max(1);
    let ours = our_binary();
    let generated = tempfile::tempdir().expect("a temporary directory");
    let home = generated.path().join("home");
    println!("{rounds} rounds, {} against {}", version(Command::new(&ours)), version(theirs()));
    println!();
    println!("| Program | Nix ms (median) | osbuild ms (median) | CPU ratio | Nix MiB | osbuild MiB |");
    println!("|---|---|---|---|---|---|");
    for row in rows(generated.path()) {
        if !wanted.is_empty() && !wanted.contains(&row.name) {
            continue;
        }
        let (mut nix, mut osbuild) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let mut command = theirs();
            nix.push(run(command.args(["--eval", "--strict"]).args(&row.arguments)));
            if row.first {
                // It is not there before the first run.
                let _ = fs::remove_dir_all(&home);
            }
            let mut command = Command::new(&ours);
            command.env("OSBUILD_HOME", &home);
            osbuild.push(run(command.args(["eval", "--strict"]).args(&row.arguments)));
        }
        for (nix, osbuild) in nix.iter().zip(&osbuild) {
            let shown =
                |run: &Run| String::from_utf8_lossy(&run.output).chars().take(200).collect::<String>();
            assert!(nix.output == osbuild.output, "{}: {} and {}", row.name, shown(nix), shown(osbuild));
        }
        let (nix_cpu, osbuild_cpu) = (times(&nix), times(&osbuild));
        println!(
            "| **{}**: {} | {:.0} ({:.0}) | {:.0} ({:.0}) | {:.2} | {:.0} | {:.0} |",
            row.name,
            row.what,
            nix_cpu.0,
            nix_cpu.1,
            osbuild_cpu.0,
            osbuild_cpu.1,
            osbuild_cpu.0 / nix_cpu.0,
            peak(&nix),
            peak(&osbuild),
        );
    }
}

fn theirs() -> Command {
    let mut command = judge::judge("nix-instantiate").expect("a benchmark needs real Nix to compare with");
    command.env("NIX_REMOTE", "dummy://").env_remove("NIX_PATH");
    command
}

fn version(mut command: Command) -> String {
    let output = command.arg("--version").output().expect("it starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn rows(generated: &Path) -> Vec<Row> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/language");
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).expect("beside this file").map(|e| e.expect("it is readable").path()).collect();
    files.sort();
    let mut rows = vec![Row {
        name: "start".to_owned(),
        what: "Nothing but starting: the expression 1.".to_owned(),
        arguments: vec!["-E".to_owned(), "1".to_owned()],
        first: false,
    }];
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "nix")) {
        let text = fs::read_to_string(file).expect("it is readable");
        let first = text.lines().next().and_then(|line| line.strip_prefix("# "));
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let what = first.unwrap_or_else(|| panic!("{name} begins with what it does")).to_owned();
        rows.push(Row { name, what, arguments: vec![file.display().to_string()], first: false });
    }
    let source = generated.join("source.nix");
    fs::write(&source, packages(0, 1450)).expect("the directory is writable");
    let megabytes = fs::metadata(&source).expect("just written").len() as f64 / 1e6;
    let arguments = [source.display().to_string(), "-A".to_owned(), "last".to_owned()];
    let imports = imports(&generated.join("imports"));
    for first in [true, false] {
        let (suffix, when) = if first { ("", "for the first time") } else { ("-again", "once more") };
        rows.push(Row {
            name: format!("parse{suffix}"),
            what: format!("A file of {megabytes:.1} MB read for one attribute, {when}."),
            arguments: arguments.to_vec(),
            first,
        });
        rows.push(Row {
            name: format!("imports{suffix}"),
            what: format!("{IMPORTS} small files, each imported by another, {when}."),
            arguments: vec![imports.clone()],
            first,
        });
    }
    rows
}

const IMPORTS: usize = 1000;

/// A tree of small files, each of which imports the next ten; its first one.
fn imports(folder: &Path) -> String {
    fs::create_dir(folder).expect("the directory is writable");
    for number in 0..IMPORTS {
        let next: String = (1..=10)
            .map(|i| number * 10 + i)
            .filter(|other| *other < IMPORTS)
            .map(|other| format!("    (import ./file{other}.nix {{ inherit lib; }}).last\n"))
            .collect();
        let text = format!(
            "{{ lib }}:\nlet\n  others = [\n{next}  ];\nin\n({})\n// {{ last = builtins.foldl' builtins.add 1 others; }}\n",
            packages(number, 3)
        );
        fs::write(folder.join(format!("file{number}.nix")), text).expect("the directory is writable");
    }
    let start = folder.join("default.nix");
    fs::write(&start, "(import ./file0.nix { lib = builtins; }).last\n").expect("the directory is writable");
    start.display().to_string()
}

/// Text as a set of packages has it.
fn packages(seed: usize, count: usize) -> String {
    let mut text = "let\n  lib = builtins;\n  mkDerivation = arguments: arguments;\n  fetchurl = arguments: arguments.url;\nin\nrec {\n".to_owned();
    for number in (0..count).map(|n| n * 7 + seed) {
        let previous = if number >= 7 + seed { format!("package{}", number - 7) } else { "null".to_owned() };
        text.push_str(&format!(
            r#"
  # Package {number}, which needs the one before it.
  package{number} = mkDerivation rec {{
    pname = "package-{number}";
    version = "1.{number}.0";
    src = fetchurl {{
      url = "https://example.org/releases/${{pname}}/${{version}}/source.tar.xz";
      hash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA{number:04}=";
    }};
    buildInputs = [ {previous} ] ++ (if {number} > 10 then [ lib.head lib.tail ] else [ ]);
    configureFlags = map (flag: "--with-${{flag}}=${{toString {number}}}") [ "ssl" "zlib" "docs" ];
    postInstall = ''
      install -D -m 0644 README.md $out/share/doc/${{pname}}/README.md
      for file in *.conf; do
        substitute "$file" "$out/etc/$file" --replace @prefix@ ''${{prefix:-$out}}
      done
    '';
    meta = {{ description = "What package {number} does"; license.spdx = "MIT"; priority = -{number} * 2 + 1; }};
  }};
"#
        ));
    }
    text.push_str("  last = 1;\n}\n");
    text
}

/// Runs a program below a process of its own, which has no other child: the
/// kernel sums the time of all children and keeps the peak of the largest.
fn run(command: &Command) -> Run {
    let mut helper = Command::new(std::env::current_exe().expect("a running program has a path"));
    helper.arg(MEASURE).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => helper.env(name, value),
            None => helper.env_remove(name),
        };
    }
    let result = helper.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let messages = String::from_utf8_lossy(&result.stderr);
    assert!(result.status.success(), "{command:?}\n{messages}");
    let usage = messages.lines().last().unwrap_or("");
    let (cpu_us, peak_kib) = usage.split_once(' ').expect("the helper's last line is its measurement");
    let number = |text: &str| text.parse::<f64>().expect("a number");
    Run { cpu_ms: number(cpu_us) / 1e3, peak_mib: number(peak_kib) / 1024.0, output: result.stdout }
}

/// The helper's side of [`run`].
fn measure(words: &[String]) -> ! {
    let [program, arguments @ ..] = words else { panic!("a program is missing") };
    let status = Command::new(program).args(arguments).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("the kernel counts for everyone");
    let microseconds = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    eprintln!(
        "\n{} {}",
        microseconds(usage.user_time()) + microseconds(usage.system_time()),
        usage.max_rss()
    );
    std::process::exit(status.code().unwrap_or(1))
}

/// Least and median.
fn times(runs: &[Run]) -> (f64, f64) {
    let mut times: Vec<f64> = runs.iter().map(|run| run.cpu_ms).collect();
    times.sort_by(f64::total_cmp);
    (times[0], times[times.len() / 2])
}

fn peak(runs: &[Run]) -> f64 {
    runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max)
}
