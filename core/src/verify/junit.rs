//! A report as continuous integration servers read it: a suite a round, a case
//! a step.
//!
//! Source: the JUnit XML format as the Jenkins and GitLab documentation have it
//! (`testsuites`, `testsuite`, `testcase`, `failure`, `error`).

use std::fmt::Write;

use osbuild_compare::report::text;

use super::report::{Report, differences};
use super::verdict::Verdict;
use crate::html::xml;

/// The report in XML; `verdicts` are those it was made of.
pub fn junit(report: &Report, verdicts: &[Verdict]) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"osbuild verify\">\n".to_owned();
    for (index, summary) in report.rounds.iter().enumerate() {
        let cases: Vec<_> = (report.steps.iter().enumerate())
            .filter_map(|(place, step)| Some((place, step, step.rounds.get(index)?)))
            .collect();
        let count = |ending: &str| cases.iter().filter(|(.., round)| round.ending == ending).count();
        let time = cases.iter().map(|(.., round)| round.wall_ms).sum::<u64>() as f64 / 1000.0;
        let name = format!("round {}: {}", index + 1, summary.variations.join(","));
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{time:.3}\">",
            xml(&name),
            cases.len(),
            count("differs"),
            count("fails"),
        );
        for (place, step, round) in cases {
            let _ = write!(
                text,
                "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\"",
                xml(step.recipe.as_deref().unwrap_or("osbuild")),
                xml(&step.name),
                round.wall_ms as f64 / 1000.0,
            );
            match round.ending {
                "differs" => {
                    let _ = writeln!(
                        text,
                        ">\n      <failure message=\"not reproducible\">{}</failure>\n    </testcase>",
                        xml(&detail(verdicts, place, index))
                    );
                }
                "fails" => {
                    let error = round.error.as_deref().unwrap_or_default();
                    let lines = [&[error.to_owned()][..], &round.last_lines].concat().join("\n");
                    let _ = writeln!(
                        text,
                        ">\n      <error message=\"does not build so\">{}</error>\n    </testcase>",
                        xml(&lines)
                    );
                }
                _ => text.push_str("/>\n"),
            }
        }
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

/// What differs of a step in a round, as on a terminal.
fn detail(verdicts: &[Verdict], step: usize, round: usize) -> String {
    let mut shown = String::new();
    for finding in differences(verdicts, step, round) {
        if let Ok(difference) = &finding.difference {
            let (first, second) = (finding.differing.first.as_str(), finding.differing.second.as_str());
            shown.push_str(&text::render(difference, first, second));
        }
    }
    shown
}
