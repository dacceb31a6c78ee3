# The admin container: a shell and tools for a person who looks after a node.
# The host has neither.
{
  lib,
  hostctl,
  ssh-start,
}:
lib.sshImage {
  pname = "admin-image";
  port = 2222;
  lock = "admin";
  shell = "/bin/bash";
  programs."usr/bin/hostctl" = "${hostctl}/usr/bin/hostctl";
  inherit ssh-start;
  description = "The admin container: a shell and tools, reached by SSH";
}
