# qemu-dev with a loader that starts a slot without spending a try.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  pkgs = pkgs // {
    loader = pkgs.loader.overrideAttrs (_: {
      patches = [ ./no-decrement.patch ];
    });
  };
  module = ../../../variants/qemu-dev/variant.nix;
}
