//! The command line of `nix-instantiate`, read by Nix's rules: flags and
//! programs in any order, `-j4` for `-j 4`, `-vv` for `-v -v`.

use std::io::Write;
use std::path::PathBuf;

use osbuild_core::instantiate::{Argument, Arguments};

use super::configuration;
use super::settings::{self, Settings, Wrong};
use crate::config::{self, NixStore};
use crate::error::{Exit, Failure};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Instantiate,
    Evaluate(Form),
    Parse,
    FindFile,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Nix,
    Json,
    Raw,
    Xml,
}

/// What is to be done.
pub(super) struct Request {
    pub(super) mode: Mode,
    /// Files, texts of programs if `expressions`, or names to look up.
    pub(super) programs: Vec<String>,
    pub(super) expressions: bool,
    pub(super) standard_input: bool,
    pub(super) attr_paths: Vec<String>,
    pub(super) arguments: Arguments,
    pub(super) strict: bool,
    pub(super) location: bool,
    pub(super) read_write: bool,
    pub(super) show_trace: bool,
    /// Given with `-I`.
    pub(super) search_path: Vec<String>,
    pub(super) settings: Settings,
    pub(super) root: Option<PathBuf>,
    pub(super) store: NixStore,
    pub(super) quiet: bool,
}

/// What was typed.
#[derive(Default)]
pub(super) struct Given {
    modes: Vec<Mode>,
    form: Option<Form>,
    programs: Vec<String>,
    expressions: bool,
    standard_input: bool,
    attr_paths: Vec<String>,
    arguments: Arguments,
    strict: bool,
    no_location: bool,
    read_write: bool,
    show_trace: bool,
    search_path: Vec<String>,
    root: Option<PathBuf>,
    quiet: bool,
    settings: settings::Settings,
    answered: bool,
}

fn wrong(message: &str) -> Failure {
    Failure::new(Exit::Failed, message).with_hint("Try 'nix-instantiate --help' for more information.")
}

impl Given {
    pub(super) fn parse(words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut given = Self::default();
        configuration::read(&mut given.settings)?;
        let mut words: Vec<String> = words.collect();
        words.reverse();
        let mut only_own_flags = false;
        while let Some(word) = words.pop() {
            if !word.starts_with('-') {
                given.programs.push(word);
            } else if word == "-" {
                given.standard_input = true;
            } else if only_own_flags {
                // Nix ends only those flags here that all its programs have.
                if !OWN_FLAGS.contains(&word.as_str()) {
                    return Err(wrong(&format!("unrecognised flag '{word}'")));
                }
                given.flag(&word, &mut words)?;
            } else if word == "--" {
                only_own_flags = true;
            } else if let Some(letters) = several_letters(&word) {
                words.extend(letters);
            } else {
                given.flag(&word, &mut words)?;
            }
        }
        Ok(given)
    }

    fn flag(&mut self, flag: &str, rest: &mut Vec<String>) -> Result<(), Failure> {
        let mut take = |count: usize| -> Result<Vec<String>, Failure> {
            if rest.len() < count {
                return Err(wrong(&format!(
                    "flag '{flag}' requires {count} argument(s), but only {} were given",
                    rest.len()
                )));
            }
            Ok((0..count).map(|_| rest.pop().expect("counted above")).collect())
        };
        match flag {
            "--eval" | "--eval-only" => self.modes.push(Mode::Evaluate(Form::Nix)),
            "--parse" | "--parse-only" => self.modes.push(Mode::Parse),
            "--find-file" => self.modes.push(Mode::FindFile),
            "--json" => self.form = Some(Form::Json),
            "--xml" => self.form = Some(Form::Xml),
            "--raw" => self.form = Some(Form::Raw),
            "--strict" => self.strict = true,
            "--no-location" => self.no_location = true,
            "--read-write-mode" => self.read_write = true,
            "--expr" | "-E" => self.expressions = true,
            "--attr" | "-A" => self.attr_paths.extend(take(1)?),
            "--include" | "-I" => self.search_path.extend(take(1)?),
            "--add-root" => self.root = take(1)?.pop().map(PathBuf::from),
            "--option" => {
                let pair = take(2)?;
                self.settings.set(&pair[0], &pair[1]).or_else(Wrong::warns)?;
            }
            "--arg" | "--argstr" | "--arg-from-file" => {
                let [name, value] = <[String; 2]>::try_from(take(2)?).expect("two were taken");
                let value = match flag {
                    "--arg" => Argument::Expression(value),
                    "--argstr" => Argument::String(value),
                    _ => Argument::String(std::fs::read_to_string(&value).map_err(|error| {
                        Failure::new(Exit::Failed, &format!("cannot read '{value}': {error}"))
                    })?),
                };
                self.arguments.insert(name, value);
            }
            "--arg-from-stdin" => {
                let name = take(1)?.remove(0);
                let text = std::io::read_to_string(std::io::stdin()).map_err(|error| {
                    Failure::new(Exit::Failed, &format!("cannot read standard input: {error}"))
                })?;
                self.arguments.insert(name, Argument::String(text));
            }
            "--help" => {
                self.answered = true;
                std::io::stdout().lock().write_all(HELP.as_bytes())?;
            }
            "--version" => {
                self.answered = true;
                writeln!(
                    std::io::stdout().lock(),
                    "nix-instantiate (Nix) {}",
                    osbuild_core::lang::NIX_VERSION
                )?;
            }
            // About builds, progress and downloads, of which there are none here.
            "--indirect" | "--repair" | "--dry-run" | "--no-gc-warning" | "--verbose" | "-v" | "--debug"
            | "--no-build-output" | "-Q" | "--no-build-hook" | "--no-link" => {}
            "--quiet" => self.quiet = true,
            "-k" => self.settings.switch("--keep-going").map_err(Wrong::fails)?,
            "-K" => self.settings.switch("--keep-failed").map_err(Wrong::fails)?,
            "-j" => self.settings.set("max-jobs", &take(1)?.remove(0)).map_err(Wrong::fails)?,
            "--readonly-mode" => self.read_write = false,
            "--impure" => self.settings.set("pure-eval", "false").map_err(Wrong::fails)?,
            "--log-format" => {
                let format = take(1)?.remove(0);
                if !LOG_FORMATS.contains(&format.as_str()) {
                    return Err(wrong(&format!("option 'log-format' has an invalid value '{format}'")));
                }
            }
            "--eval-store" => drop(take(1)?),
            "--override-flake" => drop(take(2)?),
            _ => match settings::arity(flag) {
                Some(0) => self.settings.switch(flag).map_err(Wrong::fails)?,
                Some(_) => {
                    let value = take(1)?.remove(0);
                    self.settings.set(flag.trim_start_matches('-'), &value).map_err(Wrong::fails)?;
                }
                None => return Err(wrong(&format!("unrecognised flag '{flag}'"))),
            },
        }
        self.show_trace |= flag == "--show-trace";
        Ok(())
    }

    /// `None`: the command line was answered already.
    pub(super) fn check(self) -> Result<Option<Request>, Failure> {
        if self.answered {
            return Ok(None);
        }
        // Nix looks for these in this order, whatever order they came in.
        let has = |wanted: fn(&Mode) -> bool| self.modes.iter().any(wanted);
        let mode = if has(|mode| *mode == Mode::FindFile) {
            Mode::FindFile
        } else if has(|mode| *mode == Mode::Parse) {
            Mode::Parse
        } else if has(|mode| matches!(mode, Mode::Evaluate(_))) {
            Mode::Evaluate(self.form.unwrap_or(Form::Nix))
        } else {
            Mode::Instantiate
        };
        let mut programs = self.programs;
        if programs.is_empty() && !self.expressions && !self.standard_input && mode != Mode::FindFile {
            programs.push("./default.nix".to_owned());
        }
        let mut attr_paths = self.attr_paths;
        if attr_paths.is_empty() {
            attr_paths.push(String::new());
        }
        Ok(Some(Request {
            mode,
            programs,
            expressions: self.expressions,
            standard_input: self.standard_input,
            attr_paths,
            arguments: self.arguments,
            strict: self.strict,
            location: !self.no_location,
            read_write: self.read_write,
            show_trace: self.show_trace || self.settings.show_trace,
            search_path: self.search_path,
            root: self.root,
            store: config::nix_store(self.settings.store.as_deref())?,
            settings: self.settings,
            quiet: self.quiet,
        }))
    }
}

/// Those that have a meaning behind `--`, too.
const OWN_FLAGS: &[&str] = &[
    "--add-root",
    "--attr",
    "-A",
    "--dry-run",
    "--eval",
    "--eval-only",
    "--expr",
    "-E",
    "--find-file",
    "--help",
    "--indirect",
    "--json",
    "--no-location",
    "--parse",
    "--parse-only",
    "--raw",
    "--read-write-mode",
    "--strict",
    "--version",
    "--xml",
];

const LOG_FORMATS: &[&str] =
    &["bar", "bar-with-logs", "internal-json", "multiline", "multiline-with-logs", "raw", "raw-with-logs"];

/// `-vj4` is `-v -j 4`; the last word first, as it is pushed on a stack.
fn several_letters(word: &str) -> Option<Vec<String>> {
    let letters: Vec<char> = word.strip_prefix('-')?.chars().collect();
    if letters.len() < 2 || !letters[0].is_ascii_alphabetic() {
        return None;
    }
    let mut parts = vec![format!("-{}", letters[0])];
    for (index, letter) in letters.iter().enumerate().skip(1) {
        if letter.is_ascii_alphabetic() {
            parts.push(format!("-{letter}"));
        } else {
            parts.push(letters[index..].iter().collect());
            break;
        }
    }
    parts.reverse();
    Some(parts)
}

const HELP: &str = "\
nix-instantiate, as osbuild does it: evaluates Nix programs

  nix-instantiate [--add-root LINK] [FILE…]      make derivations, print their .drv
  nix-instantiate --eval [--strict] [FILE…]      print values
  nix-instantiate --parse [FILE…]                print programs as they are understood
  nix-instantiate --find-file NAME…              print where <NAME> is

FILE is ./default.nix if none is given, - is standard input.

  -E, --expr              the words given are programs, not files
  -A, --attr PATH         the attribute to use (may be repeated)
  --arg NAME EXPR         give a function an argument; --argstr NAME STRING
  -I, --include [NAME=]DIR  where <NAME> is looked up, before NIX_PATH
  --json, --xml, --raw    how --eval writes values; --no-location for --xml
  --read-write-mode       let --eval write to the store
  --pure-eval             see no environment, no time, no files
  --show-trace            show the whole way to an error
  --option NAME VALUE     a setting; those about builds mean nothing here
";
