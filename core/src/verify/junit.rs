//! A report as continuous integration servers read it: a suite a round, a case
//! a step.
//!
//! Source: the JUnit XML format as the Jenkins and GitLab documentation have it
//! (`testsuites`, `testsuite`, `testcase`, `failure`, `error`).

use std::fmt::Write;

use super::report::{Report, RoundRecord};
use crate::graph::picture::escape::xml;

/// The report in XML. `detail` renders what differs in a round for people.
pub fn junit(report: &Report, detail: &dyn Fn(&RoundRecord) -> String) -> String {
    let mut text =
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"osbuild verify\">\n".to_owned();
    for (index, variations) in report.rounds.iter().enumerate() {
        let cases: Vec<_> =
            report.steps.iter().filter_map(|step| Some((step, step.rounds.get(index)?))).collect();
        let count = |ending: &str| cases.iter().filter(|(_, round)| round.ending == ending).count();
        let time = cases.iter().map(|(_, round)| round.wall_ms).sum::<u64>() as f64 / 1000.0;
        let name = format!("round {}: {}", index + 1, variations.join(","));
        let _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{time:.3}\">",
            xml(&name),
            cases.len(),
            count("differs"),
            count("fails"),
        );
        for (step, round) in cases {
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
                        xml(&detail(round))
                    );
                }
                "fails" => {
                    let error = round.error.as_deref().unwrap_or_default();
                    let _ = writeln!(
                        text,
                        ">\n      <error message=\"does not build so\">{}</error>\n    </testcase>",
                        xml(error)
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
