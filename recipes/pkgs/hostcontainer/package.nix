# Runs one of the node's own containers, beside the orchestrator's.
{ lib }:
lib.buildRust {
  crate = "hostcontainer";
  programs.hostcontainer = "usr/lib/osbuild/hostcontainer";
  uses = [
    "images"
    "sys"
  ];
  description = "Runs one of the node's own containers, beside the orchestrator's";
}
