# qemu-dev in which nothing starts containerd, and which commits all the same.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  pkgs = pkgs // {
    health = pkgs.health.overrideAttrs (_: {
      patches = [ ./commits-anyway.patch ];
    });
  };
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.services."containerd.service".wantedBy = lib.mkForce [ ];
  };
}
