//! A factory disk whose kernel gets another command line. Nothing but these
//! bytes differs; without keys enrolled, firmware does not mind.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::context::Context;
use crate::gpt;

/// BOOT-A.
const PARTITION: usize = 2;

/// Copies a variant's disk and replaces the text from the first `from` to the
/// next `to`, both included, by what `change` makes of it, padded with blanks.
///
/// # Errors
/// The kernel image has no such text, or the new text is longer.
pub(crate) fn edited_disk(
    context: &Context,
    target: &str,
    disk: &Path,
    from: &str,
    to: &str,
    change: impl FnOnce(&str) -> String,
) -> Result<(), String> {
    let factory = context.build(target)?.join("disk.raw");
    context.copy_image(&factory, disk)?;
    let (start, length) = gpt::extent(disk, PARTITION)?;
    let file = OpenOptions::new().read(true).write(true).open(disk).map_err(|error| error.to_string())?;
    let mut image = vec![0; length as usize];
    file.read_exact_at(&mut image, start).map_err(|error| error.to_string())?;
    let begin = find(&image, from, 0)?;
    let end = find(&image, to, begin)? + to.len();
    let old = String::from_utf8_lossy(&image[begin..end]).into_owned();
    let new = format!("{:<width$}", change(&old), width = old.len());
    if new.len() != old.len() {
        return Err(format!("{new:?} is longer than {old:?}"));
    }
    file.write_all_at(new.as_bytes(), start + begin as u64).map_err(|error| error.to_string())
}

fn find(bytes: &[u8], wanted: &str, from: usize) -> Result<usize, String> {
    bytes[from..]
        .windows(wanted.len())
        .position(|window| window == wanted.as_bytes())
        .map(|at| from + at)
        .ok_or_else(|| format!("the kernel image has no {wanted:?}"))
}
