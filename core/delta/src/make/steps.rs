//! From two images in pieces to the steps and payloads of a delta.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::compress;
use super::difference::{Instruction, instructions};
use super::packing::{Packing, Unpacked};
use super::pieces::{Kind, Pair};
use super::suffixes::Suffixes;
use crate::plan::{Action, CONTROL_WINDOW_LOG, Cut, Form, Limits, Make, Piece, Step};
use crate::varint::{put, put_signed};
use crate::{Error, Result};

/// Unpacked bytes that one step makes, unless one piece has more. A node that
/// was interrupted does one step again.
const RUN_BYTES: usize = 32 << 20;

/// How far the streams of a step reach back, as powers of two: all of a run, and
/// less if that takes too much memory.
const WINDOW_LOGS: [u32; 3] = [25, 22, 20];

/// A reference beyond this is not sorted. Tables and files are far smaller.
const MAX_REFERENCE_BYTES: usize = 1 << 30;

/// A copy of fewer bytes costs more than it spares: a step, and one more behind
/// it whose reference is listed again.
const COPY_WORTH_BYTES: usize = 64;

/// Memory for what the plan lists, which is not known before it is complete.
const LISTED_BYTES: u64 = 4 << 20;

pub(super) fn make(pair: &Pair<'_>, limits: &Limits) -> Result<(Vec<Step>, Vec<u8>)> {
    let mut maker = Maker {
        pair,
        memory_bytes: limits.memory_bytes.saturating_sub(LISTED_BYTES),
        packing: Packing::new(),
        known: None,
        steps: Vec::new(),
        payload: Vec::new(),
    };
    let mut run = Run::default();
    for (index, copy) in copies(pair).into_iter().enumerate() {
        match copy {
            Some(old_offset) => {
                maker.make_run(std::mem::take(&mut run))?;
                maker.copy(old_offset, index);
            }
            None => {
                let unpacked = maker.packing.unpack(pair.new, &pair.new_pieces[index]);
                if run.bytes + unpacked.bytes.len() > RUN_BYTES {
                    maker.make_run(std::mem::take(&mut run))?;
                }
                run.bytes += unpacked.bytes.len();
                run.pieces.push((index, unpacked));
            }
        }
    }
    maker.make_run(run)?;
    Ok((maker.steps, maker.payload))
}

pub(super) fn patch_bytes(reference: &[u8], new: &[u8]) -> usize {
    let piece = Piece { start: 0, stored_bytes: reference.len() as u32, is_frame: false };
    let suffixes = Suffixes::new(reference.to_vec());
    let reference =
        Reference { numbers: vec![0], pieces: vec![piece], starts: vec![0, reference.len()], suffixes };
    let found = instructions(&reference.suffixes, new);
    let streams = OpenStreams::new(&reference, &Used::new(&reference, &found), &found, new);
    streams.compress(WINDOW_LOGS[0]).bytes()
}

/// For each new piece where the old image has the same bytes.
fn copies(pair: &Pair<'_>) -> Vec<Option<usize>> {
    let mut known: HashMap<&[u8], usize> = HashMap::new();
    for piece in &pair.old_pieces {
        known.entry(&pair.old[piece.start..piece.end]).or_insert(piece.start);
    }
    let mut end = None;
    let mut copies = Vec::with_capacity(pair.new_pieces.len());
    for piece in &pair.new_pieces {
        let bytes = &pair.new[piece.start..piece.end];
        let follows = end.filter(|end| pair.old.get(*end..).is_some_and(|rest| rest.starts_with(bytes)));
        let found = follows.or_else(|| known.get(bytes).copied().filter(|_| bytes.len() >= COPY_WORTH_BYTES));
        end = found.map(|start| start + bytes.len());
        copies.push(found);
    }
    copies
}

/// New pieces that follow each other and are to be made.
#[derive(Default)]
struct Run<'i> {
    pieces: Vec<(usize, Unpacked<'i>)>,
    bytes: usize,
    /// Made without the old image, which is of no use or takes too much memory.
    is_literal: bool,
}

struct Maker<'p, 'i> {
    pair: &'p Pair<'i>,
    memory_bytes: u64,
    packing: Packing,
    known: Option<Reference>,
    steps: Vec<Step>,
    payload: Vec<u8>,
}

/// Old pieces, unpacked one after the other, and sorted.
struct Reference {
    /// By their numbers.
    numbers: Vec<usize>,
    pieces: Vec<Piece>,
    /// Where each begins, and where the last ends.
    starts: Vec<usize>,
    suffixes: Suffixes,
}

impl Maker<'_, '_> {
    fn copy(&mut self, old_offset: usize, index: usize) {
        let piece = &self.pair.new_pieces[index];
        let (old_offset, bytes) = (old_offset as u64, (piece.end - piece.start) as u64);
        if let Some(Step { action: Action::Copy { old_offset: start }, output_bytes, .. }) =
            self.steps.last_mut()
        {
            if *start + *output_bytes == old_offset {
                *output_bytes += bytes;
                return;
            }
        }
        self.push(Action::Copy { old_offset }, bytes, 0);
    }

    fn push(&mut self, action: Action, output_bytes: u64, delta_bytes: u64) {
        let output_offset = self.steps.last().map_or(0, |last| last.output_offset + last.output_bytes);
        // Counted from the head's end, whose place is known when it is written.
        let delta_offset = self.payload.len() as u64 - delta_bytes;
        self.steps.push(Step { output_offset, output_bytes, delta_offset, delta_bytes, action });
    }

    /// Makes a step of a run, or several where one would take too much memory.
    fn make_run(&mut self, mut run: Run<'_>) -> Result<()> {
        let (Some((first, _)), Some((last, _))) = (run.pieces.first(), run.pieces.last()) else {
            return Ok(());
        };
        let stored_bytes = self.pair.new_pieces[*last].end - self.pair.new_pieces[*first].start;
        let (mut make, open) = self.draft(&run);
        // The widest windows that memory is left for.
        let fits = |make: &Make| make.memory_bytes() <= self.memory_bytes;
        let is_possible = WINDOW_LOGS.iter().any(|window_log| {
            make.window_log = *window_log;
            fits(&make)
        });
        if is_possible {
            let streams = open.compress(make.window_log);
            make.control_bytes = streams.control.len() as u64;
            make.difference_bytes = streams.difference.len() as u64;
            make.extra_bytes = streams.extra.len() as u64;
            if fits(&make) && (streams.bytes() <= stored_bytes || run.is_literal) {
                self.payload.extend_from_slice(&streams.control);
                self.payload.extend_from_slice(&streams.difference);
                self.payload.extend_from_slice(&streams.extra);
                self.push(Action::Make(make), stored_bytes as u64, streams.bytes() as u64);
                return Ok(());
            }
        }
        if !fits(&make) && run.pieces.len() > 1 {
            let second = run.pieces.split_off(run.pieces.len() / 2);
            self.make_run(Run { pieces: run.pieces, ..Run::default() })?;
            return self.make_run(Run { pieces: second, ..Run::default() });
        }
        if run.is_literal {
            let (needed, limit) = (make.memory_bytes(), self.memory_bytes);
            return Err(Error::Limit { what: "memory", needed, limit });
        }
        // What it holds is of no use, so it goes in as it is.
        let stored = |index: usize| {
            let piece = &self.pair.new_pieces[index];
            Unpacked { bytes: self.pair.new[piece.start..piece.end].into(), form: Form::Plain }
        };
        let pieces = run.pieces.iter().map(|(index, _)| (*index, stored(*index))).collect();
        self.make_run(Run { pieces, is_literal: true, ..Run::default() })
    }

    /// A step but for its streams, which are not compressed yet.
    fn draft(&mut self, run: &Run<'_>) -> (Make, OpenStreams) {
        let bytes =
            run.pieces.iter().map(|(_, unpacked)| unpacked.bytes.as_ref()).collect::<Vec<_>>().concat();
        let reference = self.reference(run);
        let found = instructions(&reference.suffixes, &bytes);
        let used = Used::new(&reference, &found);
        let open = OpenStreams::new(&reference, &used, &found, &bytes);
        self.known = Some(reference);
        let make = Make {
            reference_bytes: used.bytes,
            pieces: used.pieces,
            cuts: cuts(run),
            window_log: WINDOW_LOGS[0],
            ..Make::default()
        };
        (make, open)
    }

    /// What the old image holds of what the run's pieces hold.
    fn reference(&mut self, run: &Run<'_>) -> Reference {
        let groups = run.pieces.iter().flat_map(|(index, unpacked)| {
            // A block that goes in as it is has nothing in common with any.
            let is_packed = unpacked.form == Form::Plain && self.pair.new_pieces[*index].kind != Kind::Plain;
            let sources = if is_packed || run.is_literal { &[][..] } else { &self.pair.sources[*index] };
            sources.iter().flat_map(|group| &self.pair.groups[*group]).copied()
        });
        let numbers: BTreeSet<usize> = groups.collect();
        let numbers: Vec<usize> = numbers.into_iter().collect();
        match self.known.take() {
            Some(known) if known.numbers == numbers => known,
            _ => Reference::new(self.pair, numbers),
        }
    }
}

impl Reference {
    fn new(pair: &Pair<'_>, numbers: Vec<usize>) -> Self {
        let (mut pieces, mut starts, mut bytes) = (Vec::new(), vec![0], Vec::new());
        for number in &numbers {
            let piece = &pair.old_pieces[*number];
            let stored = piece.frame(pair.old);
            let unpacked = piece.unpack(pair.old);
            let is_frame = piece.is_frame() && unpacked.is_some();
            let unpacked = unpacked.unwrap_or(stored.into());
            let is_possible = u32::try_from(stored.len()).is_ok_and(|size| size < 1 << 31);
            if !is_possible || unpacked.is_empty() || bytes.len() + unpacked.len() > MAX_REFERENCE_BYTES {
                continue;
            }
            let start = piece.frame_start() as u64;
            pieces.push(Piece { start, stored_bytes: stored.len() as u32, is_frame });
            bytes.extend_from_slice(&unpacked);
            starts.push(bytes.len());
        }
        Self { numbers, pieces, starts, suffixes: Suffixes::new(bytes) }
    }
}

/// The pieces of a reference that instructions read, and where they are when
/// the others are left out.
struct Used {
    pieces: Vec<Piece>,
    bytes: u64,
    /// For each piece of the whole reference, by how much its place moves.
    shifts: Vec<usize>,
}

impl Used {
    fn new(reference: &Reference, found: &[Instruction]) -> Self {
        let mut is_used = vec![false; reference.pieces.len()];
        for instruction in found.iter().filter(|instruction| instruction.add > 0) {
            let range = reference.pieces_in(instruction.from..instruction.from + instruction.add);
            is_used[range].fill(true);
        }
        let (mut pieces, mut shifts, mut left_out) = (Vec::new(), Vec::new(), 0);
        for (index, piece) in reference.pieces.iter().enumerate() {
            shifts.push(left_out);
            if is_used[index] {
                pieces.push(*piece);
            } else {
                left_out += reference.starts[index + 1] - reference.starts[index];
            }
        }
        let bytes = (reference.suffixes.text().len() - left_out) as u64;
        Self { pieces, bytes, shifts }
    }
}

impl Reference {
    /// The pieces that hold some bytes, of which there is at least one.
    fn pieces_in(&self, bytes: Range<usize>) -> Range<usize> {
        let first = self.starts.partition_point(|start| *start <= bytes.start) - 1;
        let end = self.starts.partition_point(|start| *start < bytes.end);
        first..end
    }
}

/// The streams of a patch, before they are compressed.
struct OpenStreams {
    control: Vec<u8>,
    difference: Vec<u8>,
    extra: Vec<u8>,
}

impl OpenStreams {
    fn new(reference: &Reference, used: &Used, found: &[Instruction], new: &[u8]) -> Self {
        let text = reference.suffixes.text();
        let (mut control, mut difference, mut extra) = (Vec::new(), Vec::new(), Vec::new());
        let (mut place, mut at) = (0, 0);
        for instruction in found {
            let from = match instruction.add {
                0 => place,
                _ => {
                    instruction.from
                        - used.shifts[reference.pieces_in(instruction.from..instruction.from + 1).start]
                }
            };
            put_signed(&mut control, from as i64 - place as i64);
            put(&mut control, instruction.add as u64);
            put(&mut control, instruction.take as u64);
            let (added, rest) = new[at..].split_at(instruction.add);
            let old = &text[instruction.from..][..instruction.add];
            difference.extend(added.iter().zip(old).map(|(new, old)| new.wrapping_sub(*old)));
            extra.extend_from_slice(&rest[..instruction.take]);
            place = from + instruction.add;
            at += instruction.add + instruction.take;
        }
        Self { control, difference, extra }
    }

    fn compress(&self, window_log: u32) -> Streams {
        Streams {
            control: compress(&self.control, CONTROL_WINDOW_LOG),
            difference: compress(&self.difference, window_log),
            extra: compress(&self.extra, window_log),
        }
    }
}

/// The streams of a patch, as stored.
struct Streams {
    control: Vec<u8>,
    difference: Vec<u8>,
    extra: Vec<u8>,
}

impl Streams {
    fn bytes(&self) -> usize {
        self.control.len() + self.difference.len() + self.extra.len()
    }
}

fn cuts(run: &Run<'_>) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for (_, unpacked) in &run.pieces {
        let (bytes, form) = (unpacked.bytes.len() as u64, unpacked.form);
        match cuts.last_mut() {
            Some(last) if last.form == form && form == Form::Plain => last.bytes += bytes,
            Some(last) if last.form == form && last.bytes == bytes => last.frames += 1,
            _ => cuts.push(Cut { frames: 1, bytes, form }),
        }
    }
    cuts
}
