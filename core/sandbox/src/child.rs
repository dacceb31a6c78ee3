//! The child's side: walks the steps without allocating.
//!
//! Raw system calls throughout, since what a library might do besides (take a
//! lock, touch a cache) is not allowed here.

#![allow(unsafe_code, reason = "namespaces, mounts and exec have no safe form between clone and exec")]

use std::ffi::CStr;
use std::ptr;

use libc::{c_int, c_void};

use super::step::Step;

type Errno = c_int;

/// What goes through the pipe when a step fails.
pub(crate) const REPORT_BYTES: usize = 8;

/// Walks the steps; never returns. Waits for one byte on `start` first, and
/// reports a failure on `report`, which `exec` closes.
pub(crate) fn run(steps: &[Step], pointers: &ExecPointers, start: c_int, report: c_int) -> ! {
    let mut byte = 0u8;
    // SAFETY: the buffer is one byte long and lives across the call.
    let got = unsafe { libc::read(start, ptr::from_mut(&mut byte).cast::<c_void>(), 1) };
    if got == 1 {
        for (index, step) in steps.iter().enumerate() {
            if let Err(errno) = perform(step, pointers) {
                let mut message = [0u8; REPORT_BYTES];
                message[..4].copy_from_slice(&(index as u32).to_ne_bytes());
                message[4..].copy_from_slice(&errno.to_ne_bytes());
                // SAFETY: the buffer lives across the call; a failing write
                // cannot be reported anywhere.
                unsafe { libc::write(report, message.as_ptr().cast::<c_void>(), message.len()) };
                break;
            }
        }
    }
    // SAFETY: ends this process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

/// `argv` and `envp` as `execve` wants them, made before the child is.
pub(crate) struct ExecPointers {
    arguments: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
}

impl ExecPointers {
    /// The steps must outlive the result and not move their strings.
    pub(crate) fn new(steps: &[Step]) -> Self {
        let list = |strings: &[std::ffi::CString]| {
            strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect::<Vec<_>>()
        };
        for step in steps {
            if let Step::Execute { arguments, environment, .. } = step {
                return Self { arguments: list(arguments), environment: list(environment) };
            }
        }
        Self { arguments: vec![ptr::null()], environment: vec![ptr::null()] }
    }
}

fn perform(step: &Step, pointers: &ExecPointers) -> Result<(), Errno> {
    match step {
        Step::PrivateMounts => mount(None, c"/", None, libc::MS_REC | libc::MS_PRIVATE, None),
        Step::Mount { source, target, kind, flags, options } => {
            mount(Some(source), target, Some(kind), *flags, Some(options))
        }
        Step::Bind { source, target, recursive } => {
            let flags = libc::MS_BIND | if *recursive { libc::MS_REC } else { 0 };
            mount(Some(source), target, None, flags, None)
        }
        // The source was made a moment ago: what is not there is the target.
        Step::Cover { source, target } => match mount(Some(source), target, None, libc::MS_BIND, None) {
            Err(libc::ENOENT) => Ok(()),
            other => other,
        },
        Step::Restrict { target, attributes, recursive } => restrict(target, *attributes, *recursive),
        // SAFETY: the path is a valid C string.
        Step::Detach { target } => check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }),
        Step::MakeDirectory { path, mode } => make_directory(path, *mode),
        Step::WriteFile { path, contents, mode } => write_file(path, contents, *mode),
        Step::LastProcessId { path, contents } => write_existing(path, contents),
        // SAFETY: both are valid C strings.
        Step::Link { target, path } => check(unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) }),
        // SAFETY: the path is a valid C string.
        Step::RemoveDirectory { path } => check(unsafe { libc::rmdir(path.as_ptr()) }),
        Step::PivotRoot { root } => pivot_root(root),
        // SAFETY: takes no pointers.
        Step::GroupNamespace => check(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) }),
        Step::LoopbackUp => loopback_up(),
        Step::HostName { name } => {
            // SAFETY: pointer and length describe the same string.
            check(unsafe { libc::sethostname(name.as_ptr(), name.as_bytes().len()) })?;
            // SAFETY: as above.
            check(unsafe { libc::setdomainname(c"(none)".as_ptr(), 6) })
        }
        Step::BecomeBuilder { uid, gid, uid_map, gid_map } => become_builder(*uid, *gid, uid_map, gid_map),
        Step::Limit { resource, soft, hard } => {
            let limit = libc::rlimit { rlim_cur: *soft, rlim_max: *hard };
            // SAFETY: the structure lives across the call.
            check_long(unsafe {
                libc::syscall(libc::SYS_prlimit64, 0, *resource, &raw const limit, ptr::null_mut::<c_void>())
            })
        }
        // SAFETY: takes no pointers.
        Step::NewSession => check(unsafe { libc::setsid() }),
        Step::Streams { input, output, error } => {
            for (from, to) in [(*input, 0), (*output, 1), (*error, 2)] {
                // SAFETY: takes no pointers.
                check(unsafe { libc::dup2(from, to) })?;
            }
            Ok(())
        }
        // SAFETY: takes no pointers.
        Step::TakeTerminal => check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }),
        Step::CleanSlate { umask, directory } => clean_slate(*umask, directory),
        Step::FixedAddresses => {
            // SAFETY: takes no pointers.
            check(unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) })
        }
        Step::DropPrivileges => drop_privileges(),
        Step::Filter { program } => {
            let program = libc::sock_fprog {
                len: program.len() as u16,
                filter: program.as_ptr().cast_mut().cast::<libc::sock_filter>(),
            };
            // SAFETY: both sock_filter types are the kernel's layout; the
            // program lives across the call and is only read.
            check_long(unsafe {
                libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program)
            })
        }
        Step::DieWithParent => {
            // SAFETY: takes no pointers.
            check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })
        }
        Step::Execute { program, .. } => execute(program, pointers),
    }
}

/// Becomes the program. While another thread of ours writes a file, a child that
/// is born has it open, too, until it becomes a program itself. Nobody can run
/// the file until then, if it is a program; so that is waited for.
fn execute(program: &CStr, pointers: &ExecPointers) -> Result<(), Errno> {
    const WAITS: u32 = 2000;
    let wait = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
    for _ in 0..WAITS {
        // SAFETY: both arrays are null-terminated and point into strings of
        // the step that this is.
        unsafe { libc::execve(program.as_ptr(), pointers.arguments.as_ptr(), pointers.environment.as_ptr()) };
        let failed = errno();
        if failed != libc::ETXTBSY {
            return Err(failed);
        }
        // SAFETY: the structure lives across the call; nothing is told of an
        // early end.
        unsafe { libc::nanosleep(&raw const wait, ptr::null_mut()) };
    }
    Err(libc::ETXTBSY)
}

fn mount(
    source: Option<&CStr>,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> Result<(), Errno> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: every pointer is null or a valid C string.
    check(unsafe {
        libc::mount(pointer(source), target.as_ptr(), pointer(kind), flags, pointer(options).cast::<c_void>())
    })
}

fn restrict(target: &CStr, attributes: u64, recursive: bool) -> Result<(), Errno> {
    let attributes = libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the structure lives across the call and its size is given.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

fn make_directory(path: &CStr, mode: libc::mode_t) -> Result<(), Errno> {
    // SAFETY: the path is a valid C string.
    match check(unsafe { libc::mkdir(path.as_ptr(), mode) }) {
        Err(libc::EEXIST) => Ok(()),
        Err(errno) => Err(errno),
        // The mode must not depend on the caller's mask.
        // SAFETY: the path is a valid C string.
        Ok(()) => check(unsafe { libc::chmod(path.as_ptr(), mode) }),
    }
}

fn write_file(path: &CStr, contents: &[u8], mode: libc::mode_t) -> Result<(), Errno> {
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: the path is a valid C string.
    let file = unsafe { libc::open(path.as_ptr(), flags, mode) };
    check(file)?;
    let mut rest = contents;
    while !rest.is_empty() {
        // SAFETY: pointer and length describe the same slice.
        let written = unsafe { libc::write(file, rest.as_ptr().cast::<c_void>(), rest.len()) };
        if written < 0 {
            return Err(errno());
        }
        rest = &rest[written as usize..];
    }
    // SAFETY: the descriptor is ours.
    check(unsafe { libc::fchmod(file, mode) })?;
    // SAFETY: the descriptor is ours and not used again.
    check(unsafe { libc::close(file) })
}

/// pivot_root(2), "pivot_root(".", ".")": needs no directory for the old root.
fn pivot_root(root: &CStr) -> Result<(), Errno> {
    // SAFETY: the path is a valid C string.
    check(unsafe { libc::chdir(root.as_ptr()) })?;
    // SAFETY: both are valid C strings.
    check_long(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) })?;
    // SAFETY: as above.
    check(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    // SAFETY: as above.
    check(unsafe { libc::chdir(c"/".as_ptr()) })
}

fn loopback_up() -> Result<(), Errno> {
    // SAFETY: takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(socket)?;
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: the request is an ifreq, as SIOCSIFFLAGS wants, and lives
    // across the call.
    check(unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &raw mut request) })?;
    // SAFETY: the descriptor is ours and not used again.
    check(unsafe { libc::close(socket) })
}

fn become_builder(uid: libc::uid_t, gid: libc::gid_t, uid_map: &CStr, gid_map: &CStr) -> Result<(), Errno> {
    // SAFETY: an empty list; the pointer is not read.
    check_long(unsafe { libc::syscall(libc::SYS_setgroups, 0, ptr::null::<libc::gid_t>()) })?;
    // SAFETY: takes no pointers.
    check_long(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: takes no pointers.
    check_long(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) })?;
    // Changing ids hides /proc/self from us; the maps are written there.
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) })?;
    // SAFETY: takes no pointers.
    check(unsafe { libc::unshare(libc::CLONE_NEWUSER) })?;
    write_existing(c"/proc/self/setgroups", b"deny")?;
    write_existing(c"/proc/self/uid_map", uid_map.to_bytes())?;
    write_existing(c"/proc/self/gid_map", gid_map.to_bytes())
}

fn write_existing(path: &CStr, contents: &[u8]) -> Result<(), Errno> {
    // SAFETY: the path is a valid C string.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    check(file)?;
    // SAFETY: pointer and length describe the same slice.
    let written = unsafe { libc::write(file, contents.as_ptr().cast::<c_void>(), contents.len()) };
    if written != contents.len() as isize {
        return Err(errno());
    }
    // SAFETY: the descriptor is ours and not used again.
    check(unsafe { libc::close(file) })
}

fn clean_slate(umask: libc::mode_t, directory: &CStr) -> Result<(), Errno> {
    for signal in 1..=64 {
        // SAFETY: the default action has no handler that could run. The two
        // signals that cannot be changed, and glibc's own, fail harmlessly.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: all zeros is the empty set.
    let empty: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: the set lives across the call.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, ptr::null_mut()) })?;
    // Close-on-exec rather than closed: the report pipe is still needed.
    // SAFETY: takes no pointers.
    check_long(unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) })?;
    // SAFETY: takes no pointers.
    unsafe { libc::umask(umask) };
    // SAFETY: the path is a valid C string.
    check(unsafe { libc::chdir(directory.as_ptr()) })
}

fn drop_privileges() -> Result<(), Errno> {
    for capability in 0..64 {
        // SAFETY: takes no pointers.
        match check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }) {
            // Beyond the last one that this kernel knows.
            Err(libc::EINVAL) => break,
            other => other?,
        }
    }
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) })?;
    // capset(2), version 3: all three sets empty. exec would keep none of
    // them for this user anyway, but the filter is installed before it.
    let header: [u32; 2] = [0x2008_0522, 0];
    let sets = [0u32; 6];
    // SAFETY: header and sets have the sizes that version 3 asks for.
    check_long(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()) })?;
    // SAFETY: takes no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

fn check(result: c_int) -> Result<(), Errno> {
    if result < 0 { Err(errno()) } else { Ok(()) }
}

fn check_long(result: libc::c_long) -> Result<(), Errno> {
    if result < 0 { Err(errno()) } else { Ok(()) }
}

fn errno() -> Errno {
    // SAFETY: the location is this thread's own.
    unsafe { *libc::__errno_location() }
}
