# Asks and tells a node, for people and programs.
{ lib }:
lib.buildRust {
  crate = "hostctl";
  programs.hostctl = "usr/bin/hostctl";
  uses = [
    "api"
    "schema"
  ];
  description = "Asks and tells a node, for people and programs";
}
