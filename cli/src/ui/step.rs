//! The words for a step, the same in every view.

use std::time::{Duration, Instant};

use osbuild_core::graph::{Kind, Outcome};

/// One that runs.
pub(super) struct Step {
    pub(super) name: String,
    pub(super) kind: Kind,
    started: Instant,
}

impl Step {
    pub(super) fn new(name: &str, kind: Kind) -> Self {
        Self { name: name.to_owned(), kind, started: Instant::now() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// `built linux (402.1 s)`
    pub(super) fn ended(&self, outcome: &Outcome) -> String {
        let verb = match (outcome, self.kind) {
            (Outcome::Failed, Kind::Fetch) => "failed to fetch",
            (Outcome::Failed, Kind::Build | Kind::RemoteBuild) => "failed to build",
            (Outcome::Failed, Kind::Substitute) => "failed to copy",
            (_, Kind::Fetch) => "fetched",
            (_, Kind::Build) => "built",
            (Outcome::Found, Kind::RemoteBuild) => "known to the cluster:",
            (_, Kind::RemoteBuild) => "built remotely:",
            (_, Kind::Substitute) => "copied from a cache:",
        };
        format!("{verb} {} ({:.1} s)", self.name, self.elapsed().as_secs_f32())
    }
}

/// What a step of this kind is doing.
pub(super) fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Build => "build",
        Kind::RemoteBuild => "remote",
        Kind::Fetch => "fetch",
        Kind::Substitute => "copy",
    }
}

/// `3:07`, `1:02:03`
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_on_a_clock() {
        for (seconds, text) in [(0, "0:00"), (59, "0:59"), (187, "3:07"), (3723, "1:02:03")] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }
}
