# qemu-dev with something writable mounted over /usr.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config = {
      files."usr/lib/tmpfiles.d/twin.conf" = ''
        d /run/twin 0755 root root -
        d /run/twin/upper 0755 root root -
        d /run/twin/work 0755 root root -
      '';
      services."usr.mount" = {
        text = ''
          [Unit]
          Description=A writable layer over the programs
          DefaultDependencies=no
          After=systemd-tmpfiles-setup.service
          Before=osbuild-health.service

          [Mount]
          What=overlay
          Where=/usr
          Type=overlay
          Options=lowerdir=/usr,upperdir=/run/twin/upper,workdir=/run/twin/work
        '';
        wantedBy = [ "multi-user.target" ];
      };
    };
  };
}
