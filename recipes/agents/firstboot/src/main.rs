//! `firstboot`: finds the node's user data and hands it to its settings.
//!
//! Asked at every start, since user data may change; the settings take a text
//! once. A node without user data is a node; one whose user data is wrong says
//! so in one line and keeps its last good settings. Where user data comes over
//! a network that is not there yet, it is asked for until it is.

mod local;
mod text;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use local::Refused;
use osbuild_api::{Endpoint, NoAnswer, Question, SOCKET};
use osbuild_imds::{DMI, Imds, is_on_ec2};
use osbuild_sys::console::{announce, say};
use osbuild_sys::{notify, state};
use serde::Deserialize;
use serde_json::{Value, json};

const WHO: &str = "firstboot";
/// Which sources this image asks, in the order of their word.
const SOURCES: &str = "/usr/share/osbuild/firstboot.json";
const STATE: &str = "/run/osbuild/firstboot.json";
/// For the settings to be rendered, and units to start anew.
const TAKING: Duration = Duration::from_secs(240);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sources {
    schema: u32,
    sources: Vec<Source>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Source {
    FwCfg,
    Smbios,
    ConfigDisk,
    Imds,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::FwCfg => "fw-cfg",
            Self::Smbios => "smbios",
            Self::ConfigDisk => "config-disk",
            Self::Imds => "imds",
        }
    }
}

fn main() -> ExitCode {
    let sources = match std::fs::read(SOURCES).map_err(|error| error.to_string()).and_then(|text| {
        let Sources { schema, sources } = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        if schema == 1 { Ok(sources) } else { Err(format!("form {schema}")) }
    }) {
        Ok(sources) => sources,
        Err(error) => {
            say(WHO, 2, &format!("{SOURCES}: {error}"));
            return ExitCode::FAILURE;
        }
    };
    for source in sources {
        let found = match source {
            Source::FwCfg => local::fw_cfg(Path::new(local::FW_CFG)),
            Source::Smbios => local::smbios(Path::new(local::DMI_ENTRIES)),
            Source::ConfigDisk => local::config_disk(),
            Source::Imds if !is_on_ec2(Path::new(DMI)) => Ok(None),
            Source::Imds => {
                // Whatever waits for local user data need not wait for a network.
                notify::ready();
                let tell =
                    &mut |reason: &str| say(WHO, 4, &format!("the user data is not there yet: {reason}"));
                let found = Imds::amazon(text::MOST_BYTES + 1).wait_for("/latest/user-data", tell);
                found.map_err(|error| Refused(error.to_string()))
            }
        };
        match found {
            Ok(None) => {}
            Ok(Some(bytes)) => {
                finish(source, &bytes);
                return ExitCode::SUCCESS;
            }
            // What cannot be read is no reason to take another's word.
            Err(Refused(reason)) => {
                tell(source, "refused", Some(&reason));
                return ExitCode::SUCCESS;
            }
        }
    }
    notify::ready();
    write_state(&json!({ "schema": 1, "source": null, "state": "none", "problem": null }));
    say(WHO, 5, "there is no user data");
    ExitCode::SUCCESS
}

/// Hands user data over, and tells what became of it.
fn finish(source: Source, bytes: &[u8]) {
    let taken =
        text::decode(bytes).and_then(|text| hand_over(source, text).map_err(|error| error.to_string()));
    match taken {
        Ok(Ok(())) => tell(source, "taken", None),
        Ok(Err(problem)) | Err(problem) => tell(source, "refused", Some(&problem)),
    }
    notify::ready();
}

/// The settings' answer: what is wrong, if anything is.
fn hand_over(source: Source, text: String) -> Result<Result<(), String>, NoAnswer> {
    let path = format!("/v1/user-data?source={}", source.name());
    let question = Question {
        method: "POST",
        path: &path,
        headers: &[("content-type", "application/toml")],
        body: text.into_bytes(),
        limit: TAKING,
        most_bytes: 1 << 20,
    };
    let answer = Endpoint::Unix(SOCKET.into()).ask(&question)?;
    if answer.status == 200 {
        return Ok(Ok(()));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(Err(body["error"]["message"].as_str().unwrap_or("the settings refused it").to_owned()))
}

fn tell(source: Source, state: &str, problem: Option<&str>) {
    write_state(&json!({ "schema": 1, "source": source.name(), "state": state, "problem": problem }));
    let name = source.name();
    match problem {
        None => say(WHO, 5, &format!("took the user data from {name}")),
        Some(problem) => announce(WHO, &one_line(name, problem)),
    }
}

/// The first of what is wrong, and how much more is.
fn one_line(name: &str, problem: &str) -> String {
    let mut lines = problem.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => format!("the user data from {name} is refused: {first}"),
        more => {
            format!("the user data from {name} is refused: {first} (and {more} more, see hostctl status)")
        }
    }
}

fn write_state(says: &Value) {
    if let Err(error) = state::write(STATE, &format!("{says}\n")) {
        say(WHO, 3, &error.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_fits_on_a_line() {
        assert_eq!(one_line("imds", "a"), "the user data from imds is refused: a");
        assert_eq!(
            one_line("imds", "a\nb\nc"),
            "the user data from imds is refused: a (and 2 more, see hostctl status)"
        );
        assert_eq!(one_line("imds", ""), "the user data from imds is refused: ");
    }
}
