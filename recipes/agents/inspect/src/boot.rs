//! This start: what runs, how long it took, and who would notice a hang.

use osbuild_sys::{clock, os_release, private};
use serde_json::{Value, json};

use crate::services::{self, Properties, number, text};
use crate::system::System;

/// What the service manager says of itself.
const PROPERTIES: &str = "--property=FirmwareTimestampMonotonic,LoaderTimestampMonotonic,KernelTimestamp,\
     UserspaceTimestampMonotonic,FinishTimestampMonotonic,WatchdogDevice,WatchdogLastPingTimestampMonotonic";
/// The one device that the loader arms before the kernel starts.
const ARMED_BY_LOADER: &str = "i6300ESB";
const OPENED_BY_FIRST_PROGRAM: &str = "watchdog0";

/// What cannot be found out is null, or says why.
pub fn record() -> Value {
    let system = System::running();
    let manager = manager();
    let early = system.json("/run/osbuild/early.json");
    let health = system.json("/run/osbuild/health.json");
    let (manager, problem) = match manager {
        Ok(manager) => (manager, None),
        Err(reason) => (Properties::new(), Some(reason)),
    };
    json!({
        "schema": 1,
        "bootId": system.text("/proc/sys/kernel/random/boot_id"),
        "startedAt": number(&manager, "KernelTimestamp"),
        "uptimeMs": clock::uptime_ms(),
        "kernel": {
            "release": system.text("/proc/sys/kernel/osrelease"),
            "version": system.text("/proc/sys/kernel/version"),
            "commandLine": system.text("/proc/cmdline"),
        },
        "os": os_release::read().ok(),
        "durations": durations(&manager, early.as_ref(), health.as_ref()),
        "watchdog": watchdog(&system, &manager),
        "early": early,
        "health": health,
        // Of the trial of a version that failed before this start.
        "verdictBefore": private::read().verdict.is_some().then_some("unhealthy"),
        "problem": problem,
    })
}

/// # Errors
/// The service manager does not answer.
pub fn manager() -> Result<Properties, String> {
    Ok(services::show(&[PROPERTIES])?.pop().unwrap_or_default())
}

/// What each part of the start took. Firmware and loader are known only if
/// they leave word (the Boot Loader Interface's variables); ours does not.
fn durations(manager: &Properties, early: Option<&Value>, health: Option<&Value>) -> Value {
    let known = |name: &str| number(manager, name).filter(|us| *us > 0);
    let early_ms = |name: &str| early.and_then(|early| early[name].as_u64());
    let between = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
    // Those two count backwards from the kernel's start.
    let (firmware_us, loader_us) = (known("FirmwareTimestampMonotonic"), known("LoaderTimestampMonotonic"));
    let finish_ms = known("FinishTimestampMonotonic").map(|us| us / 1000);
    let verdict_ms = health.and_then(|health| health["verdict_ms"].as_u64());
    let parts = [
        ("firmware", between(loader_us, firmware_us).map(|us| us / 1000)),
        ("loader", loader_us.map(|us| us / 1000)),
        ("kernel", early_ms("began_ms")),
        ("early", between(early_ms("began_ms"), early_ms("ended_ms"))),
        ("units", between(early_ms("ended_ms"), finish_ms)),
        ("verdict", between(early_ms("ended_ms"), verdict_ms)),
    ];
    parts.iter().map(|(part, ms)| json!({ "part": part, "ms": ms })).collect()
}

/// Who resets a node that hangs. What the device is, the first program found
/// out: whoever keeps it has it open alone.
pub fn watchdog(system: &System, manager: &Properties) -> Value {
    let early = system.json("/run/osbuild/early.json").unwrap_or_default();
    let kept = text(manager, "WatchdogDevice").rsplit('/').next().unwrap_or_default();
    let identity = early["watchdog_identity"].as_str().filter(|_| kept == OPENED_BY_FIRST_PROGRAM);
    let is_covered = identity.is_some_and(|identity| identity.starts_with(ARMED_BY_LOADER));
    let why = match (kept, identity) {
        ("", _) => "no device is kept: a hang is noticed by nobody".to_owned(),
        (_, None) => format!("nobody says what {kept} is"),
        (_, Some(identity)) if identity.starts_with("Software") => {
            format!("{kept} is software: the kernel must run to see that all else hangs")
        }
        (_, Some(identity)) if is_covered => {
            format!("the loader armed {kept} ({identity}) before the kernel started")
        }
        (_, Some(identity)) => {
            format!("the loader does not know {kept} ({identity}), which the first program armed")
        }
    };
    let last_ping_us = number(manager, "WatchdogLastPingTimestampMonotonic").filter(|us| *us > 0);
    json!({
        "devices": system.names("/sys/class/watchdog"),
        "keptDevice": if kept.is_empty() { None } else { Some(kept) },
        "identity": identity,
        "lastPingUptimeMs": last_ping_us.map(|us| us / 1000),
        "coversBeforeFirstProgram": is_covered,
        "why": why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tests::made_of;

    fn properties(pairs: &[(&str, &str)]) -> Properties {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn parts_of_the_start_are_told_apart() {
        let manager = properties(&[
            ("FirmwareTimestampMonotonic", "5000000"),
            ("LoaderTimestampMonotonic", "2000000"),
            ("FinishTimestampMonotonic", "9000000"),
        ]);
        let early = json!({ "began_ms": 1200, "ended_ms": 1500 });
        let health = json!({ "verdict_ms": 12_000 });
        let parts = durations(&manager, Some(&early), Some(&health));
        let ms: Vec<u64> =
            parts.as_array().unwrap().iter().map(|part| part["ms"].as_u64().unwrap()).collect();
        assert_eq!(ms, [3000, 2000, 1200, 300, 7500, 10_500]);
        let nothing = durations(&properties(&[("LoaderTimestampMonotonic", "0")]), None, None);
        assert!(nothing.as_array().unwrap().iter().all(|part| part["ms"].is_null()), "{nothing}");
    }

    #[test]
    fn only_what_the_loader_arms_covers_the_start() {
        for (identity, device, covers, why) in [
            ("i6300ESB timer", "/dev/watchdog0", true, "the loader armed watchdog0 (i6300ESB timer)"),
            ("iTCO_wdt", "/dev/watchdog0", false, "the loader does not know watchdog0 (iTCO_wdt)"),
            ("Software Watchdog", "/dev/watchdog0", false, "watchdog0 is software"),
            ("i6300ESB timer", "/dev/watchdog1", false, "nobody says what watchdog1 is"),
            ("i6300ESB timer", "", false, "no device is kept"),
        ] {
            let early = json!({ "watchdog_identity": identity }).to_string();
            let (_place, system) = made_of(&[("/run/osbuild/early.json", &early)]);
            let found = watchdog(&system, &properties(&[("WatchdogDevice", device)]));
            assert_eq!(found["coversBeforeFirstProgram"], covers, "{found}");
            assert!(found["why"].as_str().unwrap().starts_with(why), "{found}");
        }
    }
}
