//! What running a plan tells.

use std::time::Duration;

/// What happens while a plan runs. `step` tells concurrent steps apart.
#[derive(Debug)]
pub enum Event<'e> {
    /// What there is to do: steps that run, steps that may have to, and, if
    /// builds of all these names ran here, how long it takes if each takes what
    /// it took the last time and nothing waits for a processor.
    Planned { certain: usize, possible: usize, usual: Option<Duration> },
    /// A step begins. `usual` is how long it took the last time; of the steps
    /// that wait for it, `for_step` is the one that most waits for in turn,
    /// `None` for what was asked for.
    Started { step: usize, name: &'e str, kind: Kind, usual: Option<Duration>, for_step: Option<&'e str> },
    /// Bytes, or whatever the step counts; `total` is 0 if unknown.
    Progress { step: usize, done: u64, total: u64 },
    /// A builder said what it does now.
    Phase { step: usize, name: &'e str },
    /// Any other line of a build's log.
    Line { step: usize, text: &'e str },
    /// A step ended.
    Finished { step: usize, outcome: &'e Outcome },
    /// Something that a user should know and that ends nothing.
    Warning { text: &'e str },
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Build,
    /// Builds on a cluster.
    RemoteBuild,
    /// Downloads a source.
    Fetch,
    /// Takes outputs from a cache.
    Substitute,
}

/// How a step ended.
#[derive(Debug)]
pub enum Outcome {
    /// It ran.
    Made,
    /// It was made elsewhere: by another process, or on a cluster some other time.
    Found,
    Failed,
}

/// Is told of events, from several threads.
pub trait Observer: Sync {
    fn event(&self, event: Event<'_>);
}
