# What the kernel lets anybody do, less than by itself. Compared with the
# Kernel Self Protection Project, the CIS benchmark and the peers; what this
# kernel does anyway (it has no modules, no vsyscall page, no userfaultfd, no
# 32-bit programs, no line discipline that loads by itself) is not said again.
# A setting `kernel.sysctl` goes before everything here.
{ lib, ... }:
let
  inherit (lib.sandbox) because without;
  containers = because "pods and their networks are reached through the node";
  kubelet = because "what kubelet's protectKernelDefaults asks for";
  planted = because "a file or link in a directory that all write to may be planted";
  redirects = because "the network's say is no reason to send packets elsewhere";
in
{
  config = {
    kernel.commandLine = [
      {
        word = "slab_nomerge";
        reason = "a fault in one kind of the kernel's objects does not reach another";
      }
      {
        word = "init_on_alloc=1";
        reason = "memory of the kernel never shows what it held before; zeroing it when it is freed, too, would cost several times as much";
      }
      {
        word = "debugfs=off";
        reason = "nobody here debugs the kernel, and its files are made for no one else";
      }
      {
        word = "proc_mem.force_override=ptrace";
        reason = "only a debugger writes to another program's read-only memory";
      }
    ];

    kernel.sysctls = {
      "fs.inotify.max_user_instances" = containers 8192;
      "fs.inotify.max_user_watches" = containers 524288;
      "fs.protected_fifos" = planted 2;
      "fs.protected_hardlinks" = planted 1;
      "fs.protected_regular" = planted 2;
      "fs.protected_symlinks" = planted 1;
      "kernel.core_pattern" =
        because "a program that crashes leaves nothing behind: neither its secrets on DATA nor a helper run as root"
          "/dev/null";
      "kernel.dmesg_restrict" = because "the kernel's log holds addresses" 1;
      "kernel.io_uring_disabled" =
        because "a large part of the kernel that nothing of the node uses and containerd's own profile denies"
          2;
      "kernel.kexec_load_disabled" = because "another kernel comes by the loader, which knows the slots" 1;
      "kernel.kptr_restrict" = because "the kernel's addresses are told to nobody" 2;
      "kernel.panic" = kubelet 10;
      "kernel.panic_on_oops" = kubelet 1;
      "kernel.sysrq" = because "whoever reaches the console gets no commands" 0;
      "kernel.unprivileged_bpf_disabled" = because "not even root gives it back to others" 1;
      "kernel.yama.ptrace_scope" = because "a program debugs what it started, and no other" 1;
      "net.core.bpf_jit_harden" =
        because "what a program brings as constants is no code, root's programs included"
          2;
      "net.ipv4.conf.*.accept_redirects" = redirects 0;
      "net.ipv4.conf.*.accept_source_route" = redirects 0;
      "net.ipv4.conf.*.log_martians" =
        because "packets with impossible addresses are told of; the kernel limits how often"
          1;
      "net.ipv4.conf.*.rp_filter" =
        because "a packet comes from where its answer could go; 1 would ask for the very interface, and pods' answers take others"
          2;
      "net.ipv4.conf.*.secure_redirects" = redirects 0;
      "net.ipv4.conf.*.send_redirects" = because "a node is no router of its neighbours" 0;
      "net.ipv4.ip_forward" = containers 1;
      "net.ipv6.conf.*.accept_redirects" = redirects 0;
      "net.ipv6.conf.all.forwarding" = containers 1;
      "user.max_user_namespaces" =
        because "most ways to root of late began in one, and kubelet makes none; who builds images without root raises it"
          0;
      "vm.mmap_min_addr" = because "a null pointer of the kernel is nobody's memory" 65536;
      "vm.mmap_rnd_bits" = because "as many as the processor takes: addresses are harder to guess" 32;
      "vm.overcommit_memory" = kubelet 1;
    };

    # What the package's units lack. Those of its daemons are strict already.
    services = {
      "systemd-sysctl.service".sandbox =
        without [
          "PrivateNetwork"
          "ProcSubset"
          "ProtectHostname"
          "ProtectKernelTunables"
        ] "the parameters that it sets are the node's: its name and its networks"
        // without [ "PrivateTmp" ] "it starts before /var is there"
        // without [ "PrivateDevices" ] "it would take CAP_SYS_RAWIO away"
        // {
          DevicePolicy = because "no other device opens" "closed";
          CapabilityBoundingSet =
            because "kernel.*, net.*, kernel.yama.*, vm.mmap_min_addr and user.* each ask for one"
              "CAP_SYS_ADMIN CAP_NET_ADMIN CAP_SYS_PTRACE CAP_SYS_RAWIO CAP_SYS_RESOURCE";
        };
      "systemd-tmpfiles-setup.service".sandbox =
        without [ "PrivateTmp" ] "it makes what stands in /tmp and /var/tmp"
        // {
          CapabilityBoundingSet =
            because "what it makes is of several users"
              "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID";
          ReadWritePaths = because "where tmpfiles.d says what must be" "/etc /run /tmp /var";
          SystemCallFilter = because "it gives files to their users" "@system-service";
          UMask = because "tmpfiles.d says the modes" "0022";
        };
      "systemd-udev-trigger.service".sandbox =
        without [
          "PrivateNetwork"
          "ProtectKernelTunables"
        ] "it writes to every device's file in /sys, network interfaces among them"
        // without [ "PrivateTmp" ] "it starts before /var is there";
    };
  };
}
