# qemu-dev as it follows a repository of the tests, release 3.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../follows.nix ];
    config.release = {
      version = "3.0.0";
      rollbackIndex = 3;
    };
  };
}
