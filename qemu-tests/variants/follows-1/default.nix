# qemu-dev as it follows a repository of the tests, release 1.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../follows.nix ];
    config.release = {
      version = "1.0.0";
      rollbackIndex = 1;
    };
  };
}
