//! The live tree: what was done above; below it what runs now, each under the
//! step that it runs for; what there is to do in all at its foot.
//!
//! ```text
//! built containerd (71.2 s)
//! ├ aws-k8s-slot
//! │ └ build linux: build 3:12 of 7:40  CC drivers/net/phy/phy.o
//! ├ sdk-go
//! │ ├ fetch go1.24.tar.gz 0:07 [=====>      ] 31.25 MiB/74.61 MiB 5.20 MiB/s
//! │ └ fetch gcc-14.deb 0:01 [=>          ] 2.00 MiB/21.14 MiB 4.80 MiB/s
//! └ 41 of 127 steps, 3 running, 5:03 of about 9:30
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
    groups: Vec<Group>,
    foot: ProgressBar,
    counts: Counts,
}

struct Running {
    step: Step,
    line: ProgressBar,
    usual: Option<Duration>,
    phase: String,
    branch: &'static str,
    size: Size,
}

/// How much of a step is done, as far as it says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Size {
    Unknown,
    Bytes,
    Other,
}

/// Steps that run for the same one.
struct Group {
    name: String,
    head: ProgressBar,
    members: Vec<usize>,
}

/// What stands before a step that was asked for, before a step of a group, and
/// before the last of one.
const ALONE: &str = "├";
const INSIDE: &str = "│ ├";
const LAST: &str = "│ └";

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
        let state = State { running: HashMap::new(), groups: Vec::new(), foot, counts: Counts::default() };
        Self { lines, verbose, state: Mutex::new(state) }
    }

    /// A line for a step that runs for `above`, the last of those that do.
    fn line_below(
        &self,
        above: &str,
        step: usize,
        running: &mut HashMap<usize, Running>,
        groups: &mut Vec<Group>,
        foot: &ProgressBar,
    ) -> ProgressBar {
        let index = groups.iter().position(|group| group.name == above).unwrap_or_else(|| {
            let head = self.lines.insert_before(foot, ProgressBar::new_spinner());
            head.set_style(style("├ {msg}"));
            head.set_message(above.to_owned());
            head.enable_steady_tick(SHOW_AFTER);
            groups.push(Group { name: above.to_owned(), head, members: Vec::new() });
            groups.len() - 1
        });
        let Group { head, members, .. } = &mut groups[index];
        let last = members.last().and_then(|last| running.get_mut(last));
        let line = match last {
            Some(last) => {
                last.branch = INSIDE;
                last.draw();
                self.lines.insert_after(&last.line, ProgressBar::new_spinner())
            }
            None => self.lines.insert_after(head, ProgressBar::new_spinner()),
        };
        members.push(step);
        line
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
        let State { running, groups, foot, counts } = &mut *state;
        match event {
            Event::Planned { certain, possible, usual } => {
                (counts.certain, counts.possible, counts.usual) = (certain, possible, usual);
            }
            Event::Started { step, name, kind, usual, for_step } => {
                let line = match for_step {
                    Some(above) => self.line_below(above, step, running, groups, foot),
                    None => self.lines.insert_before(foot, ProgressBar::new_spinner()),
                };
                let branch = if for_step.is_some() { LAST } else { ALONE };
                let (step_of, phase, size) = (Step::new(name, kind), String::new(), Size::Unknown);
                let begun = Running { step: step_of, line, usual, phase, branch, size };
                begun.draw();
                begun.line.enable_steady_tick(SHOW_AFTER);
                running.insert(step, begun);
                counts.running += 1;
            }
            Event::Phase { step, name } => {
                if let Some(running) = running.get_mut(&step) {
                    running.phase = format!(": {name}");
                    running.size = Size::Unknown;
                    running.line.unset_length();
                    running.draw();
                }
            }
            Event::Progress { step, done, total } => {
                if let Some(running) = running.get_mut(&step) {
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
                if let Some(Running { step: ended, line, .. }) = running.remove(&step) {
                    line.finish_and_clear();
                    leave(step, running, groups);
                    counts.running -= 1;
                    if ended.elapsed() >= SHOW_AFTER || matches!(outcome, Outcome::Failed) {
                        self.say(&ended.ended(outcome));
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

/// Takes a step out of its group, and the group away if it was the last.
fn leave(step: usize, running: &mut HashMap<usize, Running>, groups: &mut Vec<Group>) {
    let Some(index) = groups.iter().position(|group| group.members.contains(&step)) else { return };
    let group = &mut groups[index];
    group.members.retain(|member| *member != step);
    match group.members.last().and_then(|last| running.get_mut(last)) {
        Some(last) => {
            last.branch = LAST;
            last.draw();
        }
        None => groups.remove(index).head.finish_and_clear(),
    }
}

impl Running {
    /// Says anew what there is to say of it.
    fn draw(&self) {
        let rest = match self.size {
            Size::Unknown => "  {wide_msg}",
            Size::Bytes => " [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}",
            Size::Other => " [{wide_bar}] {pos}/{len}",
        };
        let style = style(&format!("{} {{prefix}} {{clock}}{rest}", self.branch));
        self.line.set_style(style.with_key("clock", clock_against(self.usual, "of")).progress_chars("=> "));
        self.line.set_prefix(format!("{} {}{}", verb(self.step.kind), self.step.name, self.phase));
    }

    fn advance(&mut self, done: u64, total: u64) {
        if total > 0 && self.line.length() != Some(total) {
            self.line.set_length(total);
            // Whatever else is counted is not that many.
            self.size = if total > 100_000 { Size::Bytes } else { Size::Other };
            self.draw();
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
        let started = |step, name, kind, usual| Event::Started { step, name, kind, usual, for_step: None };
        event(&tree, started(0, "linux", Kind::Build, usual));
        event(&tree, Event::Phase { step: 0, name: "build" });
        event(&tree, Event::Line { step: 0, text: "CC init/main.o" });
        event(&tree, started(1, "go.tar.gz", Kind::Fetch, None));
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
    fn steps_stand_below_what_they_run_for() {
        let terminal = InMemoryTerm::new(12, 100);
        let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
        let tree = Tree::new(MultiProgress::with_draw_target(target), false);
        let start = |step, name, above| {
            event(&tree, Event::Started { step, name, kind: Kind::Fetch, usual: None, for_step: above });
        };
        let shape = |awaited: &str| -> Vec<String> {
            let shown = screen(&terminal, awaited);
            let words = |line: &str| line.split(" 0:").next().unwrap_or_default().to_owned();
            shown.lines().filter(|line| !line.starts_with('└')).map(words).collect()
        };
        start(0, "a", Some("sdk"));
        start(1, "linux", Some("disk"));
        start(2, "b", Some("sdk"));
        start(3, "alone", None);
        let all = ["├ sdk", "│ ├ fetch a", "│ └ fetch b", "├ disk", "│ └ fetch linux", "├ fetch alone"];
        assert_eq!(shape("4 running"), all);
        event(&tree, Event::Finished { step: 2, outcome: &Outcome::Made });
        assert_eq!(
            shape("3 running"),
            ["├ sdk", "│ └ fetch a", "├ disk", "│ └ fetch linux", "├ fetch alone"]
        );
        event(&tree, Event::Finished { step: 1, outcome: &Outcome::Made });
        assert_eq!(shape("2 running"), ["├ sdk", "│ └ fetch a", "├ fetch alone"]);
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
