//! What a verification came to, as one record: what pages, tables and other
//! programs are made from.

use osbuild_compare::report::json::Record as DifferenceRecord;
use osbuild_store::error::one_line;
use serde::Serialize;

use super::blame::Cause;
use super::rounds::Ending;
use super::steps::Step;
use super::variation::{VARIATIONS, Variation, Variations};
use super::verdict::{Finding, Verdict};

/// The record of a verification.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub schema: u32,
    /// What was asked for, as it was typed.
    pub targets: Vec<String>,
    /// Whether every step came out the same in every round.
    pub is_reproducible: bool,
    pub rounds: Vec<RoundSummary>,
    /// Inputs before what is made from them.
    pub steps: Vec<StepRecord>,
}

/// All steps of one round.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoundSummary {
    pub variations: Vec<&'static str>,
    /// Steps that ran, rather than being known from an earlier run.
    pub steps_run: usize,
    /// Processor time of the steps for which both are known, in this round and
    /// in their last build as the recipe has it.
    pub cpu_ms: u64,
    pub build_cpu_ms: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    pub derivation: String,
    pub name: String,
    /// What it belongs to; `None` of what several packages use.
    pub recipe: Option<String>,
    /// Processor time of the last build as the recipe has it, where this store
    /// knows one.
    pub build_cpu_ms: Option<u64>,
    pub rounds: Vec<RoundRecord>,
}

/// One step in one round.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoundRecord {
    /// `same`, `known` (an earlier run found it the same), `differs`, `fails`.
    pub ending: &'static str,
    /// Why it does not build so.
    pub error: Option<String>,
    /// Of what it wrote until then.
    pub last_lines: Vec<String>,
    /// Variations that a probe in the step's sandbox found done; of a `known`
    /// step, in the run that found it the same.
    pub acted: Vec<&'static str>,
    /// Those that were asked for and not done.
    pub idle: Vec<&'static str>,
    pub wall_ms: u64,
    /// `None` of what has no processes of its own.
    pub cpu_ms: Option<u64>,
    pub cause: Option<CauseRecord>,
    pub outputs: Vec<OutputRecord>,
}

/// Why outputs differ, or why it does not build.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CauseRecord {
    /// `variations`, `itself` (with nothing varied, too), `unsteady` (once and
    /// not again).
    pub kind: &'static str,
    /// Each with what must be varied together for it.
    pub variations: Vec<Vec<&'static str>>,
    /// The same as a sentence.
    pub sentence: String,
}

/// One output that differs.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputRecord {
    pub output: String,
    pub first: String,
    pub second: String,
    /// Why the two could not be compared.
    pub error: Option<String>,
    pub difference: Option<DifferenceRecord>,
    /// A page of diffoscope's on the same, from the report's folder.
    pub long_form: Option<String>,
}

/// What a report says of a step beside what its rounds found.
#[derive(Debug, Default)]
pub struct About {
    pub recipe: Option<String>,
    pub build_cpu_ms: Option<u64>,
}

impl Report {
    /// `about` has one for each step.
    pub fn new(
        targets: &[String],
        rounds: &[Variations],
        steps: &[Step],
        about: &[About],
        verdicts: &[Verdict],
    ) -> Self {
        let record = |(index, (step, about)): (usize, (&Step, &About))| {
            StepRecord::new(step, about, verdicts.iter().filter(|verdict| verdict.step == index))
        };
        let summary = |(index, variations)| {
            let of_round = || verdicts.iter().filter(move |verdict| verdict.round == index);
            let times = of_round()
                .filter_map(|verdict| Some((verdict.again.usage?.cpu_ms, about[verdict.step].build_cpu_ms?)));
            let (cpu_ms, build_cpu_ms) =
                times.fold((0, 0), |(again, first), (one, other)| (again + one, first + other));
            let is_run = |verdict: &&Verdict| !matches!(verdict.again.ending, Ending::Known);
            let steps_run = of_round().filter(is_run).count();
            RoundSummary { variations: names(variations), steps_run, cpu_ms, build_cpu_ms }
        };
        Self {
            schema: 1,
            targets: targets.to_owned(),
            is_reproducible: verdicts.iter().all(|verdict| verdict.fault().is_none()),
            rounds: rounds.iter().enumerate().map(summary).collect(),
            steps: steps.iter().zip(about).enumerate().map(record).collect(),
        }
    }

    /// Names of the steps that differ in some round, inputs first.
    pub fn differing(&self) -> Vec<&str> {
        self.with_ending("differs")
    }

    /// Names of the steps that do not build in some round.
    pub fn failing(&self) -> Vec<&str> {
        self.with_ending("fails")
    }

    /// What was varied in some round, in the order of reports.
    pub(super) fn varied(&self) -> Vec<Variation> {
        let is_varied =
            |one: &Variation| self.rounds.iter().any(|round| round.variations.contains(&one.name()));
        VARIATIONS.into_iter().filter(is_varied).collect()
    }

    fn with_ending(&self, wanted: &str) -> Vec<&str> {
        let is_so = |step: &&StepRecord| step.rounds.iter().any(|round| round.ending == wanted);
        self.steps.iter().filter(is_so).map(|step| step.name.as_str()).collect()
    }
}

impl RoundSummary {
    /// What it cost beside the builds themselves; `None` where no step has both times.
    pub(super) fn factor(&self) -> Option<f64> {
        (self.build_cpu_ms != 0).then(|| self.cpu_ms as f64 / self.build_cpu_ms as f64)
    }
}

impl StepRecord {
    /// The worst ending of its rounds; empty if it had none.
    pub(super) fn ending(&self) -> &'static str {
        let has = |ending: &&str| self.rounds.iter().any(|round| round.ending == *ending);
        ["fails", "differs", "same", "known"].into_iter().find(has).unwrap_or_default()
    }

    pub(super) fn ending_in_words(&self) -> &'static str {
        match self.ending() {
            "fails" => "does not build",
            ending => ending,
        }
    }

    /// How a variation stands to it, over all rounds.
    pub(super) fn standing(&self, one: Variation) -> Standing {
        let name = one.name();
        let is_blamed = |round: &RoundRecord| {
            let sets = round.cause.iter().flat_map(|cause| &cause.variations);
            sets.flatten().any(|blamed| *blamed == name)
        };
        if self.rounds.iter().any(is_blamed) {
            Standing::Blamed
        } else if self.rounds.iter().any(|round| round.acted.contains(&name)) {
            Standing::Acted
        } else if self.rounds.iter().any(|round| round.idle.contains(&name)) {
            Standing::Idle
        } else {
            Standing::NotAsked
        }
    }

    /// From verdicts on this step.
    pub fn new<'v>(step: &Step, about: &About, verdicts: impl IntoIterator<Item = &'v Verdict>) -> Self {
        Self {
            derivation: step.resolved.path.to_string(),
            name: step.resolved.name().to_owned(),
            recipe: about.recipe.clone(),
            build_cpu_ms: about.build_cpu_ms,
            rounds: verdicts.into_iter().map(round).collect(),
        }
    }
}

/// How a variation stands to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Blamed,
    Acted,
    Idle,
    NotAsked,
}

impl Standing {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Blamed => "blamed",
            Self::Acted => "acted",
            Self::Idle => "idle",
            Self::NotAsked => "",
        }
    }

    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Blamed => "▲",
            Self::Acted => "●",
            Self::Idle => "○",
            Self::NotAsked => "",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Blamed => "the fault comes from it",
            Self::Acted => "varied",
            Self::Idle => "not done",
            Self::NotAsked => "not asked for",
        }
    }
}

/// What differs in the verdicts on a step, with the two results' names.
pub(super) fn differences(verdicts: &[Verdict], step: usize, round: usize) -> impl Iterator<Item = &Finding> {
    verdicts
        .iter()
        .filter(move |verdict| verdict.step == step && verdict.round == round)
        .flat_map(|verdict| &verdict.findings)
}

fn round(verdict: &Verdict) -> RoundRecord {
    let again = &verdict.again;
    let (ending, error) = match &again.ending {
        Ending::Same => ("same", None),
        Ending::Known => ("known", None),
        Ending::Differs(_) => ("differs", None),
        Ending::Fails(error) => ("fails", Some(error)),
    };
    RoundRecord {
        ending,
        error: error.map(|error| one_line(error)),
        last_lines: error.map(|error| error.last_lines().to_owned()).unwrap_or_default(),
        acted: names(&again.acted),
        idle: names(&again.idle),
        wall_ms: u64::try_from(again.wall.as_millis()).unwrap_or(u64::MAX),
        cpu_ms: again.usage.map(|usage| usage.cpu_ms),
        cause: cause(verdict),
        outputs: verdict.findings.iter().map(output).collect(),
    }
}

fn cause(verdict: &Verdict) -> Option<CauseRecord> {
    let (kind, variations) = match verdict.cause.as_ref()? {
        Cause::Itself => ("itself", Vec::new()),
        Cause::Unsteady => ("unsteady", Vec::new()),
        Cause::Variations(sets) => ("variations", sets.iter().map(names).collect()),
    };
    Some(CauseRecord { kind, variations, sentence: verdict.cause_in_words()? })
}

fn output(finding: &Finding) -> OutputRecord {
    OutputRecord {
        output: finding.differing.output.to_string(),
        first: finding.differing.first.to_string(),
        second: finding.differing.second.to_string(),
        error: finding.difference.as_ref().err().map(|error| one_line(error)),
        difference: finding.difference.as_ref().ok().map(DifferenceRecord::from),
        long_form: finding.long_form.clone(),
    }
}

fn names(variations: &Variations) -> Vec<&'static str> {
    variations.iter().map(|variation| variation.name()).collect()
}
