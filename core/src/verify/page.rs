//! A report as a page: the verdict, what differs as a tree to open, and what
//! was varied around every step. One file without a script, and no network.
//!
//! Names and contents of outputs are foreign: they pass [`html::xml`].

use std::fmt::Write;

use osbuild_compare::Difference;
use osbuild_compare::report::text::{names, shown, summary};
use osbuild_store::error::one_line;

use super::report::{Report, RoundRecord, RoundSummary, StepRecord, differences};
use super::variation::Variation;
use super::verdict::{Finding, Verdict};
use crate::html;
use crate::quantities::duration;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Trees that have more below them than this are folded, so that a page with
/// thousands of differences can be read.
const OPEN_CHILDREN: usize = 12;

/// Writes the page; `verdicts` are those that the report was made of.
pub fn page(report: &Report, verdicts: &[Verdict]) -> String {
    let title = format!("Verification of {}", report.targets.join(", "));
    let rounds: String = report.rounds.iter().enumerate().map(round_row).collect();
    let varied = report.varied();
    let variations: String = varied
        .iter()
        .map(|one| format!("<th class=\"variation\" scope=\"col\"><span>{one}</span></th>"))
        .collect();
    let steps: String = report.steps.iter().map(|step| step_row(step, &varied)).collect();
    html::fill(
        TEMPLATE,
        &[
            ("title", &html::xml(&title)),
            ("verdict", &html::xml(&verdict(report))),
            ("verdict-class", if report.is_reproducible { "good" } else { "bad" }),
            ("style-hash", &html::hash(STYLE)),
            ("style", STYLE),
            ("rounds", &rounds),
            ("findings", &findings(report, verdicts)),
            ("variations", &variations),
            ("steps", &steps),
        ],
    )
}

fn verdict(report: &Report) -> String {
    let (differing, failing) = (report.differing(), report.failing());
    let all = report.steps.len();
    let mut said = Vec::new();
    if let Some(first) = differing.first() {
        said.push(format!("{} of {all} steps are not reproducible, first of all {first}", differing.len()));
    }
    if let Some(first) = failing.first() {
        said.push(format!("{} of {all} steps do not build so, first of all {first}", failing.len()));
    }
    if said.is_empty() { format!("{all} steps are the same, bit for bit") } else { said.join("; ") }
}

fn round_row((index, round): (usize, &RoundSummary)) -> String {
    let varied = if round.variations.is_empty() { "nothing".to_owned() } else { round.variations.join(", ") };
    let factor = round.factor().map(|factor| format!("× {factor:.2}")).unwrap_or_default();
    format!(
        "<tr><td>{}</td><td>{varied}</td><td class=\"number\">{}</td><td class=\"number\">{}</td><td \
         class=\"number\">{factor}</td></tr>\n",
        index + 1,
        round.steps_run,
        duration(round.cpu_ms)
    )
}

/// The section of what differs and what does not build; empty if nothing does.
fn findings(report: &Report, verdicts: &[Verdict]) -> String {
    let mut articles = String::new();
    for (place, step) in report.steps.iter().enumerate() {
        for (index, round) in step.rounds.iter().enumerate() {
            if matches!(round.ending, "differs" | "fails") {
                article(step, index, round, differences(verdicts, place, index), &mut articles);
            }
        }
    }
    if articles.is_empty() {
        return articles;
    }
    format!(
        "<section aria-labelledby=\"findings-title\">\n<h2 id=\"findings-title\">Findings</h2>\n{articles}</section>\n"
    )
}

fn article<'f>(
    step: &StepRecord,
    index: usize,
    round: &RoundRecord,
    findings: impl Iterator<Item = &'f Finding>,
    out: &mut String,
) {
    let _ = writeln!(out, "<article>\n<h3>{}, round {}</h3>", html::xml(&step.name), index + 1);
    if let Some(recipe) = &step.recipe {
        let _ = writeln!(out, "<p>Recipe: <code>{}</code></p>", html::xml(recipe));
    }
    if let Some(error) = &round.error {
        let _ = writeln!(out, "<p class=\"fails\">It does not build so: {}</p>", html::xml(error));
        if !round.last_lines.is_empty() {
            let _ = writeln!(out, "<pre>{}</pre>", html::xml(&round.last_lines.join("\n")));
        }
    }
    if let Some(cause) = &round.cause {
        let _ = writeln!(out, "<p class=\"cause\">Cause: {}.</p>", html::xml(&cause.sentence));
    }
    for finding in findings {
        let (first, second) = (finding.differing.first.as_str(), finding.differing.second.as_str());
        let _ = writeln!(
            out,
            "<pre><span class=\"left\">- {}</span>\n<span class=\"right\">+ {}</span></pre>",
            html::xml(first),
            html::xml(second)
        );
        match &finding.difference {
            Ok(difference) => tree(difference, out),
            Err(error) => {
                let _ = writeln!(out, "<p class=\"fails\">{}</p>", html::xml(&one_line(error)));
            }
        }
        if let Some(file) = &finding.long_form {
            let _ = writeln!(out, "<p><a href=\"{}\">At length, by diffoscope</a></p>", html::xml(file));
        }
    }
    out.push_str("</article>\n");
}

/// A difference and what is below it. Recursion is as deep as the comparison
/// opened containers, which has a limit.
fn tree(difference: &Difference, out: &mut String) {
    let (names, at) = names(difference);
    let name = if names.is_empty() { "output" } else { &names };
    let open = if at.children.len() <= OPEN_CHILDREN { " open" } else { "" };
    let _ = writeln!(
        out,
        "<details{open}><summary><code>{}</code> <span class=\"what\">{}</span></summary>",
        html::xml(name),
        html::xml(&summary(at))
    );
    for note in &at.notes {
        let _ = writeln!(out, "<p class=\"note\">{}</p>", html::xml(note));
    }
    let lines = shown(at);
    if !lines.is_empty() {
        let marked: Vec<String> = lines.iter().map(|line| marked(line)).collect();
        let _ = writeln!(out, "<pre>{}</pre>", marked.join("\n"));
    }
    for hint in &at.hints {
        let _ = writeln!(
            out,
            "<p><span class=\"hint\">{}</span>: {}</p>",
            hint.class.word(),
            html::xml(&hint.evidence)
        );
    }
    for child in &at.children {
        tree(child, out);
    }
    if at.children_omitted != 0 {
        let _ = writeln!(out, "<p class=\"note\">… and {} more that differ</p>", at.children_omitted);
    }
    out.push_str("</details>\n");
}

fn marked(line: &str) -> String {
    let text = html::xml(line);
    match line.chars().next() {
        Some('-') => format!("<span class=\"left\">{text}</span>"),
        Some('+') => format!("<span class=\"right\">{text}</span>"),
        _ => text,
    }
}

fn step_row(step: &StepRecord, varied: &[Variation]) -> String {
    let mut row = format!(
        "<tr><td>{}</td><td><code>{}</code></td>",
        html::xml(&step.name),
        html::xml(step.recipe.as_deref().unwrap_or_default())
    );
    let _ = write!(row, "<td class=\"{}\">{}</td>", step.ending(), step.ending_in_words());
    for one in varied {
        let standing = step.standing(*one);
        let _ = write!(
            row,
            "<td class=\"variation {}\" title=\"{one}: {}\">{}</td>",
            standing.class(),
            standing.words(),
            standing.mark()
        );
    }
    let cpu_ms: u64 = step.rounds.iter().filter_map(|round| round.cpu_ms).sum();
    let _ = writeln!(
        row,
        "<td class=\"number\">{}</td></tr>",
        if cpu_ms == 0 { String::new() } else { duration(cpu_ms) }
    );
    row
}
