# qemu-dev, the next release.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.release = {
      version = "0.2.0";
      rollbackIndex = 2;
    };
  };
}
