//! Makes settings hold on the node: files by `render`, units by the service
//! manager.

use std::time::Duration;

use osbuild_schema::Document;
use osbuild_sys::command::{self, Output};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::node::Applier;

const RENDER: &str = "/usr/lib/osbuild/render";
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const RENDERING: Duration = Duration::from_secs(30);
/// For all units that a change concerns to start anew.
const RESTARTING: Duration = Duration::from_secs(180);

/// By the programs of the image.
pub struct Programs;

/// What `render` says of its work.
#[derive(Deserialize)]
struct Rendered {
    written: Vec<String>,
    removed: Vec<String>,
    restart: Vec<String>,
    reload: Vec<String>,
    start: Vec<String>,
    stop: Vec<String>,
}

impl Applier for Programs {
    fn try_out(&mut self, effective: &Document) -> Result<(), Vec<String>> {
        render("plan", effective).map(drop)
    }

    fn apply(&mut self, effective: &Document) -> Result<Value, Vec<String>> {
        let Rendered { written, removed, restart, reload, start, stop } = render("apply", effective)?;
        let mut failures = Vec::new();
        // Units themselves may have changed.
        if written.iter().chain(&removed).any(|path| path.starts_with("systemd/")) {
            failures.extend(systemctl(&["daemon-reload"], RENDERING).err());
        }
        // In one call each, so that the service manager keeps to its order.
        // With `try`, a unit that does not run stays as it is. What starts is
        // not waited for: at a start of the node its turn comes later.
        let calls: [(&[&str], &[String]); 4] = [
            (&["stop"], &stop),
            (&["try-restart"], &restart),
            (&["try-reload-or-restart"], &reload),
            (&["restart", "--no-block"], &start),
        ];
        for (verb, units) in calls {
            if !units.is_empty() {
                let mut call = verb.to_vec();
                call.extend(units.iter().map(String::as_str));
                failures.extend(systemctl(&call, RESTARTING).err());
            }
        }
        if !failures.is_empty() {
            return Err(failures);
        }
        Ok(json!({
            "written": written, "removed": removed, "restarted": restart, "reloaded": reload,
            "started": start, "stopped": stop,
        }))
    }
}

fn render(verb: &str, effective: &Document) -> Result<Rendered, Vec<String>> {
    let input = serde_json::to_vec(effective).expect("settings serialise");
    let Output { status, stdout, stderr } =
        command::run_with_input(&[RENDER, verb], &input, RENDERING).map_err(|error| vec![error])?;
    if status != 0 {
        return Err(stderr.lines().map(str::to_owned).collect());
    }
    serde_json::from_str(&stdout)
        .map_err(|error| vec![format!("{RENDER} said what nobody understands: {error}")])
}

fn systemctl(call: &[&str], limit: Duration) -> Result<(), String> {
    let whole = [&[SYSTEMCTL], call].concat();
    let Output { status, stderr, .. } = command::run(&whole, limit)?;
    if status == 0 {
        return Ok(());
    }
    let said = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(format!("systemctl {}: {said}", call.join(" ")))
}
