# Lets pods that the node gave addresses out, by the address of the node.
{ lib }:
lib.buildRust {
  crate = "masquerade";
  programs.masquerade = "usr/lib/osbuild/masquerade";
  uses = [ ];
  description = "Lets pods that the node gave addresses out, by the address of the node";
}
