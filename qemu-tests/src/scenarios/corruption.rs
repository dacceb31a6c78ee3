//! One byte flipped in the slot that is preferred: the kernel panics where the
//! byte is read, the slot loses its tries, the other one runs and commits.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::context::Context;
use crate::evidence::judge;
use crate::gpt::{self, GOOD, ROOT_A, bits};
use crate::scenarios::{all_hold, assert_bits, boot_once, install_b, nonce};

pub(crate) fn eight_ways(context: &Context) -> Result<(), String> {
    let (old, new) = ("qemu-dev", context.variant("v2"));
    let old_image = context.build(old)?;
    let new_image = context.build(&new)?;
    let new_manifest = context.manifest(&new_image)?;
    let nonce = nonce();

    // Once: both slots were good, and A is preferred.
    let base = context.scratch("both-good.raw");
    boot_once(context, old, &base, &nonce)?;
    install_b(context, &base, &new_image)?;
    boot_once(context, old, &base, &nonce)?;
    assert_bits("after the trial", &base, (bits(1, 3, true, false), GOOD))?;
    let mut prefer = context.osbuild();
    prefer.args(["disk", "roll-back", "--running", "B"]).arg(&base);
    context.run(&mut prefer)?;

    for (what, offset) in places(context, &base, &old_image)? {
        let disk = context.scratch("corrupt.raw");
        context.copy_image(&base, &disk)?;
        flip(&disk, offset)?;
        let booted = boot_once(context, old, &disk, &nonce).map_err(|error| format!("{what}: {error}"))?;
        all_hold(judge(&booted.report, &new_manifest, &nonce, false), &booted.report)
            .map_err(|error| format!("{what}: {error}"))?;
        let panics = booted.console.matches("Kernel panic").count();
        if panics != 3 || !booted.console.contains("is corrupted") {
            return Err(format!("{what}: A panicked {panics} times\n{}", booted.console));
        }
        let (a, b) = gpt::slots(&disk)?;
        if a.tries != 0 || b != GOOD {
            return Err(format!("{what}: the bits are {a:?} {b:?}"));
        }
        println!("  {what}: A panicked three times, B committed");
    }
    Ok(())
}

/// Flips bits of one byte of a disk.
pub(crate) fn flip(disk: &Path, offset: u64) -> Result<(), String> {
    let file = OpenOptions::new().read(true).write(true).open(disk).map_err(|error| error.to_string())?;
    invert(&file, offset, offset + 1)
}

/// Where the contents of a file begin in a root.
pub(crate) fn place_in(context: &Context, squashfs: &Path, file: &str) -> Result<u64, String> {
    first_byte_of(context, squashfs, Superblock::read(squashfs)?.inode_table, file)
}

/// Eight bytes of slot A that every start reads.
fn places(context: &Context, disk: &Path, image: &Path) -> Result<Vec<(String, u64)>, String> {
    let (root, _) = gpt::extent(disk, ROOT_A)?;
    let (hash, _) = gpt::extent(disk, 4)?;
    let squashfs = image.join("slot/root.squashfs");
    let superblock = Superblock::read(&squashfs)?;
    let blocks = superblock.bytes_used.div_ceil(4096);
    let mut places = vec![
        ("superblock, magic".to_owned(), root),
        ("superblock, start of the inode table".to_owned(), root + 64),
        ("inode of /".to_owned(), root + superblock.root_inode_block() + 9),
        ("hash tree, root".to_owned(), hash + 17),
        ("hash tree, leaf of the superblock".to_owned(), hash + leaf_offset(blocks)),
    ];
    // Displaced, so that not only first bytes are tried.
    for (program, displacement) in
        [("usr/lib/osbuild/early", 40), ("usr/lib/systemd/systemd", 300), ("usr/lib/osbuild/health", 2000)]
    {
        let start = first_byte_of(context, &squashfs, superblock.inode_table, program)?;
        places.push((format!("data of {program}"), root + start + displacement));
    }
    Ok(places)
}

/// What of a squashfs superblock is needed (format 4.0, little endian).
struct Superblock {
    root_inode: u64,
    bytes_used: u64,
    inode_table: u64,
}

impl Superblock {
    fn read(image: &Path) -> Result<Self, String> {
        let file = File::open(image).map_err(|error| format!("{}: {error}", image.display()))?;
        let mut bytes = [0u8; 96];
        file.read_exact_at(&mut bytes, 0).map_err(|error| error.to_string())?;
        let field = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        Ok(Self { root_inode: field(32), bytes_used: field(40), inode_table: field(64) })
    }

    /// An inode is named by its metadata block's place in the table and its
    /// offset in there.
    fn root_inode_block(&self) -> u64 {
        self.inode_table + (self.root_inode >> 16)
    }
}

/// Where the first leaf lies: after all upper levels (dm-verity, top first).
fn leaf_offset(mut blocks: u64) -> u64 {
    let mut levels = Vec::new();
    while blocks > 1 {
        blocks = blocks.div_ceil(128);
        levels.push(blocks);
    }
    levels[1..].iter().sum::<u64>() * 4096
}

/// Offset of the first byte that somebody else's reader needs for a file's
/// contents, found by damaging ever smaller ranges of a copy.
fn first_byte_of(context: &Context, squashfs: &Path, data_end: u64, program: &str) -> Result<u64, String> {
    let copy = context.scratch("damaged.squashfs");
    context.copy_image(squashfs, &copy)?;
    let file = OpenOptions::new().read(true).write(true).open(&copy).map_err(|error| error.to_string())?;
    let contents = || -> Result<Vec<u8>, String> {
        let output = context.judge("unsquashfs")?.arg("-cat").arg(&copy).arg(program).output();
        Ok(output.map_err(|error| error.to_string())?.stdout)
    };
    let intact = contents()?;
    if intact.is_empty() {
        return Err(format!("the root has no {program}"));
    }
    // Damage before `low` changes nothing, damage before `high` does.
    let (mut low, mut high) = (96, data_end);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        invert(&file, low, middle)?;
        let is_changed = contents()? != intact;
        invert(&file, low, middle)?;
        if is_changed { high = middle } else { low = middle }
    }
    Ok(low)
}

fn invert(file: &File, start: u64, end: u64) -> Result<(), String> {
    let mut buffer = vec![0; 1 << 20];
    let mut at = start;
    while at < end {
        let count = buffer.len().min((end - at) as usize);
        let part = &mut buffer[..count];
        file.read_exact_at(part, at).map_err(|error| error.to_string())?;
        part.iter_mut().for_each(|byte| *byte ^= 0x55);
        file.write_all_at(part, at).map_err(|error| error.to_string())?;
        at += count as u64;
    }
    Ok(())
}
