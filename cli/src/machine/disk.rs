//! Copies of disk images, which are mostly holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::SeekFrom;

use super::cannot;
use crate::error::Failure;

/// Copies the data of a sparse file and keeps its holes; `mebibytes` may make
/// the copy longer. It appears whole or not at all.
pub(crate) fn copy_sparse(from: &Path, to: &Path, mebibytes: Option<u64>) -> Result<(), Failure> {
    let source = File::open(from).map_err(|error| cannot("open", from, &error))?;
    let length = source.metadata().map_err(|error| cannot("look at", from, &error))?.len();
    let size = mebibytes.map_or(length, |mebibytes| mebibytes << 20);
    if size < length {
        return Err(Failure::usage(
            &format!(
                "--disk-size {} is smaller than the image, which has {} MiB",
                size >> 20,
                length.div_ceil(1 << 20)
            ),
            "",
        ));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside =
        tempfile::NamedTempFile::new_in(folder).map_err(|error| cannot("write in", folder, &error))?;
    copy_data(&source, beside.as_file(), length)
        .and_then(|()| beside.as_file().set_len(size))
        .map_err(|error| cannot("write", to, &error))?;
    beside.persist(to).map_err(|error| cannot("write", to, &error.error))?;
    Ok(())
}

fn copy_data(source: &File, target: &File, length: u64) -> io::Result<()> {
    let mut buffer = vec![0u8; 1 << 20];
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(start) => start,
            // No data beyond.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(start))?;
        at = start;
        while at < end {
            let count = buffer.len().min((end - at) as usize);
            source.read_exact_at(&mut buffer[..count], at)?;
            target.write_all_at(&buffer[..count], at)?;
            at += count as u64;
        }
    }
    Ok(())
}
