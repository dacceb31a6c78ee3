//! The bytes of a release, by whichever way costs least: a delta from what
//! runs, the chunks that are missing, or all of it. Whatever comes is judged
//! where it is written.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use osbuild_delta::ReadAt;
use osbuild_delta::choice::{ChunksOffer, Offers, Way, choose};
use osbuild_delta::chunks::{self, Cutter, Index, Part as Piece};
use osbuild_delta::plan::{Limits, Plan};
use osbuild_format::verity::BLOCK_BYTES;
use osbuild_install::{Medium, Writing};
use osbuild_transfer::http::{NoBytes, Part};
use osbuild_tuf::metadata::Target;

use crate::repository::{Coming, Place, Repository, all_of, no_bytes};

const BLOCK: u64 = BLOCK_BYTES as u64;
/// A copy of so many bytes between two downloads is downloaded with them.
const GAP_BYTES: u64 = 16 << 10;
/// Read and written at a time.
const PIECE_BYTES: usize = 256 << 10;
/// As whoever looks at a transfer is told.
const ROOT: &str = "root";
const INDEX: &str = "index of chunks";
const TREE: &str = "hash tree";
const KERNEL: &str = "kernel image";

/// A target by its name.
pub struct Named {
    pub name: String,
    pub target: Target,
}

/// The targets by which one image of a release can be had.
pub struct Ways {
    pub whole: Named,
    pub delta: Option<Named>,
    pub chunks: Option<Named>,
}

/// What is told of a transfer while it goes on.
pub trait Observer: Sync {
    /// Which way was chosen, and how many bytes it downloads.
    fn chosen(&self, what: &'static str, way: Way, download_bytes: u64);
    fn came(&self, bytes: u64);
}

/// The hash tree. It is judged by the root hash before it is written.
///
/// # Errors
/// Neither the delta nor the whole could be had.
pub fn tree(
    repository: &Repository<'_>,
    ways: &Ways,
    old: &impl ReadAt,
    size: u64,
    observer: &dyn Observer,
) -> Result<Vec<u8>, String> {
    let whole = &ways.whole;
    if whole.target.length != size {
        return Err(format!("{} has another size than the manifest says", whole.name));
    }
    if let Some(delta) = ways.smaller_delta() {
        observer.chosen(TREE, Way::Delta, delta.target.length);
        // What is not as it should be is not worth more than the whole.
        if let Ok(tree) = tree_by_delta(repository, delta, old, whole, observer) {
            return Ok(tree);
        }
    }
    observer.chosen(TREE, Way::Whole, size);
    let tree = repository.whole(&whole.name, &whole.target)?;
    observer.came(size);
    Ok(tree)
}

fn tree_by_delta(
    repository: &Repository<'_>,
    delta: &Named,
    old: &impl ReadAt,
    whole: &Named,
    observer: &dyn Observer,
) -> Result<Vec<u8>, String> {
    let bytes = repository.whole(&delta.name, &delta.target)?;
    observer.came(delta.target.length);
    let mut tree = Vec::new();
    let limits = Limits::for_partition(whole.target.length);
    osbuild_delta::apply::apply(old, bytes.as_slice(), &limits, &mut |_, bytes| {
        tree.extend_from_slice(bytes);
        Ok(())
    })
    .map_err(|error| all_of(&error))?;
    let mut judge = whole.target.hashes.judge(&whole.name).map_err(|error| all_of(&error))?;
    judge.update(&tree);
    judge.finish().map_err(|error| all_of(&error))?;
    Ok(tree)
}

impl Ways {
    fn smaller_delta(&self) -> Option<&Named> {
        self.delta.as_ref().filter(|delta| delta.target.length < self.whole.target.length)
    }
}

/// A root that is being filled, by whole blocks of 4 KiB.
pub trait Filling {
    /// What is not there, in bytes, sorted.
    ///
    /// # Errors
    /// The disk failed.
    fn missing(&mut self) -> Result<Vec<Range<u64>>, String>;

    /// # Errors
    /// The blocks are not those of the release, or the disk failed.
    fn put(&mut self, first_block: u64, bytes: &[u8]) -> io::Result<()>;
}

impl<D: Medium> Filling for Writing<'_, D> {
    fn missing(&mut self) -> Result<Vec<Range<u64>>, String> {
        let blocks = self.missing_root().map_err(|error| all_of(&error))?;
        Ok(blocks.into_iter().map(|range| range.start * BLOCK..range.end * BLOCK).collect())
    }

    fn put(&mut self, first_block: u64, bytes: &[u8]) -> io::Result<()> {
        self.put_root(first_block, bytes).map_err(io::Error::other)
    }
}

/// Brings the blocks of the root that the slot does not have: each way by one
/// place after the other, since what one gives may be wrong.
///
/// # Errors
/// Of all ways; what came is in the slot and stays there.
pub fn root(
    repository: &Repository<'_>,
    ways: &Ways,
    old: &(impl ReadAt + ?Sized),
    old_bytes: u64,
    slot: &mut impl Filling,
    observer: &dyn Observer,
) -> Result<(), String> {
    let whole = &ways.whole;
    let mut reasons = Vec::new();
    let mut tried: Vec<Way> = Vec::new();
    let mut chunked: Option<Vec<Piece>> = None;
    loop {
        let missing = slot.missing()?;
        if missing.is_empty() {
            return Ok(());
        }
        let mut pieces = vec![Piece::Download(0..whole.target.length)];
        let delta = ways.delta.as_ref().filter(|_| !tried.contains(&Way::Delta));
        let mut offers = Offers {
            whole_bytes: download_bytes(&pieces, &missing),
            chunks: None,
            delta_bytes: delta.map(|delta| delta.target.length),
        };
        let is_new = chunked.is_none() && !tried.contains(&Way::Chunks);
        if let Some(index) = ways.chunks.as_ref().filter(|_| is_new) {
            // Chunks cost their index at least.
            if index.target.length < choose(&offers).download_bytes {
                match look_for_chunks(repository, index, old, old_bytes, observer) {
                    Ok(found) => chunked = Some(found),
                    Err(reason) => {
                        tried.push(Way::Chunks);
                        reasons.push(format!("{:?}: {reason}", Way::Chunks));
                    }
                }
            }
        }
        offers.chunks = chunked
            .as_ref()
            .map(|chunked| ChunksOffer { index_bytes: 0, missing_bytes: download_bytes(chunked, &missing) });
        let choice = choose(&offers);
        if tried.contains(&choice.way) {
            return Err(reasons.join("; "));
        }
        tried.push(choice.way);
        if choice.way == Way::Chunks {
            pieces = chunked.take().unwrap_or(pieces);
        }
        let mut known = Some(missing);
        let done = repository.try_places(|place| {
            let from = Source { repository, place };
            let missing = known.take().map_or_else(|| slot.missing(), Ok)?;
            match (choice.way, delta) {
                // The last of it came from the place before.
                _ if missing.is_empty() => Ok(()),
                (Way::Delta, Some(delta)) => {
                    observer.chosen(ROOT, choice.way, delta.target.length);
                    by_delta(from, delta, old, whole.target.length, &missing, slot, observer)
                }
                _ => {
                    observer.chosen(ROOT, choice.way, download_bytes(&pieces, &missing));
                    by_pieces(from, whole, &pieces, old, &missing, slot, observer)
                }
            }
        });
        if let Err(reason) = done {
            reasons.push(format!("{:?}: {reason}", choice.way));
        }
    }
}

/// One place to ask for bytes.
#[derive(Clone, Copy)]
struct Source<'r, 'h> {
    repository: &'r Repository<'h>,
    place: &'r Place,
}

impl<'h> Source<'_, 'h> {
    fn open(self, named: &Named, part: Part) -> Result<Coming<'h>, String> {
        self.open_part(named, part).map_err(|error| no_bytes(&named.name, &error))
    }

    fn open_part(self, named: &Named, part: Part) -> Result<Coming<'h>, NoBytes> {
        self.repository.open_target(self.place, &named.name, &named.target, part)
    }
}

/// Of what is missing.
fn download_bytes(pieces: &[Piece], missing: &[Range<u64>]) -> u64 {
    let downloads = pieces.iter().filter(|piece| matches!(piece, Piece::Download(_)));
    downloads.flat_map(|piece| missing.iter().map(|range| length(&overlap(piece.range(), range)))).sum()
}

/// Cuts what runs, and looks which of the new chunks it has.
fn look_for_chunks(
    repository: &Repository<'_>,
    named: &Named,
    old: &(impl ReadAt + ?Sized),
    old_bytes: u64,
    observer: &dyn Observer,
) -> Result<Vec<Piece>, String> {
    observer.chosen(INDEX, Way::Chunks, named.target.length);
    let bytes = repository.whole(&named.name, &named.target)?;
    observer.came(named.target.length);
    let index = Index::parse(&bytes).map_err(|error| all_of(&error))?;
    let mut seeds = Vec::new();
    let mut cutter = Cutter::new(index.sizes());
    let mut buffer = vec![0; PIECE_BYTES];
    let mut at = 0;
    while at < old_bytes {
        let count = (old_bytes - at).min(PIECE_BYTES as u64) as usize;
        old.read_exact_at(&mut buffer[..count], at).map_err(|error| format!("the running root: {error}"))?;
        cutter.push(&buffer[..count], &mut |chunk| seeds.push(chunk));
        at += count as u64;
    }
    cutter.finish(&mut |chunk| seeds.push(chunk));
    Ok(chunks::plan(&index, seeds, GAP_BYTES).parts)
}

/// The delta from where the first missing block comes of it.
fn by_delta(
    from: Source<'_, '_>,
    delta: &Named,
    old: &(impl ReadAt + ?Sized),
    new_bytes: u64,
    missing: &[Range<u64>],
    slot: &mut impl Filling,
    observer: &dyn Observer,
) -> Result<(), String> {
    let mut body = Counted { inner: from.open(delta, all(delta))?, observer };
    let plan = Plan::read(&mut body, &Limits::for_partition(new_bytes)).map_err(|error| all_of(&error))?;
    // What comes before the first missing block is there already: its payload is
    // not asked for.
    let first = plan.resume_at(missing.first().map_or(0, |range| range.start));
    let step = plan.steps().get(first).ok_or("the delta ends before the root does")?;
    if first > 0 {
        let start = step.delta_offset;
        let limit = delta.target.length.checked_sub(start).ok_or("the delta is shorter than it says")?;
        body = Counted { inner: from.open(delta, Part::From { start, limit })?, observer };
    }
    let mut blocks = Blocks::new(slot, step.output_offset);
    plan.run(first, old, &mut body, &mut |place, bytes| blocks.put(place, bytes))
        .map_err(|error| all_of(&error))?;
    blocks.finish()
}

/// Piece by piece of what is missing, copied from what runs or downloaded.
fn by_pieces(
    from: Source<'_, '_>,
    whole: &Named,
    pieces: &[Piece],
    old: &(impl ReadAt + ?Sized),
    missing: &[Range<u64>],
    slot: &mut impl Filling,
    observer: &dyn Observer,
) -> Result<(), String> {
    let mut buffer = vec![0; PIECE_BYTES];
    for range in missing {
        let mut blocks = Blocks::new(slot, range.start);
        for piece in pieces {
            let part = overlap(piece.range(), range);
            if part.is_empty() {
                continue;
            }
            match piece {
                Piece::Copy { old_start, new } => {
                    let mut at = part.start;
                    while at < part.end {
                        let count = (part.end - at).min(PIECE_BYTES as u64) as usize;
                        let bytes = &mut buffer[..count];
                        old.read_exact_at(bytes, old_start + (at - new.start))
                            .map_err(|error| format!("the running root: {error}"))?;
                        blocks.put(at, bytes).map_err(|error| error.to_string())?;
                        at += count as u64;
                    }
                }
                Piece::Download(_) => {
                    let wanted = Part::Exactly { start: part.start, end: part.end };
                    let body = match from.open_part(whole, wanted) {
                        // What is there already comes again then, once.
                        Err(NoBytes::NoParts(_)) if pieces.len() == 1 => {
                            return from_the_beginning(from, whole, slot, observer);
                        }
                        opened => opened.map_err(|error| no_bytes(&whole.name, &error))?,
                    };
                    blocks.take(part.start, Counted { inner: body, observer }, &mut buffer)?;
                }
            }
        }
        blocks.finish()?;
    }
    Ok(())
}

/// All of the image, from a server that gives no parts of it.
fn from_the_beginning(
    from: Source<'_, '_>,
    whole: &Named,
    slot: &mut impl Filling,
    observer: &dyn Observer,
) -> Result<(), String> {
    observer.chosen(ROOT, Way::Whole, whole.target.length);
    let body = Counted { inner: from.open(whole, all(whole))?, observer };
    let mut blocks = Blocks::new(slot, 0);
    blocks.take(0, body, &mut vec![0; PIECE_BYTES])?;
    blocks.finish()
}

fn all(named: &Named) -> Part {
    Part::From { start: 0, limit: named.target.length }
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

fn length(range: &Range<u64>) -> u64 {
    range.end - range.start
}

/// Bytes in order, given on as whole blocks.
struct Blocks<'s, S> {
    slot: &'s mut S,
    /// Of the first byte that is held, after those before the first whole block
    /// were passed over: they are there already.
    start: u64,
    held: Vec<u8>,
}

impl<'s, S: Filling> Blocks<'s, S> {
    fn new(slot: &'s mut S, from: u64) -> Self {
        Self { slot, start: from.next_multiple_of(BLOCK), held: Vec::with_capacity(2 * PIECE_BYTES) }
    }

    fn put(&mut self, place: u64, bytes: &[u8]) -> io::Result<()> {
        let expected = self.start + self.held.len() as u64;
        let passed = expected.saturating_sub(place).min(bytes.len() as u64) as usize;
        if place + passed as u64 != expected && passed < bytes.len() {
            return Err(io::Error::other("the bytes have a gap"));
        }
        self.held.extend_from_slice(&bytes[passed..]);
        if self.held.len() >= PIECE_BYTES { self.write() } else { Ok(()) }
    }

    fn take(&mut self, mut place: u64, mut bytes: impl Read, buffer: &mut [u8]) -> Result<(), String> {
        loop {
            let count = bytes.read(buffer).map_err(|error| error.to_string())?;
            if count == 0 {
                return Ok(());
            }
            self.put(place, &buffer[..count]).map_err(|error| error.to_string())?;
            place += count as u64;
        }
    }

    fn write(&mut self) -> io::Result<()> {
        let whole = self.held.len() / BLOCK_BYTES * BLOCK_BYTES;
        if whole > 0 {
            self.slot.put(self.start / BLOCK, &self.held[..whole])?;
            self.held.drain(..whole);
            self.start += whole as u64;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(), String> {
        self.write().map_err(|error| error.to_string())?;
        if self.held.is_empty() { Ok(()) } else { Err("the bytes end within a block".to_owned()) }
    }
}

/// Brings the kernel image, if the slot does not have it.
///
/// # Errors
/// Neither the delta nor the whole of any place gave the image of the manifest.
pub fn kernel<D: Medium>(
    repository: &Repository<'_>,
    ways: &Ways,
    old: &(impl ReadAt + Sync),
    writing: &mut Writing<'_, D>,
    observer: &dyn Observer,
) -> Result<(), String> {
    if writing.has_uki().map_err(|error| all_of(&error))? {
        return Ok(());
    }
    let whole = &ways.whole;
    let length = whole.target.length;
    let mut reasons = Vec::new();
    if let Some(delta) = ways.smaller_delta() {
        let done = repository.try_places(|place| {
            observer.chosen(KERNEL, Way::Delta, delta.target.length);
            let body = Source { repository, place }.open(delta, all(delta))?;
            kernel_by_delta(body, length, old, writing, observer)
        });
        match done {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(format!("{:?}: {reason}", Way::Delta)),
        }
    }
    let done = repository.try_places(|place| {
        observer.chosen(KERNEL, Way::Whole, length);
        let inner = Source { repository, place }.open(whole, all(whole))?;
        writing.put_uki(Counted { inner, observer }).map_err(|error| all_of(&error))
    });
    done.map_err(|reason| {
        reasons.push(format!("{:?}: {reason}", Way::Whole));
        reasons.join("; ")
    })
}

/// What a delta makes is pushed, and what is written is pulled: two threads.
fn kernel_by_delta<D: Medium>(
    body: impl Read + Send,
    new_bytes: u64,
    old: &(impl ReadAt + Sync),
    writing: &mut Writing<'_, D>,
    observer: &dyn Observer,
) -> Result<(), String> {
    let (sender, receiver) = sync_channel::<Vec<u8>>(4);
    std::thread::scope(|scope| {
        let limits = Limits::for_partition(new_bytes);
        let making = scope.spawn(move || make(body, old, &limits, sender, observer));
        let written = writing.put_uki(Pulled { receiver, held: Vec::new(), at: 0 });
        let made = making.join().map_err(|_| "making it ended early".to_owned())?;
        made.and(written.map_err(|error| all_of(&error)))
    })
}

fn make(
    inner: impl Read,
    old: &impl ReadAt,
    limits: &Limits,
    sender: SyncSender<Vec<u8>>,
    observer: &dyn Observer,
) -> Result<(), String> {
    let body = Counted { inner, observer };
    osbuild_delta::apply::apply(old, body, limits, &mut |_, bytes| {
        sender.send(bytes.to_vec()).map_err(|_| io::Error::other("nobody takes it any more"))
    })
    .map(|_| ())
    .map_err(|error| all_of(&error))
}

struct Pulled {
    receiver: Receiver<Vec<u8>>,
    held: Vec<u8>,
    at: usize,
}

impl Read for Pulled {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.held.len() {
            match self.receiver.recv() {
                Ok(bytes) => (self.held, self.at) = (bytes, 0),
                Err(_) => return Ok(0),
            }
        }
        let count = buffer.len().min(self.held.len() - self.at);
        buffer[..count].copy_from_slice(&self.held[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// Tells of what comes.
struct Counted<'o, R> {
    inner: R,
    observer: &'o dyn Observer,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.observer.came(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
