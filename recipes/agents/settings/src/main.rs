//! `settings`: keeps the node's settings and serves them.
//!
//! Started before whatever is configured by them: it is ready when the files
//! of `/etc` are written. A node without PRIVATE has its settings until it is
//! switched off, and says so.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use osbuild_schema::Schema;
use osbuild_settings::answer::Request;
use osbuild_settings::applier::Programs;
use osbuild_settings::audit::Audit;
use osbuild_settings::files::Directory;
use osbuild_settings::inspection::Inspector;
use osbuild_settings::node::Node;
use osbuild_settings::server::{Asked, serve};
use osbuild_settings::store::{Moment, Opened, Store};
use osbuild_sys::console::say;
use osbuild_sys::{clock, notify, private, signals, state};
use serde_json::Value;

const WHO: &str = "settings";
const SCHEMA: &str = "/usr/share/osbuild/settings/schema.json";
/// In a directory of its own, so that containers can be given that: a socket
/// that they were given would be of no use after a restart.
const SOCKET: &str = "/run/osbuild/api/socket";
/// Of the program that looks at the running system.
const INSPECT: &str = "/run/osbuild/inspect.socket";
/// Of the one that installs releases.
const UPDATER: &str = "/run/osbuild/update.socket";
const HEALTH: &str = "/run/osbuild/health.json";
/// A service that starts anew is not there for a moment, and health looks
/// every ten seconds.
const UNWELL_SECONDS: u32 = 25;
/// What anybody may know, for programs that ask nobody.
const STATE: &str = "/run/osbuild/settings.json";

fn main() -> ExitCode {
    signals::note_termination();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            say(WHO, 2, &reason);
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let at = |path: &Path| {
        let path = path.display().to_string();
        move |error: std::io::Error| format!("{path}: {error}")
    };
    let text = std::fs::read(SCHEMA).map_err(at(Path::new(SCHEMA)))?;
    let schema = Schema::parse(&text).map_err(|error| error.to_string())?;
    let place = Path::new(private::MOUNT).join("settings");
    let open = || Directory::open(&place).map_err(at(&place));
    let (store, opened) = Store::open(open()?, schema, &now()).map_err(|error| error.to_string())?;
    tell(&opened);
    let audit = Audit::open(open()?).map_err(at(&place))?;
    let node = Node::start(store, opened, audit, Programs);
    publish(&node);
    let secrets = node.secrets();
    let node = Arc::new(Mutex::new(node));
    let around = Path::new(SOCKET).parent().expect("it is in a directory");
    std::fs::create_dir_all(around).map_err(at(around))?;
    // What was left by one that was killed.
    let _ = std::fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET).map_err(at(Path::new(SOCKET)))?;
    // Who is in the group that the service manager gives us besides our own may
    // ask. Everything else that is written here is root's alone.
    let groups = rustix::process::getgroups().map_err(|error| error.to_string())?;
    let askers = groups.iter().map(|group| group.as_raw()).find(|group| *group != 0);
    std::os::unix::fs::chown(SOCKET, None, askers)
        .and_then(|()| std::fs::set_permissions(SOCKET, std::fs::Permissions::from_mode(0o660)))
        .map_err(at(Path::new(SOCKET)))?;
    notify::ready();
    let watched = Arc::clone(&node);
    std::thread::spawn(move || watch(&watched));
    let inspector = Inspector::new(INSPECT, UPDATER);
    let answer = move |asked: &Asked| {
        let Asked { method, path, query, body, who } = asked;
        let request = Request { method, path, query, body, who: who.clone() };
        if let Some(mut answer) = inspector.answer(&request) {
            secrets.hide(&mut answer.body);
            if method != "GET" {
                let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
                node.note(&request, &mut answer, &now());
            }
            return answer;
        }
        let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = node.answer(&request, &now());
        if method != "GET" {
            publish(&node);
        }
        answer
    };
    serve(listener, answer, signals::is_terminated).map_err(at(Path::new(SOCKET)))
}

/// Looks after settings that are on trial: they go back when their time is
/// over, and when the node is not well with them for a while.
fn watch(node: &Mutex<Node<Directory, Programs>>) {
    let mut unwell_seconds = 0;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        if node.store().current().unconfirmed.is_none() {
            unwell_seconds = 0;
            continue;
        }
        let failing = failing(Path::new(HEALTH));
        unwell_seconds = if failing.is_some() { unwell_seconds + 1 } else { 0 };
        let reason = format!("the node is not well: {}", failing.unwrap_or_default());
        if node.tick(&now) || (unwell_seconds >= UNWELL_SECONDS && node.give_up(&reason, &now)) {
            publish(&node);
            say(WHO, 4, &format!("settings went back: {}", node.store().current().message));
        }
    }
}

/// What the node's health misses; `None` if nothing, or if it does not say.
fn failing(file: &Path) -> Option<String> {
    let text = std::fs::read(file).ok()?;
    let says: Value = serde_json::from_slice(&text).ok()?;
    if says["well"] != Value::Bool(false) {
        return None;
    }
    let names: Vec<&str> = says["failing"].as_array()?.iter().filter_map(Value::as_str).collect();
    Some(names.join(", "))
}

fn publish(node: &Node<Directory, Programs>) {
    if let Err(error) = state::write(STATE, &format!("{}\n", node.summary(&now()))) {
        say(WHO, 3, &error.to_string());
    }
}

/// What an operator should know of what was found.
fn tell(opened: &Opened) {
    if opened.lost {
        say(WHO, 3, "no generation of the settings can be read: the factory's hold");
    }
    for (name, _) in &opened.spoiled {
        say(WHO, 3, &format!("{name} cannot be read; the one before it counts"));
    }
    if let Some(number) = opened.not_confirmed {
        say(
            WHO,
            4,
            &format!("generation {number} was not confirmed before the restart: the one before it counts"),
        );
    }
    for problem in &opened.dropped {
        say(WHO, 4, &format!("set aside, since this version does not take it: {problem}"));
    }
    for key in &opened.returned {
        say(WHO, 5, &format!("{key} is back: this version takes it again"));
    }
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Moment {
        at: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        uptime_ms: clock::uptime_ms(),
        boot_id: boot_id.trim().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_health_that_says_so_is_unwell() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("health.json");
        assert_eq!(failing(&file), None);
        for (text, expected) in [
            (r#"{"well":true,"failing":[]}"#, None),
            (r#"{"well":false,"failing":["a","b c"]}"#, Some("a, b c")),
            (r#"{"failing":["a"]}"#, None),
            ("torn", None),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(failing(&file).as_deref(), expected, "{text}");
        }
    }
}
