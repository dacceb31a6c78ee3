# Judges a start by its contract, commits it, and reports.
{
  lib,
  systemd,
}:
lib.buildRust {
  crate = "health";
  programs.health = "usr/lib/osbuild/health";
  uses = [
    "images"
    "sys"
  ];
  runtimeInputs = [
    systemd
  ];
  description = "Judges a start by its contract, commits it, and reports";
}
