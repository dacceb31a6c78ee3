# Finds out what configuration needs to know of the node.
{ lib }:
lib.buildRust {
  crate = "nodeconfig";
  programs.nodeconfig = "usr/lib/osbuild/nodeconfig";
  uses = [
    "api"
    "imds"
    "sys"
  ];
  description = "Finds out what configuration needs to know of the node";
}
