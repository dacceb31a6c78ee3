//! One traced thread: how it stopped, what it called, its memory.

#![allow(unsafe_code, reason = "ptrace and wait4 have no safe form")]

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use libc::{c_int, c_void};

use crate::spawn::{Ended, ProcessUsage};

/// Its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracee(pub(super) i32);

/// A system call as it begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: i64,
    pub(super) arguments: [u64; 6],
}

/// Why a tracee stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// It is no more. The usage is that of a first process.
    Ended(Ended),
    /// A call that the filter stops begins.
    Entered,
    /// The call has its result.
    Left,
    /// A new program is about to run.
    Executed,
    /// A process or thread is new, or made one.
    Started,
    /// It was told to stop, and waits to be told to go on.
    Paused,
    Signal(c_int),
}

const OPTIONS: c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_TRACESECCOMP
    // Nobody would answer its calls any more.
    | libc::PTRACE_O_EXITKILL;

/// The next stop of any tracee of this thread; `None` once there is none left.
pub(super) fn wait() -> io::Result<Option<(Tracee, Stop)>> {
    let mut status = 0;
    // SAFETY: the structure is plain numbers, for which zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // Not what other threads of this program wait for.
        let options = libc::__WALL | libc::__WNOTHREAD;
        // SAFETY: both pointers are to live variables of the right type.
        let pid = unsafe { libc::wait4(-1, &raw mut status, options, &raw mut usage) };
        if pid > 0 {
            return Ok(Some((Tracee(pid), stop(status, &usage))));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EINTR) => {}
            Some(libc::ECHILD) => return Ok(None),
            _ => return Err(error),
        }
    }
}

fn stop(status: c_int, usage: &libc::rusage) -> Stop {
    if !libc::WIFSTOPPED(status) {
        let status = ExitStatus::from_raw(status);
        return Stop::Ended(Ended { status, usage: ProcessUsage::new(usage), refused_processes: 0 });
    }
    let signal = libc::WSTOPSIG(status);
    match status >> 16 {
        libc::PTRACE_EVENT_SECCOMP => Stop::Entered,
        libc::PTRACE_EVENT_EXEC => Stop::Executed,
        libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Stop::Started,
        libc::PTRACE_EVENT_STOP => Stop::Paused,
        0 if signal == libc::SIGTRAP | 0x80 => Stop::Left,
        0 => Stop::Signal(signal),
        _ => Stop::Started,
    }
}

impl Tracee {
    /// Makes this thread its tracer, without stopping it.
    pub(super) fn seize(self) -> io::Result<()> {
        self.request(libc::PTRACE_SEIZE, 0, OPTIONS as u64)
    }

    /// Runs on, with a signal if that is not 0. What cannot be resumed was
    /// killed meanwhile, and its end comes next.
    pub(super) fn resume(self, signal: c_int) {
        let _ = self.request(libc::PTRACE_CONT, 0, signal as u64);
    }

    /// Runs on until the call that it is in has its result.
    pub(super) fn resume_to_exit(self) {
        let _ = self.request(libc::PTRACE_SYSCALL, 0, 0);
    }

    /// Leaves it stopped, as whoever stopped it wants.
    pub(super) fn listen(self) {
        let _ = self.request(libc::PTRACE_LISTEN, 0, 0);
    }

    /// The call that it begins.
    pub(super) fn call(self) -> Option<Call> {
        let info = self.info()?;
        if info.op != libc::PTRACE_SYSCALL_INFO_SECCOMP {
            return None;
        }
        // SAFETY: the kernel says that this is the part it filled.
        let part = unsafe { info.u.seccomp };
        Some(Call { number: part.nr as i64, arguments: part.args })
    }

    /// The result of the call that it leaves; negative for an error.
    pub(super) fn result(self) -> Option<i64> {
        let info = self.info()?;
        if info.op != libc::PTRACE_SYSCALL_INFO_EXIT {
            return None;
        }
        // SAFETY: the kernel says that this is the part it filled.
        Some(unsafe { info.u.exit }.sval)
    }

    fn info(self) -> Option<libc::ptrace_syscall_info> {
        // SAFETY: the structure is plain numbers, for which zeros are valid.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info) as u64;
        self.request(libc::PTRACE_GET_SYSCALL_INFO, size, (&raw mut info) as u64).ok()?;
        Some(info)
    }

    /// Changes the number that a call returns.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn set_result(self, value: i64) {
        let offset = std::mem::offset_of!(libc::user_regs_struct, rax) as u64;
        let _ = self.request(libc::PTRACE_POKEUSER, offset, value as u64);
    }

    /// Takes the vDSO from a program that has not run yet, by the entry of its
    /// auxiliary vector: whoever does not find it makes system calls.
    pub(super) fn hide_vdso(self) {
        let Some(info) = self.info() else { return };
        // The stack: the number of arguments, their addresses, a zero, those
        // of the environment, a zero, then pairs of type and value.
        let word = size_of::<u64>() as u64;
        let Some(count) = self.word(info.stack_pointer) else { return };
        let mut at = info.stack_pointer + (count + 2) * word;
        loop {
            match self.word(at) {
                Some(0) => break,
                Some(_) => at += word,
                None => return,
            }
        }
        at += word;
        loop {
            match self.word(at) {
                Some(libc::AT_SYSINFO_EHDR) => {
                    self.write(at, &libc::AT_IGNORE.to_ne_bytes());
                    return;
                }
                None | Some(libc::AT_NULL) => return,
                Some(_) => at += 2 * word,
            }
        }
    }

    fn word(self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, &mut bytes).then(|| u64::from_ne_bytes(bytes))
    }

    /// Reads its memory; whether all of it could be read.
    pub(super) fn read(self, address: u64, bytes: &mut [u8]) -> bool {
        let here = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        let there = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
        // SAFETY: ours describes a live, exclusive slice; theirs is never
        // followed in this process.
        let got = unsafe { libc::process_vm_readv(self.0, &raw const here, 1, &raw const there, 1, 0) };
        got == bytes.len() as isize
    }

    /// Writes its memory; whether all of it could be written.
    pub(super) fn write(self, address: u64, bytes: &[u8]) -> bool {
        let here = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let there = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
        // SAFETY: ours describes a live slice that is only read; theirs is
        // never followed in this process.
        let done = unsafe { libc::process_vm_writev(self.0, &raw const here, 1, &raw const there, 1, 0) };
        if done == bytes.len() as isize {
            return true;
        }
        // A program's constants: only a tracer may write there, and only so.
        let memory = OpenOptions::new().write(true).open(format!("/proc/{}/mem", self.0));
        memory.is_ok_and(|memory| memory.write_all_at(bytes, address).is_ok())
    }

    fn request(self, request: libc::c_uint, address: u64, data: u64) -> io::Result<()> {
        // SAFETY: the requests made here read nothing of this process and write
        // nothing but the structure of `info`, whose size is given with it.
        let result = unsafe { libc::ptrace(request, self.0, address as *mut c_void, data as *mut c_void) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
