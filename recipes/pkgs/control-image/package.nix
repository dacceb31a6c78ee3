# The control container: the node's settings and nothing else. Who logs in
# runs hostctl, which is no shell: `ssh NODE get network`.
{
  lib,
  hostctl,
  ssh-start,
}:
lib.sshImage {
  pname = "control-image";
  port = 22;
  lock = "admin";
  # All that runs programs by name stays out; so does what needs one.
  exclude = [
    "usr/bin/bash"
    "usr/bin/sh"
    "usr/bin/dash"
    "bin/**"
  ];
  shell = "/usr/bin/hostctl";
  programs."usr/bin/hostctl" = "${hostctl}/usr/bin/hostctl";
  inherit ssh-start;
  description = "The control container: hostctl, reached by SSH";
}
