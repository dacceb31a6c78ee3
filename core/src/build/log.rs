//! Build logs: whole on disk, the last lines at hand.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use osbuild_store::{StoreError, StorePath};

/// How many lines a failure shows.
const TAIL_LINES: usize = 25;
/// A longer line is cut for the tail and for progress, never in the file.
const MAX_LINE_BYTES: usize = 4096;

/// Where a derivation's log is kept.
pub fn log_path(home: &Path, derivation: &StorePath) -> PathBuf {
    let name = derivation.as_str();
    home.join("log").join(&name[..2]).join(&name[2..])
}

/// The phase that a line announces: `@phase build`, as the builders of recipes
/// write it, or Nix's `@nix {"action":"setPhase","phase":"buildPhase"}`.
pub fn phase(line: &str) -> Option<&str> {
    if let Some(name) = line.strip_prefix("@phase ") {
        return Some(name.trim());
    }
    #[derive(serde::Deserialize)]
    struct Message<'a> {
        action: &'a str,
        phase: Option<&'a str>,
    }
    let message: Message<'_> = serde_json::from_str(line.strip_prefix("@nix ")?).ok()?;
    message.phase.filter(|_| message.action == "setPhase")
}

/// A log being written.
pub struct LogWriter<'o> {
    path: PathBuf,
    file: File,
    line: Vec<u8>,
    tail: VecDeque<String>,
    on_line: &'o (dyn Fn(&str) + Sync),
}

impl<'o> LogWriter<'o> {
    /// # Errors
    /// The file cannot be made.
    pub fn create(
        home: &Path,
        derivation: &StorePath,
        on_line: &'o (dyn Fn(&str) + Sync),
    ) -> Result<Self, StoreError> {
        let path = log_path(home, derivation);
        let directory = path.parent().unwrap_or(home);
        fs::create_dir_all(directory).map_err(StoreError::io("make the directory", directory))?;
        let file = File::create(&path).map_err(StoreError::io("create", &path))?;
        Ok(Self { path, file, line: Vec::new(), tail: VecDeque::new(), on_line })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes what a builder wrote, as it came.
    ///
    /// # Errors
    /// The file cannot be written: the disk is full.
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write the log", &self.path))?;
        for byte in bytes {
            if *byte == b'\n' {
                self.end_line();
            } else if self.line.len() < MAX_LINE_BYTES {
                self.line.push(*byte);
            }
        }
        Ok(())
    }

    /// The last lines, an unfinished one included.
    pub fn tail(&mut self) -> Vec<String> {
        if !self.line.is_empty() {
            self.end_line();
        }
        std::mem::take(&mut self.tail).into()
    }

    fn end_line(&mut self) {
        let text = String::from_utf8_lossy(&self.line);
        // A builder's control sequences must not reach the user's terminal.
        let clean: String = text.chars().filter(|c| !c.is_control() || *c == '\t').collect();
        self.line.clear();
        (self.on_line)(&clean);
        if self.tail.len() == TAIL_LINES {
            self.tail.pop_front();
        }
        self.tail.push_back(clean);
    }
}

#[cfg(test)]
mod tests {
    use super::phase;

    #[test]
    fn builders_announce_their_phases() {
        for (line, expected) in [
            ("@phase build", Some("build")),
            (r#"@nix {"action":"setPhase","phase":"buildPhase"}"#, Some("buildPhase")),
            (r#"@nix {"action":"msg","level":0,"msg":"x"}"#, None),
            ("@nix {", None),
            ("phase build", None),
        ] {
            assert_eq!(phase(line), expected, "{line}");
        }
    }
}
