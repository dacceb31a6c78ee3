//! Images in containerd, by its client `ctr`.
//!
//! containerd knows of an image before the files that it unpacked are on the
//! disk, and a power cut in between would leave one that is there and empty.
//! So an image counts only with a mark that it gets after its files were
//! written out; one without is removed and fetched anew. Nothing may use an
//! image before it counts, since containerd would keep what is in use.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use osbuild_sys::{command, filesystem, lock};

pub const CTR: &str = "/usr/bin/ctr";
/// The label that is the mark, and what selects the images that have it.
const MARK: &str = "osbuild_written=yes";
const MARKED: &str = "labels.osbuild_written==yes";
const QUICK: Duration = Duration::from_secs(60);

/// Archives by the reference that they are imported under.
pub type Carried = BTreeMap<String, String>;

/// Reads which images the root carries.
///
/// # Errors
/// The file cannot be read or is no such table.
pub fn carried(index: &Path) -> Result<Carried, String> {
    let text = std::fs::read(index).map_err(|error| format!("{}: {error}", index.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", index.display()))
}

/// One containerd, and a namespace in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Containerd {
    /// Its directory below `/run`, where its socket is.
    pub state: &'static str,
    /// What it keeps: a directory.
    pub store: &'static str,
    pub namespace: &'static str,
}

impl Containerd {
    /// The orchestrator's, which has a namespace for each who uses it.
    pub const fn of(namespace: &'static str) -> Self {
        Self { state: "/run/containerd", store: "/var/lib/containerd", namespace }
    }

    /// The words of a call, without the program.
    pub fn call(&self, words: &[&str]) -> Vec<String> {
        let socket = format!("{}/containerd.sock", self.state);
        let whose = ["-a", &socket, "-n", self.namespace];
        whose.iter().chain(words).map(|&word| word.to_owned()).collect()
    }

    /// Asks, and returns what was answered.
    ///
    /// # Errors
    /// `ctr` could not be run, took longer than `limit`, or failed: its last line.
    pub fn ask(&self, words: &[&str], limit: Duration) -> Result<String, String> {
        self.ask_in(&[], words, limit)
    }

    fn ask_in(
        &self,
        environment: &[(&str, &str)],
        words: &[&str],
        limit: Duration,
    ) -> Result<String, String> {
        let call = self.call(words);
        let whole: Vec<&str> = [CTR].into_iter().chain(call.iter().map(String::as_str)).collect();
        let output = command::run_in(&whole, environment, limit)?;
        if output.status == 0 {
            return Ok(output.stdout);
        }
        Err(output
            .stderr
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("no reason given")
            .to_owned())
    }

    /// Whether an image is there, to its last file.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn has(&self, reference: &str) -> Result<bool, String> {
        self.is_listed(reference, &[MARKED])
    }

    /// Imports an image from an archive, unless it is there. One at a time: at
    /// a start several want theirs, often the same one.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn import(&self, reference: &str, archive: &str, limit: Duration) -> Result<(), String> {
        let _turn =
            lock::exclusive(&format!("{}/images.lock", self.state)).map_err(|error| error.to_string())?;
        if self.has(reference)? {
            return Ok(());
        }
        self.forget(reference)?;
        self.ask(&["images", "import", archive], limit)?;
        self.mark(reference)
    }

    /// Pulls an image from its registry, unless it is there.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn pull(&self, reference: &str, environment: &[(&str, &str)], limit: Duration) -> Result<(), String> {
        if self.has(reference)? {
            return Ok(());
        }
        self.forget(reference)?;
        self.ask_in(environment, &["images", "pull", reference], limit)?;
        self.mark(reference)
    }

    /// What was unpacked goes with the image.
    fn forget(&self, reference: &str) -> Result<(), String> {
        if self.is_listed(reference, &[])? {
            self.ask(&["images", "rm", "--sync", reference], QUICK)?;
        }
        Ok(())
    }

    fn mark(&self, reference: &str) -> Result<(), String> {
        filesystem::sync(Path::new(self.store)).map_err(|error| error.to_string())?;
        self.ask(&["images", "label", reference, MARK], QUICK).map(drop)
    }

    fn is_listed(&self, reference: &str, filters: &[&str]) -> Result<bool, String> {
        let words = [&["images", "ls", "-q"], filters].concat();
        Ok(self.ask(&words, QUICK)?.lines().any(|line| line == reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_names_the_containerd_and_its_namespace() {
        assert_eq!(
            Containerd::of("k8s.io").call(&["images", "ls"]).join(" "),
            "-a /run/containerd/containerd.sock -n k8s.io images ls"
        );
    }

    #[test]
    fn what_is_carried_is_a_table_of_archives() {
        let place = tempfile::tempdir().unwrap();
        let index = place.path().join("pods.json");
        assert!(carried(&index).unwrap_err().contains("pods.json: "));
        std::fs::write(&index, "[]").unwrap();
        assert!(carried(&index).unwrap_err().contains("pods.json: invalid type"));
        std::fs::write(&index, r#"{"r.example/a:1": "/a.tar"}"#).unwrap();
        assert_eq!(carried(&index).unwrap()["r.example/a:1"], "/a.tar");
    }
}
