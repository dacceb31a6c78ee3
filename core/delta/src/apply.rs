//! Making the new image from the old one and a delta.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::patch::Patch;
use crate::plan::{Action, Limits, Make, Plan, Step};
use crate::refit::{Emit, Refit};
use crate::{Error, ReadAt, Result, reference};

/// Bytes copied at a time.
const COPY_BYTES: u64 = 256 * 1024;

/// Applies a whole delta; the result is its plan.
///
/// The sink is given the bytes of the new image in order, each time with their
/// place in it.
///
/// # Errors
/// Any of [`Error`]; the sink has then been given bytes already, and they are
/// worth nothing but what a hash tree says of them. [`Error::OtherImage`] if all
/// went well but the digest is not the one stated.
pub fn apply(
    old: &(impl ReadAt + ?Sized),
    mut delta: impl Read,
    limits: &Limits,
    sink: &mut impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> Result<Plan> {
    let plan = Plan::read(&mut delta, limits)?;
    let mut hasher = Sha256::new();
    plan.run(0, old, &mut delta, &mut |place: u64, bytes: &[u8]| {
        hasher.update(bytes);
        sink(place, bytes)
    })?;
    let digest: [u8; 32] = hasher.finalize().into();
    if digest == plan.new.sha256 { Ok(plan) } else { Err(Error::OtherImage) }
}

impl Plan {
    /// Does the steps from one on; `delta` begins with that one's payload.
    ///
    /// The digest of the whole is not looked at, since the bytes before are not
    /// there to be hashed.
    ///
    /// # Errors
    /// As [`apply`].
    pub fn run(
        &self,
        first: usize,
        old: &(impl ReadAt + ?Sized),
        delta: &mut impl Read,
        sink: &mut impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let mut buffer = Vec::new();
        for step in self.steps.get(first..).unwrap_or_default() {
            run_step(step, old, delta, sink, &mut buffer)?;
        }
        Ok(())
    }
}

/// Does one step. Nothing but the copying buffer outlives it, so that the
/// memory taken is that of the largest step, not of the largest parts of all.
fn run_step(
    step: &Step,
    old: &(impl ReadAt + ?Sized),
    delta: &mut impl Read,
    sink: &mut impl FnMut(u64, &[u8]) -> io::Result<()>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let mut place = step.output_offset;
    let end = step.output_offset + step.output_bytes;
    let mut emit = |bytes: &[u8]| -> Result<()> {
        let after = place.checked_add(bytes.len() as u64).filter(|after| *after <= end);
        // The frames came out larger than they did where the delta was made.
        let after = after.ok_or(Error::OtherImage)?;
        sink(place, bytes).map_err(Error::WriteNew)?;
        place = after;
        Ok(())
    };
    match &step.action {
        Action::Copy { old_offset } => copy(*old_offset, step.output_bytes, old, &mut emit, buffer)?,
        Action::Make(make) => make_frames(make, old, delta, &mut emit)?,
    }
    if place == end { Ok(()) } else { Err(Error::OtherImage) }
}

fn copy(
    start: u64,
    bytes: u64,
    old: &(impl ReadAt + ?Sized),
    emit: Emit<'_>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    let mut done = 0;
    while done < bytes {
        let now = (bytes - done).min(COPY_BYTES);
        buffer.resize(now as usize, 0);
        old.read_exact_at(buffer, start + done).map_err(Error::ReadOld)?;
        emit(buffer)?;
        done += now;
    }
    Ok(())
}

fn make_frames(
    make: &Make,
    old: &(impl ReadAt + ?Sized),
    delta: &mut impl Read,
    emit: Emit<'_>,
) -> Result<()> {
    let reference = reference::load(old, make)?;
    let control = read_stored(delta, make.control_bytes)?;
    let difference = read_stored(delta, make.difference_bytes)?;
    let mut extra = delta.take(make.extra_bytes);
    let mut patch = Patch::new(
        &reference,
        &control,
        &difference,
        extra.by_ref().take(make.extra_bytes),
        make.window_log,
    )?;
    let mut refit = Refit::default();
    for cut in &make.cuts {
        refit.cut(cut, &mut |buffer| patch.fill(buffer), emit)?;
    }
    patch.finish()?;
    if extra.limit() == 0 { Ok(()) } else { Err(Error::delta("a stream ends before its end")) }
}

/// The plan has bounded how many bytes these are.
fn read_stored(delta: &mut impl Read, bytes: u64) -> Result<Vec<u8>> {
    let bytes = usize::try_from(bytes).map_err(|_| Error::delta("a stream is too long"))?;
    let mut stored = vec![0; bytes];
    delta.read_exact(&mut stored).map_err(Error::ReadDelta)?;
    Ok(stored)
}
