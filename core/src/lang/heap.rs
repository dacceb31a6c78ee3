//! The memory of an evaluation: a bump arena that is never freed.
//!
//! Values point at each other freely, also in circles, and most live until the
//! answer is printed. Counting references would cost on every copy and free
//! little; a collector would have to find its roots in Rust's stack. So one
//! command evaluates once and the process's end frees everything. Growing
//! strings are ropes (see `value::Str`), since a loop of appends is the one
//! pattern that would fill the arena; the variables of a call that left
//! nothing behind are taken back at once (see [`Heap::take_back`]).
//!
//! This is the language's only unsafe code. A bump allocator from a crate
//! cannot take back, has no ceiling, and does not ask for huge pages; the three
//! together are a third of the time and most of the memory of a program that
//! calls functions (`core/benches/README.md` has the numbers).
#![expect(unsafe_code, reason = "an arena hands out memory; measured, see above")]

use std::alloc::{Layout, alloc};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy)]
pub struct Heap(&'static Arena);

struct Arena {
    /// What the next allocation gets; a multiple of [`ALIGNMENT`].
    next: Cell<NonNull<u8>>,
    end: Cell<usize>,
    /// Memory before this address is not taken back.
    begin: Cell<usize>,
    chunk_size: Cell<usize>,
    /// Bytes of all chunks.
    taken: Cell<usize>,
    ceiling: Cell<usize>,
    /// The address that the stack must not pass; other threads may raise it to
    /// end an evaluation.
    stack_floor: AtomicUsize,
}

/// Enough for everything that values are made of.
const ALIGNMENT: usize = 8;
/// What a small evaluation needs, so that it starts quickly.
const FIRST_CHUNK: usize = 256 << 10;
const LARGEST_CHUNK: usize = 32 << 20;
/// From here on chunks are aligned and backed by huge pages: faults on small
/// ones are a tenth of the time of a program that fills memory.
const HUGE_PAGE: usize = 2 << 20;

/// Payload of the unwinding that ends an evaluation whose memory is used up
/// where no error could be returned.
pub struct Exhausted;

/// A place in the heap, before something was put there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(NonNull<u8>);

impl Heap {
    #[expect(clippy::new_without_default, reason = "leaks by design, which a Default would hide")]
    pub fn new() -> Self {
        Self(Box::leak(Box::new(Arena {
            next: Cell::new(NonNull::<u64>::dangling().cast()),
            end: Cell::new(NonNull::<u64>::dangling().addr().get()),
            begin: Cell::new(usize::MAX),
            chunk_size: Cell::new(FIRST_CHUNK),
            taken: Cell::new(0),
            ceiling: Cell::new(usize::MAX),
            stack_floor: AtomicUsize::new(0),
        })))
    }

    #[inline]
    pub fn put<T: Copy>(self, value: T) -> &'static T {
        self.cell(value)
    }

    /// For cells, which are not `Copy`, and for what holds memory of its own.
    #[inline]
    pub fn cell<T>(self, value: T) -> &'static T {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let place = self.reserve(size_of::<T>()).cast::<T>();
        // SAFETY: `reserve` gave this many bytes, aligned, to nobody else, and
        // they stay allocated until the process ends or `take_back`'s caller
        // has shown that nothing refers to them.
        unsafe {
            place.write(value);
            place.as_ref()
        }
    }

    pub fn bytes(self, bytes: &[u8]) -> &'static [u8] {
        self.slice(bytes)
    }

    /// The two laid end to end.
    pub fn joined(self, left: &[u8], right: &[u8]) -> &'static [u8] {
        let place = self.reserve(left.len() + right.len());
        // SAFETY: as in `cell`; the sources are slices and cannot overlap new
        // memory.
        unsafe {
            place.copy_from_nonoverlapping(NonNull::from(left).cast(), left.len());
            place.add(left.len()).copy_from_nonoverlapping(NonNull::from(right).cast(), right.len());
            NonNull::slice_from_raw_parts(place, left.len() + right.len()).as_ref()
        }
    }

    #[inline]
    pub fn slice<T: Copy>(self, items: &[T]) -> &'static [T] {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let place = self.reserve(size_of_val(items)).cast::<T>();
        // SAFETY: as in `cell`; the source cannot overlap new memory.
        unsafe {
            place.copy_from_nonoverlapping(NonNull::from(items).cast(), items.len());
            NonNull::slice_from_raw_parts(place, items.len()).as_ref()
        }
    }

    /// `item` may use the heap itself.
    #[inline]
    pub fn fill<T>(self, count: usize, mut item: impl FnMut(usize) -> T) -> &'static [T] {
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        let Some(size) = size_of::<T>().checked_mul(count).filter(|size| *size < isize::MAX as usize) else {
            self.exhausted()
        };
        let place = self.reserve(size).cast::<T>();
        // SAFETY: as in `cell`; each item is written before the slice exists.
        unsafe {
            for index in 0..count {
                place.add(index).write(item(index));
            }
            NonNull::slice_from_raw_parts(place, count).as_ref()
        }
    }

    #[inline(always)]
    fn reserve(self, size: usize) -> NonNull<u8> {
        let size = size.next_multiple_of(ALIGNMENT);
        let next = self.0.next.get();
        if size > self.0.end.get() - next.addr().get() {
            return self.grow(size);
        }
        // SAFETY: there are `size` bytes between `next` and the chunk's end.
        self.0.next.set(unsafe { next.add(size) });
        next
    }

    #[cold]
    #[inline(never)]
    fn grow(self, size: usize) -> NonNull<u8> {
        let arena = self.0;
        let chunk = arena.chunk_size.get();
        let alone = size > chunk / 4;
        let wanted = if alone { size } else { chunk };
        let taken = arena.taken.get().saturating_add(wanted);
        let ceiling = arena.ceiling.get();
        if taken > ceiling {
            // The next check of the stack ends the evaluation with an error;
            // what runs until then gets a little more.
            self.set_stack_floor(usize::MAX);
            if taken - ceiling > (ceiling / 16).max(LARGEST_CHUNK) {
                self.exhausted();
            }
        }
        arena.taken.set(taken);
        let Some(memory) = (if alone { plain(wanted) } else { chunk_of(wanted) }) else { self.exhausted() };
        if alone {
            // Nothing before it may be taken back, as for any allocation.
            arena.begin.set(arena.next.get().addr().get().saturating_add(1));
            return memory;
        }
        arena.chunk_size.set((chunk * 4).min(LARGEST_CHUNK));
        arena.begin.set(memory.addr().get());
        arena.end.set(memory.addr().get() + wanted);
        // SAFETY: `size` is at most a quarter of the chunk.
        arena.next.set(unsafe { memory.add(size) });
        memory
    }

    #[cold]
    fn exhausted(self) -> ! {
        self.set_stack_floor(usize::MAX);
        std::panic::resume_unwind(Box::new(Exhausted))
    }

    #[inline(always)]
    pub(super) fn mark(self) -> Mark {
        Mark(self.0.next.get())
    }

    /// Takes back what was allocated from `first` on, if nothing was allocated
    /// after `last`.
    ///
    /// # Safety
    /// What was allocated between the two marks must be referred to only from
    /// there, by objects allocated after `last`, and by locals that are not
    /// used again.
    #[inline(always)]
    pub(super) unsafe fn take_back(self, first: Mark, last: Mark) {
        // What lies before `begin` is in an older chunk.
        if self.0.next.get() == last.0 && first.0.addr().get() >= self.0.begin.get() && first <= last {
            if cfg!(debug_assertions) {
                // Whoever breaks the promise shall notice in tests.
                let size = last.0.addr().get() - first.0.addr().get();
                // SAFETY: the range lies in one chunk, by the conditions above.
                unsafe { first.0.write_bytes(0xdd, size) };
            }
            self.0.next.set(first.0);
        }
    }

    /// Ends the evaluation if one more object of this size would pass the
    /// ceiling; for what is gathered elsewhere before it is put here.
    pub fn expect_room(self, size_bytes: usize) {
        if size_bytes > self.room().min(isize::MAX as usize) {
            self.exhausted();
        }
    }

    /// Bytes taken so far.
    pub fn allocated(self) -> usize {
        self.0.taken.get()
    }

    /// Bytes that one more object may have.
    pub fn room(self) -> usize {
        self.0.ceiling.get().saturating_sub(self.0.taken.get())
    }

    pub fn ceiling(self) -> usize {
        self.0.ceiling.get()
    }

    pub fn set_ceiling(self, size_bytes: usize) {
        self.0.ceiling.set(size_bytes);
    }

    #[inline(always)]
    pub(super) fn stack_floor(self) -> usize {
        self.0.stack_floor.load(Ordering::Relaxed)
    }

    pub(super) fn stack_floor_cell(self) -> &'static AtomicUsize {
        &self.0.stack_floor
    }

    pub(super) fn set_stack_floor(self, address: usize) {
        self.0.stack_floor.store(address, Ordering::Relaxed);
    }
}

/// Memory from the allocator; the size is not zero.
fn plain(size: usize) -> Option<NonNull<u8>> {
    let layout = Layout::from_size_align(size, ALIGNMENT).ok()?;
    // SAFETY: the size is not zero: nothing of no size asks for memory, and
    // chunks have a size.
    NonNull::new(unsafe { alloc(layout) })
}

/// Memory for many objects. Large chunks come from the kernel itself, so that
/// they begin where a huge page does: an allocator's header in front of each
/// would cost one more.
fn chunk_of(size: usize) -> Option<NonNull<u8>> {
    if size < HUGE_PAGE {
        return plain(size);
    }
    let (readable, private) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let whole = size.checked_add(HUGE_PAGE)?;
    // SAFETY: a new private mapping at an address of the kernel's choice
    // touches no other memory.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), whole, readable, private, -1, 0) };
    if memory == libc::MAP_FAILED {
        return None;
    }
    let memory = NonNull::new(memory.cast::<u8>())?;
    let before = memory.addr().get().next_multiple_of(HUGE_PAGE) - memory.addr().get();
    // SAFETY: the mapping is longer by a huge page than what is used, and what
    // comes before the first one is less than that.
    let memory = unsafe { memory.add(before) };
    // SAFETY: the range was just mapped; the advice changes nothing that a
    // program can see, and its failure neither.
    unsafe { libc::madvise(memory.as_ptr().cast(), size, libc::MADV_HUGEPAGE) };
    Some(memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stay_where_they_were_put() {
        let heap = Heap::new();
        let numbers: Vec<&u64> = (0..100_000).map(|n| heap.put(n)).collect();
        let large = heap.fill(1_000_000, |n| n as u32);
        let text = heap.joined(b"left", b"right");
        assert!(numbers.iter().zip(0..).all(|(stored, n)| **stored == n));
        assert!(large.iter().zip(0..).all(|(stored, n)| *stored == n));
        assert_eq!(text, b"leftright");
    }

    #[test]
    fn only_the_newest_is_taken_back() {
        let heap = Heap::new();
        heap.put(1_u64);
        for keep in [true, false] {
            let first = heap.mark();
            heap.put(2_u64);
            let last = heap.mark();
            if keep {
                heap.put(3_u64);
            }
            // SAFETY: nothing refers to what is taken back.
            unsafe { heap.take_back(first, last) };
            assert_eq!(heap.mark() == first, !keep);
        }
    }

    #[test]
    fn a_large_object_keeps_what_came_before() {
        let heap = Heap::new();
        heap.put(1_u64);
        let first = heap.mark();
        heap.put(2_u64);
        let last = heap.mark();
        heap.fill(1 << 20, |n| n);
        // SAFETY: nothing refers to what is taken back.
        unsafe { heap.take_back(first, last) };
        assert!(heap.mark() == last);
    }

    #[test]
    fn the_ceiling_holds() {
        let heap = Heap::new();
        heap.set_ceiling(1 << 20);
        let fill = std::panic::AssertUnwindSafe(|| {
            loop {
                heap.fill(1000, |n| n);
            }
        });
        let payload = std::panic::catch_unwind(fill).map(|()| "no end").expect_err("it ends");
        assert!(payload.is::<Exhausted>());
        assert!(heap.allocated() < 128 << 20);
    }
}
