# What every variant is made of: kernel, service manager, the agents that make
# a start count, containers. Families and variants say only how they differ.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  # A oneshot that must have happened before anything writes to /var.
  storageUnit = ''
    [Unit]
    Description=Prepare and mount DATA on /var
    DefaultDependencies=no
    Conflicts=shutdown.target
    After=systemd-udevd.service
    Before=local-fs.target systemd-tmpfiles-setup.service shutdown.target

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/lib/osbuild/storage
    TimeoutStartSec=infinity
  '';

  # Started late, ended early: what it judges is the rest of the system. A
  # `health` that hangs is killed by its watchdog, which reboots the node.
  healthUnit = ''
    [Unit]
    Description=Judge this start by the health contract
    After=basic.target
    FailureAction=reboot

    [Service]
    Type=notify
    ExecStart=/usr/lib/osbuild/health
    WatchdogSec=60
    WatchdogSignal=SIGKILL
    Restart=no
    TimeoutStopSec=15
    OOMScoreAdjust=-900
  '';

  # After a power cut it may have much to read on a slow disk: whether it took
  # too long is for the health contract to say.
  containerdUnit = ''
    [Unit]
    Description=Container runtime
    After=local-fs.target network.target
    RequiresMountsFor=/var/lib/containerd

    [Service]
    Type=notify
    EnvironmentFile=-/etc/osbuild/proxy.env
    ExecStart=/usr/bin/containerd --config /etc/containerd/config.toml
    Delegate=yes
    KillMode=process
    TimeoutStartSec=infinity
    Restart=always
    RestartSec=5
    LimitNPROC=infinity
    LimitCORE=infinity
    LimitNOFILE=1048576
    TasksMax=infinity
    OOMScoreAdjust=-999
  '';

  inherit (lib.sandbox) because onConsole onHostMounts unconfined without;

  storageSandbox =
    onHostMounts "what it mounts is everybody's /var"
    // onConsole [ "block-* rw" ]
    // {
      CapabilityBoundingSet =
        because "mounts DATA, tells the kernel the partition's new size; grows a mounted file system"
          "CAP_SYS_ADMIN CAP_SYS_RESOURCE";
      RestrictAddressFamilies = because "it speaks to nobody" "none";
      SystemCallFilter = because "mounts DATA" "@system-service @mount";
    };

  healthSandbox =
    onHostMounts "that the root takes no write, and what is mounted where, is what it judges"
    // onConsole [
      "/dev/mapper/control rw"
      "block-* rw"
      "char-virtio-portsdev w"
    ]
    // without [ "PrivateNetwork" ] "kubelet answers on the node's loopback"
    // without [ "ProtectHostname" ] "it tells the node's name, which changes"
    // {
      CapabilityBoundingSet =
        because "asks the device mapper for the root's hash; `ctr` mounts a container's root to look up its groups; a node that cannot reboot in order is rebooted"
          "CAP_SYS_ADMIN CAP_SYS_BOOT";
      IPAddressAllow = because "it judges by nothing outside the node" "localhost";
      RestrictAddressFamilies = because "kubelet's and containerd's" "AF_UNIX AF_INET AF_INET6";
      SystemCallFilter = because "mounts, as said; reboots" "@system-service @mount reboot";
    };

  runtimeSandbox = unconfined "containers inherit what is taken from their runtime: filters of system calls, capabilities, devices; and its mounts must be the node's, or volumes would not come through";

  id = uid: description: {
    inherit uid description;
    gid = uid;
  };
in
{
  config = {
    packages = [
      config.containerd.package
      # What registries and the cloud's services prove themselves by.
      pkgs.ca-certificates
      pkgs.e2fsprogs
      pkgs.early
      pkgs.health
      pkgs.pause-image
      pkgs.probe-image
      pkgs.runc
      pkgs.storage
      pkgs.systemd
    ];

    kernel.package = pkgs.linux;
    kernel.commandLine = [
      {
        word = "console=ttyS0,115200n8";
        reason = "the serial console is the only one there is";
      }
      {
        word = "loglevel=4";
        reason = "errors and worse; the rest is in the journal";
      }
      {
        word = "gpt";
        reason = "with a torn primary table the kernel must take the backup";
      }
      {
        word = "panic=10";
        reason = "a panic reboots, so that the loader can fall back";
      }
      {
        word = "oops=panic";
        reason = "a kernel that went wrong once is not to be trusted";
      }
      {
        word = "softlockup_panic=1";
        reason = "a stuck processor counts as a panic";
      }
      {
        word = "watchdog_thresh=30";
        reason = "seconds; emulated and overcommitted machines stall for ten";
      }
      {
        word = "i6300esb.heartbeat=120";
        reason = "seconds for `early` to open the watchdog that the loader armed; the driver would say 30, which is short where machines are emulated";
      }
      {
        word = "systemd.gpt_auto=0";
        reason = "partitions are mounted by their disk, never found by type";
      }
      {
        word = "lockdown=integrity";
        reason = "root cannot change the running kernel";
      }
      {
        word = "init=/usr/lib/osbuild/early";
        reason = "the first program";
      }
      {
        word = "root=/dev/dm-0";
        reason = "the verified device";
      }
      {
        word = "rootfstype=squashfs";
        reason = "nothing else is tried";
      }
      {
        word = "ro";
        reason = "there is nothing to write";
      }
      {
        word = "@verity@";
        reason = "waits for the slot's partitions and maps them under the root hash";
      }
    ];

    # Mount points, and the merged /usr of every current system.
    directories =
      map (path: { inherit path; }) [
        "dev"
        "etc"
        "proc"
        "run"
        "sys"
        "var"
      ]
      ++ [
        {
          path = "tmp";
          mode = "1777";
        }
        {
          path = "root";
          mode = "0700";
        }
      ];
    rootLinks = {
      bin = "usr/bin";
      lib = "usr/lib";
      lib64 = "usr/lib64";
      sbin = "usr/sbin";
    };

    services = {
      "osbuild-storage.service" = {
        text = storageUnit;
        wantedBy = [ "local-fs.target" ];
        sandbox = storageSandbox;
      };
      "osbuild-health.service" = {
        text = healthUnit;
        wantedBy = [ "multi-user.target" ];
        sandbox = healthSandbox;
      };
      "containerd.service" = {
        text = containerdUnit;
        wantedBy = [ "multi-user.target" ];
        sandbox = runtimeSandbox;
      };
    };

    files = {
      # Kept by systemd after the loader and `early` armed it.
      "usr/lib/systemd/system.conf.d/10-osbuild.conf" = ''
        [Manager]
        RuntimeWatchdogSec=60
        RebootWatchdogSec=120
        DefaultTimeoutStartSec=90
        DefaultTimeoutStopSec=30
      '';
      # The journal is for now, not for ever: /run, bounded.
      "usr/lib/systemd/journald.conf.d/10-osbuild.conf" = ''
        [Journal]
        Storage=volatile
        RuntimeMaxUse=64M
        ForwardToConsole=no
      '';
      "usr/lib/systemd/network/80-osbuild.network" = ''
        [Match]
        Type=ether
        Kind=!*

        [Network]
        DHCP=yes
        LinkLocalAddressing=ipv6

        [DHCPv4]
        UseHostname=no
        UseMTU=yes
      '';
      # Names are asked for at 127.0.0.53, whose answer changes with the network
      # while the file that names it stays; nobody is asked whom no one named.
      "usr/lib/systemd/resolved.conf.d/10-osbuild.conf" = ''
        [Resolve]
        FallbackDNS=
        LLMNR=no
        MulticastDNS=no
      '';
      # It keeps the clock's last value on DATA.
      "usr/lib/systemd/system/systemd-timesyncd.service.d/10-osbuild.conf" = ''
        [Unit]
        After=osbuild-storage.service
      '';
      "usr/lib/tmpfiles.d/osbuild.conf" = ''
        d /run/containerd 0711 root root -
        d /run/lock 0755 root root -
        d /run/systemd/netif 0755 systemd-network systemd-network -
        d /run/systemd/netif/leases 0755 systemd-network systemd-network -
        d /run/systemd/netif/links 0755 systemd-network systemd-network -
        d /run/systemd/netif/lldp 0755 systemd-network systemd-network -
        d /var/lib 0755 root root -
        d /var/lib/containerd 0710 root root -
        d /var/lib/systemd 0755 root root -
        d /var/lib/systemd/network 0755 systemd-network systemd-network -
        d /var/log 0755 root root -
        d /var/tmp 1777 root root 30d
        L /var/run - - - - ../run
      '';
    };

    etc = {
      "hostname" = "localhost\n";
      "hosts" = "127.0.0.1 localhost\n::1 localhost\n";
      "nsswitch.conf" = "passwd: files\ngroup: files\nhosts: files dns\n";
      "shells" = "";
      "containerd/config.toml" = import ./containerd.nix {
        package = config.containerd.package;
        sandboxImage = pkgs.pause-image.reference;
      };
    };
    links."usr/share/factory/etc/resolv.conf" = "../run/systemd/resolve/stub-resolv.conf";

    users = {
      root = id 0 "root";
      systemd-network = id 192 "network management";
      systemd-resolve = id 193 "name resolution";
      systemd-timesync = id 194 "time synchronization";
      nobody = id 65534 "nobody";
    };
    # Those that udev's rules and tmpfiles name.
    groups = {
      root = 0;
      tty = 5;
      disk = 6;
      lp = 7;
      kmem = 15;
      dialout = 20;
      cdrom = 24;
      tape = 26;
      audio = 29;
      video = 44;
      render = 105;
      sgx = 106;
      input = 107;
      kvm = 108;
      clock = 109;
      systemd-journal = 190;
      systemd-network = 192;
      systemd-resolve = 193;
      systemd-timesync = 194;
      nogroup = 65534;
    };

    health.checks = [
      {
        name = "var is on DATA";
        kind = "mount";
        path = "/var";
        type = "ext4";
      }
      {
        name = "containerd is up";
        kind = "unit";
        unit = "containerd.service";
      }
      {
        name = "containerd answers";
        kind = "socket";
        path = "/run/containerd/containerd.sock";
      }
      {
        name = "a container runs";
        kind = "container";
        image = "/usr/share/osbuild/images/probe-image.tar";
        inherit (pkgs.probe-image) reference;
        arguments = [
          "/probe"
          "container"
        ];
      }
      {
        name = "the whole root reads well";
        kind = "scrub";
        when = "trial";
      }
      {
        name = "no unit has failed";
        kind = "unit";
      }
    ];

    # The bytes of shells and interpreters from the same suite: a rename does
    # not help them.
    interpreterBinaries =
      let
        from =
          package: file:
          "${
            lib.unpackDebs {
              name = "denied-${package}";
              debs = [
                (lib.lockedSource {
                  lock = "node";
                  inherit package;
                }).src
              ];
              include = [ file ];
            }
          }/${file}";
      in
      [
        (from "bash" "usr/bin/bash")
        (from "busybox" "usr/bin/busybox")
        (from "dash" "usr/bin/dash")
        (from "gawk" "usr/bin/gawk")
        (from "mawk" "usr/bin/mawk")
        (from "perl-base" "usr/bin/perl")
        (from "python3.13-minimal" "usr/bin/python3.13")
      ];

    allow = [
      {
        glob = "usr/lib/x86_64-linux-gnu/systemd/libsystemd-core-*.so";
        rule = "needed";
        reason = "its programs have loaded libsystemd-shared by their own RUNPATH before";
      }
    ];

    assertions = [
      {
        holds = config.release.floor <= config.release.rollbackIndex;
        message = "release.floor (${toString config.release.floor}) is above release.rollbackIndex (${toString config.release.rollbackIndex}): the release would refuse itself";
      }
    ];
  };
}
