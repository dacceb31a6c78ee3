//! Squashfs and verity beside the field's tools, on one tree in one run.
//!
//! `OSBUILD_JUDGES=… cargo bench -p osbuild-core --bench image [-- TREE]`.
//! CPU is user plus system seconds of the whole process or child: on a shared
//! machine wall clock says little. Each line is the best of three.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use osbuild_core::build::builtin::{BUILTINS, BuiltinContext};
use osbuild_core::image::slot::leaves_of;
use osbuild_format::hex;
use osbuild_format::verity;
use osbuild_store::action::OutputName;
use serde_json::json;

#[path = "../../store/tests/judge/mod.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod judge;

const ROUNDS: usize = 3;
const JOBS: usize = 2;

fn main() {
    let tree = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let tree = PathBuf::from(tree.unwrap_or_else(|| "/usr/bin".to_owned()));
    let directory = tempfile::tempdir().expect("a temporary directory");
    println!("tree {}, {JOBS} threads, libzstd as pinned", tree.display());
    for level in [3, 15] {
        let ours = best(|| segment(&tree, level, directory.path()));
        let theirs = best(|| mksquashfs(&tree, level, directory.path()));
        report(&format!("squashfs zstd-{level}"), &ours, "mksquashfs", theirs.as_ref());
    }
    let image = directory.path().join("image");
    fs::write(&image, noise(256 << 20)).expect("room for 256 MiB");
    let ours = best(|| tree_of(&image));
    let theirs = best(|| veritysetup(&image, directory.path()));
    report("verity 256 MiB", &ours, "veritysetup", theirs.as_ref());
}

/// One measured run.
struct Run {
    wall: f64,
    cpu: f64,
    bytes: u64,
    /// What must be equal between the two, where something must.
    digest: Option<String>,
}

fn best(mut run: impl FnMut() -> Option<Run>) -> Option<Run> {
    let runs: Option<Vec<Run>> = (0..ROUNDS).map(|_| run()).collect();
    runs?.into_iter().min_by(|a, b| a.cpu.total_cmp(&b.cpu))
}

fn report(what: &str, ours: &Option<Run>, tool: &str, theirs: Option<&Run>) {
    let Some(ours) = ours else { return println!("{what}: not run") };
    println!("{what}: ours {:.2} s wall, {:.2} s CPU, {} bytes", ours.wall, ours.cpu, ours.bytes);
    let Some(theirs) = theirs else { return println!("{what}: {tool} is absent") };
    println!("{what}: {tool} {:.2} s wall, {:.2} s CPU, {} bytes", theirs.wall, theirs.cpu, theirs.bytes);
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { f64::NAN };
    println!(
        "{what}: wall {:.2} x, CPU {:.2} x, size {:.4} x of {tool}'s",
        ratio(ours.wall, theirs.wall),
        ratio(ours.cpu, theirs.cpu),
        ratio(ours.bytes as f64, theirs.bytes as f64)
    );
    assert_eq!(ours.digest, theirs.digest, "{what}: different results are not comparable");
}

fn segment(tree: &Path, level: i32, directory: &Path) -> Option<Run> {
    let outputs: BTreeMap<OutputName, PathBuf> = ["data", "index", "leaves"]
        .iter()
        .map(|name| (OutputName::new(name).expect("a valid name"), directory.join(name)))
        .collect();
    for path in outputs.values() {
        let _ = fs::remove_file(path);
    }
    let builtin = BUILTINS.iter().find(|row| row.name == "squashfs-segment").expect("in the table");
    let context = BuiltinContext {
        parameters: json!({ "package": tree, "level": level }),
        name: "bench",
        outputs: &outputs,
        physical: &|path| Ok(PathBuf::from(path)),
        cache: directory,
        jobs: JOBS,
        log: &|_| {},
        progress: &|_, _| {},
        cancelled: &|| false,
    };
    let (cpu, begin) = (own_cpu(), Instant::now());
    (builtin.run)(&context).unwrap_or_else(|error| panic!("{error}"));
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), own_cpu() - cpu);
    Some(Run { wall, cpu, bytes: fs::metadata(directory.join("data")).ok()?.len(), digest: None })
}

fn mksquashfs(tree: &Path, level: i32, directory: &Path) -> Option<Run> {
    let out = directory.join("theirs");
    let mut command = judge::judge("mksquashfs")?;
    command.arg(tree).arg(&out).args(["-comp", "zstd", "-Xcompression-level"]).arg(level.to_string());
    command.args(["-b", "131072", "-processors"]).arg(JOBS.to_string());
    command.args(["-noappend", "-no-progress", "-all-root", "-quiet"]);
    let (wall, cpu, _) = child(command);
    Some(Run { wall, cpu, bytes: fs::metadata(out).ok()?.len(), digest: None })
}

fn tree_of(image: &Path) -> Option<Run> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(JOBS).build().ok()?;
    let (cpu, begin) = (own_cpu(), Instant::now());
    let file = fs::File::open(image).ok()?;
    let tree = verity::tree(pool.install(|| leaves_of(&file)).ok()?);
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), own_cpu() - cpu);
    Some(Run { wall, cpu, bytes: tree.bytes.len() as u64, digest: Some(hex::encode(&tree.root_hash)) })
}

fn veritysetup(image: &Path, directory: &Path) -> Option<Run> {
    let out = directory.join("tree");
    let _ = fs::remove_file(&out);
    let mut command = judge::judge("veritysetup")?;
    command.arg("format").arg(image).arg(&out).args(["--no-superblock", "--hash=sha256"]);
    command.arg(format!("--salt={}", hex::encode(&verity::SALT)));
    command.arg("--uuid=00000000-0000-0000-0000-000000000001");
    let (wall, cpu, text) = child(command);
    let digest =
        text.lines().find_map(|line| line.strip_prefix("Root hash:")).map(|hash| hash.trim().to_owned());
    Some(Run { wall, cpu, bytes: fs::metadata(out).ok()?.len(), digest })
}

fn child(mut command: Command) -> (f64, f64, String) {
    let (cpu, begin) = (children_cpu(), Instant::now());
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let (wall, cpu) = (begin.elapsed().as_secs_f64(), children_cpu() - cpu);
    (wall, cpu, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// User and system seconds, from `/proc/self/stat` (in ticks of 10 ms).
fn stat_field(field: usize) -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let value = |index: usize| after.split_whitespace().nth(index).and_then(|v| v.parse::<f64>().ok());
    (value(field).unwrap_or(0.0) + value(field + 1).unwrap_or(0.0)) / 100.0
}

fn own_cpu() -> f64 {
    stat_field(11)
}

fn children_cpu() -> f64 {
    stat_field(13)
}

/// Bytes that do not compress, always the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}
