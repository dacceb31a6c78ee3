# The reference CNI plugins that a single node's pod network takes.
{ lib }:
let
  source = lib.upstreamSource {
    lock = "sources";
    package = "golang-github-containernetworking-plugins";
  };
  inherit (source) version;
  importPath = "github.com/containernetworking/plugins";
in
lib.buildGo {
  pname = "cni-plugins";
  inherit version importPath;
  inherit (source) src packaging;
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
    cpe = "a:linuxfoundation:cni_network_plugins";
  };
}
