//! System calls that no build needs, and those whose success would be a lie.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use crate::trace::{self, Told};

/// The filters, compiled once. A call of another architecture's ABI kills
/// the caller: its numbers would slip through.
pub(crate) fn filters() -> &'static [BpfProgram; 4] {
    static FILTERS: OnceLock<[BpfProgram; 4]> = OnceLock::new();
    FILTERS.get_or_init(|| {
        [
            compile(refused(), libc::EPERM),
            compile(unsupported(), libc::ENOTSUP),
            compile(absent(), libc::ENOSYS),
            compile(foreign_sockets(), libc::EAFNOSUPPORT),
        ]
    })
}

/// The filter that stops the calls which are told otherwise, for a tracer.
pub(crate) fn traced(told: &Told) -> BpfProgram {
    with_action(trace::filter(told), SeccompAction::Trace(0))
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> BpfProgram {
    with_action(rules, SeccompAction::Errno(errno.unsigned_abs()))
}

fn with_action(rules: BTreeMap<i64, Vec<SeccompRule>>, action: SeccompAction) -> BpfProgram {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).expect("a supported architecture");
    SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)
        .and_then(BpfProgram::try_from)
        .expect("the table below compiles")
}

/// Setuid and setgid modes, which a store cannot hold; mounts and everything
/// else that asks more of the kernel than a compiler does.
fn refused() -> BTreeMap<i64, Vec<SeccompRule>> {
    let mut rules = BTreeMap::new();
    let with = |argument: u8, bit: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit)
            .expect("arguments are numbered from 0 to 5")
    };
    let rule = |conditions| SeccompRule::new(conditions).expect("there are conditions");
    const SETUID_SETGID: [u64; 2] = [0o4000, 0o2000];
    const FCHMODAT2: i64 = 452;
    for (call, mode) in [
        (libc::SYS_chmod, 1),
        (libc::SYS_fchmod, 1),
        (libc::SYS_fchmodat, 2),
        (FCHMODAT2, 2),
        (libc::SYS_creat, 1),
        (libc::SYS_mknod, 1),
        (libc::SYS_mknodat, 2),
    ] {
        rules.insert(call, SETUID_SETGID.map(|bit| rule(vec![with(mode, bit)])).to_vec());
    }
    // The mode means something only where a file is made.
    for (call, flags) in [(libc::SYS_open, 1), (libc::SYS_openat, 2)] {
        let made =
            |flag: i32| SETUID_SETGID.map(|bit| rule(vec![with(flags, flag as u64), with(flags + 1, bit)]));
        // O_TMPFILE contains O_DIRECTORY, which is no reason to look at a mode.
        let temporary = libc::O_TMPFILE & !libc::O_DIRECTORY;
        rules.insert(call, [made(libc::O_CREAT), made(temporary)].concat());
    }
    for call in [
        libc::SYS_acct,
        libc::SYS_add_key,
        libc::SYS_bpf,
        libc::SYS_delete_module,
        libc::SYS_finit_module,
        libc::SYS_fsconfig,
        libc::SYS_fsmount,
        libc::SYS_fsopen,
        libc::SYS_fspick,
        libc::SYS_init_module,
        libc::SYS_ioperm,
        libc::SYS_iopl,
        libc::SYS_kexec_file_load,
        libc::SYS_kexec_load,
        libc::SYS_keyctl,
        libc::SYS_mount,
        libc::SYS_mount_setattr,
        libc::SYS_move_mount,
        libc::SYS_name_to_handle_at,
        libc::SYS_open_by_handle_at,
        libc::SYS_open_tree,
        libc::SYS_perf_event_open,
        libc::SYS_pivot_root,
        libc::SYS_quotactl,
        libc::SYS_reboot,
        libc::SYS_request_key,
        libc::SYS_setns,
        libc::SYS_swapoff,
        libc::SYS_swapon,
        libc::SYS_syslog,
        libc::SYS_umount2,
        libc::SYS_userfaultfd,
    ] {
        rules.insert(call, Vec::new());
    }
    rules
}

/// What would get past the other filters: calls whose arguments are in memory,
/// where no filter looks. Programs know kernels that lack them.
fn absent() -> BTreeMap<i64, Vec<SeccompRule>> {
    [libc::SYS_io_uring_enter, libc::SYS_io_uring_register, libc::SYS_io_uring_setup, libc::SYS_openat2]
        .into_iter()
        .map(|call| (call, Vec::new()))
        .collect()
}

/// Sockets of families that the empty network does not shut in (`AF_VSOCK`
/// reaches the machine that this one runs on) or that no build needs.
fn foreign_sockets() -> BTreeMap<i64, Vec<SeccompRule>> {
    let other_than = |family: i32| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family as u64)
            .expect("arguments are numbered from 0 to 5")
    };
    let rule = || {
        let known = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        SeccompRule::new(known.map(other_than).to_vec()).expect("there are conditions")
    };
    BTreeMap::from([(libc::SYS_socket, vec![rule()]), (libc::SYS_socketpair, vec![rule()])])
}

/// Extended attributes: an archive keeps none, and programs cope without.
fn unsupported() -> BTreeMap<i64, Vec<SeccompRule>> {
    const SETXATTRAT: i64 = 463;
    const GETXATTRAT: i64 = 464;
    [
        libc::SYS_setxattr,
        libc::SYS_lsetxattr,
        libc::SYS_fsetxattr,
        libc::SYS_getxattr,
        libc::SYS_lgetxattr,
        libc::SYS_fgetxattr,
        SETXATTRAT,
        GETXATTRAT,
    ]
    .into_iter()
    .map(|call| (call, Vec::new()))
    .collect()
}
