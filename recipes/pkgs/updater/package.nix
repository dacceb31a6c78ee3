# Follows a repository, and installs what it gives out into the other slot.
{
  lib,
  systemd,
}:
lib.buildRust {
  crate = "updater";
  programs.updater = "usr/lib/osbuild/updater";
  uses = [ "sys" ];
  leaves = [
    "core/boot"
    "core/delta"
    "core/format"
    "core/install"
    "core/transfer"
    "core/tuf"
    "core/update"
  ];
  runtimeInputs = [
    systemd
  ];
  description = "Follows a repository, and installs what it gives out into the other slot";
}
