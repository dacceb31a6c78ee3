//! Says what a builder would find in its sandbox: one line each, a name, a
//! space, the value.
//!
//! It stands alone, without any library, so that it runs in a sandbox that
//! holds nothing else. `build.rs` compiles it and the crate carries it along.
//! What it says means nothing alone: two sandboxes are compared by it.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

// --- where it starts ----------------------------------------------------------

#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "mov rdi, rsp", "and rsp, -16", "call {main}", "ud2", main = sym main);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x0, sp", "bl {main}", "brk #1", main = sym main);

/// `stack` is as the kernel leaves it: the number of arguments, their
/// addresses, a zero, those of the environment, a zero, the auxiliary vector.
unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: the kernel's layout of a new program's stack.
    let environment = unsafe { stack.add(*stack + 2).cast::<*const u8>() };
    let mut said = Said { bytes: [0; 32768], length: 0 };
    said.variable("time-zone", environment, b"TZ=");
    said.variable("locale", environment, b"LC_ALL=");
    said.variable("cores", environment, b"NIX_BUILD_CORES=");
    said.clock(environment);
    said.system();
    said.user();
    said.place();
    said.mask();
    said.directory();
    said.process_ids();
    said.memory();
    // Where the kernel puts what has no place of its own. Not the stack: that
    // begins below names whose length differs.
    said.number("addresses", call(MMAP, [0, 4096, 1, 0x22, -1i64 as u64, 0]) as u64);
    said.write_out();
    call(EXIT_GROUP, [0; 6]);
    loop {}
}

// --- what is said -------------------------------------------------------------

struct Said {
    bytes: [u8; 32768],
    length: usize,
}

impl Said {
    /// The value of an environment variable.
    fn variable(&mut self, name: &str, environment: *const *const u8, prefix: &[u8]) {
        self.text(name.as_bytes());
        self.text(b" ");
        let mut at = environment;
        // SAFETY: addresses up to a null, each of a text that ends in a zero.
        unsafe {
            while !(*at).is_null() {
                let text = text_at(*at);
                if text.len() >= prefix.len() && same(&text[..prefix.len()], prefix) {
                    self.text(&text[prefix.len()..]);
                }
                at = at.add(1);
            }
        }
        self.text(b"\n");
    }

    /// The wall clock in days, so that two probes a moment apart agree; and
    /// whether there is a clock that is read without a system call.
    fn clock(&mut self, environment: *const *const u8) {
        let mut now = [0i64; 2];
        call(CLOCK_GETTIME, [0, now.as_mut_ptr() as u64, 0, 0, 0, 0]);
        self.number("clock-days", (now[0] / 86_400) as u64);
        const AT_SYSINFO_EHDR: usize = 33;
        let mut at = environment;
        // SAFETY: behind the null are pairs of numbers up to a pair of zeros.
        unsafe {
            while !(*at).is_null() {
                at = at.add(1);
            }
            let mut pair = at.add(1).cast::<usize>();
            let mut has_vdso = 0;
            while *pair != 0 {
                if *pair == AT_SYSINFO_EHDR {
                    has_vdso = 1;
                }
                pair = pair.add(2);
            }
            self.number("clock-without-calls", has_vdso);
        }
        // The times of a file that was made now.
        let file = call(OPENAT, [AT_FDCWD, c".probe-file".as_ptr() as u64, 0o101, 0o600, 0, 0]);
        let mut stat = [0u64; 18];
        call(FSTAT, [file as u64, stat.as_mut_ptr() as u64, 0, 0, 0, 0]);
        // st_mtime: at byte 88 on every machine of 64 bits.
        self.number("file-days", stat[11] / 86_400);
        call(CLOSE, [file as u64, 0, 0, 0, 0, 0]);
        call(UNLINKAT, [AT_FDCWD, c".probe-file".as_ptr() as u64, 0, 0, 0, 0]);
    }

    fn system(&mut self) {
        let mut fields = [0u8; 6 * 65];
        call(UNAME, [fields.as_mut_ptr() as u64, 0, 0, 0, 0, 0]);
        self.line("host-name", until_zero(&fields[65..130]));
        self.line("kernel-release", until_zero(&fields[130..195]));
        self.file("kernel-release-file", c"/proc/sys/kernel/osrelease".as_ptr() as u64);
    }

    fn user(&mut self) {
        self.number("user-id", call(GETUID, [0; 6]) as u64);
        self.number("group-id", call(GETGID, [0; 6]) as u64);
        self.file("user-names", c"/etc/passwd".as_ptr() as u64);
        self.file("group-names", c"/etc/group".as_ptr() as u64);
    }

    fn place(&mut self) {
        let mut path = [0u8; 4096];
        call(GETCWD, [path.as_mut_ptr() as u64, path.len() as u64, 0, 0, 0, 0]);
        self.line("build-directory", until_zero(&path));
        let mut statfs = [0u64; 32];
        call(STATFS, [c".".as_ptr() as u64, statfs.as_mut_ptr() as u64, 0, 0, 0, 0]);
        self.number("file-system", statfs[0]);
    }

    fn mask(&mut self) {
        let mask = call(UMASK, [0, 0, 0, 0, 0, 0]);
        call(UMASK, [mask as u64, 0, 0, 0, 0, 0]);
        self.number("umask", mask as u64);
    }

    /// Sixteen files in the order in which the directory is read.
    fn directory(&mut self) {
        let name = c".probe".as_ptr() as u64;
        call(MKDIRAT, [AT_FDCWD, name, 0o700, 0, 0, 0]);
        let directory = call(OPENAT, [AT_FDCWD, name, 0o200000, 0, 0, 0]) as u64;
        for letter in b'a'..=b'p' {
            let file = [letter, 0];
            let file = call(OPENAT, [directory, file.as_ptr() as u64, 0o101, 0o600, 0, 0]);
            call(CLOSE, [file as u64, 0, 0, 0, 0, 0]);
        }
        let mut entries = [0u64; 512];
        let length = call(GETDENTS64, [directory, entries.as_mut_ptr() as u64, 4096, 0, 0, 0]);
        self.text(b"directory-order ");
        let base = entries.as_ptr().cast::<u8>();
        let mut at = 0;
        while at < length {
            // SAFETY: the kernel filled `length` bytes with entries: their
            // length at byte 16, their name, which ends in a zero, at byte 19.
            unsafe {
                let entry = base.add(at as usize);
                let name = text_at(entry.add(19));
                if name[0] != b'.' {
                    self.text(name);
                }
                at += i64::from(*entry.add(16)) | i64::from(*entry.add(17)) << 8;
            }
        }
        self.text(b"\n");
        for letter in b'a'..=b'p' {
            let file = [letter, 0];
            call(UNLINKAT, [directory, file.as_ptr() as u64, 0, 0, 0, 0]);
        }
        call(CLOSE, [directory, 0, 0, 0, 0, 0]);
        call(UNLINKAT, [AT_FDCWD, name, 0x200, 0, 0, 0]);
    }

    /// That of a child.
    fn process_ids(&mut self) {
        const SIGCHLD: u64 = 17;
        let child = call(CLONE, [SIGCHLD, 0, 0, 0, 0, 0]);
        if child == 0 {
            call(EXIT_GROUP, [0; 6]);
        }
        call(WAIT4, [child as u64, 0, 0, 0, 0, 0]);
        self.number("process-id", child as u64);
    }

    fn memory(&mut self) {
        let mut information = [0u64; 14];
        call(SYSINFO, [information.as_mut_ptr() as u64, 0, 0, 0, 0, 0]);
        // The field after the time since the start and the three loads.
        self.number("memory", information[4]);
        self.file("memory-file", c"/proc/meminfo".as_ptr() as u64);
        // A bit for each processor that it may run on.
        let mut processors = [0u64; 128];
        call(SCHED_GETAFFINITY, [0, 1024, processors.as_mut_ptr() as u64, 0, 0, 0]);
        let mut count = 0;
        for word in processors {
            count += u64::from(word.count_ones());
        }
        self.number("processors", count);
    }

    /// A file's first line or lines, on one.
    fn file(&mut self, name: &str, path: u64) {
        let mut bytes = [0u8; 512];
        let file = call(OPENAT, [AT_FDCWD, path, 0, 0, 0, 0]);
        let length = call(READ, [file as u64, bytes.as_mut_ptr() as u64, 512, 0, 0, 0]);
        call(CLOSE, [file as u64, 0, 0, 0, 0, 0]);
        let length = if length > 0 { length as usize } else { 0 };
        for byte in &mut bytes[..length] {
            if *byte == b'\n' {
                *byte = b'|';
            }
        }
        self.line(name, &bytes[..length]);
    }

    fn line(&mut self, name: &str, value: &[u8]) {
        self.text(name.as_bytes());
        self.text(b" ");
        self.text(value);
        self.text(b"\n");
    }

    fn number(&mut self, name: &str, mut value: u64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.line(name, &digits[at..]);
    }

    fn text(&mut self, text: &[u8]) {
        for byte in text {
            if self.length < self.bytes.len() {
                self.bytes[self.length] = *byte;
                self.length += 1;
            }
        }
    }

    fn write_out(&self) {
        let mut done = 0;
        while done < self.length {
            let at = self.bytes.as_ptr() as u64 + done as u64;
            let written = call(WRITE, [1, at, (self.length - done) as u64, 0, 0, 0]);
            if written <= 0 {
                break;
            }
            done += written as usize;
        }
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    let mut length = 0;
    while length < bytes.len() && bytes[length] != 0 {
        length += 1;
    }
    &bytes[..length]
}

fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    a.len() == b.len()
}

/// # Safety
/// A text that ends in a zero is there, as long as the program runs.
unsafe fn text_at<'a>(address: *const u8) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: the caller's promise.
    unsafe {
        while *address.add(length) != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(address, length)
    }
}

// --- what libraries would bring -------------------------------------------------

/// -100, as the kernel takes it.
const AT_FDCWD: u64 = -100i64 as u64;

#[cfg(target_arch = "x86_64")]
mod numbers {
    pub const READ: u64 = 0;
    pub const WRITE: u64 = 1;
    pub const CLOSE: u64 = 3;
    pub const FSTAT: u64 = 5;
    pub const MMAP: u64 = 9;
    pub const CLONE: u64 = 56;
    pub const WAIT4: u64 = 61;
    pub const UNAME: u64 = 63;
    pub const GETCWD: u64 = 79;
    pub const UMASK: u64 = 95;
    pub const SYSINFO: u64 = 99;
    pub const GETUID: u64 = 102;
    pub const GETGID: u64 = 104;
    pub const STATFS: u64 = 137;
    pub const SCHED_GETAFFINITY: u64 = 204;
    pub const GETDENTS64: u64 = 217;
    pub const CLOCK_GETTIME: u64 = 228;
    pub const EXIT_GROUP: u64 = 231;
    pub const OPENAT: u64 = 257;
    pub const MKDIRAT: u64 = 258;
    pub const UNLINKAT: u64 = 263;
}
#[cfg(target_arch = "aarch64")]
mod numbers {
    pub const GETCWD: u64 = 17;
    pub const MKDIRAT: u64 = 34;
    pub const UNLINKAT: u64 = 35;
    pub const STATFS: u64 = 43;
    pub const OPENAT: u64 = 56;
    pub const CLOSE: u64 = 57;
    pub const GETDENTS64: u64 = 61;
    pub const READ: u64 = 63;
    pub const WRITE: u64 = 64;
    pub const FSTAT: u64 = 80;
    pub const EXIT_GROUP: u64 = 94;
    pub const CLOCK_GETTIME: u64 = 113;
    pub const SCHED_GETAFFINITY: u64 = 123;
    pub const UNAME: u64 = 160;
    pub const UMASK: u64 = 166;
    pub const GETUID: u64 = 174;
    pub const GETGID: u64 = 176;
    pub const SYSINFO: u64 = 179;
    pub const CLONE: u64 = 220;
    pub const MMAP: u64 = 222;
    pub const WAIT4: u64 = 260;
}
use numbers::*;

fn call(number: u64, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    let result: i64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel's convention; each caller hands in live buffers with
    // their sizes.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c,
             in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d,
             in("x4") e, in("x5") f, options(nostack));
    }
    result
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    call(EXIT_GROUP, [101, 0, 0, 0, 0, 0]);
    loop {}
}

/// The core library's unwinding tables name it; nothing is unwound here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

// The compiler calls these for what it copies, clears and measures.

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: the caller's promise. Volatile, or this would call itself.
    while unsafe { text.add(length).read_volatile() } != 0 {
        length += 1;
    }
    length
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    let mut at = 0;
    while at < length {
        // SAFETY: as above.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
        at += 1;
    }
    to
}

/// # Safety
/// As in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    let mut at = 0;
    while at < length {
        // SAFETY: as above.
        unsafe { to.add(at).write_volatile(value as u8) };
        at += 1;
    }
    to
}
