//! What the updater says of itself: to whoever asks, and to the journal.

use std::sync::Mutex;
use std::sync::PoisonError;

use osbuild_delta::choice::Way;
use osbuild_sys::console;
use osbuild_tuf::time::Time;
use osbuild_update::decide::{Judged, Standing};
use serde_json::{Value, json};

use crate::WHO;
use crate::fetch::Observer;
use crate::node::Next;
use crate::scrub::{Found, Scrubbed};

/// Shared by the one who works and those who ask.
#[derive(Default)]
pub struct Status {
    told: Mutex<Told>,
    pub scrubbed: Scrubbed,
}

#[derive(Default)]
struct Told {
    state: State,
    /// Why there are no updates at all.
    off: Option<String>,
    checked: Option<Time>,
    problem: Option<String>,
    releases: Vec<Value>,
    chosen: Option<String>,
    installing: Option<String>,
    downloads: Vec<Download>,
    loader: Option<String>,
    imported: Value,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    Checking,
    Installing,
    /// The next start is that of the other slot.
    Activated,
}

struct Download {
    what: &'static str,
    way: Way,
    bytes: u64,
    came: u64,
}

impl Status {
    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_off(&self, why: String) {
        self.told().off = Some(why);
    }

    /// What keeps it from taking an order.
    pub fn busy(&self) -> Option<String> {
        let told = self.told();
        match told.state {
            State::Checking => Some("it looks at the repository or at the other slot".to_owned()),
            State::Installing => {
                Some(format!("it installs {}", told.installing.as_deref().unwrap_or("a release")))
            }
            State::Idle | State::Activated => None,
        }
    }

    /// An order was taken, and is carried out at once.
    pub fn begins(&self) {
        let mut told = self.told();
        told.state = State::Checking;
        told.problem = None;
    }

    pub fn checks(&self) {
        self.told().state = State::Checking;
    }

    pub fn found(&self, at: Time, judged: &[Judged<'_>], chosen: Option<&str>) {
        let mut told = self.told();
        (told.checked, told.problem) = (Some(at), None);
        told.chosen = chosen.map(str::to_owned);
        told.releases = judged.iter().map(record).collect();
    }

    pub fn installs(&self, version: &str) {
        let mut told = self.told();
        told.state = State::Installing;
        told.installing = Some(version.to_owned());
        told.downloads.clear();
    }

    /// Nothing is going on any more; what the next start runs is the disk's to say,
    /// whatever has been looked at or gone wrong since it was installed.
    pub fn rests(&self, next: Option<Next>) {
        let mut told = self.told();
        let Some(Next { root_hash, version }) = next else {
            (told.state, told.installing) = (State::Idle, None);
            return;
        };
        for release in told.releases.iter_mut().filter(|release| release["rootHash"] == root_hash.as_str()) {
            release["standing"] = "installed".into();
            release["why"] = "it is installed; the next start runs it".into();
        }
        told.state = State::Activated;
        told.installing = Some(version.unwrap_or_else(|| "the other slot".to_owned()));
    }

    pub fn failed(&self, problem: &str) {
        console::say(WHO, 4, problem);
        self.told().problem = Some(problem.to_owned());
    }

    pub fn loader(&self, said: String) {
        self.told().loader = Some(said);
    }

    pub fn imported(&self, told: Value) {
        self.told().imported = told;
    }

    pub fn record(&self) -> Value {
        let Found { running, other, .. } = self.scrubbed.found();
        let told = self.told();
        let downloads: Vec<Value> = told
            .downloads
            .iter()
            .map(|one| json!({ "what": one.what, "way": way_name(one.way), "bytes": one.bytes, "came": one.came }))
            .collect();
        json!({
            "schema": 1,
            "state": match told.state {
                State::Idle => "idle",
                State::Checking => "checking",
                State::Installing => "installing",
                State::Activated => "activated",
            },
            "off": told.off,
            "checked": told.checked,
            "problem": told.problem,
            "chosen": told.chosen,
            "installing": told.installing,
            "downloads": downloads,
            "loader": told.loader,
            "imported": told.imported,
            "scrub": { "reads": self.scrubbed.is_at_work(), "running": running, "other": other },
            "releases": told.releases,
        })
    }
}

impl Observer for Status {
    fn chosen(&self, what: &'static str, way: Way, bytes: u64) {
        console::say(WHO, 6, &format!("{what}: downloading {bytes} bytes ({})", way_name(way)));
        self.told().downloads.push(Download { what, way, bytes, came: 0 });
    }

    fn came(&self, bytes: u64) {
        if let Some(last) = self.told().downloads.last_mut() {
            last.came += bytes;
        }
    }
}

const fn way_name(way: Way) -> &'static str {
    match way {
        Way::Whole => "whole image",
        Way::Chunks => "chunks",
        Way::Delta => "delta",
    }
}

/// A release, and in words why it is not installed (yet).
fn record(judged: &Judged<'_>) -> Value {
    let Judged { release, standing } = judged;
    let (name, until, why) = match standing {
        Standing::Running => ("running", None, "it runs".to_owned()),
        Standing::Older => {
            ("older", None, "it is older than what runs; going back is done by hand".to_owned())
        }
        Standing::BelowFloor { floor } => (
            "below-floor",
            None,
            format!("its index {} is below this node's floor {floor}", release.rollback_index),
        ),
        Standing::Locked { version } => ("locked", None, format!("the node is locked to {version}")),
        Standing::Withdrawn { why } => ("withdrawn", None, format!("its publisher took it back: {why}")),
        Standing::FailedHere => {
            ("refused", None, "it failed here, or an operator went back from it".to_owned())
        }
        Standing::NotRebuilt => (
            "not-rebuilt",
            None,
            "not enough of the rebuilders that this node's image names have made it again".to_owned(),
        ),
        Standing::NeedsStep { min_from_index } => {
            ("needs-step", None, format!("it needs a release with index {min_from_index} or more in between"))
        }
        Standing::Paused { since, why } => {
            ("paused", None, format!("held by its publisher since {since}: {why}"))
        }
        Standing::NotGiven => ("not-given", None, "it is not given out yet".to_owned()),
        Standing::Waits { until, position, for_delay } => {
            let reason = if *for_delay { "this node's delay" } else { "its turn" };
            let place = f64::from(position.number()) / 100.0;
            (
                "waits",
                Some(*until),
                format!("{reason} comes at {until} (this node is at {place:.2} % of the fleet)"),
            )
        }
        Standing::Ready => ("ready", None, "it can be installed now".to_owned()),
    };
    json!({
        "version": release.version,
        "rollbackIndex": release.rollback_index,
        "rootHash": release.root_hash,
        "published": release.published,
        "standing": name,
        "until": until,
        "why": why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look at the repository, or one that fails, takes nothing back.
    #[test]
    fn what_is_installed_is_told_until_it_runs() {
        let status = Status::default();
        let next = |version: Option<&str>| {
            Some(Next { root_hash: "bb".to_owned(), version: version.map(str::to_owned) })
        };
        let is = |state: &str, installing: Value| {
            let record = status.record();
            assert_eq!((&record["state"], &record["installing"]), (&state.into(), &installing));
        };
        status.rests(None);
        is("idle", Value::Null);
        status.installs("2.0.0");
        is("installing", "2.0.0".into());
        status.rests(next(Some("2.0.0")));
        is("activated", "2.0.0".into());
        status.checks();
        status.told().releases = vec![
            json!({ "rootHash": "bb", "standing": "ready" }),
            json!({ "rootHash": "aa", "standing": "running" }),
        ];
        is("checking", "2.0.0".into());
        status.failed("no route");
        status.rests(next(Some("2.0.0")));
        is("activated", "2.0.0".into());
        let record = status.record();
        assert_eq!(record["problem"], "no route");
        assert_eq!(record["releases"][0]["standing"], "installed");
        assert_eq!(record["releases"][1]["standing"], "running");
        status.rests(next(None));
        is("activated", "the other slot".into());
        status.rests(None);
        is("idle", Value::Null);
    }
}
