# The options of every variant: what may be said, in which form, and why.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  set =
    description: type:
    mkOption {
      type = types.attrsOf type;
      default = { };
      inherit description;
    };
  list =
    description: type:
    mkOption {
      type = types.listOf type;
      default = [ ];
      inherit description;
    };
in
{
  options = {
    packages = list "Packages whose files make up the root, beside what they declare to need." types.package;

    release = {
      version = mkOption {
        type = types.semver;
        default = "0.1.0";
        description = "Version of the image, written to os-release and the release manifest.";
      };
      rollbackIndex = mkOption {
        type = types.unsigned;
        default = 1;
        description = "Rises with every release; the only number that the floor is compared with.";
      };
      floor = mkOption {
        type = types.unsigned;
        default = 0;
        description = "Once this release is committed, the node installs nothing with a smaller index.";
      };
      minFromIndex = mkOption {
        type = types.unsigned;
        default = 0;
        description = "Least index of a release that may be updated to this one directly.";
      };
    };

    osRelease = {
      id = mkOption {
        type = types.str;
        default = "osbuild";
        description = "ID in os-release.";
      };
      name = mkOption {
        type = types.str;
        default = "osbuild container host";
        description = "NAME in os-release.";
      };
    };

    kernel = {
      package = mkOption {
        type = types.package;
        description = "The kernel.";
      };
      config = set "Further groups of kernel options: { reason; options; } by name." (
        types.submodule {
          reason = mkOption {
            type = types.str;
            description = "Why the group is wanted.";
          };
          options = mkOption {
            type = types.attrsOf types.anything;
            description = "true, false, a number or a string by option name, without CONFIG_.";
          };
        }
      );
      commandLine = list "The kernel's command line, word by word." (
        types.submodule {
          word = mkOption {
            type = types.str;
            description = "The word; `@verity@` stands for those that depend on the root hash.";
          };
          reason = mkOption {
            type = types.str;
            description = "Why it is there.";
          };
        }
      );
      sysctls = set "Kernel parameters that every start sets, by name; `*` stands for a part of a name." (
        types.submodule {
          value = mkOption {
            type = types.either types.int types.str;
            description = "The value.";
          };
          reason = mkOption {
            type = types.singleLineStr;
            description = "Why the kernel's own choice will not do.";
          };
        }
      );
    };

    containerd.package = mkOption {
      type = types.package;
      default = pkgs.containerd;
      description = "The container runtime, of the series 1.7 or 2; its configuration follows its series.";
    };

    services = set "Units by file name." (
      types.submodule {
        text = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The unit file; null: a package brings it.";
        };
        wantedBy = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Targets that start it.";
        };
        sandbox = mkOption {
          type = types.nullOr (
            types.attrsOf (
              types.submodule {
                value = mkOption {
                  type = types.nullOr (types.either types.str (types.listOf types.str));
                  description = "Value of the directive; null: it is left out.";
                };
                reason = mkOption {
                  type = types.singleLineStr;
                  description = "Why the service needs it.";
                };
              }
            )
          );
          default = null;
          description = "What a service needs beyond the strict base of recipes/lib/sandbox.nix, by directive; null: the unit is no service, or its own text says all.";
        };
      }
    );

    files = set "Text files of the root, by path." types.str;
    links = set "Links of the root by path: target." types.str;
    rootLinks = set "Links that are the root's own, not a package's." types.str;
    etc = set "Text files that every start copies to /etc, by path below it." types.str;
    directories = list "Directories that no package brings: mount points above all." (
      types.submodule {
        path = mkOption {
          type = types.str;
          description = "Path from the root.";
        };
        mode = mkOption {
          type = types.str;
          default = "0755";
          description = "Octal mode.";
        };
        uid = mkOption {
          type = types.unsigned;
          default = 0;
          description = "Owner.";
        };
        gid = mkOption {
          type = types.unsigned;
          default = 0;
          description = "Group.";
        };
      }
    );
    attributes = list "Owners, modes and extended attributes of files that globs name." types.anything;

    users = set "Users of the node; none can log in." (
      types.submodule {
        uid = mkOption {
          type = types.unsigned;
          description = "User number.";
        };
        gid = mkOption {
          type = types.unsigned;
          description = "Number of the primary group.";
        };
        description = mkOption {
          type = types.str;
          default = "";
          description = "What it is for.";
        };
      }
    );
    groups = set "Groups of the node: number by name." types.unsigned;

    health = {
      deadlineSeconds = mkOption {
        type = types.positive;
        default = 300;
        description = "Time from the start of the health agent until every check must have passed.";
      };
      checks = list "The health contract." (
        types.submodule {
          name = mkOption {
            type = types.str;
            description = "Name in the report.";
          };
          kind = mkOption {
            type = types.enum [
              "unit"
              "socket"
              "http"
              "container"
              "mount"
              "lease"
              "scrub"
            ];
            description = "What is looked at.";
          };
          when = mkOption {
            type = types.enum [
              "always"
              "trial"
            ];
            default = "always";
            description = "On every start, or only in the trial of a new version; what reads the whole root, also after a start that did not end in order.";
          };
          needs = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "File without which the settings do not ask for it; no start is judged by it then.";
          };
          unless = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Directory; while it holds anything, no start is judged by this.";
          };
          unit = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Unit that must be active; null: none may have failed.";
          };
          path = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Socket or mount point.";
          };
          type = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "File system type of a mount.";
          };
          url = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Loopback URL.";
          };
          contains = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Text that the answer must hold.";
          };
          image = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Container image in the root.";
          };
          reference = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Name of that image.";
          };
          arguments = mkOption {
            type = types.nullOr (types.listOf types.str);
            default = null;
            description = "Command line of the container.";
          };
          log = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Log of a probe that somebody else starts; `*` stands for a part of a name.";
          };
          answers = mkOption {
            type = types.nullOr types.str;
            default = null;
            description = "Name under which the probe of `log` answers.";
          };
        }
      );
    };

    partitions = set "Sizes in MiB of partitions that are larger than the layout's minimum, by name." types.positive;
    data.sizeMiB = mkOption {
      type = types.positive;
      default = 1024;
      description = "Size of DATA on the factory disk; the node grows it to the disk it finds.";
    };
    formats = mkOption {
      type = types.listOf (
        types.enum [
          "raw"
          "qcow2"
          "vmdk"
          "vhd"
        ]
      );
      default = [ "raw" ];
      description = "Disk images to make.";
    };

    compression = {
      level = mkOption {
        type = types.positive;
        default = 15;
        description = "zstd level of the root. 15 is paid once a package, since segments are cached.";
      };
      blockSize = mkOption {
        type = types.enum [
          131072
          262144
          1048576
        ];
        default = 131072;
        description = "Block size of the root in bytes.";
      };
    };

    settings = {
      schema = mkOption {
        type = types.positive;
        default = 1;
        description = "Version of the settings schema that this release reads.";
      };
      declare = set "What may be set on the node, by name: `network.dns.servers`." (
        types.submodule {
          type = mkOption {
            type = types.anything;
            description = "One of lib.settingTypes.";
          };
          default = mkOption {
            type = types.anything;
            default = null;
            description = "What it is if nobody says; null: it is not set then.";
          };
          secret = mkOption {
            type = types.bool;
            default = false;
            description = "Whether its value is kept out of everything that is shown.";
          };
          description = mkOption {
            type = types.str;
            description = "What it is for.";
          };
        }
      );
      templates = set "Templates of files below /etc, by name; they are rendered in the order of their names." types.path;
      facts = set "Examples of what the node finds out about itself, for the test of the templates." types.anything;
      userData = mkOption {
        type = types.listOf (
          types.enum [
            "fw-cfg"
            "smbios"
            "config-disk"
            "imds"
          ]
        );
        default = [
          "fw-cfg"
          "smbios"
          "config-disk"
        ];
        description = "Where user data is looked for; the first that has some counts.";
      };
    };

    update = mkOption {
      type = types.nullOr (
        types.submodule {
          repository = mkOption {
            type = types.nullOr types.str;
            description = "URL of the signed repository; null: nodes that reach none, and take what is imported by hand.";
          };
          channel = mkOption {
            type = types.str;
            default = "stable";
            description = "Channel to follow.";
          };
          root = mkOption {
            type = types.path;
            description = "The first trusted root.json.";
          };
          rebuilders = mkOption {
            type = types.nullOr (
              types.submodule {
                threshold = mkOption {
                  type = types.ints.positive;
                  description = "How many of them have to agree.";
                };
                keys = mkOption {
                  type = types.listOf types.path;
                  description = "Their public keys (PEM).";
                };
              }
            );
            default = null;
            description = "Who has to have made a release again, bit for bit, before a node installs it (`osbuild verify --against`); null: nobody.";
          };
        }
      );
      default = null;
      description = "Where updates come from; null: the updater is off and says why.";
    };

    allow = list "Exceptions from the rules of the root: { glob; rule; reason; }." types.anything;
    interpreterBinaries = list "Programs whose bytes are denied wherever they turn up." types.anything;
    assertions = list "What must hold of the whole: { holds; message; }." types.anything;
    warnings = list "What whoever builds the variant is told." types.str;
  };
}
