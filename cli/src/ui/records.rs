//! Events as records: one JSON object a line on standard output.
//!
//! Each has `schema` and `event`. `step` is a number that the events of one
//! step share; what it is called stands in its `started`.

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use osbuild_core::graph::{Event, Observer, Outcome};
use serde_json::{Value, json};

use super::step::{Step, verb};

/// Between two records of one step's progress.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(crate) struct Records {
    steps: Mutex<HashMap<usize, Running>>,
}

struct Running {
    step: Step,
    told: Option<Instant>,
}

impl Observer for Records {
    fn event(&self, event: Event<'_>) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = record(&mut steps, &event) {
            // Whoever read it may have left: the build goes on.
            let _ = writeln!(std::io::stdout().lock(), "{record}");
        }
    }
}

fn record(steps: &mut HashMap<usize, Running>, event: &Event<'_>) -> Option<Value> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Some(match event {
        Event::Planned { certain, possible, usual } => json!({
            "schema": 1, "event": "planned", "steps": certain, "maybe": possible,
            "usualMs": usual.map(ms),
        }),
        Event::Started { step, name, kind, usual, for_step } => {
            steps.insert(*step, Running { step: Step::new(name, *kind), told: None });
            let kind = verb(*kind);
            json!({
                "schema": 1, "event": "started", "step": step, "name": name, "kind": kind,
                "usualMs": usual.map(ms), "for": for_step,
            })
        }
        Event::Phase { step, name } => json!({ "schema": 1, "event": "phase", "step": step, "phase": name }),
        Event::Progress { step, done, total } => {
            let running = steps.get_mut(step)?;
            if running.told.is_some_and(|told| told.elapsed() < PROGRESS_EVERY) {
                return None;
            }
            running.told = Some(Instant::now());
            let total = (*total > 0).then_some(total);
            json!({ "schema": 1, "event": "progress", "step": step, "done": done, "total": total })
        }
        Event::Line { step, text } => json!({ "schema": 1, "event": "line", "step": step, "text": text }),
        Event::Finished { step, outcome } => {
            let took = steps.remove(step).map(|running| ms(running.step.elapsed()));
            let outcome = match outcome {
                Outcome::Made => "made",
                Outcome::Found => "found",
                Outcome::Failed => "failed",
            };
            json!({ "schema": 1, "event": "finished", "step": step, "outcome": outcome, "ms": took })
        }
        Event::Warning { text } => json!({ "schema": 1, "event": "warning", "text": text }),
    })
}

#[cfg(test)]
mod tests {
    use osbuild_core::graph::Kind;

    use super::*;

    #[test]
    fn every_event_is_a_record() {
        let mut steps = HashMap::new();
        let mut check = |event: Event<'_>, expected: Option<&str>| {
            let text = record(&mut steps, &event).map(|mut record| {
                if let Some(ms) = record.get_mut("ms") {
                    *ms = 0.into();
                }
                record.to_string()
            });
            assert_eq!(text.as_deref(), expected);
        };
        let usual = Some(Duration::from_millis(1500));
        check(
            Event::Planned { certain: 3, possible: 1, usual },
            Some(r#"{"event":"planned","maybe":1,"schema":1,"steps":3,"usualMs":1500}"#),
        );
        check(
            Event::Started {
                step: 7,
                name: "hello",
                kind: Kind::Build,
                usual: None,
                for_step: Some("greetings"),
            },
            Some(
                r#"{"event":"started","for":"greetings","kind":"build","name":"hello","schema":1,"step":7,"usualMs":null}"#,
            ),
        );
        check(
            Event::Phase { step: 7, name: "unpack" },
            Some(r#"{"event":"phase","phase":"unpack","schema":1,"step":7}"#),
        );
        check(
            Event::Progress { step: 7, done: 1, total: 0 },
            Some(r#"{"done":1,"event":"progress","schema":1,"step":7,"total":null}"#),
        );
        check(Event::Progress { step: 7, done: 2, total: 0 }, None);
        check(
            Event::Line { step: 7, text: "a \"word\"" },
            Some(r#"{"event":"line","schema":1,"step":7,"text":"a \"word\""}"#),
        );
        check(
            Event::Finished { step: 7, outcome: &Outcome::Failed },
            Some(r#"{"event":"finished","ms":0,"outcome":"failed","schema":1,"step":7}"#),
        );
        check(Event::Warning { text: "slow" }, Some(r#"{"event":"warning","schema":1,"text":"slow"}"#));
    }
}
