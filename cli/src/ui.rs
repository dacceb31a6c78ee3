//! Progress: bars on a terminal, one line a finished step elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use osbuild_core::graph::{Event, Kind, Observer, Outcome};

/// Shows events on standard error.
pub(crate) struct Ui {
    bars: Option<MultiProgress>,
    quiet: bool,
    verbose: bool,
    steps: Mutex<HashMap<usize, Step>>,
}

/// How much is said while something runs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Verbosity {
    /// Nothing but errors.
    pub(crate) quiet: bool,
    /// The lines of logs, too.
    pub(crate) verbose: bool,
}

struct Step {
    name: String,
    kind: Kind,
    started: Instant,
    bar: Option<ProgressBar>,
}

/// Steps that are over sooner are not worth a line on a terminal.
const SHOW_AFTER: Duration = Duration::from_millis(250);

impl Ui {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        let Verbosity { quiet, verbose } = verbosity;
        let terminal = std::io::stderr().is_terminal() && !quiet;
        Self { bars: terminal.then(MultiProgress::new), quiet, verbose, steps: Mutex::default() }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                // A terminal that went away is no reason to stop.
                let _ = bars.println(text);
            }
            None if !self.quiet => eprintln!("{text}"),
            None => {}
        }
    }

    fn start(&self, name: &str, kind: Kind) -> Step {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            let verb = match kind {
                Kind::Build => "build",
                Kind::Fetch => "fetch",
                Kind::Substitute => "copy",
            };
            bar.set_prefix(format!("{verb} {name}"));
            bar.set_style(style("{prefix} {elapsed:>4} {wide_msg:.dim}"));
            bar.enable_steady_tick(SHOW_AFTER);
            bar
        });
        Step { name: name.to_owned(), kind, started: Instant::now(), bar }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates are constants of this file")
}

impl Observer for Ui {
    fn event(&self, event: Event<'_>) {
        let mut steps = self.steps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match event {
            Event::Started { step, name, kind, .. } => {
                steps.insert(step, self.start(name, kind));
            }
            Event::Progress { step, done, total } => {
                let Some(bar) = steps.get(&step).and_then(|step| step.bar.as_ref()) else { return };
                if total > 0 && bar.length() != Some(total) {
                    bar.set_length(total);
                    let bytes = total > 100_000;
                    let counts = if bytes { "{bytes}/{total_bytes} {bytes_per_sec}" } else { "{pos}/{len}" };
                    bar.set_style(style(&format!("{{prefix}} {{elapsed:>4}} [{{wide_bar}}] {counts}")));
                }
                bar.set_position(done);
            }
            Event::Line { step, text } => {
                let Some(step) = steps.get(&step) else { return };
                if self.verbose {
                    self.line(&format!("{}> {text}", step.name));
                } else if let Some(bar) = &step.bar {
                    bar.set_message(text.to_owned());
                }
            }
            Event::Warning { text } => self.line(&format!("warning: {text}")),
            Event::Finished { step, outcome } => {
                let Some(step) = steps.remove(&step) else { return };
                if let Some(bar) = &step.bar {
                    bar.finish_and_clear();
                }
                let verb = match (outcome, step.kind) {
                    (Outcome::Failed, Kind::Fetch) => "failed to fetch",
                    (Outcome::Failed, Kind::Build) => "failed to build",
                    (Outcome::Failed, Kind::Substitute) => "failed to copy",
                    (_, Kind::Fetch) => "fetched",
                    (_, Kind::Build) => "built",
                    (_, Kind::Substitute) => "copied from a cache:",
                };
                if self.bars.is_none() || step.started.elapsed() >= SHOW_AFTER {
                    self.line(&format!(
                        "{verb} {} ({:.1} s)",
                        step.name,
                        step.started.elapsed().as_secs_f32()
                    ));
                }
            }
        }
    }
}
