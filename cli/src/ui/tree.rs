//! The live tree: what was done above, what runs now below it, what there is
//! to do in all at its foot.
//!
//! ```text
//! built containerd (71.2 s)
//! ├ build linux: build 3:12 of 7:40  CC drivers/net/phy/phy.o
//! ├ fetch go1.24.tar.gz 0:07 [=====>      ] 31.25 MiB/74.61 MiB 5.20 MiB/s
//! └ 41 of 127 steps, 2 running, 5:03 of about 9:30
//! ```

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use osbuild_core::graph::{Event, Observer, Outcome};

use super::step::{Step, clock, verb};

/// Steps that are over sooner are not worth a line; nor are changes that come
/// faster.
const SHOW_AFTER: Duration = Duration::from_millis(250);

pub(crate) struct Tree {
    lines: MultiProgress,
    /// The lines of logs, too.
    verbose: bool,
    state: Mutex<State>,
}

struct State {
    running: HashMap<usize, Running>,
    foot: ProgressBar,
    counts: Counts,
}

struct Running {
    step: Step,
    line: ProgressBar,
    usual: Option<Duration>,
    phase: String,
}

/// What the foot says.
#[derive(Default)]
struct Counts {
    done: usize,
    failed: usize,
    running: usize,
    certain: usize,
    possible: usize,
    usual: Option<Duration>,
}

impl Tree {
    pub(super) fn new(lines: MultiProgress, verbose: bool) -> Self {
        let foot = lines.add(ProgressBar::new_spinner());
        let state = State { running: HashMap::new(), foot, counts: Counts::default() };
        Self { lines, verbose, state: Mutex::new(state) }
    }

    fn say(&self, text: &str) {
        // A terminal that went away is no reason to stop.
        let _ = self.lines.println(text);
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.foot.finish_and_clear();
    }
}

impl Observer for Tree {
    fn event(&self, event: Event<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { running, foot, counts } = &mut *state;
        match event {
            Event::Planned { certain, possible, usual } => {
                (counts.certain, counts.possible, counts.usual) = (certain, possible, usual);
            }
            Event::Started { step, name, kind, usual } => {
                let line = self.lines.insert_before(foot, ProgressBar::new_spinner());
                let begun = Running { step: Step::new(name, kind), line, usual, phase: String::new() };
                begun.draw();
                begun.line.enable_steady_tick(SHOW_AFTER);
                running.insert(step, begun);
                counts.running += 1;
            }
            Event::Phase { step, name } => {
                if let Some(running) = running.get_mut(&step) {
                    running.phase = format!(": {name}");
                    running.draw();
                }
            }
            Event::Progress { step, done, total } => {
                if let Some(running) = running.get(&step) {
                    running.advance(done, total);
                }
                return;
            }
            Event::Line { step, text } => {
                let Some(running) = running.get(&step) else { return };
                if self.verbose {
                    self.say(&format!("{}> {text}", running.step.name));
                } else {
                    running.line.set_message(text.to_owned());
                }
                return;
            }
            Event::Warning { text } => self.say(&format!("warning: {text}")),
            Event::Finished { step, outcome } => {
                counts.done += 1;
                counts.failed += usize::from(matches!(outcome, Outcome::Failed));
                // What another process made was never begun here.
                if let Some(Running { step, line, .. }) = running.remove(&step) {
                    line.finish_and_clear();
                    counts.running -= 1;
                    if step.elapsed() >= SHOW_AFTER || matches!(outcome, Outcome::Failed) {
                        self.say(&step.ended(outcome));
                    }
                }
            }
        }
        foot.set_style(style("└ {msg}{clock}").with_key("clock", clock_against(counts.usual, "of about")));
        foot.set_message(counts.to_string());
        if foot.elapsed() < SHOW_AFTER {
            foot.enable_steady_tick(SHOW_AFTER);
        }
    }
}

impl Running {
    /// Says anew what there is to say of it, in the form for a step whose size
    /// is not known.
    fn draw(&self) {
        let style = style("├ {prefix} {clock}  {wide_msg}");
        self.line.set_style(style.with_key("clock", clock_against(self.usual, "of")));
        self.line.set_prefix(format!("{} {}{}", verb(self.step.kind), self.step.name, self.phase));
    }

    fn advance(&self, done: u64, total: u64) {
        if total > 0 && self.line.length() != Some(total) {
            self.line.set_length(total);
            // Whatever else is counted is not that many.
            let bytes = total > 100_000;
            let counts = if bytes { "{bytes}/{total_bytes} {bytes_per_sec}" } else { "{pos}/{len}" };
            let style = style(&format!("├ {{prefix}} {{clock}} [{{wide_bar}}] {counts}"));
            self.line
                .set_style(style.with_key("clock", clock_against(self.usual, "of")).progress_chars("=> "));
        }
        self.line.set_position(done);
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Steps that only may have to run did, or planning knew too little.
        let certain = self.certain.max(self.done + self.running);
        let possible = (self.certain + self.possible).saturating_sub(certain);
        write!(f, "{} of {certain} steps", self.done)?;
        if possible > 0 {
            write!(f, " (up to {})", certain + possible)?;
        }
        if self.failed > 0 {
            write!(f, ", {} failed", self.failed)?;
        }
        write!(f, ", {} running, ", self.running)
    }
}

/// The time since the beginning, against what is usual.
fn clock_against(
    usual: Option<Duration>,
    word: &'static str,
) -> impl Fn(&ProgressState, &mut dyn Write) + Clone + Send + Sync + 'static {
    move |state, text| {
        let elapsed = clock(state.elapsed());
        // Text that cannot be written is not shown.
        let _ = match usual {
            Some(usual) => write!(text, "{elapsed} {word} {}", clock(usual)),
            None => write!(text, "{elapsed}"),
        };
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("templates are constants of this file")
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};
    use osbuild_core::graph::Kind;

    use super::*;

    fn event(tree: &Tree, event: Event<'_>) {
        tree.event(event);
    }

    /// The screen once it shows `awaited`, with times blotted out: a test may
    /// be slow, and the screen is not drawn anew for each event.
    fn screen(terminal: &InMemoryTerm, awaited: &str) -> String {
        let mut text = terminal.contents();
        for _ in 0..100 {
            if text.contains(awaited) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            text = terminal.contents();
        }
        let mut shown = String::new();
        for line in text.lines() {
            let digits = line.replace(|c: char| c.is_ascii_digit(), "0");
            shown.push_str(if line.contains("0:0") { &digits } else { line });
            shown.push('\n');
        }
        shown
    }

    #[test]
    fn what_runs_stands_above_what_there_is_to_do() {
        let terminal = InMemoryTerm::new(12, 100);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let tree = Tree::new(MultiProgress::with_draw_target(target), false);
        let usual = Some(Duration::from_secs(460));
        event(&tree, Event::Planned { certain: 3, possible: 2, usual: Some(Duration::from_secs(500)) });
        event(&tree, Event::Started { step: 0, name: "linux", kind: Kind::Build, usual });
        event(&tree, Event::Phase { step: 0, name: "build" });
        event(&tree, Event::Line { step: 0, text: "CC init/main.o" });
        event(&tree, Event::Started { step: 1, name: "go.tar.gz", kind: Kind::Fetch, usual: None });
        event(&tree, Event::Progress { step: 1, done: 1 << 20, total: 2 << 20 });
        let shown = screen(&terminal, "MiB/");
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "├ build linux: build 0:00 of 0:00  CC init/main.o");
        assert!(lines[1].starts_with("├ fetch go.tar.gz 0:00 ["), "{}", lines[1]);
        assert!(lines[1].contains("] 0.00 MiB/0.00 MiB "), "{}", lines[1]);
        assert_eq!(lines[2], "└ 0 of 0 steps (up to 0), 0 running, 0:00 of about 0:00");
        event(&tree, Event::Finished { step: 1, outcome: &Outcome::Failed });
        event(&tree, Event::Finished { step: 0, outcome: &Outcome::Made });
        let shown = screen(&terminal, "2 of 3");
        assert!(shown.starts_with("failed to fetch go.tar.gz ("), "{shown}");
        assert!(shown.contains("\n└ 0 of 0 steps (up to 0), 0 failed, 0 running, "), "{shown}");
        drop(tree);
        let left = terminal.contents();
        assert!(!left.contains('├') && !left.contains('└'), "the tree is not gone when all is over: {left}");
    }

    #[test]
    fn counts_follow_what_happens() {
        let mut counts = Counts { certain: 3, possible: 2, ..Counts::default() };
        assert_eq!(counts.to_string(), "0 of 3 steps (up to 5), 0 running, ");
        (counts.done, counts.running) = (3, 1);
        assert_eq!(counts.to_string(), "3 of 4 steps (up to 5), 1 running, ");
        (counts.done, counts.running, counts.failed) = (7, 0, 1);
        assert_eq!(counts.to_string(), "7 of 7 steps, 1 failed, 0 running, ");
    }
}
