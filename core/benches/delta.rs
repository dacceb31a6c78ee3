//! What an update downloads, by each way, of two real slots.
//!
//! ```sh
//! cargo bench -p osbuild-core --bench delta -- OLD NEW
//! ```
//!
//! `OLD` and `NEW` are folders with `root.squashfs` and `boot.efi`. Sizes are
//! bytes. The delta is applied in a process of its own, whose peak of memory is
//! the kernel's (`VmHWM`), program included.

use std::collections::{BTreeMap, HashSet};
use std::error::Error;
use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use osbuild_delta::apply::apply;
use osbuild_delta::chunks::{Cutter, Index, Sizes, plan};
use osbuild_delta::plan::{Limits, Plan};
use osbuild_delta::{Result as DeltaResult, make};
use osbuild_format::kernel::{Packer, find_payload};
use osbuild_format::pe::sections;
use osbuild_format::squashfs::read::{Image, MemberKind};

/// What is rather downloaded again than asked for around.
const GAP_BYTES: u64 = 4 << 10;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    // Cargo adds a word of its own.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["apply", old, delta, new] => apply_file(old, delta, new),
        ["steps", delta] => print_steps(delta),
        ["root", old, new] => delta("root.squashfs", Path::new(old), Path::new(new), make::root_image),
        ["boot", old, new] => boot(Path::new(old), Path::new(new)),
        ["kernel", image] => kernel(image),
        [old, new] => compare(Path::new(old), Path::new(new)),
        _ => Err(
            "usage: compare OLD NEW | compare root|boot OLD NEW | compare steps DELTA | compare kernel BOOT_IMAGE"
                .into(),
        ),
    }
}

fn compare(old: &Path, new: &Path) -> Outcome {
    let (before, after) = (fs::read(old.join("root.squashfs"))?, fs::read(new.join("root.squashfs"))?);
    without_files("root.squashfs", &before, &after)?;
    delta("root.squashfs", old, new, make::root_image)?;
    changed_files(&before, &after)?;
    println!();
    boot(old, new)
}

fn boot(old: &Path, new: &Path) -> Outcome {
    let (before, after) = (fs::read(old.join("boot.efi"))?, fs::read(new.join("boot.efi"))?);
    without_files("boot.efi", &before, &after)?;
    delta("boot.efi", old, new, make::boot_image)
}

/// What the ways cost that know no files: blocks, and chunks cut by content.
fn without_files(name: &str, before: &[u8], after: &[u8]) -> Outcome {
    println!("{name:<38} {:>12} {:>8}", "bytes", "share");
    let row = |name: &str, bytes: usize| {
        println!("{name:<38} {bytes:>12} {:>7.2}%", 100.0 * bytes as f64 / after.len() as f64);
    };
    row("whole", after.len());
    let known: HashSet<&[u8]> = before.chunks(4096).collect();
    row("blocks of 4 KiB", 4096 * after.chunks(4096).filter(|block| !known.contains(block)).count());
    for (least, average, most) in [(2, 8, 32), (4, 16, 64), (8, 32, 128), (16, 64, 256)] {
        let sizes = Sizes::new(least << 10, average << 10, most << 10)?;
        let start = Instant::now();
        let index = Index::of(after, sizes)?;
        let seconds = start.elapsed().as_secs_f64();
        let (mut cutter, mut seeds) = (Cutter::new(sizes), Vec::new());
        cutter.push(before, &mut |chunk| seeds.push(chunk));
        cutter.finish(&mut |chunk| seeds.push(chunk));
        let fetch = plan(&index, seeds, GAP_BYTES);
        let index_bytes = index.to_bytes().len();
        let bytes = index_bytes + fetch.download_bytes() as usize;
        row(&format!("chunks of {least}/{average}/{most} KiB"), bytes);
        let requests = fetch.downloads().count();
        println!("  {requests} requests, of it the index {index_bytes} bytes; cut in {seconds:.2} s");
    }
    Ok(())
}

/// What patches of the changed files cost by themselves, made in two ways: what
/// no delta of the image can be much below.
fn changed_files(old: &[u8], new: &[u8]) -> Outcome {
    let (old, new) = (files(old)?, files(new)?);
    let (mut ours, mut prefix, mut plain, mut count) = (0, 0, 0, 0);
    let (mut our_seconds, mut prefix_seconds) = (0.0, 0.0);
    for (path, contents) in &new {
        let before = old.get(path).map(Vec::as_slice).unwrap_or_default();
        if before == contents {
            continue;
        }
        let start = Instant::now();
        let our_bytes = make::patch_bytes(before, contents);
        our_seconds += start.elapsed().as_secs_f64();
        let start = Instant::now();
        let prefix_bytes = prefix_patch(before, contents)?;
        prefix_seconds += start.elapsed().as_secs_f64();
        let plain_bytes = zstd::bulk::compress(contents, 19)?.len();
        if count < 12 {
            println!(
                "    {path}: {} bytes, {plain_bytes} alone, {our_bytes} and {prefix_bytes}",
                contents.len()
            );
        }
        (ours, prefix, plain, count) =
            (ours + our_bytes, prefix + prefix_bytes, plain + plain_bytes, count + 1);
    }
    println!("  {count} changed files: {plain} bytes each alone by zstd -19");
    println!("    as our patches {ours} bytes, {our_seconds:.1} s");
    println!("    by zstd -19 --patch-from {prefix} bytes, {prefix_seconds:.1} s");
    Ok(())
}

fn files(image: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, Box<dyn Error>> {
    let mut image = Image::open(Cursor::new(image))?;
    let mut files = BTreeMap::new();
    for member in image.members()? {
        if let MemberKind::File(data) = member.kind {
            let mut contents = Vec::new();
            image.contents(&data, &mut contents)?;
            files.insert(member.path, contents);
        }
    }
    Ok(files)
}

/// As `zstd -19 --patch-from` does it: the old file is a prefix, the window holds
/// both.
fn prefix_patch(old: &[u8], new: &[u8]) -> Result<usize, Box<dyn Error>> {
    let mut encoder = zstd::Encoder::with_ref_prefix(Vec::new(), 19, old)?;
    encoder.set_pledged_src_size(Some(new.len() as u64))?;
    let log = (old.len() + new.len()).next_power_of_two().trailing_zeros();
    encoder.window_log(log.clamp(10, 27))?;
    encoder.long_distance_matching(log > 23)?;
    encoder.write_all(new)?;
    Ok(encoder.finish()?.len())
}

type Make = fn(&[u8], &[u8], &Limits) -> DeltaResult<Vec<u8>>;

fn delta(name: &str, old: &Path, new: &Path, make: Make) -> Outcome {
    let (before, after) = (fs::read(old.join(name))?, fs::read(new.join(name))?);
    let start = Instant::now();
    let delta = make(&before, &after, &Limits::for_partition(1 << 30))?;
    let seconds = start.elapsed().as_secs_f64();
    let share = 100.0 * delta.len() as f64 / after.len() as f64;
    println!("{:<38} {:>12} {share:>7.2}%", format!("{name}: delta"), delta.len());
    let steps = Plan::read(&mut delta.as_slice(), &Limits::for_partition(1 << 30))?;
    let largest = steps.steps().iter().map(|step| step.delta_bytes).max().unwrap_or(0);
    let stated = steps.memory_bytes() as f64 / f64::from(1 << 20);
    println!(
        "  made in {seconds:.1} s; {} steps, the largest payload {largest} bytes; states {stated:.1} MiB",
        steps.steps().len()
    );
    let folder = std::env::temp_dir().join(format!("osbuild-delta-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let (delta_path, made_path) = (folder.join("delta"), folder.join("made"));
    fs::write(&delta_path, &delta)?;
    let program = std::env::current_exe()?;
    let status =
        Command::new(program).arg("apply").args([&old.join(name), &delta_path, &made_path]).status()?;
    let same = status.success() && fs::read(&made_path)? == after;
    fs::remove_dir_all(&folder)?;
    if same { Ok(()) } else { Err(format!("{name}: the delta made something else").into()) }
}

fn apply_file(old: &str, delta: &str, new: &str) -> Outcome {
    let start = Instant::now();
    let mut out = File::create(new)?;
    apply(&File::open(old)?, File::open(delta)?, &Limits::for_partition(1 << 30), &mut |_, bytes: &[u8]| {
        out.write_all(bytes)
    })?;
    let status = fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM: unknown");
    println!("  applied in {:.2} s, {}", start.elapsed().as_secs_f64(), peak.replace('\t', " "));
    Ok(())
}

/// How large the kernel of a boot image is when it is packed in a way that a
/// node can repeat.
fn kernel(image: &str) -> Outcome {
    let image = fs::read(image)?;
    let sections = sections(&image)?;
    let linux = sections.iter().find(|section| section.name == ".linux").ok_or("no section .linux")?;
    let linux = &image[linux.bytes.clone()];
    let frame = &linux[find_payload(linux).ok_or("no kernel packed by zstd")?];
    let kernel = zstd::stream::decode_all(frame)?;
    println!("{} bytes of kernel in {}", kernel.len(), frame.len());
    for level in [9, 12, 15, 19] {
        let start = Instant::now();
        let mut packer = Packer::new(Vec::new(), kernel.len() as u64, level)?;
        packer.write_all(&kernel)?;
        let bytes = packer.finish()?.len();
        println!("level {level}: {bytes} bytes, {:.1} s", start.elapsed().as_secs_f64());
    }
    Ok(())
}

fn print_steps(delta: &str) -> Outcome {
    let plan = Plan::read(&mut File::open(delta)?, &Limits::for_partition(1 << 30))?;
    for step in plan.steps() {
        println!("{step:?}");
    }
    Ok(())
}
