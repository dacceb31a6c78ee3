# qemu-dev with a unit that fails.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.services."broken.service" = {
      text = ''
        [Unit]
        Description=Fails

        [Service]
        Type=oneshot
        ExecStart=/usr/bin/systemctl start does-not-exist.service
      '';
      wantedBy = [ "multi-user.target" ];
      sandbox = { };
    };
  };
}
