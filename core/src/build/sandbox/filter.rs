//! System calls that no build needs, and those whose success would be a lie.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// The two filters, compiled once. A call of another architecture's ABI kills
/// the caller: its numbers would slip through.
pub(super) fn filters() -> &'static [BpfProgram; 2] {
    static FILTERS: OnceLock<[BpfProgram; 2]> = OnceLock::new();
    FILTERS.get_or_init(|| [compile(refused(), libc::EPERM), compile(unsupported(), libc::ENOTSUP)])
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> BpfProgram {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).expect("a supported architecture");
    let action = SeccompAction::Errno(errno.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)
        .and_then(BpfProgram::try_from)
        .expect("the table below compiles")
}

/// Setuid and setgid modes, which a store cannot hold; mounts and everything
/// else that asks more of the kernel than a compiler does.
fn refused() -> BTreeMap<i64, Vec<SeccompRule>> {
    let mut rules = BTreeMap::new();
    let bits = |argument: u8| {
        let bit = |bit: u64| {
            let operator = SeccompCmpOp::MaskedEq(bit);
            SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, bit)
                .and_then(|condition| SeccompRule::new(vec![condition]))
                .expect("arguments are numbered from 0 to 5")
        };
        vec![bit(0o4000), bit(0o2000)]
    };
    const FCHMODAT2: i64 = 452;
    for (call, argument) in
        [(libc::SYS_chmod, 1), (libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (FCHMODAT2, 2)]
    {
        rules.insert(call, bits(argument));
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
