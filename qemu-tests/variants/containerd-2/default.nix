# qemu-dev with the second series of containerd.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-containerd-2";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.containerd.package = pkgs.containerd-2;
  };
}
