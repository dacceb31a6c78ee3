# aws-k8s that carries one image more, which runs its user data as a script, and
# a program that stands in for a credential provider.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "aws-k8s";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/aws-k8s/variant.nix ];
    config.credentialProviders.stand-in = {
      package = pkgs.probe;
      program = "usr/bin/probe";
    };
    config.hostContainers.script.image = lib.ociImage {
      pname = "script-image";
      reference = "osbuild.local/script:1";
      inherit (pkgs.admin-image) root;
      # The admin image has none.
      files."usr/bin/mount" = "${pkgs.mount}/usr/bin/mount";
      entrypoint = [
        "/usr/bin/bash"
        "/.osbuild/kept/user-data"
      ];
      inherit (pkgs.admin-image) meta;
    };
  };
}
