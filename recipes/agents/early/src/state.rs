//! What `early` hands on: `/run/osbuild/early.json`.

use osbuild_sys::clock;
use osbuild_sys::console::say;
use osbuild_sys::{Failed, Result};
use serde_json::json;

const PATH: &str = "/run/osbuild/early.json";

/// How PRIVATE was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrivateState {
    /// Formatted in this start.
    Fresh,
    /// Kept from before.
    Kept,
    /// A tmpfs stands in for it.
    #[default]
    Lost,
}

#[derive(Default)]
pub struct State {
    pub disk: Option<String>,
    pub slot: Option<&'static str>,
    pub private: PrivateState,
    pub watchdog: bool,
    /// What the device says it is.
    pub watchdog_identity: Option<String>,
    /// Since the kernel started.
    pub began_ms: u64,
    failures: Vec<String>,
}

impl State {
    /// Names a failure on the console and keeps it.
    pub fn note(&mut self, step: Result<()>) {
        if let Err(error) = step {
            say(super::WHO, 3, &error.to_string());
            self.failures.push(error.to_string());
        }
    }

    pub fn write(&self) {
        let private = match self.private {
            PrivateState::Fresh => "fresh",
            PrivateState::Kept => "kept",
            PrivateState::Lost => "lost",
        };
        let text = json!({
            "schema": 1,
            "disk": self.disk,
            "slot": self.slot,
            "private": private,
            "watchdog": self.watchdog,
            "watchdog_identity": self.watchdog_identity,
            "began_ms": self.began_ms,
            "ended_ms": clock::uptime_ms(),
            "failures": self.failures,
        });
        let written = std::fs::write(PATH, format!("{text}\n")).map_err(Failed::at("write", PATH));
        if let Err(error) = written {
            say(super::WHO, 3, &error.to_string());
        }
    }
}
