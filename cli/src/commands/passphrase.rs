//! What opens keys: given once, or asked for at the terminal.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use osbuild_core::repo::signer::Passphrases;

use crate::config;
use crate::error::{Exit, Failure};

/// What opens keys.
#[derive(clap::Args)]
pub(crate) struct PassphraseArguments {
    /// A file with the passphrase of the keys (or OSBUILD_KEY_PASSPHRASE; else it is asked for)
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArguments {
    pub(super) fn asking(&self) -> Result<Asking, Failure> {
        Asking::new(self.passphrase_file.as_deref())
    }
}

/// Asked for once a run; several keys often have the same.
pub(super) struct Asking {
    given: RefCell<Option<String>>,
}

impl Asking {
    /// From a file or the environment, if either has it.
    fn new(file: Option<&Path>) -> Result<Self, Failure> {
        let given = match file {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|error| {
                    Failure::new(Exit::Failed, &format!("cannot read {}: {error}", file.display()))
                })?;
                Some(text.trim_end_matches(['\n', '\r']).to_owned())
            }
            None => config::key_passphrase(),
        };
        Ok(Self { given: RefCell::new(given) })
    }

    /// For keys that are made: `None` if they are to have none.
    pub(super) fn new_passphrase(&self, none: bool) -> Result<Option<String>, Failure> {
        if none {
            return Ok(None);
        }
        if let Some(given) = self.given.borrow().clone() {
            return Ok(Some(given));
        }
        let missing = || {
            Failure::usage(
                "there is no passphrase for the new keys, and no terminal to ask at",
                "give --passphrase-file FILE or OSBUILD_KEY_PASSPHRASE, or --no-passphrase for keys that anybody who reads the file can use",
            )
        };
        let first =
            ask("passphrase for the new keys: ").filter(|first| !first.is_empty()).ok_or_else(missing)?;
        let second = ask("the same once more: ").ok_or_else(missing)?;
        if first != second {
            return Err(Failure::usage("the two passphrases differ", "run the command again"));
        }
        self.given.replace(Some(first.clone()));
        Ok(Some(first))
    }
}

impl Passphrases for Asking {
    fn passphrase(&self, key: &str) -> Option<String> {
        if let Some(given) = self.given.borrow().clone() {
            return Some(given);
        }
        let answer = ask(&format!("passphrase of {key}: "))?;
        self.given.replace(Some(answer.clone()));
        Some(answer)
    }
}

fn ask(prompt: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    rpassword::prompt_password(prompt).ok()
}
