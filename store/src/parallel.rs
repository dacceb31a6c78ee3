//! Work on the objects of a closure, several at a time, each after what it
//! refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::path::StorePath;

struct State<E> {
    ready: Vec<StorePath>,
    /// References of each object that are not done yet.
    waiting: BTreeMap<StorePath, usize>,
    running: usize,
    failure: Option<E>,
}

/// Does `work` on every key of `references`, on `jobs` threads. References
/// that are no keys do not count, nor does an object's own. After a failure
/// nothing new is begun.
///
/// # Errors
/// The first failure of `work`.
pub(crate) fn references_first<E: Send>(
    references: &BTreeMap<StorePath, BTreeSet<StorePath>>,
    jobs: usize,
    work: impl Fn(&StorePath) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let mut referrers: BTreeMap<&StorePath, Vec<&StorePath>> = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    for (path, others) in references {
        let mut count = 0;
        for other in others.iter().filter(|other| *other != path && references.contains_key(*other)) {
            referrers.entry(other).or_default().push(path);
            count += 1;
        }
        waiting.insert(path.clone(), count);
    }
    let ready = waiting.iter().filter(|(_, count)| **count == 0).map(|(path, _)| path.clone()).collect();
    let state = Mutex::new(State { ready, waiting, running: 0, failure: None });
    let changed = Condvar::new();
    let worker = || {
        let mut held = state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if held.failure.is_some() {
                return;
            }
            let Some(path) = held.ready.pop() else {
                if held.running == 0 {
                    return;
                }
                held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            held.running += 1;
            drop(held);
            let result = work(&path);
            held = state.lock().unwrap_or_else(PoisonError::into_inner);
            held.running -= 1;
            match result {
                Ok(()) => {
                    for referrer in referrers.get(&path).into_iter().flatten() {
                        let count = held.waiting.get_mut(*referrer).expect("every key waits");
                        *count -= 1;
                        if *count == 0 {
                            held.ready.push((*referrer).clone());
                        }
                    }
                }
                Err(error) => {
                    held.failure.get_or_insert(error);
                }
            }
            changed.notify_all();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, references.len().max(1)) {
            scope.spawn(worker);
        }
    });
    state.into_inner().unwrap_or_else(PoisonError::into_inner).failure.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(number: u8) -> StorePath {
        StorePath::new([number; 20], "x").unwrap()
    }

    /// A tower: each refers to the three below it and to itself.
    fn tower() -> BTreeMap<StorePath, BTreeSet<StorePath>> {
        (0..40u8).map(|n| (path(n), (n.saturating_sub(3)..=n).map(path).collect())).collect()
    }

    #[test]
    fn each_comes_after_its_references() {
        let done = Mutex::new(BTreeSet::new());
        let tower = tower();
        let result = references_first(&tower, 4, |path| {
            let mut done = done.lock().unwrap();
            assert!(tower[path].iter().all(|other| other == path || done.contains(other)));
            done.insert(path.clone());
            Ok::<(), ()>(())
        });
        assert_eq!(result, Ok(()));
        assert_eq!(done.into_inner().unwrap().len(), 40);
    }

    #[test]
    fn nothing_is_begun_after_a_failure() {
        let done = Mutex::new(0);
        let result = references_first(&tower(), 1, |_| {
            let mut done = done.lock().unwrap();
            *done += 1;
            if *done == 5 { Err("five") } else { Ok(()) }
        });
        assert_eq!(result, Err("five"));
        assert_eq!(done.into_inner().unwrap(), 5);
        assert_eq!(references_first(&BTreeMap::new(), 4, |_| Err(())), Ok(()));
    }
}
