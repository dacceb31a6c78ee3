//! The memory of an evaluation: a bump arena that is never freed.
//!
//! Values point at each other freely, also in circles, and most live until the
//! answer is printed. Counting references would cost on every copy and free
//! little; a collector would have to find its roots in Rust's stack. So one
//! command evaluates once and the process's end frees everything. Growing
//! strings are ropes (see `value::Str`), since a loop of appends is the one
//! pattern that would fill the arena.

use bumpalo::Bump;

#[derive(Clone, Copy)]
pub struct Heap(&'static Bump);

impl Heap {
    #[expect(clippy::new_without_default, reason = "leaks by design, which a Default would hide")]
    pub fn new() -> Self {
        Self(Box::leak(Box::new(Bump::new())))
    }

    #[inline]
    pub fn put<T: Copy>(self, value: T) -> &'static T {
        self.0.alloc(value)
    }

    /// For cells, which are not `Copy`, and for what holds memory of its own.
    #[inline]
    pub fn cell<T>(self, value: T) -> &'static T {
        self.0.alloc(value)
    }

    pub fn bytes(self, bytes: &[u8]) -> &'static [u8] {
        self.0.alloc_slice_copy(bytes)
    }

    pub fn slice<T: Copy>(self, items: &[T]) -> &'static [T] {
        self.0.alloc_slice_copy(items)
    }

    pub fn fill<T>(self, count: usize, item: impl FnMut(usize) -> T) -> &'static [T] {
        self.0.alloc_slice_fill_with(count, item)
    }

    /// Bytes taken so far.
    pub fn allocated(self) -> usize {
        self.0.allocated_bytes()
    }
}
