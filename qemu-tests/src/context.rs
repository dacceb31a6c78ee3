//! The program under test, and what it has built so far in this run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Shared by all scenarios of a run.
pub(crate) struct Context {
    osbuild: PathBuf,
    /// The checkout: recipes, variants, and the test's own variants.
    pub(crate) project: PathBuf,
    scratch: tempfile::TempDir,
    built: RefCell<BTreeMap<String, PathBuf>>,
}

impl Context {
    pub(crate) fn new() -> Result<Self, String> {
        let beside = || std::env::current_exe().ok().map(|path| path.with_file_name("osbuild"));
        let osbuild = std::env::var_os("OSBUILD").map(PathBuf::from).or_else(beside).unwrap_or_default();
        if !osbuild.is_file() {
            return Err(format!("no program {}; build it, or name it in OSBUILD", osbuild.display()));
        }
        let project = std::env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
        if !project.join("recipes/default.nix").is_file() {
            return Err(format!("{} is no checkout: run this in the project's root", project.display()));
        }
        let scratch = tempfile::Builder::new().prefix("qemu-tests-").tempdir().map_err(|e| e.to_string())?;
        Ok(Self { osbuild, project, scratch, built: RefCell::default() })
    }

    /// The command, in the checkout.
    pub(crate) fn osbuild(&self) -> Command {
        let mut command = Command::new(&self.osbuild);
        command.current_dir(&self.project);
        command
    }

    /// A path for a file of one scenario.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Somebody else's program, out of the pinned root of judges, started by
    /// that root's own loader.
    pub(crate) fn judge(&self, program: &str) -> Result<Command, String> {
        let root = self.build("pkgs.judges")?;
        Ok(program_of(&root, program))
    }

    /// Builds a target and returns the directory that `result` would link to.
    pub(crate) fn build(&self, target: &str) -> Result<PathBuf, String> {
        if let Some(path) = self.built.borrow().get(target) {
            return Ok(path.clone());
        }
        let stdout = self.run(self.osbuild().args(["build", "--no-link", target]))?;
        let path = stdout.lines().next().map(PathBuf::from).ok_or("build printed no path")?;
        self.built.borrow_mut().insert(target.to_owned(), path.clone());
        Ok(path)
    }

    /// The folder of one of the test's own variants.
    pub(crate) fn variant(&self, name: &str) -> String {
        self.project.join("qemu-tests/variants").join(name).display().to_string()
    }

    /// A writable copy of an image, holes kept.
    pub(crate) fn copy_image(&self, from: &Path, to: &Path) -> Result<(), String> {
        let mut copy = Command::new("cp");
        self.run(copy.args(["--sparse=always", "--no-preserve=mode"]).arg(from).arg(to)).map(|_| ())
    }

    /// Runs a command to its end; its standard output, or what went wrong.
    pub(crate) fn run(&self, command: &mut Command) -> Result<String, String> {
        let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
        if !output.status.success() {
            let tail: Vec<_> = String::from_utf8_lossy(&output.stderr).lines().map(str::to_owned).collect();
            let tail = tail[tail.len().saturating_sub(30)..].join("\n");
            return Err(format!("{command:?} ended with {}\n{tail}", output.status));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The release manifest of a built variant.
    pub(crate) fn manifest(&self, image: &Path) -> Result<serde_json::Value, String> {
        read_json(&image.join("slot/manifest.json"))
    }
}

/// A program of a root, with that root's loader and libraries.
pub(crate) fn program_of(root: &Path, program: &str) -> Command {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(libraries.join("ld-linux-x86-64.so.2"));
    let folders = ["usr/bin", "usr/sbin"].map(|folder| root.join(folder).join(program));
    let program = folders.iter().find(|path| path.exists()).unwrap_or(&folders[0]);
    // Those of the service manager's programs are in a directory of its own.
    let path = format!("{0}:{0}/systemd", libraries.display());
    command.arg("--library-path").arg(path).arg(program);
    command
}

pub(crate) fn read_json(path: &Path) -> Result<serde_json::Value, String> {
    let text = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}
