//! Nix's settings, each of which is also a flag. Few mean something to an
//! evaluation; the others are known so that scripts may pass them.

/// Those that are on or off: `--NAME` and `--no-NAME`.
const SWITCHES: &[&str] = &[
    "abort-on-warn",
    "allow-dirty",
    "allow-import-from-derivation",
    "allow-new-privileges",
    "allow-symlinked-store",
    "allow-unsafe-native-code-during-evaluation",
    "always-allow-substitutes",
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
    "gc-reserved-space",
    "hashed-mirrors",
    "http-connections",
    "id-count",
    "ignored-acls",
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
#[derive(Default)]
pub(super) struct Settings {
    pub(super) pure: bool,
    pub(super) show_trace: bool,
    pub(super) system: Option<String>,
    pub(super) nix_path: Option<Vec<String>>,
}

/// How many words follow a flag that is a setting; `None` if it is none.
pub(super) fn arity(flag: &str) -> Option<usize> {
    let name = flag.strip_prefix("--")?;
    let switch = name.strip_prefix("no-").unwrap_or(name);
    if SWITCHES.contains(&switch) || name == "relaxed-sandbox" {
        return Some(0);
    }
    let value = name.strip_prefix("extra-").unwrap_or(name);
    (VALUES.contains(&value) || VALUES.contains(&name)).then_some(1)
}

impl Settings {
    /// `--NAME` or `--no-NAME`.
    pub(super) fn switch(&mut self, flag: &str) {
        let name = flag.trim_start_matches('-');
        match name.strip_prefix("no-") {
            Some(name) => self.set(name, "false"),
            None => self.set(name, "true"),
        }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        let words = || crate::config::search_entries(value);
        match name {
            "pure-eval" => self.pure = value == "true",
            "show-trace" => self.show_trace = value == "true",
            "system" => self.system = Some(value.to_owned()),
            // Stronger than `system`, and empty where it is not set.
            "eval-system" if !value.is_empty() => self.system = Some(value.to_owned()),
            "nix-path" => self.nix_path = Some(words()),
            "extra-nix-path" => self.nix_path.get_or_insert_with(crate::config::nix_path).extend(words()),
            _ if SWITCHES.contains(&name)
                || VALUES.contains(&name.strip_prefix("extra-").unwrap_or(name))
                || VALUES.contains(&name) => {}
            _ => eprintln!("warning: unknown setting '{name}'"),
        }
    }
}
