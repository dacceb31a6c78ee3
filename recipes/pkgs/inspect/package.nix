# Looks at the running system for whoever asks over the API.
{
  lib,
  systemd,
}:
lib.buildRust {
  crate = "inspect";
  programs.inspect = "usr/lib/osbuild/inspect";
  uses = [ "sys" ];
  runtimeInputs = [
    systemd
  ];
  description = "Looks at the running system for whoever asks over the API";
}
