//! A report as a table in Markdown: steps by what was varied around them, to be
//! kept beside the recipes.

use std::fmt::Write;

use super::report::{Report, Standing, StepRecord};
use crate::quantities::duration;

/// The table, with the command that makes it again.
pub fn table(report: &Report) -> String {
    let mut text = format!("`osbuild verify {} --report DIR` wrote this.\n\n", report.targets.join(" "));
    let legend = [Standing::Acted, Standing::Idle, Standing::Blamed]
        .map(|standing| format!("{} {}", standing.mark(), standing.words()))
        .join("; ");
    let _ = writeln!(text, "Inputs before what is made from them. {legend}. Times are of processors.\n");
    for (index, round) in report.rounds.iter().enumerate() {
        let cost = round.factor().map(|factor| format!(", {factor:.2} × their builds")).unwrap_or_default();
        let _ = writeln!(
            text,
            "- Round {}: {}. {} steps ran, {}{cost}.",
            index + 1,
            round.variations.join(", "),
            round.steps_run,
            duration(round.cpu_ms)
        );
    }

    let varied = report.varied();
    text.push_str("\n| Step | Recipe |  |");
    for one in &varied {
        let _ = write!(text, " {one} |");
    }
    text.push_str(" build |");
    for index in 0..report.rounds.len() {
        let _ = write!(text, " round {} |", index + 1);
    }
    text.push_str("\n|---|---|---|");
    text.push_str(&":-:|".repeat(varied.len()));
    text.push_str(&"--:|".repeat(1 + report.rounds.len()));
    text.push('\n');
    for step in &report.steps {
        let recipe = step.recipe.as_ref().map(|file| format!("`{}`", cell(file))).unwrap_or_default();
        let _ = write!(text, "| {} | {recipe} | {} |", cell(&step.name), step.ending_in_words());
        for one in &varied {
            let _ = write!(text, " {} |", step.standing(*one).mark());
        }
        times(step, &mut text);
        text.push('\n');
    }
    text
}

fn times(step: &StepRecord, text: &mut String) {
    let rounds = step.rounds.iter().map(|round| round.cpu_ms);
    for time in std::iter::once(step.build_cpu_ms).chain(rounds) {
        let _ = write!(text, " {} |", time.map(duration).unwrap_or_default());
    }
}

/// Foreign text as one cell.
fn cell(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|")
}
