//! Room that is kept for a node whose DATA is full: without any, neither its
//! own containers nor kubelet would start, who are there to make room.
//!
//! It is a file. A start that finds DATA full gives it up, says so, and makes
//! it again when there is room for both.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use osbuild_sys::{Failed, Result};
use rustix::fs::{FallocateFlags, fallocate, statvfs};

const FOLDER: &str = "lib/osbuild";
const FILE: &str = "lib/osbuild/reserve";
const MOST_BYTES: u64 = 128 << 20;
/// A small DATA keeps a tenth.
const PART: u64 = 10;
/// Less than this is full: kubelet and containerd need some of it to start.
const FULL_BYTES: u64 = 32 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// There, or made in this start.
    Held,
    /// Given up in this start; how many bytes that were.
    GivenUp(u64),
    /// There is none, and no room for one.
    None,
}

impl Reserve {
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::GivenUp(_) => "given-up",
            Self::None => "none",
        }
    }
}

/// Holds the reserve of the file system that is mounted on `root`, or gives
/// it up.
///
/// # Errors
/// The file system does not do what it is asked.
pub fn keep(root: &Path) -> Result<Reserve> {
    let space = statvfs(root).map_err(io::Error::from).map_err(Failed::at("look at", root))?;
    let (size, free) = (space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize);
    let file = root.join(FILE);
    let held = fs::metadata(&file).map_or(0, |about| about.len());
    match decide(size, free, held) {
        Step::Keep => Ok(Reserve::Held),
        Step::GiveUp => {
            fs::remove_file(&file).map_err(Failed::at("remove", &file))?;
            Ok(Reserve::GivenUp(held))
        }
        Step::Make(bytes) => match make(root, bytes) {
            Ok(()) => Ok(Reserve::Held),
            Err(error) => {
                // Half of it is none.
                let _ = fs::remove_file(&file);
                Err(Failed::at("make", &file)(error))
            }
        },
        Step::Nothing => Ok(Reserve::None),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Keep,
    GiveUp,
    Make(u64),
    Nothing,
}

fn decide(size: u64, free: u64, held: u64) -> Step {
    let wanted = MOST_BYTES.min(size / PART);
    match held {
        0 if free >= 2 * wanted + FULL_BYTES => Step::Make(wanted),
        0 => Step::Nothing,
        _ if free < FULL_BYTES => Step::GiveUp,
        _ => Step::Keep,
    }
}

fn make(root: &Path, bytes: u64) -> io::Result<()> {
    fs::create_dir_all(root.join(FOLDER))?;
    let file = File::create(root.join(FILE))?;
    Ok(fallocate(&file, FallocateFlags::empty(), 0, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_full_file_system_gets_its_reserve_and_an_empty_one_makes_it() {
        for (size, free, held, expected) in [
            (600 * MIB, 500 * MIB, 0, Step::Make(60 * MIB)),
            (20_000 * MIB, 15_000 * MIB, 0, Step::Make(128 * MIB)),
            (600 * MIB, 100 * MIB, 0, Step::Nothing),
            (600 * MIB, 32 * MIB, 60 * MIB, Step::Keep),
            (600 * MIB, 31 * MIB, 60 * MIB, Step::GiveUp),
            (600 * MIB, 0, 60 * MIB, Step::GiveUp),
            (600 * MIB, 0, 0, Step::Nothing),
        ] {
            assert_eq!(decide(size, free, held), expected, "{size} {free} {held}");
        }
    }

    #[test]
    fn what_is_made_is_kept_in_the_next_start() {
        let root = tempfile::tempdir().unwrap();
        make(root.path(), MIB).unwrap();
        assert_eq!(fs::metadata(root.path().join(FILE)).unwrap().len(), MIB);
        // The file system under it has room, or this test could not run.
        assert_eq!(keep(root.path()).unwrap(), Reserve::Held);
    }
}
