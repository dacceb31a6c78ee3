# qemu-dev, the next release, in which one thing more may be set.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config = {
      release = {
        version = "0.2.0";
        rollbackIndex = 2;
      };
      settings.declare."example.level" = {
        type = lib.settingTypes.integer 1 10;
        default = 3;
        description = "How much there is of it.";
      };
    };
  };
}
