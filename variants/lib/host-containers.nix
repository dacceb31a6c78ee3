# The node's own containers, in a containerd of their own: what a person or a
# program works in who looks after the node.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  inherit (lib.settingTypes)
    bool
    longText
    map
    record
    text
    ;
  containers = config.hostContainers;
  names = builtins.attrNames containers;

  containerdUnit = ''
    [Unit]
    Description=Container runtime of the node's own containers
    After=local-fs.target network.target
    RequiresMountsFor=/var/lib/host-containerd

    [Service]
    Type=notify
    EnvironmentFile=-/etc/osbuild/proxy.env
    ExecStart=/usr/bin/containerd --config /etc/host-containerd/config.toml
    Delegate=yes
    KillMode=process
    Restart=always
    RestartSec=5
    LimitNOFILE=1048576
    TasksMax=infinity
    OOMScoreAdjust=-900
  '';

  containerUnit = ''
    [Unit]
    Description=Container %I of the node
    Requires=host-containerd.service
    Wants=osbuild-settings.service
    After=host-containerd.service osbuild-settings.service

    [Service]
    ExecStart=/usr/lib/osbuild/hostcontainer %I
    Restart=always
    RestartSec=10
    TimeoutStopSec=60
    KillMode=mixed
  '';

  inherit (lib.sandbox) because onConsole unconfined without;

  containerSandbox =
    onConsole [ ]
    // without [
      "IPAddressDeny"
      "PrivateNetwork"
    ] "`ctr` fetches images itself, from wherever they are"
    // without [ "CapabilityBoundingSet" ] "a container that sees the host gets the capabilities of the `ctr` that asks for it"
    // {
      ReadWritePaths =
        because "what containers keep; their pipes; their roots, which `ctr` mounts to look up users"
          "-/run/containerd -/run/host-containerd -/var/lib/host-containerd -/var/lib/osbuild";
      RestrictAddressFamilies = because "containerd's, and registries'" "AF_UNIX AF_INET AF_INET6";
      SystemCallFilter =
        because "`ctr` mounts a container's root, where nobody else sees it"
          "@system-service @mount";
    };
in
{
  options.hostContainers = mkOption {
    type = types.attrsOf (
      types.submodule {
        image = mkOption {
          type = types.package;
          description = "The image that the root carries.";
        };
        enabled = mkOption {
          type = types.bool;
          default = false;
          description = "Whether it runs if nobody says.";
        };
        superpowered = mkOption {
          type = types.bool;
          default = false;
          description = "Whether it sees the host: its processes, its files, its devices.";
        };
      }
    );
    default = { };
    description = "Containers of the node that its root carries.";
  };

  config = {
    hostContainers = {
      # Nobody gets in before the settings name a key.
      control = {
        image = pkgs.control-image;
        enabled = true;
      };
      admin = {
        image = pkgs.admin-image;
        superpowered = true;
      };
    };

    packages = [ pkgs.hostcontainer ] ++ builtins.map (name: containers.${name}.image) names;

    services = {
      # Started by the first container that needs it.
      "host-containerd.service" = {
        text = containerdUnit;
        sandbox = unconfined "as for containerd.service: containers inherit what is taken from their runtime";
      };
      "host-container@.service" = {
        text = containerUnit;
        sandbox = containerSandbox;
      };
    };

    etc."host-containerd/config.toml" = ''
      version = 2
      root = "/var/lib/host-containerd"
      state = "/run/host-containerd"
      disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.grpc.v1.cri"]

      [grpc]
      address = "/run/host-containerd/containerd.sock"
    '';

    files = {
      "usr/share/osbuild/images/carried.json" = builtins.toJSON (
        builtins.listToAttrs (
          builtins.map (name: {
            name = containers.${name}.image.reference;
            value = "/usr/share/osbuild/images/${containers.${name}.image.pname}.tar";
          }) names
        )
      );
      "usr/lib/tmpfiles.d/osbuild-host-containers.conf" = ''
        d /run/host-containerd 0711 root root -
        d /var/lib/host-containerd 0700 root root -
        d /var/lib/osbuild 0755 root root -
        d /var/lib/osbuild/host-containers 0700 root root -
      '';
    };

    settings.declare."host-containers" = {
      type = map "name" (record {
        enabled = {
          type = bool;
          default = false;
          description = "Whether it runs.";
        };
        image = {
          type = text "image";
          description = "What it runs.";
        };
        superpowered = {
          type = bool;
          default = false;
          description = "Whether it sees the host: its processes, its files, its devices.";
        };
        waits-for-user-data = {
          type = bool;
          default = false;
          description = "Whether it runs only once it is told something.";
        };
        user-data = {
          type = longText "lines" 65536;
          description = "What it is told: for the admin container the lines of authorized_keys.";
        };
      });
      default = builtins.mapAttrs (_: container: {
        inherit (container) enabled superpowered;
        image = container.image.reference;
        # Nobody could log in.
        waits-for-user-data = true;
      }) containers;
      description = "The node's own containers, by name.";
    };

    settings.templates."70-host-containers" = ./templates/host-container;
  };
}
