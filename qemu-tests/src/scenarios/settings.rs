//! A node's settings: where they come from, and that they hold.

use std::path::Path;

use serde_json::{Value, json};

use crate::context::Context;
use crate::machine::{Machine, Start};
use crate::report::Report;
use crate::scenarios::{all_hold, install_b, nonce};

const TARGET: &str = "qemu-dev";

/// Three starts of one disk: with user data, with a wrong one, with none.
pub(crate) fn user_data(context: &Context) -> Result<(), String> {
    let disk = context.scratch("user-data.raw");
    let good = "[network]\nhostname = \"node-7\"\n";
    let wrong = "[network]\nhostname = \"node-8\"\nmtu = 1400\n";

    let taken = start(context, &disk, Some(good))?;
    all_hold(
        named(
            "node-7",
            &taken,
            &json!({ "schema": 1, "source": "fw-cfg", "state": "taken", "problem": null }),
        ),
        &taken.report,
    )?;
    // The same assertions must be able to fail.
    if named("node-8", &taken, &json!(null)).len() != 3 {
        return Err("a node that is called otherwise passes for one that is called so".to_owned());
    }

    let refused = start(context, &disk, Some(wrong))?;
    let problem = "line 3: network.mtu: no such setting";
    let state = json!({ "schema": 1, "source": "fw-cfg", "state": "refused", "problem": problem });
    all_hold(named("node-7", &refused, &state), &refused.report)?;
    let line = format!("firstboot: the user data from fw-cfg is refused: {problem}");
    if !refused.console.contains(&line) {
        return Err(format!("the console does not say: {line}"));
    }

    let kept = start(context, &disk, None)?;
    let none = json!({ "schema": 1, "source": null, "state": "none", "problem": null });
    all_hold(named("node-7", &kept, &none), &kept.report)
}

/// What a newer version alone can be told is set aside in the older one, and
/// there again in the newer.
pub(crate) fn migration(context: &Context) -> Result<(), String> {
    let newer = context.build(&context.variant("v2-settings"))?;
    let disk = context.scratch("migration.raw");
    start(context, &disk, Some("[network]\nhostname = \"node-7\"\n"))?;
    install_b(context, &disk, &newer)?;
    let told = "[network]\nhostname = \"node-8\"\n[example]\nlevel = 7\n";
    let started = start(context, &disk, Some(told))?;
    all_hold(carried("0.2.0", &json!(7), &json!([]), &started.report), &started.report)?;
    // The same assertion must be able to fail.
    if carried("0.2.0", &json!(3), &json!([]), &started.report).len() != 1 {
        return Err("the default passes for what was set".to_owned());
    }
    let roll_back = |running: &str| {
        let mut command = context.osbuild();
        context.run(command.args(["disk", "roll-back", "--running", running]).arg(&disk)).map(drop)
    };
    roll_back("B")?;
    let started = start(context, &disk, None)?;
    let aside = json!(["example.level"]);
    all_hold(carried("0.1.0", &Value::Null, &aside, &started.report), &started.report)?;
    roll_back("A")?;
    let started = start(context, &disk, None)?;
    all_hold(carried("0.2.0", &json!(7), &json!([]), &started.report), &started.report)
}

/// What is not as it should be of settings in a version.
fn carried(version: &str, level: &Value, aside: &Value, report: &Report) -> Vec<String> {
    let started = report.event("started").cloned().unwrap_or_default();
    let says = report.state("settings").cloned().unwrap_or_default();
    let settings = &says["settings"];
    [
        ("the version", &started["os_release"]["IMAGE_VERSION"], &json!(version)),
        ("the verdict", &report.event("verdict").cloned().unwrap_or_default()["verdict"], &json!("healthy")),
        ("the host name", &settings["network"]["hostname"], &json!("node-8")),
        ("what only the newer one knows", &settings["example"]["level"], level),
        ("what is aside", &says["aside"], aside),
    ]
    .into_iter()
    .filter(|(_, found, expected)| found != expected)
    .map(|(what, found, expected)| format!("{what}: {found}, expected {expected}"))
    .collect()
}

pub(crate) struct Started {
    pub(crate) report: Report,
    pub(crate) console: String,
}

/// Until the verdict, and until the node is called by its name.
pub(crate) fn start(context: &Context, disk: &Path, user_data: Option<&str>) -> Result<Started, String> {
    let file = context.scratch("user-data.toml");
    if let Some(text) = user_data {
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let user_data = user_data.map(|_| file.as_path());
    let nonce = nonce();
    let start = Start { user_data, ..Start::new(TARGET, disk, &nonce) };
    let mut machine = Machine::start(context, &start)?;
    machine.verdict()?;
    let report = machine.wait_for("the user data's fate", |report| report.state("firstboot").is_some())?;
    let console = machine.console();
    machine.power_off();
    Ok(Started { report, console })
}

/// What is not as it should be of a node that is called so.
fn named(name: &str, started: &Started, firstboot: &Value) -> Vec<String> {
    let report = &started.report;
    let mut failures = Vec::new();
    let mut expect = |what: &str, found: Option<&Value>, expected: &Value| {
        if found != Some(expected) {
            failures.push(format!("{what}: {found:?}, expected {expected}"));
        }
    };
    expect("the verdict", report.event("verdict").map(|data| &data["verdict"]), &json!("healthy"));
    expect("firstboot", report.state("firstboot"), firstboot);
    expect("the kernel's host name", report.state("hostname"), &json!(name));
    let settings = report.state("settings");
    expect("the setting", settings.map(|says| &says["settings"]["network"]["hostname"]), &json!(name));
    expect("what does not hold", settings.map(|says| &says["notApplied"]), &json!([]));
    failures
}
