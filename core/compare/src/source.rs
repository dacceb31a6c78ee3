//! Bytes to be compared: a file, a range of it, or what was unpacked from it.
//!
//! A thing is never held in memory because of its size: a partition is a range
//! of its disk's file, a stored member a range of its archive, and what was
//! compressed is unpacked to a scratch file without a name.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::limits::Limits;

/// A run of bytes that can be read anywhere. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Source {
    data: Data,
    start: u64,
    size: u64,
}

#[derive(Clone)]
enum Data {
    File(Rc<File>),
    Memory(Rc<[u8]>),
}

/// Why a container was not opened.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is not what its magic says, or it is damaged.
    Malformed(&'static str),
    /// It is larger than [`Limits`] allow, or uses what this crate cannot read.
    Beyond(String),
    /// Reading or writing failed on the host: the comparison ends.
    Host(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}

pub(crate) const CUT_OFF: Refusal = Refusal::Malformed("it is cut off");

impl Source {
    pub(crate) fn of_file(file: File, size: u64) -> Self {
        Self { data: Data::File(Rc::new(file)), start: 0, size }
    }

    pub(crate) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self { size: bytes.len() as u64, data: Data::Memory(bytes.into()), start: 0 }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// None if the range lies outside.
    pub(crate) fn range(&self, start: u64, size: u64) -> Option<Self> {
        let end = start.checked_add(size)?;
        (end <= self.size).then(|| Self { data: self.data.clone(), start: self.start + start, size })
    }

    /// Everything from `start` on; nothing if that is behind the end.
    pub(crate) fn tail(&self, start: u64) -> Self {
        let start = start.min(self.size);
        Self { data: self.data.clone(), start: self.start + start, size: self.size - start }
    }

    /// Whether both are the same range of the same bytes.
    pub(crate) fn is_same_range(&self, other: &Self) -> bool {
        let same_data = match (&self.data, &other.data) {
            (Data::File(a), Data::File(b)) => Rc::ptr_eq(a, b),
            (Data::Memory(a), Data::Memory(b)) => Rc::ptr_eq(a, b),
            _ => false,
        };
        same_data && self.start == other.start && self.size == other.size
    }

    /// Fills `buffer`, which must lie inside.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let outside = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let end = offset.checked_add(buffer.len() as u64).ok_or_else(outside)?;
        if end > self.size {
            return Err(outside());
        }
        match &self.data {
            Data::File(file) => file.read_exact_at(buffer, self.start + offset),
            Data::Memory(bytes) => {
                let start = (self.start + offset) as usize;
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
                Ok(())
            }
        }
    }

    /// Bytes of a structure. The caller bounds `count`.
    pub(crate) fn bytes(&self, offset: u64, count: usize) -> Result<Vec<u8>, Refusal> {
        if offset.checked_add(count as u64).is_none_or(|end| end > self.size) {
            return Err(CUT_OFF);
        }
        let mut bytes = vec![0; count];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&self, offset: u64) -> Result<[u8; N], Refusal> {
        let mut array = [0; N];
        if offset.checked_add(N as u64).is_none_or(|end| end > self.size) {
            return Err(CUT_OFF);
        }
        self.read_at(offset, &mut array)?;
        Ok(array)
    }

    /// Up to `count` bytes from `offset` on.
    pub(crate) fn up_to(&self, offset: u64, count: usize) -> io::Result<Vec<u8>> {
        let count = self.size.saturating_sub(offset).min(count as u64) as usize;
        let mut bytes = vec![0; count];
        if count != 0 {
            self.read_at(offset, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// All of it, if it has at most `limit` bytes.
    pub(crate) fn whole(&self, limit: u64) -> Result<Vec<u8>, Refusal> {
        if self.size > limit {
            return Err(Refusal::Beyond(format!("it has more than {limit} bytes")));
        }
        self.bytes(0, self.size as usize)
    }

    pub(crate) fn reader(&self) -> BufReader<Cursor> {
        BufReader::with_capacity(64 * 1024, Cursor { source: self.clone(), position: 0 })
    }
}

/// Reads a source from its begin to its end.
pub(crate) struct Cursor {
    source: Source,
    position: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.size.saturating_sub(self.position).min(buffer.len() as u64) as usize;
        if count != 0 {
            self.source.read_at(self.position, &mut buffer[..count])?;
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(by) => (self.position, by),
            SeekFrom::End(by) => (self.source.size, by),
        };
        self.position = base.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Where things are unpacked to, and how much may be.
pub(crate) struct Scratch {
    directory: PathBuf,
    unpacked_bytes: u64,
    total_left: Cell<u64>,
}

impl Scratch {
    pub(crate) fn new(directory: &Path, limits: &Limits) -> Self {
        Self {
            directory: directory.to_owned(),
            unpacked_bytes: limits.unpacked_bytes,
            total_left: Cell::new(limits.unpacked_total_bytes),
        }
    }

    pub(crate) fn spool(&self) -> Spool<'_> {
        Spool { scratch: self, memory: Vec::new(), file: None, size: 0 }
    }
}

/// Collects unpacked bytes: small things in memory, others in a file that has
/// no name and so is gone when it is closed.
pub(crate) struct Spool<'a> {
    scratch: &'a Scratch,
    memory: Vec<u8>,
    file: Option<File>,
    size: u64,
}

/// Up to here nothing is written to a file. Two sides of a few nested things
/// are in memory at a time.
const MEMORY_BYTES: usize = 1 << 20;

impl Spool<'_> {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let count = bytes.len() as u64;
        if self.size + count > self.scratch.unpacked_bytes {
            let limit = self.scratch.unpacked_bytes;
            return Err(Refusal::Beyond(format!("it unpacks to more than {limit} bytes")));
        }
        let left = self.scratch.total_left.get().checked_sub(count);
        let left =
            left.ok_or_else(|| Refusal::Beyond("as much as is allowed was unpacked already".to_owned()))?;
        self.scratch.total_left.set(left);
        self.size += count;
        if self.file.is_none() && self.memory.len() + bytes.len() > MEMORY_BYTES {
            let mut file = tempfile::tempfile_in(&self.scratch.directory)?;
            file.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        Ok(())
    }

    /// Takes everything that `reader`, a decoder, gives.
    pub(crate) fn fill(&mut self, reader: &mut impl Read) -> Result<(), Refusal> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.write(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Decoders give their own errors no number of the system.
                Err(error) if error.raw_os_error().is_some() => return Err(Refusal::Host(error)),
                Err(_) => return Err(Refusal::Malformed("it does not unpack")),
            }
        }
    }

    pub(crate) fn finish(self) -> Source {
        match self.file {
            Some(file) => Source::of_file(file, self.size),
            None => Source::of_bytes(self.memory),
        }
    }
}
