//! `osbuild disk`: disk images treated from outside, by the law of slots.

use std::path::PathBuf;

use osbuild_boot::slot::{Bits, Pair, Slot, State};
use osbuild_core::disk;
use serde_json::json;

use crate::config::CommonArguments;
use crate::error::Failure;

/// Look at and prepare disk images
#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Show the bits of both slots of a raw disk image
    Slots {
        #[arg(value_name = "DISK")]
        disk: PathBuf,
    },
    /// Write a slot payload (`result/slot`) into a slot and arm it for a trial
    Install {
        #[arg(value_name = "DISK")]
        disk: PathBuf,
        #[arg(value_name = "PAYLOAD")]
        payload: PathBuf,
        /// The slot to write; the other one counts as running
        #[arg(long, value_enum)]
        slot: SlotName,
    },
    /// Prefer the slot that does not run, as its operator would
    RollBack {
        #[arg(value_name = "DISK")]
        disk: PathBuf,
        /// The slot that counts as running
        #[arg(long, value_enum)]
        running: SlotName,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum SlotName {
    #[value(name = "A")]
    A,
    #[value(name = "B")]
    B,
}

impl From<SlotName> for Slot {
    fn from(name: SlotName) -> Self {
        match name {
            SlotName::A => Self::A,
            SlotName::B => Self::B,
        }
    }
}

pub(crate) fn run(command: Command, common: &CommonArguments) -> Result<(), Failure> {
    match command {
        Command::Slots { disk } => print_slots(disk::slots(&disk)?, common),
        Command::Install { disk, payload, slot } => {
            print_slots(disk::install(&disk, slot.into(), &payload)?, common)
        }
        Command::RollBack { disk, running } => print_slots(disk::roll_back(&disk, running.into())?, common),
    }
}

fn print_slots(pair: Pair, common: &CommonArguments) -> Result<(), Failure> {
    if common.json {
        let one = |bits: Bits| {
            json!({
                "priority": bits.priority,
                "tries": bits.tries,
                "successful": bits.successful,
                "forced": bits.forced,
                "state": state(bits),
            })
        };
        println!("{}", json!({ "schema": 1, "A": one(pair.a), "B": one(pair.b) }));
        return Ok(());
    }
    for (name, bits) in [("A", pair.a), ("B", pair.b)] {
        println!(
            "{name}  {:<6} priority {}  tries {}  {}{}",
            state(bits),
            bits.priority,
            bits.tries,
            if bits.successful { "successful" } else { "not yet successful" },
            if bits.forced { ", forced" } else { "" },
        );
    }
    Ok(())
}

fn state(bits: Bits) -> &'static str {
    match bits.state() {
        State::Empty => "EMPTY",
        State::Trial => "TRIAL",
        State::Tried => "TRIED",
        State::Good => "GOOD",
        State::Spent => "SPENT",
    }
}
