# The container runtime, second series, for variants that pick it
# (`containerd.package`). It serves the container runtime interface v1 alone.
#
# The source is the suite's source package as its own library packages carry
# it: patched, with the interface definitions and the few vendored libraries in
# place. The packaging archive is not used, since mirrors do not serve that of
# the revision which the suite lists; the older one that they serve lacks the
# fixes for CVE-2026-53493 and CVE-2026-53495, which the libraries have.
{ lib, runc }:
let
  lock = "sources-containerd-2";
  library = "golang-github-containerd-containerd-dev";
  source = lib.lockedSource {
    inherit lock;
    package = library;
  };
  version = lib.releaseVersion source.version;
  importPath = "github.com/containerd/containerd/v2";
in
lib.buildGo {
  # One name for both series, so that no root holds two runtimes.
  pname = "containerd";
  inherit version importPath;
  src = lib.unpackDebs {
    name = "containerd-source-${version}";
    debs = lib.debs lock;
    include = [ "usr/share/gocode/src/**" ];
  };
  sdk = lib.sdk.go-2;
  # Libraries beside the root are part of the source, so all of it is copied.
  unpack = ''
    cp -r --no-preserve=mode "$src/usr/share/gocode/src/." /build/gopath/src
  '';
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
