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
use osbuild_settings::applier::Programs;
use osbuild_settings::audit::Audit;
use osbuild_settings::files::Directory;
use osbuild_settings::node::{Node, Request};
use osbuild_settings::server::{Asked, serve};
use osbuild_settings::store::{Moment, Opened, Store};
use osbuild_sys::console::say;
use osbuild_sys::{clock, notify, private, signals, state};

const WHO: &str = "settings";
const SCHEMA: &str = "/usr/share/osbuild/settings/schema.json";
const SOCKET: &str = "/run/osbuild/api.sock";
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
    let node = Arc::new(Mutex::new(node));
    // What was left by one that was killed.
    let _ = std::fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET).map_err(at(Path::new(SOCKET)))?;
    std::fs::set_permissions(SOCKET, std::fs::Permissions::from_mode(0o660))
        .map_err(at(Path::new(SOCKET)))?;
    notify::ready();
    let watched = Arc::clone(&node);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let mut node = watched.lock().unwrap_or_else(PoisonError::into_inner);
            if node.tick(&now()) {
                publish(&node);
                say(WHO, 4, "settings went back: nobody confirmed them in time");
            }
        }
    });
    let answer = move |asked: &Asked| {
        let Asked { method, path, query, body, who } = asked;
        let mut node = node.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = node.answer(&Request { method, path, query, body, who: who.clone() }, &now());
        if method != "GET" {
            publish(&node);
        }
        answer
    };
    serve(listener, answer, signals::is_terminated).map_err(at(Path::new(SOCKET)))
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
        say(WHO, 4, &format!("{name} cannot be read; the one before it counts"));
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
