# What may be set on every node, and the files that follow from it.
{ lib, pkgs, ... }:
let
  inherit (lib.settingTypes)
    bool
    choice
    integer
    list
    longText
    map
    record
    table
    text
    ;
  field = type: description: { inherit type description; };

  settingsUnit = ''
    [Unit]
    Description=Keep the settings, and write the files that follow from them
    DefaultDependencies=no
    Conflicts=shutdown.target
    Before=shutdown.target sysinit.target systemd-networkd.service systemd-sysctl.service

    [Service]
    Type=notify
    # Its socket's: who is in it may ask.
    SupplementaryGroups=osbuild-api
    ExecStart=/usr/lib/osbuild/settings
    Restart=always
    RestartSec=1
    OOMScoreAdjust=-900
  '';

  firstbootUnit = ''
    [Unit]
    Description=Hand the user data to the settings
    Requires=osbuild-settings.service
    After=osbuild-settings.service systemd-udev-trigger.service

    [Service]
    Type=notify
    NotifyAccess=main
    RemainAfterExit=yes
    ExecStart=/usr/lib/osbuild/firstboot
    TimeoutStartSec=infinity
  '';

  # Started again by the settings when the files of interfaces change.
  linksUnit = ''
    [Unit]
    Description=Look after the MTU of network interfaces
    DefaultDependencies=no
    Conflicts=shutdown.target
    After=osbuild-settings.service systemd-tmpfiles-setup.service
    Before=shutdown.target systemd-networkd.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/lib/osbuild/links
  '';

  # It never fails: without the disk, DATA is used.
  ephemeralUnit = ''
    [Unit]
    Description=Put what containers write on a disk of its own
    After=local-fs.target systemd-tmpfiles-setup.service
    Before=containerd.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/lib/osbuild/storage ephemeral
    TimeoutStartSec=infinity
  '';

  inherit (lib.sandbox)
    because
    onConsole
    onHostMounts
    without
    ;

  settingsSandbox =
    onConsole [ ]
    // without [
      "ProcSubset"
      "ProtectProc"
    ] "who asks is known by the control group of its process, and a generation by the start of the node that made it"
    // without [ "PrivateTmp" ] "it starts before /var is there"
    // {
      ReadWritePaths = because "the files that follow from the settings; its socket, and PRIVATE" "/etc /run/osbuild";
      SystemCallFilter = because "gives its socket to a group that it is in" [
        "@system-service"
        "~@privileged @resources"
        "@chown"
      ];
    };

  firstbootSandbox =
    onConsole [ "block-* r" ]
    // without [ "PrivateNetwork" ] "user data may come from EC2's metadata service"
    // {
      CapabilityBoundingSet = because "mounts the config disk, where nobody else sees it" "CAP_SYS_ADMIN";
      IPAddressAllow = because "EC2's metadata service" "169.254.169.254";
      ReadWritePaths = because "where the config disk is mounted, and what it says of itself" "/run/osbuild";
      RestrictAddressFamilies = because "the settings' and the metadata service's" "AF_UNIX AF_INET";
      SystemCallFilter = because "mounts the config disk" "@system-service @mount";
    };

  linksSandbox =
    onConsole [ ]
    // without [
      "PrivateNetwork"
      "ProtectKernelTunables"
    ] "the node's interfaces, and their files in /sys"
    // {
      CapabilityBoundingSet = because "sets an interface's MTU" "CAP_NET_ADMIN";
      ReadWritePaths = because "what the interfaces had" "/run/osbuild";
      RestrictAddressFamilies = because "it speaks to nobody" "none";
    };

  # As for DATA's own: variants/lib/base.nix.
  ephemeralSandbox =
    onHostMounts "what it mounts is everybody's /var"
    // onConsole [ "block-* rw" ]
    // {
      CapabilityBoundingSet = because "mounts the disk and directories of it" "CAP_SYS_ADMIN";
      RestrictAddressFamilies = because "it speaks to nobody" "none";
      SystemCallFilter = because "mounts" "@system-service @mount";
    };
in
{
  config = {
    packages = [
      pkgs.firstboot
      pkgs.links
      pkgs.settings
    ];

    services = {
      # Started by the settings, if they name a disk.
      "osbuild-ephemeral.service" = {
        text = ephemeralUnit;
        sandbox = ephemeralSandbox;
      };
      "osbuild-links.service" = {
        text = linksUnit;
        wantedBy = [ "multi-user.target" ];
        sandbox = linksSandbox;
      };
      "osbuild-settings.service" = {
        text = settingsUnit;
        wantedBy = [ "sysinit.target" ];
        sandbox = settingsSandbox;
      };
      "osbuild-firstboot.service" = {
        text = firstbootUnit;
        wantedBy = [ "multi-user.target" ];
        sandbox = firstbootSandbox;
      };
    };

    groups.osbuild-api = 195;

    settings.declare = {
      "network.hostname" = {
        type = text "hostname";
        default = "localhost";
        description = "The node's name.";
      };
      "network.interfaces" = {
        type = map "interface" (record {
          dhcp =
            field (choice [
              "yes"
              "ipv4"
              "ipv6"
              "no"
            ]) "Which addresses are asked for."
            // {
              default = "yes";
            };
          addresses = field (list (text "cidr")) "Addresses that it has besides." // {
            default = [ ];
          };
          gateway = field (text "ip") "Where everything else goes.";
          mtu = field (integer 576 9216) "Bytes of a packet; else what DHCP or the interface says.";
          dns = field (list (text "ip")) "Servers that are asked for names." // {
            default = [ ];
          };
          required = field bool "Whether the node counts as connected only with it." // {
            default = true;
          };
        });
        default = { };
        description = "Network interfaces by name. One that is not here asks by DHCP.";
      };
      "network.dns.servers" = {
        type = list (text "ip");
        default = [ ];
        description = "Servers that are asked for names, instead of those that DHCP names.";
      };
      "network.dns.search" = {
        type = list (text "hostname");
        default = [ ];
        description = "Domains that a name without a dot is looked for in.";
      };
      "network.https-proxy" = {
        type = text "url";
        # A proxy's password stands in its address.
        secret = true;
        description = "Through whom images are pulled and the API server is reached.";
      };
      "network.no-proxy" = {
        type = list (text "no-proxy");
        default = [ ];
        description = "Hosts, domains and networks that are reached without the proxy.";
      };
      "network.certificate-authorities" = {
        type = map "name" (longText "pem" 65536);
        default = { };
        description = "Certificates, by names of your own, that registries and proxies may be signed by, beside those that the image trusts.";
      };
      "ntp.servers" = {
        type = list (text "host");
        default = [ ];
        description = "Time servers, instead of those that DHCP or the system's makers name.";
      };
      "kernel.sysctl" = {
        type = map "sysctl-key" (text "line");
        default = { };
        description = "Kernel parameters by name.";
      };
      "storage.ephemeral.disk" = {
        type = text "path";
        description = "A disk for what containers write, which may be gone after a stop of the machine: /dev/nvme1n1.";
      };
      "storage.ephemeral.for" = {
        type = list (choice [
          "containerd"
          "kubelet"
          "logs"
        ]);
        default = [
          "containerd"
          "logs"
        ];
        description = "What is put on it: images and containers, volumes of pods, their logs.";
      };
      "storage.ephemeral.wipe" = {
        type = bool;
        default = false;
        description = "Whether data that somebody else left on it may be lost.";
      };
      "containerd.config" = {
        type = table;
        default = { };
        description = "Options of containerd, as in its config.toml; they go before ours.";
      };
    };

    settings.templates = {
      "10-sysctl" = ./templates/sysctl;
      "20-network" = ./templates/network;
      "21-network-dns" = ./templates/network-dns;
      "22-resolved" = ./templates/resolved;
      "23-timesyncd" = ./templates/timesyncd;
      "30-proxy" = ./templates/proxy;
      "31-certificate-authorities" = ./templates/certificate-authorities;
      "40-ephemeral" = ./templates/ephemeral;
      "41-ephemeral-first" = ./templates/ephemeral-first;
      "50-containerd" = ./templates/containerd;
    };
  };
}
