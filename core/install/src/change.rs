//! The partition table, changed by the law alone.

use osbuild_boot::gpt::{self, Gpt, LoadError};
use osbuild_boot::law::{self, Event, Running, Verdict};
use osbuild_boot::slot::{Bits, Pair};

use crate::{Error, Medium, Result};

/// Reads the table anew, repairing the losing copy: between two steps of an
/// update other programs may have changed it.
pub(crate) fn load<D: Medium>(disk: &mut D) -> Result<Gpt> {
    gpt::load_and_repair(disk).map_err(load_error)
}

pub(crate) fn load_error<E: std::error::Error + Send + Sync + 'static>(error: LoadError<E>) -> Error {
    match error {
        LoadError::Disk(source) => Error::disk("read the partition table")(source),
        LoadError::Neither { primary, backup } => Error::NoTable { primary, backup },
    }
}

pub(crate) fn slots(table: &Gpt) -> Result<Pair> {
    table.slots().ok_or(Error::NoPartition("BOOT-A or BOOT-B"))
}

/// The bits of the slot that does not run.
pub(crate) fn others_bits(table: &Gpt, running: Running) -> Result<Bits> {
    Ok(slots(table)?.of(running.slot.other()))
}

/// Changes the table in memory as the law says.
pub(crate) fn apply(table: &mut Gpt, running: Running, event: Event) -> Result<Verdict> {
    let verdict = law::apply(slots(table)?, running, event)?;
    table.set_slots(verdict.bits);
    if verdict.other_emptied {
        table.blank(running.slot.other());
    }
    Ok(verdict)
}

/// O4. The slot is empty on the medium when this returns, also if it was so
/// before: whoever emptied it may have been killed before the flush.
pub(crate) fn empty_other<D: Medium>(disk: &mut D, table: &mut Gpt, running: Running) -> Result<()> {
    let before = table.clone();
    apply(table, running, Event::BeginWrite)?;
    if *table == before {
        return disk.flush().map_err(Error::disk("flush the partition table"));
    }
    store(disk, table)
}

pub(crate) fn store<D: Medium>(disk: &mut D, table: &Gpt) -> Result<()> {
    gpt::store(disk, table).map_err(Error::disk("write the partition table"))
}
