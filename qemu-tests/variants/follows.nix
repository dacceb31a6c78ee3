# Releases of qemu-dev, or of what adds to it, that follow a repository, by
# number, and what one differs in beside it. Nobody is at the address: the tests
# give a mirror by user data.
{
  number,
  name ? "qemu-dev",
  # What it has beside qemu-dev.
  more ? [ ],
  # Of its configuration.
  change ? { ... }: { },
  # Of the packages, by name.
  packages ? { ... }: { },
}:
{ lib, pkgs, ... }:
lib.evalVariant {
  inherit name;
  pkgs = pkgs // packages { inherit lib pkgs; };
  module = {
    imports = [
      ../../variants/qemu-dev/variant.nix
      { config = change { inherit lib pkgs; }; }
    ]
    ++ more;
    config = {
      release = {
        version = "${toString number}.0.0";
        rollbackIndex = number;
      };
      update = {
        repository = "http://10.0.2.2:9/";
        root = ../fleet/repository/public/metadata/2.root.json;
      };
      # An emulated node on a machine that does something else, too, is slow and
      # not ill.
      health.deadlineSeconds = lib.mkDefault 900;
    };
  };
}
