//! Nix's settings, each of which is also a flag. Few mean something to an
//! evaluation; the others are known so that scripts may pass them.

use std::time::Duration;

use osbuild_core::lang::host::{Diagnostics, MAX_CALL_DEPTH};

use crate::error::{Exit, Failure};
use crate::workshop::BuildLimits;

/// Those that are on or off: `--NAME` and `--no-NAME`.
const SWITCHES: &[&str] = &[
    "abort-on-warn",
    "accept-flake-config",
    "allow-dirty",
    "allow-dirty-locks",
    "allow-import-from-derivation",
    "allow-new-privileges",
    "allow-symlinked-store",
    "allow-unsafe-native-code-during-evaluation",
    "always-allow-substitutes",
    "auto-allocate-uids",
    "auto-optimise-store",
    "builders-use-substitutes",
    "compress-build-log",
    "debugger-on-trace",
    "debugger-on-warn",
    "eval-cache",
    "fallback",
    "filter-syscalls",
    "fsync-metadata",
    "fsync-store-paths",
    "http2",
    "ignore-try",
    "impersonate-linux-26",
    "keep-build-log",
    "keep-derivations",
    "keep-env-derivations",
    "keep-failed",
    "keep-going",
    "keep-outputs",
    "nix-shell-always-looks-for-shell-nix",
    "nix-shell-shebang-arguments-relative-to-script",
    "preallocate-contents",
    "print-missing",
    "pure-eval",
    "require-drop-supplementary-groups",
    "require-sigs",
    "restrict-eval",
    "run-diff-hook",
    "sandbox",
    "sandbox-fallback",
    "show-trace",
    "substitute",
    "sync-before-registering",
    "trace-function-calls",
    "trace-import-from-derivation",
    "trace-verbose",
    "trust-tarballs-from-git-forges",
    "use-case-hack",
    "use-cgroups",
    "use-registries",
    "use-sqlite-wal",
    "use-xdg-base-directories",
    "warn-dirty",
    "warn-short-path-literals",
];

/// Those with a value; lists also as `--extra-NAME`.
const VALUES: &[&str] = &[
    "access-tokens",
    "allowed-impure-host-deps",
    "allowed-uris",
    "allowed-users",
    "bash-prompt",
    "bash-prompt-prefix",
    "bash-prompt-suffix",
    "build-dir",
    "build-hook",
    "build-poll-interval",
    "build-users-group",
    "builders",
    "commit-lock-file-summary",
    "connect-timeout",
    "cores",
    "diff-hook",
    "download-attempts",
    "download-buffer-size",
    "download-speed",
    "eval-attrset-update-layer-rhs-threshold",
    "eval-profile-file",
    "eval-profiler",
    "eval-profiler-frequency",
    "eval-system",
    "experimental-features",
    "external-builders",
    "extra-platforms",
    "flake-registry",
    "gc-reserved-space",
    "hashed-mirrors",
    "http-connections",
    "id-count",
    "ignored-acls",
    "impure-env",
    "json-log-path",
    "lint-absolute-path-literals",
    "lint-short-path-literals",
    "lint-url-literals",
    "log-lines",
    "max-build-log-size",
    "max-call-depth",
    "max-free",
    "max-jobs",
    "max-silent-time",
    "max-substitution-jobs",
    "min-free",
    "min-free-check-interval",
    "nar-buffer-size",
    "narinfo-cache-meta-ttl",
    "narinfo-cache-negative-ttl",
    "narinfo-cache-positive-ttl",
    "netrc-file",
    "nix-path",
    "plugin-files",
    "post-build-hook",
    "pre-build-hook",
    "sandbox-build-dir",
    "sandbox-dev-shm-size",
    "sandbox-paths",
    "secret-key-files",
    "ssl-cert-file",
    "stalled-download-timeout",
    "start-id",
    "store",
    "substituters",
    "system",
    "system-features",
    "tarball-ttl",
    "timeout",
    "trusted-public-keys",
    "trusted-substituters",
    "trusted-users",
    "upgrade-nix-store-path-url",
    "user-agent-suffix",
    "warn-large-path-threshold",
];

/// The settings that mean something here.
pub(super) struct Settings {
    pub(super) pure: bool,
    pub(super) restricted: bool,
    pub(super) allowed_uris: Vec<String>,
    pub(super) show_trace: bool,
    pub(super) diagnostics: Diagnostics,
    pub(super) max_call_depth: u32,
    pub(super) system: Option<String>,
    pub(super) eval_system: Option<String>,
    pub(super) nix_path: Option<Vec<String>>,
    pub(super) store: Option<String>,
    pub(super) import_from_derivation: bool,
    pub(super) trace_import_from_derivation: bool,
    pub(super) limits: BuildLimits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            pure: false,
            restricted: false,
            allowed_uris: Vec::new(),
            show_trace: false,
            diagnostics: Diagnostics {
                abort_on_warn: crate::config::nix_abort_on_warn(),
                ..Diagnostics::default()
            },
            max_call_depth: MAX_CALL_DEPTH,
            system: None,
            eval_system: None,
            nix_path: None,
            store: None,
            import_from_derivation: true,
            trace_import_from_derivation: false,
            limits: BuildLimits::default(),
        }
    }
}

/// How many words follow a flag that is a setting; `None` if it is none.
pub(super) fn arity(flag: &str) -> Option<usize> {
    let name = flag.strip_prefix("--")?;
    let switch = name.strip_prefix("no-").unwrap_or(name);
    if SWITCHES.contains(&switch) || name == "relaxed-sandbox" {
        return Some(0);
    }
    is_value(name).then_some(1)
}

fn is_value(name: &str) -> bool {
    VALUES.contains(&name.strip_prefix("extra-").unwrap_or(name)) || VALUES.contains(&name)
}

impl Settings {
    /// `--NAME` or `--no-NAME`.
    pub(super) fn switch(&mut self, flag: &str) -> Result<(), Wrong> {
        let name = flag.trim_start_matches('-');
        match name.strip_prefix("no-") {
            Some(name) => self.set(name, "false"),
            // The one that is not only on or off.
            None if name == "relaxed-sandbox" => Ok(()),
            None => self.set(name, "true"),
        }
    }

    /// As a configuration sets it, which is weaker than the environment.
    ///
    /// # Errors
    /// As [`Settings::set`].
    pub(super) fn configure(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let is_search_path = matches!(name, "nix-path" | "extra-nix-path");
        if is_search_path && !crate::config::nix_path().is_empty() {
            return Ok(());
        }
        self.set(name, value)
    }

    /// # Errors
    /// The value is none for this setting, or the setting would change what
    /// comes out and is not there.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        let words = || crate::config::search_entries(value);
        match name {
            "pure-eval" => self.pure = switch(name, value)?,
            "restrict-eval" => self.restricted = switch(name, value)?,
            "allowed-uris" => self.allowed_uris = list(value),
            "extra-allowed-uris" => self.allowed_uris.extend(list(value)),
            "show-trace" => self.show_trace = switch(name, value)?,
            "trace-verbose" => self.diagnostics.trace_verbose = switch(name, value)?,
            "abort-on-warn" => self.diagnostics.abort_on_warn = switch(name, value)?,
            "max-call-depth" => self.max_call_depth = number(name, value)?,
            "allow-import-from-derivation" => self.import_from_derivation = switch(name, value)?,
            "trace-import-from-derivation" => self.trace_import_from_derivation = switch(name, value)?,
            "system" => self.system = Some(value.to_owned()),
            // Stronger than `system`, and empty where it is not set.
            "eval-system" => self.eval_system = Some(value.to_owned()).filter(|value| !value.is_empty()),
            "nix-path" => self.nix_path = Some(words()),
            "extra-nix-path" => self.nix_path.get_or_insert_with(crate::config::nix_path).extend(words()),
            "store" => self.store = Some(value.to_owned()),
            "timeout" => self.limits.timeout = seconds(name, value)?,
            "max-silent-time" => self.limits.max_silence = seconds(name, value)?,
            "cores" => self.limits.cores = Some(number(name, value)?).filter(|cores| *cores > 0),
            "max-jobs" if value == "auto" => self.limits.jobs = None,
            "max-jobs" => self.limits.jobs = Some(number(name, value)?),
            "keep-failed" => self.limits.keep_failed = switch(name, value)?,
            "keep-going" => self.limits.keep_going = switch(name, value)?,
            "lint-url-literals" | "lint-absolute-path-literals" | "lint-short-path-literals" => match value {
                "ignore" | "warn" => {}
                "fatal" => return Err(Wrong::absent(name, value)),
                _ => {
                    return Err(Wrong::Value(format!(
                        "option '{name}' has invalid value '{value}' (expected 'ignore', 'warn', or 'fatal')"
                    )));
                }
            },
            "allow-unsafe-native-code-during-evaluation" if switch(name, value)? => {
                return Err(Wrong::absent(name, value));
            }
            "eval-profiler" if value != "disabled" => return Err(Wrong::absent(name, value)),
            "experimental-features" | "extra-experimental-features"
                if value.split_whitespace().any(|feature| feature == "no-url-literals") =>
            {
                return Err(Wrong::absent(name, "no-url-literals"));
            }
            "sandbox" if matches!(value, "true" | "false" | "relaxed") => {}
            "sandbox" => return Err(Wrong::Value(format!("option '{name}' has invalid value '{value}'"))),
            _ if SWITCHES.contains(&name) => drop(switch(name, value)?),
            _ if is_value(name) => {}
            _ => eprintln!("warning: unknown setting '{name}'"),
        }
        Ok(())
    }
}

/// Why a setting was not set.
pub(super) enum Wrong {
    /// The value is none for it.
    Value(String),
    /// It would change the answer and is not there: better no answer than
    /// another.
    Absent(String),
}

impl Wrong {
    fn absent(name: &str, value: &str) -> Self {
        Self::Absent(format!("setting '{name}' cannot be '{value}' here"))
    }

    /// Where any mistake ends the command.
    pub(super) fn fails(self) -> Failure {
        match self {
            Self::Value(message) => Failure::new(Exit::Failed, &message)
                .with_hint("Try 'nix-instantiate --help' for more information."),
            Self::Absent(message) => Failure::new(Exit::Failed, &message).with_hint(
                "this is osbuild under the name nix-instantiate; it does not have what that asks for",
            ),
        }
    }

    /// Where a wrong value is none: after `--option`.
    pub(super) fn warns(self) -> Result<(), Failure> {
        match self {
            Self::Value(message) => {
                eprintln!("warning: {message}");
                Ok(())
            }
            absent => Err(absent.fails()),
        }
    }
}

fn switch(name: &str, value: &str) -> Result<bool, Wrong> {
    match value {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(Wrong::Value(format!("Boolean setting '{name}' has invalid value '{value}'"))),
    }
}

/// Perhaps with K, M, G or T.
fn number<N: TryFrom<u64>>(name: &str, value: &str) -> Result<N, Wrong> {
    let wrong = || Wrong::Value(format!("setting '{name}' has invalid value '{value}'"));
    let unit = value.chars().last().filter(char::is_ascii_alphabetic);
    let digits = unit.map_or(value, |_| &value[..value.len() - 1]);
    let shift = match unit.map(|unit| unit.to_ascii_uppercase()) {
        None => 0,
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        Some(other) => return Err(Wrong::Value(format!("invalid unit specifier '{other}'"))),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).and_then(|number| N::try_from(number).ok()).ok_or_else(wrong)
}

/// Nothing is no limit.
fn seconds(name: &str, value: &str) -> Result<Option<Duration>, Wrong> {
    let seconds: u64 = number(name, value)?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

fn list(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}
