# A container that holds a pod's namespaces.
{ lib }:
lib.buildRust {
  crate = "pause";
  programs.pause = "usr/bin/pause";
  uses = [ "sys" ];
  description = "A container that holds a pod's namespaces";
}
