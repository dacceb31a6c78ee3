# aws-k8s whose static pod is not one.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "aws-k8s";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/aws-k8s/variant.nix ];
    config.etc."kubernetes/manifests/probe.json" = lib.mkForce "";
  };
}
