# Updates: the program that follows a repository, and what may be set of it. It
# is in every image, so that slots can be looked after by hand; without `update`
# it follows nobody and says so.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib.settingTypes)
    bool
    integer
    list
    text
    ;
  inherit (lib.sandbox) because onConsole without;

  unit = ''
    [Unit]
    Description=Follow the repository of releases
    After=osbuild-settings.service local-fs.target

    [Service]
    Type=notify
    EnvironmentFile=-/etc/osbuild/proxy.env
    ExecStart=/usr/lib/osbuild/updater
    Restart=always
    RestartSec=5
    MemoryMax=128M
    StateDirectory=osbuild-updater
    StateDirectoryMode=0700
    IOSchedulingClass=idle
    Nice=10
  '';

  sandbox =
    onConsole [ "block-* rw" ]
    // without [
      "IPAddressDeny"
      "PrivateNetwork"
    ] "it downloads releases, from wherever the repository and its mirrors are"
    // {
      ReadWritePaths = because "PRIVATE, where what was believed is kept; its socket, the lock of the partition table" "/run/osbuild";
      RestrictAddressFamilies = because "a repository's" "AF_UNIX AF_INET AF_INET6";
    };

  update = config.update;
in
{
  config = {
    packages = [ pkgs.updater ];

    files =
      if update == null then
        {
          "usr/share/osbuild/update.json" = builtins.toJSON {
            schema = 1;
            repository = null;
            reason = "no update repository is configured in this variant";
          };
        }
      else
        {
          "usr/share/osbuild/update.json" = builtins.toJSON {
            schema = 1;
            inherit (update) repository channel;
            # It is certainly not earlier than when its packages were listed.
            epoch = lib.lockTime "node";
          };
          "usr/share/osbuild/root.json" = builtins.readFile update.root;
        }
        // (
          if update.rebuilders == null then
            { }
          else
            {
              "usr/share/osbuild/rebuilders.json" = builtins.toJSON {
                schema = 1;
                inherit (update.rebuilders) threshold;
                keys = map builtins.readFile update.rebuilders.keys;
              };
            }
        );

    services."osbuild-updater.service" = {
      text = unit;
      wantedBy = [ "multi-user.target" ];
      inherit sandbox;
    };

    settings.declare = {
      "updates.channel" = {
        type = text "name";
        description = "The channel of releases that is followed; else the image's.";
      };
      "updates.mirrors" = {
        type = list (text "url");
        default = [ ];
        description = "Copies of the repository, asked before it. They need not be trusted.";
      };
      "updates.version-lock" = {
        type = text "line";
        description = "The one version that may be installed.";
      };
      "updates.delay-seconds" = {
        type = integer 0 31536000;
        default = 0;
        description = "How long a release must have been out before this node takes it.";
      };
      "updates.check-seconds" = {
        type = integer 10 2592000;
        default = 14400;
        description = "How long between two looks at the repository, at least.";
      };
      "updates.scrub-seconds" = {
        type = integer 3600 2592000;
        default = 86400;
        description = "How long from one reading of both slots to the next, which finds bad blocks before they are needed.";
      };
      "updates.automatic" = {
        type = bool;
        default = false;
        description = "Whether a release is installed when its turn comes; else only when it is ordered.";
      };
      "updates.reboot" = {
        type = bool;
        default = false;
        description = "Whether the node restarts into what was installed by itself; else when somebody restarts it.";
      };
    };

    settings.templates."60-updates" = ./templates/updates;
  };
}
