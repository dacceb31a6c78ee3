//! What a child does between its birth and the program, as data.
//!
//! Between `clone` and `exec` a child of a program with threads may not
//! allocate: another thread might have held the allocator's lock. So the
//! parent plans every system call with all its strings, and the child only
//! walks the list. A failure is the index of a step and an error number; the
//! parent, which still has the list, says what that means.

use std::ffi::CString;

use libc::{c_int, c_ulong};

/// One system call, or a few that belong together.
pub(crate) enum Step {
    /// Keep what follows from spreading to the host.
    PrivateMounts,
    Mount {
        source: CString,
        target: CString,
        kind: CString,
        flags: c_ulong,
        options: CString,
    },
    Bind {
        source: CString,
        target: CString,
        recursive: bool,
    },
    /// A bind mount over what need not be there.
    Cover {
        source: CString,
        target: CString,
    },
    /// Adds restrictions to a mount, and to those below it.
    Restrict {
        target: CString,
        attributes: u64,
        recursive: bool,
    },
    Detach {
        target: CString,
    },
    MakeDirectory {
        path: CString,
        mode: libc::mode_t,
    },
    WriteFile {
        path: CString,
        contents: Vec<u8>,
        mode: libc::mode_t,
    },
    /// Where to begin with process ids.
    LastProcessId {
        path: CString,
        contents: Vec<u8>,
    },
    Link {
        target: CString,
        path: CString,
    },
    RemoveDirectory {
        path: CString,
    },
    /// Makes a directory the root and forgets the old one.
    PivotRoot {
        root: CString,
    },
    /// Show the present control group as the root of all.
    GroupNamespace,
    LoopbackUp,
    HostName {
        name: CString,
    },
    /// From the uid that sets up to the uid that builds, in a namespace of its
    /// own that knows no other.
    BecomeBuilder {
        uid: libc::uid_t,
        gid: libc::gid_t,
        uid_map: CString,
        gid_map: CString,
    },
    Limit {
        resource: c_int,
        soft: u64,
        hard: u64,
    },
    NewSession,
    /// Standard input, output and error.
    Streams {
        input: c_int,
        output: c_int,
        error: c_int,
    },
    /// Makes standard input the terminal that signals come from.
    TakeTerminal,
    /// Signals as a program expects them, no descriptors beyond the three,
    /// the file mode mask, the working directory.
    CleanSlate {
        umask: libc::mode_t,
        directory: CString,
    },
    /// No address space randomisation.
    FixedAddresses,
    /// Nothing that this process or its children run gains privileges.
    DropPrivileges,
    Filter {
        program: seccompiler::BpfProgram,
    },
    /// Die with the thread that started us.
    DieWithParent,
    Execute {
        program: CString,
        arguments: Vec<CString>,
        environment: Vec<CString>,
    },
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |text: &CString| text.to_string_lossy().into_owned();
        match self {
            Self::PrivateMounts => write!(f, "make mounts private"),
            Self::Mount { target, kind, .. } => write!(f, "mount a {} at {}", text(kind), text(target)),
            Self::Bind { source, target, .. } => write!(f, "mount {} at {}", text(source), text(target)),
            Self::Cover { target, .. } => write!(f, "cover {}", text(target)),
            Self::Restrict { target, .. } => write!(f, "restrict the mount at {}", text(target)),
            Self::Detach { target } => write!(f, "unmount {}", text(target)),
            Self::MakeDirectory { path, .. } => write!(f, "make the directory {}", text(path)),
            Self::WriteFile { path, .. } => write!(f, "write {}", text(path)),
            Self::LastProcessId { .. } => write!(f, "choose where process ids begin"),
            Self::Link { path, .. } => write!(f, "make the link {}", text(path)),
            Self::RemoveDirectory { path } => write!(f, "remove {}", text(path)),
            Self::PivotRoot { root } => write!(f, "make {} the root", text(root)),
            Self::GroupNamespace => write!(f, "hide control groups"),
            Self::LoopbackUp => write!(f, "bring up the loopback interface"),
            Self::HostName { name } => write!(f, "set the host name to {}", text(name)),
            Self::BecomeBuilder { uid, gid, .. } => write!(f, "become user {uid} and group {gid}"),
            Self::Limit { resource, .. } => write!(f, "set resource limit {resource}"),
            Self::NewSession => write!(f, "begin a session"),
            Self::Streams { .. } => write!(f, "redirect the standard streams"),
            Self::TakeTerminal => write!(f, "take the terminal"),
            Self::CleanSlate { directory, .. } => write!(f, "enter {}", text(directory)),
            Self::FixedAddresses => write!(f, "switch off address randomisation"),
            Self::DropPrivileges => write!(f, "drop privileges"),
            Self::Filter { .. } => write!(f, "install the system call filter"),
            Self::DieWithParent => write!(f, "ask to die with the parent"),
            Self::Execute { program, .. } => write!(f, "run {}", text(program)),
        }
    }
}
