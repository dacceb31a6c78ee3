# Keeps the node's settings, and serves them.
{
  lib,
  render,
  systemd,
}:
lib.buildRust {
  crate = "settings";
  programs.settings = "usr/lib/osbuild/settings";
  uses = [
    "schema"
    "sys"
  ];
  runtimeInputs = [
    render
    systemd
  ];
  description = "Keeps the node's settings, and serves them";
}
