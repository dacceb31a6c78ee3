# The container runtime, with its shim and its debugging client. 1.7 is the
# last series that serves the container runtime interface v1alpha2, which the
# kubelet of this tree speaks.
{ lib, runc }:
let
  source = lib.upstreamSource {
    lock = "sources";
    package = "containerd";
  };
  inherit (source) version;
  importPath = "github.com/containerd/containerd";
in
lib.buildGo {
  pname = "containerd";
  inherit version importPath;
  inherit (source) src packaging;
  programs = {
    containerd = "cmd/containerd";
    containerd-shim-runc-v2 = "cmd/containerd-shim-runc-v2";
    ctr = "cmd/ctr";
  };
  # btrfs, zfs, aufs and devmapper snapshotters need what the node lacks.
  tags = [
    "urfave_cli_no_docs"
    "static_build"
    "no_btrfs"
    "no_zfs"
    "no_aufs"
    "no_devmapper"
    "osusergo"
    "netgo"
  ];
  variables = {
    "${importPath}/version.Version" = version;
    "${importPath}/version.Package" = importPath;
  };
  runtimeInputs = [ runc ];
  meta = {
    description = "Container runtime";
    license = "Apache-2.0";
    homepage = "https://containerd.io";
    cpe = "cpe:2.3:a:linuxfoundation:containerd:${version}:*:*:*:*:*:*:*";
  };
}
