//! Nix's settings, each of which is also a flag. Few mean something to an
//! evaluation; the others are known so that scripts may pass them.

use std::time::Duration;

use crate::error::{Exit, Failure};
use crate::realiser::BuildLimits;

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
    pub(super) trace_verbose: bool,
    pub(super) abort_on_warn: bool,
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
            trace_verbose: false,
            abort_on_warn: false,
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
    pub(super) fn switch(&mut self, flag: &str) -> Result<(), Failure> {
        let name = flag.trim_start_matches('-');
        match name.strip_prefix("no-") {
            Some(name) => self.set(name, "false"),
            // The one that is not only on or off.
            None if name == "relaxed-sandbox" => Ok(()),
            None => self.set(name, "true"),
        }
    }

    /// # Errors
    /// The value is none for this setting, or the setting would change what
    /// comes out and is not there.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), Failure> {
        let words = || crate::config::search_entries(value);
        match name {
            "pure-eval" => self.pure = switch(name, value)?,
            "restrict-eval" => self.restricted = switch(name, value)?,
            "allowed-uris" => self.allowed_uris = list(value),
            "extra-allowed-uris" => self.allowed_uris.extend(list(value)),
            "show-trace" => self.show_trace = switch(name, value)?,
            "trace-verbose" => self.trace_verbose = switch(name, value)?,
            "abort-on-warn" => self.abort_on_warn = switch(name, value)?,
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
            "lint-url-literals" | "lint-absolute-path-literals" | "lint-short-path-literals"
                if value == "fatal" =>
            {
                return Err(absent(name, value));
            }
            "trace-function-calls" | "allow-unsafe-native-code-during-evaluation" => {
                if switch(name, value)? {
                    return Err(absent(name, value));
                }
            }
            "eval-profiler" if value != "disabled" => return Err(absent(name, value)),
            "experimental-features" | "extra-experimental-features" => {
                if value.split_whitespace().any(|feature| feature == "no-url-literals") {
                    return Err(absent(name, "no-url-literals"));
                }
            }
            // `relaxed` beside on and off.
            "sandbox" => {}
            _ if SWITCHES.contains(&name) => drop(switch(name, value)?),
            _ if is_value(name) => {}
            _ => eprintln!("warning: unknown setting '{name}'"),
        }
        Ok(())
    }
}

fn wrong(message: &str) -> Failure {
    Failure::new(Exit::Failed, message)
}

/// For what would change the answer: better none than another.
fn absent(name: &str, value: &str) -> Failure {
    wrong(&format!("setting '{name}' cannot be '{value}' here"))
        .with_hint("this is osbuild under the name nix-instantiate; it does not have what that asks for")
}

fn switch(name: &str, value: &str) -> Result<bool, Failure> {
    match value {
        "true" | "yes" | "1" => Ok(true),
        "false" | "no" | "0" => Ok(false),
        _ => Err(wrong(&format!("Boolean setting '{name}' has invalid value '{value}'"))),
    }
}

fn number(name: &str, value: &str) -> Result<usize, Failure> {
    value.parse().map_err(|_| wrong(&format!("setting '{name}' has invalid value '{value}'")))
}

/// Nothing is no limit.
fn seconds(name: &str, value: &str) -> Result<Option<Duration>, Failure> {
    let seconds = number(name, value)?;
    Ok((seconds > 0).then(|| Duration::from_secs(seconds as u64)))
}

fn list(value: &str) -> Vec<String> {
    value.split_whitespace().map(str::to_owned).collect()
}
