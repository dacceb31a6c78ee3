//! Whether a release may be installed at all, decided before anything is
//! touched.

use osbuild_boot::gpt::Gpt;
use osbuild_boot::guid::Guid;
use osbuild_boot::law::Running;
use osbuild_boot::private::{self, Private, Reason};
use osbuild_boot::slot::{Slot, State};
use osbuild_format::release::Release as Manifest;
use osbuild_format::verity::{self, BLOCK_BYTES, Hash};
use osbuild_format::{disk, hex};

use crate::change;
use crate::extent::Places;

/// What the running system knows of itself.
#[derive(Clone, Debug)]
pub struct Node {
    /// R, and whether it has committed since it was started.
    pub running: Running,
    /// Version and root hash of R.
    pub release: private::Release,
    pub variant: String,
    pub arch: String,
    pub rollback_index: u64,
    /// R's own floor, which holds also where PRIVATE was lost.
    pub floor: u64,
    pub since_start: SinceStart,
}

/// What was done since R was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct SinceStart {
    pub slot_activated: bool,
    pub loader_replaced: bool,
}

/// What to make of the two bars that a human may lift: the floor and the list
/// of refused releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bars {
    Heed,
    /// An operator insists; it is recorded.
    OverrideByOperator,
}

/// What a release is held against.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'n> {
    pub node: &'n Node,
    pub table: &'n Gpt,
    pub record: &'n Private,
}

/// Why a release is not installed. [`Refusal::remedy`] says what helps.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The law: the other slot is touched only by a system that has committed.
    #[error("the running system is not known to be healthy yet")]
    NotCommitted,
    /// The loader was replaced since the last start.
    #[error("the boot loader was replaced since the last start")]
    LoaderReplaced,
    /// A manifest that contradicts itself or is of a kind not known here.
    #[error("the release's manifest is not valid: {what}")]
    Manifest { what: &'static str },
    /// Of another variant or for another processor.
    #[error("the release is for {offered}, this node is {own}")]
    OtherKind { offered: String, own: String },
    /// Made for other partitions.
    #[error("the release is made for partition layout {offered}, the disk has {own}")]
    OtherLayout { offered: String, own: String },
    #[error("the {part} has {size} bytes, but {partition} holds {room}")]
    DoesNotFit { part: &'static str, size: u64, partition: &'static str, room: u64 },
    #[error("{version} is already running")]
    AlreadyRunning { version: String },
    /// Two slots with one root hash could not be told apart.
    #[error("slot {slot} already holds {version} ({state:?})")]
    AlreadyInOther { version: String, slot: &'static str, state: State },
    #[error("{version} has release index {offered}, not newer than the running one, {running}")]
    NotNewer { version: String, offered: u64, running: u64 },
    #[error(
        "{version} can be installed from release index {min_from_index} on, the running one is {running}"
    )]
    TooFar { version: String, min_from_index: u64, running: u64 },
    /// An operator went back from it.
    #[error("{version} is on hold: an operator went back from it")]
    Held { version: String },
    #[error("{version} has release index {index}, below this node's floor of {floor}")]
    BelowFloor { version: String, index: u64, floor: u64 },
    #[error("{version} failed on this node before: {}", how(.reason))]
    Refused { version: String, reason: Reason },
}

fn how(reason: &Reason) -> &'static str {
    match reason {
        Reason::Silent => "it ended without a word",
        Reason::Unhealthy => "it was not healthy in time",
    }
}

impl Refusal {
    /// What a human can do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotCommitted => "wait for the health check's verdict; nothing is installed before it",
            Self::LoaderReplaced => "reboot, then install the release",
            Self::Manifest { .. } => "have the release published again, or update in smaller steps",
            Self::OtherKind { .. } => "point the node at the channel of its own variant",
            Self::OtherLayout { .. } => "partitions cannot be changed by an update: install the node anew",
            Self::DoesNotFit { .. } => {
                "publish a smaller release, or install the node anew with larger slots"
            }
            Self::AlreadyRunning { .. } => "nothing is to be done",
            Self::AlreadyInOther { state: State::Trial, .. } => "reboot to start it",
            Self::AlreadyInOther { state: State::Good, .. } => "roll back to it instead",
            Self::AlreadyInOther { state: State::Spent, .. } => "have it checked and armed again instead",
            Self::AlreadyInOther { .. } => "it used up its starts; publish a newer release",
            Self::NotNewer { .. } => {
                "to go back, roll back to the other slot; otherwise publish a higher index"
            }
            Self::TooFar { .. } => "install a release in between first",
            Self::Held { .. } => "lift the hold, or publish a newer release",
            Self::BelowFloor { .. } => "publish a newer release, or force this one if it is safe to run",
            Self::Refused { .. } => {
                "publish a newer release, or force this one if its failure had another cause"
            }
        }
    }

    /// Whether an operator may override it.
    pub fn can_be_forced(&self) -> bool {
        matches!(self, Self::BelowFloor { .. } | Self::Refused { .. })
    }
}

/// A release that may be installed, and where to.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) running: Running,
    pub(crate) places: Places,
    pub(crate) payload: Payload,
    /// It would have been refused if no operator had insisted.
    pub(crate) is_forced: bool,
}

impl Preflight<'_> {
    /// # Errors
    /// [`Refusal`]; what is wrong with the release itself comes first, then
    /// what this node has against it.
    pub fn check(&self, manifest: &Manifest, bars: Bars) -> Result<Plan, Refusal> {
        let payload = Payload::parse(manifest)?;
        self.check_kind(manifest)?;
        let places = payload.places(self.table, self.node.running.slot.other())?;
        if !self.node.running.committed {
            return Err(Refusal::NotCommitted);
        }
        if self.node.since_start.loader_replaced {
            return Err(Refusal::LoaderReplaced);
        }
        self.check_twins(&payload)?;
        let (version, offered) = (manifest.version.clone(), manifest.rollback_index);
        let (min_from_index, running) = (manifest.min_from_index, self.node.rollback_index);
        if min_from_index > running {
            return Err(Refusal::TooFar { version, min_from_index, running });
        }
        if offered <= running {
            return Err(Refusal::NotNewer { version, offered, running });
        }
        let is_forced = self.barred_unless(bars, &payload.release, offered)?;
        Ok(Plan { running: self.node.running, places, payload, is_forced })
    }

    fn check_kind(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let kind = |variant: &str, arch: &str| format!("{variant} on {arch}");
        let offered = kind(&manifest.variant, &manifest.arch);
        let own = kind(&self.node.variant, &self.node.arch);
        if offered == own { Ok(()) } else { Err(Refusal::OtherKind { offered, own }) }
    }

    /// No two slots hold one root.
    fn check_twins(&self, payload: &Payload) -> Result<(), Refusal> {
        let version = payload.release.version().to_owned();
        let running = self.node.running;
        if payload.is_in(self.table, running.slot) || payload.root_hash == self.node.release.root_hash {
            return Err(Refusal::AlreadyRunning { version });
        }
        let other = running.slot.other();
        let state = change::others_bits(self.table, running).map_or(State::Empty, |bits| bits.state());
        // An empty slot's names are blanked before anything is written.
        if state != State::Empty && payload.is_in(self.table, other) {
            return Err(Refusal::AlreadyInOther { version, slot: other.name(), state });
        }
        Ok(())
    }

    /// Whether a release passes only because an operator insists.
    pub(crate) fn barred_unless(
        &self,
        bars: Bars,
        release: &private::Release,
        index: u64,
    ) -> Result<bool, Refusal> {
        match self.barred(release, index) {
            Ok(()) => Ok(false),
            Err(refusal) if bars == Bars::OverrideByOperator && refusal.can_be_forced() => Ok(true),
            Err(refusal) => Err(refusal),
        }
    }

    /// What this node has against a release, wherever it comes from: hold,
    /// floor and refusals.
    fn barred(&self, release: &private::Release, index: u64) -> Result<(), Refusal> {
        let version = release.version().to_owned();
        if self.record.hold.is_some_and(|held| held.root_hash == release.root_hash) {
            return Err(Refusal::Held { version });
        }
        let floor = self.record.floor.max(self.node.floor);
        if index < floor {
            return Err(Refusal::BelowFloor { version, index, floor });
        }
        match self.record.refused().find(|refused| refused.release.root_hash == release.root_hash) {
            Some(refused) => Err(Refusal::Refused { version, reason: refused.reason }),
            None => Ok(()),
        }
    }
}

impl Plan {
    /// For whoever treats a disk from outside, where no node runs that could
    /// have anything against a release: it only has to fit, and not to be in
    /// the slot that counts as running.
    ///
    /// # Errors
    /// [`Refusal::Manifest`], [`Refusal::OtherLayout`], [`Refusal::DoesNotFit`]
    /// or [`Refusal::AlreadyInOther`], the other being the one that runs.
    pub fn from_outside(table: &Gpt, running: Slot, manifest: &Manifest) -> Result<Self, Refusal> {
        let payload = Payload::parse(manifest)?;
        let places = payload.places(table, running.other())?;
        if payload.is_in(table, running) {
            let state = table.slots().map_or(State::Empty, |pair| pair.of(running).state());
            let version = manifest.version.clone();
            return Err(Refusal::AlreadyInOther { version, slot: running.name(), state });
        }
        let running = Running { slot: running, committed: true };
        Ok(Self { running, places, payload, is_forced: false })
    }
}

/// A manifest turned into what it means.
///
/// # Invariants
/// Sizes agree with each other and are of at least one byte.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    pub(crate) release: private::Release,
    pub(crate) variant: String,
    pub(crate) rollback_index: u64,
    pub(crate) floor: u64,
    pub(crate) root_hash: Hash,
    pub(crate) blocks: u64,
    pub(crate) tree_size: u64,
    layout: String,
    pub(crate) uki_size: u64,
    pub(crate) uki_sha256: String,
    pub(crate) command_line: String,
}

impl Payload {
    fn parse(manifest: &Manifest) -> Result<Self, Refusal> {
        let not_valid = |what| Refusal::Manifest { what };
        if manifest.schema != 1 {
            return Err(not_valid("it is not of schema 1"));
        }
        let root_hash =
            hex::decode_array(&manifest.root.root_hash).ok_or(not_valid("its root hash is no SHA-256"))?;
        // Blocks are hashed under the one salt of all images.
        if manifest.root.salt != hex::encode(&verity::SALT) {
            return Err(not_valid("its hash tree has a salt that is not known here"));
        }
        let blocks = manifest.root.blocks;
        if blocks == 0 || blocks.checked_mul(BLOCK_BYTES as u64) != Some(manifest.root.size) {
            return Err(not_valid("its root is not as large as its blocks"));
        }
        if manifest.hash.size != verity::tree_bytes(blocks) {
            return Err(not_valid("its hash tree is not as large as its root needs"));
        }
        if manifest.uki.size == 0 {
            return Err(not_valid("it has no kernel image"));
        }
        let release = private::Release::new(&manifest.version, root_hash)
            .ok_or(not_valid("its version is longer than 64 bytes"))?;
        Ok(Self {
            release,
            variant: manifest.variant.clone(),
            rollback_index: manifest.rollback_index,
            floor: manifest.floor,
            root_hash,
            blocks,
            tree_size: manifest.hash.size,
            layout: manifest.layout.clone(),
            uki_size: manifest.uki.size,
            uki_sha256: manifest.uki.sha256.clone(),
            command_line: manifest.uki.command_line.clone(),
        })
    }

    /// Where it goes, if the disk has its partitions and room in them.
    fn places(&self, table: &Gpt, slot: Slot) -> Result<Places, Refusal> {
        let own = disk::layout_digest(table).unwrap_or_else(|| "another system's".to_owned());
        let (true, Ok(places)) = (self.layout == own, Places::of(table, slot)) else {
            return Err(Refusal::OtherLayout { offered: self.layout.clone(), own });
        };
        for (part, size, role, extent) in [
            ("kernel image", self.uki_size, slot.boot(), places.boot),
            ("root", self.blocks * BLOCK_BYTES as u64, slot.root(), places.root),
            ("hash tree", self.tree_size, slot.hash(), places.hash),
        ] {
            let room = extent.size_bytes();
            if size > room {
                return Err(Refusal::DoesNotFit { part, size, partition: role.name(), room });
            }
        }
        Ok(places)
    }

    /// Whether a slot is named after its root. Half of a name is enough for the
    /// kernel to take the wrong one.
    fn is_in(&self, table: &Gpt, slot: Slot) -> bool {
        let guid = |role| table.partition(role).map(|entry| entry.guid);
        guid(slot.root()) == Some(Guid::of_root(&self.root_hash))
            || guid(slot.hash()) == Some(Guid::of_hash(&self.root_hash))
    }
}
