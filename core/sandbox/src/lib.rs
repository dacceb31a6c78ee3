//! Runs a program where it sees its declared inputs and nothing else.
//!
//! Unprivileged Linux namespaces: user, mount, process, network, IPC, host
//! name, control group. The root is a tmpfs that shows the top-level entries
//! of a package root read-only, the input closure at `/nix/store`, and `/build`
//! to work in. No builder ever has a network.
//!
//! As an ordinary user, that user is uid 1000 inside. As root, uid 1000 is an
//! unused host uid, never 0: everything is set up by uid 0 of an outer user
//! namespace, then the builder enters an inner one that knows only itself.
//!
//! This crate holds the only unsafe code of the toolkit's builders. The toolkit
//! links it, and so does the builder that remote machines run: both make the
//! same sandbox because they are the same code.

mod child;
mod conditions;
mod filter;
mod group;
mod host_run;
mod interrupt;
#[cfg(feature = "probe")]
mod probe;
mod proc;
mod root;
mod spawn;
mod step;
mod trace;

pub use conditions::{BuildFileSystem, Conditions};
pub use group::{group_path, has_groups};
pub use host_run::{HostRun, Streams};
pub use interrupt::catch_interrupts;
#[cfg(feature = "probe")]
pub use probe::{PROGRAM as PROBE, Particulars, probe};
pub use spawn::{Child, Ended, ProcessUsage};
pub use trace::Told;

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use group::Group;
use root::{READ_ONLY, RootPlan, to_c};
use spawn::Namespaces;
use step::Step;

/// Raised whenever anything that a builder can see changes: it is part of
/// every action key.
pub const SANDBOX_ABI: u32 = 3;

/// A sandbox that cannot be set up, or a program that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The host forbids user namespaces.
    #[error("this host does not let users make namespaces, which builds run in")]
    Namespaces { hint: &'static str, source: io::Error },
    /// A step inside the new namespaces failed.
    #[error("cannot set up the sandbox: cannot {step}")]
    Step { step: String, source: io::Error },
    /// The program is not there, or not a program.
    #[error("cannot run {program} in the sandbox")]
    Execute { program: String, source: io::Error },
    /// Something around the child failed.
    #[error("cannot set up the sandbox: cannot {action}")]
    Setup { action: &'static str, source: io::Error },
    /// A file of the root cannot be read.
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// An argument, a variable or a path holds a NUL.
    #[error("{what} holds a NUL byte")]
    Nul { what: String },
}

/// What a builder's sandbox is made of.
pub struct SandboxSpec<'a> {
    /// An unpacked package root below `objects`, whose top-level entries are
    /// shown; `None` shows nothing.
    pub package_root: Option<&'a Path>,
    /// The physical store.
    pub objects: &'a Path,
    /// What the store is called inside, usually `/nix/store`.
    pub store_dir: &'a str,
    /// Base names of the objects that appear there.
    pub inputs: &'a [String],
    /// A directory on the store's file system, ours alone: gets `root`,
    /// `store`, `build` and `tmp`.
    pub scratch: &'a Path,
    /// Absolute path inside.
    pub program: &'a [u8],
    pub arguments: &'a [Vec<u8>],
    pub environment: &'a BTreeMap<Vec<u8>, Vec<u8>>,
    pub files: &'a [File],
    /// The host uid for uid 1000 where we are root.
    pub builder_uid: u32,
    pub attached: Attached<'a>,
    pub conditions: &'a Conditions,
}

/// A file that lies there when the program starts.
#[derive(Clone, Debug)]
pub struct File {
    /// Absolute, in the build directory or `/tmp`.
    pub path: String,
    pub contents: Vec<u8>,
    pub is_executable: bool,
}

/// What a program's standard streams are.
#[derive(Clone, Copy, Debug)]
pub enum Attached<'a> {
    /// Output and errors go here, and there is no input.
    Output(&'a OwnedFd),
    /// Those of the caller.
    Inherited,
    /// A terminal of its own, that it controls.
    Terminal(&'a OwnedFd),
}

/// Host uids for builders where we are root: one for each build at a time.
pub const BUILDER_IDS: std::ops::Range<u32> = 30_001..30_257;

/// Whether builders run as users of their own: we are root, and not merely in
/// a container that knows no other user.
pub fn has_builder_ids() -> bool {
    let covered = |file: &str| {
        let map = std::fs::read_to_string(file).unwrap_or_default();
        map.lines().any(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u64>);
            let (Some(Ok(first)), _, Some(Ok(count))) = (numbers.next(), numbers.next(), numbers.next())
            else {
                return false;
            };
            first <= u64::from(BUILDER_IDS.start) && first + count >= u64::from(BUILDER_IDS.end)
        })
    };
    rustix::process::geteuid().is_root() && covered("/proc/self/uid_map") && covered("/proc/self/gid_map")
}

impl SandboxSpec<'_> {
    /// Where the builder's store lies: outputs appear here.
    fn writable_store(&self) -> PathBuf {
        self.scratch.join("store")
    }

    /// Where a file of the builder's lies on the host.
    fn outside(&self, path: &str) -> PathBuf {
        match path.strip_prefix(&self.conditions.build_directory) {
            Some(rest) => self.scratch.join("build").join(rest.trim_start_matches('/')),
            None => self.scratch.join(path.trim_start_matches('/')),
        }
    }

    /// Sets everything up and starts the program.
    ///
    /// # Errors
    /// See [`SandboxError`].
    pub fn start(&self) -> Result<Child, SandboxError> {
        let is_root = has_builder_ids();
        self.prepare_scratch(is_root)?;
        let steps = self.steps(is_root)?;
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let Conditions { user_id, group_id, .. } = self.conditions;
        let (uid_map, gid_map) = if is_root {
            let id = self.builder_uid;
            (format!("0 0 1\n{user_id} {id} 1\n"), format!("0 0 1\n{group_id} {id} 1\n"))
        } else {
            (format!("{user_id} {uid} 1\n"), format!("{group_id} {gid} 1\n"))
        };
        let flags = libc::CLONE_NEWUSER
            | libc::CLONE_NEWNS
            | libc::CLONE_NEWPID
            | libc::CLONE_NEWNET
            | libc::CLONE_NEWIPC
            | libc::CLONE_NEWUTS;
        let namespaces = Namespaces { flags, uid_map, gid_map, deny_setgroups: !is_root };
        let group = Group::new(processes() - SPARE_PROCESSES);
        spawn::spawn(&namespaces, group, &self.conditions.told, &steps)
    }

    /// Makes the directories on disk and the mount points in the store.
    fn prepare_scratch(&self, is_root: bool) -> Result<(), SandboxError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| SandboxError::Io { action, path, source }
        };
        let mut names = vec!["root", "store", "build", "tmp"];
        if self.conditions.build_file_system == BuildFileSystem::Overlay {
            names.extend(["lower", "work"]);
        }
        for name in names {
            let path = self.scratch.join(name);
            std::fs::create_dir(&path).map_err(io("make", &path))?;
            let mode = if name == "tmp" { 0o1777 } else { 0o755 };
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
                .map_err(io("set the mode of", &path))?;
            if is_root && name != "root" {
                std::os::unix::fs::chown(&path, Some(self.builder_uid), Some(self.builder_uid))
                    .map_err(io("give away", &path))?;
            }
        }
        for file in self.files {
            let path = self.outside(&file.path);
            std::fs::write(&path, &file.contents).map_err(io("write", &path))?;
            if file.is_executable {
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
                    .map_err(io("set the mode of", &path))?;
            }
            if is_root {
                std::os::unix::fs::chown(&path, Some(self.builder_uid), Some(self.builder_uid))
                    .map_err(io("give away", &path))?;
            }
        }
        Ok(())
    }

    fn steps(&self, is_root: bool) -> Result<Vec<Step>, SandboxError> {
        let mut plan = RootPlan::new(&self.scratch.join("root"));
        // Bound once and made read-only once: every mount taken from there
        // is read-only from birth, one system call each.
        plan.directory("/.objects", 0o755);
        plan.bind(self.objects, "/.objects", false);
        plan.restrict("/.objects", READ_ONLY, false);
        let objects = plan.outside("/.objects");
        if let Some(package_root) = self.package_root {
            let name = package_root.strip_prefix(self.objects).unwrap_or(package_root);
            let through = objects.join(name);
            plan.package_root(
                package_root,
                &through,
                "",
                &[
                    first_component(&self.conditions.build_directory),
                    "dev",
                    "etc",
                    "proc",
                    "sys",
                    "tmp",
                    first_component(self.store_dir),
                ],
            )?;
            plan.directory("/etc", 0o755);
            let etc = package_root.join("etc");
            if etc.is_dir() {
                plan.package_root(&etc, &through.join("etc"), "/etc", &["group", "hosts", "passwd"])?;
            }
        } else {
            plan.directory("/etc", 0o755);
        }
        plan.file("/etc/passwd", &self.conditions.passwd());
        plan.file("/etc/group", &self.conditions.group());
        plan.file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
        let build_directory = &self.conditions.build_directory;
        for (name, inside) in [("build", build_directory.as_str()), ("tmp", "/tmp")] {
            plan.directory(inside, 0o755);
            plan.bind(&self.scratch.join(name), inside, false);
            plan.restrict(inside, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, false);
        }
        if self.conditions.build_file_system == BuildFileSystem::Overlay {
            plan.overlay(build_directory, self.scratch);
        }
        // After those: a store elsewhere may be below one of them.
        plan.directories(self.store_dir);
        plan.bind(&self.writable_store(), self.store_dir, false);
        plan.restrict(self.store_dir, libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV, false);
        self.inputs(&mut plan, &objects)?;
        plan.devices(&[]);
        plan.masked_proc(self.conditions);
        plan.remove_mount("/.objects");
        plan.restrict("/", libc::MOUNT_ATTR_RDONLY, false);
        let mut steps = plan.finish();
        // Here and not at birth, when it would be that of our own group, and
        // the builder would see the name of its own.
        steps.push(Step::GroupNamespace);
        steps.push(Step::LoopbackUp);
        steps.push(Step::HostName { name: c_bytes("the host name", self.conditions.host_name.as_bytes())? });
        steps.extend(limits());
        steps.push(Step::NewSession);
        match self.attached {
            Attached::Output(output) => {
                let (input, output) = (null_device()?, output.as_raw_fd());
                steps.push(Step::Streams { input, output, error: output });
            }
            Attached::Inherited => {}
            Attached::Terminal(terminal) => {
                let terminal = terminal.as_raw_fd();
                steps.push(Step::Streams { input: terminal, output: terminal, error: terminal });
                steps.push(Step::TakeTerminal);
            }
        }
        if is_root {
            let Conditions { user_id, group_id, .. } = self.conditions;
            steps.push(Step::BecomeBuilder {
                uid: *user_id,
                gid: *group_id,
                uid_map: c_text(&format!("{user_id} {user_id} 1\n"))?,
                gid_map: c_text(&format!("{group_id} {group_id} 1\n"))?,
            });
        }
        let directory = c_bytes("the build directory", build_directory.as_bytes())?;
        steps.push(Step::CleanSlate { umask: self.conditions.umask, directory });
        if !self.conditions.randomises_addresses {
            steps.push(Step::FixedAddresses);
        }
        steps.push(Step::DropPrivileges);
        // Changing ids forgot it; nothing after this changes them.
        steps.push(Step::DieWithParent);
        for program in filter::filters() {
            steps.push(Step::Filter { program: program.clone() });
        }
        if !self.conditions.told.is_the_truth() {
            steps.push(Step::Filter { program: filter::traced(&self.conditions.told) });
        }
        steps.push(self.execute()?);
        Ok(steps)
    }

    /// The closure's objects, one mount each; links are made again.
    fn inputs(&self, plan: &mut RootPlan, objects: &Path) -> Result<(), SandboxError> {
        let store = self.writable_store();
        for name in self.inputs {
            let host = self.objects.join(name);
            let io = |action| {
                let path = host.clone();
                move |source| SandboxError::Io { action, path, source }
            };
            let metadata = host.symlink_metadata().map_err(io("read"))?;
            let point = store.join(name);
            if metadata.is_symlink() {
                let target = std::fs::read_link(&host).map_err(io("read the link"))?;
                std::os::unix::fs::symlink(target, &point).map_err(io("copy the link"))?;
                continue;
            }
            if metadata.is_dir() {
                std::fs::create_dir(&point).map_err(io("make the mount point of"))?;
            } else {
                std::fs::File::create(&point).map_err(io("make the mount point of"))?;
            }
            plan.bind(&objects.join(name), &format!("{}/{name}", self.store_dir), false);
        }
        Ok(())
    }

    fn execute(&self) -> Result<Step, SandboxError> {
        let name = self.program.rsplit(|byte| *byte == b'/').next().unwrap_or(self.program);
        let mut arguments = vec![c_bytes("the builder", name)?];
        for argument in self.arguments {
            arguments.push(c_bytes("an argument of the builder", argument)?);
        }
        let mut environment = Vec::new();
        for (name, value) in self.environment {
            let what = format!("the variable '{}'", String::from_utf8_lossy(name));
            environment.push(c_bytes(&what, &[name.as_slice(), b"=", value].concat())?);
        }
        Ok(Step::Execute { program: c_bytes("the builder", self.program)?, arguments, environment })
    }
}

/// `nix` of `/nix/store`.
fn first_component(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// Processes and threads of one build at a time: some for each of hundreds of
/// cores.
const PROCESSES: u64 = 16_384;

/// By so many the control group's limit is the lower one, so that it is the
/// one that is met, and tells.
const SPARE_PROCESSES: u64 = 16;

/// As many, or a fourth of the host's process ids where those are few (some
/// kernels have 32768): two builds that fork without end at the same time must
/// leave some to everybody else.
fn processes() -> u64 {
    static FEW: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    *FEW.get_or_init(|| {
        let ids = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
        ids.trim().parse().map_or(PROCESSES, |ids: u64| PROCESSES.min(ids / 4))
    })
}

/// Limits that reach outputs (a test suite that counts descriptors, a stack
/// that overflows), the same everywhere as far as the host lets us.
fn limits() -> Vec<Step> {
    use rustix::process::{Resource, getrlimit};
    let bounded = |resource, limit: Resource, soft: u64, hard: u64| {
        let now = getrlimit(limit).maximum.unwrap_or(u64::MAX);
        Step::Limit { resource, soft: soft.min(now), hard: hard.min(now) }
    };
    vec![
        Step::Limit { resource: libc::RLIMIT_CORE as i32, soft: 0, hard: 0 },
        bounded(libc::RLIMIT_NOFILE as i32, Resource::Nofile, 1024, 524_288),
        // Counted for the sandbox alone, since it has a user namespace: a builder
        // that forks without end fails instead of taking the machine along.
        bounded(libc::RLIMIT_NPROC as i32, Resource::Nproc, processes(), processes()),
        bounded(libc::RLIMIT_STACK as i32, Resource::Stack, 8 << 20, u64::MAX),
    ]
}

/// A descriptor of `/dev/null`, opened once.
fn null_device() -> Result<i32, SandboxError> {
    static NULL: std::sync::OnceLock<std::fs::File> = std::sync::OnceLock::new();
    if let Some(file) = NULL.get() {
        return Ok(file.as_raw_fd());
    }
    let path = Path::new("/dev/null");
    let file = std::fs::File::open(path).map_err(|source| SandboxError::Io {
        action: "open",
        path: path.to_owned(),
        source,
    })?;
    Ok(NULL.get_or_init(|| file).as_raw_fd())
}

fn c_bytes(what: &str, bytes: &[u8]) -> Result<CString, SandboxError> {
    CString::new(bytes).map_err(|_| SandboxError::Nul { what: what.to_owned() })
}

fn c_text(text: &str) -> Result<CString, SandboxError> {
    Ok(to_c(OsStr::from_bytes(text.as_bytes())))
}
