# qemu-dev with a parameter that no kernel knows.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.kernel.sysctls."kernel.no_such_parameter" = {
      value = 1;
      reason = "there is no such parameter";
    };
  };
}
