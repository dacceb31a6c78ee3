# aws-k8s that carries one image more: it runs its user data as a script.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "aws-k8s";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/aws-k8s/variant.nix ];
    config.hostContainers.script.image = lib.ociImage {
      pname = "script-image";
      reference = "osbuild.local/script:1";
      inherit (pkgs.admin-image) root;
      files = { };
      entrypoint = [
        "/usr/bin/bash"
        "/.osbuild/kept/user-data"
      ];
      inherit (pkgs.admin-image) meta;
    };
  };
}
