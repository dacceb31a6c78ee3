# Formats, checks, grows and mounts DATA.
{
  lib,
  e2fsprogs,
}:
lib.buildRust {
  crate = "storage";
  programs.storage = "usr/lib/osbuild/storage";
  uses = [ "sys" ];
  runtimeInputs = [
    e2fsprogs
  ];
  description = "Formats, checks, grows and mounts DATA";
}
