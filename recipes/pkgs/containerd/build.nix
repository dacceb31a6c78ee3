# What both series of the container runtime are built of and with.
{ lib, runc }:
{ version, importPath, ... }@source:
lib.buildGo (
  source
  // {
    # One name for both series, so that no root holds two runtimes.
    pname = "containerd";
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
      cpe = "a:linuxfoundation:containerd";
    };
  }
)
