# qemu-dev whose contract runs the probe under another name, so that its answer
# is not the one that was asked for.
{ lib, pkgs, ... }:
lib.evalVariant {
  name = "qemu-dev";
  inherit pkgs;
  module = {
    imports = [ ../../../variants/qemu-dev/variant.nix ];
    config.health.checks = lib.mkForce [
      {
        name = "containerd answers";
        kind = "socket";
        path = "/run/containerd/containerd.sock";
      }
      {
        name = "a container runs";
        kind = "container";
        image = "/usr/share/osbuild/images/probe-image.tar";
        inherit (pkgs.probe-image) reference;
        arguments = [
          "/probe"
          "somebody-else"
        ];
      }
      {
        name = "no unit has failed";
        kind = "unit";
      }
    ];
  };
}
