//! Nix's own configuration: `nix.conf` of the machine and of the user, and
//! `NIX_CONFIG`, in this order, each stronger than those before. What is on
//! the command line is stronger still.
//!
//! Source: Nix manual, "nix.conf", "File format".

use std::path::{Path, PathBuf};

use super::settings::{Settings, Wrong};
use crate::config;
use crate::error::{Exit, Failure};

/// As many files as may include each other.
const INCLUDES_MAXIMUM: usize = 64;

/// # Errors
/// A file is no configuration, or sets what cannot be set to that.
pub(super) fn read(settings: &mut Settings) -> Result<(), Failure> {
    for file in config::nix_configuration_files() {
        if let Ok(text) = std::fs::read_to_string(&file) {
            apply(settings, &text, &file.display().to_string(), file.parent(), 0)?;
        }
    }
    match config::nix_configuration() {
        Some(text) => apply(settings, &text, "NIX_CONFIG", None, 0),
        None => Ok(()),
    }
}

fn apply(
    settings: &mut Settings,
    text: &str,
    name: &str,
    directory: Option<&Path>,
    depth: usize,
) -> Result<(), Failure> {
    for line in text.lines() {
        let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [include @ ("include" | "!include"), file] => {
                let file = directory.map_or_else(|| PathBuf::from(file), |place| place.join(file));
                match std::fs::read_to_string(&file) {
                    Ok(text) if depth < INCLUDES_MAXIMUM => {
                        apply(settings, &text, &file.display().to_string(), file.parent(), depth + 1)?;
                    }
                    Ok(_) => return Err(wrong(&format!("\"{}\" includes itself", file.display()))),
                    Err(_) if *include == "!include" => {}
                    Err(_) => {
                        let message =
                            format!("file \"{}\" included from \"{name}\" not found", file.display());
                        return Err(wrong(&message));
                    }
                }
            }
            [setting, "=", value @ ..] => {
                settings.configure(setting, &value.join(" ")).map_err(Wrong::fails)?
            }
            _ => {
                return Err(wrong(&format!("syntax error in configuration line '{line}' in \"{name}\"")));
            }
        }
    }
    Ok(())
}

fn wrong(message: &str) -> Failure {
    Failure::new(Exit::Failed, message)
}
