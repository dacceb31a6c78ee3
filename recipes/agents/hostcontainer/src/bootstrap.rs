//! Containers that prepare the node before anything of the orchestrator's
//! runs: to their end, once for each definition or on every start.
//!
//! Kubelet waits for all of them. One that is essential is tried again until
//! it has succeeded: what it needs may be there later, and whoever wrote it can
//! change it. Meanwhile nobody judges the image by it, for settings are not the
//! image's fault: `health` sees the file in `/run/osbuild/held`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use osbuild_sys::console::say;
use osbuild_sys::{private, signals};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::WHO;
use crate::call::{Container, Power};

const CONFIGURATION: &str = "/etc/osbuild/bootstrap-containers";
const HELD: &str = "/run/osbuild/held";
/// Who has succeeded with which definition, below PRIVATE.
const DONE: &str = "bootstrap-containers";
/// What they keep, each below its name.
const KEPT: &str = "/var/lib/osbuild/bootstrap-containers";
/// Between two tries of an essential one.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// For the image of one that is not.
const PATIENCE: Duration = Duration::from_secs(120);
const ASKED_TO_END: &str = "asked to end before it had done its work";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Once,
    Always,
}

/// As the settings have it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bootstrap {
    image: String,
    mode: Mode,
    essential: bool,
    #[serde(default)]
    user_data: String,
}

impl Bootstrap {
    /// Another one is another job, which is done anew.
    fn definition(&self) -> String {
        let digest = Sha256::new().chain_update(&self.image).chain_update([0]).chain_update(&self.user_data);
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Runs it until it has done its work, or until nobody waits for that.
///
/// # Errors
/// Its configuration is none, or we were asked to end.
pub(crate) fn run(name: &str) -> Result<(), String> {
    let file = Path::new(CONFIGURATION).join(format!("{name}.json"));
    let text = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let bootstrap: Bootstrap =
        serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let done = Done::of(Path::new(private::MOUNT), name);
    let held = Held::of(Path::new(HELD), name);
    let outcome = if bootstrap.mode == Mode::Once && done.is(&bootstrap.definition()) {
        Ok(())
    } else {
        held.hold("it is not done yet").map_err(|error| format!("{HELD}: {error}"))?;
        work(name, &bootstrap, &done, &held)
    };
    held.release();
    outcome
}

fn work(name: &str, bootstrap: &Bootstrap, done: &Done, held: &Held) -> Result<(), String> {
    let container = Container {
        image: bootstrap.image.clone(),
        power: Power::Preparing,
        user_data: bootstrap.user_data.clone(),
    };
    // Not to be taken for one of the host's containers of the same name.
    let inside = format!("bootstrap-{name}");
    let mut pause = PAUSE;
    loop {
        let patience = (!bootstrap.essential).then_some(PATIENCE);
        let kept = Path::new(KEPT).join(name);
        let reason = match crate::run_container(&inside, &container, &kept, patience) {
            Ok(_) if signals::is_terminated() => {
                return Err(ASKED_TO_END.to_owned());
            }
            Ok(0) => break,
            Ok(status) => format!("it ended with status {status}"),
            Err(reason) => reason,
        };
        if !bootstrap.essential {
            say(WHO, 3, &format!("bootstrap container {name}: {reason}; the node goes on without it"));
            return Ok(());
        }
        let seconds = pause.as_secs();
        say(
            WHO,
            3,
            &format!("bootstrap container {name}: {reason}; kubelet waits for it, next try in {seconds} s"),
        );
        // The file was there before; that its words are not is no reason to end.
        let _ = held.hold(&reason);
        if !crate::rest(pause) {
            return Err(ASKED_TO_END.to_owned());
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    if bootstrap.mode == Mode::Once {
        // It is done, whether or not that can be written down.
        if let Err(error) = done.write(&bootstrap.definition()) {
            say(WHO, 3, &format!("bootstrap container {name} will run again in the next start: {error}"));
        }
    }
    Ok(())
}

/// That a container has succeeded, for good.
struct Done {
    folder: PathBuf,
    name: String,
}

impl Done {
    fn of(private: &Path, name: &str) -> Self {
        Self { folder: private.join(DONE), name: name.to_owned() }
    }

    fn is(&self, definition: &str) -> bool {
        fs::read_to_string(self.folder.join(&self.name)).is_ok_and(|text| text.trim_end() == definition)
    }

    /// A power cut before the end leaves what was there: it runs again rather
    /// than never.
    fn write(&self, definition: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let new = self.folder.join(format!("{}.new", self.name));
        let mut file = File::create(&new)?;
        writeln!(file, "{definition}")?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(&self.name))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// That kubelet waits, and why.
struct Held {
    file: PathBuf,
}

impl Held {
    fn of(folder: &Path, name: &str) -> Self {
        Self { file: folder.join(format!("bootstrap-container-{name}")) }
    }

    fn hold(&self, reason: &str) -> io::Result<()> {
        fs::create_dir_all(self.file.parent().expect("it is in a folder"))?;
        fs::write(&self.file, format!("{reason}\n"))
    }

    fn release(&self) {
        let _ = fs::remove_file(&self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrap(image: &str, user_data: &str) -> Bootstrap {
        let text =
            format!(r#"{{"image":"{image}","mode":"once","essential":true,"userData":"{user_data}"}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_is_done_is_done_for_one_definition() {
        let place = tempfile::tempdir().unwrap();
        let done = Done::of(place.path(), "a");
        let one = bootstrap("i", "x").definition();
        assert!(!done.is(&one));
        done.write(&one).unwrap();
        assert!(done.is(&one) && Done::of(place.path(), "a").is(&one));
        assert!(!Done::of(place.path(), "b").is(&one));
        for other in [bootstrap("i", "y"), bootstrap("j", "x"), bootstrap("ix", "")] {
            assert!(!done.is(&other.definition()), "{other:?}");
        }
        // A power cut between writing and renaming.
        fs::write(place.path().join(DONE).join("a.new"), "torn").unwrap();
        assert!(done.is(&one));
    }

    #[test]
    fn whoever_holds_lets_go() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("held");
        let held = Held::of(&folder, "a");
        held.hold("why").unwrap();
        assert_eq!(fs::read_to_string(folder.join("bootstrap-container-a")).unwrap(), "why\n");
        held.release();
        held.release();
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_bootstrap_container_is_refused() {
        for bent in ["{}", r#"{"image":"a","mode":"off","essential":true}"#, r#"{"image":"a","mode":"once"}"#]
        {
            assert!(serde_json::from_str::<Bootstrap>(bent).is_err(), "{bent}");
        }
    }
}
