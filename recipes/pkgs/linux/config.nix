# The kernel's options, in groups with a reason each. Everything starts from
# `allnoconfig`, so what is not named here is off; with EXPERT on, that holds
# for options that are usually on by default too, which is why some basic ones
# stand here. Options of 6.12.
{
  cpu = {
    reason = "The processor: 64-bit, many cores, timers that stop when idle.";
    options = {
      "64BIT" = true;
      CPU_IDLE = true;
      CPU_ISOLATION = true;
      HIGH_RES_TIMERS = true;
      JUMP_LABEL = true;
      MEMBARRIER = true;
      MICROCODE = true;
      MTRR = true;
      NO_HZ_IDLE = true;
      NR_CPUS = 256;
      PM = true;
      PREEMPT_VOLUNTARY = true;
      RSEQ = true;
      SCHED_MC = true;
      SMP = true;
      X86_MCE = true;
      X86_PAT = true;
      X86_X2APIC = true;
      ZONE_DMA = true;
    };
  };
  image = {
    reason = "What the kernel file is: zstd-compressed, relocatable, started by firmware directly, everything built in. No modules, so nothing can be loaded later; no initramfs, since verity is set up from the command line.";
    options = {
      BLK_DEV_INITRD = false;
      CMDLINE_BOOL = false;
      DEBUG_INFO_NONE = true;
      DEFAULT_HOSTNAME = "localhost";
      EFI = true;
      EFI_STUB = true;
      EXPERT = true;
      FW_LOADER = true;
      IKCONFIG = true;
      IKCONFIG_PROC = true;
      KERNEL_ZSTD = true;
      LOCALVERSION = "-osbuild";
      LOCALVERSION_AUTO = false;
      MODULES = false;
      RELOCATABLE = true;
    };
  };
  recovery = {
    reason = "A node that cannot go on must reboot, so that the loader can fall back: every oops is a panic, every panic reboots, lockups are found, watchdogs are there.";
    options = {
      BUG = true;
      I6300ESB_WDT = true;
      LOCKUP_DETECTOR = true;
      MAGIC_SYSRQ = true;
      PANIC_ON_OOPS = true;
      PANIC_TIMEOUT = 10;
      SOFTLOCKUP_DETECTOR = true;
      SOFT_WATCHDOG = true;
      WATCHDOG = true;
    };
  };
  processes = {
    reason = "What programs of a container host call: System V and POSIX IPC, futexes, event descriptors, asynchronous I/O, file handles.";
    options = {
      ADVISE_SYSCALLS = true;
      AIO = true;
      BINFMT_ELF = true;
      CHECKPOINT_RESTORE = true;
      COREDUMP = true;
      CROSS_MEMORY_ATTACH = true;
      ELF_CORE = true;
      EPOLL = true;
      EVENTFD = true;
      FHANDLE = true;
      FUTEX = true;
      IA32_EMULATION = false;
      IO_URING = true;
      KCMP = true;
      MULTIUSER = true;
      POSIX_MQUEUE = true;
      POSIX_TIMERS = true;
      SHMEM = true;
      SIGNALFD = true;
      SYSVIPC = true;
      TIMERFD = true;
      UID16 = false;
    };
  };
  no-interpreter = {
    reason = "The kernel starts ELF programs only: a `#!` line means nothing here.";
    options = {
      BINFMT_SCRIPT = false;
    };
  };
  memory = {
    reason = "Swap for kubelet, huge pages on request, compaction.";
    options = {
      COMPACTION = true;
      HUGETLBFS = true;
      MIGRATION = true;
      SLAB_MERGE_DEFAULT = true;
      SLUB = true;
      SWAP = true;
      TRANSPARENT_HUGEPAGE = true;
      TRANSPARENT_HUGEPAGE_MADVISE = true;
    };
  };
  observation = {
    reason = "Logs, audit, pressure and accounting, which kubelet and operators read.";
    options = {
      AUDIT = true;
      DEBUG_FS = true;
      KALLSYMS = true;
      PRINTK = true;
      PRINTK_TIME = true;
      PROC_KCORE = false;
      PSI = true;
      TASKSTATS = true;
      TASK_DELAY_ACCT = true;
      VM_EVENT_COUNTERS = true;
      X86_CPUID = false;
    };
  };
  hardening = {
    reason = "Randomised addresses, stack and slab protection, zeroed stacks, CPU mitigations.";
    options = {
      CPU_MITIGATIONS = true;
      HARDENED_USERCOPY = true;
      INIT_STACK_ALL_ZERO = true;
      MITIGATION_PAGE_TABLE_ISOLATION = true;
      MITIGATION_RETPOLINE = true;
      RANDOMIZE_BASE = true;
      RESET_ATTACK_MITIGATION = false;
      SLAB_FREELIST_HARDENED = true;
      SLAB_FREELIST_RANDOM = true;
      STACKPROTECTOR = true;
      STACKPROTECTOR_STRONG = true;
      STRICT_KERNEL_RWX = true;
      VMAP_STACK = true;
      X86_UMIP = true;
    };
  };
  guest = {
    reason = "Running under a hypervisor, which is where most nodes are.";
    options = {
      HYPERVISOR_GUEST = true;
      KVM_GUEST = true;
      PARAVIRT = true;
      PTP_1588_CLOCK = true;
      PTP_1588_CLOCK_KVM = true;
      PVH = true;
    };
  };
  firmware = {
    reason = "ACPI, SMBIOS, firmware configuration (user data under QEMU), clock, random numbers, TPM.";
    options = {
      ACPI = true;
      ACPI_BUTTON = true;
      ACPI_PROCESSOR = true;
      DMI = true;
      DMIID = true;
      DMI_SYSFS = true;
      EFIVAR_FS = true;
      FW_CFG_SYSFS = true;
      HW_RANDOM = true;
      HW_RANDOM_VIRTIO = true;
      KEXEC_FILE = true;
      RTC_CLASS = true;
      RTC_DRV_CMOS = true;
      TCG_CRB = true;
      TCG_TIS = true;
      TCG_TPM = true;
      X86_INTEL_LPSS = false;
    };
  };
  buses = {
    reason = "PCI with hot-plug, virtio, plug and play.";
    options = {
      HOTPLUG_PCI = true;
      HOTPLUG_PCI_ACPI = true;
      HOTPLUG_PCI_PCIE = true;
      PCI = true;
      PCIEPORTBUS = true;
      PCI_MMCONFIG = true;
      PCI_MSI = true;
      PCI_QUIRKS = true;
      PNP = true;
      VIRTIO = true;
      VIRTIO_BALLOON = true;
      VIRTIO_MENU = true;
      VIRTIO_MMIO = true;
      VIRTIO_MMIO_CMDLINE_DEVICES = true;
      VIRTIO_PCI = true;
    };
  };
  console = {
    reason = "A serial console and nothing else: no virtual terminals, no graphics, no USB.";
    options = {
      DEVTMPFS = true;
      DEVTMPFS_MOUNT = true;
      DRM = false;
      INPUT = true;
      INPUT_EVDEV = true;
      SERIAL_8250 = true;
      SERIAL_8250_CONSOLE = true;
      SERIAL_8250_PCI = true;
      SERIAL_8250_PNP = true;
      TTY = true;
      UNIX98_PTYS = true;
      USB_SUPPORT = false;
      VIRTIO_CONSOLE = true;
      VT = false;
    };
  };
  disks = {
    reason = "virtio, NVMe (which is what EBS shows) and SCSI disks; GPT.";
    options = {
      BLK_DEV = true;
      BLK_DEV_LOOP = true;
      BLK_DEV_NVME = true;
      BLK_DEV_RAM = false;
      BLK_DEV_SD = true;
      BLOCK = true;
      EFI_PARTITION = true;
      PARTITION_ADVANCED = true;
      SCSI = true;
      SCSI_LOWLEVEL = true;
      SCSI_VIRTIO = true;
      VIRTIO_BLK = true;
    };
  };
  nics = {
    reason = "virtio, Amazon ENA and Intel virtual functions; sockets to the hypervisor.";
    options = {
      E1000 = false;
      ENA_ETHERNET = true;
      ETHERNET = true;
      IXGBEVF = true;
      NETDEVICES = true;
      NET_CORE = true;
      NET_VENDOR_AMAZON = true;
      NET_VENDOR_INTEL = true;
      VHOST_MENU = false;
      VIRTIO_NET = true;
      VIRTIO_VSOCKETS = true;
      VSOCKETS = true;
    };
  };
  verity = {
    reason = "The verified root: device mapper set up from the command line, dm-verity, squashfs with zstd.";
    options = {
      BLK_DEV_DM = true;
      DM_CRYPT = true;
      DM_INIT = true;
      DM_SNAPSHOT = false;
      DM_UEVENT = true;
      DM_VERITY = true;
      EROFS_FS = false;
      MD = true;
      MISC_FILESYSTEMS = true;
      SQUASHFS = true;
      SQUASHFS_FILE_DIRECT = true;
      SQUASHFS_XATTR = true;
      SQUASHFS_XZ = true;
      SQUASHFS_ZSTD = true;
    };
  };
  filesystems = {
    reason = "ext4 and XFS for data, FAT for the ESP, overlay for containers, FUSE for their users.";
    options = {
      AUTOFS_FS = true;
      CONFIGFS_FS = true;
      DNOTIFY = true;
      EXT4_FS = true;
      EXT4_FS_POSIX_ACL = true;
      EXT4_FS_SECURITY = true;
      EXT4_USE_FOR_EXT2 = true;
      FANOTIFY = true;
      FAT_DEFAULT_UTF8 = true;
      FILE_LOCKING = true;
      FS_VERITY = true;
      FUSE_FS = true;
      INOTIFY_USER = true;
      NLS = true;
      NLS_ASCII = true;
      NLS_CODEPAGE_437 = true;
      NLS_ISO8859_1 = true;
      NLS_UTF8 = true;
      OVERLAY_FS = true;
      PROC_FS = true;
      PROC_SYSCTL = true;
      QUOTA = true;
      QUOTACTL = true;
      SYSFS = true;
      TMPFS = true;
      TMPFS_POSIX_ACL = true;
      TMPFS_XATTR = true;
      VFAT_FS = true;
      XFS_FS = true;
      XFS_POSIX_ACL = true;
      XFS_QUOTA = true;
    };
  };
  cgroups = {
    reason = "Every controller that kubelet and systemd use.";
    options = {
      BLK_CGROUP = true;
      BLK_CGROUP_IOCOST = true;
      CFS_BANDWIDTH = true;
      CGROUPS = true;
      CGROUP_BPF = true;
      CGROUP_CPUACCT = true;
      CGROUP_DEVICE = true;
      CGROUP_FREEZER = true;
      CGROUP_HUGETLB = true;
      CGROUP_MISC = true;
      CGROUP_NET_CLASSID = true;
      CGROUP_NET_PRIO = true;
      CGROUP_PERF = true;
      CGROUP_PIDS = true;
      CGROUP_RDMA = false;
      CGROUP_SCHED = true;
      CGROUP_WRITEBACK = true;
      CPUSETS = true;
      FAIR_GROUP_SCHED = true;
      MEMCG = true;
      NETFILTER_XT_MATCH_CGROUP = true;
      NET_CLS_CGROUP = true;
    };
  };
  namespaces = {
    reason = "What containers are made of.";
    options = {
      IPC_NS = true;
      NAMESPACES = true;
      NET_NS = true;
      PID_NS = true;
      SECCOMP = true;
      SECCOMP_CACHE_DEBUG = false;
      SECCOMP_FILTER = true;
      TIME_NS = true;
      USER_NS = true;
      UTS_NS = true;
    };
  };
  bpf = {
    reason = "BPF for cgroup devices, networking and tracing; never for unprivileged users.";
    options = {
      BPF = true;
      BPF_JIT = true;
      BPF_JIT_ALWAYS_ON = true;
      BPF_LSM = false;
      BPF_SYSCALL = true;
      BPF_UNPRIV_DEFAULT_OFF = true;
      PERF_EVENTS = true;
    };
  };
  security-modules = {
    reason = "Lockdown, Yama, Landlock and SELinux; the order is the kernel's usual one.";
    options = {
      KEYS = true;
      LSM = "lockdown,yama,landlock,selinux,bpf";
      SECURITY = true;
      SECURITYFS = true;
      SECURITY_LANDLOCK = true;
      SECURITY_LOCKDOWN_LSM = true;
      SECURITY_LOCKDOWN_LSM_EARLY = true;
      SECURITY_NETWORK = true;
      SECURITY_PATH = true;
      SECURITY_SELINUX = true;
      SECURITY_SELINUX_BOOTPARAM = true;
      SECURITY_SELINUX_DEVELOP = true;
      SECURITY_YAMA = true;
    };
  };
  crypto = {
    reason = "What dm-verity, dm-crypt and programs ask the kernel for, with the processor's instructions.";
    options = {
      CRYPTO = true;
      CRYPTO_AES = true;
      CRYPTO_AES_NI_INTEL = true;
      CRYPTO_CRC32C_INTEL = true;
      CRYPTO_SHA256 = true;
      CRYPTO_SHA256_SSSE3 = true;
      CRYPTO_SHA512 = true;
      CRYPTO_USER_API_HASH = true;
      CRYPTO_USER_API_SKCIPHER = true;
      CRYPTO_XTS = true;
    };
  };
  netfilter = {
    reason = "Connection tracking, nftables and iptables with every match that kube-proxy and CNI plugins use; IPVS; sets.";
    options = {
      BRIDGE_NETFILTER = true;
      IP6_NF_FILTER = true;
      IP6_NF_IPTABLES = true;
      IP6_NF_IPTABLES_LEGACY = true;
      IP6_NF_MANGLE = true;
      IP6_NF_NAT = true;
      IP6_NF_RAW = true;
      IP6_NF_TARGET_MASQUERADE = true;
      IP6_NF_TARGET_REJECT = true;
      IP_NF_FILTER = true;
      IP_NF_IPTABLES = true;
      IP_NF_IPTABLES_LEGACY = true;
      IP_NF_MANGLE = true;
      IP_NF_NAT = true;
      IP_NF_RAW = true;
      IP_NF_TARGET_MASQUERADE = true;
      IP_NF_TARGET_REDIRECT = true;
      IP_NF_TARGET_REJECT = true;
      IP_SET = true;
      IP_SET_BITMAP_PORT = true;
      IP_SET_HASH_IP = true;
      IP_SET_HASH_IPPORT = true;
      IP_SET_HASH_IPPORTIP = true;
      IP_SET_HASH_IPPORTNET = true;
      IP_SET_HASH_NET = true;
      IP_SET_LIST_SET = true;
      IP_VS = true;
      IP_VS_IPV6 = true;
      IP_VS_LC = true;
      IP_VS_NFCT = true;
      IP_VS_PROTO_TCP = true;
      IP_VS_PROTO_UDP = true;
      IP_VS_RR = true;
      IP_VS_SH = true;
      IP_VS_WRR = true;
      NETFILTER = true;
      NETFILTER_ADVANCED = true;
      NETFILTER_NETLINK_ACCT = true;
      NETFILTER_NETLINK_LOG = true;
      NETFILTER_NETLINK_QUEUE = true;
      NETFILTER_XTABLES = true;
      NETFILTER_XT_CONNMARK = true;
      NETFILTER_XT_MARK = true;
      NETFILTER_XT_MATCH_ADDRTYPE = true;
      NETFILTER_XT_MATCH_BPF = true;
      NETFILTER_XT_MATCH_COMMENT = true;
      NETFILTER_XT_MATCH_CONNLIMIT = true;
      NETFILTER_XT_MATCH_CONNTRACK = true;
      NETFILTER_XT_MATCH_LIMIT = true;
      NETFILTER_XT_MATCH_MULTIPORT = true;
      NETFILTER_XT_MATCH_NFACCT = true;
      NETFILTER_XT_MATCH_OWNER = true;
      NETFILTER_XT_MATCH_PHYSDEV = true;
      NETFILTER_XT_MATCH_RECENT = true;
      NETFILTER_XT_MATCH_SOCKET = true;
      NETFILTER_XT_MATCH_STATE = true;
      NETFILTER_XT_MATCH_STATISTIC = true;
      NETFILTER_XT_NAT = true;
      NETFILTER_XT_SET = true;
      NETFILTER_XT_TARGET_CT = true;
      NETFILTER_XT_TARGET_LOG = true;
      NETFILTER_XT_TARGET_MASQUERADE = true;
      NETFILTER_XT_TARGET_NFLOG = true;
      NETFILTER_XT_TARGET_REDIRECT = true;
      NETFILTER_XT_TARGET_TCPMSS = true;
      NETFILTER_XT_TARGET_TPROXY = true;
      NFT_COMPAT = true;
      NFT_CT = true;
      NFT_FIB_INET = true;
      NFT_FIB_IPV4 = true;
      NFT_FIB_IPV6 = true;
      NFT_HASH = true;
      NFT_LIMIT = true;
      NFT_LOG = true;
      NFT_MASQ = true;
      NFT_NAT = true;
      NFT_NUMGEN = true;
      NFT_QUOTA = true;
      NFT_REDIR = true;
      NFT_REJECT = true;
      NFT_SOCKET = true;
      NFT_TPROXY = true;
      NF_CONNTRACK = true;
      NF_CONNTRACK_EVENTS = true;
      NF_CONNTRACK_MARK = true;
      NF_CONNTRACK_ZONES = true;
      NF_CT_NETLINK = true;
      NF_NAT = true;
      NF_TABLES = true;
      NF_TABLES_INET = true;
      NF_TABLES_IPV4 = true;
      NF_TABLES_IPV6 = true;
      NF_TABLES_NETDEV = true;
    };
  };
  traffic-control = {
    reason = "Queueing and classification, fair queueing for BBR.";
    options = {
      NET_ACT_BPF = true;
      NET_ACT_MIRRED = true;
      NET_CLS_ACT = true;
      NET_CLS_BPF = true;
      NET_CLS_U32 = true;
      NET_SCHED = true;
      NET_SCH_FQ = true;
      NET_SCH_FQ_CODEL = true;
      NET_SCH_HTB = true;
      NET_SCH_INGRESS = true;
      NET_SCH_TBF = true;
    };
  };
  network = {
    reason = "Protocols, and the devices that pod networks are built from. `dummy` and `tunl0` are left out: built in, they would show up in every pod.";
    options = {
      BLK_DEV_THROTTLING = true;
      BRIDGE = true;
      BRIDGE_VLAN_FILTERING = true;
      DUMMY = false;
      EXT4_DEBUG = false;
      GENEVE = true;
      INET = true;
      INET_DIAG = true;
      INET_UDP_DIAG = true;
      IPV6 = true;
      IPV6_MULTIPLE_TABLES = true;
      IPVLAN = true;
      IP_ADVANCED_ROUTER = true;
      IP_MULTICAST = true;
      IP_MULTIPLE_TABLES = true;
      IP_PNP = false;
      MACVLAN = true;
      NET = true;
      NETLINK_DIAG = true;
      NET_IPIP = false;
      NET_UDP_TUNNEL = true;
      PACKET = true;
      PACKET_DIAG = true;
      SYN_COOKIES = true;
      TCP_CONG_ADVANCED = true;
      TCP_CONG_BBR = true;
      TUN = true;
      UNIX = true;
      UNIX_DIAG = true;
      VETH = true;
      VLAN_8021Q = true;
      VXLAN = true;
    };
  };
}
