//! This node, as an update needs to know it.

use std::collections::BTreeSet;
use std::path::Path;

use osbuild_boot::law::{self, LoaderDecision, Running};
use osbuild_boot::private::Release;
use osbuild_boot::slot::State;
use osbuild_format::hex;
use osbuild_install::{Node, SinceStart};
use osbuild_sys::block::SystemDisk;
use osbuild_sys::{os_release, private};
use osbuild_update::decide;
use osbuild_update::decide::Wishes;
use osbuild_update::names::Line;
use serde::Deserialize;

const HEALTH: &str = "/run/osbuild/health.json";
/// There as long as the loader of this start is not the one on the disk.
const LOADER_REPLACED: &str = "/run/osbuild/loader-replaced";
const MACHINE_ID: &str = "/etc/machine-id";

/// What does not change while it runs.
pub struct Facts {
    pub disk: SystemDisk,
    pub machine_id: String,
    pub variant: String,
    pub arch: &'static str,
    pub version: String,
    pub rollback_index: u64,
    pub floor: u64,
    pub root_hash: [u8; 32],
}

impl Facts {
    /// # Errors
    /// The node does not know its disk or its release.
    pub fn gather() -> Result<Self, String> {
        let disk = SystemDisk::find().map_err(|error| error.to_string())?;
        let table = disk.read_table().map_err(|error| error.to_string())?.table;
        let root_hash = table.root_hash(disk.slot).ok_or("the running slot has no root hash in the table")?;
        let fields = os_release::read().map_err(|error| error.to_string())?;
        let field = |name: &str| fields.get(name).cloned().ok_or(format!("os-release has no {name}"));
        let number =
            |name: &str| field(name)?.parse().map_err(|_| format!("os-release: {name} is no number"));
        let machine_id =
            std::fs::read_to_string(MACHINE_ID).map_err(|error| format!("{MACHINE_ID}: {error}"))?;
        Ok(Self {
            machine_id: machine_id.trim().to_owned(),
            variant: field("VARIANT_ID")?,
            arch: std::env::consts::ARCH,
            version: field("VERSION_ID")?,
            rollback_index: number("OSBUILD_ROLLBACK_INDEX")?,
            floor: number("OSBUILD_FLOOR")?,
            root_hash,
            disk,
        })
    }

    pub fn root_hash_text(&self) -> String {
        hex::encode(&self.root_hash)
    }

    pub fn line(&self, channel: &str) -> Result<Line, String> {
        Line::new(channel, &self.variant, self.arch).ok_or(format!("'{channel}' is no channel"))
    }

    /// For the law and for what is held against a release.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn node(&self) -> Result<Node, String> {
        let table = self.disk.read_table().map_err(|error| error.to_string())?.table;
        let others = table.slots().map(|pair| pair.of(self.disk.slot.other()).state());
        let release =
            Release::new(&self.version, self.root_hash).ok_or("the version is longer than 64 bytes")?;
        Ok(Node {
            running: Running { slot: self.disk.slot, committed: is_committed() },
            release,
            variant: self.variant.clone(),
            arch: self.arch.to_owned(),
            rollback_index: self.rollback_index,
            floor: self.floor,
            since_start: SinceStart {
                slot_activated: others == Some(State::Trial),
                loader_replaced: Path::new(LOADER_REPLACED).exists(),
            },
        })
    }

    /// By the law and the disk, whoever wrote that.
    ///
    /// # Errors
    /// The table cannot be read.
    pub fn next_start(&self) -> Result<Option<Next>, String> {
        let table = self.disk.read_table().map_err(|error| error.to_string())?.table;
        let next = table.slots().map(|pair| law::loader_decide(pair, [false; 2]));
        let (
            Some(LoaderDecision::Start { slot, .. } | LoaderDecision::StartForced { slot, .. }),
            Some(root_hash),
        ) = (next, table.root_hash(self.disk.slot.other()))
        else {
            return Ok(None);
        };
        let trial = private::read().trial.filter(|trial| trial.root_hash == root_hash);
        let version = trial.map(|trial| trial.version().to_owned());
        Ok((slot != self.disk.slot).then(|| Next { root_hash: hex::encode(&root_hash), version }))
    }

    /// For the decision which release is next; `rebuilt` as the repository has it.
    pub fn decide(&self, wishes: Wishes, rebuilt: Option<BTreeSet<String>>) -> decide::Node {
        let record = private::read();
        let mut refused: BTreeSet<String> =
            record.refused().map(|refused| hex::encode(&refused.release.root_hash)).collect();
        refused.extend(record.hold.map(|held| hex::encode(&held.root_hash)));
        decide::Node {
            machine_id: self.machine_id.clone(),
            running_index: self.rollback_index,
            running_root_hash: self.root_hash_text(),
            floor: record.floor.max(self.floor),
            refused,
            rebuilt,
            wishes,
        }
    }
}

/// What the next start runs, if that is not what runs now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    pub root_hash: String,
    /// Unknown of a slot that was gone back to.
    pub version: Option<String>,
}

/// Remembers, as long as this start lasts.
///
/// # Errors
/// It cannot be written.
pub fn note_loader_replaced() -> osbuild_sys::Result<()> {
    osbuild_sys::state::write(LOADER_REPLACED, "")
}

/// Whether this start was found healthy and its slot committed.
pub fn is_committed() -> bool {
    #[derive(Deserialize)]
    struct Health {
        verdict: String,
    }
    let text = std::fs::read(HEALTH).unwrap_or_default();
    serde_json::from_slice::<Health>(&text).is_ok_and(|health| health.verdict == "healthy")
}
