# First program of a host container that is reached by SSH.
{ lib }:
lib.buildRust {
  crate = "ssh-start";
  programs.ssh-start = "usr/bin/ssh-start";
  description = "First program of a host container that is reached by SSH";
}
