# The reference CNI plugins that a single node's pod network takes.
{ lib }:
let
  file =
    pattern:
    lib.lockedSource {
      lock = "sources";
      package = "golang-github-containernetworking-plugins";
      file = pattern;
    };
  orig = file ".*\\.orig\\.tar\\.xz";
  packaging = file ".*\\.debian\\.tar\\.xz";
  version = builtins.head (builtins.match "([0-9.]+).*" orig.version);
  importPath = "github.com/containernetworking/plugins";
in
lib.buildGo {
  pname = "cni-plugins";
  inherit version importPath;
  inherit (orig) src;
  packaging = packaging.src;
  # Where kubelet and containerd look by default.
  binDirectory = "usr/libexec/cni";
  programs = {
    bridge = "plugins/main/bridge";
    host-local = "plugins/ipam/host-local";
    loopback = "plugins/main/loopback";
    portmap = "plugins/meta/portmap";
    ptp = "plugins/main/ptp";
  };
  variables."${importPath}/pkg/utils/buildversion.BuildVersion" = "v${version}";
  meta = {
    description = "CNI network plugins";
    license = "Apache-2.0";
    homepage = "https://www.cni.dev";
    cpe = "cpe:2.3:a:linuxfoundation:cni_network_plugins:${version}:*:*:*:*:*:*:*";
  };
}
