# qemu-dev with a shell, let in by exceptions.
{ lib, pkgs, ... }:
let
  dash = lib.debPackage {
    pname = "dash";
    include = [ "usr/bin/dash" ];
    runtimeInputs = [ pkgs.glibc ];
    meta = {
      description = "A shell";
      license = "BSD-3-Clause";
      homepage = null;
    };
  };
in
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config = {
      packages = [ dash ];
      allow = [
        {
          glob = "usr/bin/dash";
          rule = "interpreter";
          reason = "the assertion that there is no shell must be able to fail";
        }
      ];
    };
  };
}
