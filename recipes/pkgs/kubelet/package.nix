# The Kubernetes node agent.
{
  lib,
  cni-plugins,
  containerd,
}:
let
  kubernetes = import ./kubernetes.nix { inherit lib; };
in
kubernetes.build {
  pname = "kubelet";
  programs.kubelet = "cmd/kubelet";
  # A variant that picks another containerd names it among its packages: of
  # two packages of one pname, the variant's own stands.
  runtimeInputs = [
    cni-plugins
    containerd
  ];
  passthru = { inherit (kubernetes) criApi; };
  description = "Kubernetes node agent";
}
