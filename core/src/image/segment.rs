//! `builtin:squashfs-segment`: one package's files, compressed once.
//!
//! Outputs: `data` (blocks, padded to 4 KiB), `index` (where each file is in
//! it), `leaves` (verity hashes of its 4 KiB blocks). Memory is bounded: a
//! window of blocks is in flight, never a whole file.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};

use osbuild_format::hex;
use osbuild_format::squashfs::segment::{Compressor, Owner, RawBlock, SegmentWriter, StoredBlock};
use osbuild_format::verity;
use rayon::prelude::*;
use serde::Deserialize;

use crate::build::builtin::{BuiltinContext, BuiltinError};

use super::files::{check_cancelled, create, failed, open, output, parameters, pool, write};
use super::glob::Glob;
use super::tree::{MemberKind, members};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parameters {
    /// The package's logical store path.
    package: String,
    /// Patterns relative to the package; what they name is left out.
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default = "default_level")]
    level: i32,
    #[serde(default = "default_block_size")]
    block_size: u32,
}

/// mksquashfs's own default: 14 % smaller than level 3 and paid once a package.
fn default_level() -> i32 {
    15
}

fn default_block_size() -> u32 {
    osbuild_format::squashfs::DEFAULT_BLOCK_BYTES
}

/// Runs the builder.
///
/// # Errors
/// Wrong parameters, an unreadable package, a full disk.
pub fn run(context: &BuiltinContext<'_>) -> Result<(), BuiltinError> {
    let parameters: Parameters = parameters(context, "squashfs-segment")?;
    if !(1..=22).contains(&parameters.level) {
        return Err(BuiltinError::Refused(format!("level {}: zstd levels are 1 to 22", parameters.level)));
    }
    let size = parameters.block_size;
    if !size.is_power_of_two() || !(4096..=1 << 20).contains(&size) {
        return Err(BuiltinError::Refused(format!(
            "blockSize {size}: squashfs takes powers of two, 4096 to 1048576"
        )));
    }
    let root = (context.physical)(&parameters.package)?;
    let exclude: Vec<Glob> = parameters.exclude.iter().map(|text| Glob::new(text)).collect();
    let files = Sources::list(&root, &exclude)?;
    let pool = pool(context)?;
    let digests = pool.install(|| files.digests())?;
    let mut sink = Sink::create(output(context, "data")?)?;
    let mut writer = SegmentWriter::new(parameters.block_size, parameters.level);
    let mut reader = Reader::new(&files, &digests);
    let total: u64 = digests.iter().map(|d| d.size).sum();
    compress(context.jobs.max(1), parameters.level, |work| {
        while work.in_flight() > 0 || !reader.finished() {
            check_cancelled(context)?;
            while work.has_room() {
                let Some(block) = reader.next(&mut writer)? else { break };
                work.send(block);
            }
            for block in work.receive() {
                writer.written(&block);
                sink.write(&block)?;
            }
            (context.progress)(reader.done, total);
        }
        Ok(())
    })?;
    let (index, padding) = writer.finish();
    let leaves = sink.finish(padding)?;
    write(output(context, "index")?, &index.to_bytes())?;
    write(output(context, "leaves")?, &leaves)
}

/// The package's files, by path.
struct Sources {
    files: Vec<(String, PathBuf)>,
}

/// What a file holds.
struct Digest {
    blake3: blake3::Hash,
    size: u64,
}

impl Sources {
    fn list(root: &Path, exclude: &[Glob]) -> Result<Self, BuiltinError> {
        let kept = members(root, exclude)?.kept.into_iter();
        let files = kept
            .filter(|member| matches!(member.kind, MemberKind::File { .. }))
            .map(|member| (member.path.clone(), root.join(&member.path)))
            .collect();
        Ok(Self { files })
    }

    fn digests(&self) -> Result<Vec<Digest>, BuiltinError> {
        self.files.par_iter().map(|(_, path)| digest(path)).collect()
    }
}

fn digest(path: &Path) -> Result<Digest, BuiltinError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(open(path)?).map_err(failed("read", path))?;
    Ok(Digest { blake3: hasher.finalize(), size: hasher.count() })
}

/// Blocks in flight a thread: enough that no thread waits for the slowest
/// block, few enough that memory stays at some tens of MiB.
const WINDOW: usize = 32;

/// Blocks on their way through the compressing threads.
struct Work {
    raw: Option<Sender<(usize, RawBlock)>>,
    stored: Receiver<(usize, StoredBlock)>,
    sent: usize,
    taken: usize,
    limit: usize,
    /// Blocks that came back before their turn.
    early: BTreeMap<usize, StoredBlock>,
}

impl Work {
    fn in_flight(&self) -> usize {
        self.sent - self.taken
    }

    fn has_room(&self) -> bool {
        self.in_flight() < self.limit
    }

    fn send(&mut self, block: RawBlock) {
        let raw = self.raw.as_ref().expect("open while the work goes on");
        raw.send((self.sent, block)).expect("the threads end after this");
        self.sent += 1;
    }

    /// Waits for one block, and takes all whose turn it is.
    fn receive(&mut self) -> Vec<StoredBlock> {
        let mut ready = Vec::new();
        if self.in_flight() == 0 {
            return ready;
        }
        let (number, block) = self.stored.recv().expect("the threads end after this");
        self.early.insert(number, block);
        while let Some(block) = self.early.remove(&self.taken) {
            ready.push(block);
            self.taken += 1;
        }
        ready
    }
}

/// Runs `body` beside threads that compress, each with a context of its own.
fn compress(
    jobs: usize,
    level: i32,
    body: impl FnOnce(&mut Work) -> Result<(), BuiltinError>,
) -> Result<(), BuiltinError> {
    let (raw, raw_out) = mpsc::channel::<(usize, RawBlock)>();
    let (stored_in, stored) = mpsc::channel();
    let raw_out = Mutex::new(raw_out);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (raw_out, stored_in) = (&raw_out, stored_in.clone());
            scope.spawn(move || {
                let mut compressor = Compressor::new(level);
                loop {
                    let next = raw_out.lock().expect("no thread panics while it holds this").recv();
                    let Ok((number, block)) = next else { return };
                    if stored_in.send((number, block.store(&mut compressor))).is_err() {
                        return;
                    }
                }
            });
        }
        let early = BTreeMap::new();
        let mut work = Work { raw: Some(raw), stored, sent: 0, taken: 0, limit: jobs * WINDOW, early };
        let done = body(&mut work);
        // Closing both ends lets the threads go, also after a failure.
        work.raw = None;
        drop(work);
        done
    })
}

/// Cuts files into blocks, in order, a batch at a time.
struct Reader<'s> {
    sources: &'s Sources,
    digests: &'s [Digest],
    next: usize,
    /// A large file that is being read: its number in the segment, what is
    /// left of it.
    open: Option<(usize, File, u64)>,
    /// First file of each content.
    seen: HashMap<(blake3::Hash, u64), usize>,
    pending: VecDeque<RawBlock>,
    finished: bool,
    /// Bytes read so far.
    done: u64,
}

impl<'s> Reader<'s> {
    fn new(sources: &'s Sources, digests: &'s [Digest]) -> Self {
        let seen = HashMap::new();
        Self {
            sources,
            digests,
            next: 0,
            open: None,
            seen,
            pending: VecDeque::new(),
            finished: false,
            done: 0,
        }
    }

    fn finished(&self) -> bool {
        self.finished && self.pending.is_empty()
    }

    /// The next block; none at the end.
    fn next(&mut self, writer: &mut SegmentWriter) -> Result<Option<RawBlock>, BuiltinError> {
        while self.pending.is_empty() && !self.finished {
            self.step(writer)?;
        }
        Ok(self.pending.pop_front())
    }

    fn step(&mut self, writer: &mut SegmentWriter) -> Result<(), BuiltinError> {
        if let Some((number, file, left)) = &mut self.open {
            let path = &self.sources.files[self.next - 1].1;
            let take = (*left).min(u64::from(writer.block_bytes())) as usize;
            let mut bytes = vec![0; take];
            file.read_exact(&mut bytes).map_err(failed("read", path))?;
            self.pending.push_back(RawBlock { owner: Owner::File(*number), bytes });
            *left -= take as u64;
            self.done += take as u64;
            if *left == 0 {
                self.open = None;
            }
            return Ok(());
        }
        let Some((relative, path)) = self.sources.files.get(self.next) else {
            self.pending.extend(writer.take_fragment());
            self.finished = true;
            return Ok(());
        };
        let Digest { blake3, size } = &self.digests[self.next];
        self.next += 1;
        let key = (*blake3, *size);
        if let Some(original) = self.seen.get(&key) {
            // A hash that lies would put one file's bytes under another's name.
            same_contents(path, &self.sources.files[*original].1)?;
            writer.add_duplicate(relative.clone(), *original);
            self.done += size;
            return Ok(());
        }
        let digest = hex::encode(blake3.as_bytes());
        let number = if writer.is_small(*size) {
            let contents = std::fs::read(path).map_err(failed("read", path))?;
            self.done += size;
            let (number, full) = writer.add_small(relative.clone(), &contents, digest);
            self.pending.extend(full);
            number
        } else {
            let number = writer.add_large(relative.clone(), *size, digest);
            self.open = Some((number, open(path)?, *size));
            number
        };
        self.seen.insert(key, number);
        Ok(())
    }
}

fn same_contents(a: &Path, b: &Path) -> Result<(), BuiltinError> {
    let (mut left, mut right) = (BufReader::new(open(a)?), BufReader::new(open(b)?));
    let (mut one, mut other) = ([0; 8192], [0; 8192]);
    loop {
        let read = left.read(&mut one).map_err(failed("read", a))?;
        right.read_exact(&mut other[..read]).map_err(failed("read", b))?;
        if one[..read] != other[..read] {
            return Err(BuiltinError::Mismatch(format!(
                "{} and {} have one BLAKE3 digest but differ; the store is damaged",
                a.display(),
                b.display()
            )));
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// The `data` output, hashed as it is written.
struct Sink<'p> {
    path: &'p Path,
    file: BufWriter<File>,
    /// Bytes of a block that is not whole yet.
    partial: Vec<u8>,
    leaves: Vec<u8>,
}

impl<'p> Sink<'p> {
    fn create(path: &'p Path) -> Result<Self, BuiltinError> {
        Ok(Self { path, file: BufWriter::new(create(path)?), partial: Vec::new(), leaves: Vec::new() })
    }

    fn write(&mut self, block: &StoredBlock) -> Result<(), BuiltinError> {
        self.file.write_all(&block.bytes).map_err(failed("write", self.path))?;
        self.partial.extend_from_slice(&block.bytes);
        let whole = self.partial.len() / verity::BLOCK_BYTES * verity::BLOCK_BYTES;
        self.leaves.extend(verity::leaves(&self.partial[..whole]));
        self.partial.drain(..whole);
        Ok(())
    }

    fn finish(mut self, padding: usize) -> Result<Vec<u8>, BuiltinError> {
        let zeros = vec![0; padding];
        self.file.write_all(&zeros).map_err(failed("write", self.path))?;
        self.file.flush().map_err(failed("write", self.path))?;
        self.partial.extend_from_slice(&zeros);
        self.leaves.extend(verity::leaves(&self.partial));
        Ok(self.leaves)
    }
}
