# qemu-dev as it follows a repository of the tests, release 2.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../follows.nix ];
    config.release = {
      version = "2.0.0";
      rollbackIndex = 2;
    };
  };
}
