//! The deep stack that evaluation runs on, and how much of it is left.

use std::cell::Cell;

/// Address space, of which only what is used becomes memory.
const SIZE: usize = 1 << 30;
/// Left over for the frames between two checks: parsing, printing, the
/// library.
const RESERVE: usize = 16 << 20;
/// Assumed on threads that this module did not start.
const FOREIGN: usize = 1 << 20;

thread_local! {
    static FLOOR: Cell<usize> = const { Cell::new(0) };
}

/// Runs `work` on a thread with a deep stack and waits for it.
pub fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("evaluation".to_owned())
            .stack_size(SIZE)
            .spawn_scoped(scope, || {
                enter();
                work()
            })
            .expect("address space for one deep stack");
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Starts a thread with a deep stack that outlives the caller.
pub fn spawn(work: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new()
        .name("evaluation".to_owned())
        .stack_size(SIZE)
        .spawn(|| {
            enter();
            work();
        })
        .expect("address space for one deep stack")
}

fn enter() {
    FLOOR.set(here().saturating_sub(SIZE - RESERVE));
}

/// The address below which evaluation must not go.
pub(super) fn floor() -> usize {
    match FLOOR.get() {
        0 => here().saturating_sub(FOREIGN),
        floor => floor,
    }
}

/// Roughly the top of the stack.
#[inline(always)]
pub(super) fn here() -> usize {
    let mark = 0u8;
    std::ptr::from_ref(std::hint::black_box(&mark)).addr()
}
