//! Runs a tool out of a package root on the host's behalf: QEMU, judges.
//! It gets the root's libraries, the host's network, the files that are named,
//! and nothing that must be installed.
//!
//! This is no wall against the tool, as the builders' sandbox is: it runs as
//! the user and may do to the named files what the user may.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::root::{READ_ONLY, RootPlan};
use super::spawn::{Child, Namespaces, spawn};
use super::step::Step;
use super::{SandboxError, Told, c_bytes};

/// What to run and what it sees.
pub struct HostRun {
    package_root: PathBuf,
    program: OsString,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    binds: Vec<Bind>,
    devices: Vec<&'static str>,
    directory: OsString,
    has_network: bool,
}

struct Bind {
    host: PathBuf,
    inside: String,
    writable: bool,
}

/// The tool's standard streams; `None` is the caller's own.
#[derive(Debug, Default)]
pub struct Streams {
    pub input: Option<OwnedFd>,
    pub output: Option<OwnedFd>,
    pub error: Option<OwnedFd>,
}

impl HostRun {
    /// `package_root` is a physical directory with `usr/`, `lib` and so on;
    /// `program` is an absolute path inside.
    pub fn new(package_root: &Path, program: impl AsRef<OsStr>) -> Self {
        let environment = BTreeMap::from([
            ("HOME".into(), "/tmp".into()),
            ("LANG".into(), "C.UTF-8".into()),
            ("PATH".into(), "/usr/bin:/usr/sbin:/bin:/sbin".into()),
            ("TERM".into(), std::env::var_os("TERM").unwrap_or_else(|| "dumb".into())),
        ]);
        Self {
            package_root: package_root.to_owned(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            environment,
            binds: Vec::new(),
            devices: Vec::new(),
            directory: "/".into(),
            has_network: true,
        }
    }

    pub fn argument(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn environment(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.environment.insert(name.into(), value.as_ref().to_owned());
        self
    }

    /// Shows a host file or directory at `inside`, an absolute path whose
    /// first component the package root does not have (`/run/x`, `/disk.raw`).
    pub fn bind(&mut self, host: &Path, inside: &str, writable: bool) -> &mut Self {
        self.binds.push(Bind { host: host.to_owned(), inside: inside.to_owned(), writable });
        self
    }

    /// Lets the tool use hardware virtualisation.
    pub fn kvm(&mut self) -> &mut Self {
        self.devices.push("kvm");
        self
    }

    /// Takes the host's network away: an empty network namespace.
    pub fn isolate_network(&mut self) -> &mut Self {
        self.has_network = false;
        self
    }

    /// The working directory inside; `/` otherwise.
    pub fn current_directory(&mut self, inside: &str) -> &mut Self {
        self.directory = inside.into();
        self
    }

    /// Starts the tool. It dies with the calling thread.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn start(&self, streams: &Streams) -> Result<Child, SandboxError> {
        let mount_point = tempfile::tempdir()
            .map_err(|source| SandboxError::Setup { action: "make a temporary directory", source })?;
        let steps = self.steps(mount_point.path(), streams)?;
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let network = if self.has_network { 0 } else { libc::CLONE_NEWNET };
        let namespaces = Namespaces {
            flags: libc::CLONE_NEWUSER | libc::CLONE_NEWNS | network,
            uid_map: format!("{uid} {uid} 1\n"),
            gid_map: format!("{gid} {gid} 1\n"),
            deny_setgroups: true,
        };
        // The mount point is only needed until the program runs.
        spawn(&namespaces, None, &Told::default(), &steps)
    }

    fn steps(&self, mount_point: &Path, streams: &Streams) -> Result<Vec<Step>, SandboxError> {
        let mut plan = RootPlan::new(mount_point);
        let through = self.package_root.clone();
        plan.package_root(&self.package_root, &through, "", &["dev", "proc", "run", "sys", "tmp"])?;
        for name in ["/usr", "/etc", "/opt", "/var"] {
            if self.package_root.join(&name[1..]).is_dir() {
                plan.restrict(name, READ_ONLY, false);
            }
        }
        for (name, mode) in [("/tmp", 0o1777), ("/run", 0o755)] {
            plan.directory(name, mode);
        }
        for bind in &self.binds {
            let is_directory = bind.host.is_dir();
            if is_directory {
                plan.directories(&bind.inside);
            } else {
                let parent = bind.inside.rsplit_once('/').map_or("", |(parent, _)| parent);
                plan.directories(parent);
                plan.file(&bind.inside, "");
            }
            let host = bind.host.canonicalize().map_err(|source| SandboxError::Io {
                action: "find",
                path: bind.host.clone(),
                source,
            })?;
            plan.bind(&host, &bind.inside, true);
            if !bind.writable {
                plan.restrict(&bind.inside, libc::MOUNT_ATTR_RDONLY, true);
            }
        }
        plan.devices(&self.devices);
        plan.directory("/proc", 0o555);
        plan.bind(Path::new("/proc"), "/proc", true);
        plan.directory("/sys", 0o555);
        plan.bind(Path::new("/sys"), "/sys", true);
        let mut steps = plan.finish();
        let raw = |stream: &Option<OwnedFd>, own: i32| stream.as_ref().map_or(own, AsRawFd::as_raw_fd);
        steps.push(Step::Streams {
            input: raw(&streams.input, 0),
            output: raw(&streams.output, 1),
            error: raw(&streams.error, 2),
        });
        let directory = c_bytes("the working directory", self.directory.as_bytes())?;
        steps.push(Step::CleanSlate { umask: 0o022, directory });
        steps.push(Step::DieWithParent);
        let mut arguments = vec![c_bytes("the program", self.program.as_bytes())?];
        for argument in &self.arguments {
            arguments.push(c_bytes("an argument", argument.as_bytes())?);
        }
        let mut environment = Vec::new();
        for (name, value) in &self.environment {
            environment.push(c_bytes("a variable", &[name.as_bytes(), b"=", value.as_bytes()].concat())?);
        }
        let program = c_bytes("the program", self.program.as_bytes())?;
        steps.push(Step::Execute { program, arguments, environment });
        Ok(steps)
    }
}
