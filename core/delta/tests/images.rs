//! Deltas of whole images: made, applied, taken up again, bent.

#![cfg(feature = "make")]

mod common;

use common::{BLOCK_BYTES, Release, noise, program};
use osbuild_delta::apply::apply;
use osbuild_delta::plan::{Limits, Plan};
use osbuild_delta::{Error, Identity, Result, make};
use proptest::prelude::*;

fn limits() -> Limits {
    Limits::for_partition(1 << 30)
}

/// What comes out, in the order in which it does.
fn applied(old: &[u8], delta: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let mut new = Vec::new();
    apply(old, delta, limits, &mut |place, bytes: &[u8]| {
        assert_eq!(place, new.len() as u64, "bytes come in order");
        new.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(new)
}

type Make = fn(&[u8], &[u8], &Limits) -> Result<Vec<u8>>;

/// Makes a delta and applies it, from the begin and from every step.
fn check(old: &[u8], new: &[u8], make: Make) -> usize {
    let delta = make(old, new, &limits()).unwrap();
    assert!(applied(old, &delta, &limits()).unwrap() == new, "what was made is the new image");
    assert!(delta == make(old, new, &limits()).unwrap(), "and made alike every time");

    let plan = Plan::read(&mut delta.as_slice(), &limits()).unwrap();
    assert_eq!((plan.old(), plan.new_image()), (Identity::of(old), Identity::of(new)));
    assert_eq!(plan.delta_bytes(), delta.len() as u64);
    for (index, step) in plan.steps().iter().enumerate() {
        let last_byte = step.output_offset + step.output_bytes - 1;
        assert_eq!((plan.resume_at(step.output_offset), plan.resume_at(last_byte)), (index, index));
        let mut rest = Vec::new();
        let mut payload = &delta[step.delta_offset as usize..];
        plan.run(index, old, &mut payload, &mut |_, bytes: &[u8]| {
            rest.extend_from_slice(bytes);
            Ok(())
        })
        .unwrap();
        assert!(rest == new[step.output_offset as usize..], "step {index} can be the first");
    }
    assert_eq!(plan.resume_at(new.len() as u64), plan.steps().len());
    delta.len()
}

/// Something of every kind: one block and many, some that do not shrink, holes,
/// small files and empty ones, the same contents twice.
fn release() -> Release {
    let block = BLOCK_BYTES as usize;
    let mut release = Release { version: "1".to_owned(), level: 15, ..Release::default() };
    for package in ["base", "network", "runtime"] {
        let seed = package.len() as u64;
        release.put(package, "daemon", program(seed, 20 * block + 77));
        release.put(package, "exact", program(seed + 1, 2 * block));
        release.put(package, "noise", noise(seed + 2, 3 * block + 1));
        release.put(
            package,
            "holes",
            [vec![0; 2 * block], program(seed + 3, block), vec![0; block]].concat(),
        );
        release.put(package, "empty", Vec::new());
        release.put(package, "libname.so.1.2.3", program(seed + 4, 6 * block));
        for index in 0..12 {
            release.put(package, &format!("setting-{index}"), program(seed + 100 + index, 700));
        }
    }
    let twice = release.packages["base"]["daemon"].clone();
    release.put("base", "zzz-twice", twice);
    release
}

#[derive(Clone, Debug)]
enum Change {
    Edit { at: usize, with: u8 },
    Insert { at: usize, bytes: usize },
    Shorten { to: usize },
    Remove,
    Rename { package: String, name: String },
    Add { package: String, bytes: usize, seed: u64, shrinks: bool },
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, Change)>> {
    let package =
        || prop::sample::select(vec!["base", "network", "runtime", "added"]).prop_map(str::to_owned);
    let change = prop_oneof![
        3 => (0..90_000usize, any::<u8>()).prop_map(|(at, with)| Change::Edit { at, with }),
        2 => (0..90_000usize, 1..9000usize).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        1 => (0..90_000usize).prop_map(|to| Change::Shorten { to }),
        1 => Just(Change::Remove),
        2 => (package(), "[a-z]{1,9}").prop_map(|(package, name)| Change::Rename { package, name }),
        1 => (package(), 0..30_000usize, any::<u64>(), any::<bool>())
            .prop_map(|(package, bytes, seed, shrinks)| Change::Add { package, bytes, seed, shrinks }),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), change), 0..8)
}

fn change(release: &mut Release, changes: &[(prop::sample::Index, Change)]) {
    for (index, change) in changes {
        let names: Vec<(String, String)> = release
            .packages
            .iter()
            .flat_map(|(package, files)| files.keys().map(|name| (package.clone(), name.clone())))
            .collect();
        let (package, name) = index.get(&names);
        let contents = release.packages.get_mut(package).and_then(|files| files.get_mut(name)).unwrap();
        match change.clone() {
            Change::Edit { at, with } => {
                let size = contents.len().max(1);
                if let Some(byte) = contents.get_mut(at % size) {
                    *byte = with;
                }
            }
            Change::Insert { at, bytes } => {
                let at = at % (contents.len() + 1);
                contents.splice(at..at, program(at as u64, bytes));
            }
            Change::Shorten { to } => contents.truncate(to),
            Change::Remove => {
                release.packages.get_mut(package).unwrap().remove(name);
            }
            Change::Rename { package: other, name: called } => {
                let contents = release.packages.get_mut(package).unwrap().remove(name).unwrap();
                release.put(&other, &called, contents);
            }
            Change::Add { package, bytes, seed, shrinks } => {
                let contents = if shrinks { program(seed, bytes) } else { noise(seed, bytes) };
                release.put(&package, &format!("new-{seed}"), contents);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_release_is_made_of_any_other(changes in changes(), level in prop::sample::select(vec![3, 15, 19])) {
        let mut old = release();
        old.level = level;
        let mut new = old.clone();
        new.version = "2".to_owned();
        change(&mut new, &changes);
        let (old, new) = (old.image(), new.image());
        check(&old, &new, make::root_image);
        check(&new, &old, make::root_image);
    }

    /// Whatever stands in the old image instead, there is an error and an end.
    #[test]
    fn another_old_image_is_an_error(seed in any::<u64>(), bytes in 0..400_000usize) {
        let (old, new, delta) = pair();
        let other = noise(seed, bytes);
        prop_assert!(applied(&other, &delta, &limits()).is_err());
        let mut bent = old;
        let at = seed as usize % bent.len();
        bent[at] ^= 1;
        // The delta may not need that byte.
        if let Ok(made) = applied(&bent, &delta, &limits()) {
            prop_assert!(made == new);
        }
    }
}

/// Two releases with a delta of every kind of step.
fn pair() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let mut new = release();
    let old = new.image();
    new.version = "2".to_owned();
    new.packages.get_mut("network").unwrap().get_mut("daemon").unwrap()[30_000] ^= 1;
    new.put("runtime", "setting-3", b"short".to_vec());
    let library = new.packages.get_mut("base").unwrap().remove("libname.so.1.2.3").unwrap();
    new.put("base", "libname.so.1.2.4", [&library[..9000], b"more", &library[9000..]].concat());
    let new = new.image();
    let delta = make::root_image(&old, &new, &limits()).unwrap();
    (old, new, delta)
}

#[test]
fn what_changed_is_what_costs() {
    let release = release();
    let image = release.image();
    assert!(check(&image, &image, make::root_image) < 200);

    let mut edited = release.clone();
    edited.packages.get_mut("base").unwrap().get_mut("daemon").unwrap()[30_000] ^= 1;
    let one = check(&image, &edited.image(), make::root_image);
    assert!(one < 1000, "a byte of a file, and of tables what follows: {one}");

    let mut moved = release.clone();
    moved.put("aaa", "before-all", program(99, 10_000));
    let all_moved = check(&image, &moved.image(), make::root_image);
    let alone = zstd::bulk::compress(&program(99, 10_000), 19).unwrap().len();
    assert!(all_moved < alone + 1500, "one file, though all others moved: {all_moved}, {alone}");

    let mut renamed = release.clone();
    let library = renamed.packages.get_mut("base").unwrap().remove("libname.so.1.2.3").unwrap();
    renamed.put("base", "libname.so.1.3.0", [&library[..9000], b"more", &library[9000..]].concat());
    let library_changed = check(&image, &renamed.image(), make::root_image);
    assert!(library_changed < 1500, "found by its name without numbers: {library_changed}");

    let mut other = release;
    other.level = 19;
    let relevelled = check(&image, &other.image(), make::root_image);
    assert!(relevelled < image.len() / 10, "contents are the same at another level: {relevelled}");
}

/// Images of another compressor have a delta too, if not a small one.
#[test]
fn frames_that_cannot_be_repeated_go_in_as_they_are() {
    let old = release().image();
    let mut new = old.clone();
    // A frame with a checksum, which our compressor never writes.
    let start = new.windows(4).position(|bytes| bytes == 0xfd2f_b528_u32.to_le_bytes()).unwrap();
    let size = zstd::zstd_safe::find_frame_compressed_size(&new[start..]).unwrap();
    let contents = zstd::bulk::decompress(&new[start..start + size], 1 << 20).unwrap();
    let mut compressor = zstd::bulk::Compressor::new(22).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ContentSizeFlag(false)).unwrap();
    let other = compressor.compress(&contents).unwrap();
    let room = size.min(other.len());
    new[start..start + room].copy_from_slice(&other[..room]);
    check(&old, &new, make::root_image);
}

#[test]
fn limits_are_refused_by_name() {
    let (old, _, delta) = pair();
    let plan = Plan::read(&mut delta.as_slice(), &limits()).unwrap();
    let (memory_bytes, new_bytes) = (plan.memory_bytes(), plan.new_image().bytes);
    assert!(applied(&old, &delta, &Limits { memory_bytes, new_bytes }).is_ok());
    for (what, limits) in [
        ("memory", Limits { memory_bytes: memory_bytes - 1, new_bytes }),
        ("space", Limits { memory_bytes, new_bytes: new_bytes - 1 }),
    ] {
        match applied(&old, &delta, &limits) {
            Err(Error::Limit { what: named, .. }) => assert_eq!(named, what),
            other => panic!("{what}: {other:?}"),
        }
    }
    // And a maker keeps within what it is told.
    let (old, new) = (release().image(), release().image());
    assert!(make::root_image(&old, &new, &Limits { memory_bytes: 1 << 20, new_bytes }).is_err());
}

/// No byte of a delta is believed.
#[test]
fn a_bent_delta_is_refused_or_makes_the_same() {
    let (old, new, delta) = pair();
    let before = peak_bytes();
    let mut accepted = Vec::new();
    for at in 0..delta.len() {
        for bits in [1, 0x80, 0xff] {
            let mut bent = delta.clone();
            bent[at] ^= bits;
            if let Ok(made) = applied(&old, &bent, &limits()) {
                assert!(made == new, "byte {at} made another image");
                accepted.push(at);
            }
        }
    }
    // The bound of memory may be higher than need be, and the old image is the
    // caller's to compare. Besides, zstd has bits here and there that say nothing.
    accepted.retain(|at| !(24..72).contains(at));
    assert!(accepted.len() * 20 < delta.len(), "bent at {accepted:?} of {} and accepted", delta.len());
    for length in 0..delta.len() {
        assert!(applied(&old, &delta[..length], &limits()).is_err(), "cut off after {length}");
    }
    let grown = peak_bytes() - before;
    assert!(grown < limits().memory_bytes, "{grown} more bytes of memory at the peak");
}

/// The most memory that this process has had.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// A bzImage around a kernel.
fn kernel(frame: &[u8], kernel_bytes: usize) -> Vec<u8> {
    let mut image = program(5, 0x2000);
    image[0x1f1] = 7;
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x020f_u16.to_le_bytes());
    image[0x248..0x24c].copy_from_slice(&0x1000_u32.to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&(frame.len() as u32 + 4).to_le_bytes());
    image.extend_from_slice(frame);
    image.extend_from_slice(&(kernel_bytes as u32).to_le_bytes());
    image.resize(image.len().next_multiple_of(512), 0);
    image
}

fn boot_image(kernel: &[u8], command_line: &str) -> Vec<u8> {
    use osbuild_format::pe::{Section, append_sections};
    let mut stub = vec![0; 0x400];
    stub[..2].copy_from_slice(b"MZ");
    stub[0x3c] = 0x40;
    stub[0x40..0x44].copy_from_slice(b"PE\0\0");
    stub[0x44..0x46].copy_from_slice(&0x8664_u16.to_le_bytes());
    stub[0x54..0x56].copy_from_slice(&240_u16.to_le_bytes());
    let optional = 0x58;
    for (at, value) in [(0, 0x20b), (32, 0x1000), (36, 0x200), (60, 0x400), (108, 16)] {
        stub[optional + at..optional + at + 4].copy_from_slice(&u32::to_le_bytes(value));
    }
    let sections = [
        Section { name: ".osrel", contents: b"VERSION=1\n" },
        Section { name: ".cmdline", contents: command_line.as_bytes() },
        Section { name: ".linux", contents: kernel },
    ];
    append_sections(&stub, &sections).unwrap()
}

#[test]
fn a_kernel_is_packed_again() {
    use osbuild_format::kernel::Packer;
    use std::io::Write;
    let old = program(1, 600_000);
    let mut new = old.clone();
    new.splice(200_000..200_010, *b"something else");
    for place in (0..new.len()).step_by(5000) {
        new[place] = new[place].wrapping_add(4);
    }
    let pack = |bytes: &[u8]| {
        let mut packer = Packer::new(Vec::new(), bytes.len() as u64, 6).unwrap();
        packer.write_all(bytes).unwrap();
        kernel(&packer.finish().unwrap(), bytes.len())
    };
    let before = boot_image(&pack(&old), "root=1");
    let same = check(&before, &boot_image(&pack(&old), "root=2"), make::boot_image);
    assert!(same < 500, "another command line: {same}");
    let packed = check(&before, &boot_image(&pack(&new), "root=2"), make::boot_image);
    assert!(packed < 10_000, "another kernel: {packed}");

    // As the kernel's own build packs it, the new frame is in the delta whole.
    let foreign = |bytes: &[u8]| kernel(&zstd::bulk::compress(bytes, 22).unwrap(), bytes.len());
    let whole = check(&boot_image(&foreign(&old), "1"), &boot_image(&foreign(&new), "2"), make::boot_image);
    assert!(whole > 10 * packed, "{whole}");
    // Which is right for the reference still.
    let converted = check(&boot_image(&foreign(&old), "1"), &boot_image(&pack(&new), "2"), make::boot_image);
    assert!(converted < 20_000, "{converted}");
}

/// Two slots of one's own: `OSBUILD_DELTA_SLOTS=OLD:NEW`, folders with
/// `root.squashfs` and `boot.efi`.
#[test]
fn real_slots_too_where_there_are_some() {
    let Ok(slots) = std::env::var("OSBUILD_DELTA_SLOTS") else { return };
    let (old, new) = slots.split_once(':').expect("two folders, a colon between them");
    for (name, make) in [("root.squashfs", make::root_image as Make), ("boot.efi", make::boot_image)] {
        let [old, new] = [old, new].map(|folder| std::fs::read(format!("{folder}/{name}")).unwrap());
        println!("{name}: {} bytes", check(&old, &new, make));
    }
}

/// Hashes of blocks that moved are in the old tree.
#[test]
fn a_hash_tree_costs_little_more_than_its_new_hashes() {
    let old = noise(3, 40_000);
    let new = [&old[..9600], &noise(4, 640)[..], &old[10_240..30_016], &old[32_000..]].concat();
    let bytes = check(&old, &new, make::plain);
    assert!(bytes < 640 + 400, "{bytes}");
    check(&[], &new, make::plain);
    check(&old, &[], make::plain);
}
