# A container that answers a challenge.
{ lib }:
lib.buildRust {
  crate = "probe";
  programs.probe = "usr/bin/probe";
  description = "A container that answers a challenge";
}
