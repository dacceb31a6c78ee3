//! What a verification came to, as one record: what pages, tables and other
//! programs are made from.

use osbuild_compare::report::json::Record as DifferenceRecord;
use osbuild_store::error::one_line;
use serde::Serialize;

use super::blame::Cause;
use super::rounds::Ending;
use super::steps::Step;
use super::variation::Variations;
use super::verdict::{Finding, Verdict};

/// The record of a verification.
#[derive(Debug, Serialize)]
pub struct Report {
    pub schema: u32,
    /// What was asked for, as it was typed.
    pub targets: Vec<String>,
    /// Whether every step came out the same in every round.
    pub is_reproducible: bool,
    /// What was varied in each round.
    pub rounds: Vec<Vec<&'static str>>,
    /// Inputs before what is made from them.
    pub steps: Vec<StepRecord>,
}

#[derive(Debug, Serialize)]
pub struct StepRecord {
    pub derivation: String,
    pub name: String,
    /// The recipe's file and line, where that is known.
    pub recipe: Option<String>,
    pub rounds: Vec<RoundRecord>,
}

/// One step in one round.
#[derive(Debug, Serialize)]
pub struct RoundRecord {
    /// `same`, `known` (an earlier run found it the same), `differs`, `fails`.
    pub ending: &'static str,
    /// Why it does not build so.
    pub error: Option<String>,
    /// Variations that a probe in the step's sandbox found done.
    pub acted: Vec<&'static str>,
    /// Those that were asked for and not done.
    pub idle: Vec<&'static str>,
    pub wall_ms: u64,
    /// `None` of what has no processes of its own.
    pub cpu_ms: Option<u64>,
    pub cause: Option<CauseRecord>,
    pub outputs: Vec<OutputRecord>,
}

/// Why outputs differ.
#[derive(Debug, Serialize)]
pub struct CauseRecord {
    /// `variations`, `itself` (it differs from run to run), `unsteady` (it
    /// differed once and not again).
    pub kind: &'static str,
    /// Each with what must be varied together for it.
    pub variations: Vec<Vec<&'static str>>,
}

/// One output that differs.
#[derive(Debug, Serialize)]
pub struct OutputRecord {
    pub output: String,
    pub first: String,
    pub second: String,
    /// Why the two could not be compared.
    pub error: Option<String>,
    pub difference: Option<DifferenceRecord>,
}

impl Report {
    /// `recipe` says where a step's recipe is.
    pub fn new(
        targets: &[String],
        rounds: &[Variations],
        steps: &[Step],
        verdicts: &[Verdict],
        recipe: &dyn Fn(&Step) -> Option<String>,
    ) -> Self {
        let steps = steps.iter().enumerate().map(|(index, step)| StepRecord {
            derivation: step.resolved.path.to_string(),
            name: step.resolved.name().to_owned(),
            recipe: recipe(step),
            rounds: verdicts.iter().filter(|verdict| verdict.step == index).map(round).collect(),
        });
        Self {
            schema: 1,
            targets: targets.to_owned(),
            is_reproducible: verdicts
                .iter()
                .all(|verdict| matches!(verdict.again.ending, Ending::Same | Ending::Known)),
            rounds: rounds.iter().map(names).collect(),
            steps: steps.collect(),
        }
    }
}

fn round(verdict: &Verdict) -> RoundRecord {
    let again = &verdict.again;
    let (ending, error) = match &again.ending {
        Ending::Same => ("same", None),
        Ending::Known => ("known", None),
        Ending::Differs(_) => ("differs", None),
        Ending::Fails(error) => ("fails", Some(one_line(error))),
    };
    RoundRecord {
        ending,
        error,
        acted: names(&again.acted),
        idle: names(&again.idle),
        wall_ms: u64::try_from(again.wall.as_millis()).unwrap_or(u64::MAX),
        cpu_ms: again.usage.map(|usage| usage.cpu_ms),
        cause: verdict.cause.as_ref().map(cause),
        outputs: verdict.findings.iter().map(output).collect(),
    }
}

fn cause(cause: &Cause) -> CauseRecord {
    let (kind, variations) = match cause {
        Cause::Itself => ("itself", Vec::new()),
        Cause::Unsteady => ("unsteady", Vec::new()),
        Cause::Variations(sets) => ("variations", sets.iter().map(names).collect()),
    };
    CauseRecord { kind, variations }
}

fn output(finding: &Finding) -> OutputRecord {
    OutputRecord {
        output: finding.differing.output.to_string(),
        first: finding.differing.first.to_string(),
        second: finding.differing.second.to_string(),
        error: finding.difference.as_ref().err().map(|error| one_line(error)),
        difference: finding.difference.as_ref().ok().map(DifferenceRecord::from),
    }
}

fn names(variations: &Variations) -> Vec<&'static str> {
    variations.iter().map(|variation| variation.name()).collect()
}
