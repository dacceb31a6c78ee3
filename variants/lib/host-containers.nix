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
    choice
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
    ExecStart=/usr/bin/containerd --config /etc/host-containerd/config.toml
    Delegate=yes
    KillMode=process
    TimeoutStartSec=infinity
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

  # It does not end before the container has done its work, so whoever comes
  # after it waits for that.
  bootstrapUnit = ''
    [Unit]
    Description=Bootstrap container %I of the node
    Requires=host-containerd.service
    Wants=osbuild-settings.service
    After=host-containerd.service osbuild-settings.service

    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/usr/lib/osbuild/hostcontainer bootstrap %I
    TimeoutStartSec=infinity
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
      "bootstrap-container@.service" = {
        text = bootstrapUnit;
        sandbox = containerSandbox // {
          ReadWritePaths =
            because "the same; that kubelet waits, and what is done for good"
              "-/run/containerd -/run/host-containerd -/var/lib/host-containerd -/var/lib/osbuild /run/osbuild";
        };
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
        d /var/lib/osbuild/bootstrap-containers 0700 root root -
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

    settings.declare."bootstrap-containers" = {
      type = map "name" (record {
        image = {
          type = text "image";
          description = "What it runs.";
        };
        mode = {
          type = choice [
            "off"
            "once"
            "always"
          ];
          default = "off";
          description = "On every start, or until it has succeeded once as it is defined.";
        };
        essential = {
          type = bool;
          default = false;
          description = "Whether kubelet waits until it has succeeded; otherwise only until it has ended.";
        };
        user-data = {
          type = longText "lines" 65536;
          description = "What it is told, in /.osbuild/kept/user-data.";
        };
      });
      default = { };
      description = "Containers that prepare the node before kubelet starts, by name. They see the host, and what they mount below its files is there for all.";
    };

    # Before those of kubelet, so that it finds their units.
    settings.templates."55-bootstrap-containers" = ./templates/bootstrap-container;
    settings.templates."70-host-containers" = ./templates/host-container;
  };
}
