# qemu-dev with a template that fails while its setting is not set, and names a
# unit that the image has not.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.settings.templates."99-wrong" = ./wrong;
  };
}
