//! The archive's grammar on the writing side; whoever walks a tree calls it.

use std::io::{self, Read, Write};

use super::MAGIC;

/// Writes the tokens of an archive in the order in which they are called.
pub struct NarWriter<W> {
    out: W,
    copied: Box<[u8]>,
}

/// Large enough that hashing and not calling dominates, and small enough that
/// what was read is still near the processor when it is hashed: with 256 KiB,
/// reading takes half as long again.
const CHUNK_BYTES: usize = 64 * 1024;

impl<W: Write> NarWriter<W> {
    /// Begins an archive.
    ///
    /// # Errors
    /// Those of `out`, as in every function here.
    pub fn begin(out: W) -> io::Result<Self> {
        let mut writer = Self { out, copied: vec![0; CHUNK_BYTES].into_boxed_slice() };
        writer.string(MAGIC)?;
        Ok(writer)
    }

    /// A regular file's contents: exactly `size` bytes of `contents`. `see`
    /// is shown every chunk. Returns false if `contents` ended early.
    pub fn regular(
        &mut self,
        executable: bool,
        size: u64,
        contents: &mut dyn Read,
        see: &mut dyn FnMut(&[u8]),
    ) -> io::Result<bool> {
        self.begin_regular(executable, size)?;
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let got = match contents.read(&mut self.copied[..want]) {
                Ok(0) => return Ok(false),
                Ok(got) => got,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            see(&self.copied[..got]);
            self.out.write_all(&self.copied[..got])?;
            left -= got as u64;
        }
        self.end_regular(size)?;
        Ok(true)
    }

    /// What comes before a file's contents, where somebody else sees to them.
    pub fn begin_regular(&mut self, executable: bool, size: u64) -> io::Result<()> {
        self.string(b"(")?;
        self.string(b"type")?;
        self.string(b"regular")?;
        if executable {
            self.string(b"executable")?;
            self.string(b"")?;
        }
        self.string(b"contents")?;
        self.out.write_all(&size.to_le_bytes())
    }

    /// What comes after them.
    pub fn end_regular(&mut self, size: u64) -> io::Result<()> {
        self.pad(size)?;
        self.string(b")")
    }

    pub fn symlink(&mut self, target: &[u8]) -> io::Result<()> {
        for text in [b"(".as_slice(), b"type", b"symlink", b"target", target, b")"] {
            self.string(text)?;
        }
        Ok(())
    }

    /// Opens a directory; members follow, each between [`NarWriter::enter`]
    /// and [`NarWriter::leave`], names strictly ascending by bytes.
    pub fn begin_directory(&mut self) -> io::Result<()> {
        self.string(b"(")?;
        self.string(b"type")?;
        self.string(b"directory")
    }

    pub fn enter(&mut self, name: &[u8]) -> io::Result<()> {
        for text in [b"entry".as_slice(), b"(", b"name", name, b"node"] {
            self.string(text)?;
        }
        Ok(())
    }

    pub fn leave(&mut self) -> io::Result<()> {
        self.string(b")")
    }

    pub fn end_directory(&mut self) -> io::Result<()> {
        self.string(b")")
    }

    /// The stream below.
    pub fn inner(&mut self) -> &mut W {
        &mut self.out
    }

    /// The stream below, once the last node was written.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn string(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(&(bytes.len() as u64).to_le_bytes())?;
        self.out.write_all(bytes)?;
        self.pad(bytes.len() as u64)
    }

    fn pad(&mut self, length: u64) -> io::Result<()> {
        let padding = (8 - length % 8) % 8;
        self.out.write_all(&[0; 8][..padding as usize])
    }
}
