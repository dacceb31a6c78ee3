//! A node that installs only what others made again from what is recorded of it.

use std::path::Path;

use serde_json::Value;

use crate::context::Context;
use crate::fleet::Fleet;
use crate::followed::Followed;

const FLEET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fleet/rebuilders");

/// Neither the publisher alone is believed, nor one more; nor does force help.
pub(crate) fn two_of_three(context: &Context) -> Result<(), String> {
    let (followed, [old, _]) = Followed::new(context, "rebuilders", ["rebuilt-1", "rebuilt-2"], "")?;
    let fleet = &followed.fleet;
    let machine = followed.start(&old)?;
    // Whoever has the publisher's keys gives out what they like.
    is_not_rebuilt(&followed, "2.0.0")?;

    // A careless publisher asks for less than the node does.
    let second = context.variant("rebuilt-2");
    fleet.publish(Path::new(&second), &CANDIDATE)?;
    ask_for(fleet, 1)?;
    let alice = verdict(context, fleet, "alice", "2.0.0")?;
    fleet.publish(Path::new(&second), &["--verdict", &alice])?;
    is_not_rebuilt(&followed, "2.0.0")?;

    // The repository keeps to its own policy.
    let third = context.variant("rebuilt-3");
    let new = context.build(&third)?;
    ask_for(fleet, 2)?;
    fleet.publish(Path::new(&third), &CANDIDATE)?;
    let alice = verdict(context, fleet, "alice", "3.0.0")?;
    let refusal = fleet.publish(Path::new(&third), &["--verdict", &alice]).err().unwrap_or_default();
    if !refusal.contains("made again by 1 of the 2 rebuilders") {
        return Err(format!("published by one verdict of two: {refusal}"));
    }
    let bob = verdict(context, fleet, "bob", "3.0.0")?;
    fleet.publish(Path::new(&third), &["--verdict", &alice, "--verdict", &bob])?;
    followed.turn_comes()?;
    followed.installs("3.0.0")?;
    machine.power_off();
    followed.start(&new)?.power_off();
    Ok(())
}

const CANDIDATE: [&str; 2] = ["--channel", "candidate"];

fn is_not_rebuilt(followed: &Followed<'_>, version: &str) -> Result<(), String> {
    followed.orders("update check", 0, "made it again")?;
    followed.orders(&format!("update install {version} --force"), 1, "")?;
    let status = followed.status()?;
    let releases = status["releases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let standing = releases.iter().find(|release| release["version"] == version).map(|one| &one["standing"]);
    match standing {
        Some(Value::String(standing)) if standing == "not-rebuilt" => Ok(()),
        _ => Err(format!("{version} is not one that too few have made again: {status}")),
    }
}

/// Tells the repository how many of the three have to agree.
fn ask_for(fleet: &Fleet<'_>, threshold: u64) -> Result<(), String> {
    let path = fleet.repository.join("policy.toml");
    let policy = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    // What was added before goes.
    let mut policy = policy.split("\n[rebuilt]").next().unwrap_or_default().to_owned();
    policy += &format!("\n[rebuilt]\nthreshold = {threshold}\nby = [\"alice\", \"bob\", \"carol\"]\n");
    for name in ["alice", "bob", "carol"] {
        let public =
            std::fs::read_to_string(format!("{FLEET}/{name}.pub")).map_err(|error| error.to_string())?;
        policy += &format!("\n[keys.{name}]\npublic = \"\"\"\n{public}\"\"\"\n");
    }
    std::fs::write(&path, policy).map_err(|error| error.to_string())
}

/// Has a release made again, and its verdict.
fn verdict(context: &Context, fleet: &Fleet<'_>, who: &str, version: &str) -> Result<String, String> {
    let folder = context.scratch(&format!("verdict-{who}-{version}"));
    let mut verify = context.osbuild();
    verify.args(["verify", "--against"]).arg(&fleet.repository).arg("candidate/qemu-dev");
    verify.args(["--release", version, "--with", &format!("{FLEET}/{who}.pem"), "--verdict"]).arg(&folder);
    context.run(&mut verify)?;
    Ok(folder.join("verdict.json").display().to_string())
}
