# qemu-dev, a release after which no older one may be installed.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.release = {
      version = "0.2.1";
      rollbackIndex = 2;
      floor = 2;
    };
  };
}
