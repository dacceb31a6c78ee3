//! The parent's side: makes the child, writes its id maps, hears of failures.

#![allow(unsafe_code, reason = "clone and wait4 have no safe form")]

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::TryRecvError;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

use super::child;
use super::group::Group;
use super::step::Step;
use crate::SandboxError;
use crate::trace::{self, EndOfTraced, Told};

/// A process in namespaces of its own. Killed if dropped before it was
/// waited for.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    waited: bool,
    /// Around it and all that it starts; removed when they have ended.
    group: Option<Group>,
    /// Where the thread that traces it, which alone can wait for it then,
    /// tells of its end.
    traced: Option<EndOfTraced>,
}

/// What processes took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Of all of them together.
    pub cpu_ms: u64,
    /// Of the largest one, resident.
    pub largest_bytes: u64,
}

impl ProcessUsage {
    pub(crate) fn new(usage: &libc::rusage) -> Self {
        let ms = |time: libc::timeval| time.tv_sec.unsigned_abs() * 1000 + time.tv_usec.unsigned_abs() / 1000;
        Self {
            cpu_ms: ms(usage.ru_utime) + ms(usage.ru_stime),
            // In KiB: getrusage(2).
            largest_bytes: usage.ru_maxrss.unsigned_abs() << 10,
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// Of it and of all that it, and they in turn, waited for. The first
    /// process of a namespace waits for every other in it.
    pub usage: ProcessUsage,
    /// How often the limit of processes was met, as far as a control group
    /// tells.
    pub refused_processes: u64,
}

/// Which namespaces, and who is who in the new user namespace.
pub(crate) struct Namespaces {
    pub(crate) flags: libc::c_int,
    pub(crate) uid_map: String,
    pub(crate) gid_map: String,
    /// Whether the child may still change its groups: only where the parent
    /// is root, since the kernel lets nobody else map groups without.
    pub(crate) deny_setgroups: bool,
}

/// Starts a child that walks `steps`.
///
/// # Errors
/// The kernel refused a namespace, or a step failed.
pub(crate) fn spawn(
    namespaces: &Namespaces,
    group: Option<Group>,
    told: &Told,
    steps: &[Step],
) -> Result<Child, SandboxError> {
    let setup =
        |action| move |source: rustix::io::Errno| SandboxError::Setup { action, source: source.into() };
    let (start_read, start_write) = pipe_with(PipeFlags::CLOEXEC).map_err(setup("make a pipe"))?;
    let (report_read, report_write) = pipe_with(PipeFlags::CLOEXEC).map_err(setup("make a pipe"))?;
    let pointers = child::ExecPointers::new(steps);
    let (pid, group) = clone(namespaces.flags, group);
    if pid == 0 {
        child::run(steps, &pointers, start_read.as_raw_fd(), report_write.as_raw_fd());
    }
    if pid < 0 {
        return Err(namespace_error(io::Error::last_os_error()));
    }
    let pid = Pid::from_raw(pid as i32).expect("clone returned a positive process id");
    let mut child = Child { pid, waited: false, group, traced: None };
    drop((start_read, report_write));
    write_maps(pid, namespaces)?;
    if !told.is_the_truth() {
        let traced = trace::trace(child.pid(), told);
        child.traced =
            Some(traced.map_err(|source| SandboxError::Setup { action: "trace the child", source })?);
    }
    io::Write::write_all(&mut fs::File::from(start_write), b"g")
        .map_err(|source| SandboxError::Setup { action: "start the child", source })?;
    hear(report_read, steps)?;
    Ok(child)
}

/// The child's id, 0 in the child, negative if there is none; and the group
/// that it was born in. Not every host that knows groups lets children be born
/// in them: the group is a second wall, and goes without saying.
fn clone(flags: libc::c_int, group: Option<Group>) -> (libc::c_long, Option<Group>) {
    /// clone3(2), since Linux 5.7.
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let flags = flags as u32;
    if let Some(group) = group {
        // SAFETY: zeros are valid, and ask for nothing.
        let mut request: libc::clone_args = unsafe { std::mem::zeroed() };
        request.flags = u64::from(flags) | CLONE_INTO_CGROUP;
        request.exit_signal = libc::SIGCHLD as u64;
        request.cgroup = group.handle().as_raw_fd() as u64;
        // SAFETY: without CLONE_VM this is fork: the child has its own copy of
        // everything, and no stack means its copy of ours. In the child only
        // `child::run` runs, which neither allocates nor returns.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone3, &raw const request, size_of::<libc::clone_args>()) };
        if pid >= 0 {
            return (pid, Some(group));
        }
    }
    let flags = libc::c_long::from(flags) | libc::c_long::from(libc::SIGCHLD);
    // SAFETY: as above.
    (unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }, None)
}

fn write_maps(pid: Pid, namespaces: &Namespaces) -> Result<(), SandboxError> {
    let write = |name: &str, text: &str| {
        let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
        let mut file = fs::OpenOptions::new().write(true).open(&path)?;
        file.write_all(text.as_bytes())
    };
    let result = (|| {
        if namespaces.deny_setgroups {
            write("setgroups", "deny")?;
        }
        write("uid_map", &namespaces.uid_map)?;
        write("gid_map", &namespaces.gid_map)
    })();
    result.map_err(|source| SandboxError::Setup { action: "map users into the sandbox", source })
}

/// Waits until the program runs, or hears which step failed.
fn hear(report: OwnedFd, steps: &[Step]) -> Result<(), SandboxError> {
    let mut message = [0u8; child::REPORT_BYTES];
    let mut file = fs::File::from(report);
    match file.read_exact(&mut message) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(source) => Err(SandboxError::Setup { action: "hear from the child", source }),
        Ok(()) => {
            let number = |range: std::ops::Range<usize>| {
                u32::from_ne_bytes(message[range].try_into().expect("four bytes"))
            };
            let source = io::Error::from_raw_os_error(number(4..8) as i32);
            let step = steps.get(number(0..4) as usize);
            if let Some(Step::Execute { program, .. }) = step {
                let program = program.to_string_lossy().into_owned();
                return Err(SandboxError::Execute { program, source });
            }
            let step = step.map_or_else(|| "do an unknown step".to_owned(), Step::to_string);
            Err(SandboxError::Step { step, source })
        }
    }
}

/// Says what the host forbids and how to allow it.
fn namespace_error(source: io::Error) -> SandboxError {
    let setting =
        |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let hint = if setting("/proc/sys/kernel/unprivileged_userns_clone") == "0" {
        "allow it with: sysctl kernel.unprivileged_userns_clone=1"
    } else if setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" {
        "allow it with: sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    } else if setting("/proc/sys/user/max_user_namespaces") == "0" {
        "allow it with: sysctl user.max_user_namespaces=65536"
    } else {
        "in a container, start it with --security-opt seccomp=unconfined --security-opt systempaths=unconfined (or --privileged)"
    };
    SandboxError::Namespaces { hint, source }
}

impl Child {
    /// Waits for the end.
    ///
    /// # Errors
    /// Something else waited for our child.
    pub fn wait(&mut self) -> Result<Ended, SandboxError> {
        if let Some(traced) = &self.traced {
            let ended = traced.recv().unwrap_or_else(|_| Err(io::Error::other("the tracing thread ended")));
            return self.after(ended);
        }
        Ok(self.reap(0)?.expect("without WNOHANG there is an end"))
    }

    /// The end, if it came already.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn try_wait(&mut self) -> Result<Option<Ended>, SandboxError> {
        if let Some(traced) = &self.traced {
            let ended = match traced.try_recv() {
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => Err(io::Error::other("the tracing thread ended")),
                Ok(ended) => ended,
            };
            return self.after(ended).map(Some);
        }
        self.reap(libc::WNOHANG)
    }

    fn reap(&mut self, options: i32) -> Result<Option<Ended>, SandboxError> {
        let mut status = 0;
        // SAFETY: the structure is plain numbers, for which zeros are valid.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        loop {
            // SAFETY: both pointers are to live variables of the right type, and
            // the process is a child of ours that nothing else waits for.
            match unsafe { libc::wait4(self.pid(), &raw mut status, options, &raw mut usage) } {
                0 => return Ok(None),
                1.. => break,
                _ => {}
            }
            let source = io::Error::last_os_error();
            if source.kind() != io::ErrorKind::Interrupted {
                return Err(SandboxError::Setup { action: "wait for the child", source });
            }
        }
        let usage = ProcessUsage::new(&usage);
        self.after(Ok(Ended { status: ExitStatus::from_raw(status), usage, refused_processes: 0 })).map(Some)
    }

    /// Once it has been waited for.
    fn after(&mut self, ended: io::Result<Ended>) -> Result<Ended, SandboxError> {
        self.waited = true;
        let mut ended =
            ended.map_err(|source| SandboxError::Setup { action: "wait for the child", source })?;
        ended.refused_processes = self.group.as_ref().map_or(0, Group::refused);
        Ok(ended)
    }

    /// Kills the process, and with it everything in its process namespace.
    pub fn kill(&self) {
        if !self.waited {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// Asks the process to end.
    pub fn terminate(&self) {
        if !self.waited {
            let _ = kill_process(self.pid, Signal::TERM);
        }
    }

    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.waited {
            self.kill();
            let _ = self.wait();
        }
    }
}
