# qemu-dev in which nothing starts containerd.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.services."containerd.service".wantedBy = lib.mkForce [ ];
  };
}
