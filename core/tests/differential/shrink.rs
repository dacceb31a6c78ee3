//! Smaller programs that still differ: choices are dropped and lowered, and
//! the program is drawn again from what is left.

use crate::generate::{self, Choices};
use crate::twins::{Outcome, Twins};

/// Candidates are tried together, since starting the judge is what costs.
const TOGETHER: usize = 60;
const ROUNDS: usize = 25;

pub(crate) fn shrink(
    twins: &mut Twins,
    choices: Choices,
    program: String,
    outcome: Outcome,
) -> (String, Outcome) {
    let mut best = (choices.taken(), program, outcome);
    for _ in 0..ROUNDS {
        let mut seen = std::collections::HashSet::new();
        let mut drawn = Vec::new();
        for candidate in candidates(&best.0) {
            let mut choices = Choices::fixed(candidate);
            let program = generate::program(&mut choices);
            let smaller = program.len() < best.1.len();
            if smaller && seen.insert(program.clone()) {
                drawn.push((choices.taken(), program));
            }
        }
        drawn.sort_by_key(|(_, program)| program.len());
        let Some(better) = drawn.chunks(TOGETHER).take(3).find_map(|some| first_different(twins, some))
        else {
            break;
        };
        best = better;
    }
    (best.1, best.2)
}

fn first_different(twins: &mut Twins, drawn: &[(Vec<u32>, String)]) -> Option<(Vec<u32>, String, Outcome)> {
    let programs: Vec<String> = drawn.iter().map(|(_, program)| program.clone()).collect();
    let outcomes = twins.compare(&programs);
    drawn.iter().zip(outcomes).find_map(|((choices, program), outcome)| {
        matches!(outcome, Outcome::Different { .. }).then(|| (choices.clone(), program.clone(), outcome))
    })
}

fn candidates(choices: &[u32]) -> Vec<Vec<u32>> {
    let mut candidates = Vec::new();
    for width in [32, 16, 8, 4, 2, 1] {
        for start in (0..choices.len()).step_by((width / 2).max(1)) {
            let end = (start + width).min(choices.len());
            candidates.push([&choices[..start], &choices[end..]].concat());
        }
    }
    for (index, choice) in choices.iter().enumerate() {
        for lower in [0, choice / 2] {
            if lower < *choice {
                let mut copy = choices.to_vec();
                copy[index] = lower;
                candidates.push(copy);
            }
        }
    }
    candidates
}
