# The container runtime, with its shim and its debugging client. 1.7 is the
# last series that serves the container runtime interface v1alpha2, which the
# kubelet of this tree speaks.
{ lib, runc }@inputs:
let
  source = lib.upstreamSource {
    lock = "sources";
    package = "containerd";
  };
in
import ./build.nix inputs {
  inherit (source) src packaging version;
  importPath = "github.com/containerd/containerd";
}
