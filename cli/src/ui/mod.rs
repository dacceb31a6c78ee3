//! What a user sees of a running plan: a live tree on a terminal, one line a
//! finished step elsewhere, records for programs.

mod lines;
mod records;
mod step;
mod tree;

use std::io::IsTerminal;

use osbuild_core::graph::{Event, Observer};

use lines::Lines;
use records::Records;
use tree::Tree;

/// How much is said while something runs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Verbosity {
    /// Nothing but errors.
    pub(crate) quiet: bool,
    /// The lines of logs, too.
    pub(crate) verbose: bool,
}

/// Shows events: on standard error, unless they are records.
pub(crate) enum Ui {
    Tree(Tree),
    Lines(Lines),
    Records(Records),
    Nothing,
}

impl Ui {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        if verbosity.quiet {
            Self::Nothing
        } else if std::io::stderr().is_terminal() {
            Self::Tree(Tree::new(indicatif::MultiProgress::new(), verbosity.verbose))
        } else {
            Self::Lines(Lines::new(verbosity.verbose))
        }
    }

    /// One record a line on standard output.
    pub(crate) fn records() -> Self {
        Self::Records(Records::default())
    }
}

impl Observer for Ui {
    fn event(&self, event: Event<'_>) {
        match self {
            Self::Tree(tree) => tree.event(event),
            Self::Lines(lines) => lines.event(event),
            Self::Records(records) => records.event(event),
            Self::Nothing => {}
        }
    }
}
