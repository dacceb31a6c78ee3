//! All of a verification: rounds over the steps below a target, and for every
//! fault what differs and why.

use std::path::Path;

use osbuild_compare::{Class, CompareError, Difference, Limits, compare};
use osbuild_store::LocalStore;

use super::blame::{Cause, Fault, blame};
use super::rounds::{Again, Differing, Ending, Rounds};
use super::steps::Step;
use super::variation::{Variation, Variations};
use crate::graph::GraphError;

/// What one round said of one step.
#[derive(Debug)]
pub struct Verdict {
    /// Places in the lists of rounds and steps.
    pub round: usize,
    pub step: usize,
    pub again: Again,
    pub findings: Vec<Finding>,
    /// Of the whole step; `None` where nothing is wrong or nobody asked.
    pub cause: Option<Cause>,
}

impl Verdict {
    /// What is wrong with the step, if anything is.
    pub fn fault(&self) -> Option<Fault> {
        self.again.ending.fault()
    }

    /// The cause as a sentence without its stop.
    pub fn cause_in_words(&self) -> Option<String> {
        Some(self.cause.as_ref()?.sentence(self.fault()?))
    }
}

/// An output that differs.
#[derive(Debug)]
pub struct Finding {
    pub differing: Differing,
    /// An error where the two results could not be read again.
    pub difference: Result<Difference, CompareError>,
    /// Where somebody else's program wrote the same at length, from the report's
    /// folder.
    pub long_form: Option<String>,
}

/// How far to go.
pub struct Inquiry<'a> {
    pub rounds: &'a Rounds<'a>,
    pub limits: Limits,
    /// Where scratch files go while results are compared.
    pub scratch: &'a Path,
    /// Build again to find out which variation a difference comes from.
    pub finds_causes: bool,
}

impl Inquiry<'_> {
    /// Runs the rounds; `each` is told of each verdict as it falls.
    ///
    /// # Errors
    /// The user interrupted, or the store failed.
    pub fn run(
        &self,
        steps: &[Step],
        rounds: &[Variations],
        each: &mut dyn FnMut(&Verdict),
    ) -> Result<Vec<Verdict>, GraphError> {
        let mut verdicts = Vec::new();
        for (round, variations) in rounds.iter().enumerate() {
            let first = verdicts.len();
            self.rounds.run(steps, variations, &mut |step, again| {
                let findings = self.findings(&again);
                verdicts.push(Verdict { round, step, again, findings, cause: None });
            })?;
            // Inputs before what is made from them, so that the first that is
            // read is the first that differs.
            verdicts[first..].sort_by_key(|verdict| verdict.step);
            for verdict in &mut verdicts[first..] {
                if self.finds_causes && verdict.fault().is_some() {
                    verdict.cause = Some(self.cause(&steps[verdict.step], verdict)?);
                }
                each(verdict);
            }
        }
        Ok(verdicts)
    }

    fn findings(&self, again: &Again) -> Vec<Finding> {
        let Ending::Differs(outputs) = &again.ending else { return Vec::new() };
        let store: &LocalStore = self.rounds.engine.store;
        let finding = |differing: &Differing| {
            let (left, right) = (store.physical(&differing.first), store.physical(&differing.second));
            let difference = compare(&left, &right, &self.limits, self.scratch)
                .map(|difference| difference.expect("objects of other hashes differ in what a store keeps"));
            Finding { differing: differing.clone(), difference, long_form: None }
        };
        outputs.iter().map(finding).collect()
    }

    fn cause(&self, step: &Step, verdict: &Verdict) -> Result<Cause, GraphError> {
        let suspected: Vec<Variation> = verdict.findings.iter().flat_map(suspected).collect();
        blame(&verdict.again.acted, &suspected, &mut |variations| {
            let again = self.rounds.afresh(verdict.step, step, variations)?;
            Ok(again.ending.fault() == verdict.fault())
        })
    }
}

/// The variations that the bytes themselves point to.
fn suspected(finding: &Finding) -> Vec<Variation> {
    let mut suspected = Vec::new();
    let Ok(difference) = &finding.difference else { return suspected };
    difference.for_each_leaf(&mut |_, leaf| {
        for hint in &leaf.hints {
            let variation = match hint.class {
                Class::Timestamp => Variation::Clock,
                Class::Path => Variation::Path,
                Class::Order => Variation::DirectoryOrder,
                Class::Owner => Variation::Names,
                Class::Mode => Variation::Umask,
                Class::Locale => Variation::Locale,
                Class::Zone => Variation::Zone,
                Class::Host => Variation::HostName,
                Class::RandomId | Class::Compression => continue,
            };
            if !suspected.contains(&variation) {
                suspected.push(variation);
            }
        }
    });
    suspected
}
