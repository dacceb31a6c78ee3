//! Calm lines, for logs and for whoever reads them later.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use osbuild_core::graph::{Event, Observer};

use super::step::Step;

pub(crate) struct Lines {
    /// The lines of logs, too.
    verbose: bool,
    steps: Mutex<HashMap<usize, Step>>,
}

impl Lines {
    pub(super) fn new(verbose: bool) -> Self {
        Self { verbose, steps: Mutex::default() }
    }
}

impl Observer for Lines {
    fn event(&self, event: Event<'_>) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step, name, kind, .. } => {
                steps.insert(step, Step::new(name, kind));
            }
            Event::Line { step, text } if self.verbose => {
                if let Some(step) = steps.get(&step) {
                    eprintln!("{}> {text}", step.name);
                }
            }
            Event::Finished { step, outcome } => {
                if let Some(step) = steps.remove(&step) {
                    eprintln!("{}", step.ended(outcome));
                }
            }
            Event::Warning { text } => eprintln!("warning: {text}"),
            Event::Planned { .. } | Event::Phase { .. } | Event::Progress { .. } | Event::Line { .. } => {}
        }
    }
}
