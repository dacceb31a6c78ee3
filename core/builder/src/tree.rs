//! Trees that programs left: made readable, archived, removed.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use osbuild_nar::{DIGEST_BYTES, MentionScanner, TreeError, dump_path};
use sha2::{Digest, Sha256};

use crate::ReportedOutput;

/// Writes the archive of `tree` to `file`; `candidates` are base names of
/// store objects.
///
/// # Errors
/// The tree holds what no archive can, or an operation failed.
pub(crate) fn archive<'c>(
    tree: &Path,
    file: &Path,
    candidates: impl IntoIterator<Item = &'c String>,
) -> Result<ReportedOutput, TreeError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| TreeError::Io { action, path, source }
    };
    set_readable(tree, 0).map_err(io("make readable", tree))?;
    let out = BufWriter::with_capacity(1 << 17, File::create(file).map_err(io("create", file))?);
    let digest = |name: &String| name.as_bytes().get(..DIGEST_BYTES)?.try_into().ok();
    let candidates = candidates.into_iter().filter_map(|name| Some((digest(name)?, name.clone())));
    let mut sink = Sink { out, hash: Sha256::new(), scanner: MentionScanner::new(candidates), bytes: 0 };
    dump_path(tree, &mut sink)?;
    sink.out.flush().map_err(io("write", file))?;
    let mentions: BTreeSet<String> = sink.scanner.finish();
    let nar_hash = data_encoding::HEXLOWER.encode(&sink.hash.finalize());
    Ok(ReportedOutput { nar_hash, nar_size_bytes: sink.bytes, mentions })
}

struct Sink {
    out: BufWriter<File>,
    hash: Sha256,
    scanner: MentionScanner<String>,
    bytes: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.scanner.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Builders leave files and directories that their owner may not read. The
/// bit that archives keep stays.
fn set_readable(path: &Path, depth: usize) -> io::Result<()> {
    let metadata = path.symlink_metadata()?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_dir() {
        if mode & 0o700 != 0o700 {
            fs::set_permissions(path, Permissions::from_mode(0o755))?;
        }
        // What is deeper is refused by the archive.
        if depth <= osbuild_nar::MAX_DEPTH {
            for entry in path.read_dir()? {
                set_readable(&entry?.path(), depth + 1)?;
            }
        }
    } else if metadata.is_file() && mode & 0o400 == 0 {
        fs::set_permissions(path, Permissions::from_mode(mode | 0o400))?;
    }
    Ok(())
}

/// Removes a tree, also one whose directories have no write bits: whoever
/// lent us the place may not be able to.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    for entry in path.read_dir()? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}
