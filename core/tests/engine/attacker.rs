//! The attacker's side: this test program itself, run as a builder.
//!
//! What it attempts is named by the variable `ATTACK`; what came of it goes to
//! the file that `out` names, a line each: `<what>: <outcome>`.

#![expect(unsafe_code, reason = "attacks use system calls that no library offers")]

use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

/// The name under which the builder starts.
pub(crate) const ENTRY: &str = "attacker::attack";

/// Does nothing unless it is told to: as a test it is none.
#[test]
fn attack() {
    let (Ok(attack), Ok(out)) = (std::env::var("ATTACK"), std::env::var("out")) else { return };
    let input = std::env::var("input0").unwrap_or_default();
    let lines = match attack.as_str() {
        "setuid" => setuid(&out),
        "devices" => devices(),
        "links" => links(&input),
        "sockets" => sockets(),
        "kernel" => kernel(),
        "proc" => proc(),
        "forks" => forks(),
        "forks-in-namespaces" => forks_in_namespaces(),
        "namespaces" => namespaces(),
        "terminal" => terminal(),
        "look" => crate::seen::look(),
        "nothing" => Vec::new(),
        other => panic!("no attack is called {other}"),
    };
    let report = lines.into_iter().map(|(what, outcome)| format!("{what}: {outcome}\n")).collect::<String>();
    if Path::new(&out).is_dir() {
        fs::write(Path::new(&out).join("report"), report).unwrap();
    } else {
        fs::write(out, report).unwrap();
    }
}

type Lines = Vec<(String, String)>;

/// `done`, or the name of the error.
fn outcome(result: i64) -> String {
    if result >= 0 {
        return "done".to_owned();
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().unwrap_or(0) {
        libc::EPERM => "EPERM".to_owned(),
        libc::EACCES => "EACCES".to_owned(),
        libc::EXDEV => "EXDEV".to_owned(),
        libc::EROFS => "EROFS".to_owned(),
        libc::ENOSYS => "ENOSYS".to_owned(),
        libc::ENOTSUP => "ENOTSUP".to_owned(),
        libc::EAFNOSUPPORT => "EAFNOSUPPORT".to_owned(),
        libc::ENXIO => "ENXIO".to_owned(),
        libc::ENOENT => "ENOENT".to_owned(),
        libc::ENETUNREACH => "ENETUNREACH".to_owned(),
        libc::EAGAIN => "EAGAIN".to_owned(),
        other => format!("errno {other}"),
    }
}

fn read(result: io::Result<impl Sized>) -> String {
    match result {
        Ok(_) => "done".to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(errno) => {
                // SAFETY: the location is this thread's own.
                unsafe { *libc::__errno_location() = errno };
                outcome(-1)
            }
            None => error.to_string(),
        },
    }
}

/// `done` or `refused`: which error it is depends on who builds.
fn allowed(result: io::Result<impl Sized>) -> String {
    if result.is_ok() { "done" } else { "refused" }.to_owned()
}

fn c(path: &str) -> CString {
    CString::new(path).unwrap()
}

fn call(number: i64, arguments: [i64; 5]) -> i64 {
    let [a, b, c, d, e] = arguments;
    // SAFETY: pointers among the arguments come from strings and structures
    // that their callers keep.
    unsafe { libc::syscall(number, a, b, c, d, e) }
}

fn pointer<T>(value: *const T) -> i64 {
    value as i64
}

/// Every way to a file with a setuid bit; those that were made are part of
/// the output.
fn setuid(out: &str) -> Lines {
    fs::create_dir(out).unwrap();
    let at = |name: &str| c(&format!("{out}/{name}"));
    let make = |name: &str| fs::write(format!("{out}/{name}"), "#!").unwrap();
    let mut lines = Lines::new();
    let mut note = |what: &str, result: i64| lines.push((what.to_owned(), outcome(result)));
    for name in ["chmod", "fchmodat", "fchmodat2"] {
        make(name);
    }
    let cwd = i64::from(libc::AT_FDCWD);
    let create = i64::from(libc::O_CREAT | libc::O_WRONLY);
    note("chmod", call(libc::SYS_chmod, [pointer(at("chmod").as_ptr()), 0o4755, 0, 0, 0]));
    note("fchmodat", call(libc::SYS_fchmodat, [cwd, pointer(at("fchmodat").as_ptr()), 0o2755, 0, 0]));
    note("fchmodat2", call(452, [cwd, pointer(at("fchmodat2").as_ptr()), 0o6755, 0, 0]));
    note("open", call(libc::SYS_open, [pointer(at("open").as_ptr()), create, 0o4755, 0, 0]));
    note("openat", call(libc::SYS_openat, [cwd, pointer(at("openat").as_ptr()), create, 0o4755, 0]));
    note("creat", call(libc::SYS_creat, [pointer(at("creat").as_ptr()), 0o4755, 0, 0, 0]));
    let temporary = i64::from(libc::O_TMPFILE | libc::O_RDWR);
    note("tmpfile", call(libc::SYS_openat, [cwd, pointer(c(out).as_ptr()), temporary, 0o4755, 0]));
    let regular = i64::from(libc::S_IFREG | 0o4755);
    note("mknod", call(libc::SYS_mknod, [pointer(at("mknod").as_ptr()), regular, 0, 0, 0]));
    note("mknodat", call(libc::SYS_mknodat, [cwd, pointer(at("mknodat").as_ptr()), regular, 0, 0]));
    let how = [create as u64, 0o4755, 0];
    note(
        "openat2",
        call(libc::SYS_openat2, [cwd, pointer(at("openat2").as_ptr()), pointer(how.as_ptr()), 24, 0]),
    );
    note("io_uring", call(libc::SYS_io_uring_setup, [1, pointer([0u8; 120].as_ptr()), 0, 0, 0]));
    // A mode that is not used must not matter.
    note("plain open", call(libc::SYS_open, [pointer(at("chmod").as_ptr()), 0, 0o4755, 0, 0]));
    lines
}

fn devices() -> Lines {
    let make = |name: &str, mode: u32, device: i64| {
        let path = c(&format!("/build/{name}"));
        (
            name.to_owned(),
            outcome(call(libc::SYS_mknod, [pointer(path.as_ptr()), i64::from(mode), device, 0, 0])),
        )
    };
    let mut lines =
        vec![make("disk", libc::S_IFBLK | 0o666, 0x800), make("memory", libc::S_IFCHR | 0o666, 0x101)];
    for path in ["/dev/kmsg", "/dev/mem", "/dev/fuse", "/dev/kvm", "/sys", "/dev/tty"] {
        lines.push((path.to_owned(), read(fs::metadata(path))));
    }
    lines
}

/// Links from what is outside to what is kept.
fn links(input: &str) -> Lines {
    let mut lines = Lines::new();
    for (what, from) in
        [("input", input), ("shell", "/usr/bin/sh"), ("passwd", "/etc/passwd"), ("null", "/dev/null")]
    {
        let into = format!("/build/{what}");
        lines.push((what.to_owned(), read(fs::hard_link(from, into))));
    }
    fs::write("/build/mine", "x").unwrap();
    lines.push(("build to store".to_owned(), read(fs::hard_link("/build/mine", "/nix/store/mine"))));
    lines.push(("write to input".to_owned(), allowed(fs::File::options().append(true).open(input))));
    lines
}

/// Everything that could speak to somebody outside.
fn sockets() -> Lines {
    let mut lines = Lines::new();
    for (name, family, kind) in [
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW),
        ("alg", libc::AF_ALG, libc::SOCK_SEQPACKET),
        ("bluetooth", libc::AF_BLUETOOTH, libc::SOCK_RAW),
        ("raw", libc::AF_INET, libc::SOCK_RAW),
        ("unix", libc::AF_UNIX, libc::SOCK_STREAM),
        ("inet", libc::AF_INET, libc::SOCK_STREAM),
        ("netlink", libc::AF_NETLINK, libc::SOCK_RAW),
    ] {
        let protocol = if name == "raw" { libc::IPPROTO_ICMP } else { 0 };
        let arguments = [i64::from(family), i64::from(kind), i64::from(protocol), 0, 0];
        let result = call(libc::SYS_socket, arguments);
        lines.push((name.to_owned(), outcome(result)));
    }
    lines.push(("connect".to_owned(), read(std::net::TcpStream::connect("192.0.2.1:80"))));
    lines.push(("loopback".to_owned(), read(std::net::TcpListener::bind("127.0.0.1:0"))));
    // An abstract name that the test listens on outside.
    use std::os::linux::net::SocketAddrExt;
    let name = std::env::var("ABSTRACT").unwrap_or_default();
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    let connected = std::os::unix::net::UnixStream::connect_addr(&address);
    lines.push(("abstract".to_owned(), allowed(connected)));
    lines
}

/// System calls that ask more of the kernel than a compiler does.
fn kernel() -> Lines {
    let path = c("/build");
    let here = pointer(path.as_ptr());
    [
        ("mount", libc::SYS_mount, [here, here, 0, libc::MS_BIND as i64, 0]),
        ("umount2", libc::SYS_umount2, [here, 0, 0, 0, 0]),
        ("pivot_root", libc::SYS_pivot_root, [here, here, 0, 0, 0]),
        ("fsopen", libc::SYS_fsopen, [here, 0, 0, 0, 0]),
        ("open_tree", libc::SYS_open_tree, [-100, here, 1, 0, 0]),
        ("bpf", libc::SYS_bpf, [0, 0, 0, 0, 0]),
        ("perf_event_open", libc::SYS_perf_event_open, [here, 0, -1, -1, 0]),
        ("userfaultfd", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
        ("keyctl", libc::SYS_keyctl, [0, -3, 1, 0, 0]),
        ("add_key", libc::SYS_add_key, [here, here, 0, 0, -3]),
        ("name_to_handle_at", libc::SYS_name_to_handle_at, [-100, here, 0, 0, 0]),
        ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
        ("reboot", libc::SYS_reboot, [0, 0, 0, 0, 0]),
        ("setns", libc::SYS_setns, [0, 0, 0, 0, 0]),
        ("chroot", libc::SYS_chroot, [here, 0, 0, 0, 0]),
        ("sethostname", libc::SYS_sethostname, [here, 6, 0, 0, 0]),
        ("clock_settime", libc::SYS_clock_settime, [0, pointer([0i64; 2].as_ptr()), 0, 0, 0]),
        ("setpriority", libc::SYS_setpriority, [0, 0, -20, 0, 0]),
        ("setxattr", libc::SYS_setxattr, [here, pointer(c"user.x".as_ptr()), here, 1, 0]),
    ]
    .into_iter()
    .map(|(name, number, arguments)| (name.to_owned(), outcome(call(number, arguments))))
    .collect()
}

fn proc() -> Lines {
    let mut lines = Lines::new();
    for path in ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches", "/proc/cmdline", "/proc/uptime"]
    {
        lines.push((format!("write {path}"), allowed(fs::File::options().write(true).open(path))));
    }
    for path in ["/proc/sysrq-trigger", "/proc/version"] {
        let written = fs::File::options().write(true).open(path).and_then(|mut file| file.write_all(b"x"));
        lines.push((format!("write {path}"), allowed(written)));
    }
    for path in ["/proc/config.gz", "/proc/kcore", "/proc/kallsyms", "/proc/keys", "/proc/timer_list"] {
        // Not every kernel has each of them.
        let bytes = fs::read(path).map_or(0, |bytes| bytes.len());
        lines.push((format!("bytes of {path}"), bytes.to_string()));
    }
    // The way out of a root that somebody forgot to close.
    lines.push(("other processes".to_owned(), processes().to_string()));
    let root = fs::read_dir("/proc/1/root").map(|members| members.count());
    let own = fs::read_dir("/").map(|members| members.count());
    lines.push(("the first one's root".to_owned(), (root.ok() == own.ok()).to_string()));
    lines.push(("oom_score_adj".to_owned(), allowed(fs::write("/proc/self/oom_score_adj", "-1000"))));
    lines
}

/// Processes beside this one.
fn processes() -> usize {
    let numbers = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok());
    numbers.count() - 1
}

/// How many the sandbox may have, as the test knows it.
fn most_processes() -> u32 {
    std::env::var("MOST").unwrap().parse().unwrap()
}

/// Forks until it cannot; what it started is still there then.
fn forks() -> Lines {
    let mut started = 0u32;
    let error = loop {
        // SAFETY: the child does nothing but wait.
        match unsafe { libc::fork() } {
            0 => loop {
                // SAFETY: takes no pointers.
                unsafe { libc::pause() };
            },
            -1 => break outcome(-1),
            _ => started += 1,
        }
        if started > 100_000 {
            break "done".to_owned();
        }
    };
    vec![("forks".to_owned(), error), ("bounded".to_owned(), (started <= most_processes()).to_string())]
}

/// Four bombs, each in a user namespace of its own: together more than one
/// sandbox may have, if each had a count of its own.
fn forks_in_namespaces() -> Lines {
    const EACH: u32 = 6_000;
    let (mut counts, ours) = io::pipe().unwrap();
    let mut unshared = String::new();
    for bomb in 0..4 {
        // SAFETY: the child runs this branch alone and then waits to be killed.
        if unsafe { libc::fork() } != 0 {
            continue;
        }
        // SAFETY: takes no pointers.
        let outcome = outcome(i64::from(unsafe { libc::unshare(libc::CLONE_NEWUSER) }));
        let mut started = 0u32;
        while started < EACH {
            // SAFETY: the child does nothing but wait.
            match unsafe { libc::fork() } {
                0 => loop {
                    // SAFETY: takes no pointers.
                    unsafe { libc::pause() };
                },
                -1 => break,
                _ => started += 1,
            }
        }
        // Few enough bytes to arrive in one piece.
        (&ours).write_all(format!("{bomb} {started} {outcome}\n").as_bytes()).unwrap();
        loop {
            // SAFETY: takes no pointers.
            unsafe { libc::pause() };
        }
    }
    let (mut all, mut text, mut buffer) = (0, String::new(), [0; 64]);
    while text.lines().count() < 4 || !text.ends_with('\n') {
        let got = counts.read(&mut buffer).unwrap();
        text.push_str(std::str::from_utf8(&buffer[..got]).unwrap());
    }
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        all += words[1].parse::<u32>().unwrap();
        unshared = words[2].to_owned();
    }
    vec![("unshare".to_owned(), unshared), ("bounded".to_owned(), (all <= most_processes()).to_string())]
}

/// New namespaces give rights, but not over anything that was there before.
fn namespaces() -> Lines {
    let mut lines = Lines::new();
    let all = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;
    // Threads share what cannot be unshared: a child has only one.
    // SAFETY: the child runs this function's remainder and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: takes no pointers.
        let unshared = unsafe { libc::unshare(all) };
        let path = c("/nix/store");
        let mounted = call(libc::SYS_mount, [pointer(path.as_ptr()), pointer(path.as_ptr()), 0, 4096, 0]);
        fs::write("/build/unshared", outcome(i64::from(unshared))).unwrap();
        // SAFETY: the location is this thread's own.
        unsafe { *libc::__errno_location() = if mounted < 0 { libc::EPERM } else { 0 } };
        fs::write("/build/mounted", if mounted < 0 { "refused" } else { "done" }).unwrap();
        // SAFETY: ends the child.
        unsafe { libc::_exit(0) };
    }
    // SAFETY: the status lives across the call.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    lines.push(("mount in new namespaces".to_owned(), fs::read_to_string("/build/mounted").unwrap()));
    lines
}

/// Types into the terminal of whoever started the build.
fn terminal() -> Lines {
    // SAFETY: the byte lives across the call.
    let typed = unsafe { libc::ioctl(1, libc::TIOCSTI, c"x".as_ptr()) };
    let typed = if typed == 0 { "done" } else { "refused" };
    vec![("TIOCSTI".to_owned(), typed.to_owned()), ("/dev/tty".to_owned(), read(fs::File::open("/dev/tty")))]
}
