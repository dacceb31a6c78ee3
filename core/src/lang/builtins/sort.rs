//! `sort`: a stable merge sort that uses the runs it finds.
//!
//! The method is peeksort (Munro and Wild, "Nearly-Optimal Mergesorts", ESA
//! 2018, §4): look at the middle first, extend the run found there to both
//! sides, sort what is left and right of it, merge. With a comparator that is
//! an order, every stable sort gives the same list. With one that is none, or
//! that traces, the sequence of comparisons shows; this one is that of Nix
//! since 2.30, found by comparing traces.

use super::{Builtin, Eval, Evaluator, Pos, Value};

pub(super) const BUILTINS: &[Builtin] = &[Builtin::new("sort", 2, sort)];

/// Parts of at most this length are sorted by insertion.
const INSERTION_MAXIMUM: usize = 16;

fn sort(e: &mut Evaluator, args: &[Value], pos: Pos) -> Eval {
    let list = e.force_list(args[1], pos)?;
    if list.is_empty() {
        return Ok(e.list_static(list));
    }
    let function = e.force_function(args[0], pos)?;
    for item in list {
        e.force_at(*item, pos)?;
    }
    let native = matches!(function, Value::Builtin(b) if b.name == "lessThan");
    let less = |e: &mut Evaluator, a: Value, b: Value| -> Eval<bool> {
        if native {
            let (a, b) = (e.force_at(a, pos)?, e.force_at(b, pos)?);
            return e.less_than(a, b, pos);
        }
        let truth = e.call(function, &[a, b], pos)?;
        e.force_bool(truth, pos)
    };
    let mut sorter = Sorter { items: list.to_vec(), spare: list.to_vec(), e, less };
    let end = list.len();
    sorter.peeksort(Part { begin: 0, end, left_run_end: 0, right_run_begin: end })?;
    let items = sorter.items;
    Ok(e.list(&items))
}

struct Sorter<'e, L> {
    items: Vec<Value>,
    /// As long as `items`, for merging.
    spare: Vec<Value>,
    e: &'e mut Evaluator,
    less: L,
}

/// A part of the list; what is known to be sorted is where it begins, up to
/// `left_run_end`, and where it ends, from `right_run_begin`.
struct Part {
    begin: usize,
    end: usize,
    left_run_end: usize,
    right_run_begin: usize,
}

impl<L: FnMut(&mut Evaluator, Value, Value) -> Eval<bool>> Sorter<'_, L> {
    /// Whether the item at `index` belongs before the one at `other`.
    fn less(&mut self, index: usize, other: usize) -> Eval<bool> {
        (self.less)(self.e, self.items[index], self.items[other])
    }

    fn peeksort(&mut self, part: Part) -> Eval<()> {
        let Part { begin, end, left_run_end, right_run_begin } = part;
        if left_run_end == end || right_run_begin == begin {
            return Ok(());
        }
        if end - begin <= INSERTION_MAXIMUM {
            return self.insertion(begin, end);
        }
        let middle = begin + (end - begin) / 2;
        if middle <= left_run_end {
            let rest = Part { begin: left_run_end, end, left_run_end: left_run_end + 1, right_run_begin };
            self.peeksort(rest)?;
            return self.merge(begin, left_run_end, end);
        }
        if middle >= right_run_begin {
            let rest =
                Part { begin, end: right_run_begin, left_run_end, right_run_begin: right_run_begin - 1 };
            self.peeksort(rest)?;
            return self.merge(begin, right_run_begin, end);
        }
        let (run_begin, run_end) = self.run_around(middle, left_run_end, right_run_begin)?;
        if run_begin == begin && run_end == end {
            return Ok(());
        }
        // The run goes with the side that it reaches less far into.
        if middle - run_begin < run_end - middle {
            self.peeksort(Part { begin, end: run_begin, left_run_end, right_run_begin: run_begin - 1 })?;
            self.peeksort(Part { begin: run_begin, end, left_run_end: run_end, right_run_begin })?;
            self.merge(begin, run_begin, end)
        } else {
            self.peeksort(Part { begin, end: run_end, left_run_end, right_run_begin: run_begin })?;
            self.peeksort(Part { begin: run_end, end, left_run_end: run_end + 1, right_run_begin })?;
            self.merge(begin, run_end, end)
        }
    }

    /// The run that holds `middle` and the item before it, between the two
    /// bounds. A strictly falling one is turned round, which keeps equal items
    /// in order.
    fn run_around(&mut self, middle: usize, low: usize, high: usize) -> Eval<(usize, usize)> {
        let falling = self.less(middle, middle - 1)?;
        let mut begin = middle - 1;
        while begin > low && self.less(begin, begin - 1)? == falling {
            begin -= 1;
        }
        let mut last = middle - 1;
        while last + 1 < high && self.less(last + 1, last)? == falling {
            last += 1;
        }
        if falling {
            self.items[begin..=last].reverse();
        }
        Ok((begin, last + 1))
    }

    fn insertion(&mut self, begin: usize, end: usize) -> Eval<()> {
        for index in begin + 1..end {
            let mut at = index;
            while at > begin && self.less(at, at - 1)? {
                self.items.swap(at, at - 1);
                at -= 1;
            }
        }
        Ok(())
    }

    fn merge(&mut self, begin: usize, middle: usize, end: usize) -> Eval<()> {
        self.spare[begin..end].copy_from_slice(&self.items[begin..end]);
        let (mut left, mut right) = (begin, middle);
        for slot in begin..end {
            let take_right = if left == middle {
                true
            } else if right == end {
                false
            } else {
                (self.less)(self.e, self.spare[right], self.spare[left])?
            };
            let from = if take_right { &mut right } else { &mut left };
            self.items[slot] = self.spare[*from];
            *from += 1;
        }
        Ok(())
    }
}
