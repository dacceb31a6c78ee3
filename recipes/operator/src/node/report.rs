//! What the node says of itself, put together from its API's answers.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::host::Host;
use crate::resources::{Release, Report};

/// Facts of a start do not change once it is committed, and asking for them
/// starts a program on the node.
const AGAIN: Duration = Duration::from_secs(5 * 60);
/// Of releases that are newer, so many are told.
const MOST_RELEASES: usize = 5;

/// The last answers.
#[derive(Debug, Default)]
pub struct Look {
    boot: Option<(Value, Instant)>,
    update: Option<Value>,
    /// Asked only while an update is under way.
    slots: Option<Value>,
    /// What the API refused, or that it does not answer.
    problem: Option<String>,
    /// What came of the last order.
    refused: Option<String>,
}

impl Look {
    pub async fn anew(&mut self, host: &Host, wanted: Option<&str>) {
        self.problem = None;
        let is_fresh = |(boot, at): &(Value, Instant)| is_committed(boot) && at.elapsed() < AGAIN;
        if !self.boot.as_ref().is_some_and(is_fresh) {
            if let Some(boot) = self.kept(host.get("/v1/node/boot").await) {
                self.boot = Some((boot, Instant::now()));
            }
        }
        let update = host.get("/v1/update").await;
        self.update = self.kept(update);
        let is_under_way =
            self.state() == Some("activated") || (wanted.is_some() && self.running() != wanted);
        self.slots = None;
        if is_under_way {
            let slots = host.get("/v1/node/slots").await;
            self.slots = self.kept(slots);
        }
    }

    fn kept(&mut self, answer: Result<Value, String>) -> Option<Value> {
        answer.map_err(|problem| self.problem = Some(problem)).ok()
    }

    /// What came of an order; forgotten with the next one.
    pub fn note(&mut self, outcome: Result<(), String>) {
        self.refused = outcome.err();
    }

    pub fn running(&self) -> Option<&str> {
        self.boot.as_ref()?.0["os"]["VERSION_ID"].as_str()
    }

    /// What the updater does.
    pub fn state(&self) -> Option<&str> {
        let update = self.update.as_ref()?;
        if update["off"].is_string() { Some("off") } else { update["state"].as_str() }
    }

    pub fn has_checked(&self) -> bool {
        self.update.as_ref().is_some_and(|update| !update["checked"].is_null())
    }

    /// The release that the next start tries: by the disk, since the updater may
    /// have been started anew since.
    pub fn staged(&self) -> Option<&str> {
        let slots = self.slots.as_ref()?["slots"].as_array()?;
        let next = slots.iter().find(|slot| slot["runs"] == false && slot["state"] == "TRIAL")?;
        next["version"].as_str()
    }

    /// `None` as long as the node has not answered once.
    pub fn report(&self) -> Option<Report> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let boot = &self.boot.as_ref()?.0;
        let unknown = Value::Null;
        let update = self.update.as_ref().unwrap_or(&unknown);
        let releases = update["releases"].as_array().map_or(&[][..], Vec::as_slice);
        let newer = releases
            .iter()
            .filter(|release| !["running", "older"].map(Value::from).contains(&release["standing"]));
        Some(Report {
            running: text(&boot["os"]["VERSION_ID"])?,
            boot_id: text(&boot["bootId"])?,
            committed: is_committed(boot),
            state: self.state().unwrap_or("unknown").to_owned(),
            chosen: text(&update["chosen"]),
            staged: self.staged().map(str::to_owned),
            releases: newer
                .filter_map(|release| {
                    let why = text(&release["why"]).unwrap_or_else(|| "it does not say why".to_owned());
                    Some(Release {
                        version: text(&release["version"])?,
                        standing: text(&release["standing"])?,
                        why,
                    })
                })
                .take(MOST_RELEASES)
                .collect(),
            problem: [&update["problem"], &update["off"]]
                .into_iter()
                .find_map(text)
                .or_else(|| self.problem.clone())
                .or_else(|| self.refused.clone()),
            seen: None,
        })
    }
}

fn is_committed(boot: &Value) -> bool {
    boot["health"]["verdict"] == "healthy"
}

#[cfg(test)]
impl Look {
    /// As if these had been the answers.
    pub fn of(boot: Value, update: Value, slots: Option<Value>) -> Self {
        Self { boot: Some((boot, Instant::now())), update: Some(update), slots, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_node_says_is_told() {
        let boot =
            json!({ "bootId": "b", "os": { "VERSION_ID": "1.0.0" }, "health": { "verdict": "healthy" } });
        let release =
            |version: &str, standing: &str| json!({ "version": version, "standing": standing, "why": "w" });
        let update = json!({
            "off": null, "state": "activated", "checked": "t", "chosen": "2.0.0", "problem": null,
            "releases": [release("2.0.0", "ready"), release("1.0.0", "running"), release("0.9.0", "older")],
        });
        let slots = json!({ "slots": [
            { "runs": true, "state": "GOOD", "version": "1.0.0" }, { "runs": false, "state": "TRIAL", "version": "2.0.0" },
        ] });
        let look = Look::of(boot, update, Some(slots));
        let expected = Report {
            running: "1.0.0".to_owned(),
            boot_id: "b".to_owned(),
            committed: true,
            state: "activated".to_owned(),
            chosen: Some("2.0.0".to_owned()),
            staged: Some("2.0.0".to_owned()),
            releases: vec![Release {
                version: "2.0.0".to_owned(),
                standing: "ready".to_owned(),
                why: "w".to_owned(),
            }],
            problem: None,
            seen: None,
        };
        assert_eq!(look.report(), Some(expected));
        assert_eq!(Look::default().report(), None);
    }

    #[test]
    fn what_is_wrong_is_told() {
        let boot = json!({ "bootId": "b", "os": { "VERSION_ID": "1.0.0" }, "health": null });
        for (update, state, problem) in [
            (json!({ "off": "nobody to follow", "state": "idle" }), "off", "nobody to follow"),
            (json!({ "off": null, "state": "idle", "problem": "no route" }), "idle", "no route"),
            (json!({}), "unknown", "refused"),
        ] {
            let mut look = Look::of(boot.clone(), update, None);
            look.note(Err("refused".to_owned()));
            let report = look.report().unwrap();
            assert_eq!(
                (report.committed, report.state.as_str(), report.problem.as_deref()),
                (false, state, Some(problem))
            );
        }
    }
}
