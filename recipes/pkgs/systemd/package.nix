# The service manager, as PID 1 of the node: the programs and units that a
# container host runs, and none of those for people who log in.
{
  lib,
  acl,
  apparmor,
  audit,
  glibc,
  libcap,
  libgcc,
  libseccomp,
  libselinux,
  libxcrypt,
  mount,
  openssl,
  pam,
  util-linux-libs,
}:
let
  programs = [
    "usr/bin/journalctl"
    "usr/bin/networkctl"
    "usr/bin/systemctl"
    "usr/bin/systemd-tmpfiles"
    "usr/bin/udevadm"
    "usr/lib/systemd/systemd"
    "usr/lib/systemd/systemd-executor"
    "usr/lib/systemd/systemd-journald"
    "usr/lib/systemd/systemd-networkd"
    "usr/lib/systemd/systemd-networkd-wait-online"
    "usr/lib/systemd/systemd-resolved"
    "usr/lib/systemd/systemd-shutdown"
    "usr/lib/systemd/systemd-sysctl"
    "usr/lib/systemd/systemd-timesyncd"
    "usr/lib/systemd/systemd-udevd"
    "usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-*.so"
    "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-*.so"
  ];

  units = [
    "basic.target"
    "dev-hugepages.mount"
    "dev-mqueue.mount"
    "final.target"
    "local-fs-pre.target"
    "local-fs.target"
    "multi-user.target"
    "network-online.target"
    "network-pre.target"
    "network.target"
    "nss-lookup.target"
    "paths.target"
    "poweroff.target"
    "reboot.target"
    "shutdown.target"
    "slices.target"
    "sockets.target"
    "swap.target"
    "sysinit.target"
    "systemd-journald-dev-log.socket"
    "systemd-journald.service"
    "systemd-journald.socket"
    "systemd-networkd-wait-online.service"
    "systemd-networkd.service"
    "systemd-networkd.socket"
    "systemd-poweroff.service"
    "systemd-reboot.service"
    "systemd-resolved.service"
    "systemd-sysctl.service"
    "systemd-timesyncd.service"
    "systemd-tmpfiles-setup-dev.service"
    "systemd-tmpfiles-setup.service"
    "systemd-udev-trigger.service"
    "systemd-udevd-control.socket"
    "systemd-udevd-kernel.socket"
    "systemd-udevd.service"
    "time-set.target"
    "time-sync.target"
    "timers.target"
    "tmp.mount"
    "umount.target"
  ];

  rules = [
    "50-udev-default.rules"
    "60-block.rules"
    "75-net-description.rules"
    "80-net-setup-link.rules"
    "99-systemd.rules"
  ];

  # What the archive's postinst would enable, and what this tree wants beside.
  wants = {
    "local-fs.target" = [ "tmp.mount" ];
    "multi-user.target" = [ "systemd-networkd.service" ];
    "sockets.target" = [
      "systemd-journald-dev-log.socket"
      "systemd-journald.socket"
      "systemd-networkd.socket"
      "systemd-udevd-control.socket"
      "systemd-udevd-kernel.socket"
    ];
    "sysinit.target" = [
      "dev-hugepages.mount"
      "dev-mqueue.mount"
      "systemd-journald.service"
      "systemd-resolved.service"
      "systemd-sysctl.service"
      "systemd-timesyncd.service"
      "systemd-tmpfiles-setup-dev.service"
      "systemd-tmpfiles-setup.service"
      "systemd-udev-trigger.service"
      "systemd-udevd.service"
    ];
  };

  unitLinks = builtins.listToAttrs (
    builtins.concatMap (
      target:
      map (unit: {
        name = "usr/lib/systemd/system/${target}.wants/${unit}";
        value = "../${unit}";
      }) wants.${target}
    ) (builtins.attrNames wants)
  );
in
lib.debPackage {
  pname = "systemd";
  debs = [
    "systemd"
    "systemd-resolved"
    "systemd-timesyncd"
    "udev"
    "libsystemd-shared"
    "libudev1"
  ];
  include =
    programs
    ++ map (unit: "usr/lib/systemd/system/${unit}") units
    ++ map (rule: "usr/lib/udev/rules.d/${rule}") rules
    ++ [
      "usr/lib/systemd/network/99-default.link"
      "usr/lib/x86_64-linux-gnu/libudev.so.1*"
    ];
  links = unitLinks // {
    "usr/lib/systemd/system/default.target" = "multi-user.target";
  };
  runtimeInputs = [
    acl
    apparmor
    audit
    glibc
    libcap
    libgcc
    libseccomp
    libselinux
    libxcrypt
    mount
    openssl
    pam
    util-linux-libs
  ];
  meta = {
    description = "Service manager";
    license = "LGPL-2.1-or-later";
    homepage = "https://systemd.io";
    cpe = "a:systemd_project:systemd";
  };
}
