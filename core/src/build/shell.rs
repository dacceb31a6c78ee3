//! A look into the sandbox that a builder gets.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use osbuild_store::LocalStore;

use super::BuildError;
use super::prepare::{Chamber, Prepared};
use super::run::{BuildOptions, Resolved};
use super::sandbox::{Attached, Child, File};
use crate::derivation::Derivation;

/// Where the command that would have been run is, as a script.
pub const BUILDER_SCRIPT: &str = "/tmp/builder";

/// Starts a shell where a derivation's builder would be started: the same
/// mounts, user, limits and filters, no network, and the same environment but
/// for `PATH` and `TERM`. Returns once it ended; nothing is kept.
///
/// `command` is for the shell to run; without one it reads its standard input.
///
/// # Errors
/// The derivation runs in this program, its sandbox has no shell, or it cannot
/// be set up; [`BuildError::Interrupted`] once `cancelled` says so.
pub fn enter(
    store: &LocalStore,
    options: &BuildOptions,
    resolved: &Resolved,
    command: Option<&str>,
    attached: Attached<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<ExitStatus, BuildError> {
    let prepared = Prepared::here(store, resolved)?;
    let derivation = &prepared.derivation;
    if derivation.system == b"builtin" {
        return Err(BuildError::Unsupported {
            what: format!("{} is made by this program, in no sandbox", resolved.name()),
            hint: "its parameters are shown by: osbuild derivation show".to_owned(),
        });
    }
    let mut chamber = Chamber::new(store, options, &prepared)?;
    let shell =
        chamber.package_root.as_deref().and_then(shell_in).ok_or_else(|| BuildError::Unsupported {
            what: format!("there is no shell in the sandbox of {}", resolved.name()),
            hint: "a shell comes from the derivation's sandboxRoot: /bin/bash or /bin/sh in it".to_owned(),
        })?;
    let contents = builder_script(shell, derivation, &chamber.environment.variables);
    chamber.environment.files.push(File { path: BUILDER_SCRIPT.to_owned(), contents, is_executable: true });
    for (name, value) in [
        ("PATH", OsStr::new("/usr/bin:/usr/sbin:/bin:/sbin")),
        ("TERM", &std::env::var_os("TERM").unwrap_or_else(|| "dumb".into())),
    ] {
        chamber.environment.variables.insert(name.into(), value.as_bytes().to_vec());
    }
    let arguments = match command {
        Some(command) => vec![b"-c".to_vec(), command.as_bytes().to_vec()],
        None => Vec::new(),
    };
    let scratch = store.scratch("shell")?;
    let status = chamber
        .start(scratch.path(), shell.as_bytes(), &arguments, attached)
        .and_then(|child| wait(child, cancelled));
    osbuild_store::local::remove_tree(&scratch.keep())?;
    status
}

/// How often it is looked whether a shell ended, or the user wants it to.
const EVERY: Duration = Duration::from_millis(20);

fn wait(mut child: Child, cancelled: &dyn Fn() -> bool) -> Result<ExitStatus, BuildError> {
    loop {
        if let Some(ended) = child.try_wait()? {
            return Ok(ended.status);
        }
        if cancelled() {
            child.kill();
            child.wait()?;
            return Err(BuildError::Interrupted);
        }
        std::thread::sleep(EVERY);
    }
}

/// A shell of a package root, as an absolute path inside. Links may be
/// absolute and lead elsewhere seen from here, so they are not followed.
fn shell_in(package_root: &Path) -> Option<&'static str> {
    ["/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh"]
        .into_iter()
        .find(|shell| package_root.join(shell.trim_start_matches('/')).symlink_metadata().is_ok())
}

/// Runs the builder as it would have been run.
fn builder_script(shell: &str, derivation: &Derivation, variables: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let mut script = format!("#!{shell}\ncd /build\n").into_bytes();
    // All others are the shell's own, too.
    for name in ["PATH", "TERM"] {
        let value = variables.get(name.as_bytes()).map_or(b"".as_slice(), Vec::as_slice);
        script.extend_from_slice(format!("export {name}=").as_bytes());
        quote(value, &mut script);
        script.push(b'\n');
    }
    script.extend_from_slice(b"exec");
    for word in std::iter::once(&derivation.builder).chain(&derivation.arguments) {
        script.push(b' ');
        quote(word, &mut script);
    }
    script.push(b'\n');
    script
}

/// A word for a POSIX shell.
fn quote(word: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => out.extend_from_slice(br"'\''"),
            other => out.push(*other),
        }
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted() {
        let mut out = Vec::new();
        quote(b"it's $HOME\n", &mut out);
        assert_eq!(out, b"'it'\\''s $HOME\n'");
    }
}
