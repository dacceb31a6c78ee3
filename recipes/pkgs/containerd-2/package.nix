# The container runtime, second series, for variants that pick it
# (`containerd.package`). It serves the container runtime interface v1 alone.
#
# The source is the suite's source package as its own library packages carry
# it: patched, with the interface definitions and the few vendored libraries in
# place. The packaging archive is not used, since mirrors do not serve that of
# the revision which the suite lists; the older one that they serve lacks the
# fixes for CVE-2026-53493 and CVE-2026-53495, which the libraries have.
{ lib, runc }@inputs:
let
  lock = "sources-containerd-2";
  library = "golang-github-containerd-containerd-dev";
  source = lib.lockedSource {
    inherit lock;
    package = library;
  };
  version = lib.releaseVersion source.version;
in
import ../containerd/build.nix inputs {
  inherit version;
  importPath = "github.com/containerd/containerd/v2";
  src = lib.unpackDebs {
    name = "containerd-source-${version}";
    debs = lib.debs lock;
    include = [ "usr/share/gocode/src/**" ];
  };
  sdk = lib.sdk.go-2;
  # Libraries beside the root are part of the source, so all of it is copied.
  unpack = ''
    cp -r --no-preserve=mode "$src/usr/share/gocode/src/." "$NIX_BUILD_TOP/gopath/src"
  '';
}
