# The first program: from the verified root to the service manager.
{
  lib,
  systemd,
  e2fsprogs,
}:
lib.buildRust {
  crate = "early";
  programs.early = "usr/lib/osbuild/early";
  uses = [ "sys" ];
  runtimeInputs = [
    e2fsprogs
    systemd
  ];
  description = "The first program: from the verified root to the service manager";
}
