# Finds the node's user data and hands it to its settings.
{ lib }:
lib.buildRust {
  crate = "firstboot";
  programs.firstboot = "usr/lib/osbuild/firstboot";
  uses = [
    "api"
    "imds"
    "sys"
  ];
  description = "Finds the node's user data and hands it to its settings";
}
