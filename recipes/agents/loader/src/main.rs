//! The loader: picks a slot by the law, starts its kernel image.
//!
//! It reads the partition table and the BOOT partitions of the disk that it
//! was itself loaded from, nothing else: no file system, no configuration, no
//! EFI variable. Which slot starts is decided by `osbuild-boot` alone; this
//! program only does the reading, writing and starting.

#![no_main]
#![no_std]

extern crate alloc;

mod disk;
mod watchdog;

use alloc::vec::Vec;
use core::time::Duration;

use osbuild_boot::gpt::{self, Gpt};
use osbuild_boot::law::{self, LoaderDecision};
use osbuild_boot::layout::SECTOR_SIZE;
use osbuild_boot::slot::{Pair, Slot};
use osbuild_boot::uki;
use uefi::boot::{self, LoadImageSource};
use uefi::prelude::*;
use uefi::println;

use disk::BootDisk;

/// What is read of an image before its length is known.
const HEAD_BYTES: usize = 4096;

#[entry]
fn main() -> Status {
    match start() {
        Ok(never) => match never {},
        Err(what) => {
            println!("osbuild: {what}");
            // The firmware goes on with its next boot entry.
            Status::NOT_FOUND
        }
    }
}

/// What ended the run. Starting a kernel does not return.
type Ended = &'static str;

enum Never {}

fn start() -> Result<Never, Ended> {
    let mut disk = BootDisk::find().map_err(|_| "cannot open the disk that the loader is on")?;
    let mut table = match gpt::load_and_repair(&mut disk) {
        Ok(table) => table,
        Err(_) => return Err("no valid partition table"),
    };
    let mut unusable = [false; 2];
    loop {
        let pair = table.slots().ok_or("the partition table is not of this system")?;
        let (slot, bits) = match law::loader_decide(pair, unusable) {
            LoaderDecision::Start { slot, bits } => (slot, bits),
            LoaderDecision::StartForced { slot, bits } => {
                println!("osbuild: no slot has tries left; starting slot {} once more in 10 s", slot.name());
                boot::stall(Duration::from_secs(10).as_micros() as usize);
                (slot, bits)
            }
            LoaderDecision::Nothing => return Err("no slot can be started"),
        };
        // The try is spent before the image is read: whatever the image does,
        // it did it with one try less.
        write(&mut disk, &mut table, bits)?;
        println!("osbuild: slot {} ({} tries left)", slot.name(), bits.of(slot).tries);
        println!("osbuild: slot {}: {}", slot.name(), run(&mut disk, &table, slot));
        unusable[slot as usize] = true;
        write(&mut disk, &mut table, law::loader_found_unusable(bits, slot))?;
    }
}

fn write(disk: &mut BootDisk, table: &mut Gpt, bits: Pair) -> Result<(), Ended> {
    table.set_slots(bits);
    gpt::store(disk, table).map_err(|_| "cannot write the partition table")
}

/// Starts a slot's image; returns why it could not be, or that it came back.
fn run(disk: &mut BootDisk, table: &Gpt, slot: Slot) -> &'static str {
    let image = match read_image(disk, table, slot) {
        Ok(image) => image,
        Err(what) => return what,
    };
    // Exactly the image's bytes: with padding, a signature would not verify.
    let source = LoadImageSource::FromBuffer { buffer: &image, file_path: None };
    let Ok(handle) = boot::load_image(boot::image_handle(), source) else {
        return "the firmware refuses the image";
    };
    drop(image);
    watchdog::arm();
    match boot::start_image(handle) {
        Ok(()) => "the image came back",
        Err(_) => "the image failed",
    }
}

fn read_image(disk: &mut BootDisk, table: &Gpt, slot: Slot) -> Result<Vec<u8>, &'static str> {
    let missing = "a partition of the slot is missing";
    let boot = table.partition(slot.boot()).ok_or(missing)?;
    let root = table.partition(slot.root()).ok_or(missing)?;
    let hash = table.partition(slot.hash()).ok_or(missing)?;
    let read = "its BOOT partition cannot be read";

    let mut head = [0; HEAD_BYTES];
    disk.read_bytes(boot.first, &mut head).map_err(|_| read)?;
    let partition_bytes = boot.sector_count() * SECTOR_SIZE;
    let length = uki::image_length(&head, partition_bytes).map_err(|_| "it holds no kernel image")?;
    let mut image = Vec::new();
    image.try_reserve_exact(length as usize).map_err(|_| "its image is larger than the memory")?;
    image.resize(length as usize, 0);
    disk.read_bytes(boot.first, &mut image).map_err(|_| read)?;
    let line = uki::command_line(&image).map_err(|_| "its image has no command line")?;
    uki::check_partitions(line, root.guid, hash.guid)
        .map_err(|_| "its command line names other partitions than its own")?;
    Ok(image)
}

/// A panic costs the try that was spent, like every other failed start.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    println!("osbuild: this is a bug in the loader: {info}");
    uefi::runtime::reset(uefi::runtime::ResetType::COLD, Status::ABORTED, None)
}
