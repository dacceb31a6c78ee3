//! One evaluator on a deep stack, which reads input after input: starting a
//! thread and installing the built-in functions would cost more than the
//! reading.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, Sender, channel};

use osbuild_core::lang::host::memory::MemoryHost;
use osbuild_core::lang::source::{Origin, Pos};
use osbuild_core::lang::value::Value;
use osbuild_core::lang::{Evaluator, stack};

type Job = Box<dyn FnOnce(&mut Evaluator) + Send>;

/// An evaluator gathers names and texts; a fresh one now and then keeps what
/// each input costs the same.
const INPUTS_PER_EVALUATOR: usize = 2_000;

struct Worker {
    jobs: Sender<Job>,
    done: Receiver<()>,
}

thread_local! {
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

/// Runs `job` on the deep stack and waits.
///
/// # Panics
/// If the job did.
pub(crate) fn run(job: impl FnOnce(&mut Evaluator) + Send + 'static) {
    WORKER.with_borrow_mut(|slot| {
        let worker = slot.get_or_insert_with(start);
        worker.jobs.send(Box::new(job)).expect("the worker lives");
        worker.done.recv().expect("the worker did not panic");
    });
}

fn start() -> Worker {
    let (jobs, inbox) = channel::<Job>();
    let (outbox, done) = channel();
    stack::spawn(move || {
        while let Ok(first) = inbox.recv() {
            let mut evaluator = Evaluator::new(Rc::new(MemoryHost::default()), &[]);
            let mut next = Some(first);
            for _ in 0..INPUTS_PER_EVALUATOR {
                let Some(job) = next.take().or_else(|| inbox.recv().ok()) else { return };
                job(&mut evaluator);
                if outbox.send(()).is_err() {
                    return;
                }
            }
        }
    });
    Worker { jobs, done }
}

/// `builtins.NAME TEXT`, or `None` if it fails.
pub(crate) fn call(evaluator: &mut Evaluator, name: &str, text: &[u8]) -> Option<Value> {
    let code = evaluator.lower_text(format!("builtins.{name}"), Origin::String, "/".as_ref(), None);
    let scope = evaluator.scope(None, 0);
    let function = code.and_then(|code| evaluator.eval(code, scope));
    let function = function.unwrap_or_else(|_| panic!("{name} is a built-in function"));
    let text = evaluator.string(text);
    evaluator.call(function, &[text], Pos::NONE).ok()
}
